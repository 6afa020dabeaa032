"""What a ledger does with the effects of one tool, and the checks of the options that say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from attrs import evolve, frozen

from patterns.errors import misuse
from patterns.kernel.clock import Duration, seconds
from patterns.ledger.failures import Failures
from patterns.ledger.record import Guarantee

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.kernel.target import Target
    from patterns.ledger.failures import Types

__all__ = ["AnyGuarantee", "DidNotHappen", "ErrorTypes", "Happened", "Policy", "keyed"]

ErrorTypes = type[BaseException] | tuple[type[BaseException], ...]
AnyGuarantee = Guarantee | Literal["at_most_once", "repeatable"]


@frozen
class Happened:
    """What ``reconcile=`` returns if the effect did happen; *result* is what its call would have returned."""

    result: Any = None


@frozen
class DidNotHappen:
    """What ``reconcile=`` returns if the effect did not happen; it may be run."""


def keyed(*, window: Duration) -> Guarantee:
    """Promise that repetitions are harmless because the tool sends ``current_call().idempotency_key`` along.

    Args:
        window: Seconds (or a timedelta) after the first attempt during which the provider is sure to remember the key,
            less what the clocks of your hosts may differ by.

    Returns:
        A guarantee: an attempt of unknown outcome is repeated by the next call within the window, once it is over.

    """
    return Guarantee("keyed", seconds(window, name="window"))


@frozen(kw_only=True)
class Policy:
    """The options of one tool, checked.

    Attributes:
        guarantee: What to do about an unknown outcome.
        failures: How errors are read.
        wait: Seconds to wait for another caller's result.
        reconcile: Finds out downstream what became of an effect in doubt; None if nothing can.
        quiet: Seconds an effect must be in doubt before ``reconcile`` is believed that it did not happen.
        largest_result: Characters of JSON text a recorded result may have.

    """

    guarantee: Guarantee
    failures: Failures
    wait: float
    reconcile: Callable[..., Any] | None
    quiet: float
    largest_result: int

    def bound_to(self, target: Target) -> Policy:
        """Return these options for *target*.

        Raises:
            Misuse: ``reconcile`` demands a parameter the target does not have.

        """
        if self.reconcile is None or target.is_block:
            return evolve(self, reconcile=None)
        return evolve(self, reconcile=target.binder.selector(self.reconcile, option="reconcile"))


def guarantee_of(guarantee: Any) -> Guarantee:
    """Return the guarantee the user named.

    Raises:
        Misuse: There is none of that name.

    """
    if isinstance(guarantee, Guarantee):
        return guarantee
    if guarantee not in ("at_most_once", "repeatable"):
        right = "keyed(window=timedelta(hours=24))" if guarantee == "keyed" else '"at_most_once"'
        misuse(f"{guarantee!r} is no guarantee", wrong=f"guarantee={guarantee!r}", right=f"guarantee={right}")
    return Guarantee(guarantee)


def failures_of(retry_on: Any, terminal: Any, on_error: Any) -> Failures:
    """Return how errors are read.

    Raises:
        Misuse: One of the options is malformed, or an error type is both.

    """
    if on_error not in ("record", "doubt"):
        misuse(f"on_error={on_error!r} is not known", wrong=f"on_error={on_error!r}", right='on_error="doubt"')
    again, final = _types(retry_on, "retry_on"), _types(terminal, "terminal")
    for kind in again:
        if kind in final:
            misuse(
                f"{kind.__name__} cannot both free the key and be final",
                wrong=f"retry_on={kind.__name__}, terminal={kind.__name__}",
                right=f"terminal={kind.__name__}",
            )
    return Failures(again, final, on_error == "doubt")


def _types(types: Any, name: str) -> Types:
    given = types if isinstance(types, tuple) else (types,)
    for kind in given:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            misuse(
                f"{name} takes exception classes, not {kind!r}",
                wrong=f"{name}={types!r}",
                right=f"{name}=(ConnectionRefusedError,)",
            )
        if not issubclass(kind, Exception):
            misuse(
                f"{kind.__name__} stops the program wherever it happens to be, and says nothing of the effect",
                wrong=f"{name}=({kind.__name__},)",
                right=f"{name}=(ConnectionRefusedError,)",
            )
    return given


def positive(number: Any, name: str) -> int:
    """Return *number* if it is a whole one above zero.

    Raises:
        Misuse: It is not.

    """
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        misuse(f"{name} is a whole number above zero, not {number!r}", wrong=f"{name}={number!r}", right=f"{name}=1000")
    return number

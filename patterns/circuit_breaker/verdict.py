"""What an outcome says about the dependency: success, failure, or nothing."""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from patterns.circuit_breaker.machine import Judged
from patterns.circuit_breaker.rules import whole
from patterns.errors import Misuse, Refused, misuse

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FAILURE", "IGNORE", "SUCCESS", "Ending", "Errors", "Judge", "Opinion", "Verdict", "asked", "reported_error"]

_LONGEST_REASON = 200


@frozen
class Verdict:
    """What an outcome says; start from `SUCCESS`, `FAILURE` or `IGNORE`.

    Args:
        judged: One of the three.
        reason: Why, in words.
        weight: Counts as so many calls.
        retry_after: Seconds the dependency asked to be left alone; opens the circuit at once, for no less.

    """

    judged: Judged
    reason: str = ""
    weight: int = 1
    retry_after: float | None = None

    def because(self, reason: str, /, *, weight: int = 1, retry_after: float | None = None) -> Verdict:
        """Return the same verdict with a reason.

        Args:
            reason: In words; long ones are cut.
            weight: Counts as so many calls.
            retry_after: Seconds the dependency asked to be left alone; opens the circuit at once.

        Raises:
            Misuse: The weight is no positive whole number, *retry_after* is no number of seconds,
                or something that is not a failure is to open the circuit.

        """
        if retry_after is not None and not (self.judged is Judged.FAILURE and 0 <= retry_after < inf):
            misuse(
                "only a failure can open the circuit, and only for a number of seconds",
                wrong=f"{self.judged.name}.because({reason!r}, retry_after={retry_after!r})",
                right='FAILURE.because("too many requests", retry_after=30)',
            )
        reason = " ".join(str(reason)[:_LONGEST_REASON].split())
        return evolve(self, reason=reason, weight=whole(weight, name="weight"), retry_after=retry_after)


Errors = type[BaseException] | tuple[type[BaseException], ...]
Opinion = bool | str | Verdict | None

SUCCESS = Verdict(Judged.SUCCESS)
FAILURE = Verdict(Judged.FAILURE)
IGNORE = Verdict(Judged.IGNORE)


@frozen(eq=False)
class Ending:
    """How a call ended, as far as it matters.

    Args:
        verdict: What it says.
        slow: Whether it took too long.
        why: The cause of a failure in a few words, without anything the error says.
        failure: The whole of it; None if it was no failure.

    """

    verdict: Verdict
    slow: bool = False
    why: str = ""
    failure: str | None = None

    @classmethod
    def of(cls, verdict: Verdict, error: BaseException | None = None, *, slow: bool = False) -> Ending:
        """Describe it before any lock is held, since *error* describes itself with its own code."""
        if verdict.judged is not Judged.FAILURE:
            return cls(verdict, slow)
        why = verdict.reason or (type(error).__name__ if error is not None else "")
        return cls(verdict, slow, why, described(error) if error is not None else why)

    @property
    def of_probe(self) -> Judged:
        """What it says of a probe, which must not be slow either."""
        judged = self.verdict.judged
        return Judged.FAILURE if self.slow and judged is Judged.SUCCESS else judged

    @property
    def reason(self) -> str:
        """Why a probe failed, in words."""
        if self.verdict.judged is not Judged.FAILURE:
            return "a probe was slow"
        return f"a probe failed: {self.why}" if self.why else "a probe failed"


class Judge:
    """Makes verdicts of outcomes, as the breaker's options say.

    Args:
        failures: Types of errors that are failures, or a function of an error.
        ignore: Types of errors that say nothing.
        failed_results: A function of what was returned; None if returning is success.

    Raises:
        Misuse: They are not what they should be, or no error could ever be a failure.

    """

    __slots__ = ("_ignored", "_opinion", "_types", "failed_results")

    def __init__(
        self,
        *,
        failures: Errors | Callable[[Exception], Opinion],
        ignore: Errors,
        failed_results: Callable[[Any], Opinion] | None,
    ) -> None:
        asked = callable(failures) and not isinstance(failures, type)
        self._opinion: Any = failures if asked else None
        self._types = () if asked else _types(failures, name="failures")
        self._ignored = (*_types(ignore, name="ignore"), *_never_ran(self._types))
        if not asked and all(issubclass(kind, self._ignored) for kind in self._types):
            misuse(
                "every failure is ignored, so nothing would ever open the circuit",
                wrong=f"failures={failures!r}, ignore={ignore!r}",
                right="failures=Exception, ignore=ValueError",
            )
        if failed_results is not None and not callable(failed_results):
            misuse(
                f"failed_results is a function of a result, not {failed_results!r}",
                wrong=f"failed_results={failed_results!r}",
                right="failed_results=lambda result: result.is_error",
            )
        self.failed_results = failed_results

    def of_error(self, error: BaseException) -> Verdict:
        """Return what an error says; one that is not a failure says nothing."""
        if isinstance(error, self._ignored):
            return IGNORE
        if self._opinion is not None:
            return asked(self._opinion, error, IGNORE)
        return FAILURE if isinstance(error, self._types) else IGNORE


def _types(types: Any, *, name: str) -> tuple[type[BaseException], ...]:
    listed = types if isinstance(types, tuple) else (types,)
    for kind in listed:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            misuse(
                f"{name} are types of errors, not {kind!r}",
                wrong=f"{name}={kind!r}",
                right=f"{name}=(OSError, ValueError)",
            )
        if not issubclass(kind, Exception) and kind is not BaseException:
            misuse(
                f"{kind.__name__} cuts a call short, which says nothing about the dependency, so it is never judged",
                wrong=f"{name}={kind.__name__}",
                right=f"{name}=(OSError, TimeoutError)",
            )
    return listed


def _never_ran(failures: tuple[type[BaseException], ...]) -> tuple[type[BaseException], ...]:
    """Return what says that a call further in was not made; it says nothing unless the failures name it."""
    return tuple(kind for kind in (Refused, Misuse) if not any(issubclass(failure, kind) for failure in failures))


def asked(opinion: Callable[[Any], Opinion], outcome: Any, default: Verdict) -> Verdict:
    """Return the verdict of a user's function; *default* if it has nothing against *outcome*."""
    try:
        answer = opinion(outcome)
        if not answer:
            return default
        if isinstance(answer, Verdict):
            return answer
        return FAILURE.because(answer) if isinstance(answer, str) else FAILURE
    except Exception as error:
        import logging

        # What cannot be judged must not pass for a success.
        logging.getLogger("patterns").exception("the breaker cannot judge an outcome")
        return FAILURE.because(f"the outcome cannot be judged: {type(error).__name__}")


def described(error: BaseException) -> str:
    """Return type and text of *error*, cut to a line; the error itself would keep frames and arguments alive."""
    kind = type(error).__name__
    try:
        text = " ".join(str(error)[:_LONGEST_REASON].split())
    except Exception:  # noqa: BLE001 - a text is not worth a failing call
        return kind
    return f"{kind}: {text}" if text else kind


def reported_error(result: Any, /) -> str | None:
    """Say whether a tool's result reports a failure instead of raising it; made for ``failed_results=``.

    Args:
        result: An MCP result (``isError``), a message with ``status="error"``, a mapping with the same keys,
            or a text that begins with "error:".

    Returns:
        What was recognised, or None.

    """
    if isinstance(result, str):
        return "the text begins with 'error:'" if result[:32].lstrip().lower().startswith("error:") else None
    facts = result.get if isinstance(result, dict) else partial(getattr, result)
    if facts("isError", None) is True or facts("is_error", None) is True:
        return "the result is marked as an error"
    return "the status is 'error'" if facts("status", None) == "error" else None

"""Guards of two moments, which neither wait nor need the arguments, and several of them around one function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from patterns.kernel import telemetry
from patterns.kernel.drive import never_entered, refuse_awaitable
from patterns.kernel.outcome import Abandoned, Raised, Returned
from patterns.kernel.shapes import SHAPES
from patterns.kernel.stack import Guard
from patterns.kernel.target import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from patterns.kernel.call import Call, Proceed
    from patterns.kernel.stack import Stack
    from patterns.kernel.target import Target

__all__ = ["PLAIN", "Bracket", "async_brackets", "failed_all", "sync_brackets"]

PLAIN = frozenset({type(None), bool, int, float, str, bytes, list, tuple, dict, set})
"""Types known not to be awaitable; asking a type what it lacks is slow before Python 3.12."""


class Bracket(Guard):
    """A guard of two moments: it admits a call, and it is told once how the call ended.

    It never waits and never looks at arguments. `around` and the fast lane
    tell the same story; the laws are tested on both.
    """

    is_bracket = True

    def admit(self) -> Any:
        """Return a permit, or raise `Refused`."""
        raise NotImplementedError

    def returned(self, permit: Any, value: Any) -> None:
        """The call ran and returned."""
        raise NotImplementedError

    def raised(self, permit: Any, error: BaseException) -> None:
        """The call ran and raised an `Exception`."""
        raise NotImplementedError

    def abandoned(self, permit: Any, error: BaseException) -> None:
        """The call was cut short and may have run."""
        raise NotImplementedError

    def released(self, permit: Any) -> None:
        """The call did not run now: refused further in, or replayed."""
        raise NotImplementedError

    async def around(self, call: Call, proceed: Proceed) -> Any:
        """Do the same within a stack."""
        permit = self.admit()
        try:
            outcome = await call.attempt(proceed)
        except GeneratorExit as closed:
            self.abandoned(permit, closed)
            raise
        match outcome:
            case Returned(value):
                self.returned(permit, value)
            case Raised(error):
                self.raised(permit, error)
            case Abandoned(error):
                self.abandoned(permit, error)
            case _:
                self.released(permit)
        return outcome.unwrap()


def sync_brackets(stack: Stack, brackets: list[Bracket]) -> Callable[..., Any]:
    """Return the fast form of brackets around a ``def``."""
    traced, active = SHAPES[Kind.FUNCTION](stack), telemetry.active
    target, function = stack.target, stack.target.function

    def guarded(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if active():
            return traced(*args, **kwargs)
        permits = _admit_all(brackets)
        try:
            value = function(*args, **kwargs)
            kind = type(value)
            if kind not in PLAIN and hasattr(kind, "__await__"):
                refuse_awaitable(target, value)
        except BaseException as error:
            failed_all(stack.target, permits, error)
            raise
        for bracket, permit in reversed(permits):
            bracket.returned(permit, value)
        return value

    return guarded


def async_brackets(stack: Stack, brackets: list[Bracket]) -> Callable[..., Any]:
    """Return the fast form of brackets around an ``async def``."""
    traced, active, function = SHAPES[Kind.COROUTINE](stack), telemetry.active, stack.target.function

    async def guarded(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if active():
            return await traced(*args, **kwargs)
        permits = _admit_all(brackets)
        try:
            value = await function(*args, **kwargs)
        except BaseException as error:
            failed_all(stack.target, permits, error)
            raise
        for bracket, permit in reversed(permits):
            bracket.returned(permit, value)
        return value

    return guarded


def _admit_all(brackets: list[Bracket]) -> list[tuple[Bracket, Any]]:
    permits: list[tuple[Bracket, Any]] = []
    try:
        for bracket in brackets:
            permits.append((bracket, bracket.admit()))  # noqa: PERF401 - what was admitted so far must be known
    except BaseException:
        for bracket, permit in reversed(permits):
            bracket.released(permit)
        raise
    return permits


def failed_all(target: Target, permits: Sequence[tuple[Bracket, Any]], error: BaseException) -> None:
    """Tell all brackets, inside out, how a call that did not return ended."""
    entered = type(error) is not TypeError or not never_entered(target, error)
    for bracket, permit in reversed(permits):
        if not entered:
            bracket.released(permit)
        elif isinstance(error, Exception):
            bracket.raised(permit, error)
        else:
            bracket.abandoned(permit, error)

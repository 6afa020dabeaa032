"""The fast lane: guards that neither wait nor need the arguments run as plain brackets around the function."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol

from patterns.kernel import telemetry
from patterns.kernel.drive import never_entered, refuse_awaitable
from patterns.kernel.outcome import Abandoned, Raised, Returned
from patterns.kernel.shapes import SHAPES
from patterns.kernel.stack import Guard
from patterns.kernel.target import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from patterns.kernel.call import Call, Proceed
    from patterns.kernel.stack import Stack
    from patterns.kernel.target import Target

__all__ = ["Bracket", "Turnstile", "lane_for"]

_PLAIN = frozenset({type(None), bool, int, float, str, bytes, list, tuple, dict, set})
"""Types known not to be awaitable; asking a type what it lacks is slow before Python 3.12."""


_IS_FREE = attrgetter("free")


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


class Gate(Protocol):
    """What a turnstile shows to those who come.

    Attributes:
        free: Whether a call passes without asking; the gate itself is then its permit.
        edge: Monotonic second from which on a success must be reported.
        ticks: Advanced by each call that returned before.

    """

    free: bool
    edge: float

    @property
    def ticks(self) -> Iterator[int]:
        """See above."""
        ...


class Gated(Protocol):
    """Holds the gate of now; another one may take its place at any time."""

    @property
    def era(self) -> Gate:
        """The gate of now."""
        ...


class Turnstile(Bracket):
    """A bracket that mostly has nothing to say: calls pass a free gate unasked, and those that return tick it.

    Attributes:
        gated: Where the gate is found.
        now: Monotonic seconds; None if no gate has an edge.

    """

    gated: Gated
    now: Callable[[], float] | None


def lane_for(stack: Stack) -> Callable[..., Any] | None:
    """Return the fast form of *stack*, or None if one of its guards needs the whole machinery."""
    brackets = [guard for guard in stack.guards if isinstance(guard, Bracket)]
    if len(brackets) != len(stack.guards):
        return None
    kind, only = stack.target.kind, brackets[0]
    if kind is Kind.FUNCTION:
        if len(brackets) == 1 and isinstance(only, Turnstile):
            return _sync_gate(stack, only)
        return _sync_several(stack, brackets)
    if kind is Kind.COROUTINE:
        if len(brackets) == 1 and isinstance(only, Turnstile):
            return _async_gate(stack, only)
        return _async_several(stack, brackets)
    return None


def _sync_gate(stack: Stack, turnstile: Turnstile) -> Callable[..., Any]:
    traced, active = SHAPES[Kind.FUNCTION](stack), telemetry.active
    target, function = stack.target, stack.target.function
    gated, now = turnstile.gated, turnstile.now
    admit, returned, raised, abandoned = turnstile.admit, turnstile.returned, turnstile.raised, turnstile.abandoned

    def guarded(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if active():
            return traced(*args, **kwargs)
        permit = gated.era
        if not permit.free:
            permit = admit()
        try:
            value = function(*args, **kwargs)
            kind = type(value)
            if kind not in _PLAIN and hasattr(kind, "__await__"):
                refuse_awaitable(target, value)
        except Exception as error:
            if type(error) is TypeError and never_entered(target, error):
                turnstile.released(permit)
            else:
                raised(permit, error)
            raise
        except BaseException as error:
            abandoned(permit, error)
            raise
        if permit.free and (now is None or now() < permit.edge):
            next(permit.ticks)
        else:
            returned(permit, value)
        return value

    return guarded


def _async_gate(stack: Stack, turnstile: Turnstile) -> Callable[..., Any]:
    traced, active = SHAPES[Kind.COROUTINE](stack), telemetry.active
    target, function = stack.target, stack.target.function
    gated, now = turnstile.gated, turnstile.now
    admit, returned, raised, abandoned = turnstile.admit, turnstile.returned, turnstile.raised, turnstile.abandoned

    async def guarded(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if active():
            return await traced(*args, **kwargs)
        permit = gated.era
        if not permit.free:
            permit = admit()
        try:
            value = await function(*args, **kwargs)
        except Exception as error:
            if type(error) is TypeError and never_entered(target, error):
                turnstile.released(permit)
            else:
                raised(permit, error)
            raise
        except BaseException as error:
            abandoned(permit, error)
            raise
        if permit.free and (now is None or now() < permit.edge):
            next(permit.ticks)
        else:
            returned(permit, value)
        return value

    return guarded


def _sync_several(stack: Stack, brackets: list[Bracket]) -> Callable[..., Any]:
    asking = _sync_many(stack, brackets)
    turnstiles = _turnstiles(brackets)
    if turnstiles is None:
        return asking
    active, tell, gated = telemetry.active, _teller(turnstiles), [one.gated for one in turnstiles]
    target, function = stack.target, stack.target.function

    def guarded(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        gates = [one.era for one in gated]
        if active() or not all(map(_IS_FREE, gates)):
            return asking(*args, **kwargs)
        try:
            value = function(*args, **kwargs)
            kind = type(value)
            if kind not in _PLAIN and hasattr(kind, "__await__"):
                refuse_awaitable(target, value)
        except BaseException as error:
            _failed_all(stack.target, list(zip(turnstiles, gates, strict=True)), error)
            raise
        tell(gates, value)
        return value

    return guarded


def _async_several(stack: Stack, brackets: list[Bracket]) -> Callable[..., Any]:
    asking = _async_many(stack, brackets)
    turnstiles = _turnstiles(brackets)
    if turnstiles is None:
        return asking
    active, tell, gated = telemetry.active, _teller(turnstiles), [one.gated for one in turnstiles]
    function = stack.target.function

    async def guarded(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        gates = [one.era for one in gated]
        if active() or not all(map(_IS_FREE, gates)):
            return await asking(*args, **kwargs)
        try:
            value = await function(*args, **kwargs)
        except BaseException as error:
            _failed_all(stack.target, list(zip(turnstiles, gates, strict=True)), error)
            raise
        tell(gates, value)
        return value

    return guarded


def _turnstiles(brackets: list[Bracket]) -> list[Turnstile] | None:
    found = [one for one in brackets if isinstance(one, Turnstile)]
    return found if len(found) == len(brackets) else None


def _teller(turnstiles: list[Turnstile]) -> Callable[[list[Gate], Any], None]:
    """Return what tells all gates, inside out, that a call returned."""
    if all(one.now is None for one in turnstiles):

        def tick(gates: list[Gate], _: Any) -> None:
            for gate in gates[::-1]:
                next(gate.ticks)

        return tick

    def tell(gates: list[Gate], value: Any) -> None:
        for turnstile, gate in zip(turnstiles[::-1], gates[::-1], strict=True):
            now = turnstile.now
            if now is None or now() < gate.edge:
                next(gate.ticks)
            else:
                turnstile.returned(gate, value)

    return tell


def _sync_many(stack: Stack, brackets: list[Bracket]) -> Callable[..., Any]:
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
            if kind not in _PLAIN and hasattr(kind, "__await__"):
                refuse_awaitable(target, value)
        except BaseException as error:
            _failed_all(stack.target, permits, error)
            raise
        for bracket, permit in reversed(permits):
            bracket.returned(permit, value)
        return value

    return guarded


def _async_many(stack: Stack, brackets: list[Bracket]) -> Callable[..., Any]:
    traced, active, function = SHAPES[Kind.COROUTINE](stack), telemetry.active, stack.target.function

    async def guarded(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if active():
            return await traced(*args, **kwargs)
        permits = _admit_all(brackets)
        try:
            value = await function(*args, **kwargs)
        except BaseException as error:
            _failed_all(stack.target, permits, error)
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


def _failed_all(target: Target, permits: Sequence[tuple[Bracket, Any]], error: BaseException) -> None:
    entered = type(error) is not TypeError or not never_entered(target, error)
    for bracket, permit in reversed(permits):
        if not entered:
            bracket.released(permit)
        elif isinstance(error, Exception):
            bracket.raised(permit, error)
        else:
            bracket.abandoned(permit, error)

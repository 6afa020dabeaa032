"""Brackets that mostly have nothing to say: calls pass an open gate without asking."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol

from patterns.kernel import telemetry
from patterns.kernel.bracket import PLAIN, Bracket, failed_all
from patterns.kernel.drive import never_entered, refuse_awaitable
from patterns.kernel.shapes import SHAPES
from patterns.kernel.target import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from patterns.kernel.stack import Stack

__all__ = ["Turnstile", "async_turnstile", "async_turnstiles", "sync_turnstile", "sync_turnstiles"]

_IS_FREE = attrgetter("free")


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


def sync_turnstile(stack: Stack, turnstile: Turnstile) -> Callable[..., Any]:
    """Return the fast form of one turnstile around a ``def``."""
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
            if kind not in PLAIN and hasattr(kind, "__await__"):
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


def async_turnstile(stack: Stack, turnstile: Turnstile) -> Callable[..., Any]:
    """Return the fast form of one turnstile around an ``async def``."""
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


def sync_turnstiles(stack: Stack, turnstiles: list[Turnstile], asking: Callable[..., Any]) -> Callable[..., Any]:
    """Return the fast form of several turnstiles around a ``def``; *asking* is used unless all gates are open."""
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
            if kind not in PLAIN and hasattr(kind, "__await__"):
                refuse_awaitable(target, value)
        except BaseException as error:
            failed_all(stack.target, list(zip(turnstiles, gates, strict=True)), error)
            raise
        tell(gates, value)
        return value

    return guarded


def async_turnstiles(stack: Stack, turnstiles: list[Turnstile], asking: Callable[..., Any]) -> Callable[..., Any]:
    """Return the fast form of several turnstiles around an ``async def``; *asking* is used unless all are open."""
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
            failed_all(stack.target, list(zip(turnstiles, gates, strict=True)), error)
            raise
        tell(gates, value)
        return value

    return guarded


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

"""Turnstiles for which it matters how long a call takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from patterns.kernel import telemetry
from patterns.kernel.bracket import PLAIN, Bracket
from patterns.kernel.drive import never_entered, refuse_awaitable
from patterns.kernel.shapes import SHAPES
from patterns.kernel.target import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.kernel.stack import Stack
    from patterns.kernel.turnstile import Gated

__all__ = ["TimedTurnstile", "async_timed", "sync_timed"]


class TimedTurnstile(Bracket):
    """A turnstile that must be told of calls that took long; its permits are paired with the time of admission.

    Attributes:
        gated: Where the gate is found.
        now: Monotonic seconds.
        patience: A call that returns within so many seconds ticks the gate; a slower one is reported.

    """

    gated: Gated
    now: Callable[[], float]
    patience: float


def sync_timed(stack: Stack, turnstile: TimedTurnstile) -> Callable[..., Any]:
    """Return the fast form of a timed turnstile around a ``def``."""
    traced, active = SHAPES[Kind.FUNCTION](stack), telemetry.active
    target, function = stack.target, stack.target.function
    gated, now, patience = turnstile.gated, turnstile.now, turnstile.patience
    admit, returned, raised, abandoned = turnstile.admit, turnstile.returned, turnstile.raised, turnstile.abandoned

    def guarded(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if active():
            return traced(*args, **kwargs)
        permit = gated.era
        if permit.free:
            started = now()
        else:
            permit, started = admit()
        try:
            value = function(*args, **kwargs)
            kind = type(value)
            if kind not in PLAIN and hasattr(kind, "__await__"):
                refuse_awaitable(target, value)
        except Exception as error:
            if type(error) is TypeError and never_entered(target, error):
                turnstile.released((permit, started))
            else:
                raised((permit, started), error)
            raise
        except BaseException as error:
            abandoned((permit, started), error)
            raise
        ended = now()
        if permit.free and ended < permit.edge and ended - started <= patience:
            next(permit.ticks)
        else:
            returned((permit, started), value)
        return value

    return guarded


def async_timed(stack: Stack, turnstile: TimedTurnstile) -> Callable[..., Any]:
    """Return the fast form of a timed turnstile around an ``async def``."""
    traced, active = SHAPES[Kind.COROUTINE](stack), telemetry.active
    target, function = stack.target, stack.target.function
    gated, now, patience = turnstile.gated, turnstile.now, turnstile.patience
    admit, returned, raised, abandoned = turnstile.admit, turnstile.returned, turnstile.raised, turnstile.abandoned

    async def guarded(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if active():
            return await traced(*args, **kwargs)
        permit = gated.era
        if permit.free:
            started = now()
        else:
            permit, started = admit()
        try:
            value = await function(*args, **kwargs)
        except Exception as error:
            if type(error) is TypeError and never_entered(target, error):
                turnstile.released((permit, started))
            else:
                raised((permit, started), error)
            raise
        except BaseException as error:
            abandoned((permit, started), error)
            raise
        ended = now()
        if permit.free and ended < permit.edge and ended - started <= patience:
            next(permit.ticks)
        else:
            returned((permit, started), value)
        return value

    return guarded

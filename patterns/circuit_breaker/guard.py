"""Puts a breaker around calls; in the fast lane a success costs a look at the clock and a tick."""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from patterns.circuit_breaker.era import Era
from patterns.circuit_breaker.events import CallRefused
from patterns.circuit_breaker.machine import State
from patterns.circuit_breaker.rules import LastSeconds
from patterns.circuit_breaker.verdict import IGNORE, SUCCESS, Ending, asked
from patterns.errors import CircuitOpen
from patterns.kernel.guard import Bracket, Turnstile
from patterns.kernel.outcome import Abandoned, Raised, Returned
from patterns.kernel.target import Kind
from patterns.kernel.timed import TimedTurnstile

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.circuit_breaker.engine import Engine
    from patterns.circuit_breaker.verdict import Judge
    from patterns.kernel.call import Call, Proceed
    from patterns.kernel.outcome import Outcome
    from patterns.kernel.target import Target

__all__ = ["CarefulGuard", "ProtectGuard", "QuickGuard", "SlowGuard", "guard_for"]

_SUCCEEDED = Ending(SUCCESS)
_NOTHING = Ending(IGNORE)


class ProtectGuard(Bracket):
    """The breaker around calls.

    Args:
        engine: The circuit.
        judge: What an outcome says.
        call: Name of the function or step.

    """

    name = "breaker.protect"

    def __init__(self, engine: Engine, judge: Judge, call: str | None = None) -> None:
        self.engine = engine
        self.judge = judge
        self.call = call

    def bind(self, target: Target) -> ProtectGuard:
        """Return the guard that knows the name of *target*."""
        return guard_for(self.engine, self.judge, target)

    def admit(self) -> Any:
        """Return a permit, or raise `CircuitOpen`."""
        return self.engine.admit(self.call)

    def returned(self, permit: Any, value: Any) -> None:
        """Count a success."""
        del value
        if permit.__class__ is Era and self.engine.now() < permit.edge:
            next(permit.ticks)
        else:
            self.engine.settle(permit, _SUCCEEDED)

    def raised(self, permit: Any, error: BaseException) -> None:
        """Count what the judge says."""
        self.engine.settle(permit, Ending.of(self.judge.of_error(error), error))

    def abandoned(self, permit: Any, error: BaseException) -> None:
        """Give a probe's place back; nobody knows what would have come of it."""
        del error
        self.released(permit)

    def released(self, permit: Any) -> None:
        """Give a probe's place back; the dependency was not called."""
        self.engine.settle(permit, _NOTHING)

    async def around(self, call: Call, proceed: Proceed) -> Any:
        """Do the same within a stack, and say so on the call and its span."""
        before = self.engine.era
        permit = self._admitted(call)
        admitted = self._tell_change(call, before)
        call.note(breaker__name=self.engine.name, breaker__state=admitted.circuit.state.value)
        try:
            outcome = await call.attempt(proceed)
        except GeneratorExit as closed:
            self.abandoned(permit, closed)
            raise
        self._ended(permit, outcome)
        after = self._tell_change(call, admitted)
        if after is not admitted:
            call.note(breaker__moved_to=after.circuit.state.value)
        return outcome.unwrap()

    def _admitted(self, call: Call) -> Any:
        try:
            return self.admit()
        except CircuitOpen as refusal:
            state, wait = State(refusal.state), refusal.retry_after
            source, at = self.engine.name, self.engine.wall()
            call.events.append(CallRefused(source=source, at=at, call=call.name, state=state, retry_after=wait))
            call.note(breaker__name=source, breaker__state=state.value)
            if wait is not None:
                call.note(breaker__retry_after=wait)
            raise

    def _tell_change(self, call: Call, before: Era) -> Era:
        """Put a change of state since *before* among the call's events; return the era of now."""
        now = self.engine.era
        if now is not before and now.began is not None:
            call.events.append(now.began)
        return now

    def _ended(self, permit: Any, outcome: Outcome) -> None:
        match outcome:
            case Returned(value):
                self.returned(permit, value)
            case Raised(error):
                self.raised(permit, error)
            case Abandoned(error):
                self.abandoned(permit, error)
            case _:
                self.released(permit)


class QuickGuard(ProtectGuard, Turnstile):
    """Where neither results nor durations matter: while the circuit is closed a success is a tick of its era."""

    def __init__(self, engine: Engine, judge: Judge, call: str) -> None:
        super().__init__(engine, judge, call)
        self.admit = partial(engine.admit, call)  # type: ignore[method-assign]  # a refusal in one frame less
        self.gated = engine
        timed = any(isinstance(window, LastSeconds) for window in engine.policy.windows)
        self.now = engine.now if timed else None


class CarefulGuard(ProtectGuard):
    """Where results are judged or slow calls count; the permit is paired with the time of admission."""

    now: Callable[[], float]

    def __init__(self, engine: Engine, judge: Judge, call: str, *, is_block: bool) -> None:
        super().__init__(engine, judge, call)
        self.now = engine.now
        self.over = inf if engine.policy.slow_over is None else engine.policy.slow_over
        self.failed = judge.failed_results
        self.is_block = is_block

    def admit(self) -> Any:
        """Return a permit and the time, or raise `CircuitOpen`."""
        era = self.engine.era
        return (era if era.free else self.engine.admit(self.call)), self.now()

    def returned(self, permit: Any, value: Any) -> None:
        """Count what the judge says, and whether it took too long."""
        admitted, started = permit
        verdict, failed = SUCCESS, self.failed
        # A block that was given no result has nothing to judge.
        if failed is not None and not (value is None and self.is_block):
            verdict = asked(failed, value, SUCCESS)
        now = self.now()
        slow = now - started > self.over
        if verdict is SUCCESS and not slow and admitted.__class__ is Era and now < admitted.edge:
            next(admitted.ticks)
        else:
            self.engine.settle(admitted, Ending.of(verdict, slow=slow))

    def raised(self, permit: Any, error: BaseException) -> None:
        """Count what the judge says, and whether it took too long."""
        admitted, started = permit
        slow = self.now() - started > self.over
        self.engine.settle(admitted, Ending.of(self.judge.of_error(error), error, slow=slow))

    def released(self, permit: Any) -> None:
        """Give a probe's place back."""
        self.engine.settle(permit[0], _NOTHING)


class SlowGuard(CarefulGuard, TimedTurnstile):
    """Where slow calls count and results are not judged: a quick success is a tick of its era."""

    def __init__(self, engine: Engine, judge: Judge, call: str, *, is_block: bool) -> None:
        super().__init__(engine, judge, call, is_block=is_block)
        self.gated = engine
        self.patience = self.over


_UNJUDGED = frozenset({Kind.GENERATOR, Kind.ASYNC_GENERATOR})
"""Their time is mostly the consumer's, and what they return is not what they are asked for."""


def guard_for(engine: Engine, judge: Judge, target: Target) -> ProtectGuard:
    """Return the guard that sees all the breaker must see of *target*, and no more."""
    if target.kind not in _UNJUDGED:
        if judge.failed_results is not None:
            return CarefulGuard(engine, judge, target.name, is_block=target.is_block)
        if engine.policy.slow_over is not None:
            return SlowGuard(engine, judge, target.name, is_block=target.is_block)
    return QuickGuard(engine, judge, target.name)

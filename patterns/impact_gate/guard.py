"""The guard around one call: measure, decide, ask, run, compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from patterns.errors import ActionBlocked, Misuse, Refused, misuse
from patterns.impact_gate.diff import summarise
from patterns.impact_gate.effect import disagreements
from patterns.impact_gate.events import Assessed, ImpactSurprise, ReviewPassed
from patterns.impact_gate.machine import Decision
from patterns.impact_gate.measure import Measure
from patterns.impact_gate.review import reviewed
from patterns.kernel.guard import Guard
from patterns.kernel.rehearsal import rehearsed_action
from patterns.kernel.target import Kind

if TYPE_CHECKING:
    from patterns.impact_gate.assessment import Assessment
    from patterns.impact_gate.effect import Effect
    from patterns.impact_gate.options import Plan, Settings
    from patterns.impact_gate.world import Unmeasurable
    from patterns.kernel.call import Call, Proceed
    from patterns.kernel.events import Event
    from patterns.kernel.target import Target

__all__ = ["CheckGuard"]

_GENERATORS = frozenset({Kind.GENERATOR, Kind.ASYNC_GENERATOR})


class CheckGuard(Guard):
    """Lets a call through, has it reviewed, or refuses it.

    Args:
        settings: The gate's.
        plan: The function's.

    """

    name = "gate.check"

    def __init__(self, settings: Settings, plan: Plan) -> None:
        self.settings = settings
        self.plan = plan

    def bind(self, target: Target) -> BoundGuard:
        """Return the guard for *target*.

        Raises:
            Misuse: It cannot be tried, or an option does not fit.

        """
        _refuse_untriable(target, self.settings, self.plan)
        return BoundGuard(self.settings, self.plan, target)


class BoundGuard(CheckGuard):
    """The guard of one function.

    Args:
        settings: The gate's.
        plan: The function's.
        target: The function.

    """

    def __init__(self, settings: Settings, plan: Plan, target: Target) -> None:
        super().__init__(settings, plan)
        self.measure = Measure(settings, plan, target)

    async def around(self, call: Call, proceed: Proceed) -> Any:
        """Measure, decide, ask, run, compare."""
        outer = rehearsed_action()
        if outer is not None:
            text = f"{call.name} is guarded by itself, so it cannot take part in the rehearsal of {outer}"
            raise ActionBlocked(text, call=call.name, assessment=None)
        if self.measure.tries:
            return await self._in_turns(call, proceed)
        assessment, _ = await self.measure.assessed(call)
        self._report(call, assessment)
        if assessment.decision is not Decision.PROCEED:
            await self._review(call, assessment)
            self._passed(call, assessment)
        return await proceed()

    async def _in_turns(self, call: Call, proceed: Proceed) -> Any:
        async with self.settings.turns.taken(call) as late:
            assessment, effect = await self.measure.assessed(call, late)
            self._report(call, assessment)
            if assessment.decision is Decision.PROCEED and self._stays(call):
                return await self._run(call, proceed, effect)
        if assessment.decision is Decision.PROCEED:
            return await self._run(call, proceed, effect)
        await self._review(call, assessment)
        async with self.settings.turns.taken(call) as late:
            await self._still_the_same(call, assessment, late)
            self._passed(call, assessment)
            if self._stays(call):
                return await self._run(call, proceed, effect)
        return await self._run(call, proceed, effect)

    def _stays(self, call: Call) -> bool:
        """Whether the call keeps its turn while it runs: it acts in the world alone, and is not a consumer's affair."""
        return not self.measure.simulates and not call.target.one_shot

    def _report(self, call: Call, assessment: Assessment) -> None:
        self._tell(call, Assessed(source=self.settings.name, at=self.settings.clock.wall(), assessment=assessment))
        if call.trace is not None:
            call.note(gate__decision=str(assessment.decision), gate__impact=assessment.impact)
            call.note(gate__level=str(assessment.level), gate__scope=str(assessment.scope))

    def _passed(self, call: Call, assessment: Assessment) -> None:
        event = ReviewPassed(source=self.settings.name, at=self.settings.clock.wall(), assessment=assessment)
        self._tell(call, event)

    def _tell(self, call: Call, event: Event) -> None:
        call.events.append(event)
        self.settings.listeners.publish(event)

    async def _review(self, call: Call, assessment: Assessment) -> None:
        if assessment.decision is Decision.BLOCK:
            raise _blocked(call, assessment, "it is blocked")
        if self.settings.reviewer is None:
            raise _blocked(call, assessment, "it needs a review, and there is no reviewer= that could give one")
        try:
            await reviewed(self.settings.reviewer, call, assessment)
        except (Refused, Misuse):
            raise
        except Exception as error:
            raise _blocked(call, assessment, f"its review failed with {error!r}") from error

    async def _still_the_same(self, call: Call, reviewed: Assessment, late: Unmeasurable | None) -> None:
        """Measure again: what was reviewed must be what runs, however long the review took."""
        if reviewed.effect is None:
            return
        again, _ = await self.measure.assessed(call, late)
        if again.effect != reviewed.effect:
            raise _blocked(
                call, again, "it no longer does what was reviewed; if only time stamps differ, name them in volatile="
            )

    async def _run(self, call: Call, proceed: Proceed, effect: Effect | None) -> Any:
        observe = self.settings.observe
        if effect is None or observe is None or call.target.one_shot:
            return await proceed()
        with observe(effect) as observed:
            outcome = await call.attempt(proceed)
        self._compare(call, effect, observed.effect())
        return outcome.unwrap()

    def _compare(self, call: Call, expected: Effect, actual: Effect | None) -> None:
        world = self.settings.world
        if world is None or actual is None:
            return
        where = disagreements(expected, actual, world.lens)
        if where:
            self._tell(
                call,
                ImpactSurprise(
                    source=self.settings.name,
                    at=self.settings.clock.wall(),
                    action=call.name,
                    where=where,
                    expected=summarise(expected, world.lens),
                    actual=summarise(actual, world.lens),
                ),
            )


def _refuse_untriable(target: Target, settings: Settings, plan: Plan) -> None:
    if settings.world is None:
        if plan.undo is not None:
            misuse(
                "an undo is tried in a world", wrong="ImpactGate(model=...)", right="ImpactGate(world=SqlWorld(...))"
            )
        return
    if target.kind in _GENERATORS and plan.simulate is None:
        misuse(
            f"{target.name} is a {target.kind.value}: how far it runs is up to its consumer, so it cannot be tried",
            wrong="@gate.check",
            right="@gate.check(simulate=function_that_does_all_of_it)",
        )
    if target.asynchronous and settings.world.sync_only:
        misuse(
            f"{target.name} is async, and during its rehearsal other tasks would get into the same connection",
            wrong="SqlWorld(connection)",
            right='SqlWorld("shop.db")',
        )


def _blocked(call: Call, assessment: Assessment, what: str) -> ActionBlocked:
    error = ActionBlocked(f"{call.name} did not run: {what} ({assessment})", call=call.name, assessment=assessment)
    error.__cause__ = assessment.cause
    return error

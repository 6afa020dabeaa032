"""The guard around one call: measure, decide, ask, run, compare."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from patterns.errors import ActionBlocked, Misuse, Refused, misuse
from patterns.impact_gate.assessment import Assessment
from patterns.impact_gate.diff import summarise
from patterns.impact_gate.effect import NO_EFFECT, between, digest, disagreements
from patterns.impact_gate.events import Assessed, ImpactSurprise, ReviewPassed
from patterns.impact_gate.machine import Decision, Estimate, Level, decide, scope_of, weigh, with_undo
from patterns.impact_gate.model import Action, estimated
from patterns.impact_gate.rehearsal import Rehearsal, own_copy, rehearse, rehearsed_action, spread
from patterns.impact_gate.review import reviewed
from patterns.kernel.guard import Guard
from patterns.kernel.settle import hook_result
from patterns.kernel.target import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from patterns.impact_gate.diff import Diff
    from patterns.impact_gate.effect import Effect
    from patterns.impact_gate.options import Baseline, Plan, Settings
    from patterns.impact_gate.world import Unmeasurable
    from patterns.kernel.binding import Selector
    from patterns.kernel.call import Call, Proceed
    from patterns.kernel.events import Event
    from patterns.kernel.target import Target

__all__ = ["CheckGuard"]

_GENERATORS = frozenset({Kind.GENERATOR, Kind.ASYNC_GENERATOR})


@frozen
class _Tried:
    """What an action does, as far as it was tried: nothing of it is known where there is no world."""

    diff: Diff | None = None
    effect: Effect | None = None
    simulated: Any = None
    residual: float | None = None
    notes: tuple[str, ...] = ()


_NOT_TRIED = _Tried()
_NO_IMPACT = Estimate(0.0)


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
        self._simulate: Callable[[Mapping[str, Any]], Any] | None = None
        self._undo: Callable[[Mapping[str, Any]], Any] | None = None

    def bind(self, target: Target) -> CheckGuard:
        """Return the guard for *target*.

        Raises:
            Misuse: It cannot be tried, or an option does not fit.

        """
        _refuse_untriable(target, self.settings, self.plan)
        bound = CheckGuard(self.settings, self.plan)
        bound._simulate = _selected(target, self.plan.simulate, "simulate")
        bound._undo = _selected(target, self.plan.undo, "undo")
        return bound

    @property
    def _baseline(self) -> Baseline:
        return self.plan.baseline or self.settings.baseline

    async def around(self, call: Call, proceed: Proceed) -> Any:
        """Measure, decide, ask, run, compare."""
        outer = rehearsed_action()
        if outer is not None:
            text = f"{call.name} is guarded by itself, so it cannot take part in the rehearsal of {outer}"
            raise ActionBlocked(text, call=call.name, assessment=None)
        async with self.settings.turns.taken(call) as late:
            assessment, effect = await self.assessed(call, late)
            self._report(call, assessment)
            if assessment.decision is Decision.PROCEED and self._stays(call):
                return await self._run(call, proceed, effect)
        if assessment.decision is Decision.PROCEED:
            return await self._run(call, proceed, effect)
        await self._review(call, assessment)
        async with self.settings.turns.taken(call) as late:
            await self._still_the_same(call, assessment, late)
            event = ReviewPassed(source=self.settings.name, at=self.settings.clock.wall(), assessment=assessment)
            self._tell(call, event)
            if self._stays(call):
                return await self._run(call, proceed, effect)
        return await self._run(call, proceed, effect)

    def _stays(self, call: Call) -> bool:
        """Whether the call keeps its turn while it runs: it acts in the world alone, and is not a consumer's affair."""
        return self._simulate is None and not call.target.one_shot

    def _report(self, call: Call, assessment: Assessment) -> None:
        self._tell(call, Assessed(source=self.settings.name, at=self.settings.clock.wall(), assessment=assessment))
        if call.trace is not None:
            call.note(gate__decision=str(assessment.decision), gate__impact=assessment.impact)
            call.note(gate__level=str(assessment.level), gate__scope=str(assessment.scope))

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
        again, _ = await self.assessed(call, late)
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

    # Measuring

    async def assessed(self, call: Call, late: Unmeasurable | None = None) -> tuple[Assessment, Effect | None]:
        """Return what is found out about *call*, and its whole effect if it was tried.

        Args:
            call: Which call.
            late: Why it cannot be tried at all.

        """
        arguments = call.arguments
        if late is not None:
            return self._unknown(call, late), None
        try:
            return await self._measured(call, arguments)
        except Misuse:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the gate does not know the impact
            return self._unknown(call, error), None

    def _unknown(self, call: Call, error: Exception) -> Assessment:
        text = str(error) or repr(error)
        return Assessment(
            action=call.name,
            proposed=1.0,
            impact=1.0,
            level=Level.CRITICAL,
            decision=Decision(self.settings.on_error),
            error=text,
            cause=error,
        )

    async def _measured(self, call: Call, arguments: Mapping[str, Any]) -> tuple[Assessment, Effect | None]:
        tried = await self._try(call, arguments, original=True)
        action = _action(call, call.name, arguments, tried)
        proposed = await self._asked(call, action)
        instead, divergence, diff = await self._against_baseline(call, action, proposed, tried)
        estimate = with_undo(weigh(proposed, instead, divergence), tried.residual)
        scope = scope_of(diff)
        verdict = decide(estimate, self.settings.thresholds, scope)
        world = self.settings.world
        assessment = Assessment(
            action=call.name,
            proposed=proposed.impact,
            counterfactual=instead.impact,
            divergence=None if divergence is None else divergence.impact,
            impact=verdict.impact,
            uncertainty=verdict.highest - verdict.impact,
            level=verdict.level,
            decision=verdict.decision,
            scope=scope,
            baseline=self._baseline if isinstance(self._baseline, str) else _name(self._baseline),
            diff=diff,
            residual=tried.residual,
            effect=None if tried.effect is None or world is None else digest(tried.effect, world.lens),
            reasons=verdict.reasons + tried.notes,
        )
        return assessment, tried.effect

    async def _asked(self, call: Call, action: Action) -> Estimate:
        return estimated(await hook_result(self.settings.model(action), call, "model"))

    async def _against_baseline(
        self, call: Call, action: Action, proposed: Estimate, tried: _Tried
    ) -> tuple[Estimate, Estimate | None, Diff | None]:
        """Return the impact of the baseline, the divergence from it, and the diff of the two worlds."""
        if isinstance(self._baseline, str):
            return _NO_IMPACT, None if tried.diff is None else proposed, tried.diff
        wanted = self._baseline(evolve(action, diff=None, simulated=None))
        other = await self._try(call, wanted.arguments, original=False)
        instead = await self._asked(call, _action(call, wanted.name, wanted.arguments, other))
        world = self.settings.world
        if world is None or tried.effect is None:
            return instead, None, None
        diff = summarise(between(other.effect or NO_EFFECT, tried.effect), world.lens)
        return instead, await self._asked(call, evolve(action, diff=diff)), diff

    async def _try(self, call: Call, arguments: Mapping[str, Any], *, original: bool) -> _Tried:
        world, simulate = self.settings.world, self._simulate
        if world is None or (simulate is None and call.target.is_block):
            if simulate is None:
                return _NOT_TRIED
            return _Tried(simulated=await hook_result(simulate(own_copy(arguments)), call, "simulate"))
        undo = None if self._undo is None or not original else partial(self._undo, own_copy(arguments))
        act = self._act(call, None if original else arguments)
        found: Rehearsal = await rehearse(call, world, act, undo=undo, expected=self.plan.expected)
        return _Tried(
            diff=summarise(found.effect, world.lens),
            effect=found.effect,
            simulated=None if simulate is None else found.returned,
            residual=found.residual,
            notes=found.notes,
        )

    def _act(self, call: Call, others: Mapping[str, Any] | None) -> Callable[[], Any]:
        """Return the call itself, or the call with *others* as arguments, on arguments of its own."""
        if self._simulate is not None:
            return partial(self._simulate, own_copy(call.arguments if others is None else others))
        if others is not None:
            args, kwargs = spread(call.target.function, call.arguments, own_copy(others))
            return partial(call.target.function, *args, **kwargs)
        own_copy(call.arguments)  # names the argument that cannot be copied
        positional = own_copy({str(place): value for place, value in enumerate(call.args)})
        return partial(call.target.function, *positional.values(), **own_copy(call.kwargs))


def _action(call: Call, name: str, arguments: Mapping[str, Any], tried: _Tried) -> Action:
    return Action(name=name, arguments=arguments, run=call.run, diff=tried.diff, simulated=tried.simulated)


def _selected(
    target: Target, function: Callable[..., Any] | None, option: str
) -> Callable[[Mapping[str, Any]], Any] | None:
    if function is None:
        return None
    if target.is_block:
        return lambda facts: function(**facts)
    selector: Selector = target.binder.selector(function, option=option)
    return selector


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


def _name(function: object) -> str:
    return getattr(function, "__name__", type(function).__name__)

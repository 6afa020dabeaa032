"""Finds out about one call: tries it, asks the model, compares with the baseline, decides."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from patterns.errors import Misuse
from patterns.impact_gate.assessment import Assessment
from patterns.impact_gate.diff import summarise
from patterns.impact_gate.effect import NO_EFFECT, between, digest
from patterns.impact_gate.machine import Decision, Estimate, Level, decide, scope_of, weigh, with_undo
from patterns.impact_gate.model import Action, estimated
from patterns.impact_gate.rehearsal import Rehearsal, own_copy, rehearse, spread
from patterns.kernel.settle import hook_result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from patterns.impact_gate.diff import Diff
    from patterns.impact_gate.effect import Effect
    from patterns.impact_gate.options import Baseline, Plan, Settings
    from patterns.kernel.binding import Selector
    from patterns.kernel.call import Call
    from patterns.kernel.target import Target

__all__ = ["Measure"]


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


class Measure:
    """Finds out about the calls of one function.

    Args:
        settings: The gate's.
        plan: The function's.
        target: The function.

    Attributes:
        simulates: Whether something stands in for the function when it is tried.
        tries: Whether calls are tried in the world.

    """

    def __init__(self, settings: Settings, plan: Plan, target: Target) -> None:
        self._settings = settings
        self._plan = plan
        self._baseline: Baseline = plan.baseline or settings.baseline
        self._simulate = _selected(target, plan.simulate, "simulate")
        self._undo = _selected(target, plan.undo, "undo")
        self.simulates = self._simulate is not None
        self.tries = settings.world is not None and (self.simulates or not target.is_block)

    async def assessed(self, call: Call, late: Exception | None = None) -> tuple[Assessment, Effect | None]:
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
        return Assessment(
            action=call.name,
            proposed=1.0,
            impact=1.0,
            level=Level.CRITICAL,
            decision=Decision(self._settings.on_error),
            error=str(error) or repr(error),
            cause=error,
        )

    async def _measured(self, call: Call, arguments: Mapping[str, Any]) -> tuple[Assessment, Effect | None]:
        tried = await self._try(call, arguments, original=True)
        action = _action(call, call.name, arguments, tried)
        proposed = await self._asked(call, action)
        instead, divergence, diff = await self._against_baseline(call, action, proposed, tried)
        estimate = with_undo(weigh(proposed, instead, divergence), tried.residual)
        scope = scope_of(diff)
        verdict = decide(estimate, self._settings.thresholds, scope)
        world = self._settings.world
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
        return estimated(await hook_result(self._settings.model(action), call, "model"))

    async def _against_baseline(
        self, call: Call, action: Action, proposed: Estimate, tried: _Tried
    ) -> tuple[Estimate, Estimate | None, Diff | None]:
        """Return the impact of the baseline, the divergence from it, and the diff of the two worlds."""
        if isinstance(self._baseline, str):
            return _NO_IMPACT, None if tried.diff is None else proposed, tried.diff
        wanted = self._baseline(evolve(action, diff=None, simulated=None))
        other = await self._try(call, wanted.arguments, original=False)
        instead = await self._asked(call, _action(call, wanted.name, wanted.arguments, other))
        world = self._settings.world
        if world is None or tried.effect is None:
            return instead, None, None
        diff = summarise(between(other.effect or NO_EFFECT, tried.effect), world.lens)
        return instead, await self._asked(call, evolve(action, diff=diff)), diff

    async def _try(self, call: Call, arguments: Mapping[str, Any], *, original: bool) -> _Tried:
        world, simulate = self._settings.world, self._simulate
        if world is None or (simulate is None and call.target.is_block):
            if simulate is None:
                return _NOT_TRIED
            return _Tried(simulated=await hook_result(simulate(own_copy(arguments)), call, "simulate"))
        undo = None if self._undo is None or not original else partial(self._undo, own_copy(arguments))
        act = self._act(call, None if original else arguments)
        found: Rehearsal = await rehearse(call, world, act, undo=undo, expected=self._plan.expected)
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


def _name(function: object) -> str:
    return getattr(function, "__name__", type(function).__name__)

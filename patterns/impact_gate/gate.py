"""The counterfactual impact gate: finds out what an action would do before it is done, and decides."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, TypeVar, overload

from patterns.errors import misuse
from patterns.impact_gate.guard import BoundGuard, CheckGuard
from patterns.impact_gate.model import RowImpact
from patterns.impact_gate.options import (
    Plan,
    Settings,
    check_baseline,
    check_on_error,
    exception_types,
    thresholds,
)
from patterns.impact_gate.turns import NO_TURNS
from patterns.kernel.call import Call
from patterns.kernel.clock import SYSTEM_CLOCK
from patterns.kernel.drive import finish_at_once
from patterns.kernel.events import Listeners
from patterns.kernel.guard import Block, _record_of, attach
from patterns.kernel.target import Kind, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.impact_gate.assessment import Assessment
    from patterns.impact_gate.model import Model
    from patterns.impact_gate.options import Baseline, OnError, Review
    from patterns.impact_gate.world import World
    from patterns.kernel.clock import Clock
    from patterns.kernel.events import Event

__all__ = ["ImpactGate"]

F = TypeVar("F", bound="Callable[..., Any]")


class ImpactGate:
    """Finds out what an action would do before it is done, and lets it proceed, has it reviewed, or blocks it.

    With a *world* the guarded function is first run on a twin of it, and
    what it would change there, against what would happen instead, becomes a
    diff, the diff an impact from 0 to 1, the impact a decision. Without one the
    *model* judges by name and arguments alone. All that happens before
    anything is claimed or written; a crash in between leaves nothing behind.

    What cannot be measured does not run.

    Args:
        model: Called with an `Action`, returns its impact from 0 to 1 or an `Estimate`, or an awaitable of
            one; with a world, `RowImpact` if missing.
        world: Where actions are tried, such as a `SqlWorld`. The function must act through it alone; one
            that also sends a mail gives ``simulate=``, see `check`.
        review: From this impact on a call is reviewed.
        block: From this impact on it is blocked.
        reviewer: Decides what lies between: a `Reviewer`, or a function (or async function) of the
            `Assessment` that returns True to let the call run. Without one such calls are refused.
        baseline: What the action is compared with: ``"inaction"``, or a function that turns the `Action`
            into the one that would happen instead, such as one of at most 50.
        on_error: What happens to a call whose impact cannot be told: ``"block"`` or ``"review"``.
        compare: Whether what a call really does is compared with what was expected; a difference is told as
            `ImpactSurprise`.
        name: Source of its events.
        clock: Where the time of events comes from.

    Raises:
        Misuse: An option is wrong, or there is neither model nor world.

    """

    def __init__(
        self,
        *,
        model: Model | None = None,
        world: World | None = None,
        review: float = 0.4,
        block: float = 0.75,
        reviewer: Review | None = None,
        baseline: Baseline = "inaction",
        on_error: OnError = "block",
        compare: bool = True,
        name: str = "impact gate",
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if model is None and world is None:
            misuse(
                "a gate needs a model that knows the impact, or a world to measure it in",
                wrong="ImpactGate()",
                right='ImpactGate(world=SqlWorld("shop.db")) or ImpactGate(model=lambda action: 0.5)',
            )
        if world is not None and not hasattr(world, "twin"):
            misuse(f"{world!r} is no world", wrong=f"world={world!r}", right='world=SqlWorld("shop.db")')
        _refuse_uncallable("model", model)
        if reviewer is not None and not hasattr(reviewer, "review"):
            _refuse_uncallable("reviewer", reviewer)
        check_baseline(baseline)
        check_on_error(on_error)
        self._settings = Settings(
            name=name,
            model=model if model is not None else RowImpact(),
            world=world,
            thresholds=thresholds(review, block),
            reviewer=reviewer,
            baseline=baseline,
            on_error=on_error,
            observe=getattr(world, "observe", None) if compare else None,
            turns=getattr(world, "turns", NO_TURNS),
            clock=clock,
            listeners=Listeners(),
        )

    def __repr__(self) -> str:
        limits = self._settings.thresholds
        return f"ImpactGate(name={self._settings.name!r}, review={limits.review}, block={limits.block})"

    @overload
    def check(self, function: F, /) -> F: ...
    @overload
    def check(
        self,
        /,
        *,
        simulate: Callable[..., Any] | None = None,
        undo: Callable[..., Any] | None = None,
        baseline: Baseline | None = None,
        expected: type[Exception] | tuple[type[Exception], ...] = (),
    ) -> Callable[[F], F]: ...
    def check(
        self,
        function: Any = None,
        /,
        *,
        simulate: Callable[..., Any] | None = None,
        undo: Callable[..., Any] | None = None,
        baseline: Baseline | None = None,
        expected: type[Exception] | tuple[type[Exception], ...] = (),
    ) -> Any:
        """Decorate a function so that each call is measured first.

        Args:
            function: What is guarded.
            simulate: Tried instead of the function, for one that acts outside of the world as well. Takes any
                of the function's parameters. Without a world its result is handed to the model.
            undo: Tried on the twin after the action; what it restores lowers the impact by up to 70 %. Takes
                any of the function's parameters.
            baseline: Instead of the gate's.
            expected: Exceptions that the function raises on purpose, such as for an unknown order: a rehearsal
                that ends so is measured. Any other exception makes the impact unknown.

        Returns:
            The guarded function. It raises `ActionBlocked` if the impact is too high, needs a review that
            nobody gives, or cannot be measured.

        Raises:
            Misuse: It cannot be guarded, or an option does not fit.

        """
        _refuse_uncallable("simulate", simulate)
        _refuse_uncallable("undo", undo)
        if baseline is not None:
            check_baseline(baseline)
        plan = Plan(simulate=simulate, undo=undo, baseline=baseline, expected=exception_types(expected))
        guard = CheckGuard(self._settings, plan)
        return attach(function, guard) if function is not None else lambda function: attach(function, guard)

    def step(self, name: str, /, *, simulate: Callable[..., Any] | None = None, **facts: Any) -> Block:
        """Guard a ``with`` or ``async with`` block.

        A block cannot be run twice, so there is no rehearsal of it: the model
        judges by the facts, or *simulate* does in the world what the block
        is about to do.

        Args:
            name: Name of the action, low in cardinality.
            simulate: Called with the facts.
            facts: Handed to the model as the action's arguments.

        Raises:
            ActionBlocked: On entering, as for a function.
            Misuse: The name is not a text.

        """
        _refuse_uncallable("simulate", simulate)
        return Block(CheckGuard(self._settings, Plan(simulate=simulate)), name, facts)

    def assess(self, function: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> Any:
        """Return the `Assessment` of a call that is not made; for an ``async def`` an awaitable of it.

        Args:
            function: A function, guarded by this gate or not, or the name of an action that only the model
                knows.
            args: Its positional arguments.
            kwargs: Its keyword arguments.

        Raises:
            Misuse: The function cannot be tried.
            TypeError: It does not take these arguments.

        """
        guard, call = self._imagined(function, args, kwargs)
        if call.target.asynchronous:
            return _awaited(guard, call)
        return finish_at_once(_awaited(guard, call))

    def _imagined(
        self, function: Callable[..., Any] | str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[BoundGuard, Call]:
        fresh = CheckGuard(self._settings, Plan())
        if isinstance(function, str):
            target = Target(None, Kind.BLOCK, function, f"step:{function}")
            return fresh.bind(target), Call(target, args, kwargs)
        if isinstance(function, types.MethodType):
            args = (function.__self__, *args)
            function = function.__func__
        record = _record_of(function)
        if record is None:
            target = Target.of(function)
            return fresh.bind(target), Call(target, args, kwargs)
        own = [one for one in record.guards if isinstance(one, BoundGuard) and one.settings is self._settings]
        target = Target.of(record.function)
        return own[0] if own else fresh.bind(target), Call(target, args, kwargs)

    def subscribe(self, listener: Callable[[Event], object], /) -> Callable[[], None]:
        """Call *listener* with each `Assessed`, `ReviewPassed` and `ImpactSurprise` from now on.

        Returns:
            A function that ends the subscription.

        Raises:
            Misuse: *listener* is not a plain function.

        """
        return self._settings.listeners.subscribe(listener)


async def _awaited(guard: BoundGuard, call: Call) -> Assessment:
    token = call.activate()
    try:
        async with guard.settings.turns.taken(call) as late:
            assessment, _ = await guard.measure.assessed(call, late)
    finally:
        call.deactivate(token)
    return assessment


def _refuse_uncallable(option: str, value: object) -> None:
    if value is not None and not callable(value):
        misuse(f"{option} is a function, not {value!r}", wrong=f"{option}={value!r}", right=f"{option}=lambda ...: ...")

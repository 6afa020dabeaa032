"""The gate's options, checked once."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from attrs import frozen

from patterns.errors import misuse
from patterns.impact_gate.machine import Thresholds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager

    from patterns.impact_gate.assessment import Assessment
    from patterns.impact_gate.effect import Effect
    from patterns.impact_gate.model import Action, Model
    from patterns.impact_gate.review import Reviewer
    from patterns.impact_gate.turns import NoTurns, Turns
    from patterns.impact_gate.world import Observed, World
    from patterns.kernel.clock import Clock
    from patterns.kernel.events import Listeners

    Baseline: TypeAlias = Literal["inaction"] | Callable[[Action], Action]
    OnError: TypeAlias = Literal["block", "review"]
    Review: TypeAlias = Reviewer | Callable[[Assessment], bool | Awaitable[bool]]

__all__ = ["Plan", "Settings", "check_baseline", "check_on_error", "exception_types", "thresholds"]


@frozen(kw_only=True)
class Settings:
    """What holds for all functions of a gate."""

    name: str
    model: Model
    world: World | None
    thresholds: Thresholds
    reviewer: Review | None
    baseline: Baseline
    on_error: OnError
    observe: Callable[[Effect], AbstractContextManager[Observed]] | None
    turns: Turns | NoTurns
    clock: Clock
    listeners: Listeners


@frozen(kw_only=True)
class Plan:
    """What holds for one function: see `ImpactGate.check`."""

    simulate: Callable[..., Any] | None = None
    undo: Callable[..., Any] | None = None
    baseline: Baseline | None = None
    expected: tuple[type[Exception], ...] = ()


def thresholds(review: float, block: float) -> Thresholds:
    """Return both, checked.

    Raises:
        Misuse: One is not a number from 0 to 1, or the first is above the second.

    """
    for name, value in (("review", review), ("block", block)):
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)
        if not is_number or not 0 <= value <= 1:
            misuse(f"{name} is an impact from 0 to 1, not {value!r}", wrong=f"{name}={value!r}", right=f"{name}=0.5")
    if review > block:
        misuse(
            "what is blocked was never reviewed: review must not be above block",
            wrong=f"ImpactGate(review={review!r}, block={block!r})",
            right=f"ImpactGate(review={block!r}, block={review!r})",
        )
    return Thresholds(float(review), float(block))


def check_on_error(on_error: str) -> None:
    """Refuse an unknown word.

    Raises:
        Misuse: It is neither ``"block"`` nor ``"review"``; no gate lets pass what it cannot measure.

    """
    if on_error not in ("block", "review"):
        misuse(
            "what cannot be measured is blocked or reviewed, never let pass",
            wrong=f"on_error={on_error!r}",
            right='on_error="review"',
        )


def check_baseline(baseline: object) -> None:
    """Refuse what is no baseline.

    Raises:
        Misuse: It is neither ``"inaction"`` nor a plain function.

    """
    if baseline != "inaction" and (not callable(baseline) or inspect.iscoroutinefunction(baseline)):
        misuse(
            f'a baseline is "inaction" or a plain function of the action, not {baseline!r}',
            wrong=f"baseline={baseline!r}",
            right="baseline=lambda action: action.with_arguments(amount=50)",
        )


def exception_types(expected: object) -> tuple[type[Exception], ...]:
    """Return *expected* as a tuple.

    Raises:
        Misuse: It is not an exception type or a tuple of them.

    """
    kinds: tuple[Any, ...] = expected if isinstance(expected, tuple) else (expected,)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            misuse(f"{kind!r} is no type of exception", wrong=f"expected={expected!r}", right="expected=OrderNotFound")
    return kinds

"""What an impact model is asked, and the one that comes with the gate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

from attrs import evolve, field, frozen

from patterns.errors import misuse
from patterns.impact_gate.machine import Estimate, Scales, row_impact

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from patterns.impact_gate.diff import Diff
    from patterns.kernel.run import Run

__all__ = ["Action", "Model", "RowImpact", "estimated"]


@frozen(kw_only=True)
class Action:
    """What a model is asked about.

    Args:
        name: The function's or step's name.
        arguments: Arguments by parameter name, defaults applied; a step's facts.
        run: The run it belongs to, or None.
        diff: What it does to the world; None if there is no world to try it in.
        simulated: What the ``simulate=`` function returned, such as the answer of a service's own dry run.

    """

    name: str
    arguments: Mapping[str, Any] = field(factory=dict)
    run: Run | None = None
    diff: Diff | None = None
    simulated: Any = None

    def with_arguments(self, **arguments: Any) -> Action:
        """Return the same action with some arguments changed, for a baseline such as "at most 50"."""
        return evolve(self, arguments={**self.arguments, **arguments})


class Model(Protocol):
    """Anything that is called with an `Action` and tells its impact, now or when awaited."""

    def __call__(self, action: Action, /) -> float | Estimate | Awaitable[float | Estimate]:
        """Return the impact, 0 to 1."""
        ...


class RowImpact:
    """Tells the impact from the rows an action changes; the default where there is a world.

    The impact is ``1 - 2 ** -points``. Each of the numbers below alone is one
    point, so an impact of 0.5, and points add up (`machine.row_impact` has
    the formula).

    Args:
        inserted: So many new rows.
        updated: So many changed rows.
        deleted: So many deleted rows.
        fraction: That part of a table's existing rows changed or deleted, 0 to 1.
        money: For a ``"table.column"``, so much moved, in the column's own unit.
        weights: For a table, how much its rows count; 1 if missing, 0 to ignore it.

    Raises:
        Misuse: A scale is not a positive number, or a weight is negative.

    """

    def __init__(
        self,
        *,
        inserted: float = 200.0,
        updated: float = 50.0,
        deleted: float = 10.0,
        fraction: float = 0.25,
        money: Mapping[str, float] | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        money, weights = dict(money or {}), dict(weights or {})
        counts = {"inserted": inserted, "updated": updated, "deleted": deleted, "fraction": fraction}
        for name, scale in {**counts, **money}.items():
            _positive(name, scale)
        for name in money:
            if "." not in name:
                misuse(
                    f"{name!r} does not name a column",
                    wrong='money={"amount": 500}',
                    right='money={"orders.amount": 500}',
                )
        for name, weight in weights.items():
            if not _is_number(weight) or weight < 0:
                misuse(
                    f"the weight of {name!r} is {weight!r}", wrong=f"weights={weights!r}", right='weights={"logs": 0.1}'
                )
        self.scales = Scales(
            inserted=inserted, updated=updated, deleted=deleted, fraction=fraction, money=money, weights=weights
        )

    def __call__(self, action: Action, /) -> Estimate:
        """Return the impact of the action's diff.

        Raises:
            ValueError: There is no diff, so there is nothing to count.

        """
        if action.diff is None:
            raise ValueError(f"{action.name} was not tried in a world, so there are no rows to count")
        return row_impact(action.diff, self.scales)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _positive(name: str, scale: object) -> None:
    if not _is_number(scale) or scale <= 0:  # type: ignore[operator]
        misuse(
            f"a scale is a positive number, not {scale!r}",
            wrong=f"RowImpact({name}={scale!r})",
            right="RowImpact(deleted=10)",
        )


def estimated(value: object) -> Estimate:
    """Return what a model said as an `Estimate`.

    Raises:
        ValueError: It is not a number from 0 to 1; a model that says nothing does not say "harmless".

    """
    if isinstance(value, Estimate):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"a model tells a number from 0 to 1 or an Estimate, not {value!r}")  # noqa: TRY004 - same failure
    return Estimate(float(value))

"""The rules of the impact gate: from counted rows to an impact, a level and a decision.

Theory of operation. An impact is a number from 0 (nothing) to 1 (everything).
The gate asks how far an action moves the world from the one in which the
*baseline* happens instead (by default: nothing happens)::

    delta      = abs(impact(proposed) - impact(counterfactual))
    divergence = impact(world after the baseline -> world after the action)
    impact     = max(delta, divergence)

The divergence is there because two actions of equal size have a delta of 0:
paying a stranger instead of a friend looks like nothing changed. Without a
world to look into, the divergence is the delta.

===========  ====================  =========================================
level        impact                with the thresholds 0.4 and 0.75
===========  ====================  =========================================
NEGLIGIBLE   below 0.05            proceed
LOW          0.05 to below 0.2     proceed
MODERATE     0.2 to below 0.4      proceed
HIGH         0.4 to below 0.75     review
CRITICAL     0.75 and more         block
===========  ====================  =========================================

What is not certain makes a decision stricter, never milder: if the highest
impact that cannot be ruled out reaches a threshold that the estimate does not,
or if the action reaches most of a table, the action is reviewed.
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING

from attrs import field, frozen

from patterns.impact_gate.diff import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from patterns.impact_gate.diff import Diff, TableDiff

__all__ = [
    "HALF_SCALES",
    "Decision",
    "Estimate",
    "Level",
    "Scales",
    "Scope",
    "Thresholds",
    "Verdict",
    "decide",
    "level_of",
    "row_impact",
    "scope_of",
    "weigh",
    "with_undo",
]


class Level(enum.StrEnum):
    """How much an impact is, in words."""

    NEGLIGIBLE = "NEGLIGIBLE"
    LOW = "LOW"
    MODERATE = "MODERATE"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


class Decision(enum.StrEnum):
    """What the gate does with a call."""

    PROCEED = "proceed"
    REVIEW = "review"
    BLOCK = "block"


class Scope(enum.StrEnum):
    """Who feels it."""

    NONE = "none"
    USER = "user"
    COHORT = "cohort"
    GLOBAL = "global"
    UNKNOWN = "unknown"


BOUNDARIES = ((0.75, Level.CRITICAL), (0.4, Level.HIGH), (0.2, Level.MODERATE), (0.05, Level.LOW))
"""The lowest impact of each level."""

SMALL_TABLE = 20
"""A table of fewer rows is never 'global', and its fraction counts for less."""

_COHORT_ROWS = 10
_MOST = 0.5
_WORTH_SAYING = 0.05
_CREDIT_FOR_UNDO = 0.7


@frozen
class Thresholds:
    """From which impact on a call is reviewed, and from which on it is blocked."""

    review: float
    block: float


@frozen
class Estimate:
    """An impact, and what is known of its certainty.

    Args:
        impact: The best guess, 0 to 1.
        highest: The highest impact that cannot be ruled out; the same as *impact* if missing.
        reasons: What it is made of, the most important first.

    Raises:
        ValueError: A number is not from 0 to 1, or *highest* is below *impact*.

    """

    impact: float
    highest: float = field(default=-1.0, kw_only=True)
    reasons: tuple[str, ...] = field(default=(), kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.highest == -1.0:
            object.__setattr__(self, "highest", self.impact)
        if not 0.0 <= self.impact <= self.highest <= 1.0:  # false for NaN as well
            raise ValueError(f"an impact is from 0 to 1, not {self.impact!r} (highest {self.highest!r})")


@frozen(kw_only=True)
class Verdict:
    """The decision, what it rests on, and why it is stricter than the impact alone, if it is."""

    impact: float
    highest: float
    level: Level
    decision: Decision
    reasons: tuple[str, ...] = ()


def level_of(impact: float) -> Level:
    """Return the level of *impact*; total for every number from 0 to 1."""
    return next((level for lowest, level in BOUNDARIES if impact >= lowest), Level.NEGLIGIBLE)


def decide(estimate: Estimate, thresholds: Thresholds, scope: Scope) -> Verdict:
    """Return what to do with an action of this impact and scope."""
    decision, reasons = Decision.PROCEED, estimate.reasons
    if estimate.impact >= thresholds.block:
        decision = Decision.BLOCK
    elif estimate.impact >= thresholds.review:
        decision = Decision.REVIEW
    elif estimate.highest >= thresholds.review:
        decision = Decision.REVIEW
        reasons = (*reasons, f"up to {estimate.highest:.2f} cannot be ruled out")
    elif scope is Scope.GLOBAL:
        decision = Decision.REVIEW
        reasons = (*reasons, "it reaches most of a table")
    level = level_of(estimate.impact)
    return Verdict(impact=estimate.impact, highest=estimate.highest, level=level, decision=decision, reasons=reasons)


def weigh(proposed: Estimate, counterfactual: Estimate, divergence: Estimate | None) -> Estimate:
    """Return the impact to act on: the larger of the delta and the divergence of the two worlds."""
    delta = abs(proposed.impact - counterfactual.impact)
    if divergence is None:
        spread = max(proposed.highest, counterfactual.highest)  # a difference is at most the larger of the two
        uncertain = proposed.highest > proposed.impact or counterfactual.highest > counterfactual.impact
        return Estimate(delta, highest=max(delta, spread if uncertain else delta), reasons=proposed.reasons)
    impact = max(delta, divergence.impact)
    return Estimate(impact, highest=max(impact, divergence.highest), reasons=divergence.reasons)


def with_undo(estimate: Estimate, residual: float | None) -> Estimate:
    """Return the impact less the credit for an undo that was tried on the twin: up to 70 % of it.

    What is uncertain gets no credit, since nobody saw whether it was undone.

    Args:
        estimate: The impact without it.
        residual: Which part of the changed rows the undo did not restore, 0 to 1; None if none was tried.

    """
    if residual is None or residual >= 1.0:
        return estimate
    impact = estimate.impact * (1.0 - _CREDIT_FOR_UNDO * (1.0 - residual))
    highest = impact if estimate.highest == estimate.impact else estimate.highest
    text = "the undo was tried and restores " + ("everything" if residual == 0.0 else f"{1 - residual:.0%}")
    return Estimate(impact, highest=highest, reasons=(*estimate.reasons, text))


def scope_of(diff: Diff | None) -> Scope:
    """Return who feels the change.

    ``none``: no row; ``global``: at least half the rows of a table of 20 or
    more; ``cohort``: rows of several owners, or more than 10 existing rows
    where nobody said who owns them; ``user``: anything else.
    """
    if diff is None or diff.uncovered:
        return Scope.UNKNOWN
    tables = diff.tables.values()
    if any(one.population >= SMALL_TABLE and one.fraction >= _MOST for one in tables):
        return Scope.GLOBAL
    if any((one.owners or 0) > 1 or (one.owners is None and one.lost_or_changed > _COHORT_ROWS) for one in tables):
        return Scope.COHORT
    return Scope.USER if diff.rows or diff.schema else Scope.NONE


@frozen(kw_only=True)
class Scales:
    """How much of something alone is an impact of 0.5; see `row_impact`.

    Args:
        inserted: New rows.
        updated: Changed rows.
        deleted: Deleted rows.
        fraction: The part of a table's existing rows that is changed or deleted, 0 to 1.
        money: For ``"table.column"``, the sum moved, in that column's own unit.
        weights: For each table, how much its rows count; 1 if missing.

    """

    inserted: float = 200.0
    updated: float = 50.0
    deleted: float = 10.0
    fraction: float = 0.25
    money: Mapping[str, float] = field(factory=dict)
    weights: Mapping[str, float] = field(factory=dict)


HALF_SCALES = Scales()


def row_impact(diff: Diff, scales: Scales = HALF_SCALES) -> Estimate:
    """Return the impact of a diff, from its counts alone.

    ::

        impact = 1 - 2 ** -points
        points = sum over tables of  weight * (inserted / scales.inserted + updated / scales.updated
                                               + deleted / scales.deleted + money / scales.money)
               + largest over tables of  weight * (updated + deleted) / (population + 20) / scales.fraction

    Each factor at its scale is one point, and every point halves the distance
    to 1: two points make 0.75. The 20 keeps small tables from looking like
    everything. A dropped table is infinitely many points; any other change of
    structure, and what could not be looked into, leave 1.0 as the highest
    impact that cannot be ruled out.
    """
    parts = [part for name, one in diff.tables.items() for part in _table_points(name, one, scales)]
    parts += sorted((_share_points(name, one, scales) for name, one in diff.tables.items()), reverse=True)[:1]
    parts += [(math.inf, one) for one in diff.schema if one.startswith("drop table")]
    points = sum(one for one, _ in parts)
    impact = 1.0 - 2.0**-points
    unsure = bool(diff.schema or diff.uncovered)
    top = sorted((part for part in parts if part[0] and part[0] >= points * _WORTH_SAYING), key=lambda part: -part[0])
    return Estimate(impact, highest=1.0 if unsure else impact, reasons=tuple(text for _, text in top))


def _table_points(name: str, table: TableDiff, scales: Scales) -> list[tuple[float, str]]:
    weight = scales.weights.get(name, 1.0)
    if not weight:
        return []
    counts = [(getattr(table, kind) / getattr(scales, kind) * weight, table.sentence(name, kind)) for kind in KINDS]
    for column, moved in table.moved.items():
        scale = scales.money.get(f"{name}.{column}")
        if scale is not None:
            counts.append((moved / scale * weight, f"{moved:g} moved in {name}.{column}"))
    return counts


def _share_points(name: str, table: TableDiff, scales: Scales) -> tuple[float, str]:
    share = table.lost_or_changed / (table.population + SMALL_TABLE)
    return scales.weights.get(name, 1.0) * share / scales.fraction, f"{table.fraction:.0%} of {name}"

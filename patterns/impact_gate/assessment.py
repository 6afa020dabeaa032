"""What the gate found out about one action."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from attrs import asdict, field, frozen

from patterns.impact_gate.machine import Decision, Level, Scope

if TYPE_CHECKING:
    from patterns.impact_gate.diff import Diff, RowDiff, TableDiff

__all__ = ["Assessment"]

_REASONS_IN_TEXT = 4
_LARGEST = sys.float_info.max


@frozen(kw_only=True, repr=False)
class Assessment:
    """What the gate found out about one action, and what it decided.

    Args:
        action: Name of the function or step.
        proposed: Impact of the action, 0 to 1.
        counterfactual: Impact of what happens instead: 0 for inaction.
        divergence: Impact of the difference between the two worlds; None if there is no world.
        impact: What the decision rests on: the larger of `delta` and *divergence*, less credit for an undo.
        uncertainty: How much higher the impact may be.
        level: The impact in words.
        decision: ``proceed``, ``review`` or ``block``.
        scope: Who feels it.
        baseline: What the action was compared with: ``"inaction"`` or a name.
        diff: What it does to the world, against the baseline; None if there is no world.
        residual: Which part of the changed rows the undo did not restore; None if no undo was tried.
        effect: Digest of the whole effect, volatile columns apart; equal for equal effects.
        reasons: What the impact is made of, the most important first.
        error: Why nothing could be measured; the worst is assumed then.

    """

    action: str
    proposed: float
    counterfactual: float = 0.0
    divergence: float | None = None
    impact: float
    uncertainty: float = 0.0
    level: Level
    decision: Decision
    scope: Scope = Scope.UNKNOWN
    baseline: str = "inaction"
    diff: Diff | None = None
    residual: float | None = None
    effect: str | None = None
    reasons: tuple[str, ...] = ()
    error: str | None = None
    cause: BaseException | None = field(default=None, eq=False)

    @property
    def delta(self) -> float:
        """``abs(proposed - counterfactual)``."""
        return abs(self.proposed - self.counterfactual)

    def __repr__(self) -> str:
        return f"<Assessment {self}>"  # ends up in logs, where rows have no business

    def __str__(self) -> str:
        if self.error is not None:
            return f"{self.action}: {self.decision}, its impact is unknown: {self.error}"
        found = dict.fromkeys((*self.reasons, *(self.diff.sentences() if self.diff else ())))
        text = "; ".join(list(found)[:_REASONS_IN_TEXT])
        return f"{self.action}: {self.decision}, impact {self.impact:.2f} {self.level}" + (f": {text}" if text else "")

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values that JSON can hold."""
        plain = asdict(self, filter=lambda attribute, _: attribute.name not in {"cause", "diff"})
        plain |= {name: str(plain[name]) for name in ("level", "decision", "scope")}
        plain["reasons"] = list(self.reasons)
        return {**plain, "delta": self.delta, "diff": None if self.diff is None else _diff(self.diff)}


def _diff(diff: Diff) -> dict[str, Any]:
    return {
        "rows": diff.rows,
        "tables": {name: _table(one) for name, one in diff.tables.items()},
        "schema": list(diff.schema),
        "uncovered": list(diff.uncovered),
        "sample": [_row(row) for row in diff.sample],
    }


def _table(table: TableDiff) -> dict[str, Any]:
    moved = {column: min(by, _LARGEST) for column, by in table.moved.items()}  # JSON knows no infinity
    return {**asdict(table), "columns": list(table.columns), "fraction": table.fraction, "moved": moved}


def _row(row: RowDiff) -> dict[str, Any]:
    values = {name: list(pair) for name, pair in row.values.items()}
    return {"table": row.table, "kind": row.kind, "key": list(row.key), "values": values}

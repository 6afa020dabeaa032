"""The counterfactual impact gate: what would this action do, compared with what happens otherwise?

`ImpactGate` measures an action before it is done and lets it proceed, has it
reviewed, or blocks it. `SqlWorld` is a SQLite database in which actions
can be tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from patterns.impact_gate.assessment import Assessment
from patterns.impact_gate.diff import Diff, RowDiff, TableDiff
from patterns.impact_gate.effect import Change, Effect, Lens, Population
from patterns.impact_gate.events import Assessed, ImpactSurprise, ReviewPassed
from patterns.impact_gate.gate import ImpactGate
from patterns.impact_gate.machine import Decision, Estimate, Level, Scope
from patterns.impact_gate.model import Action, Model, RowImpact
from patterns.impact_gate.review import Reviewer
from patterns.impact_gate.world import Observable, Observed, Twin, Unmeasurable, World

if TYPE_CHECKING:
    from patterns.impact_gate.sql_world import SqlWorld

__all__ = [
    "Action",
    "Assessed",
    "Assessment",
    "Change",
    "Decision",
    "Diff",
    "Effect",
    "Estimate",
    "ImpactGate",
    "ImpactSurprise",
    "Lens",
    "Level",
    "Model",
    "Observable",
    "Observed",
    "Population",
    "ReviewPassed",
    "Reviewer",
    "RowDiff",
    "RowImpact",
    "Scope",
    "SqlWorld",
    "TableDiff",
    "Twin",
    "Unmeasurable",
    "World",
]


def __getattr__(name: str) -> Any:
    # sqlite3 is loaded by those who have a SQLite database
    if name != "SqlWorld":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from patterns.impact_gate.sql_world import SqlWorld  # noqa: PLC0415 - loaded when needed

    globals()[name] = SqlWorld
    return SqlWorld

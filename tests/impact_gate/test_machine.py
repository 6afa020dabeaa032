"""The rules: pure functions of numbers and rows."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patterns.impact_gate import Diff, Estimate, Lens, Level, Scope, TableDiff
from patterns.impact_gate.machine import (
    Decision,
    Scales,
    Thresholds,
    decide,
    level_of,
    row_impact,
    scope_of,
    weigh,
    with_undo,
)

unit = st.floats(0, 1)
counts = st.integers(0, 10**6)
LIMITS = Thresholds(0.4, 0.75)


@st.composite
def estimates(draw: st.DrawFn) -> Estimate:
    """Return any valid estimate."""
    impact = draw(unit)
    return Estimate(impact, highest=draw(st.floats(impact, 1)))


@st.composite
def table_diffs(draw: st.DrawFn) -> TableDiff:
    """Return any counts."""
    updated, deleted = draw(counts), draw(counts)
    return TableDiff(
        inserted=draw(counts), updated=updated, deleted=deleted, population=updated + deleted + draw(counts)
    )


@pytest.mark.parametrize(
    ("level", "impact"),
    [
        (Level.NEGLIGIBLE, 0.0),
        (Level.NEGLIGIBLE, 0.0499999),
        (Level.LOW, 0.05),
        (Level.LOW, 0.1999),
        (Level.MODERATE, 0.2),
        (Level.MODERATE, 0.3999),
        (Level.HIGH, 0.4),
        (Level.HIGH, 0.7499),
        (Level.CRITICAL, 0.75),
        (Level.CRITICAL, 1.0),
    ],
)
def test_levels_begin_where_the_table_says(level: Level, impact: float):
    """A boundary belongs to the higher level."""
    assert level is level_of(impact)


@given(unit, unit)
def test_levels_never_fall_when_the_impact_rises(one: float, other: float):
    """`level_of` is monotone and total."""
    order = list(Level)
    low, high = sorted((one, other))
    assert order.index(level_of(low)) <= order.index(level_of(high))


@pytest.mark.parametrize(
    ("decision", "impact"),
    [
        (Decision.PROCEED, 0.0),
        (Decision.PROCEED, 0.3999),
        (Decision.REVIEW, 0.4),
        (Decision.REVIEW, 0.7499),
        (Decision.BLOCK, 0.75),
        (Decision.BLOCK, 1.0),
    ],
)
def test_decisions_begin_at_their_thresholds(decision: Decision, impact: float):
    """A threshold belongs to the stricter decision."""
    assert decision is decide(Estimate(impact), LIMITS, Scope.USER).decision


SEVERITY = [Decision.PROCEED, Decision.REVIEW, Decision.BLOCK]


@given(unit, unit, st.sampled_from(Scope), unit, unit)
def test_a_higher_impact_never_gets_a_milder_decision(one: float, other: float, scope: Scope, a: float, b: float):
    """Decisions are monotone in the impact, whatever the thresholds and the scope."""
    limits = Thresholds(*sorted((a, b)))
    low, high = (decide(Estimate(impact), limits, scope).decision for impact in sorted((one, other)))
    assert SEVERITY.index(low) <= SEVERITY.index(high)


@given(estimates(), st.sampled_from(Scope))
def test_doubt_makes_a_decision_stricter_never_milder(estimate: Estimate, scope: Scope):
    """An uncertain estimate is treated at least as strictly as the same one made certain."""
    certain = decide(Estimate(estimate.impact), LIMITS, scope).decision
    assert SEVERITY.index(certain) <= SEVERITY.index(decide(estimate, LIMITS, scope).decision)


def test_an_estimate_that_may_reach_a_threshold_is_reviewed():
    """Between what is likely and what cannot be ruled out stands a person, not the gate."""
    verdict = decide(Estimate(0.1, highest=1.0), LIMITS, Scope.USER)
    assert Decision.REVIEW is verdict.decision
    assert Level.LOW is verdict.level
    assert ("up to 1.00 cannot be ruled out",) == verdict.reasons


def test_a_global_change_is_at_least_reviewed():
    """Reaching most of a table is a matter for a person, however light the touch."""
    assert Decision.REVIEW is decide(Estimate(0.01), LIMITS, Scope.GLOBAL).decision
    assert Decision.PROCEED is decide(Estimate(0.01), LIMITS, Scope.COHORT).decision


@pytest.mark.parametrize("impact", [-0.1, 1.1, math.nan, math.inf])
def test_an_estimate_is_from_zero_to_one(impact: float):
    """A number outside is an error, not a decision."""
    with pytest.raises(ValueError, match="from 0 to 1"):
        Estimate(impact)


def test_the_highest_is_not_below_the_impact():
    """An interval that excludes its own estimate is an error."""
    with pytest.raises(ValueError, match="from 0 to 1"):
        Estimate(0.5, highest=0.4)


@given(unit, unit)
def test_without_a_world_the_impact_is_the_delta(proposed: float, counterfactual: float):
    """abs(proposed - counterfactual), as the pattern defines it."""
    assert abs(proposed - counterfactual) == weigh(Estimate(proposed), Estimate(counterfactual), None).impact


@given(estimates(), estimates(), estimates())
def test_the_impact_is_at_least_the_delta_and_the_divergence(a: Estimate, b: Estimate, divergence: Estimate):
    """Two worlds that differ are not made equal by being of one size."""
    weighed = weigh(a, b, divergence)
    assert max(abs(a.impact - b.impact), divergence.impact) == weighed.impact
    assert weighed.highest >= divergence.highest


@given(estimates(), unit)
def test_an_undo_lowers_the_impact_but_not_the_doubt(estimate: Estimate, residual: float):
    """At most 70 % of a certain impact are forgiven; what nobody saw is not."""
    after = with_undo(estimate, residual)
    assert estimate.impact * 0.3 - 1e-9 <= after.impact <= estimate.impact
    if estimate.highest > estimate.impact:
        assert estimate.highest == after.highest


def test_an_undo_that_restores_nothing_earns_nothing():
    """Residual 1, and no undo at all, leave the estimate as it is."""
    estimate = Estimate(0.5)
    assert estimate == with_undo(estimate, 1.0) == with_undo(estimate, None)
    assert 0.15 == pytest.approx(with_undo(estimate, 0.0).impact)


@given(table_diffs())
def test_a_row_impact_is_from_zero_to_one(table: TableDiff):
    """Whatever the counts."""
    assert 0.0 <= row_impact(Diff(tables={"t": table})).impact <= 1.0


@given(table_diffs(), st.sampled_from(["inserted", "updated", "deleted"]), st.integers(1, 1000))
def test_more_rows_never_have_less_impact(table: TableDiff, kind: str, more: int):
    """`row_impact` is monotone in each count."""
    from attrs import evolve

    larger = evolve(table, **{kind: getattr(table, kind) + more})
    assert row_impact(Diff(tables={"t": table})).impact <= row_impact(Diff(tables={"t": larger})).impact


def test_each_scale_alone_is_an_impact_of_one_half():
    """That is what a scale means; two of them make three quarters."""
    scales = Scales(inserted=4, updated=1e12, deleted=2, fraction=1e12, money={"t.paid": 500.0})
    assert 0.5 == row_impact(Diff(tables={"t": TableDiff(inserted=4)}), scales).impact
    assert 0.5 == pytest.approx(row_impact(Diff(tables={"t": TableDiff(deleted=2, population=10)}), scales).impact)
    assert 0.5 == row_impact(Diff(tables={"t": TableDiff(moved={"paid": 500.0, "other": 1e9})}), scales).impact
    both = Diff(tables={"t": TableDiff(inserted=4, moved={"paid": 500.0})})
    assert 0.75 == row_impact(both, scales).impact


def test_the_share_of_a_large_table_counts():
    """All of 1000 rows: 1000 updates are 20 points, the share nearly 4 more; all of 2 rows are hardly a share."""
    small = row_impact(Diff(tables={"t": TableDiff(updated=2, population=2)})).impact
    assert 1 - 2 ** -(2 / 50 + 2 / 22 / 0.25) == small
    scales = Scales(updated=1e9)
    large = row_impact(Diff(tables={"t": TableDiff(updated=1000, population=1000)}), scales).impact
    assert 0.93 == pytest.approx(large, abs=0.01)


def test_a_weight_of_zero_leaves_a_table_out():
    """A log table may be told not to matter, by rows and by share."""
    diff = Diff(tables={"log": TableDiff(deleted=1000, population=1000)})
    assert 0.0 == row_impact(diff, Scales(weights={"log": 0.0})).impact


def test_a_dropped_table_is_everything_and_other_structure_is_doubt():
    """No count of rows stands for the loss of the table itself."""
    assert 1.0 == row_impact(Diff(schema=("drop table orders",))).impact
    altered = row_impact(Diff(schema=("alter table orders",)))
    assert (0.0, 1.0) == (altered.impact, altered.highest)
    unseen = row_impact(Diff(uncovered=("search",)))
    assert (0.0, 1.0) == (unseen.impact, unseen.highest)


def test_an_infinite_sum_is_everything():
    """Numbers that are not finite do not hide an action."""
    diff = Diff(tables={"t": TableDiff(updated=1, population=100, moved={"paid": math.inf})})
    assert 1.0 == row_impact(diff, Scales(money={"t.paid": 500.0})).impact


@pytest.mark.parametrize(
    ("scope", "table"),
    [
        (Scope.NONE, None),
        (Scope.USER, TableDiff(inserted=500)),
        (Scope.USER, TableDiff(updated=3, population=3)),
        (Scope.USER, TableDiff(updated=10, population=1000)),
        (Scope.COHORT, TableDiff(updated=11, population=1000)),
        (Scope.COHORT, TableDiff(updated=2, population=1000, owners=2)),
        (Scope.USER, TableDiff(updated=100, population=1000, owners=1)),
        (Scope.GLOBAL, TableDiff(deleted=10, population=20)),
        (Scope.GLOBAL, TableDiff(updated=100, population=100, owners=1)),
    ],
)
def test_scopes(scope: Scope, table: TableDiff | None):
    """Who feels it is measured, not declared."""
    assert scope is scope_of(Diff(tables={} if table is None else {"t": table}))


def test_the_scope_of_what_was_not_looked_into_is_unknown():
    """Neither without a world nor where a part of it could not be seen."""
    assert Scope.UNKNOWN is scope_of(None)
    assert Scope.UNKNOWN is scope_of(Diff(uncovered=("search",)))


def test_a_single_column_name_is_one_column():
    """A text is not taken for a set of letters."""
    assert Lens(hidden="a.b").hides("a", "b")
    assert Lens(volatile={"*.at"}).compares("a", "b")
    assert not Lens(volatile={"*.at"}).compares("a", "at")

"""Baselines, undo, scope, reviews, and what is compared afterwards."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from patterns.errors import ActionBlocked, Misuse
from patterns.impact_gate import (
    Action,
    Assessed,
    Assessment,
    ImpactGate,
    ImpactSurprise,
    RowImpact,
    Scope,
    SqlWorld,
)

if TYPE_CHECKING:
    import sqlite3

ROOT = Path(__file__).parents[2]
DELETE = "DELETE FROM customers WHERE id < ?"


# Baselines, undo, scope


def test_the_divergence_tells_apart_what_the_delta_does_not(on: SqlWorld):
    """Another order of the same size: the delta is 0, the worlds are two rows apart."""

    @ImpactGate(world=on, baseline=lambda action: action.with_arguments(order="o1-0")).check
    def refund(order: str) -> None:
        with on.connection() as db:
            db.execute("UPDATE orders SET amount = 0 WHERE id = ?", (order,))

    gate = ImpactGate(world=on, baseline=lambda action: action.with_arguments(order="o1-0"))
    other = gate.assess(gate.check(refund), "o2-0")
    assert 0.0 == other.delta
    assert other.divergence == other.impact > other.proposed
    assert 2 == other.diff.rows
    same = gate.assess(gate.check(refund), order="o1-0")
    assert (0.0, 0) == (same.impact, same.diff.rows)


def test_a_baseline_with_an_argument_nobody_knows(on: SqlWorld, closing_accounts):
    """A spelling mistake does not become inaction."""
    gate = ImpactGate(world=on, baseline=lambda action: action.with_arguments(limit=1))
    with pytest.raises(ActionBlocked, match="'limit'"):
        closing_accounts(gate, on)(1)


def test_an_undo_is_tried_and_credited(on: SqlWorld, everything):
    """What it restores on the twin counts, what it claims does not."""
    before = everything()
    gate = ImpactGate(world=on)

    def hide(below: int) -> None:
        with on.connection() as db:
            db.execute("UPDATE orders SET amount = -amount WHERE customer < ?", (below,))

    def half(below: int) -> None:
        with on.connection() as db:
            db.execute("UPDATE orders SET amount = -amount WHERE customer < ?", (below // 2,))

    def broken() -> None:
        raise RuntimeError("no")

    plain = gate.assess(gate.check(hide), 4)
    verified = gate.assess(gate.check(undo=hide)(hide), 4)
    partial = gate.assess(gate.check(undo=half)(hide), 4)
    failing = gate.assess(gate.check(undo=broken)(hide), 4)
    assert (None, 0.0, 0.5, 1.0) == (plain.residual, verified.residual, partial.residual, failing.residual)
    assert plain.impact * 0.3 == pytest.approx(verified.impact)
    assert plain.impact * 0.65 == pytest.approx(partial.impact)
    assert plain.impact == failing.impact
    assert "its undo failed: RuntimeError('no')" in failing.reasons
    assert "the undo was tried and restores everything" in verified.reasons
    assert before == everything()


def test_owners_tell_one_user_from_many(shop: Path):
    """Twelve rows of one customer are a user's matter, two of two are not."""
    owners = {"orders": "customer", "customers": "id"}
    with closing(SqlWorld(shop, owners=owners)) as world:
        gate = ImpactGate(world=world)

        @gate.check
        def change(where: str) -> None:
            with world.connection() as db:
                db.execute(f"UPDATE orders SET amount = 1 WHERE {where}")  # noqa: S608 - a test

        assert Scope.USER is gate.assess(change, "customer = 1").scope
        assert Scope.COHORT is gate.assess(change, "id IN ('o1-0', 'o2-0')").scope
        everybody = gate.assess(change, "1")
        assert (Scope.GLOBAL, "block") == (everybody.scope, everybody.decision)


def test_what_was_not_seen_is_reviewed(on: SqlWorld):
    """A new table's rows are not counted, so a person looks."""
    gate = ImpactGate(world=on)

    @gate.check
    def act() -> None:
        with on.connection() as db:
            db.execute("CREATE TABLE extra (a)")
            db.execute("INSERT INTO extra VALUES (1)")

    found = gate.assess(act)
    assert ("review", Scope.UNKNOWN, 0.0, 1.0) == (found.decision, found.scope, found.impact, found.uncertainty)


def test_money_counts_in_its_own_unit(on: SqlWorld):
    """Half a thousand moved is an impact of one half, if somebody says so."""
    model = RowImpact(money={"orders.amount": 500}, updated=1e9, fraction=1e9)
    gate = ImpactGate(world=on, model=model)

    @gate.check
    def charge(order: str, more: int) -> None:
        with on.connection() as db:
            db.execute("UPDATE orders SET amount = amount + ? WHERE id = ?", (more, order))

    assert 0.5 == pytest.approx(gate.assess(charge, "o1-0", 500).impact)
    assert ("500 moved in orders.amount",) == gate.assess(charge, "o1-0", 500).reasons[:1]


@pytest.mark.parametrize(
    "make",
    [
        lambda: RowImpact(deleted=0),
        lambda: RowImpact(updated=-1),
        lambda: RowImpact(fraction=True),
        lambda: RowImpact(money={"amount": 500}),
        lambda: RowImpact(money={"orders.amount": 0}),
        lambda: RowImpact(weights={"orders": -1}),
    ],
)
def test_wrong_scales_show_the_right_line(make):
    """A scale is a positive number, a weight at least 0, money names a column."""
    with pytest.raises(Misuse, match="right:"):
        make()


# Review and what follows


def test_the_reviewer_sees_the_diff_and_the_call_runs(on: SqlWorld, peek, closing_accounts):
    """What was approved is what runs."""
    asked = []
    gate = ImpactGate(world=on, block=1.0, reviewer=lambda assessment: asked.append(assessment) or True)
    assert 5 == closing_accounts(gate, on)(5)
    assert [(45,)] == peek("SELECT count(*) FROM customers")
    assert 5 == asked[0].diff.tables["customers"].deleted


def test_a_world_that_moved_during_the_review_is_noticed(on: SqlWorld, peek, closing_accounts):
    """Approved was the deletion of five; by then it would be six, so it does not run."""

    def slow(_: Assessment) -> bool:
        with on.connection() as db:
            db.execute("INSERT INTO customers VALUES (-1, 'x', 'x')")
        return True

    gate = ImpactGate(world=on, block=1.0, reviewer=slow)
    with pytest.raises(ActionBlocked, match="no longer does what was reviewed"):
        closing_accounts(gate, on)(5)
    assert [(51,)] == peek("SELECT count(*) FROM customers")


def test_time_stamps_are_no_drift_if_they_are_named(shop: Path):
    """Without volatile= a column that differs each time looks like another effect."""

    def act() -> None:
        with world.connection() as db:
            db.execute("INSERT INTO journal VALUES (hex(randomblob(8)), 'x')")

    for volatile, fine in ((("journal.at",), True), ((), False)):
        with closing(SqlWorld(shop, volatile=volatile)) as world:
            guarded = ImpactGate(world=world, review=0.0, reviewer=lambda _: True).check(act)
            if fine:
                guarded()
            else:
                with pytest.raises(ActionBlocked, match="volatile="):
                    guarded()


def test_a_surprise_is_told(on: SqlWorld):
    """What the call really does is compared with its rehearsal, row by row."""
    told: list[object] = []
    gate = ImpactGate(world=on)
    gate.subscribe(told.append)
    runs = []

    @gate.check
    def act() -> None:
        runs.append(1)
        with on.connection() as db:
            db.execute("UPDATE orders SET amount = ? WHERE id = 'o1-0'", (len(runs),))
            if len(runs) % 2 == 0:
                db.execute("DELETE FROM counters")
                db.execute("DELETE FROM journal WHERE 0")

    act()
    _, surprise = told
    assert isinstance(surprise, ImpactSurprise)
    assert ("orders.amount", "counters", "journal") == surprise.where
    assert (1, 1) == (surprise.expected.rows, surprise.actual.rows)


def test_no_surprise_where_all_is_as_expected(world: SqlWorld, given: sqlite3.Connection):
    """In any kind of world, also over several connections, and nothing is left on a given one."""
    told: list[object] = []
    gate = ImpactGate(world=world)
    gate.subscribe(told.append)

    @gate.check
    def act() -> int:
        for order in ("o1-0", "o2-0"):
            with world.connection() as db:
                changed = db.execute("UPDATE orders SET amount = amount + 1 WHERE id = ?", (order,)).rowcount
        return changed

    assert 1 == act()
    assert [Assessed] == [type(event) for event in told]
    assert [] == given.execute("SELECT name FROM temp.sqlite_master").fetchall()
    given.execute("DELETE FROM lines")
    given.commit()


def test_comparing_disturbs_no_call(shop: Path, peek):
    """A real run past the limit of rows is made all the same; there is nothing to compare then."""
    with closing(SqlWorld(shop, max_changes=5)) as world:
        told: list[object] = []
        gate = ImpactGate(world=world)
        gate.subscribe(told.append)

        @gate.check(simulate=lambda: _touch(world))
        def act() -> int:
            with world.connection() as db:
                return db.execute("UPDATE orders SET amount = 1").rowcount

        assert 100 == act()
        assert [Assessed] == [type(event) for event in told]
    assert [(100.0,)] == peek("SELECT sum(amount) FROM orders")


def _touch(world: SqlWorld) -> None:
    with world.connection() as db:
        db.execute("UPDATE orders SET amount = 1 WHERE id = 'o1-0'")


def test_comparing_can_be_switched_off(on: SqlWorld):
    """Then the real connection is not watched at all."""
    told: list[object] = []
    gate = ImpactGate(world=on, compare=False)
    gate.subscribe(told.append)

    @gate.check(simulate=lambda: _touch(on))
    def act() -> None:
        with on.connection() as db:
            assert [] == db.execute("SELECT name FROM temp.sqlite_master").fetchall()
            db.execute("DELETE FROM lines WHERE place = 1")

    act()
    assert [Assessed] == [type(event) for event in told]


def test_the_model_is_asked_with_the_diff(on: SqlWorld, closing_accounts):
    """A model of one's own sees exact counts by table."""
    seen = []

    def model(action: Action) -> float:
        seen.append({name: table.rows for name, table in action.diff.tables.items()})
        return 0.0

    closing_accounts(ImpactGate(world=on, model=model), on)(2)
    assert [{"customers": 2, "orders": 4, "lines": 8, "journal": 4}] == seen


def test_an_assessment_with_a_diff_is_plain_data(on: SqlWorld, closing_accounts):
    """It goes into logs and over wires."""
    import json

    gate = ImpactGate(world=on)
    told = json.loads(json.dumps(gate.assess(closing_accounts(gate, on), 12).to_dict(), allow_nan=False))
    assert 12 + 24 + 48 + 24 == told["diff"]["rows"]
    assert 12 == told["diff"]["tables"]["customers"]["deleted"]
    assert 20 == len(told["diff"]["sample"])
    assert 64 == len(told["effect"])


def test_no_row_is_in_the_repr(on: SqlWorld, closing_accounts):
    """Logs and explanations show reprs; values belong to those who ask for the sample."""
    gate = ImpactGate(world=on)
    found = gate.assess(closing_accounts(gate, on), 2)
    assert found.diff.sample[0].values["email"] == ("0@x", None)
    assert "@x" not in repr(found) + repr(found.diff)
    assert (
        "<Diff deletes 8 of 200 lines; deletes 4 of 100 orders; inserts 4 journal; deletes 2 of 50 customers>"
        == repr(found.diff)
    )


def test_the_gate_refuses_before_the_commit_point(on: SqlWorld, closing_accounts):
    """What other guards handed over for the commit is not written when the gate refuses."""
    from patterns.kernel.commit import Intent
    from patterns.kernel.guard import Guard, attach

    written = []

    class Outer(Guard):
        async def around(self, call, proceed):
            async def write() -> None:
                written.append(call.name)

            call.at_commit(Intent(write))
            return await proceed()

    guarded = attach(closing_accounts(ImpactGate(world=on, review=0.5), on), Outer())
    with pytest.raises(ActionBlocked):
        guarded(40)
    assert [] == written
    assert 1 == guarded(1)
    assert ["close_accounts"] == written


def test_spans_tell_the_decision_and_keep_the_rehearsal_apart(on: SqlWorld, spans, closing_accounts):
    """The gate's span says what was decided, in few words and no values; the rehearsal has a span of its own."""
    act = closing_accounts(ImpactGate(world=on), on)
    with pytest.raises(ActionBlocked):
        act(40)
    gate = spans.one("gate.check")
    assert ("block", "CRITICAL", "global") == tuple(
        gate.attributes[f"patterns.gate.{name}"] for name in ("decision", "level", "scope")
    )
    assert 0.99 < gate.attributes["patterns.gate.impact"] <= 1.0
    assert (
        spans.one("rehearse close_accounts").parent.span_id == spans.one("execute_tool close_accounts").context.span_id
    )

"""The gate with a world: measure on a twin, decide, ask, run, compare."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

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

ROOT = Path(__file__).parents[2]
DELETE = "DELETE FROM customers WHERE id < ?"


@pytest.fixture
def on(shop: Path):
    """Return a world on the shop."""
    with closing(SqlWorld(shop, volatile={"journal.at"})) as world:
        yield world


def closing_accounts(gate: ImpactGate, world: SqlWorld, **options):
    """Return a guarded function that deletes customers."""

    def close_accounts(below: int) -> int:
        with world.connection() as db:
            return db.execute(DELETE, (below,)).rowcount

    return gate.check(**options)(close_accounts)


def test_a_small_action_runs_and_a_large_one_does_not(on: SqlWorld, peek):
    """Judged by what it does, not by what it is called; the diff says why."""
    act = closing_accounts(ImpactGate(world=on, review=0.5), on)
    assert 1 == act(1)
    assert [(49,)] == peek("SELECT count(*) FROM customers")
    with pytest.raises(ActionBlocked, match="deletes 116 of 196 lines") as caught:
        act(30)
    assert [(49,)] == peek("SELECT count(*) FROM customers")
    assessment = caught.value.assessment
    assert (Scope.GLOBAL, "block", None) == (assessment.scope, assessment.decision, assessment.error)
    assert 29 == assessment.diff.tables["customers"].deleted


def test_the_same_verdict_in_every_kind_of_world(world: SqlWorld):
    """Savepoint, copy or given connection, the impact is the same."""
    gate = ImpactGate(world=world)
    found = gate.assess(closing_accounts(gate, world), 3)
    assert 1 - 2 ** -(3 / 10 + 6 / 10 + 12 / 10 + 6 / 200 + 12 / 220 / 0.25) == pytest.approx(found.impact)
    assert "block" == found.decision


def test_async_functions(on: SqlWorld, peek):
    """The twin follows the context, also into a worker thread; the loop is never blocked."""
    gate = ImpactGate(world=on, review=0.5)

    def delete(below: int) -> int:
        with on.connection() as db:
            return db.execute(DELETE, (below,)).rowcount

    @gate.check
    async def close_accounts(below: int) -> int:
        await asyncio.sleep(0)
        return await asyncio.to_thread(delete, below)

    async def main() -> None:
        assert 1 == await close_accounts(1)
        with pytest.raises(ActionBlocked):
            await close_accounts(40)
        assert "block" == (await gate.assess(close_accounts, 40)).decision

    asyncio.run(main())
    assert [(49,)] == peek("SELECT count(*) FROM customers")


def test_a_cancelled_rehearsal_leaves_nothing_and_frees_the_database(on: SqlWorld, shop: Path, everything):
    """Cancellation is no way around the gate, and no lock outlives it."""
    before = everything()
    reached = asyncio.Event()

    def delete() -> None:
        with on.connection() as db:
            db.execute("DELETE FROM lines")

    @ImpactGate(world=on).check
    async def act() -> None:
        await asyncio.to_thread(delete)
        reached.set()
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(act())
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert before == everything()
    with closing(sqlite3.connect(shop, timeout=0)) as other:
        assert 2 == other.execute("DELETE FROM counters").rowcount


def test_an_interrupt_in_a_rehearsal_leaves_nothing(on: SqlWorld, everything):
    """Ctrl-C is passed on, the twin is gone."""
    before = everything()

    @ImpactGate(world=on).check
    def act() -> None:
        with on.connection() as db:
            db.execute("DELETE FROM lines")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        act()
    assert before == everything()
    with on.connection() as db:
        db.execute("DELETE FROM counters")


KILLED = """
    import os, signal, sys
    from patterns.impact_gate import ImpactGate, SqlWorld

    world = SqlWorld(sys.argv[1], timeout=60)

    @ImpactGate(world=world).check
    def act():
        with world.connection() as db:
            db.execute("PRAGMA cache_size = 1")
            db.execute("PRAGMA cache_spill = 1")
            db.execute("UPDATE lines SET sku = hex(randomblob(5000))")
            os.kill(os.getpid(), signal.SIGKILL)

    act()
"""


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_a_process_killed_in_a_rehearsal_leaves_nothing(journal: str, shop: Path, everything):
    """SIGKILL with pages already spilled to disk: the next reader finds the database as it was."""
    with closing(sqlite3.connect(shop)) as db:
        db.execute(f"PRAGMA journal_mode = {journal}")
    before = everything()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(shop)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert -signal.SIGKILL == done.returncode, done.stderr
    assert before == everything()


# What cannot be told does not run


def refused(on: SqlWorld, function, *args: object, **options) -> Assessment:
    """Return why a call of *function* was refused, which is to say that its impact is unknown."""
    with pytest.raises(ActionBlocked) as caught:
        ImpactGate(world=on).check(**options)(function)(*args)
    assert caught.value.assessment.error is not None
    return caught.value.assessment


def test_a_rehearsal_that_raises_says_nothing_about_the_real_run(on: SqlWorld):
    """By default any error makes the impact unknown; the cause is kept."""

    def act() -> None:
        with on.connection() as db:
            db.execute("DELETE FROM nowhere")

    found = refused(on, act)
    assert "no such table: nowhere" in found.error
    assert isinstance(found.cause.__cause__, sqlite3.OperationalError)


def test_an_expected_error_is_an_outcome(on: SqlWorld, peek):
    """A function that refuses by itself may do so: the real call raises its own error."""

    def act(order: str) -> None:
        with on.connection() as db:
            db.execute("INSERT INTO journal (what) VALUES (?)", (order,))
        if order == "none":
            raise LookupError(order)

    guarded = ImpactGate(world=on).check(expected=LookupError)(act)
    with pytest.raises(LookupError, match="none"):
        guarded("none")
    assert [("none",)] == peek("SELECT what FROM journal")
    assert "LookupError" in refused(on, act, "none", expected=ValueError).error


def test_an_expected_error_before_the_world_is_reached(on: SqlWorld):
    """Checking arguments first is what good functions do."""

    @ImpactGate(world=on).check(expected=ValueError)
    def pay(amount: int) -> None:
        if amount < 0:
            raise ValueError(amount)

    with pytest.raises(ValueError, match="-1"):
        pay(-1)


def test_a_function_that_never_comes_near_the_world_is_not_measured(on: SqlWorld):
    """No change in the world is no proof of no change at all."""
    assert "never came near the world" in refused(on, lambda: 42).error


def test_arguments_are_not_used_up_or_changed(on: SqlWorld):
    """The real call gets what the caller passed."""

    def act(ids: list[int], more: dict[str, list[int]]) -> tuple[list[int], dict[str, list[int]]]:
        with on.connection() as db:
            db.execute("DELETE FROM counters WHERE value = -1")
        seen = (list(ids), {key: list(value) for key, value in more.items()})
        ids.clear()
        more["x"].append(1)
        return seen

    assert ([1, 2], {"x": []}) == ImpactGate(world=on).check(act)([1, 2], more={"x": []})
    assert "ids is an iterator" in refused(on, act, iter([1]), {"x": []}).error


def test_another_guarded_call_does_not_take_part_in_a_rehearsal(on: SqlWorld, peek):
    """Its guards would claim and write for real."""
    gate = ImpactGate(world=on)
    inner = closing_accounts(gate, on)

    def outer() -> None:
        with on.connection():
            inner(1)

    assert "cannot take part in the rehearsal of outer" in refused(on, outer).error
    assert [(50,)] == peek("SELECT count(*) FROM customers")


def test_a_simulation_stands_in_for_what_acts_elsewhere(on: SqlWorld):
    """Only the simulation runs on the twin; the mail is sent once, for real."""
    sent = []

    def in_database(order: str) -> None:
        with on.connection() as db:
            db.execute("UPDATE orders SET amount = 0 WHERE id = ?", (order,))

    def refund(order: str, text: str) -> None:
        in_database(order)
        sent.append((order, text))

    gate = ImpactGate(world=on)
    guarded = gate.check(simulate=in_database)(refund)
    assert 1 == gate.assess(guarded, "o1-0", "sorry").diff.rows
    assert [] == sent
    guarded("o1-0", text="sorry")
    assert [("o1-0", "sorry")] == sent


def test_generators_need_a_simulation(on: SqlWorld):
    """How far a generator runs is up to its consumer."""
    gate = ImpactGate(world=on)

    def rows():
        with on.connection() as db:
            yield db.execute("DELETE FROM counters").rowcount

    def all_rows() -> None:
        with on.connection() as db:
            db.execute("DELETE FROM counters")

    with pytest.raises(Misuse, match="cannot be tried"):
        gate.check(rows)
    assert [2] == list(gate.check(simulate=all_rows)(rows)())

    async def later():
        yield 42

    with pytest.raises(Misuse, match="cannot be tried"):
        gate.check(later)


def test_a_block_is_simulated_or_judged_by_its_facts(on: SqlWorld, peek):
    """Without either the rows cannot be counted, and the block is not entered."""
    gate = ImpactGate(world=on, review=0.5)

    def delete(below: int) -> None:
        with on.connection() as db:
            db.execute(DELETE, (below,))

    with gate.step("close accounts", simulate=delete, below=1):
        delete(1)
    assert [(49,)] == peek("SELECT count(*) FROM customers")
    with pytest.raises(ActionBlocked), gate.step("close accounts", simulate=delete, below=40):
        delete(40)
    with pytest.raises(ActionBlocked, match="was not tried in a world"), gate.step("close accounts", below=1):
        delete(1)
    judged = ImpactGate(world=on, model=lambda action: action.arguments["below"] / 50)
    with judged.step("close accounts", below=3):
        pass


def test_async_blocks_simulate_too(on: SqlWorld):
    """An async block takes an async simulation."""

    def delete(below: int) -> None:
        with on.connection() as db:
            db.execute(DELETE, (below,))

    async def simulate(below: int) -> None:
        await asyncio.to_thread(delete, below)

    async def main() -> None:
        async with ImpactGate(world=on, review=0.5).step("close", simulate=simulate, below=1):
            pass
        with pytest.raises(ActionBlocked):
            async with ImpactGate(world=on, review=0.5).step("close", simulate=simulate, below=40):
                pass

    asyncio.run(main())


def test_a_given_connection_is_for_def_functions(given: sqlite3.Connection):
    """Other tasks would get into the rehearsal, and be taken back with it."""
    gate = ImpactGate(world=SqlWorld(given))
    with pytest.raises(Misuse, match="other tasks"):

        @gate.check
        async def act() -> None:
            return None


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


def test_a_baseline_with_an_argument_nobody_knows(on: SqlWorld):
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


def test_the_reviewer_sees_the_diff_and_the_call_runs(on: SqlWorld, peek):
    """What was approved is what runs."""
    asked = []
    gate = ImpactGate(world=on, block=1.0, reviewer=lambda assessment: asked.append(assessment) or True)
    assert 5 == closing_accounts(gate, on)(5)
    assert [(45,)] == peek("SELECT count(*) FROM customers")
    assert 5 == asked[0].diff.tables["customers"].deleted


def test_a_world_that_moved_during_the_review_is_noticed(on: SqlWorld, peek):
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


def test_the_model_is_asked_with_the_diff(on: SqlWorld):
    """A model of one's own sees exact counts by table."""
    seen = []

    def model(action: Action) -> float:
        seen.append({name: table.rows for name, table in action.diff.tables.items()})
        return 0.0

    closing_accounts(ImpactGate(world=on, model=model), on)(2)
    assert [{"customers": 2, "orders": 4, "lines": 8, "journal": 4}] == seen


def test_an_assessment_with_a_diff_is_plain_data(on: SqlWorld):
    """It goes into logs and over wires."""
    import json

    gate = ImpactGate(world=on)
    told = json.loads(json.dumps(gate.assess(closing_accounts(gate, on), 12).to_dict(), allow_nan=False))
    assert 12 + 24 + 48 + 24 == told["diff"]["rows"]
    assert 12 == told["diff"]["tables"]["customers"]["deleted"]
    assert 20 == len(told["diff"]["sample"])
    assert 64 == len(told["effect"])


def test_the_gate_refuses_before_the_commit_point(on: SqlWorld):
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

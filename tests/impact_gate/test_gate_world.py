"""The gate with a world: measure on a twin, decide, run; what cannot be told does not run."""

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
    Assessed,
    Assessment,
    ImpactGate,
    Scope,
    SqlWorld,
)

ROOT = Path(__file__).parents[2]
DELETE = "DELETE FROM customers WHERE id < ?"


def test_a_small_action_runs_and_a_large_one_does_not(on: SqlWorld, peek, closing_accounts):
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


def test_the_same_verdict_in_every_kind_of_world(world: SqlWorld, closing_accounts):
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


def test_another_guarded_call_does_not_take_part_in_a_rehearsal(on: SqlWorld, peek, closing_accounts):
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


def test_many_calls_at_once_wait_their_turn(on: SqlWorld, peek):
    """Far more tasks than worker threads, each rehearsed and run; none is refused for a lock its own process holds."""

    def add(amount: int) -> None:
        with on.connection() as db:
            db.execute("UPDATE counters SET value = value + ? WHERE name = 'orders'", (amount,))

    told: list[object] = []
    gate = ImpactGate(world=on, review=0.9, block=0.9)
    gate.subscribe(told.append)

    @gate.check
    async def act(amount: int) -> None:
        await asyncio.to_thread(add, amount)
        await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(act(1) for _ in range(40)))

    asyncio.run(main())
    assert [(140,)] == peek("SELECT value FROM counters WHERE name = 'orders'")
    assert {Assessed} == {type(event) for event in told}  # nobody got between a rehearsal and its run


def test_a_turn_that_does_not_come_is_a_refusal(shop: Path):
    """The time is the clock's; who waits for too long knows nothing."""
    from patterns.testing import ManualClock

    entered = asyncio.Event()

    async def main() -> None:
        with closing(SqlWorld(shop, timeout=5, clock=ManualClock())) as world:
            gate = ImpactGate(world=world)

            @gate.check
            async def slow() -> None:
                entered.set()
                await asyncio.Event().wait()

            @gate.check
            async def quick() -> None:
                return None

            task = asyncio.create_task(slow())
            await entered.wait()
            with pytest.raises(ActionBlocked, match="keep the database busy for more than 5 s"):
                await quick()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert "never came near" in (await gate.assess(quick)).error

    asyncio.run(main())


def test_a_guarded_call_inside_of_another_does_not_wait_for_itself(on: SqlWorld, peek, closing_accounts):
    """The turn is the outer call's; only inside of its open transaction a rehearsal is refused, and at once."""
    gate = ImpactGate(world=on, review=0.5)
    inner = closing_accounts(gate, on)

    def in_world() -> None:
        with on.connection() as db:
            db.execute("DELETE FROM counters")

    runs = []

    @gate.check(simulate=in_world)
    def outer() -> int:
        runs.append(1)
        return inner(1)

    assert 1 == outer()
    assert [(49,)] == peek("SELECT count(*) FROM customers")
    with on.connection(), pytest.raises(ActionBlocked, match=r"inside of world\.connection"):
        inner(2)

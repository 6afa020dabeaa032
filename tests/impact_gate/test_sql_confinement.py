"""What is tried stays in the trial: no way out of a twin, and bounds on what it may take."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from patterns.errors import Misuse
from patterns.impact_gate import SqlWorld, Unmeasurable

if TYPE_CHECKING:
    from pathlib import Path


# What must not escape


ESCAPES = {
    "the whole transaction falls": lambda db: db.execute("INSERT OR ROLLBACK INTO customers VALUES (1, 'a', 'b')"),
    "another database": lambda db: db.execute("ATTACH 'other.db' AS other"),
    "blobs": lambda db: db.blobopen("lines", "sku", 1),
    "the authorizer": lambda db: db.set_authorizer(None),
    "the progress handler": lambda db: db.set_progress_handler(None, 0),
    "an extension": lambda db: db.enable_load_extension(True),  # noqa: FBT003 - its signature
    "another database in its place": lambda db: db.deserialize(b""),
    "foreign keys": lambda db: db.execute("PRAGMA foreign_keys = OFF"),
}


@pytest.mark.parametrize("escape", ESCAPES)
def test_what_could_escape_makes_the_effect_unknown(escape: str, shop: Path, everything, tried_function):
    """It is refused on the spot, remembered even if the function goes on, and nothing remains."""
    before = everything()

    def act() -> None:
        with world.connection() as db:
            with suppress(sqlite3.Error):
                ESCAPES[escape](db)
            with suppress(sqlite3.Error):
                db.execute("DELETE FROM counters")

    with closing(SqlWorld(shop)) as world:
        with pytest.raises(Unmeasurable):
            tried_function(world, act)
        assert before == everything()


@pytest.mark.parametrize("escape", ESCAPES)
def test_nothing_escapes_from_a_given_connection(escape: str, given: sqlite3.Connection, tried_function, tried):
    """The same holds where the connection itself is the twin."""
    before = list(given.iterdump())
    world = SqlWorld(given)

    def act() -> None:
        with world.connection() as db:
            with suppress(sqlite3.Error):
                ESCAPES[escape](db)
            with suppress(sqlite3.Error):
                db.execute("DELETE FROM counters")

    with pytest.raises(Unmeasurable):
        tried_function(world, act)
    assert before == list(given.iterdump())
    assert 2 == len(tried(world, "DELETE FROM counters").changes)


def test_a_copy_keeps_other_databases_out(shop: Path, tmp_path: Path, tried_function):
    """A copy may do as it likes, but not with databases that were not copied."""
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE t (a)")

    def attach(db: sqlite3.Connection) -> None:
        db.execute("ATTACH ? AS other", (str(other),))

    def act() -> None:
        with world.connection() as db, pytest.raises(sqlite3.DatabaseError):
            db.execute("INSERT INTO other.t VALUES (1)")

    with closing(SqlWorld(shop, twin="copy", setup=attach)) as world, pytest.raises(Unmeasurable, match="no copy"):
        tried_function(world, act)

    def copy_out() -> None:
        with world.connection() as db, pytest.raises(sqlite3.DatabaseError):
            db.execute("VACUUM INTO ?", (str(tmp_path / "out.db"),))

    with closing(SqlWorld(shop, twin="copy")) as world, pytest.raises(Unmeasurable, match="attaches"):
        tried_function(world, copy_out)
    assert not (tmp_path / "out.db").exists()


def test_writes_to_an_attached_database_are_uncovered_and_taken_back(shop: Path, tmp_path: Path, tried):
    """The transaction holds for all attached files, although nobody looks into them."""
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE t (a)")

    def attach(db: sqlite3.Connection) -> None:
        db.execute("ATTACH ? AS other", (str(other),))

    with closing(SqlWorld(shop, setup=attach)) as world:
        assert ("other.t",) == tried(world, "INSERT INTO other.t VALUES (1)").uncovered
    with closing(sqlite3.connect(other)) as db:
        assert [] == db.execute("SELECT * FROM t").fetchall()


def test_a_function_that_writes_past_the_world_finds_it_locked(shop: Path, everything, tried_function):
    """A connection of its own cannot write during the rehearsal, so no real effect slips through."""
    before = everything()

    def act() -> None:
        with closing(sqlite3.connect(shop, timeout=0)) as db:
            db.execute("DELETE FROM lines")
            db.commit()

    with closing(SqlWorld(shop)) as world, pytest.raises(sqlite3.OperationalError, match="locked"):
        tried_function(world, act)
    assert before == everything()


def test_a_given_connection_used_directly_is_tried_as_well(given: sqlite3.Connection, tried_function):
    """The function need not know of the world, as long as it does not commit; if it does, nothing is said."""
    world = SqlWorld(given)
    effect = tried_function(world, lambda: given.execute("DELETE FROM lines"))
    assert 200 == len(effect.changes)

    def commits() -> None:
        given.execute("DELETE FROM lines")
        with pytest.raises(sqlite3.DatabaseError):
            given.commit()

    with pytest.raises(Unmeasurable, match="ends the transaction itself"):
        tried_function(world, commits)
    assert (200,) == given.execute("SELECT count(*) FROM lines").fetchone()


def test_a_statement_prepared_earlier_is_seen(given: sqlite3.Connection, tried_function):
    """SQLite prepares it again, so neither the record nor the confinement has a hole where a cache is."""
    given.execute("DELETE FROM journal WHERE what = 'x'")
    given.commit()
    world = SqlWorld(given)
    for _ in range(2):
        effect = tried_function(world, lambda: given.execute("DELETE FROM journal WHERE what = 'x'"))
        assert ("journal",) == effect.written


def test_a_connection_in_the_middle_of_a_transaction_is_not_used(given: sqlite3.Connection, tried):
    """A rehearsal could lose what others have not committed."""
    given.execute("DELETE FROM lines")
    with pytest.raises(Unmeasurable, match="middle of a transaction"):
        tried(SqlWorld(given), "DELETE FROM orders")
    assert given.in_transaction
    assert (0,) == given.execute("SELECT count(*) FROM lines").fetchone()


def test_code_that_outlives_its_rehearsal_reaches_nothing(world: SqlWorld):
    """Neither the twin, which is gone, nor the real thing."""
    kept = []

    def act() -> None:
        with world.connection() as db:
            kept.append(db)

    twin = world.twin()
    twin.open()
    with twin.visible():
        act()
        twin.close()
        with pytest.raises(Misuse, match="rehearsal this code belongs to is over"), world.connection():
            pass
        with pytest.raises((Misuse, sqlite3.ProgrammingError)):
            kept[0].execute("DELETE FROM lines")


# Bounds


def test_too_many_rows_end_the_rehearsal(shop: Path, everything, tried_function, tried):
    """The limit holds per table, and a function that swallows the error does not hide it."""
    before = everything()

    def act() -> None:
        with world.connection() as db:
            try:
                db.execute("DELETE FROM lines")
            except sqlite3.Error:
                db.rollback()

    with closing(SqlWorld(shop, max_changes=150)) as world:
        with pytest.raises(Unmeasurable, match="more than 150 rows"):
            tried_function(world, act)
        assert 100 == len(tried(world, "UPDATE orders SET amount = 1").changes)
    assert before == everything()


def test_a_rehearsal_that_takes_too_long_ends(shop: Path, tried_function, tried):
    """The time comes from the clock, and the database is free again."""
    from patterns.testing import ManualClock

    clock = ManualClock()

    def slow(db: sqlite3.Connection) -> None:
        db.create_function("tick", 0, lambda: clock.advance(1.0))

    with closing(SqlWorld(shop, timeout=30, clock=clock, setup=slow)) as world:
        with pytest.raises(Unmeasurable, match="longer than 30 s"):
            tried_function(world, lambda: _endless(world))
        assert 2 == len(tried(world, "DELETE FROM counters").changes)


def _endless(world: SqlWorld) -> None:
    with world.connection() as db, pytest.raises(sqlite3.OperationalError):
        db.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i + coalesce(tick(), 0)) FROM n"
        )


def test_large_tables_are_counted_as_far_as_it_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tried, told):
    """A lower bound of the population is an upper bound of the fraction, and is called so."""
    monkeypatch.setattr("patterns.impact_gate.sql_recorder.COUNTED_AT_LEAST", 10)
    path = tmp_path / "large.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE t (a)")
        db.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(1000)])
        db.commit()
    with closing(SqlWorld(path)) as world:
        assert {"deletes 2 of over 42 t"} == told(world, tried(world, "DELETE FROM t WHERE a < 2"))
        assert {"deletes 500 of 1000 t"} == told(world, tried(world, "DELETE FROM t WHERE a < 500"))


def test_the_work_of_a_rehearsal_does_not_grow_with_the_database(tmp_path: Path, tried):
    """SQLite takes as many steps for one row of 100 as for one row of 20 000."""

    def steps(rows: int) -> int:
        path = tmp_path / f"{rows}.db"
        with closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE)")
            db.executemany("INSERT INTO t VALUES (?, ?)", [(number, f"a{number}") for number in range(rows)])
            db.commit()
        with closing(SqlWorld(path)) as world:
            tried(world, "UPDATE t SET a = 'x' WHERE id = 7")
            twin = world.twin()
            twin.open()
            counted = []
            twin._connection.set_progress_handler(lambda: counted.append(1), 1)
            with twin.visible(), world.connection() as db:
                db.execute("INSERT OR REPLACE INTO t VALUES (7, 'a9')")
            assert 2 == len(twin._recorder.effect(counted=False).changes)  # counting has a test of its own, above
            twin.close()
        return len(counted)

    small, large = steps(100), steps(20_000)
    assert large <= small * 1.2


def test_others_can_read_meanwhile_and_write_afterwards(shop: Path, peek, tried_function):
    """The savepoint twin holds the write lock during the rehearsal only; readers are not disturbed."""

    def act() -> None:
        with world.connection() as db:
            db.execute("DELETE FROM lines")
            assert [(200,)] == peek("SELECT count(*) FROM lines")
            with closing(sqlite3.connect(shop, timeout=0)) as other, pytest.raises(sqlite3.OperationalError):
                other.execute("DELETE FROM counters")

    with closing(SqlWorld(shop)) as world:
        assert 200 == len(tried_function(world, act).changes)
    with closing(sqlite3.connect(shop, timeout=0)) as other:
        assert 2 == other.execute("DELETE FROM counters").rowcount


def test_a_locked_database_is_no_reason_to_guess(shop: Path, tried):
    """Without the lock there is no rehearsal, so there is no answer."""
    with closing(sqlite3.connect(shop)) as other, closing(SqlWorld(shop, timeout=0.01)) as world:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unmeasurable, match="locked"):
            tried(world, "DELETE FROM lines")
        other.rollback()
        assert 2 == len(tried(world, "DELETE FROM counters").changes)


def test_rehearsals_at_once_wait_for_each_other(shop: Path, everything, tried):
    """Several threads try and none sees another's rows."""
    before = everything()
    found: list[int] = []

    def work() -> None:
        effect = tried(world, "DELETE FROM customers WHERE id < 5")
        found.append(sum(one.table == "customers" for one in effect.changes))

    with closing(SqlWorld(shop, timeout=30)) as world:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [5] * 8 == found
    assert before == everything()

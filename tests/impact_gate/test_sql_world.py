"""A SQLite world: what a rehearsal sees, and that nothing of it remains."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from patterns.errors import Misuse
from patterns.impact_gate import Effect, SqlWorld, Unmeasurable
from patterns.impact_gate.diff import summarise

if TYPE_CHECKING:
    from pathlib import Path


def tried(world: SqlWorld, *statements: str) -> Effect:
    """Return the effect of the statements, tried and taken back."""

    def act() -> None:
        with world.connection() as db:
            for statement in statements:
                db.execute(statement)

    return tried_function(world, act)


def tried_function(world: SqlWorld, act) -> Effect:
    """Return the effect of a function, tried and taken back."""
    twin = world.twin()
    try:
        twin.open()
        with twin.visible():
            act()
        return twin.effect()
    finally:
        twin.close()


def told(world: SqlWorld, effect: Effect) -> set[str]:
    """Return an effect in sentences."""
    return set(summarise(effect, world.lens).sentences())


CASES = {
    "a cascade over two tables, and what triggers add": (
        ["DELETE FROM customers WHERE id IN (1, 2)"],
        {"deletes 2 of 50 customers", "deletes 4 of 100 orders", "deletes 8 of 200 lines", "inserts 4 journal"},
    ),
    "a replaced row, and another that was in its way": (
        ["INSERT OR REPLACE INTO customers VALUES (1, 'z', '5@X')"],
        {"updates 1 of 50 customers", "deletes 1 of 50 customers", "deletes 4 of 100 orders", "deletes 8 of 200 lines"}
        | {"inserts 4 journal"},
    ),
    "an update that replaces another row": (
        ["UPDATE OR REPLACE customers SET email = '9@x' WHERE id = 8"],
        {"updates 1 of 50 customers", "deletes 1 of 50 customers", "deletes 2 of 100 orders", "deletes 4 of 200 lines"}
        | {"inserts 2 journal"},
    ),
    "a row that a trigger changes as soon as it is there": (
        ["INSERT INTO customers (name) VALUES ('new')"],
        {"inserts 1 customers"},
    ),
    "an upsert": (
        ["INSERT INTO orders VALUES ('o1-0', 1, 99) ON CONFLICT DO UPDATE SET amount = excluded.amount"],
        {"updates 1 of 100 orders"},
    ),
    "an insert that is ignored": (["INSERT OR IGNORE INTO orders VALUES ('o1-0', 1, 99)"], set()),
    "a key that changes, with what refers to it": (
        ["UPDATE customers SET id = 1000 WHERE id = 3"],
        {"deletes 1 of 50 customers", "inserts 1 customers", "updates 2 of 100 orders"},
    ),
    "a whole table": (["DELETE FROM lines"], {"deletes 200 of 200 lines"}),
    "a row and back": (
        ["UPDATE orders SET amount = 5 WHERE id = 'o1-0'", "UPDATE orders SET amount = 10.0 WHERE id = 'o1-0'"],
        set(),
    ),
    "a row that comes and goes": (
        ["INSERT INTO counters VALUES ('x', 1)", "DELETE FROM counters WHERE name = 'x'"],
        set(),
    ),
    "a row that goes and comes back changed": (
        ["DELETE FROM lines WHERE order_id = 'o1-0' AND place = 1", "INSERT INTO lines VALUES ('o1-0', 1, 'other')"],
        {"updates 1 of 200 lines"},
    ),
    "a table without a key": (["UPDATE counters SET value = value + 1"], {"updates 2 of 2 counters"}),
    "structure": (["CREATE TABLE extra (a)"], {"create table extra"}),
    "a dropped table": (["DROP TABLE counters"], {"drop table counters"}),
    "an altered table": (["ALTER TABLE journal ADD COLUMN who TEXT"], {"alter table journal"}),
    "nothing but looking": (["SELECT * FROM customers"], set()),
    "a table of its own for the moment": (["CREATE TEMP TABLE t (a)", "INSERT INTO t VALUES (1)"], set()),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.replace(" ", "-"))
def test_a_rehearsal_sees_every_row(case: str, world: SqlWorld):
    """Cascades, triggers, replaced rows, changed keys: each touched row once, with what it was."""
    statements, expected = CASES[case]
    assert expected == told(world, tried(world, *statements))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.replace(" ", "-"))
def test_nothing_of_a_rehearsal_remains(case: str, shop: Path, everything):
    """Rows, structure and names are as before, whatever was tried, and however often."""
    before = everything()
    with closing(SqlWorld(shop)) as world:
        for _ in range(2):
            tried(world, *CASES[case][0])
            assert before == everything()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.replace(" ", "-"))
def test_nothing_remains_on_a_given_connection(case: str, given: sqlite3.Connection):
    """Temporary tables and triggers are gone too, and the connection is where it was."""
    before = list(given.iterdump())
    tried(SqlWorld(given), *CASES[case][0])
    assert before == list(given.iterdump())
    assert [] == given.execute("SELECT name FROM temp.sqlite_master").fetchall()
    assert not given.in_transaction


def test_all_twins_tell_the_same_story(shop: Path, given: sqlite3.Connection):
    """Savepoint, copy and given connection agree on the whole effect, row by row."""
    worlds = [SqlWorld(shop), SqlWorld(shop, twin="copy"), SqlWorld(given)]
    for statements, _ in CASES.values():
        stories = [sorted(map(repr, tried(world, *statements).changes)) for world in worlds]
        assert stories[0] == stories[1] or "journal" in repr(stories)  # the journal holds the time of day
        assert stories[0] == stories[2] or "journal" in repr(stories)
    for world in worlds:
        world.close()


def test_the_effect_holds_both_images_of_a_row(world: SqlWorld):
    """Before and after, exactly as stored: types, bytes and numbers are not rounded."""
    effect = tried(
        world,
        "UPDATE orders SET amount = 0.1 + 0.2 WHERE id = 'o1-0'",
        "UPDATE lines SET sku = x'00ff' WHERE order_id = 'o1-0' AND place = 1",
    )
    order, line = effect.changes
    assert (("o1-0", 1, 10.0), ("o1-0", 1, 0.1 + 0.2)) == (order.before, order.after)
    assert (("o1-0", 1), ("o1-0", 1, b"\x00\xff")) == (line.key, line.after)
    assert ("amount",) == order.changed


def test_rows_without_a_telling_key_are_told_apart(world: SqlWorld, given: sqlite3.Connection):
    """Several rows may have NULL in a primary key that is not an integer; each is a row of its own."""

    def act() -> None:
        with world.connection() as db:
            db.executemany("INSERT INTO orders VALUES (NULL, ?, 1.0)", [(1,), (2,), (3,)])
            db.execute("UPDATE orders SET amount = 7 WHERE id IS NULL AND customer = 2")
            db.execute("DELETE FROM orders WHERE id IS NULL AND customer = 3")

    changes = tried_function(world, act).changes
    assert {(None, 1, 1.0), (None, 2, 7.0)} == {one.after for one in changes if one.table == "orders"}


def test_names_that_need_quotes(tmp_path: Path):
    """Tables and columns may be called anything, even like the rowid's names."""
    path = tmp_path / "odd.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute('CREATE TABLE "odd ""name" ("rowid" TEXT, "select" INT, "oid" INT)')
        db.execute('INSERT INTO "odd ""name" VALUES (\'a\', 1, 2)')
        db.commit()
    with closing(SqlWorld(path)) as world:
        (one,) = tried(world, 'UPDATE "odd ""name" SET "select" = 9').changes
    assert ('odd "name', ("a", 1, 2), ("a", 9, 2)) == (one.table, one.before, one.after)


def test_unique_indexes_of_all_kinds_give_up_their_rows(tmp_path: Path):
    """Rows that REPLACE removes are found by partial, descending and collated indexes and generated columns."""
    path = tmp_path / "unique.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript("""
            CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, low AS (lower(a)) STORED);
            CREATE UNIQUE INDEX by_low ON t (low);
            CREATE UNIQUE INDEX by_b ON t (b COLLATE NOCASE DESC) WHERE b IS NOT NULL;
            INSERT INTO t (id, a, b) VALUES (1, 'A', 'x'), (2, 'B', 'y'), (3, 'C', NULL);
        """)
    with closing(SqlWorld(path)) as world:
        effect = tried(world, "INSERT OR REPLACE INTO t (id, a, b) VALUES (9, 'b', 'X')")
    assert {1, 2} == {one.key[0] for one in effect.changes if one.after is None}
    assert [9] == [one.key[0] for one in effect.changes if one.before is None]


def test_what_triggers_cannot_see_is_named(tmp_path: Path):
    """Virtual tables, and replaced rows behind an index on an expression, are uncovered, not forgotten."""
    path = tmp_path / "unseen.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript("""
            CREATE VIRTUAL TABLE search USING fts5(body);
            CREATE TABLE t (a);
            CREATE UNIQUE INDEX by_low ON t (lower(a));
        """)
    with closing(SqlWorld(path)) as world:
        assert "search" in tried(world, "INSERT INTO search VALUES ('hello')").uncovered
        assert any("unique index on an expression" in one for one in tried(world, "INSERT INTO t VALUES (1)").uncovered)
        assert () == tried(world, "SELECT * FROM t").uncovered
    with closing(sqlite3.connect(path)) as db:
        assert [] == db.execute("SELECT * FROM search").fetchall()


def test_views_are_covered_by_their_triggers(tmp_path: Path):
    """A write to a view ends in tables, whose rows are seen."""
    path = tmp_path / "view.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript("""
            CREATE TABLE t (a); INSERT INTO t VALUES (1), (2);
            CREATE VIEW v AS SELECT a FROM t;
            CREATE TRIGGER gone INSTEAD OF DELETE ON v BEGIN DELETE FROM t WHERE a = OLD.a; END;
        """)
    with closing(SqlWorld(path)) as world:
        effect = tried(world, "DELETE FROM v WHERE a = 2")
    assert ((), {"deletes 1 of 2 t"}) == (effect.uncovered, told(world, effect))


# Transactions


def test_the_functions_own_transactions_stay_inside(world: SqlWorld, peek):
    """commit() keeps and rollback() takes back, within the rehearsal."""

    def act() -> None:
        with world.connection() as db:
            db.execute("DELETE FROM lines WHERE order_id = 'o1-0'")
            db.commit()
            db.execute("DELETE FROM lines WHERE order_id = 'o2-0'")
            db.rollback()
            with db:
                db.execute("DELETE FROM lines WHERE order_id = 'o3-0'")
            with suppress(ZeroDivisionError), db:
                db.execute("DELETE FROM lines WHERE order_id = 'o4-0'")
                1 / 0  # noqa: B018 - raises
            cursor = db.cursor()
            cursor.execute("-- a comment\n /* another */ BEGIN IMMEDIATE")
            cursor.execute("DELETE FROM lines WHERE order_id = 'o5-0'")
            cursor.execute("commit transaction")
            cursor.execute("BEGIN")
            cursor.execute("DELETE FROM lines WHERE order_id = 'o6-0'")
            cursor.execute("ROLLBACK")
            cursor.connection.rollback()
            db.executescript("""
                DELETE FROM lines WHERE order_id = 'o7-0'; -- ; not the end
                CREATE TEMP TRIGGER x AFTER DELETE ON lines BEGIN SELECT 1; SELECT 2; END;
                DELETE FROM lines WHERE order_id = 'o8-0'
            """)

    changes = tried_function(world, act).changes
    assert {f"o{number}-0" for number in (1, 3, 5, 7, 8)} == {one.key[0] for one in changes}
    assert [(200,)] == peek("SELECT count(*) FROM lines")


def test_nested_uses_are_one_transaction(world: SqlWorld):
    """A helper that asks for the connection inside of its caller's block joins it, for real and in a rehearsal."""

    def helper() -> None:
        with world.connection() as db:
            db.execute("DELETE FROM lines WHERE order_id = 'o1-0'")

    def act() -> None:
        with world.connection() as outer:
            helper()
            outer.rollback()

    assert () == tried_function(world, act).changes
    act()
    with world.connection() as db:
        assert (200,) == tuple(db.execute("SELECT count(*) FROM lines").fetchone())


def test_savepoints_of_the_function_work(world: SqlWorld):
    """They nest inside of the rehearsal."""

    def act() -> None:
        with world.connection() as db:
            db.execute("SAVEPOINT mine")
            db.execute("DELETE FROM lines")
            db.execute("ROLLBACK TO mine")
            db.execute("DELETE FROM lines WHERE order_id = 'o1-0'")
            db.execute("RELEASE mine")

    assert 2 == len(tried_function(world, act).changes)


def test_an_error_takes_back_the_block(world: SqlWorld):
    """As the real connection does; what was done before remains to be seen."""

    def act() -> None:
        with world.connection() as db:
            db.execute("DELETE FROM lines WHERE order_id = 'o1-0'")
        with suppress(ZeroDivisionError), world.connection() as db:
            db.execute("DELETE FROM lines")
            1 / 0  # noqa: B018 - raises

    assert 2 == len(tried_function(world, act).changes)


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
def test_what_could_escape_makes_the_effect_unknown(escape: str, shop: Path, everything):
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
def test_nothing_escapes_from_a_given_connection(escape: str, given: sqlite3.Connection):
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


def test_a_copy_keeps_other_databases_out(shop: Path, tmp_path: Path):
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


def test_writes_to_an_attached_database_are_uncovered_and_taken_back(shop: Path, tmp_path: Path):
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


def test_a_function_that_writes_past_the_world_finds_it_locked(shop: Path, everything):
    """A connection of its own cannot write during the rehearsal, so no real effect slips through."""
    before = everything()

    def act() -> None:
        with closing(sqlite3.connect(shop, timeout=0)) as db:
            db.execute("DELETE FROM lines")
            db.commit()

    with closing(SqlWorld(shop)) as world, pytest.raises(sqlite3.OperationalError, match="locked"):
        tried_function(world, act)
    assert before == everything()


def test_a_given_connection_used_directly_is_tried_as_well(given: sqlite3.Connection):
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


def test_a_statement_prepared_earlier_is_seen(given: sqlite3.Connection):
    """SQLite prepares it again, so neither the record nor the confinement has a hole where a cache is."""
    given.execute("DELETE FROM journal WHERE what = 'x'")
    given.commit()
    world = SqlWorld(given)
    for _ in range(2):
        effect = tried_function(world, lambda: given.execute("DELETE FROM journal WHERE what = 'x'"))
        assert ("journal",) == effect.written


def test_a_connection_in_the_middle_of_a_transaction_is_not_used(given: sqlite3.Connection):
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


def test_too_many_rows_end_the_rehearsal(shop: Path, everything):
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


def test_a_rehearsal_that_takes_too_long_ends(shop: Path):
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


def test_large_tables_are_counted_as_far_as_it_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
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


def test_the_work_of_a_rehearsal_does_not_grow_with_the_database(tmp_path: Path):
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
            effect = twin._recorder._read  # the population is counted separately, see above
            with twin._recorder.ours() as cursor:
                assert 2 == len(list(effect(cursor, 0, twin._recorder._schema.tables[0])))
            twin.close()
        return len(counted)

    small, large = steps(100), steps(20_000)
    assert large <= small * 1.2


def test_others_can_read_meanwhile_and_write_afterwards(shop: Path, peek):
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


def test_a_locked_database_is_no_reason_to_guess(shop: Path):
    """Without the lock there is no rehearsal, so there is no answer."""
    with closing(sqlite3.connect(shop)) as other, closing(SqlWorld(shop, timeout=0.01)) as world:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unmeasurable, match="locked"):
            tried(world, "DELETE FROM lines")
        other.rollback()
        assert 2 == len(tried(world, "DELETE FROM counters").changes)


def test_rehearsals_at_once_wait_for_each_other(shop: Path, everything):
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


# Connections that are kept


def test_a_kept_connection_sees_the_database_of_now(shop: Path):
    """Rows, structure and even the file may have changed since the last rehearsal."""
    with closing(SqlWorld(shop)) as world:
        tried(world, "DELETE FROM counters")
        with world.connection() as db:
            db.execute("CREATE TABLE later (a INTEGER PRIMARY KEY)")
            db.execute("INSERT INTO later VALUES (1)")
        assert {"deletes 1 of 1 later"} == told(world, tried(world, "DELETE FROM later"))
        shop.unlink()
        for rest in shop.parent.glob("shop.db-*"):
            rest.unlink()
        with closing(sqlite3.connect(shop)) as db:
            db.executescript("CREATE TABLE later (a); INSERT INTO later VALUES (1), (2), (3);")
        assert {"deletes 3 of 3 later"} == told(world, tried(world, "DELETE FROM later"))


def test_a_kept_connection_forgets_how_it_was_used(shop: Path):
    """Row factories and pragmas of one function do not reach the next."""
    with closing(SqlWorld(shop)) as world:

        def configures() -> None:
            with world.connection() as db:
                db.row_factory = sqlite3.Row
                db.execute("PRAGMA case_sensitive_like = ON")
                db.execute("DELETE FROM counters WHERE name LIKE 'ORDERS'")

        def reads() -> None:
            with world.connection() as db:
                rows.append(db.execute("SELECT name FROM counters WHERE name LIKE 'ORDERS'").fetchone())

        rows: list[object] = []
        tried_function(world, configures)
        tried_function(world, reads)
        assert [("orders",)] == rows


def test_setup_reaches_every_connection(shop: Path):
    """Functions and row factories are there for real and in both kinds of twins."""

    def setup(db: sqlite3.Connection) -> None:
        db.row_factory = sqlite3.Row
        db.create_function("twice", 1, lambda value: value * 2)

    def act() -> None:
        with world.connection() as db:
            assert 20.0 == db.execute("SELECT twice(amount) AS a FROM orders").fetchone()["a"]
            db.execute("UPDATE orders SET amount = twice(amount) WHERE id = 'o1-0'")

    for kind in ("savepoint", "copy"):
        with closing(SqlWorld(shop, twin=kind, setup=setup)) as world:
            assert 1 == len(tried_function(world, act).changes)
    act()


def test_a_world_can_be_closed_and_used_again(shop: Path):
    """Closing gives up idle connections, no more."""
    world = SqlWorld(shop)
    tried(world, "DELETE FROM counters")
    world.close()
    world.close()
    assert 2 == len(tried(world, "DELETE FROM counters").changes)
    world.close()


# The real connection


def test_the_real_connection_commits_or_rolls_back(shop: Path, peek):
    """At the end of the block, like any connection used as a context."""
    world = SqlWorld(shop)
    with world.connection() as db:
        db.execute("DELETE FROM counters")
    assert [] == peek("SELECT * FROM counters")
    with suppress(ZeroDivisionError), world.connection() as db:
        db.execute("DELETE FROM lines")
        1 / 0  # noqa: B018 - raises
    assert [(200,)] == peek("SELECT count(*) FROM lines")
    with pytest.raises(sqlite3.IntegrityError), world.connection() as db:
        db.execute("INSERT INTO orders VALUES ('o', 999, 1)")


def test_a_given_connection_keeps_its_own_transaction(given: sqlite3.Connection):
    """Who began it ends it."""
    world = SqlWorld(given)
    given.execute("DELETE FROM counters")
    with world.connection() as db:
        db.execute("DELETE FROM lines")
    assert given.in_transaction
    given.rollback()
    assert (2,) == given.execute("SELECT count(*) FROM counters").fetchone()


@pytest.mark.parametrize(
    "make",
    [
        lambda: SqlWorld(":memory:"),
        lambda: SqlWorld(""),
        lambda: SqlWorld(42),
        lambda: SqlWorld("a.db", twin="clone"),
        lambda: SqlWorld("a.db", timeout=0),
        lambda: SqlWorld("a.db", max_changes=0),
        lambda: SqlWorld("a.db", max_changes=True),
        lambda: SqlWorld("a.db", hidden={"email"}),
        lambda: SqlWorld("a.db", volatile="at"),
    ],
)
def test_wrong_options_show_the_right_line(make):
    """A mistake is found where the world is made."""
    with pytest.raises(Misuse, match="right:"):
        make()


def test_a_given_connection_is_set_up_by_its_owner(given: sqlite3.Connection):
    """A setup that would never be called is refused."""
    with pytest.raises(Misuse, match="already open"):
        SqlWorld(given, setup=print)

"""A SQLite world: what a rehearsal sees, and that nothing of it remains."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from patterns.errors import Misuse
from patterns.impact_gate import SqlWorld

if TYPE_CHECKING:
    from pathlib import Path


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
def test_a_rehearsal_sees_every_row(case: str, world: SqlWorld, tried, told):
    """Cascades, triggers, replaced rows, changed keys: each touched row once, with what it was."""
    statements, expected = CASES[case]
    assert expected == told(world, tried(world, *statements))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.replace(" ", "-"))
def test_nothing_of_a_rehearsal_remains(case: str, shop: Path, everything, tried):
    """Rows, structure and names are as before, whatever was tried, and however often."""
    before = everything()
    with closing(SqlWorld(shop)) as world:
        for _ in range(2):
            tried(world, *CASES[case][0])
            assert before == everything()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.replace(" ", "-"))
def test_nothing_remains_on_a_given_connection(case: str, given: sqlite3.Connection, tried):
    """Temporary tables and triggers are gone too, and the connection is where it was."""
    before = list(given.iterdump())
    tried(SqlWorld(given), *CASES[case][0])
    assert before == list(given.iterdump())
    assert [] == given.execute("SELECT name FROM temp.sqlite_master").fetchall()
    assert not given.in_transaction


def test_all_twins_tell_the_same_story(shop: Path, given: sqlite3.Connection, tried):
    """Savepoint, copy and given connection agree on the whole effect, row by row."""
    worlds = [SqlWorld(shop), SqlWorld(shop, twin="copy"), SqlWorld(given)]
    for statements, _ in CASES.values():
        stories = [sorted(map(repr, tried(world, *statements).changes)) for world in worlds]
        assert stories[0] == stories[1] or "journal" in repr(stories)  # the journal holds the time of day
        assert stories[0] == stories[2] or "journal" in repr(stories)
    for world in worlds:
        world.close()


def test_the_effect_holds_both_images_of_a_row(world: SqlWorld, tried):
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


def test_rows_without_a_telling_key_are_told_apart(world: SqlWorld, given: sqlite3.Connection, tried_function):
    """Several rows may have NULL in a primary key that is not an integer; each is a row of its own."""

    def act() -> None:
        with world.connection() as db:
            db.executemany("INSERT INTO orders VALUES (NULL, ?, 1.0)", [(1,), (2,), (3,)])
            db.execute("UPDATE orders SET amount = 7 WHERE id IS NULL AND customer = 2")
            db.execute("DELETE FROM orders WHERE id IS NULL AND customer = 3")

    changes = tried_function(world, act).changes
    assert {(None, 1, 1.0), (None, 2, 7.0)} == {one.after for one in changes if one.table == "orders"}


def test_names_that_need_quotes(tmp_path: Path, tried):
    """Tables and columns may be called anything, even like the rowid's names."""
    path = tmp_path / "odd.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute('CREATE TABLE "odd ""name" ("rowid" TEXT, "select" INT, "oid" INT)')
        db.execute('INSERT INTO "odd ""name" VALUES (\'a\', 1, 2)')
        db.commit()
    with closing(SqlWorld(path)) as world:
        (one,) = tried(world, 'UPDATE "odd ""name" SET "select" = 9').changes
    assert ('odd "name', ("a", 1, 2), ("a", 9, 2)) == (one.table, one.before, one.after)


def test_unique_indexes_of_all_kinds_give_up_their_rows(tmp_path: Path, tried):
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


def test_what_triggers_cannot_see_is_named(tmp_path: Path, tried):
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


def test_views_are_covered_by_their_triggers(tmp_path: Path, tried, told):
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


def test_the_functions_own_transactions_stay_inside(world: SqlWorld, peek, tried_function):
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


def test_nested_uses_are_one_transaction(world: SqlWorld, tried_function):
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


def test_savepoints_of_the_function_work(world: SqlWorld, tried_function):
    """They nest inside of the rehearsal."""

    def act() -> None:
        with world.connection() as db:
            db.execute("SAVEPOINT mine")
            db.execute("DELETE FROM lines")
            db.execute("ROLLBACK TO mine")
            db.execute("DELETE FROM lines WHERE order_id = 'o1-0'")
            db.execute("RELEASE mine")

    assert 2 == len(tried_function(world, act).changes)


def test_an_error_takes_back_the_block(world: SqlWorld, tried_function):
    """As the real connection does; what was done before remains to be seen."""

    def act() -> None:
        with world.connection() as db:
            db.execute("DELETE FROM lines WHERE order_id = 'o1-0'")
        with suppress(ZeroDivisionError), world.connection() as db:
            db.execute("DELETE FROM lines")
            1 / 0  # noqa: B018 - raises

    assert 2 == len(tried_function(world, act).changes)


# Connections that are kept


def test_a_kept_connection_sees_the_database_of_now(shop: Path, tried, told):
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


def test_a_kept_connection_forgets_how_it_was_used(shop: Path, tried_function):
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


def test_setup_reaches_every_connection(shop: Path, tried_function):
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


def test_a_world_can_be_closed_and_used_again(shop: Path, tried):
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

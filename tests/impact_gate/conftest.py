"""A shop database, and gates around it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from patterns.impact_gate import Effect, ImpactGate, SqlWorld
from patterns.impact_gate.diff import summarise

if TYPE_CHECKING:
    from pathlib import Path

SHOP = """
PRAGMA journal_mode = WAL;
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT UNIQUE COLLATE NOCASE);
CREATE TABLE orders (
    id TEXT PRIMARY KEY, customer INTEGER REFERENCES customers ON DELETE CASCADE ON UPDATE CASCADE, amount REAL
);
CREATE TABLE lines (
    order_id TEXT REFERENCES orders ON DELETE CASCADE, place INTEGER, sku TEXT, PRIMARY KEY (order_id, place)
) WITHOUT ROWID;
CREATE TABLE journal (at TEXT DEFAULT CURRENT_TIMESTAMP, what TEXT);
CREATE TABLE counters (name TEXT, value INTEGER);
CREATE TRIGGER order_deleted AFTER DELETE ON orders BEGIN INSERT INTO journal (what) VALUES ('gone ' || OLD.id); END;
CREATE TRIGGER customer_named AFTER INSERT ON customers BEGIN
    UPDATE customers SET name = upper(name) WHERE id = NEW.id;
END;
"""


def fill(connection: sqlite3.Connection) -> None:
    """Put in 50 customers with 2 orders of 2 lines each."""
    connection.executescript(SHOP)
    for customer in range(50):
        connection.execute("INSERT INTO customers VALUES (?, ?, ?)", (customer, f"n{customer}", f"{customer}@x"))
        for order in range(2):
            name = f"o{customer}-{order}"
            connection.execute("INSERT INTO orders VALUES (?, ?, 10.0)", (name, customer))
            connection.executemany("INSERT INTO lines VALUES (?, ?, 'sku')", [(name, 1), (name, 2)])
    connection.execute("INSERT INTO counters VALUES ('orders', 100)")
    connection.execute("INSERT INTO counters VALUES (NULL, 0)")
    connection.commit()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return the path of a filled database file."""
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        fill(connection)
    return path


@pytest.fixture
def peek(shop: Path):
    """Return a function that runs a query on the file, as a stranger would."""

    def query(sql: str, *parameters: object) -> list[tuple]:
        with closing(sqlite3.connect(shop)) as connection:
            return connection.execute(sql, parameters).fetchall()

    return query


@pytest.fixture
def everything(peek):
    """Return a function that returns all that the file holds."""

    def dump() -> dict[str, list[tuple]]:
        names = [name for (name,) in peek("SELECT name FROM sqlite_master ORDER BY name")]
        tables = [name for (name,) in peek("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {"": names} | {name: peek(f"SELECT * FROM {name}") for name in tables}  # noqa: S608 - a test

    return dump


@pytest.fixture
def given():
    """Return an open in-memory database, filled."""
    with closing(sqlite3.connect(":memory:")) as connection:
        fill(connection)
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection


@pytest.fixture(params=["savepoint", "copy", "given"])
def world(request: pytest.FixtureRequest, shop: Path, given: sqlite3.Connection):
    """Return each kind of world."""
    made = SqlWorld(given) if request.param == "given" else SqlWorld(shop, twin=request.param)
    yield made
    made.close()


def _tried_function(world: SqlWorld, act) -> Effect:
    twin = world.twin()
    try:
        twin.open()
        with twin.visible():
            act()
        return twin.effect()
    finally:
        twin.close()


@pytest.fixture
def tried_function():
    """Return a function that returns the effect of a function, tried and taken back."""
    return _tried_function


@pytest.fixture
def tried():
    """Return a function that returns the effect of statements, tried and taken back."""

    def try_statements(world: SqlWorld, *statements: str) -> Effect:
        def act() -> None:
            with world.connection() as db:
                for statement in statements:
                    db.execute(statement)

        return _tried_function(world, act)

    return try_statements


@pytest.fixture
def told():
    """Return a function that returns an effect in sentences."""
    return lambda world, effect: set(summarise(effect, world.lens).sentences())


@pytest.fixture
def on(shop: Path):
    """Return a world on the shop."""
    with closing(SqlWorld(shop, volatile={"journal.at"})) as world:
        yield world


@pytest.fixture
def closing_accounts():
    """Return a function that returns a guarded function that deletes customers."""

    def guarded(gate: ImpactGate, world: SqlWorld, **options):
        def close_accounts(below: int) -> int:
            with world.connection() as db:
                return db.execute("DELETE FROM customers WHERE id < ?", (below,)).rowcount

        return gate.check(**options)(close_accounts)

    return guarded

"""A shop database, and gates around it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from patterns.impact_gate import SqlWorld

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

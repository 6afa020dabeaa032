"""A small real shop: one SQLite file with customers, stock and orders."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CUSTOMERS", "open_shop", "orders", "stock"]

CUSTOMERS = 200

_SCHEMA = """
PRAGMA foreign_keys = ON;
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, last_seen TEXT NOT NULL);
CREATE TABLE stock (sku TEXT PRIMARY KEY, available INTEGER NOT NULL CHECK (available >= 0));
CREATE TABLE orders (
    id TEXT PRIMARY KEY,
    customer INTEGER NOT NULL REFERENCES customers ON DELETE CASCADE,
    sku TEXT NOT NULL REFERENCES stock,
    price INTEGER NOT NULL,
    state TEXT NOT NULL
);
"""

_ORDERS = [
    ("A1", 1, "lamp", 20),
    ("A2", 2, "desk", 180),
    ("A3", 3, "chair", 75),
    ("A4", 4, "lamp", 20),
    ("A5", 5, "desk", 180),
]


def open_shop(path: Path) -> sqlite3.Connection:
    """Open the shop, building and filling it the first time."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    if connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'orders'").fetchone()[0]:
        return connection
    connection.executescript(_SCHEMA)
    people = [(number, f"customer {number}", f"2026-{number % 12 + 1:02d}-01") for number in range(1, CUSTOMERS + 1)]
    connection.executemany("INSERT INTO customers VALUES (?, ?, ?)", people)
    connection.executemany("INSERT INTO stock VALUES (?, ?)", [("lamp", 9), ("desk", 4), ("chair", 7)])
    connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, 'open')", _ORDERS)
    return connection


def orders(connection: sqlite3.Connection) -> dict[str, tuple[int, str]]:
    """Return price and state of every order by its id."""
    rows = connection.execute("SELECT id, price, state FROM orders ORDER BY id")
    return {order: (price, state) for order, price, state in rows}


def stock(connection: sqlite3.Connection, sku: str) -> int:
    """Return how many pieces of *sku* are left."""
    return int(connection.execute("SELECT available FROM stock WHERE sku = ?", (sku,)).fetchone()[0])

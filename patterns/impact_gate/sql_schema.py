"""Reads which tables a SQLite database has, and writes the triggers that notice every touched row."""

from __future__ import annotations

import sqlite3  # noqa: TID253 - this module is itself imported when a SqlWorld is made
from typing import TYPE_CHECKING

from attrs import evolve, frozen

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["Schema", "Table", "read_schema", "version_of", "watching"]

LOG = "patterns_before_"
"""Temporary tables that hold the rows as they were are named so."""

FULL = "patterns_log_is_full"
"""The function a trigger calls when there are too many rows."""

_ROWID_NAMES = ("rowid", "_rowid_", "oid")
_SHADOWS = frozenset(
    ("content", "docsize", "data", "idx", "config", "segments", "segdir", "stat", "node", "parent", "rowid")
)
_GENERATED = (0, 2, 3)  # table_xinfo: ordinary, virtual and stored columns; 1 is hidden


@frozen
class Indexed:
    """A column as an index compares it."""

    column: str
    collation: str


@frozen(kw_only=True)
class Table:
    """One table, and how its rows are told apart.

    Args:
        name: Its name.
        log: Name of the temporary table that keeps its rows as they were.
        columns: All its columns.
        key: The columns of its primary key; empty if only the rowid identifies a row.
        rowid: A name under which the rowid can be had; None for WITHOUT ROWID tables.
        sure: Whether no part of the key can be NULL, so that the rowid is not needed beside it.
        uniques: Its unique indexes: an ``INSERT OR REPLACE`` deletes rows by them, and no trigger hears of it.
        blind: Whether one of those is on an expression, so that such rows cannot be found.

    """

    name: str
    log: str
    columns: tuple[str, ...]
    key: tuple[Indexed, ...]
    rowid: str | None
    sure: bool
    uniques: tuple[tuple[Indexed, ...], ...]
    blind: bool


@frozen(kw_only=True)
class Schema:
    """What a database holds.

    Args:
        version: Changes with every change of structure.
        tables: Tables whose rows can be watched, by name.
        views: Writes to them end in tables.

    """

    version: int
    tables: Mapping[str, Table]
    views: frozenset[str]

    def only(self, names: Collection[str]) -> Schema:
        """Return the same with no other tables than *names*."""
        return evolve(self, tables={name: self.tables[name] for name in names if name in self.tables})


def quoted(name: str) -> str:
    """Return *name* as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def version_of(cursor: sqlite3.Cursor) -> int:
    """Return the number that changes with every change of structure."""
    return int(cursor.execute("PRAGMA main.schema_version").fetchone()[0])


def read_schema(cursor: sqlite3.Cursor) -> Schema:
    """Return what the main database holds; *cursor* has no row factory."""
    version = version_of(cursor)
    listed = cursor.execute("SELECT type, name, sql FROM main.sqlite_master WHERE type IN ('table', 'view')").fetchall()
    virtual = {name for _, name, sql in listed if (sql or "").upper().startswith("CREATE VIRTUAL TABLE")}
    unwatched = virtual | {f"{name}_{part}" for name in virtual for part in _SHADOWS}
    plain = [name for kind, name, _ in listed if kind == "table" and name not in unwatched]
    names = [name for name in plain if not name.lower().startswith("sqlite_")]
    return Schema(
        version=version,
        tables={name: _read_table(cursor, name, f"{LOG}{place}") for place, name in enumerate(names)},
        views=frozenset(name for kind, name, _ in listed if kind == "view"),
    )


def _read_table(cursor: sqlite3.Cursor, name: str, log: str) -> Table:
    shown = cursor.execute(f"PRAGMA main.table_xinfo({quoted(name)})").fetchall()
    columns = tuple(row[1] for row in shown if row[6] in _GENERATED)
    keyed = sorted((row for row in shown if row[5]), key=lambda row: row[5])
    rowid = _rowid_name(cursor, name, {column.lower() for column in columns})
    listed = [row for row in cursor.execute(f"PRAGMA main.index_list({quoted(name)})").fetchall() if row[2]]
    uniques = {row[1]: _read_index(cursor, row[1]) for row in listed}
    primary = next((uniques[row[1]] for row in listed if row[3] == "pk"), None)
    collations = {one.column: one.collation for one in primary or ()}
    # A key of one column without an index is the rowid itself, under another name.
    sure = bool(keyed) and (rowid is None or primary is None or all(row[3] for row in keyed))
    return Table(
        name=name,
        log=log,
        columns=columns,
        key=tuple(Indexed(row[1], collations.get(row[1], "BINARY")) for row in keyed),
        rowid=rowid,
        sure=sure,
        uniques=tuple(index for index in uniques.values() if index is not None),
        blind=any(index is None for index in uniques.values()),
    )


def _read_index(cursor: sqlite3.Cursor, name: str) -> tuple[Indexed, ...] | None:
    rows = cursor.execute(f"PRAGMA main.index_xinfo({quoted(name)})").fetchall()
    keys = [(row[2], row[4]) for row in rows if row[5]]
    if any(column is None for column, _ in keys):
        return None
    return tuple(Indexed(column, collation) for column, collation in keys)


def _rowid_name(cursor: sqlite3.Cursor, table: str, columns: set[str]) -> str | None:
    name = next((one for one in _ROWID_NAMES if one not in columns), None)
    if name is None:
        return None
    try:
        cursor.execute(f"SELECT {name} FROM main.{quoted(table)} LIMIT 0")  # noqa: S608 - names from the database itself
    except sqlite3.OperationalError:
        return None  # a WITHOUT ROWID table
    return name


def watching(table: Table, limit: int) -> list[str]:
    """Return the statements that make the log of *table* and the triggers that fill it, up to *limit* rows."""
    log = table.log
    keys = [f"k{place}" for place in range(len(table.key))]
    columns = [f"{name} COLLATE {quoted(one.collation)}" for name, one in zip(keys, table.key, strict=True)]
    columns = [
        "seq INTEGER PRIMARY KEY",
        *columns,
        "r",
        "existed",
        *(f"c{place}" for place in range(len(table.columns))),
    ]
    # The constraints are there for their indexes: no row is ever logged twice.
    unique = [f"UNIQUE ({', '.join(keys)})"] if keys else []
    unique += [] if table.sure or table.rowid is None else ["UNIQUE (r)"]
    made = [f"CREATE TEMP TABLE {log} ({', '.join([*columns, *unique])})"]
    conflicts = _conflicts(table)
    old, new = _touch(table, "OLD", existed=True), _touch(table, "NEW", existed=False)
    bodies = {
        "BEFORE INSERT": conflicts,
        "AFTER INSERT": [new],
        "BEFORE UPDATE": [old, *conflicts],
        "AFTER UPDATE": [new],
        "BEFORE DELETE": [old],
    }
    full = f"SELECT {FULL}() WHERE (SELECT max(seq) FROM {log}) >= {limit}"  # noqa: S608 - names from the database itself
    for place, (event, body) in enumerate(bodies.items()):
        if body:
            steps = "; ".join([full, *body])
            made.append(f"CREATE TEMP TRIGGER {log}_{place} {event} ON main.{quoted(table.name)} BEGIN {steps}; END")
    return made


def _touch(table: Table, row: str, *, existed: bool) -> str:
    """Log the row called *row* in a trigger, unless it was logged before."""
    values = [f"{row}.{quoted(column)}" if existed else "NULL" for column in table.columns]
    chosen = ", ".join([*_identity(table, row), str(int(existed)), *values])
    return f"INSERT INTO {table.log} SELECT NULL, {chosen} WHERE NOT EXISTS ({_logged(table, row)})"


def _conflicts(table: Table) -> list[str]:
    """Log the rows that the new row may replace; those that stay as they are do no harm in the log."""
    chosen = ", ".join([*_identity(table, "t"), "1", *(f"t.{quoted(column)}" for column in table.columns)])
    conditions = [
        " AND ".join(
            f"t.{quoted(one.column)} = NEW.{quoted(one.column)} COLLATE {quoted(one.collation)}" for one in index
        )
        for index in table.uniques
    ]
    if table.rowid is not None:
        conditions.append(f"t.{table.rowid} = NEW.{table.rowid}")
    return [
        f"INSERT INTO {table.log} SELECT NULL, {chosen} FROM main.{quoted(table.name)} AS t "  # noqa: S608 - see above
        f"WHERE {condition} AND NOT EXISTS ({_logged(table, 't')})"
        for condition in conditions
    ]


def _identity(table: Table, row: str) -> list[str]:
    """Return the key columns and the rowid, which is there only if the key has a NULL and tells nothing."""
    keys = [f"{row}.{quoted(one.column)}" for one in table.key]
    if table.rowid is None or table.sure:
        return [*keys, "NULL"]
    rowid = f"{row}.{table.rowid}"
    if not keys:
        return [rowid]
    return [*keys, f"CASE WHEN {' OR '.join(f'{one} IS NULL' for one in keys)} THEN {rowid} END"]


def _logged(table: Table, row: str) -> str:
    return f"SELECT 1 FROM {table.log} AS b WHERE {same_identity(table, 'b', row)}"  # noqa: S608 - see above


def same_identity(table: Table, log: str, row: str) -> str:
    """Return the condition that a log entry called *log* is about the row called *row*."""
    keys = " AND ".join(f"{log}.k{place} = {row}.{quoted(one.column)}" for place, one in enumerate(table.key))
    rowid = "" if table.rowid is None or table.sure else f"{log}.r = {row}.{table.rowid}"
    return "(" + " OR ".join(f"({one})" for one in (keys, rowid) if one) + ")"

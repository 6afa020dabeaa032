"""Notices what one SQLite connection does to its main database, in time proportional to the rows it touches.

Temporary triggers copy a row into a temporary table when it is touched for the
first time; the effect is what differs between those copies and the rows of
now. An authorizer notices what no trigger hears of: structure, virtual tables,
other databases, and attempts to end the transaction.
"""

from __future__ import annotations

import enum
import sqlite3  # noqa: TID253 - this module is itself imported when a SqlWorld is made
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from patterns.impact_gate.effect import Change, Effect, Population, same_row
from patterns.impact_gate.sql_schema import FULL, LOG, quoted, read_schema, same_identity, version_of, watching
from patterns.impact_gate.world import Unmeasurable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from patterns.impact_gate.sql_schema import Schema, Table

__all__ = ["Mode", "Overflow", "Recorder"]

COUNTED_AT_LEAST = 2_000
"""Tables up to this size are counted exactly, larger ones only as far as the fraction matters."""

_FRACTION_SEEN = 20  # a table is counted up to 20 times the rows touched: fractions above 1/20 are exact

_WRITES = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}
_STRUCTURE = {
    sqlite3.SQLITE_CREATE_TABLE: "create table",
    sqlite3.SQLITE_CREATE_VTABLE: "create table",
    sqlite3.SQLITE_CREATE_INDEX: "create index",
    sqlite3.SQLITE_CREATE_TRIGGER: "create trigger",
    sqlite3.SQLITE_CREATE_VIEW: "create view",
    sqlite3.SQLITE_DROP_TABLE: "drop table",
    sqlite3.SQLITE_DROP_VTABLE: "drop table",
    sqlite3.SQLITE_DROP_INDEX: "drop index",
    sqlite3.SQLITE_DROP_TRIGGER: "drop trigger",
    sqlite3.SQLITE_DROP_VIEW: "drop view",
}
_WRITING_PRAGMAS = {"user_version", "application_id", "schema_version", "writable_schema"}
_READING_PRAGMAS = {
    "foreign_key_check",
    "foreign_key_list",
    "foreign_keys",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
}
_ON = {"1", "on", "true", "yes"}
_ESCAPES = {
    sqlite3.SQLITE_TRANSACTION: "it ends the transaction itself; use `with world.connection() as db:`",
    sqlite3.SQLITE_ATTACH: "it attaches another database, which cannot be taken back",
}


class Mode(enum.Enum):
    """What happens to the watched connection afterwards."""

    ROLLED_BACK = "rolled back"
    THROWN_AWAY = "thrown away"
    KEPT = "kept"


class Overflow:
    """The function that triggers call when there are too many rows; known to its connection once and for all.

    SQLite replaces no function while a statement runs, so it is the target that changes.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.target: Recorder | None = None
        connection.create_function(FULL, 0, self._full)

    def _full(self) -> None:
        if self.target is not None:
            self.target.log_is_full()


class Recorder:
    """Watches one connection between `install` and `remove`.

    It keeps a connection that will not be kept from doing what would remain;
    a connection that will be kept is never disturbed.

    Args:
        connection: What is watched.
        limit: How many rows of one table may be touched.
        mode: What happens to the connection afterwards.
        overflow: The function that this connection already has.

    Attributes:
        used: Whether anybody ran a statement.
        spoiled: Whether the connection was configured, so that nobody else should get it.
        failure: Why the record is not complete; None as long as it is.

    """

    def __init__(
        self, connection: sqlite3.Connection, *, limit: int, mode: Mode, overflow: Overflow | None = None
    ) -> None:
        self._connection = connection
        self._limit = limit
        self._mode = mode
        self._overflow = overflow or Overflow(connection)
        self._schema: Schema | None = None
        self._ours = 0
        self._structure: dict[str, None] = {}
        self._uncovered: dict[str, None] = {}
        self._written: dict[str, None] = {}
        self._known: dict[str, Table | None] = {}
        self.used = False
        self.spoiled = False
        self.failure: str | None = None

    @contextmanager
    def ours(self) -> Iterator[sqlite3.Cursor]:
        """Return a cursor whose statements are not noticed."""
        cursor = self._connection.cursor()
        cursor.row_factory = None
        self._ours += 1
        try:
            yield cursor
        finally:
            self._ours -= 1
            cursor.close()

    def fail(self, why: str) -> None:
        """Remember that the record is not complete; the first reason stays."""
        self.failure = self.failure or why

    def install(self, schema: Schema | None = None, *, only: Collection[str] | None = None) -> Schema:
        """Make the triggers and start to watch.

        Args:
            schema: What the database was found to hold earlier.
            only: Tables to watch; writes to others are noticed, not looked into. All if None.

        Returns:
            What is installed.

        """
        with self.ours() as cursor:
            if schema is None or schema.version != version_of(cursor):
                schema = read_schema(cursor)
            if only is not None:
                schema = schema.only(only)
            for table in schema.tables.values():
                for statement in watching(table, self._limit):
                    cursor.execute(statement)
        self.watch(schema)
        return schema

    def watch(self, schema: Schema) -> None:
        """Start to watch with the triggers that are there already."""
        self._schema = schema
        self._known = {**schema.tables, **dict.fromkeys(schema.views)}
        self._overflow.target = self
        # This also makes SQLite prepare every statement again, so none goes unseen for having run before.
        self._connection.set_authorizer(self._authorize)

    def remove(self) -> None:
        """Stop watching; the temporary tables go with their transaction or by `drop`."""
        self._overflow.target = None
        self._connection.set_authorizer(None)

    def drop(self) -> None:
        """Remove the temporary triggers and tables."""
        with self.ours() as cursor:
            names = cursor.execute(
                "SELECT type, name FROM temp.sqlite_master WHERE type IN ('trigger', 'table') AND name GLOB ? "
                "ORDER BY type DESC",
                (LOG + "*",),
            ).fetchall()
            for kind, name in names:
                cursor.execute(f"DROP {kind} temp.{name}")

    def log_is_full(self) -> None:
        """Be told that there are too many rows.

        Raises:
            ValueError: To stop the statement, unless the connection will be kept.

        """
        self.fail(f"it touches more than {self._limit} rows of a table")
        if self._mode is not Mode.KEPT:
            raise ValueError(self.failure)

    def _authorize(self, what: int, first: str | None, second: str | None, database: str | None, _: str | None) -> int:
        if self._ours:
            return sqlite3.SQLITE_OK
        self.used = True
        if self._mode is not Mode.KEPT and self._escapes(what, second, database):
            return sqlite3.SQLITE_DENY
        self._notice(what, first or "", second, database)
        return sqlite3.SQLITE_OK

    def _escapes(self, what: int, second: str | None, database: str | None) -> bool:
        """Tell whether something would remain of what the connection is about to do."""
        confined = self._mode is Mode.ROLLED_BACK
        if confined and not self._connection.in_transaction:
            self.fail("its transaction was rolled back as a whole, so the rest could not be tried")
        elif what in _ESCAPES and (confined or what == sqlite3.SQLITE_ATTACH):
            self.fail(_ESCAPES[what])
        elif what in _WRITES and not confined and database not in {None, "main", "temp"}:
            self.fail(f"it writes to the database {database}, of which there is no copy")
        elif what == sqlite3.SQLITE_FUNCTION and second == "load_extension":
            self.fail("it loads an extension")
        else:
            return False
        return True

    def _notice(self, what: int, first: str, second: str | None, database: str | None) -> None:
        if what in _WRITES and database != "temp" and not first.lower().startswith("sqlite_"):
            self._notice_write(first, database)
        elif what in _STRUCTURE:
            self._structure[f"{_STRUCTURE[what]} {first}"] = None
        elif what == sqlite3.SQLITE_ALTER_TABLE and first != "temp":
            self._structure[f"alter table {second}"] = None
        elif what == sqlite3.SQLITE_PRAGMA and second is not None:
            self._notice_pragma(first.lower(), second)

    def _notice_pragma(self, name: str, value: str) -> None:
        if name in _WRITING_PRAGMAS:
            self._structure[f"set pragma {name}"] = None
        elif name == "foreign_keys" and self._mode is Mode.ROLLED_BACK and value.lower() not in _ON:
            self.fail("it switches foreign keys off, which cannot be tried within a transaction; use setup=")
        elif name not in _READING_PRAGMAS:
            self.spoiled = True

    def _notice_write(self, table: str, database: str | None) -> None:
        if database not in {None, "main"}:
            self._uncovered[f"{database}.{table}"] = None
        elif table not in self._known:
            self._uncovered[table] = None
        else:
            self._written[table] = None
            known = self._known[table]
            if known is not None and known.blind:
                self._uncovered[f"{table}: it has a unique index on an expression"] = None

    def effect(self, *, counted: bool = True) -> Effect:
        """Return what the connection did so far.

        Args:
            counted: Whether to count how many rows the touched tables had.

        Raises:
            Unmeasurable: Something happened that was not recorded.

        """
        if self.failure is not None or self._schema is None:
            raise Unmeasurable(self.failure or "the recorder was not installed")
        changes: list[Change] = []
        populations: dict[str, Population] = {}
        with self.ours() as cursor:
            for name in self._written:  # cascades and triggers included: they are prepared with their statement
                table = self._schema.tables.get(name)
                if table is None or f"drop table {name}" in self._structure:
                    continue  # a view, or gone altogether
                found = [one for one in _read(cursor, table) if not same_row(one.before, one.after)]
                changes += found
                if found and counted:
                    populations[table.name] = _population(cursor, table, found)
        return Effect(
            changes=tuple(changes),
            populations=populations,
            schema=tuple(self._structure),
            uncovered=tuple(self._uncovered),
            written=tuple(self._written),
        )


def _read(cursor: sqlite3.Cursor, table: Table) -> Iterator[Change]:
    width, keys = len(table.columns), len(table.key)
    present = f"t.{table.rowid or quoted(table.key[0].column)} IS NOT NULL"
    now = ", ".join(f"t.{quoted(column)}" for column in table.columns)
    cursor.execute(
        f"SELECT {present}, b.*, {now} FROM temp.{table.log} AS b "  # noqa: S608 - names from the database itself
        f"LEFT JOIN main.{quoted(table.name)} AS t ON {same_identity(table, 'b', 't')} ORDER BY b.seq"
    )
    for exists, _, *values in cursor:
        identity, existed = tuple(values[: keys + 1]), values[keys + 1]
        before, after = tuple(values[keys + 2 : keys + 2 + width]), tuple(values[keys + 2 + width :])
        key = identity[:-1] if identity[-1] is None else identity
        yield Change(table.name, key, table.columns, before if existed else None, after if exists else None)


def _population(cursor: sqlite3.Cursor, table: Table, changes: list[Change]) -> Population:
    limit = max(COUNTED_AT_LEAST, _FRACTION_SEEN * len(changes))
    counting = f"SELECT count(*) FROM (SELECT 1 FROM main.{quoted(table.name)} LIMIT ?)"  # noqa: S608 - see above
    rows: Any = cursor.execute(counting, (limit,)).fetchone()[0]
    new = sum(one.before is None for one in changes) - sum(one.after is None for one in changes)
    return Population(max(0, rows - new), exact=rows < limit)

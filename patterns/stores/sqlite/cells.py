"""`Cells`, `AsyncCells` and `Log` in one SQLite file."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from patterns.kernel.storage import ABSENT, Cell, Lost
from patterns.stores.keys import check_changes, check_key, key_range
from patterns.stores.waiting import block_until_moved, suspend_until_moved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from sqlite3 import Connection, Cursor

    from patterns.kernel.storage import Change
    from patterns.stores.sqlite.engine import Engine

__all__ = ["AsyncSqliteCells", "SqliteCells", "SqliteLog"]

_READ = "SELECT version, value FROM patterns_cells WHERE key = ?"
_VERSION = "SELECT version FROM patterns_cells WHERE key = ?"
_SCAN = "SELECT key, version, value FROM patterns_cells WHERE key >= ? ORDER BY key LIMIT ?"
_SCAN_TO = "SELECT key, version, value FROM patterns_cells WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
_CREATE = "INSERT INTO patterns_cells VALUES (?, (SELECT version + 1 FROM patterns_floor), ?) ON CONFLICT DO NOTHING"
_UPDATE = "UPDATE patterns_cells SET version = version + 1, value = ? WHERE key = ? AND version = ?"
_DELETE = "DELETE FROM patterns_cells WHERE key = ? AND version = ?"
_RAISE_FLOOR = "UPDATE patterns_floor SET version = max(version, ?)"

_LOG_SIZE = "SELECT max(position) + 1 FROM patterns_log WHERE name = ?"
_LOG_APPEND = "INSERT INTO patterns_log VALUES (?, ?, ?)"
_LOG_READ = "SELECT value FROM patterns_log WHERE name = ? AND position >= ? ORDER BY position LIMIT ?"


class SqliteCells:
    """`Cells` in one SQLite file, for any number of threads."""

    def __init__(self, engine: Engine, now: Callable[[], float]) -> None:
        self._engine = engine
        self._now = now

    def read(self, key: str, /) -> Cell | None:
        """See `patterns.kernel.storage.Cells.read`."""
        check_key(key)
        return self._engine.read(partial(_read, key))

    def swap(self, changes: Sequence[Change], /, *, durable: bool = True) -> Lost | None:
        """See `patterns.kernel.storage.Cells.swap`."""
        check_changes(changes)
        return self._engine.write(partial(_swap, changes), durable=durable, changes=changes)

    def scan(self, prefix: str, /, *, after: str = "", limit: int = 100) -> list[Cell]:
        """See `patterns.kernel.storage.Cells.scan`."""
        return self._engine.read(partial(_scan, key_range(prefix, after), limit))

    def now(self) -> float:
        """See `patterns.kernel.storage.Cells.now`."""
        return self._now()

    def wait(self, key: str, /, seen: int, timeout: float) -> bool:
        """See `patterns.kernel.storage.Cells.wait`."""
        check_key(key)
        return block_until_moved(self._engine.watchers, key, seen, timeout, self._engine.moved)


class AsyncSqliteCells:
    """`AsyncCells` in one SQLite file, for any number of event loops.

    Reading one record is done on the spot, for it takes less time than any
    hand-over; whatever waits for the disk or for others is done elsewhere.
    """

    suspends = True

    def __init__(self, engine: Engine, now: Callable[[], float]) -> None:
        self._engine = engine
        self._now = now

    async def read(self, key: str, /) -> Cell | None:
        """See `patterns.kernel.storage.Cells.read`."""
        check_key(key)
        return await self._engine.read_async(partial(_read, key))

    async def swap(self, changes: Sequence[Change], /, *, durable: bool = True) -> Lost | None:
        """See `patterns.kernel.storage.AsyncCells.swap`."""
        check_changes(changes)
        return await self._engine.write_async(partial(_swap, changes), durable=durable, changes=changes)

    async def scan(self, prefix: str, /, *, after: str = "", limit: int = 100) -> list[Cell]:
        """See `patterns.kernel.storage.Cells.scan`."""
        from asyncio import to_thread

        return await to_thread(self._engine.read, partial(_scan, key_range(prefix, after), limit))

    async def now(self) -> float:
        """See `patterns.kernel.storage.Cells.now`."""
        return self._now()

    async def wait(self, key: str, /, seen: int, timeout: float) -> bool:  # noqa: ASYNC109 - a hint with a bound
        """See `patterns.kernel.storage.Cells.wait`."""
        check_key(key)
        return await suspend_until_moved(self._engine.watchers, key, seen, timeout, self._engine.moved_async)


class SqliteLog:
    """`Log` in one SQLite file."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name

    def append(self, values: Sequence[bytes], /) -> int:
        """See `patterns.kernel.storage.Log.append`."""
        return self._engine.write(partial(_append, self._name, tuple(values)), durable=True)

    def read(self, start: int, /, limit: int = 100) -> list[bytes]:
        """See `patterns.kernel.storage.Log.read`."""
        return self._engine.read(partial(_read_log, self._name, max(start, 0), limit))

    def size(self) -> int:
        """See `patterns.kernel.storage.Log.size`."""
        return self._engine.read(partial(_log_size, self._name))


def _read(key: str, connection: Connection) -> Cell | None:
    row = connection.execute(_READ, (key,)).fetchone()
    return None if row is None else Cell(key, *row)


def _scan(keys: tuple[str, str | None], limit: int, connection: Connection) -> list[Cell]:
    first, end = keys
    bounds = (first,) if end is None else (first, end)
    rows = connection.execute(_SCAN if end is None else _SCAN_TO, (*bounds, max(limit, 0))).fetchall()
    return [Cell(*row) for row in rows]


def _swap(changes: Sequence[Change], cursor: Cursor) -> Lost | None:
    if len(changes) == 1:
        return None if _apply(changes[0], cursor) else _lost(changes[0], cursor)
    # All checks come before the first write, so a loser needs no savepoint.
    for change in changes:
        if (lost := _lost(change, cursor)) is not None:
            return lost
    for change in changes:
        _apply(change, cursor)
    return None


def _lost(change: Change, cursor: Cursor) -> Lost | None:
    row = cursor.execute(_VERSION, (change.key,)).fetchone()
    version = ABSENT if row is None else row[0]
    return None if version == change.seen else Lost(change.key, version)


def _apply(change: Change, cursor: Cursor) -> bool:
    """Make the change; return False if nothing was there to be changed, or nothing had to be."""
    key, seen, value = change.key, change.seen, change.value
    if value is not None:
        if seen == ABSENT:
            cursor.execute(_CREATE, (key, value))
        else:
            cursor.execute(_UPDATE, (value, key, seen))
    elif seen == ABSENT:
        return False
    else:
        cursor.execute(_DELETE, (key, seen))
        if cursor.rowcount:
            cursor.execute(_RAISE_FLOOR, (seen,))
    return cursor.rowcount == 1


def _append(name: str, values: Sequence[bytes], cursor: Cursor) -> int:
    start = _log_size(name, cursor)
    cursor.executemany(_LOG_APPEND, [(name, start + number, value) for number, value in enumerate(values)])
    return start


def _log_size(name: str, connection: Connection | Cursor) -> int:
    (size,) = connection.execute(_LOG_SIZE, (name,)).fetchone()
    return size or 0


def _read_log(name: str, start: int, limit: int, connection: Connection) -> list[bytes]:
    rows = connection.execute(_LOG_READ, (name, start, max(limit, 0))).fetchall()
    return [value for (value,) in rows]

"""Keeps connections whose triggers are already in place, for making them takes longer than most rehearsals."""

from __future__ import annotations

import os
import sqlite3  # noqa: TID253 - this module is itself imported when a SqlWorld is made
import weakref
from typing import TYPE_CHECKING

from patterns.impact_gate.sql_recorder import Mode, Overflow, Recorder
from patterns.impact_gate.sql_schema import version_of
from patterns.impact_gate.world import Unmeasurable

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.impact_gate.sql_schema import Schema

__all__ = ["Pool", "Prepared"]

_KEPT = 2
_TRIES = 5


class Prepared:
    """A connection with triggers, inside or outside of a transaction.

    Args:
        connection: The connection.
        limit: How many rows of a table may be touched.

    """

    def __init__(self, connection: sqlite3.Connection, limit: int) -> None:
        self.connection = connection
        self.limit = limit
        self.overflow = Overflow(connection)
        self.schema: Schema | None = None
        self._factories = connection.row_factory, connection.text_factory

    def begin(self) -> Recorder | None:
        """Take the write lock; return a recorder, or None if the structure of the database has changed meanwhile."""
        recorder = Recorder(self.connection, limit=self.limit, mode=Mode.ROLLED_BACK, overflow=self.overflow)
        if self.schema is None:
            self.schema = recorder.install()
            recorder.remove()
        with recorder.ours() as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            if version_of(cursor) != self.schema.version:
                return None
            cursor.execute("SAVEPOINT patterns_work")
        recorder.watch(self.schema)
        return recorder

    def end(self) -> None:
        """Take everything back."""
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK").close()
        self.connection.row_factory, self.connection.text_factory = self._factories


class Pool:
    """A few idle connections to one file.

    Args:
        path: The file.
        connect: Opens a connection.
        limit: How many rows of a table may be touched.

    """

    def __init__(self, path: str, connect: Callable[[], sqlite3.Connection], limit: int) -> None:
        self._path = path
        self._connect = connect
        self._limit = limit
        self._idle: list[tuple[object, Prepared]] = []
        self._finalizer = weakref.finalize(self, _close_all, self._idle)

    def _mark(self) -> object:
        """Return what must be the same for a connection to be used again: this process, this very file."""
        found = os.stat(self._path)
        return os.getpid(), found.st_dev, found.st_ino

    def begin(self) -> tuple[Prepared, Recorder]:
        """Return a connection that holds the write lock, and its recorder.

        Raises:
            Unmeasurable: The structure of the database changes again and again.
            sqlite3.Error: The database cannot be opened or locked.

        """
        for _ in range(_TRIES):
            prepared = self._borrowed() or Prepared(self._connect(), self._limit)
            try:
                recorder = prepared.begin()
            except BaseException:
                prepared.connection.close()
                raise
            if recorder is not None:
                return prepared, recorder
            prepared.connection.close()
        raise Unmeasurable("the structure of the database keeps changing")

    def _borrowed(self) -> Prepared | None:
        while self._idle:
            try:
                mark, prepared = self._idle.pop()
            except IndexError:
                return None
            if self._exists() and mark == self._mark():
                return prepared
            prepared.connection.close()
        return None

    def _exists(self) -> bool:
        return os.path.exists(self._path)

    def give_back(self, prepared: Prepared, *, spoiled: bool) -> None:
        """Take everything back and keep the connection for later, if it is still good."""
        try:
            prepared.end()
        except sqlite3.Error:
            spoiled = True
        if spoiled or len(self._idle) >= _KEPT or not self._exists():
            prepared.connection.close()
        else:
            self._idle.append((self._mark(), prepared))

    def close(self) -> None:
        """Close what is idle."""
        _close_all(self._idle)


def _close_all(idle: list[tuple[object, Prepared]]) -> None:
    while idle:
        idle.pop()[1].connection.close()

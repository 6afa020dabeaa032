"""The database file: what is in it, how it is opened, and what its errors mean for a person."""

from __future__ import annotations

import sqlite3  # noqa: TID253 - this package is itself imported when used
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from patterns.errors import StoreUnavailable
from patterns.kernel.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    T = TypeVar("T")

__all__ = ["APPLICATION_ID", "SCHEMA_VERSION", "DatabaseFile", "is_busy"]

APPLICATION_ID = 0x50545253
"""Tells our files from others: the letters PTRS in the file's header."""

SCHEMA_VERSION = 1
"""Kept as the file's ``user_version``."""

_SCHEMA = (
    # Keys are compared byte by byte, which for UTF-8 is the order of code points.
    "CREATE TABLE patterns_cells (key TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, value BLOB NOT NULL)",
    # One row: the largest version a deleted key ever had; new keys start above it.
    "CREATE TABLE patterns_floor (version INTEGER NOT NULL)",
    "INSERT INTO patterns_floor VALUES (0)",
    """CREATE TABLE patterns_log (
        name TEXT NOT NULL, position INTEGER NOT NULL, value BLOB NOT NULL, PRIMARY KEY (name, position)
    ) WITHOUT ROWID""",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)

_OLDEST = (3, 24, 0)
_CHECK_EVERY = 0.1  # seconds; looking a path up costs a tenth of a transaction
_FIRST_PAUSE, _LAST_PAUSE = 0.0001, 0.001

# Primary result code -> what is wrong, what helps.
_PROBLEMS = {
    sqlite3.SQLITE_READONLY: ("is read-only", "let this process write the file and its directory"),
    sqlite3.SQLITE_IOERR: ("cannot be read or written", "check the disk and its limits, then call again"),
    sqlite3.SQLITE_CORRUPT: ("is damaged", "keep it as evidence and put a good copy in its place"),
    sqlite3.SQLITE_FULL: ("cannot grow, the disk is full", "free some space, then call again; nothing was changed"),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "let this process read and write the file and its directory"),
    sqlite3.SQLITE_NOTADB: ("is not an SQLite database", "name another file"),
    sqlite3.SQLITE_TOOBIG: ("cannot keep a value of that size", "keep it elsewhere and store where it is"),
}
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)


def is_busy(problem: Exception) -> bool:
    """Return whether somebody else holds a lock, so that trying again makes sense."""
    return _code(problem) in _BUSY


def _code(problem: Exception) -> int | None:
    code: int | None = getattr(problem, "sqlite_errorcode", None)  # absent from errors the Python module raises itself
    return None if code is None else code & 0xFF


class DatabaseFile:
    """One database file that is ours.

    Args:
        path: Where it is.
        patience: Seconds to go on trying while another process holds a lock.

    """

    def __init__(self, path: str, *, patience: float) -> None:
        self.path = Path(path).resolve()
        self._patience = patience
        self._identity: tuple[int, int] | None = None
        self._next_check = 0.0

    def prepare(self) -> None:
        """Make sure that the file is ours and has our tables, creating it if need be.

        Raises:
            StoreUnavailable: It cannot be created, or belongs to something else.

        """
        if sqlite3.sqlite_version_info < _OLDEST or sqlite3.threadsafety == 0:
            self.refuse(f"needs a thread-safe SQLite 3.24 or later, not {sqlite3.sqlite_version}", "update Python")
        if not self.path.parent.is_dir():
            self.refuse("cannot be opened, its directory does not exist", f"create {self.path.parent}")
        if self.path.is_dir():
            self.refuse("is a directory", "name a file in it")
        connection = self._open()
        try:
            self.patiently(lambda: self._make_ours(connection))
        except sqlite3.Error as problem:
            raise self.unavailable(problem) from problem
        finally:
            connection.close()
        self._identity = self._identity_now()

    def connect(self, *, writing: bool) -> sqlite3.Connection:
        """Return a new connection.

        Raises:
            StoreUnavailable: The file cannot be opened, or is another one than at first.

        """
        self.check_in_place()
        connection = self._open()
        if sys.platform == "darwin":  # there a plain fsync leaves the data in the drive's cache
            connection.execute("PRAGMA fullfsync = ON")
        if not writing:
            connection.execute("PRAGMA query_only = ON")
        return connection

    def check_now_and_then(self) -> None:
        """Do `check_in_place` if it was not done within the last tenth of a second."""
        if SYSTEM_CLOCK.now() >= self._next_check:
            self.check_in_place()

    def check_in_place(self) -> None:
        """Raise `StoreUnavailable` if the file was removed or replaced: nobody else would see what we record."""
        if self._identity_now() != self._identity:
            self.refuse("was removed or replaced while in use", "restart every process that uses it")
        self._next_check = SYSTEM_CLOCK.now() + _CHECK_EVERY

    def patiently(self, work: Callable[[], T]) -> T:
        """Return what *work* returns, trying again as long as patience lasts while another process holds a lock.

        Raises:
            sqlite3.Error: It failed for another reason, or patience ran out.

        """
        try:
            return work()
        except sqlite3.Error as problem:
            if not is_busy(problem):
                raise
        deadline = SYSTEM_CLOCK.now() + self._patience
        pause = _FIRST_PAUSE
        while True:
            # SQLite's own handler sleeps up to 100 ms at a time; short naps keep the slowest caller quick.
            SYSTEM_CLOCK.sleep(pause)
            pause = min(pause * 2, _LAST_PAUSE)
            try:
                return work()
            except sqlite3.Error as problem:
                if not is_busy(problem) or SYSTEM_CLOCK.now() > deadline:
                    raise

    def unavailable(self, problem: sqlite3.Error) -> StoreUnavailable:
        """Return the error for *problem*, in words that help."""
        if is_busy(problem):
            wrong, remedy = (
                f"was locked by others for {self._patience:g} s",
                "end whoever holds it or raise busy_timeout",
            )
        else:
            wrong, remedy = _PROBLEMS.get(_code(problem) or 0, ("failed", "see the cause"))
        return self._error(f"{wrong} ({_name(problem)})", remedy)

    def refuse(self, wrong: str, remedy: str) -> NoReturn:
        """Raise `StoreUnavailable` saying what is wrong with the file and what helps."""
        raise self._error(wrong, remedy)

    def _error(self, wrong: str, remedy: str) -> StoreUnavailable:
        return StoreUnavailable(f"{self.path} {wrong}; {remedy}", path=str(self.path), reason=wrong, remedy=remedy)

    def _open(self) -> sqlite3.Connection:
        try:
            return sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as problem:
            raise self.unavailable(problem) from problem

    def _make_ours(self, connection: sqlite3.Connection) -> None:
        with _transaction(connection, "BEGIN"):  # a stranger's file is left exactly as it is, so look first
            self._is_new(connection)
        connection.execute("PRAGMA synchronous = FULL")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            self.refuse("cannot keep a write-ahead log", "put it on a local disk")
        with _transaction(connection, "BEGIN IMMEDIATE"):  # which also tells whether we may write at all
            if self._is_new(connection):
                for statement in _SCHEMA:
                    connection.execute(statement)

    def _is_new(self, connection: sqlite3.Connection) -> bool:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if (application, version, tables) == (0, 0, 0):
            return True
        if application != APPLICATION_ID:
            self.refuse("belongs to another program", "give the store a file of its own")
        if version != SCHEMA_VERSION:
            self.refuse(f"has schema {version} and this version knows {SCHEMA_VERSION}", "update the library")
        return False

    def _identity_now(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _name(problem: sqlite3.Error) -> str:
    return getattr(problem, "sqlite_errorname", None) or str(problem)

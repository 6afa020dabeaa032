"""The connections of one process to one file: one writes, the others read, and none lives through a fork."""

from __future__ import annotations

from contextlib import suppress
from sqlite3 import Error  # noqa: TID253 - this package is itself imported when used
from threading import Condition, Lock
from typing import TYPE_CHECKING, TypeVar

from patterns.stores import forking

if TYPE_CHECKING:
    from collections.abc import Callable
    from sqlite3 import Connection, Cursor

    from patterns.stores.sqlite.file import DatabaseFile

    T = TypeVar("T")

__all__ = ["Connections"]

_IDLE_READERS = 16


class Connections:
    """Lends connections, each to one thread at a time.

    A fork waits until all are back and closes them, for SQLite's locks belong
    to the process: a child that had inherited connections, even unused ones,
    would hold no lock on the file it writes.

    Args:
        file: What to connect to.

    """

    def __init__(self, file: DatabaseFile) -> None:
        self._file = file
        self._lock = Lock()
        self._back = Condition(self._lock)
        self._awaited = False  # somebody waits until all are back
        self._refusal: tuple[str, str] | None = None  # why nothing is lent any more, and what helps
        self._lent = 0
        self._writer: Cursor | None = None
        self._readers: list[Connection] = []
        self._held = False  # by a fork
        forking.watch(self)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Return what *work* returns for a connection that reads.

        Raises:
            StoreUnavailable: The store is closed or its file gone.
            sqlite3.Error: What *work* met with.

        """
        connection = self._lend_reader()
        try:
            connection = connection or self._file.connect(writing=False)
            result = work(connection)
        except BaseException:
            self._take_back()
            _close(connection)
            raise
        self._take_back(reader=connection)
        return result

    def write(self, work: Callable[[Cursor], T]) -> T:
        """Return what *work* returns for the cursor that writes; one caller at a time may ask for it.

        Raises:
            StoreUnavailable: The store is closed or its file gone.
            sqlite3.Error: What *work* met with.

        """
        cursor = self._lend_writer()
        try:
            self._file.check_now_and_then()
            cursor = cursor or self._file.connect(writing=True).cursor()
            result = work(cursor)
        except BaseException:
            self._take_back()
            _close(cursor)
            raise
        self._take_back(writer=cursor)
        return result

    def close(self) -> None:
        """Close all connections when they are back; nothing is lent any more."""
        with self._lock:
            self._refusal = self._refusal or ("is closed", "open the store again")
            if self._all_back():
                self._close_all()

    def before_fork(self) -> None:
        """Close all connections when they are back, and lend none until the fork is over."""
        if not self._lock.acquire(timeout=forking.PATIENCE):
            return
        self._held = self._all_back()
        if self._held:
            self._close_all()
        else:
            self._lock.release()

    def after_fork_in_parent(self) -> None:
        """Go on with new connections."""
        if self._held:
            self._held = False
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """Go on with new connections, unless the fork tore an operation apart."""
        if self._lent == 0:
            self._close_all()  # some are left only after a fork made in C, which announces itself to nobody
        else:
            self._refusal = ("was in use at the fork", "start the child while no thread uses the store")
        self._held = False
        self._lock = Lock()
        self._back = Condition(self._lock)

    def _lend_reader(self) -> Connection | None:
        with self._lock:
            self._lend()
            return self._readers.pop() if self._readers else None

    def _lend_writer(self) -> Cursor | None:
        with self._lock:
            self._lend()
            writer, self._writer = self._writer, None
            return writer

    def _lend(self) -> None:
        if self._refusal is not None:
            self._file.refuse(*self._refusal)
        self._lent += 1

    def _take_back(self, *, reader: Connection | None = None, writer: Cursor | None = None) -> None:
        with self._lock:
            wanted = self._refusal is None
            if wanted and writer is not None and self._writer is None:
                self._writer = writer
            elif wanted and reader is not None and len(self._readers) < _IDLE_READERS:
                self._readers.append(reader)
            else:
                _close(reader or writer)
            self._lent -= 1
            if self._awaited and self._lent == 0:
                self._back.notify_all()

    def _all_back(self) -> bool:
        self._awaited = True
        try:
            return self._back.wait_for(lambda: self._lent == 0, timeout=forking.PATIENCE)
        finally:
            self._awaited = False

    def _close_all(self) -> None:
        for connection in (*self._readers, self._writer):
            _close(connection)
        self._readers.clear()
        self._writer = None


def _close(lent: Connection | Cursor | None) -> None:
    if lent is not None:
        with suppress(Error):  # it is given up in any case; what it could not write stays in the write-ahead log
            getattr(lent, "connection", lent).close()

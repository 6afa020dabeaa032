"""What cells and logs have in common: reading, writing together, and being told of changes."""

from __future__ import annotations

from functools import partial
from sqlite3 import Error  # noqa: TID253 - this package is itself imported when used
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import finalize

from patterns.errors import StoreUnavailable
from patterns.kernel import faults
from patterns.stores.sqlite.connections import Connections
from patterns.stores.sqlite.file import is_busy
from patterns.stores.sqlite.group_commit import GroupCommit, Request
from patterns.stores.sqlite.polling import PollingWatchers, version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from sqlite3 import Connection, Cursor

    from patterns.kernel.storage import Change
    from patterns.stores.sqlite.file import DatabaseFile

    T = TypeVar("T")

__all__ = ["Engine"]


class Engine:
    """Reads and writes one database file for all threads and event loops of a process.

    Args:
        file: The file, prepared.

    """

    def __init__(self, file: DatabaseFile) -> None:
        self._file = file
        self._connections = Connections(file)
        self._group = GroupCommit(self._commit)
        self._setting: tuple[Cursor, bool] | None = None
        self.watchers = PollingWatchers(self._connections.read)
        finalize(self, self._connections.close)  # for those who forget to

    def read(self, work: Callable[[Connection], T]) -> T:
        """Return what *work* returns for a connection.

        Raises:
            StoreUnavailable: The file cannot be read.

        """
        try:
            return self._connections.read(work)
        except Error as problem:
            if not is_busy(problem):
                raise self._file.unavailable(problem) from problem
        return self._read_patiently(work)

    async def read_async(self, work: Callable[[Connection], T]) -> T:
        """Do `read` here and now, for it is quicker than any hand-over; wait for a lock in a thread only."""
        try:
            return self._connections.read(work)
        except Error as problem:
            if not is_busy(problem):
                raise self._file.unavailable(problem) from problem
        from asyncio import to_thread

        return await to_thread(self._read_patiently, work)

    def write(self, work: Callable[[Cursor], T], *, durable: bool, changes: Sequence[Change] = ()) -> T:
        """Return what *work* returns inside a transaction that many may share.

        Raises:
            StoreUnavailable: The file cannot be written; nothing was changed.

        """
        return self._group.do(Request(work, durable=durable, changes=changes))

    async def write_async(self, work: Callable[[Cursor], T], *, durable: bool, changes: Sequence[Change] = ()) -> T:
        """Do `write` without blocking the event loop; it happens even if the task is cancelled."""
        return await self._group.do_async(Request(work, durable=durable, changes=changes))

    def moved(self, key: str, seen: int) -> bool:
        """Return whether *key* has another version than *seen*."""
        return self.read(partial(version_of, key)) != seen

    async def moved_async(self, key: str, seen: int) -> bool:
        """Return whether *key* has another version than *seen*."""
        return await self.read_async(partial(version_of, key)) != seen

    def close(self) -> None:
        """Finish what is queued and close the file."""
        self._group.wait_until_idle()
        self._connections.close()
        self.watchers.notify_all()

    def _read_patiently(self, work: Callable[[Connection], T]) -> T:
        try:
            return self._file.patiently(partial(self._connections.read, work))
        except Error as problem:
            raise self._file.unavailable(problem) from problem

    def _commit(self, batch: Sequence[Request[Any]]) -> None:
        try:
            self._connections.write(partial(self._transact, batch))
        except Exception as problem:  # noqa: BLE001 - handed to those who asked
            if len(batch) == 1 or isinstance(problem, StoreUnavailable) or is_busy(problem):
                for request in batch:
                    request.error = self._explain(problem)
            else:  # one of them is to blame, and the others need not suffer for it
                for request in batch:
                    self._commit([request])
        else:
            faults.reach("sqlite.swap.after_commit")
            if self.watchers.anybody:
                self.watchers.notify([change for request in batch if not request.lost for change in request.changes])

    def _transact(self, batch: Sequence[Request[Any]], cursor: Cursor) -> None:
        self._file.patiently(partial(self._begin, cursor, any(request.durable for request in batch)))
        try:
            for request in batch:
                request.run(cursor)
            faults.reach("sqlite.swap.before_commit")
            cursor.execute("COMMIT")
        finally:
            if cursor.connection.in_transaction:
                cursor.execute("ROLLBACK")

    def _begin(self, cursor: Cursor, durable: bool) -> None:  # noqa: FBT001 - one of two, and private
        setting = (cursor, durable)
        if setting != self._setting:
            cursor.execute("PRAGMA synchronous = FULL" if durable else "PRAGMA synchronous = NORMAL")
            self._setting = setting
        cursor.execute("BEGIN IMMEDIATE")

    def _explain(self, problem: Exception) -> Exception:
        if isinstance(problem, StoreUnavailable):  # one each: an error is raised in one thread only
            return StoreUnavailable(problem.text, **problem.facts)
        if isinstance(problem, Error):
            explained = self._file.unavailable(problem)
            explained.__cause__ = problem
            return explained
        return problem

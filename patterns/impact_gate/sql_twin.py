"""Twins of a SQLite database: the database itself inside a transaction that is rolled back, or a copy in memory."""

from __future__ import annotations

import sqlite3  # noqa: TID253 - this module is itself imported when a SqlWorld is made
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, cast

from patterns.errors import Misuse
from patterns.impact_gate.sql_confined import ConfinedConnection, TwinConnection
from patterns.impact_gate.sql_recorder import Mode, Recorder
from patterns.impact_gate.world import Unmeasurable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextvars import ContextVar

    from patterns.impact_gate.effect import Effect
    from patterns.impact_gate.sql_pool import Prepared
    from patterns.impact_gate.sql_world import SqlWorld

__all__ = ["CopyTwin", "FileTwin", "GivenTwin", "SqlTwin"]

_STEPS_BETWEEN_LOOKS = 1000  # virtual machine steps, some 10 µs
_FALLEN = "its transaction was rolled back as a whole, so the rest could not be tried"


class SqlTwin:
    """What all twins of a SQLite database share.

    Args:
        world: Whose twin it is.
        here: Where code finds the twin it is tried on.

    """

    _connection: sqlite3.Connection | None = None
    _recorder: Recorder | None = None
    _depth = 0

    def __init__(self, world: SqlWorld, here: ContextVar[SqlTwin | None]) -> None:
        self._world = world
        self._here = here

    def open(self) -> None:
        """Make the twin and start to watch it.

        Raises:
            Unmeasurable: The database cannot be locked, copied or watched.

        """
        try:
            connection, recorder = self._begin()
        except (sqlite3.Error, OSError) as error:
            raise Unmeasurable(f"no rehearsal is possible: {error}") from error
        self._limit_time(connection, recorder)
        self._connection, self._recorder = connection, recorder

    def _begin(self) -> tuple[sqlite3.Connection, Recorder]:
        raise NotImplementedError

    def _limit_time(self, connection: sqlite3.Connection, recorder: Recorder) -> None:
        now, longest = self._world.clock.now, self._world.timeout
        deadline = now() + longest

        def late() -> bool:
            if now() > deadline:
                recorder.fail(f"it takes longer than {longest:g} s")
            return recorder.failure is not None

        connection.set_progress_handler(late, _STEPS_BETWEEN_LOOKS)

    @property
    def used(self) -> bool:
        """Whether the twin's connection was asked for, or a statement was run on it."""
        return self._opened()[1].used

    @contextmanager
    def visible(self) -> Iterator[None]:
        """Let ``world.connection()`` give out the twin."""
        token = self._here.set(self)
        try:
            yield
        finally:
            self._here.reset(token)

    @contextmanager
    def entered(self) -> Iterator[sqlite3.Connection]:
        """Give out the twin's connection; what the real one would do at the end happens to the twin."""
        _, recorder = self._opened()
        recorder.used = True
        shown = self._shown()
        self._depth += 1
        try:
            yield shown
        except BaseException:
            self._depth -= 1
            if not self._depth and self._connection is not None:
                shown.rollback()
            raise
        self._depth -= 1
        if not self._depth:
            shown.commit()

    def _shown(self) -> sqlite3.Connection:
        connection, _ = self._opened()
        return cast("sqlite3.Connection", TwinConnection(self, connection))

    def _opened(self) -> tuple[sqlite3.Connection, Recorder]:
        if self._connection is None or self._recorder is None:
            raise Misuse.shown(
                "the rehearsal this code belongs to is over",
                wrong="a task or thread that outlives the guarded function and then uses world.connection()",
                right="await or join it inside the function",
            )
        return self._connection, self._recorder

    def forbid(self, what: str) -> NoReturn:
        """Remember that the function tried *what*, so nothing can be said about it.

        Raises:
            sqlite3.NotSupportedError: Always.

        """
        _, recorder = self._opened()
        recorder.fail(f"it uses {what}, which nobody can watch")
        raise sqlite3.NotSupportedError(f"{what} cannot be rehearsed")

    def check(self) -> None:
        """Find nothing to complain about."""
        self._opened()

    def end_work(self, *, keep: bool) -> None:
        """Commit or roll back, as the function wants."""
        connection, _ = self._opened()
        if keep:
            connection.commit()
        else:
            connection.rollback()

    def effect(self) -> Effect:
        """Return what was done to the twin.

        Raises:
            Unmeasurable: Something happened that was not recorded.

        """
        _, recorder = self._opened()
        try:
            return recorder.effect()
        except sqlite3.Error as error:
            raise Unmeasurable(f"the rows it touched cannot be read: {error}") from error

    def close(self) -> None:
        """Take everything back."""
        connection, self._connection = self._connection, None
        recorder, self._recorder = self._recorder, None
        if connection is None or recorder is None:
            return
        try:
            connection.set_progress_handler(None, 0)
            recorder.remove()
        finally:
            self._end(connection, recorder)

    def _end(self, connection: sqlite3.Connection, recorder: Recorder) -> None:
        raise NotImplementedError


class CopyTwin(SqlTwin):
    """A copy in memory, which may do as it likes; takes time and memory in proportion to the database."""

    def _begin(self) -> tuple[sqlite3.Connection, Recorder]:
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        try:
            with self._world.source() as source:
                source.backup(connection)
            self._world.prepare(connection)
            recorder = Recorder(connection, limit=self._world.max_changes, mode=Mode.THROWN_AWAY)
            recorder.install()
        except BaseException:
            connection.close()
            raise
        return connection, recorder

    def _end(self, connection: sqlite3.Connection, recorder: Recorder) -> None:
        del recorder
        connection.close()


class _ConfinedTwin(SqlTwin):
    """The database itself, inside a transaction that never commits.

    The function's own transactions become savepoints inside of it.
    """

    def _shown(self) -> sqlite3.Connection:
        connection, _ = self._opened()
        return cast("sqlite3.Connection", ConfinedConnection(self, connection))

    def check(self) -> None:
        """Let nothing run outside of the transaction, where it would remain.

        Raises:
            sqlite3.OperationalError: The transaction is gone.

        """
        connection, recorder = self._opened()
        if not connection.in_transaction:
            recorder.fail(_FALLEN)
            raise sqlite3.OperationalError(_FALLEN)

    def end_work(self, *, keep: bool) -> None:
        """End the function's transaction, as far as the twin is concerned, and begin the next."""
        connection, recorder = self._opened()
        if not connection.in_transaction:
            recorder.fail(_FALLEN)
            return
        with recorder.ours() as cursor:
            if not keep:
                cursor.execute("ROLLBACK TO patterns_work")
            cursor.execute("RELEASE patterns_work")
            cursor.execute("SAVEPOINT patterns_work")


class FileTwin(_ConfinedTwin):
    """A connection of its own to the file; holds the write lock, so nobody's writes get between."""

    _prepared: Prepared | None = None

    def _begin(self) -> tuple[sqlite3.Connection, Recorder]:
        if self._world.inside():
            raise Unmeasurable(
                "it is called inside of world.connection(), whose transaction its rehearsal would wait for"
            )
        self._prepared, recorder = self._world.pool().begin()
        self._world.schema = self._prepared.schema
        return self._prepared.connection, recorder

    def _end(self, connection: sqlite3.Connection, recorder: Recorder) -> None:
        if self._prepared is None:
            raise AssertionError(f"{connection!r} did not come from the pool")
        self._world.pool().give_back(self._prepared, spoiled=recorder.spoiled or recorder.failure is not None)


class GivenTwin(_ConfinedTwin):
    """The given connection itself, between a savepoint and the return to it; nobody else may use it meanwhile."""

    _locked = False

    def _begin(self) -> tuple[sqlite3.Connection, Recorder]:
        self._world.lock.acquire()
        self._locked = True
        connection = self._world.given()
        if connection.in_transaction:
            raise Unmeasurable(
                "the connection is in the middle of a transaction, which a rehearsal could lose; end it first"
            )
        recorder = Recorder(
            connection,
            limit=self._world.max_changes,
            mode=Mode.ROLLED_BACK,
            overflow=self._world.given_overflow(connection),
        )
        try:
            with recorder.ours() as cursor:
                cursor.execute("SAVEPOINT patterns_rehearsal")
            self._world.schema = recorder.install(self._world.schema)
            with recorder.ours() as cursor:
                cursor.execute("SAVEPOINT patterns_work")
        except BaseException:
            recorder.remove()
            self._back_out(connection)
            raise
        return connection, recorder

    def close(self) -> None:
        """Take everything back and let others use the connection."""
        try:
            super().close()
        finally:
            if self._locked:
                self._locked = False
                self._world.lock.release()

    def _end(self, connection: sqlite3.Connection, recorder: Recorder) -> None:
        del recorder
        self._back_out(connection)

    def _back_out(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK TO patterns_rehearsal").close()
            connection.execute("RELEASE patterns_rehearsal").close()

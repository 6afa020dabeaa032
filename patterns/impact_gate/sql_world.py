"""A SQLite database in which actions can be tried before they are done."""

from __future__ import annotations

import sqlite3  # noqa: TID253 - this module is itself imported when a SqlWorld is made
import threading
from contextlib import closing, contextmanager
from contextvars import ContextVar
from functools import partial
from os import PathLike, fspath
from typing import TYPE_CHECKING, Literal

from patterns.errors import misuse
from patterns.impact_gate.effect import Lens, then
from patterns.impact_gate.sql_pool import Pool
from patterns.impact_gate.sql_recorder import Mode, Overflow, Recorder
from patterns.impact_gate.sql_twin import CopyTwin, FileTwin, GivenTwin, SqlTwin
from patterns.impact_gate.turns import NO_TURNS, Turns
from patterns.impact_gate.world import Unmeasurable
from patterns.kernel.clock import SYSTEM_CLOCK, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from patterns.impact_gate.effect import Effect
    from patterns.impact_gate.sql_schema import Schema
    from patterns.kernel.clock import Clock, Duration

    Setup = Callable[[sqlite3.Connection], object]

__all__ = ["SqlWorld"]


class SqlWorld:
    """A SQLite database in which actions can be tried before they are done.

    The guarded function reaches the database through `connection`. During a
    rehearsal that is the twin, otherwise the real thing::

        @gate.check
        def close_account(customer: str) -> None:
            with world.connection() as db:
                db.execute("DELETE FROM customers WHERE id = ?", (customer,))

    Args:
        database: Path of the database file, or an open connection. A connection is for one thread and for
            ``def`` functions, such as a ``":memory:"`` database in a test.
        twin: ``"savepoint"`` tries the action on the database itself, inside a transaction that is rolled back;
            it takes time in proportion to the touched rows and holds the write lock meanwhile.
            ``"copy"`` tries it on a copy in memory; it takes time and memory in proportion to the database,
            locks nothing, and also sees constraints that are checked at commit.
        setup: Called with every connection this world opens, for pragmas, functions and row factories.
        hidden: Columns whose values no assessment shows, as ``"table.column"`` or ``"*.column"``.
        volatile: Columns that come out differently each time, such as time stamps; they are not compared.
        owners: For each table the column that says whose row it is, to tell one user from many.
        max_changes: How many rows of one table a rehearsal may touch.
        timeout: Seconds a rehearsal may wait for the write lock, and may last.
        clock: Where the time comes from.

    Raises:
        Misuse: An option is wrong.

    """

    def __init__(
        self,
        database: str | PathLike[str] | sqlite3.Connection,
        *,
        twin: Literal["savepoint", "copy"] = "savepoint",
        setup: Setup | None = None,
        hidden: Iterable[str] = (),
        volatile: Iterable[str] = (),
        owners: Mapping[str, str] | None = None,
        max_changes: int = 10_000,
        timeout: Duration = 5.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._given = database if isinstance(database, sqlite3.Connection) else None
        self._path = "" if isinstance(database, sqlite3.Connection) else _path(database)
        if twin not in ("savepoint", "copy"):
            misuse(f"there is no twin {twin!r}", wrong=f"twin={twin!r}", right='twin="savepoint" or twin="copy"')
        if setup is not None and self._given is not None:
            misuse(
                "a connection that is already open is set up by whoever opened it",
                wrong="SqlWorld(connection, setup=...)",
                right="setup(connection); SqlWorld(connection)",
            )
        if isinstance(max_changes, bool) or not isinstance(max_changes, int) or max_changes < 1:
            misuse("max_changes is a number of rows", wrong=f"max_changes={max_changes!r}", right="max_changes=10_000")
        self.lens = Lens(
            hidden=_columns("hidden", hidden), volatile=_columns("volatile", volatile), owners=dict(owners or {})
        )
        self.sync_only = self._given is not None
        self.max_changes = max_changes
        self.timeout = seconds(timeout, name="timeout")
        self.clock = clock
        self.lock = threading.RLock()
        self._pool = Pool(self._path, partial(_connected, self._path, self.timeout, setup), max_changes)
        self._given_overflow: Overflow | None = None
        self.turns = NO_TURNS if twin == "copy" or self._given is not None else Turns(self.timeout, clock)
        self._copies = twin == "copy"
        self._setup = setup
        self.schema: Schema | None = None
        """What the database was last found to hold."""
        self._tried: ContextVar[SqlTwin | None] = ContextVar("patterns_sql_twin", default=None)
        self._open: ContextVar[sqlite3.Connection | None] = ContextVar("patterns_sql_connection", default=None)
        self._watched: ContextVar[Observation | None] = ContextVar("patterns_sql_observation", default=None)

    def __repr__(self) -> str:
        return f"SqlWorld({self._path or self._given!r})"

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Return a context with a connection: to the twin during a rehearsal, to the database otherwise.

        It commits at the end, or rolls back if the block raises. Inside of
        another it joins that one. Foreign keys are enforced, unless the
        connection was given.

        Raises:
            sqlite3.Error: The database cannot be opened or locked.

        """
        twin, outer = self._tried.get(), self._open.get()
        if twin is not None:
            with twin.entered() as shown:
                yield shown
        elif outer is not None:
            yield outer
        else:
            with self._really() as connection:
                token = self._open.set(connection)
                try:
                    yield connection
                finally:
                    self._open.reset(token)

    @contextmanager
    def _really(self) -> Iterator[sqlite3.Connection]:
        watched = self._watched.get()
        with self._one() as connection:
            outer = connection.in_transaction  # of a given connection: whoever began it ends it
            recorder = None if watched is None else watched.start(connection, self._overflow_of(connection))
            try:
                yield connection
                if watched is not None and recorder is not None:
                    watched.keep(recorder)
                if not outer:
                    connection.commit()
            except BaseException:
                if not outer:
                    connection.rollback()
                raise
            finally:
                if watched is not None and recorder is not None and self._given is not None:
                    watched.stop(recorder)

    @contextmanager
    def _one(self) -> Iterator[sqlite3.Connection]:
        if self._given is None:
            with closing(_connected(self._path, self.timeout, self._setup, check_same_thread=True)) as connection:
                yield connection
        else:
            with self.lock:
                yield self._given

    # For the twins.

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Set up a connection that was just opened."""
        _set_up(connection, self._setup)

    def given(self) -> sqlite3.Connection:
        """Return the connection this world was made with."""
        if self._given is None:
            raise AssertionError("this world has a path")
        return self._given

    def given_overflow(self, connection: sqlite3.Connection) -> Overflow:
        """Return the one overflow function of the given connection."""
        if self._given_overflow is None:
            self._given_overflow = Overflow(connection)
        return self._given_overflow

    def _overflow_of(self, connection: sqlite3.Connection) -> Overflow:
        return Overflow(connection) if self._given is None else self.given_overflow(connection)

    def inside(self) -> bool:
        """Whether this very code is inside of `connection`."""
        return self._open.get() is not None

    def pool(self) -> Pool:
        """Return the idle connections for rehearsals."""
        return self._pool

    def close(self) -> None:
        """Close idle connections; the world can still be used."""
        self._pool.close()

    def source(self) -> AbstractContextManager[sqlite3.Connection]:
        """Return a context with what a copy is made of."""
        return self._one()

    def twin(self) -> SqlTwin:
        """Return a new twin, not yet opened."""
        kind = CopyTwin if self._copies else FileTwin if self._given is None else GivenTwin
        return kind(self, self._tried)

    @contextmanager
    def observe(self, expected: Effect) -> Iterator[Observation]:
        """Return a context; what the code inside does through `connection` is collected.

        Only the tables that *expected* writes to are looked into, which is
        cheaper; a write to any other is noticed.
        """
        observation = Observation(self.max_changes, expected.written, self.schema)
        token = self._watched.set(observation)
        try:
            yield observation
        finally:
            self._watched.reset(token)


class Observation:
    """Collects what really happens through `SqlWorld.connection`, and disturbs it in no way."""

    def __init__(self, limit: int, only: Collection[str], schema: Schema | None) -> None:
        self._limit = limit
        self._only = only
        self._schema = schema
        self._effects: list[Effect] = []
        self.missed = False
        """Whether something could not be collected."""

    def start(self, connection: sqlite3.Connection, overflow: Overflow) -> Recorder | None:
        """Watch *connection*, if that is possible."""
        recorder = Recorder(connection, limit=self._limit, mode=Mode.KEPT, overflow=overflow)
        try:
            recorder.install(self._schema, only=self._only)
        except sqlite3.Error:
            self.missed = True
            return None
        return recorder

    def keep(self, recorder: Recorder) -> None:
        """Add what it saw."""
        try:
            self._effects.append(recorder.effect(counted=False))
        except (sqlite3.Error, Unmeasurable):
            self.missed = True

    def stop(self, recorder: Recorder) -> None:
        """Leave nothing on a connection that goes on living."""
        try:
            recorder.remove()
            recorder.drop()
        except sqlite3.Error:
            self.missed = True

    def effect(self) -> Effect | None:
        """Return all of it as one effect, in the order of the commits; None if it is not known."""
        if self.missed or not self._effects:
            return None
        total, *rest = self._effects
        for one in rest:
            total = then(total, one)
        return total


def _connected(
    path: str, timeout: float, setup: Setup | None, *, check_same_thread: bool = False
) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=timeout, check_same_thread=check_same_thread)
    try:
        _set_up(connection, setup)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection, setup: Setup | None) -> None:
    connection.execute("PRAGMA foreign_keys = ON").close()
    if setup is not None:
        setup(connection)


def _path(database: str | PathLike[str]) -> str:
    if not isinstance(database, (str, PathLike)) or not fspath(database):
        misuse(
            f"a SqlWorld is made of a path or a connection, not {database!r}",
            wrong=f"SqlWorld({database!r})",
            right='SqlWorld("shop.db")',
        )
    path = fspath(database)
    if path == ":memory:":
        misuse(
            "each connection to :memory: is a database of its own",
            wrong='SqlWorld(":memory:")',
            right='SqlWorld(sqlite3.connect(":memory:"))',
        )
    return path


def _columns(option: str, columns: Iterable[str]) -> frozenset[str]:
    names = frozenset([columns] if isinstance(columns, str) else columns)
    for name in names:
        if "." not in name:
            misuse(
                f"{name!r} does not name a column",
                wrong=f"{option}={{{name!r}}}",
                right=f'{option}={{"orders.{name}"}}',
            )
    return names

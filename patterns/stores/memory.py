"""The store of one process: as quick as a dictionary, and gone with the process."""

from __future__ import annotations

from itertools import islice, takewhile
from threading import Lock
from typing import TYPE_CHECKING, NoReturn

from patterns.errors import StoreUnavailable, misuse
from patterns.kernel.clock import SYSTEM_CLOCK
from patterns.kernel.ids import SYSTEM_IDS
from patterns.kernel.storage import ABSENT, Cell, Lost
from patterns.stores import forking
from patterns.stores.keys import check_changes, check_key, key_range
from patterns.stores.ordered import OrderedKeys
from patterns.stores.signals import Watchers
from patterns.stores.waiting import block_until_moved, suspend_until_moved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from patterns.kernel.clock import Clock
    from patterns.kernel.storage import AsyncCells, Cells, Change, Log, Owners

__all__ = ["AsyncMemoryCells", "MemoryCells", "MemoryLog", "MemoryOwners", "MemoryStore", "open_url"]

_URL = "memory://"


def open_url(rest: str, /, *, clock: Clock = SYSTEM_CLOCK) -> MemoryStore:
    """Open ``memory://``.

    Args:
        rest: What follows ``memory://``: nothing.
        clock: Gives the store's time.

    Raises:
        Misuse: Something follows; every memory store is a new, empty one, so a name would promise too much.

    """
    if rest:
        misuse(
            "a memory store has no name: each one is new and empty, so share the object",
            wrong=f'open_store("{_URL}{rest}")',
            right=f'open_store("{_URL}")',
        )
    return MemoryStore(clock=clock)


class MemoryStore:
    """A store for tests and for programs that need no memory of earlier runs; safe for threads and event loops.

    A forked child has a copy of its own.

    Args:
        clock: Gives the store's time; waiting happens in real time all the same.

    """

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.url = _URL
        self._cells = MemoryCells(clock)
        self.cells: Cells = self._cells
        self.async_cells: AsyncCells = AsyncMemoryCells(self._cells)
        self.owners: Owners | None = MemoryOwners()
        self._logs: dict[str, MemoryLog] = {}

    def log(self, name: str, /) -> Log:
        """Return the log called *name*."""
        check_key(name)
        with self._cells.lock:
            return self._logs.setdefault(name, MemoryLog(self._cells))

    def close(self) -> None:
        """Forget everything; further use raises `StoreUnavailable`."""
        self._cells.close()


class MemoryCells:
    """`Cells` in a dictionary."""

    def __init__(self, clock: Clock) -> None:
        self.lock = Lock()
        self.watchers = Watchers()
        self._wall = clock.wall
        self._cells: dict[str, Cell] | None = {}  # None once closed
        self._order = OrderedKeys()
        self._floor = ABSENT  # the largest version a deleted key ever had
        self._held = False
        forking.watch(self)

    def read(self, key: str, /) -> Cell | None:
        """See `patterns.kernel.storage.Cells.read`."""
        cells = self._cells
        if cells is None:
            refuse_closed()
        cell = cells.get(key)
        if cell is None:
            check_key(key)
        return cell

    def swap(self, changes: Sequence[Change], /, *, durable: bool = True) -> Lost | None:  # noqa: ARG002 - no disk
        """See `patterns.kernel.storage.Cells.swap`."""
        check_changes(changes)
        with self.lock:
            cells = self._cells
            if cells is None:
                refuse_closed()
            for change in changes:
                found = cells.get(change.key)
                version = ABSENT if found is None else found.version
                if version != change.seen:
                    return Lost(change.key, version)
            for change in changes:
                key, seen, value = change.key, change.seen, change.value
                if value is None:
                    self._delete(cells, key, seen)
                elif seen != ABSENT:
                    cells[key] = Cell(key, seen + 1, value)
                else:
                    cells[key] = Cell(key, self._floor + 1, value)
                    self._order.add(key)
            watched = self.watchers.anybody
        if watched:
            self.watchers.notify(changes)
        return None

    def scan(self, prefix: str, /, *, after: str = "", limit: int = 100) -> list[Cell]:
        """See `patterns.kernel.storage.Cells.scan`."""
        first, end = key_range(prefix, after)
        with self.lock:
            cells = self._cells
            if cells is None:
                refuse_closed()
            keys = takewhile(lambda key: end is None or key < end, self._order.start_at(first))
            return [cells[key] for key in islice(keys, max(limit, 0))]

    def now(self) -> float:
        """See `patterns.kernel.storage.Cells.now`."""
        return self._wall()

    def wait(self, key: str, /, seen: int, timeout: float) -> bool:
        """See `patterns.kernel.storage.Cells.wait`."""
        return block_until_moved(self.watchers, key, seen, timeout, self.moved)

    def moved(self, key: str, seen: int) -> bool:
        """Return whether *key* has another version than *seen*."""
        with self.lock:  # so that a swap either is seen here or sees who watches
            cell = self.read(key)
        return (ABSENT if cell is None else cell.version) != seen

    def close(self) -> None:
        """Forget everything and wake everybody."""
        with self.lock:
            self._cells = None
        self.watchers.notify_all()

    def require_open(self) -> None:
        """Raise `StoreUnavailable` if the store is closed."""
        if self._cells is None:
            refuse_closed()

    def before_fork(self) -> None:
        """Let no change be half done at the fork."""
        self._held = self.lock.acquire(timeout=forking.PATIENCE)

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._held:
            self.lock.release()

    def after_fork_in_child(self) -> None:
        """Go on with a copy."""
        self.lock = Lock()

    def _delete(self, cells: dict[str, Cell], key: str, seen: int) -> None:
        if seen != ABSENT:
            self._floor = max(self._floor, seen)
            self._order.remove(key)
            del cells[key]


class AsyncMemoryCells:
    """`AsyncCells` in a dictionary; only `wait` ever suspends."""

    suspends = False

    def __init__(self, cells: MemoryCells) -> None:
        self._cells = cells

    async def read(self, key: str, /) -> Cell | None:
        """See `patterns.kernel.storage.Cells.read`."""
        return self._cells.read(key)

    async def swap(self, changes: Sequence[Change], /, *, durable: bool = True) -> Lost | None:
        """See `patterns.kernel.storage.Cells.swap`."""
        return self._cells.swap(changes, durable=durable)

    async def scan(self, prefix: str, /, *, after: str = "", limit: int = 100) -> list[Cell]:
        """See `patterns.kernel.storage.Cells.scan`."""
        return self._cells.scan(prefix, after=after, limit=limit)

    async def now(self) -> float:
        """See `patterns.kernel.storage.Cells.now`."""
        return self._cells.now()

    async def wait(self, key: str, /, seen: int, timeout: float) -> bool:  # noqa: ASYNC109 - a hint with a bound
        """See `patterns.kernel.storage.Cells.wait`."""
        return await suspend_until_moved(self._cells.watchers, key, seen, timeout, self._moved)

    async def _moved(self, key: str, seen: int) -> bool:
        return self._cells.moved(key, seen)


class MemoryLog:
    """`Log` in a list."""

    def __init__(self, cells: MemoryCells) -> None:
        self._cells = cells
        self._values: list[bytes] = []

    def append(self, values: Sequence[bytes], /) -> int:
        """See `patterns.kernel.storage.Log.append`."""
        with self._cells.lock:
            self._cells.require_open()
            start = len(self._values)
            self._values += values
            return start

    def read(self, start: int, /, limit: int = 100) -> list[bytes]:
        """See `patterns.kernel.storage.Log.read`."""
        with self._cells.lock:
            self._cells.require_open()
            return self._values[max(start, 0) : max(start, 0) + max(limit, 0)]

    def size(self) -> int:
        """See `patterns.kernel.storage.Log.size`."""
        with self._cells.lock:
            self._cells.require_open()
            return len(self._values)


class MemoryOwners:
    """`Owners` where nobody but this process can hold a record."""

    def __init__(self) -> None:
        self._me = SYSTEM_IDS.new()
        forking.watch(self)

    def me(self) -> str:
        """Return this process's owner id."""
        return self._me

    def alive(self, owner: str, /) -> bool | None:
        """Return True for this process; None for the process this one was forked from, of which nothing is known."""
        return True if owner == self._me else None

    def before_fork(self) -> None:
        """Do nothing: there is nothing to finish."""

    def after_fork_in_parent(self) -> None:
        """Do nothing: the parent stays who it is."""

    def after_fork_in_child(self) -> None:
        """Become somebody else."""
        self._me = SYSTEM_IDS.new()


def refuse_closed() -> NoReturn:
    """Raise the error for use after `close`."""
    raise StoreUnavailable(f"the store {_URL} is closed; open it again", url=_URL)

"""What a guard may ask of a store: versioned records changed only by compare-and-swap, and a log.

A store knows nothing of patterns. It ships with `patterns.testing`'s
conformance suite; whoever writes one runs that suite.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar, runtime_checkable

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

P = ParamSpec("P")
T = TypeVar("T")

__all__ = ["ABSENT", "AsyncCells", "Cell", "Cells", "Change", "Log", "Lost", "Owners", "Store"]

ABSENT = 0
"""The version of a key that does not exist."""

_FIRST_POLL, _LAST_POLL = 0.001, 0.05


@frozen
class Cell:
    """One record: its key, its version (1 or more, grows with every change) and its bytes."""

    key: str
    version: int
    value: bytes


@frozen
class Change:
    """A wanted change: *key* must still be at *seen*; *value* None deletes it."""

    key: str
    seen: int
    value: bytes | None


@frozen
class Lost:
    """The swap did not happen: *key* was found at *version*, not at the one seen."""

    key: str
    version: int


class Cells(Protocol):
    """Versioned records, changed only by compare-and-swap, from threads (blocking).

    A key is any text that is not empty and can be written as UTF-8. Every
    operation raises `StoreUnavailable` if the store is closed or cannot be
    reached, and `Misuse` for a key or value that no store could keep.
    """

    def read(self, key: str, /) -> Cell | None:
        """Return the record, or None."""
        ...

    def swap(self, changes: Sequence[Change], /, *, durable: bool = True) -> Lost | None:
        """Make all *changes* or none; None means done, `Lost` names the first key that had moved on.

        With ``durable=True`` it returns when the changes survive a power loss;
        otherwise they survive the death of the process at least.
        The new version of a key is larger than any it has had before,
        also when the key was deleted in between; how much larger is not promised.
        Deleting a key seen as `ABSENT` merely checks that it is; an empty swap is done.
        No key may be changed twice in one swap.
        """
        ...

    def scan(self, prefix: str, /, *, after: str = "", limit: int = 100) -> list[Cell]:
        """Return up to *limit* records whose keys start with *prefix*, in key order (by code point), keys > *after*."""
        ...

    def now(self) -> float:
        """Return the store's own time, seconds since 1970; leases are compared on it alone."""
        ...

    def wait(self, key: str, /, seen: int, timeout: float) -> bool:
        """Block until *key* has another version than *seen*, at most *timeout* seconds; a hint, may return early.

        It returns at once if the version is another already, so nothing that
        happens between reading and waiting is missed.
        Returns whether a change was noticed.
        """
        ...


class AsyncCells(Protocol):
    """The same five operations for the tasks of any number of event loops; none of them blocks one."""

    suspends: bool
    """False if no operation but `wait` ever suspends (memory); settlement is cheaper then."""

    async def read(self, key: str, /) -> Cell | None:
        """See `Cells.read`."""
        ...

    async def swap(self, changes: Sequence[Change], /, *, durable: bool = True) -> Lost | None:
        """See `Cells.swap`; once it has suspended the swap happens even if the caller is cancelled."""
        ...

    async def scan(self, prefix: str, /, *, after: str = "", limit: int = 100) -> list[Cell]:
        """See `Cells.scan`."""
        ...

    async def now(self) -> float:
        """See `Cells.now`."""
        ...

    async def wait(self, key: str, /, seen: int, timeout: float) -> bool:  # noqa: ASYNC109 - a hint with a bound
        """See `Cells.wait`."""
        ...


class Log(Protocol):
    """Records in one order, never changed."""

    def append(self, values: Sequence[bytes], /) -> int:
        """Append *values* together, durably; return the position of the first (positions count from 0)."""
        ...

    def read(self, start: int, /, limit: int = 100) -> list[bytes]:
        """Return up to *limit* values from position *start* on."""
        ...

    def size(self) -> int:
        """Return how many values there are."""
        ...


@runtime_checkable
class Owners(Protocol):
    """Optional: tells whether the process that holds a record is alive."""

    def me(self) -> str:
        """Return this process's owner id, registering it on first use (a new one after a fork).

        It counts as alive until the process ends, whether or not the store is
        closed before: what it began may still be running.
        """
        ...

    def alive(self, owner: str, /) -> bool | None:
        """Return True, False (proven dead), or None if it cannot be told."""
        ...


class Store(Protocol):
    """A back end as a user holds it: ``patterns.open_store(url)``."""

    url: str
    cells: Cells
    async_cells: AsyncCells
    owners: Owners | None

    def log(self, name: str, /) -> Log:
        """Return the log called *name*, made on first append."""
        ...

    def close(self) -> None:
        """Release files and connections; further use raises `StoreUnavailable`."""
        ...


class Blocking:
    """`AsyncCells` over `Cells` for sync calls: its coroutines never suspend, so one ``send(None)`` drives them."""

    suspends = False

    def __init__(self, cells: Cells) -> None:
        self._cells = cells

    async def read(self, key: str, /) -> Cell | None:
        """See `Cells.read`."""
        return self._cells.read(key)

    async def swap(self, changes: Sequence[Change], /, *, durable: bool = True) -> Lost | None:
        """See `Cells.swap`."""
        return self._cells.swap(changes, durable=durable)

    async def scan(self, prefix: str, /, *, after: str = "", limit: int = 100) -> list[Cell]:
        """See `Cells.scan`."""
        return self._cells.scan(prefix, after=after, limit=limit)

    async def now(self) -> float:
        """See `Cells.now`."""
        return self._cells.now()

    async def wait(self, key: str, /, seen: int, timeout: float) -> bool:  # noqa: ASYNC109 - a hint with a bound
        """See `Cells.wait`."""
        return self._cells.wait(key, seen, timeout)


class Threaded:
    """`AsyncCells` over `Cells` for tasks, by way of a thread for every operation: the plain choice for a new store."""

    suspends = True

    def __init__(self, cells: Cells) -> None:
        self._cells = cells

    async def read(self, key: str, /) -> Cell | None:
        """See `Cells.read`."""
        return await _in_thread(self._cells.read, key)

    async def swap(self, changes: Sequence[Change], /, *, durable: bool = True) -> Lost | None:
        """See `Cells.swap`; it goes on in its thread if the task is cancelled."""
        import asyncio

        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(None, partial(self._cells.swap, changes, durable=durable)))

    async def scan(self, prefix: str, /, *, after: str = "", limit: int = 100) -> list[Cell]:
        """See `Cells.scan`."""
        return await _in_thread(self._cells.scan, prefix, after=after, limit=limit)

    async def now(self) -> float:
        """See `Cells.now`."""
        return await _in_thread(self._cells.now)

    async def wait(self, key: str, /, seen: int, timeout: float) -> bool:  # noqa: ASYNC109 - a hint with a bound
        """See `Cells.wait`; polls, since a thread that waits would be taken from the loop's small pool."""
        import asyncio

        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        pause = _FIRST_POLL
        while True:
            cell = await self.read(key)
            if (cell.version if cell else ABSENT) != seen:
                return True
            left = deadline - loop.time()
            if left <= 0:
                return False
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 2, _LAST_POLL)


def _in_thread(operation: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
    import asyncio

    return asyncio.to_thread(operation, *args, **kwargs)

"""Small words for tests of stores: write, count, race."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from patterns.kernel.storage import ABSENT, Change, Lost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from patterns.kernel.storage import Cells, Store

__all__ = ["add", "content", "count_up", "in_threads", "one_winner", "put", "race", "value", "version"]


async def race(store: Store, count: int, *, first: int = 0) -> list[Lost | None]:
    """Return the outcomes of *count* tasks that all create the key ``a``."""
    swaps: list[Awaitable[Lost | None]] = [
        store.async_cells.swap([Change("a", ABSENT, b"%d" % number)]) for number in range(first, first + count)
    ]
    return await asyncio.gather(*swaps)


def one_winner(outcomes: list[Lost | None]) -> int:
    """Return the number of the only winner; all others must have lost to it."""
    assert outcomes.count(None) == 1
    lost = {outcome for outcome in outcomes if outcome is not None}
    assert len(lost) <= 1
    return outcomes.index(None)


def in_threads(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Return what *work* returns for 0, 1, 2 ... in as many threads, all started at the same moment."""
    ready = threading.Barrier(count)

    def start(number: int) -> Any:
        ready.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(start, range(count)))


def put(cells: Cells, key: str, new: bytes | None) -> None:
    """Write *new* (None deletes) over whatever version there is."""
    assert cells.swap([Change(key, version(cells, key), new)], durable=False) is None


def add(cells: Cells, times: int, *keys: str) -> None:
    """Add one to all of *keys* together, *times* times, trying until nobody interferes."""
    while times:
        found = [cells.read(key) for key in keys]
        changes = [Change(cell.key, cell.version, b"%d" % (int(cell.value) + 1)) for cell in found if cell is not None]
        times -= cells.swap(changes, durable=False) is None


def version(cells: Cells, key: str) -> int:
    """Return the version of *key*."""
    cell = cells.read(key)
    return ABSENT if cell is None else cell.version


def count_up(cells: Cells, end: int) -> None:
    """Write 0, 1, 2 ... below *end* to the key ``a``."""
    for number in range(end):
        put(cells, "a", b"%d" % number)


def content(cells: Cells, key: str) -> bytes | None:
    """Return the value of *key*, or None."""
    cell = cells.read(key)
    return None if cell is None else cell.value


def value(cells: Cells, key: str) -> bytes:
    """Return the value of *key*, which must be there."""
    found = content(cells, key)
    assert found is not None
    return found

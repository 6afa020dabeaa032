"""What the guards of one ledger share: the store, who we are, and how a record is moved."""

from __future__ import annotations

import os
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any

from attrs import frozen

from patterns.kernel.events import Listeners
from patterns.kernel.storage import ABSENT, Change
from patterns.ledger.machine import step
from patterns.ledger.operations import Doubt, Gone, Moved, Refusal
from patterns.ledger.record_format import read_record, write_record

if TYPE_CHECKING:
    from patterns.kernel.clock import Clock
    from patterns.kernel.ids import Ids
    from patterns.kernel.storage import AsyncCells, Store
    from patterns.ledger.operations import Operation, Report, TakeBack
    from patterns.ledger.policy import Policy
    from patterns.ledger.record import Record
    from patterns.ledger.value_classes import Classes

__all__ = ["Books", "Handling"]

_ASK_AGAIN = 1.0  # seconds until the store is asked again who we are: its owner file may have been swept away
_LARGEST_CACHED = 10_000  # characters of a result


class Books:
    """One ledger's side of its store; shared by its guards, threads and event loops.

    Args:
        store: Where records are.
        name: The ledger's name.
        clock: Times on records, and how long to wait.
        ids: Makes an owner id where the store has none.
        settle_durably: Whether a settlement must survive a power loss.
        cached: How many settled records are remembered.

    Attributes:
        listeners: Those who are told of events.
        unsettled: Outcomes of this process that could not be written yet, by store key.
        waiters: How many callers wait for a winner.

    """

    def __init__(self, store: Store, name: str, *, clock: Clock, ids: Ids, settle_durably: bool, cached: int) -> None:
        self.store = store
        self.name = name
        self.clock = clock
        self.listeners = Listeners()
        self.unsettled: dict[str, Report | TakeBack] = {}
        self.waiters = 0
        self._lock = Lock()
        self._settle_durably = settle_durably
        self._ids = ids
        self._me = ("", -1, 0.0)  # owner id, process id, when the store said so
        self._cached = cached
        self._settled: OrderedDict[str, Record] = OrderedDict()
        self._second_guess = False

    def now(self) -> float:
        """Return seconds since 1970-01-01 UTC."""
        return float(self.clock.wall())

    def count_waiter(self, change: int) -> int:
        """Count one more (1) or fewer (-1) who waits; return how many there are."""
        with self._lock:
            self.waiters += change
            return self.waiters

    # Who we are, and who is alive

    def still_me(self) -> str | None:
        """Return this process's owner id, or None if it is time to ask."""
        owner, process, asked = self._me
        return owner if process == os.getpid() and self.clock.now() - asked < _ASK_AGAIN else None

    async def me(self, *, asynchronous: bool) -> str:
        """Return this process's owner id."""
        owner, process, _ = self._me
        owners = self.store.owners
        if owners is None:
            new = owner if process == os.getpid() else self._ids.new()
        else:
            new = await self._off_loop(owners.me, asynchronous=asynchronous)
        self._me = (new, os.getpid(), self.clock.now())
        return new

    async def alive(self, owner: str | None, *, asynchronous: bool) -> bool | None:
        """Return True, False if *owner* is proven dead, or None if it cannot be told."""
        if owner is None or self.store.owners is None:
            return None
        if owner == self.still_me():
            return True
        alive: bool | None = await self._off_loop(self.store.owners.alive, owner, asynchronous=asynchronous)
        return alive

    async def _off_loop(self, ask: Any, *args: Any, asynchronous: bool) -> Any:
        if not (asynchronous and self.store.async_cells.suspends):
            return ask(*args)
        from asyncio import to_thread

        return await to_thread(ask, *args)

    # Records

    async def recall(self, cells: AsyncCells, key: str) -> tuple[Record | None, int]:
        """Return the record at *key* and its version; one that is known to be settled without asking the store."""
        known = self._settled.get(key) if self._cached else None
        return await self.read(cells, key) if known is None else (known, ABSENT)

    async def read(self, cells: AsyncCells, key: str) -> tuple[Record | None, int]:
        """Return the record at *key* and its version."""
        cell = await cells.read(key)
        if cell is None:
            return None, ABSENT
        record = read_record(cell)
        if self._cached:
            self._remember(key, record)
        return record, cell.version

    def _remember(self, key: str, record: Record) -> None:
        if not record.is_settled or len(record.result or "") > _LARGEST_CACHED:
            return
        self._settled[key] = record
        while len(self._settled) > self._cached:
            self._settled.popitem(last=False)

    def forget(self) -> None:
        """Drop what is remembered of settled records."""
        self._settled.clear()

    async def move(self, cells: AsyncCells, key: str, operation: Operation, *, durable: bool = True) -> Moved | Refusal:
        """Do *operation* on the record at *key*, whatever others do to it at the same time."""
        while True:
            record, seen = await self.read(cells, key)
            answer = step(record, operation, await self._time(cells) if _is_doubt(operation) else self.now())
            if isinstance(answer, Refusal):
                return answer
            if await self._swapped(cells, key, seen, record, answer, durable=durable):
                return answer

    async def settle(
        self, cells: AsyncCells, key: str, claimed: Record, seen: int, report: Report | TakeBack
    ) -> Moved | Refusal:
        """Do the *report* of an attempt that claimed *key* when its version was *seen*."""
        # The version after a swap is not told. The next number is right unless the key had been deleted before; if it
        # is another one, this number has never been the record's, nor will it be, so the swap just fails.
        if not self._second_guess:
            answer = step(claimed, report, await self._time(cells) if _is_doubt(report) else self.now())
            if isinstance(answer, Refusal):
                return answer
            if await self._swapped(cells, key, seen + 1, claimed, answer, durable=self._settle_durably):
                return answer
            self._second_guess = seen == ABSENT
        return await self.move(cells, key, report, durable=self._settle_durably)

    async def _time(self, cells: AsyncCells) -> float:
        return float(await cells.now())

    async def _swapped(
        self, cells: AsyncCells, key: str, seen: int, before: Record | None, answer: Moved, *, durable: bool
    ) -> bool:
        after = answer.record
        changes = [Change(key, seen, None if after is None else write_record(after))]
        if before is not None and before.resources and (after is None or not after.resources):
            changes += await self._released(cells, before)
        return await cells.swap(changes, durable=durable) is None

    async def _released(self, cells: AsyncCells, record: Record) -> list[Change]:
        holds = record.id.encode()
        found = [await cells.read(resource) for resource in record.resources]
        # Emptied rather than deleted, which keeps versions small.
        return [Change(cell.key, cell.version, b"") for cell in found if cell is not None and cell.value == holds]


def _is_doubt(operation: Operation) -> bool:
    """Whether others will measure how old it is, so that it must be dated by the store's clock."""
    return isinstance(operation, (Doubt, Gone))


@frozen
class Handling:
    """What the calls of one tool share.

    Attributes:
        books: The ledger's records.
        policy: The tool's options.
        classes: The classes the tool's results are made of.

    """

    books: Books
    policy: Policy
    classes: Classes

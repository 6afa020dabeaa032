"""How a caller finds its effect: to be run, to be waited for, or settled."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from attrs import frozen

from patterns.errors import ApprovalPending, InFlight, KeyConflict
from patterns.kernel.storage import ABSENT, Change
from patterns.ledger import announcements
from patterns.ledger.doubts import find_out, in_doubt
from patterns.ledger.machine import step
from patterns.ledger.operations import Claim, Gone, Moved, Reason
from patterns.ledger.record import OPEN, State
from patterns.ledger.record_format import write_record
from patterns.ledger.waiting import Patience

if TYPE_CHECKING:
    from patterns.kernel.call import Call
    from patterns.kernel.storage import AsyncCells
    from patterns.ledger.books import Handling
    from patterns.ledger.keys import Effect
    from patterns.ledger.record import Record

__all__ = ["Attempt", "Meeting"]


@frozen
class Attempt:
    """The caller may run the effect, if it can make these changes.

    Attributes:
        record: The record as it will be, RUNNING.
        seen: The version the record had.
        changes: To be swapped in before the effect begins.

    """

    record: Record
    seen: int
    changes: list[Change]


class Meeting:
    """One call on its way to its effect.

    Args:
        handling: What the calls of the tool share.
        effect: The effect.
        call: The call.
        cells: The store in the call's colour.

    """

    def __init__(self, handling: Handling, effect: Effect, call: Call, cells: AsyncCells) -> None:
        self._handling = handling
        self._books = handling.books
        self._effect = effect
        self._call = call
        self.cells = cells
        self._asynchronous = call.target.asynchronous
        self._patience: Patience | None = None

    async def meet(self, record: Record | None, seen: int) -> Attempt | Record:
        """Return the attempt to make, or the settled record.

        Args:
            record: What is known of the effect.
            seen: The version of that.

        Raises:
            KeyConflict: The key belongs to a call with other arguments.
            InFlight: The effect, or another one on the same resource, is running and the time to wait is over.
            InDoubt: Nobody knows whether it happened.
            ApprovalPending: A person has not decided yet.

        """
        books, effect = self._books, self._effect
        claim = Claim(
            identity=effect.identity(),
            owner=books.still_me() or await books.me(asynchronous=self._asynchronous),
            trace=self._call.traceparent,
            resources=effect.resources,
        )
        while True:
            answer = step(record, claim, books.now())
            if isinstance(answer, Moved):
                return await self._attempt(answer, seen)
            if record is None:
                raise AssertionError("no rule refuses a claim on nothing")
            if answer.reason is Reason.SETTLED:
                return record
            await self._obstacle(record, seen, answer.reason)
            record, seen = await books.read(self.cells, effect.cell)

    async def _attempt(self, answer: Moved, seen: int) -> Attempt:
        record = answer.record
        if record is None:
            raise AssertionError("a claim leaves a record")
        changes = [Change(self._effect.cell, seen, write_record(record))]
        if self._effect.resources:
            changes += [await self._take(resource) for resource in self._effect.resources]
        return Attempt(record, seen, changes)

    async def _obstacle(self, record: Record, seen: int, reason: Reason) -> None:
        """Return when it is worth looking at the record again."""
        match reason:
            case Reason.CONFLICT:
                self._refuse_conflict(record)
            case Reason.PENDING:
                self._refuse_pending(record)
            case Reason.IN_DOUBT:
                await find_out(self._handling, self._call, self.cells, self._effect.cell, record)
            case _:
                await self._behind(record, seen)

    def _refuse_conflict(self, record: Record) -> NoReturn:
        key = record.identity.key or record.id
        raise KeyConflict(
            f"the key {key} of {self._call.name} belongs to a call with other arguments",
            call=self._call.name,
            key=key,
            effect_id=record.id,
        )

    def _refuse_pending(self, record: Record) -> NoReturn:
        raise ApprovalPending(
            f"{record.tool} waits for a person's decision",
            call=self._call.name,
            approval_id=record.approval or record.id,
            effect_id=record.id,
        )

    # Somebody runs it

    async def _behind(self, record: Record, seen: int) -> None:
        """Wait behind the one who runs it; if that one is dead, put the effect in doubt."""
        books, cell = self._books, self._effect.cell
        outcome = books.unsettled.get(cell)
        if outcome is not None:
            await books.move(self.cells, cell, outcome)
            books.unsettled.pop(cell, None)
        elif not await self._buried(record, cell):
            await self._wait(record, seen, cell, f"{self._call.name} is being run by somebody else")

    async def _buried(self, record: Record, cell: str) -> bool:
        books = self._books
        if await books.alive(record.owner, asynchronous=self._asynchronous) is not False:
            return False
        # Lazily: if it is lost with the power, the next caller finds out again.
        answer = await books.move(self.cells, cell, Gone(owner=record.owner or ""), durable=False)
        if isinstance(answer, Moved) and answer.record is not None:
            announcements.recorded(books, answer.record)
        return True

    async def _wait(self, record: Record, seen: int, cell: str, why: str) -> None:
        books, longest = self._books, self._handling.policy.wait
        if self._patience is None:
            self._patience = Patience(books.clock, longest)
        if self._patience.left <= 0:
            raise InFlight(
                f"{why}, who has not ended within {longest:g} s",
                call=self._call.name,
                holder=record.owner or record.id,
                until=None,
                effect_id=record.id,
            )
        waiters = books.count_waiter(1)
        try:
            await self._patience.wait(
                self.cells,
                cell,
                seen,
                waiters=waiters,
                stranger=record.owner != await books.me(asynchronous=self._asynchronous),
                asleep=self._asynchronous,
            )
        finally:
            books.count_waiter(-1)

    # Somebody has what it must have for itself

    async def _take(self, resource: str) -> Change:
        """Return the change that takes *resource*, waiting for a running holder."""
        mine = self._effect.id
        prefix = self._effect.cell.removesuffix(mine)
        while True:
            cell = await self.cells.read(resource)
            taken = Change(resource, ABSENT if cell is None else cell.version, mine.encode())
            if cell is None or cell.value in (b"", mine.encode()):
                return taken
            holder = prefix + cell.value.decode()
            record, seen = await self._books.read(self.cells, holder)
            if record is None or record.state not in OPEN:
                return taken
            await self._behind_holder(record, seen, holder)

    async def _behind_holder(self, record: Record, seen: int, cell: str) -> None:
        why = f"{self._call.name} must wait for {record.tool}, which has the same for itself and is run by somebody"
        if record.state is State.PENDING:
            self._refuse_pending(record)
        if record.state is State.IN_DOUBT:
            raise in_doubt(record, self._call.name, f"{self._call.name} needs the same for itself")
        if not await self._buried(record, cell):
            await self._wait(record, seen, cell, why)

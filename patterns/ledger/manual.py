"""Effects begun and settled by hand, where neither a function nor a block encloses them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from patterns.errors import Refused, misuse
from patterns.kernel.call import Call
from patterns.kernel.drive import finish_at_once
from patterns.kernel.outcome import Returned
from patterns.kernel.target import Kind, Target
from patterns.ledger.operations import Doubt, Fail, Free, Moved, News
from patterns.ledger.raised import describe, text_of
from patterns.ledger.record import Record
from patterns.ledger.value_classes import Classes

if TYPE_CHECKING:
    from patterns.kernel.storage import AsyncCells
    from patterns.ledger.guard import OnceGuard
    from patterns.ledger.keys import Effect
    from patterns.ledger.meeting import Attempt
    from patterns.ledger.operations import Report

__all__ = ["AsyncBegun", "Begun", "begin"]

_AGAIN = Classes()


class _Begun:
    """An effect that was begun by hand.

    Attributes:
        fresh: Whether to do the work; False if an earlier run already did.
        result: The recorded result if it was done before.
        id: The effect's id.
        idempotency_key: What to send downstream.
        fence: Grows with every attempt at the effect.

    """

    def __init__(
        self,
        guard: OnceGuard,
        call: Call,
        effect: Effect,
        *,
        cells: AsyncCells,
        attempt: Attempt | None = None,
        result: Any = None,
    ) -> None:
        self.fresh = attempt is not None
        self.result = result
        self.id = effect.id
        self.idempotency_key = effect.downstream
        self.fence = call.fence
        self._guard = guard
        self._call = call
        self._effect = effect
        self._cells = cells
        self._attempt = attempt

    async def _settle(self, make: Any) -> None:
        attempt = self._attempt
        if attempt is None:
            misuse(
                f"{self._call.name} is settled already",
                wrong="effect.commit(result); effect.commit(result)",
                right="if effect.fresh: effect.commit(do_it())",
            )
        self._attempt = None
        report: Report = make(attempt.record)
        answer = await self._guard.settle(self._call, self._effect, attempt, self._cells, report)
        if not isinstance(answer, Moved) or answer.news is News.LATE:
            raise Refused(
                f"what became of {self.id} could not be recorded as told: its record had moved on or is out of reach;"
                " it is kept as evidence, or written later",
                call=self._call.name,
                effect_id=self.id,
            )

    def _done(self, result: Any) -> Any:
        self.result = result
        return lambda record: self._guard.report_of(Returned(result), record)

    def __del__(self) -> None:
        if getattr(self, "_attempt", None) is not None:
            warnings.warn(f"{self.id} was begun and never settled", ResourceWarning, stacklevel=2)


def _failed(error: BaseException | str) -> Any:
    return lambda record: Fail(fence=record.fence, owner=record.owner or "", error=describe(error, _AGAIN))


def _released(error: BaseException | str) -> Any:
    return lambda record: Free(fence=record.fence, owner=record.owner or "", error=describe(error, _AGAIN))


def _abandoned(why: BaseException | str) -> Any:
    text = why if isinstance(why, str) else text_of(why)
    return lambda record: Doubt(fence=record.fence, owner=record.owner or "", why=text)


class Begun(_Begun):
    """An effect begun by `Ledger.begin`; settle it with exactly one of the four methods.

    Each of them raises `Refused` if the effect has moved on without this
    attempt (the report is kept as evidence), and `Misuse` if it was settled before.
    """

    def commit(self, result: Any = None) -> None:
        """It happened, and *result* is handed out from now on."""
        finish_at_once(self._settle(self._done(result)))

    def fail(self, error: BaseException | str) -> None:
        """It failed for good; *error* is raised from now on."""
        finish_at_once(self._settle(_failed(error)))

    def release(self, error: BaseException | str = "") -> None:
        """Nothing happened; it may be begun again."""
        finish_at_once(self._settle(_released(error)))

    def abandon(self, why: BaseException | str) -> None:
        """Nobody knows whether it happened."""
        finish_at_once(self._settle(_abandoned(why)))


class AsyncBegun(_Begun):
    """The same from `Ledger.abegin`, for coroutines."""

    async def commit(self, result: Any = None) -> None:
        """See `Begun.commit`."""
        await self._call.shield(self._settle(self._done(result)), suspends=self._cells.suspends)

    async def fail(self, error: BaseException | str) -> None:
        """See `Begun.fail`."""
        await self._call.shield(self._settle(_failed(error)), suspends=self._cells.suspends)

    async def release(self, error: BaseException | str = "") -> None:
        """See `Begun.release`."""
        await self._call.shield(self._settle(_released(error)), suspends=self._cells.suspends)

    async def abandon(self, why: BaseException | str) -> None:
        """See `Begun.abandon`."""
        await self._call.shield(self._settle(_abandoned(why)), suspends=self._cells.suspends)


async def begin(guard: OnceGuard, name: str, facts: dict[str, Any], *, asynchronous: bool) -> Any:
    """Return the effect called *name*, claimed for the caller or done before.

    Raises:
        InFlight: Somebody else has begun it and does not end in time.
        InDoubt: Nobody knows whether it happened.
        KeyConflict: The key belongs to other facts.

    """
    target = Target(None, Kind.ASYNC_BLOCK if asynchronous else Kind.BLOCK, name, f"step:{name}")
    bound, call = guard.bind(target), Call(target, (), facts)
    effect, cells = bound.approach(call)
    meeting = bound.meeting(call, effect, cells)
    kind = AsyncBegun if asynchronous else Begun
    while True:
        met = await meeting.meet(*await guard.books.read(cells, effect.cell))
        if isinstance(met, Record):
            return kind(bound, call, effect, cells=cells, result=bound.replay(call, effect, met))
        claimed = cells.swap(met.changes)
        if await call.shield(_awaited(claimed), suspends=cells.suspends) is None:
            call.idempotency_key, call.fence = effect.downstream, met.record.fence
            return kind(bound, call, effect, cells=cells, attempt=met)


async def _awaited(swap: Any) -> Any:
    return await swap

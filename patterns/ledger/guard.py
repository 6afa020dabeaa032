"""The ledger's guard: claim before the body, settle after it, replay instead of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from patterns.errors import ApprovalDenied, EffectFailed, InFlight, Misuse, misuse
from patterns.kernel import faults
from patterns.kernel.commit import Claim, ClaimLost, cells_of
from patterns.kernel.drive import finish_at_once
from patterns.kernel.outcome import Abandoned, Raised, Refused, Replayed, Returned
from patterns.kernel.stack import Guard
from patterns.kernel.storage import Blocking
from patterns.kernel.target import Kind
from patterns.ledger import announcements
from patterns.ledger.annotations import declared_classes, refuse_unrecordable
from patterns.ledger.books import Handling
from patterns.ledger.failures import Meaning
from patterns.ledger.machine import is_replay
from patterns.ledger.meeting import Meeting
from patterns.ledger.operations import Doubt, Fail, Free, Moved, News, Refusal, Settle, TakeBack
from patterns.ledger.raised import describe, rebuild, text_of
from patterns.ledger.record import Record, State
from patterns.ledger.results import replayed_result, result_text
from patterns.ledger.value_classes import Classes

if TYPE_CHECKING:
    from patterns.kernel.call import Call, Proceed
    from patterns.kernel.outcome import Outcome
    from patterns.kernel.storage import AsyncCells, Store
    from patterns.kernel.target import Target
    from patterns.ledger.keys import Effect, Keys
    from patterns.ledger.meeting import Attempt
    from patterns.ledger.operations import Report
    from patterns.ledger.telling import Telling

__all__ = ["OnceGuard"]


class OnceGuard(Guard):
    """Runs an effect at most once.

    Args:
        handling: What the calls of the tool share.
        telling: How its effects are told apart.
        keys: `telling`, checked against the target; None until the guard is bound to one.

    """

    name = "ledger.once"

    def __init__(self, handling: Handling, telling: Telling, keys: Keys | None = None) -> None:
        self._handling = handling
        self.books = handling.books
        self._telling = telling
        self._keys = keys

    def bind(self, target: Target) -> OnceGuard:
        """Return the guard of *target*.

        Raises:
            Misuse: It is a generator, or its options, name or return annotation do not allow it to be guarded.

        """
        if target.kind in (Kind.GENERATOR, Kind.ASYNC_GENERATOR):
            misuse(
                f"{target.name} is a {target.kind.value}: its effects happen while it is consumed, and what it yields"
                " is gone then, so it cannot be run once and handed out again",
                wrong=f"@ledger.once\n           def {target.name}(...): yield ...",
                right=f"@ledger.once\n           def {target.name}(...): return [...]\n"
                '    or:    with ledger.step("page 1") as step: ... inside it, around each effect',
            )
        if not target.is_block:
            refuse_unrecordable(target)
        policy = self._handling.policy.bound_to(target)
        keys = self._telling.keys_of(target, self.books.name, policy.guarantee.text)
        classes = Classes(lambda: declared_classes(target.function))
        return OnceGuard(Handling(self.books, policy, classes), self._telling, keys)

    def approach(self, call: Call) -> tuple[Effect, AsyncCells]:
        """Return the effect that *call* is, and the store in the call's colour.

        Raises:
            ScopeRequired: It belongs to no run and has no key.
            InFlight: It is made from within the effect itself.
            Misuse: It has no spelling, or is guarded twice.

        """
        if self._keys is None:
            raise AssertionError("a guard is bound to its target before the first call")
        effect = self._keys.effect_of(call)
        _refuse_echo(call, effect, self.books.store)
        return effect, cells_of(self.books.store, call)

    def meeting(self, call: Call, effect: Effect, cells: AsyncCells) -> Meeting:
        """Return the call's way to its effect."""
        return Meeting(self._handling, effect, call, cells)

    async def around(self, call: Call, proceed: Proceed) -> Any:
        """Run the effect, or wait for who runs it, or hand out what is recorded."""
        effect, cells = self.approach(call)
        record, seen = await self.books.recall(cells, effect.cell)
        if record is not None and is_replay(record, effect.fingerprint):
            return self.replay(call, effect, record)
        meeting = self.meeting(call, effect, cells)
        while True:
            met = await meeting.meet(record, seen)
            if isinstance(met, Record):
                return self.replay(call, effect, met)
            outcome = await self._attempt(call, effect, met, cells, proceed)
            if outcome is not None:
                return outcome.unwrap()
            record, seen = await self.books.read(cells, effect.cell)

    async def _attempt(
        self, call: Call, effect: Effect, attempt: Attempt, cells: AsyncCells, proceed: Proceed
    ) -> Outcome | None:
        """Return how the call ended, or None if somebody else was quicker to claim the effect."""
        record, store = attempt.record, self.books.store

        async def take_back() -> None:
            await self.settle(call, effect, attempt, cells, _back(record))

        claim = Claim(store, attempt.changes, effect=True, revert=take_back)
        call.at_commit(claim)
        call.idempotency_key, call.fence = effect.downstream, record.fence
        try:
            outcome = await call.attempt(proceed)
        except GeneratorExit as closing:
            # The coroutine is closed by force and cannot await any more, so the store is called as from a thread.
            if claim.committed:
                report = self.report_of(Abandoned(closing), record)
                finish_at_once(self.settle(call, effect, attempt, Blocking(store.cells), report))
            raise
        if claim.committed:
            ran = isinstance(outcome, (Returned, Raised, Abandoned))
            ended = self._surely(outcome, effect, record) if ran else _back(record)
            await call.shield(self.settle(call, effect, attempt, cells, ended), suspends=cells.suspends)
            return outcome
        call.withdraw(claim)
        lost = isinstance(outcome, Refused) and isinstance(outcome.error, ClaimLost) and outcome.error.claim is claim
        return None if lost else outcome

    # Settling

    def _surely(self, outcome: Outcome, effect: Effect, record: Record) -> Report:
        """Return the report, or keep a doubt for the next caller if the program is interrupted just now."""
        try:
            return self.report_of(outcome, record)
        except BaseException as interruption:
            doubt = Doubt(fence=record.fence, owner=record.owner or "", why=text_of(interruption))
            self.books.unsettled[effect.cell] = doubt
            raise

    def report_of(self, outcome: Outcome, record: Record) -> Report:
        """Return what the attempt that made *record* reports."""
        fence, owner = record.fence, record.owner or ""
        match outcome:
            case Returned(value):
                text = result_text(value, self._handling.classes, self._handling.policy.largest_result)
                return Settle(fence=fence, owner=owner, result=text)
            case Raised(error) | Abandoned(error):
                match self._handling.policy.failures.meaning(error):
                    case Meaning.FAILED:
                        return Fail(fence=fence, owner=owner, error=describe(error, self._handling.classes))
                    case Meaning.NOT_PERFORMED:
                        return Free(fence=fence, owner=owner, error=describe(error, self._handling.classes))
                    case Meaning.IN_DOUBT:
                        return Doubt(fence=fence, owner=owner, why=text_of(error))
        raise AssertionError(f"{outcome!r} is not how a body ends")

    async def settle(
        self, call: Call, effect: Effect, attempt: Attempt, cells: AsyncCells, report: Report | TakeBack
    ) -> Moved | Refusal | None:
        """Write the *report* and return what became of it, None if it could not be written.

        Whatever happens to it, the caller gets what the body returned or raised.
        """
        books, record = self.books, attempt.record
        faults.reach("ledger.settle.before")
        try:
            answer = await books.settle(cells, effect.cell, record, attempt.seen, report)
        except BaseException as problem:
            books.unsettled[effect.cell] = report
            announcements.unsettled(books, record, text_of(problem), call)
            if not isinstance(problem, Exception):
                raise
            return None
        faults.reach("ledger.settle.after")
        self._tell(call, effect, answer, record)
        return answer

    def _tell(self, call: Call, effect: Effect, answer: Moved | Refusal, claimed: Record) -> None:
        news = answer.news if isinstance(answer, Moved) else News.LATE
        if call.trace is not None:
            call.note(ledger__result=_RESULTS[news], ledger__key_hash=effect.hash)
        if isinstance(answer, Refusal):
            announcements.unsettled(self.books, claimed, answer.reason.value, call)
        elif answer.record is not None and news is News.LATE:
            announcements.reported_late(self.books, answer.record, claimed.fence, call)
        elif answer.record is not None and news is not News.TAKEN_BACK:
            announcements.recorded(self.books, answer.record, call)

    # Replaying

    def replay(self, call: Call, effect: Effect, record: Record) -> Any:
        """Return the recorded result, or raise the recorded failure."""
        call.is_replay, call.replayed_from = True, record.id
        call.idempotency_key, call.fence = effect.downstream, record.fence
        if call.trace is not None:
            call.note(ledger__result="replayed", ledger__key_hash=effect.hash)
            call.trace.link(record.trace, "replay_of")
        announcements.replayed(self.books, record, call)
        if record.state is State.DONE:
            return replayed_result(record, self._handling.classes, call.name)
        error = rebuild(record, self._handling.classes) if record.state is State.FAILED else _void(record, call)
        return Replayed(error=error).unwrap()


_RESULTS = {
    News.DONE: "executed",
    News.FAILED: "failed",
    News.FREED: "freed",
    News.IN_DOUBT: "in_doubt",
    News.LATE: "late",
    News.TAKEN_BACK: "taken_back",
}


def _back(record: Record) -> TakeBack:
    return TakeBack(fence=record.fence, owner=record.owner or "")


def _void(record: Record, call: Call) -> Exception:
    last = record.notes[-1] if record.notes else {}
    reason = str(last.get("note") or "no reason was given")
    if record.approval is not None:
        return ApprovalDenied(
            f"{call.name} was not approved: {reason}", call=call.name, approval_id=record.approval, reason=reason
        )
    return EffectFailed(
        f"{call.name} was given up: {reason}", call=call.name, effect_id=record.id, error_type="", error=reason
    )


def _same(one: Store, other: Store) -> bool:
    """Whether both are one place; two stores in memory never are."""
    return one is other or (one.url == other.url and not one.url.startswith("memory:"))


def _refuse_echo(call: Call, effect: Effect, store: Store) -> None:
    """Refuse a call that would wait for itself, and a second guard of the same ledger around one call.

    Raises:
        InFlight: The effect is made from within itself.
        Misuse: The function is decorated twice.

    """
    claims = [claim for claim in call.claims if _same(claim.store, store)] if call.claims else ()
    if any(change.key == effect.cell for claim in claims for change in claim.changes):
        raise Misuse.shown(
            f"{call.name} is guarded twice by one ledger",
            wrong="@ledger.once\n           @ledger.once",
            right="@ledger.once",
        )
    caller = call.parent
    while caller is not None:
        if caller.idempotency_key == effect.downstream and not caller.over:
            raise InFlight(
                f"{call.name} calls itself with the same arguments, and would wait for itself",
                call=call.name,
                holder=caller.id,
                until=None,
                effect_id=effect.id,
            )
        caller = caller.parent

"""The rules of the ledger, as one pure function: `step`.

An effect is entered at most once, because

- its record moves to RUNNING, durably, before the effect begins, and only one
  of those who ask at once makes that move (the store compares and swaps);
- a record leaves RUNNING or IN_DOUBT for another attempt only if the earlier
  attempt is known to be over and it is known, or declared harmless, what it
  did; no timer leads there;
- whoever reports an outcome names its attempt by fence and owner. A report of
  an attempt the record has moved on from changes nothing but the evidence.

=========  ======================  ==================================  ==================================
state      Claim                   Settle, Fail, Free, Doubt           Gone, Decide, Ask, Approve, Cancel
                                   of the record's own attempt
=========  ======================  ==================================  ==================================
(none)     RUNNING                 refused: unknown                    Ask: PENDING; else refused
PENDING    refused: pending        evidence                            Approve: READY, Cancel: VOID
READY      RUNNING, fence + 1      Settle: DONE, Fail: FAILED [1]_     Cancel: VOID
RUNNING    refused: running        DONE, FAILED, READY, IN_DOUBT       Gone: IN_DOUBT, Decide: by force [2]_
DONE       refused: settled        evidence                            refused
FAILED     refused: settled        evidence                            refused
IN_DOUBT   refused: in doubt [3]_  Settle: DONE, Fail: FAILED,         Decide: DONE, FAILED, READY [2]_, VOID
                                   Free: READY
VOID       refused: settled        evidence                            refused
=========  ======================  ==================================  ==================================

A claim with other arguments than the record's is refused as a conflict in
every state but READY without an approval, where nothing has happened yet.
TakeBack, of a claim whose body was never entered, undoes the claim. A report
of any other attempt is evidence in every state. A repetition that is taken
back or freed leaves the effect in doubt, for it says nothing of the attempt
before it.

.. [1] A person freed it by force and the attempt was alive after all.
.. [2] READY, unless forced, only if the attempt is known to be over.
.. [3] RUNNING, fence + 1, if both the record and the claim are ``keyed`` and
   within the window, or both ``repeatable``, and the attempt is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from patterns.ledger.operations import (
    Approve,
    Ask,
    Cancel,
    Claim,
    Decide,
    Doubt,
    Fail,
    Free,
    Gone,
    Moved,
    News,
    Operation,
    Reason,
    Refusal,
    Report,
    Settle,
    TakeBack,
    Verdict,
)
from patterns.ledger.record import SETTLED, Guarantee, Identity, Record, State

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["is_replay", "step"]

_MOST_KEPT = 20
"""How many late outcomes, and how many notes, a record keeps: the first ones, which tell what went wrong."""


def step(record: Record | None, operation: Operation, now: float) -> Moved | Refusal:
    """Return what *operation* makes of *record*.

    Args:
        record: What the store holds, or None.
        operation: What is wanted.
        now: Seconds since 1970-01-01 UTC.

    """
    return _RULES[type(operation)](record, operation, now)


# Asking and claiming


def _ask(record: Record | None, ask: Ask, now: float) -> Moved | Refusal:
    if record is not None:
        return _refuse_claim(record, ask.identity)
    return Moved(
        Record(identity=ask.identity, state=State.PENDING, fence=0, created=now, changed=now, approval=ask.approval),
        News.ASKED,
    )


def _approve(record: Record | None, approve: Approve, now: float) -> Moved | Refusal:
    if record is None:
        return Refusal(Reason.UNKNOWN)
    if record.state is not State.PENDING or record.approval != approve.approval:
        return Refusal(Reason.ILLEGAL)
    return Moved(record.changed_to(state=State.READY, changed=now), News.APPROVED)


def _cancel(record: Record | None, cancel: Cancel, now: float) -> Moved | Refusal:
    if record is None:
        return Refusal(Reason.UNKNOWN)
    if record.state not in (State.PENDING, State.READY):
        return Refusal(Reason.ILLEGAL)
    noted = _noted(record, "cancelled", cancel.by, cancel.note, now)
    return Moved(noted.changed_to(state=State.VOID, changed=now), News.VOID)


def _claim(record: Record | None, claim: Claim, now: float) -> Moved | Refusal:
    if record is None:
        return Moved(
            Record(
                identity=claim.identity,
                state=State.RUNNING,
                owner=claim.owner,
                created=now,
                first=now,
                started=now,
                changed=now,
                trace=claim.trace,
                resources=claim.resources,
            ),
            News.CLAIMED,
        )
    if record.state is State.READY and (record.approval is None or _same(record.identity, claim.identity)):
        return _next_attempt(record, claim, now)
    if record.state is State.IN_DOUBT and _same(record.identity, claim.identity) and _may_repeat(record, claim, now):
        return _next_attempt(record, claim, now)
    return _refuse_claim(record, claim.identity)


def _next_attempt(record: Record, claim: Claim, now: float) -> Moved:
    started = record.changed_to(
        identity=claim.identity,
        state=State.RUNNING,
        fence=record.fence + 1,
        owner=claim.owner,
        over=False,
        first=now if record.first is None else record.first,
        started=now,
        changed=now,
        error=None,
        doubt=None,
        repeats=record.repeats or record.state is State.IN_DOUBT,
        trace=claim.trace,
        resources=claim.resources,
    )
    return Moved(started, News.CLAIMED)


def _may_repeat(record: Record, claim: Claim, now: float) -> bool:
    since = None if record.first is None else now - record.first
    promises = Guarantee.of(record.identity.guarantee), Guarantee.of(claim.identity.guarantee)
    return record.over and promises[0].kind == promises[1].kind and all(one.repeats(since) for one in promises)


def _same(one: Identity, other: Identity) -> bool:
    return one.fingerprint == other.fingerprint


_REFUSALS = {
    State.PENDING: Refusal(Reason.PENDING),
    State.READY: Refusal(Reason.ILLEGAL),
    State.RUNNING: Refusal(Reason.RUNNING),
    State.IN_DOUBT: Refusal(Reason.IN_DOUBT),
    State.DONE: Refusal(Reason.SETTLED),
    State.FAILED: Refusal(Reason.SETTLED),
    State.VOID: Refusal(Reason.SETTLED),
}


def is_replay(record: Record, fingerprint: str) -> bool:
    """Whether a claim is refused because *record* is its settled effect: what `step` says, without a claim."""
    return record.state in SETTLED and record.identity.fingerprint == fingerprint


def _refuse_claim(record: Record, identity: Identity) -> Refusal:
    return _REFUSALS[record.state] if _same(record.identity, identity) else Refusal(Reason.CONFLICT)


def _take_back(record: Record | None, back: TakeBack, now: float) -> Moved | Refusal:
    if record is None:
        return Refusal(Reason.UNKNOWN)
    if record.state is not State.RUNNING or not _own(record, back):
        return Refusal(Reason.ILLEGAL)
    if record.fence == 1 and record.approval is None:
        return Moved(None, News.TAKEN_BACK)
    return Moved(_rested(record, now), News.TAKEN_BACK)


def _rested(record: Record, now: float) -> Record:
    """Return *record* as it is when its latest attempt had no effect."""
    if record.repeats:
        return record.changed_to(state=State.IN_DOUBT, over=True, changed=now, doubt="an earlier attempt may have run")
    # Without an owner, so that nobody can report for this attempt again.
    return record.changed_to(
        state=State.READY, owner=None, over=True, first=None, changed=now, doubt=None, resources=()
    )


# Reports of an attempt


def _own(record: Record, report: Report | TakeBack) -> bool:
    return record.fence == report.fence and record.owner == report.owner


def _settle(record: Record | None, report: Settle, now: float) -> Moved | Refusal:
    if record is None:
        return Refusal(Reason.UNKNOWN)
    if not _own(record, report) or record.state not in (State.RUNNING, State.IN_DOUBT, State.READY):
        return _evidence(record, report, now)
    done = record.changed_to(
        state=State.DONE, over=True, changed=now, result=report.result, error=None, doubt=None, resources=()
    )
    return Moved(done, News.DONE)


def _fail(record: Record | None, report: Fail, now: float) -> Moved | Refusal:
    if record is None:
        return Refusal(Reason.UNKNOWN)
    if not _own(record, report) or record.state not in (State.RUNNING, State.IN_DOUBT, State.READY):
        return _evidence(record, report, now)
    failed = record.changed_to(state=State.FAILED, over=True, changed=now, error=report.error, doubt=None, resources=())
    return Moved(failed, News.FAILED)


def _free(record: Record | None, report: Free, now: float) -> Moved | Refusal:
    if record is None:
        return Refusal(Reason.UNKNOWN)
    if not _own(record, report) or record.state not in (State.RUNNING, State.IN_DOUBT):
        return _evidence(record, report, now)
    return Moved(_rested(record.changed_to(error=report.error), now), News.FREED)


def _doubt(record: Record | None, report: Doubt, now: float) -> Moved | Refusal:
    if record is None:
        return Refusal(Reason.UNKNOWN)
    if not _own(record, report) or record.state not in (State.RUNNING, State.IN_DOUBT):
        return _evidence(record, report, now)
    return Moved(record.changed_to(state=State.IN_DOUBT, over=True, changed=now, doubt=report.why), News.IN_DOUBT)


def _evidence(record: Record, report: Report, now: float) -> Moved:
    seen: dict[str, Any] = {"at": now, "fence": report.fence, "owner": report.owner}
    match report:
        case Settle():
            seen |= {"outcome": "done", "result": report.result}
        case Fail():
            seen |= {"outcome": "failed", "error": report.error}
        case Free():
            seen |= {"outcome": "freed", "error": report.error}
        case Doubt():
            seen |= {"outcome": "in_doubt", "doubt": report.why}
    return Moved(record.changed_to(late=(*record.late, seen)[:_MOST_KEPT]), News.LATE)


# What others find out


def _gone(record: Record | None, gone: Gone, now: float) -> Moved | Refusal:
    if record is None:
        return Refusal(Reason.UNKNOWN)
    suspected = record.state is State.IN_DOUBT and not record.over and gone.proven
    if record.owner != gone.owner or not (suspected or record.state is State.RUNNING):
        return Refusal(Reason.ILLEGAL)
    why = record.doubt or f"its owner {gone.owner} {'died' if gone.proven else 'may have died'} while it was running"
    over = record.over or gone.proven
    return Moved(record.changed_to(state=State.IN_DOUBT, over=over, changed=now, doubt=why), News.IN_DOUBT)


def _decide(record: Record | None, decide: Decide, now: float) -> Moved | Refusal:
    if record is None:
        return Refusal(Reason.UNKNOWN)
    if record.state not in (State.RUNNING, State.IN_DOUBT):
        return Refusal(Reason.SETTLED if record.is_settled else Reason.ILLEGAL)
    if record.state is State.RUNNING and not decide.force:
        return Refusal(Reason.NOT_OVER)
    if decide.verdict is Verdict.DID_NOT_HAPPEN and not (record.over or decide.force):
        return Refusal(Reason.NOT_OVER)
    what = decide.verdict.value + (" (forced)" if decide.force else "")
    return Moved(_decided(_noted(record, what, decide.by, decide.note, now), decide, now), News.RESOLVED)


def _decided(record: Record, decide: Decide, now: float) -> Record:
    match decide.verdict:
        case Verdict.HAPPENED:
            result = "null" if decide.result is None else decide.result
            return record.changed_to(state=State.DONE, changed=now, result=result, doubt=None, resources=())
        case Verdict.FAILED:
            return record.changed_to(state=State.FAILED, changed=now, error=decide.error, doubt=None, resources=())
        case Verdict.DID_NOT_HAPPEN:
            # The owner stays: should it be alive after all, what it reports before the next attempt is the truth.
            # Forced, it may be running still, and the record goes on saying so.
            return record.changed_to(
                state=State.READY, first=None, changed=now, doubt=None, repeats=False, resources=()
            )
        case Verdict.GIVEN_UP:
            return record.changed_to(state=State.VOID, changed=now, resources=())


def _noted(record: Record, what: str, by: str | None, note: str, now: float) -> Record:
    entry = {"at": now, "what": what, "by": by, "note": note}
    return record.changed_to(notes=(*record.notes, entry)[:_MOST_KEPT])


_RULES: dict[type[Operation], Callable[[Record | None, Any, float], Moved | Refusal]] = {
    Ask: _ask,
    Approve: _approve,
    Cancel: _cancel,
    Claim: _claim,
    TakeBack: _take_back,
    Settle: _settle,
    Fail: _fail,
    Free: _free,
    Doubt: _doubt,
    Gone: _gone,
    Decide: _decide,
}

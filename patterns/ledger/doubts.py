"""Effects of which nobody knows whether they happened: asking downstream, and saying how to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from patterns.errors import InDoubt, Misuse
from patterns.kernel.settle import hook_result
from patterns.ledger import announcements
from patterns.ledger.operations import Decide, Moved, Reason, Verdict
from patterns.ledger.policy import DidNotHappen, Happened
from patterns.ledger.results import result_text

if TYPE_CHECKING:
    from patterns.kernel.call import Call
    from patterns.kernel.storage import AsyncCells
    from patterns.ledger.books import Handling
    from patterns.ledger.record import Record

__all__ = ["find_out", "in_doubt"]


async def find_out(handling: Handling, call: Call, cells: AsyncCells, key: str, record: Record) -> None:
    """Ask downstream what became of the effect in doubt at *key*, and record it.

    Raises:
        InDoubt: Nobody can be asked, or the answer is not known, or comes too early to be believed.
        Misuse: ``reconcile=`` returned something else than an answer.

    """
    books = handling.books
    decision = _decision(handling, call, record, await _asked(handling, call, record), float(await cells.now()))
    moved = await books.move(cells, key, decision)
    if isinstance(moved, Moved) and moved.record is not None:
        announcements.resolved(books, moved.record, decision.by, decision.note)
    elif not isinstance(moved, Moved) and moved.reason is Reason.NOT_OVER:
        raise in_doubt(record, call.name, moved.reason.value)
    # Otherwise somebody else was quicker.


async def _asked(handling: Handling, call: Call, record: Record) -> Any:
    reconcile = handling.policy.reconcile
    if reconcile is None:
        return None
    try:
        return await hook_result(reconcile(call.arguments), call, "reconcile=")
    except Misuse:
        raise
    except Exception as problem:
        raise in_doubt(record, call.name, f"reconcile= failed: {problem!r}") from problem


def _decision(handling: Handling, call: Call, record: Record, answer: Any, now: float) -> Decide:
    policy = handling.policy
    if isinstance(answer, Happened):
        text = result_text(answer.result, handling.classes, policy.largest_result)
        return Decide(verdict=Verdict.HAPPENED, by="reconcile", note="it happened", result=text)
    if isinstance(answer, DidNotHappen):
        if now - record.changed < policy.quiet:
            raise in_doubt(record, call.name, f"it is too early to be sure that it did not happen, {policy.quiet:g} s")
        return Decide(verdict=Verdict.DID_NOT_HAPPEN, by="reconcile", note="it did not happen")
    if answer is None:
        raise in_doubt(record, call.name)
    raise Misuse.shown(
        f"reconcile= of {call.name} returned {answer!r}",
        wrong=f"return {answer!r}",
        right="return Happened(result), DidNotHappen(), or None if it is not known",
    )


def in_doubt(record: Record, name: str, more: str = "") -> InDoubt:
    """Return the error that says what is unknown and how to go on."""
    why = record.doubt or "its owner died while it was running"
    ways = (
        f"ledger.resolve({record.id!r}, succeeded=result)",
        f"ledger.resolve({record.id!r}, failed='why')",
        f"ledger.resolve({record.id!r}, retry=True)",
    )
    short, tool = record.id.rpartition("/")[2][:12], record.tool.rpartition(".")[2]
    told = f"{why}; {more}" if more else why
    return InDoubt(
        f"nobody knows whether {tool} happened ({told}); find out, then say so with"
        f" ledger.resolve({short!r}, ...) or: patterns ledger resolve {short}",
        call=name,
        effect_id=record.id,
        key=record.identity.key or record.id,
        why=why,
        ways=ways,
    )

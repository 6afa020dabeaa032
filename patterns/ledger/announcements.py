"""Events made of records, told to a call and to those who listen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from patterns.ledger.events import EffectRecorded, EffectReplayed, EffectResolved, EffectUnsettled, LateResult

if TYPE_CHECKING:
    from patterns.kernel.call import Call
    from patterns.kernel.events import Event
    from patterns.ledger.books import Books
    from patterns.ledger.record import Record

__all__ = ["recorded", "replayed", "reported_late", "resolved", "unsettled"]


def recorded(books: Books, record: Record, call: Call | None = None) -> None:
    """Tell that an attempt ended."""
    event = EffectRecorded(
        source=books.name,
        at=record.changed,
        effect_id=record.id,
        tool=record.tool,
        state=record.state._value_,
        fence=record.fence,
    )
    _tell(books, call, event)


def replayed(books: Books, record: Record, call: Call) -> None:
    """Tell that a recorded outcome was handed out."""
    event = EffectReplayed(
        source=books.name, at=books.now(), effect_id=record.id, tool=record.tool, state=record.state._value_
    )
    _tell(books, call, event)


def resolved(books: Books, record: Record, by: str | None, note: str) -> None:
    """Tell that it was found out what became of an effect."""
    event = EffectResolved(
        source=books.name,
        at=record.changed,
        effect_id=record.id,
        tool=record.tool,
        state=record.state._value_,
        by=by,
        note=note,
    )
    _tell(books, None, event)


def reported_late(books: Books, record: Record, fence: int, call: Call) -> None:
    """Tell, loudly, that an attempt reported after its effect had moved on."""
    state, outcome = record.state._value_, str(record.late[-1]["outcome"])
    _log().error("%s reported %s when its record was %s already; look at both", record.id, outcome, state)
    event = LateResult(
        source=books.name,
        at=books.now(),
        effect_id=record.id,
        tool=record.tool,
        state=state,
        fence=fence,
        outcome=outcome,
    )
    _tell(books, call, event)


def unsettled(books: Books, record: Record, error: str, call: Call) -> None:
    """Tell, loudly, that an outcome could not be written."""
    _log().error("the outcome of %s could not be written: %s", record.id, error)
    event = EffectUnsettled(
        source=books.name,
        at=books.now(),
        effect_id=record.id,
        tool=record.tool,
        state=record.state._value_,
        error=error,
    )
    _tell(books, call, event)


def _tell(books: Books, call: Call | None, event: Event) -> None:
    if call is not None:
        call.events.append(event)
    if books.listeners:
        books.listeners.publish(event)


def _log() -> Any:
    import logging

    return logging.getLogger("patterns")

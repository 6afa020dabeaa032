"""What the ledger tells those who listen."""

from __future__ import annotations

from attrs import frozen

from patterns.kernel.events import Event

__all__ = ["EffectEvent", "EffectRecorded", "EffectReplayed", "EffectResolved", "EffectUnsettled", "LateResult"]


@frozen(kw_only=True)
class EffectEvent(Event):
    """Something happened to the effect *effect_id* of *tool*; ``state`` is the state of its record."""

    effect_id: str
    tool: str
    state: str


@frozen(kw_only=True)
class EffectRecorded(EffectEvent):
    """An attempt ended: done, failed, in doubt, or freed (``ready``) since it had no effect."""

    fence: int


@frozen(kw_only=True)
class EffectReplayed(EffectEvent):
    """A recorded result or failure was handed out instead of running the effect."""


@frozen(kw_only=True)
class EffectResolved(EffectEvent):
    """A person, or a query downstream, found out what became of an effect in doubt."""

    by: str | None
    note: str


@frozen(kw_only=True)
class LateResult(EffectEvent):
    """An attempt reported after its effect had moved on without it: perhaps it happened twice. Somebody must look."""

    fence: int
    outcome: str


@frozen(kw_only=True)
class EffectUnsettled(EffectEvent):
    """The outcome could not be written; this process knows it and writes it when the effect is next asked for."""

    error: str

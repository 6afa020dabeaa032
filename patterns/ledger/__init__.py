"""Idempotency ledger: every effect at most once, its result handed out again, its doubts resolved."""

from __future__ import annotations

from patterns.ledger.downstream import idempotency_headers
from patterns.ledger.events import (
    EffectEvent,
    EffectRecorded,
    EffectReplayed,
    EffectResolved,
    EffectUnsettled,
    LateResult,
)
from patterns.ledger.ledger import Ledger
from patterns.ledger.policy import DidNotHappen, Happened, keyed
from patterns.ledger.record import Guarantee, Identity, Record, State

__all__ = [
    "DidNotHappen",
    "EffectEvent",
    "EffectRecorded",
    "EffectReplayed",
    "EffectResolved",
    "EffectUnsettled",
    "Guarantee",
    "Happened",
    "Identity",
    "LateResult",
    "Ledger",
    "Record",
    "State",
    "idempotency_headers",
    "keyed",
]

"""Counts what really happened, from the payment service's own journal, never from what the agent believes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Count", "count"]


@frozen(kw_only=True)
class Count:
    """What the agent asked for and what happened to the money."""

    charges_due: int
    charges_made: int
    refunds_made: int
    money_lost: int
    per_order: Mapping[str, int]


def count(journal: Path, due: Mapping[str, int]) -> Count:
    """Compare the journal with what is *due* for each order; every unit too much is money lost."""
    movements = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    paid = dict.fromkeys(due, 0)
    for movement in movements:
        paid[movement["order"]] += movement["amount"] if movement["kind"] == "charge" else -movement["amount"]
    lost = {order: abs(paid[order] - due[order]) for order in due}
    return Count(
        charges_due=sum(1 for amount in due.values() if amount),
        charges_made=sum(movement["kind"] == "charge" for movement in movements),
        refunds_made=sum(movement["kind"] == "refund" for movement in movements),
        money_lost=sum(lost.values()),
        per_order=lost,
    )

"""How the agent's tools are guarded: every pattern once, and one stack for each tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve

import patterns
from patterns import telemetry
from patterns.demo.client import PaymentDown
from patterns.demo.spans import file_provider
from patterns.impact_gate import SqlWorld

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from patterns.demo.client import Payments
    from patterns.demo.tools import Tools
    from patterns.errors import InDoubt

__all__ = ["Safety"]


class Safety:
    """The patterns of one agent, all on files in one directory, so that its next process finds them again."""

    def __init__(self, place: Path) -> None:
        telemetry.configure(tracer_provider=file_provider(place / "spans.jsonl"))
        self.store = patterns.open_store(f"sqlite:///{place / 'agent.db'}")
        self.world = SqlWorld(place / "shop.db")
        self.audit = patterns.AuditLogger(place / "audit", key=place / "audit.key", origin="demo/support-bot")
        self.hooks = patterns.ExplainabilityHooks("support-bot")
        self.breaker = patterns.CircuitBreaker("payments", failure_threshold=2, cool_down=0.2, failures=PaymentDown)
        self.ledger = patterns.Ledger(self.store)
        self.gate = patterns.ImpactGate(world=self.world, review=0.4, block=0.75)
        self.saga = patterns.Saga("order")

    def guarded(self, tools: Tools) -> Tools:
        """Return the same tools under guard; the order of decorators is the order of layers."""
        audit, breaker = self.audit, self.breaker

        @audit.record
        @breaker.protect
        @self.ledger.once(name="charge", retry_on=PaymentDown)
        def charge(order_id: str, amount: int) -> dict[str, Any]:
            return tools.charge(order_id, amount)

        @audit.record
        @self.gate.check
        def reserve(sku: str) -> None:
            tools.reserve(sku)

        @audit.record
        @self.hooks.explain(reasoning=lambda last_seen_before: f"the ticket says: not seen since {last_seen_before}")
        @self.gate.check
        def delete_customers(last_seen_before: str) -> int:
            return tools.delete_customers(last_seen_before)

        guarded = evolve(tools, charge=charge, reserve=reserve, delete_customers=delete_customers)
        return evolve(guarded, ship=audit.record(tools.ship), mark_paid=audit.record(tools.mark_paid))

    def in_saga(self, tools: Tools) -> Tools:
        """Return guarded tools that are taken back, last first, if `order` fails."""
        charge = self.saga.tool(compensate=tools.refund)(tools.charge)
        reserve = self.saga.tool(compensate=tools.release)(tools.reserve)
        return evolve(tools, charge=charge, reserve=reserve, ship=self.saga.tool(tools.ship))

    def order(self, order_id: str) -> AbstractContextManager[Any]:
        """Return the block that an order is."""
        return self.saga.transaction(order_id)

    def find_out(self, doubt: InDoubt, payments: Payments, order: str) -> dict[str, Any] | None:
        """Ask the provider what became of the charge for *order*, and tell the ledger, as a person would."""
        charges = [movement for movement in payments.movements(order) if movement["kind"] == "charge"]
        happened = charges[-1] if charges else None
        if happened is None:
            self.ledger.resolve(doubt.effect_id, retry=True, by="operator", note="the provider knows of no charge")
        else:
            self.ledger.resolve(doubt.effect_id, succeeded=happened, by="operator", note="seen at the provider")
        return happened

    def close(self) -> None:
        """Release the files."""
        self.world.close()
        self.store.close()

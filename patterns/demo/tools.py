"""What the agent can do: seven plain functions over the shop and the payment service, with no safety in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from patterns.kernel import faults

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from patterns.demo.client import Payments

__all__ = ["CarrierRefuses", "Tools", "plain_tools"]


class CarrierRefuses(Exception):
    """The parcel service does not take the parcel."""


@frozen(kw_only=True)
class Tools:
    """The agent's tools."""

    charge: Callable[[str, int], dict[str, Any]]
    refund: Callable[[str, int], dict[str, Any]]
    mark_paid: Callable[[str], None]
    reserve: Callable[[str], None]
    release: Callable[[str], None]
    ship: Callable[[str], None]
    delete_customers: Callable[[str], int]


def plain_tools(shop: Callable[[], AbstractContextManager[sqlite3.Connection]], payments: Payments) -> Tools:
    """Return the tools as somebody in a hurry writes them; *shop* lends them a connection."""

    def charge(order_id: str, amount: int) -> dict[str, Any]:
        receipt = payments.move("charge", order_id, amount)
        faults.reach("demo.paid")  # here the power goes off
        return receipt

    def refund(order_id: str, amount: int) -> dict[str, Any]:
        return payments.move("refund", order_id, amount)

    def mark_paid(order_id: str) -> None:
        with shop() as database:
            database.execute("UPDATE orders SET state = 'paid' WHERE id = ?", (order_id,))

    def reserve(sku: str) -> None:
        with shop() as database:
            database.execute("UPDATE stock SET available = available - 1 WHERE sku = ?", (sku,))

    def release(sku: str) -> None:
        with shop() as database:
            database.execute("UPDATE stock SET available = available + 1 WHERE sku = ?", (sku,))

    def ship(order_id: str) -> None:
        raise CarrierRefuses(f"the carrier does not take order {order_id}: the desk is too long")

    def delete_customers(last_seen_before: str) -> int:
        with shop() as database:
            return database.execute("DELETE FROM customers WHERE last_seen < ?", (last_seen_before,)).rowcount

    return Tools(
        charge=charge,
        refund=refund,
        mark_paid=mark_paid,
        reserve=reserve,
        release=release,
        ship=ship,
        delete_customers=delete_customers,
    )

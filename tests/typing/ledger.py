"""How a ledger is used, for type checkers; nothing here is executed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, assert_type

from patterns.ledger import DidNotHappen, Happened, Ledger, Record, State, keyed

if TYPE_CHECKING:
    from patterns.kernel.storage import Store


def decorated(store: Store) -> None:
    """A guarded function keeps its type, bare and with options."""
    ledger = Ledger(store, wait=timedelta(seconds=5), on_error="doubt", guarantee=keyed(window=60))

    @ledger.once
    def refund(order_id: str, amount: int = 1) -> str:
        return order_id * amount

    @ledger.once(key="{order_id}", retry_on=ConnectionRefusedError, terminal=(ValueError, KeyError))
    async def ship(order_id: str) -> int:
        return len(order_id)

    assert_type(refund("a", amount=2), str)
    refund(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ship.nothing  # type: ignore[attr-defined]  # pyright: ignore[reportFunctionMemberAccess]  # noqa: B018


async def awaited(ledger: Ledger) -> None:
    """So do coroutine functions, and what is begun by hand has a colour."""

    @ledger.once(reconcile=lambda order_id, **_: Happened(order_id) if order_id else DidNotHappen())
    async def ship(order_id: str) -> int:
        return len(order_id)

    assert_type(await ship("a"), int)
    async with ledger.step("mail", key="m-1", to="ann") as step:
        assert_type(step.fresh, bool)
    begun = await ledger.abegin("charge", key="o-1")
    await begun.commit(5)
    ledger.begin("charge", key="o-1").commit(5)


def looked_at(ledger: Ledger) -> None:
    """Records are plain values."""
    assert_type(ledger.effects(state="in_doubt", limit=5), list[Record])
    record = ledger.effect("m-1")
    if record is not None:
        assert_type(record.state, State)
        assert_type(record.to_dict(), dict[str, Any])
        ledger.resolve(record.id, succeeded={"id": 1}, by="ann")


def wrong(store: Store) -> None:
    """Mistakes that a checker finds."""
    Ledger(store, on_error="ignore")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Ledger(store, durability="none")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Ledger(store).effects(state="paid")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Ledger(store, guarantee="exactly_once")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

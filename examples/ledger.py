"""The ledger: an agent that asks again pays once, whatever happened in between."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from decimal import Decimal

import patterns
from patterns import Ledger
from patterns.errors import InDoubt, KeyConflict
from patterns.ledger import Happened


@dataclass(frozen=True)
class Receipt:
    """What the payment service gives."""

    id: str
    amount: Decimal


class Bank:
    """A payment service outside the program; it remembers, and sometimes does not answer."""

    def __init__(self) -> None:
        self.book: dict[str, Receipt] = {}
        self.silent = False

    def pay(self, order_id: str, amount: Decimal) -> Receipt:
        """Pay, and answer unless it is silent."""
        receipt = Receipt(f"r-{len(self.book) + 1}", amount)
        self.book[f"{order_id} {len(self.book)}"] = receipt
        if self.silent:
            raise TimeoutError("the bank did not answer")
        return receipt

    def find(self, order_id: str) -> Receipt | None:
        """Return what was paid for an order."""
        return next((receipt for key, receipt in self.book.items() if key.startswith(order_id)), None)


bank = Bank()
ledger = Ledger(patterns.open_store("sqlite:///agent.db"))


@ledger.once
def refund(order_id: str, amount: Decimal) -> Receipt:
    """Pay money back."""
    return bank.pay(order_id, amount)


def check(truth: bool) -> None:  # noqa: FBT001 - it is the only thing said
    """End the example if it is not as told."""
    if not truth:
        raise SystemExit("paid twice, or something was lost")


def asked_again() -> None:
    """The model did not see the answer and calls the tool again."""
    first = refund("A1", Decimal("19.90"))
    again = refund(order_id="A1", amount=Decimal("19.90"))
    print(f"asked twice, paid {len(bank.book)} time: {first}")
    check(first == again and isinstance(again.amount, Decimal))


def many_at_once() -> None:
    """Twenty threads make the same call at the same moment."""
    before, receipts = len(bank.book), []
    call = patterns.carry(lambda: receipts.append(refund("A2", Decimal(5))))
    threads = [threading.Thread(target=call) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"20 threads, {len(bank.book) - before} payment, {len(receipts)} receipts")
    check(len(bank.book) - before == len(set(receipts)) == 1)


@ledger.once(key="order-{order_id}")
async def ship(order_id: str, address: str) -> str:
    """Ship an order, once per order."""
    await asyncio.sleep(0)
    return f"{order_id} is on its way to {address}"


def the_same_key_with_other_arguments() -> None:
    """A key never stands for two different calls."""
    print(asyncio.run(ship("A1", "Paris")))
    try:
        asyncio.run(ship("A1", "Rome"))
    except KeyConflict as conflict:
        print("refused:", conflict)


def in_doubt_and_resolved_by_a_person() -> None:
    """The bank does not answer, so nobody knows, so nobody pays again."""
    bank.silent = True
    for _ in range(2):
        try:
            refund("A3", Decimal(7))
        except TimeoutError as error:
            print("first call:", error)
        except InDoubt as doubt:
            print("second call:", doubt.for_model())
    (record,) = ledger.effects(state="in_doubt")
    ledger.resolve(record.id, succeeded=bank.find("A3"), by="ann", note="seen in the bank's book")
    print("third call:", refund("A3", Decimal(7)))
    bank.silent = False


def look_it_up(order_id: str, **_: object) -> Happened | None:
    """Ask the bank what became of a payout."""
    receipt = bank.find(order_id)
    return None if receipt is None else Happened(receipt)


@ledger.once(reconcile=look_it_up)
def payout(order_id: str, amount: Decimal) -> Receipt:
    """Pay a supplier."""
    return bank.pay(order_id, amount)


def in_doubt_and_resolved_by_asking() -> None:
    """The same, but the bank can be asked."""
    bank.silent = True
    try:
        payout("B1", Decimal(100))
    except TimeoutError:
        print("asked the bank:", payout("B1", Decimal(100)))
    bank.silent = False


def by_hand_and_as_a_block() -> None:
    """Where no function encloses the work."""
    for _ in range(2):
        with ledger.step("send mail", key="mail-17", to="ann@example.org") as step:
            if step.fresh:
                step.result = "sent"
        effect = ledger.begin("call back", key="call-3")
        if effect.fresh:
            effect.commit("done")
        print(f"mail {step.result} (fresh: {step.fresh}), call {effect.result} (fresh: {effect.fresh})")


if __name__ == "__main__":
    with patterns.run("ticket-4711", tenant="acme"):
        asked_again()
        many_at_once()
        the_same_key_with_other_arguments()
        in_doubt_and_resolved_by_a_person()
        in_doubt_and_resolved_by_asking()
        by_hand_and_as_a_block()
    for record in ledger.effects():
        print(f"{record.state.value:8} {record.id}")

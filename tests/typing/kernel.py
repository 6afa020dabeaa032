"""How guards are put on things and written, for type checkers; nothing here is executed."""

# pyright: reportUnnecessaryTypeIgnoreComment=true
from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never, assert_type

import patterns
from patterns import CircuitBreaker, guard_import, guard_tools
from patterns.kernel.guard import Block, Bracket, Guard, Step, attach
from patterns.kernel.outcome import Abandoned, Outcome, Raised, Refused, Replayed, Returned
from patterns.kernel.patching import GuardedImport
from patterns.kernel.run import Run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from patterns.kernel.call import Call, Proceed
    from patterns.kernel.target import Target

breaker = CircuitBreaker("billing-api")


@breaker.protect
def refund(order_id: str, amount: int = 0) -> float:
    """Stand for a tool."""
    return amount / len(order_id)


@breaker.protect
async def arefund(order_id: str, *, amount: int) -> float:
    """Stand for an async tool."""
    return amount / len(order_id)


class Billing:
    """Every kind of method."""

    @breaker.protect
    def charge(self, amount: int) -> str:
        """Stand for a method."""
        return str(amount)

    @classmethod
    @breaker.protect
    def currency(cls, country: str) -> str:
        """Stand for a class method."""
        return country

    @staticmethod
    @breaker.protect
    def check(order_id: str) -> bool:
        """Stand for a static method."""
        return bool(order_id)

    @property
    @breaker.protect
    def balance(self) -> int:
        """Stand for a property."""
        return 7

    @breaker.protect
    def invoices(self) -> Iterator[str]:
        """Stand for a generator."""
        yield "invoice-1"

    @breaker.protect
    async def events(self) -> AsyncIterator[bytes]:
        """Stand for an async generator."""
        yield b"paid"


async def decorated() -> None:
    """A decorator changes no signature, of whatever shape."""
    billing = Billing()
    assert_type(refund("A1", amount=20), float)
    assert_type(await arefund("A1", amount=20), float)
    assert_type(billing.charge(20), str)
    assert_type(Billing.currency("NL"), str)
    assert_type(Billing.check("A1"), bool)
    assert_type(billing.balance, int)
    assert_type(next(iter(billing.invoices())), str)
    async for event in billing.events():
        assert_type(event, bytes)
    refund(20)  # type: ignore[arg-type]
    refund("A1", 20, 3)  # type: ignore[call-arg]
    await arefund("A1", 20)  # type: ignore[call-arg]
    billing.charge("20")  # type: ignore[arg-type]


class Watch(Guard):
    """A guard of a user's own."""

    name = "watch"

    def bind(self, target: Target) -> Watch:
        """Look at the target."""
        assert_type(target.asynchronous, bool)
        return self

    async def around(self, call: Call, proceed: Proceed) -> Any:
        """Tell the five outcomes apart."""
        assert_type(call.run, Run | None)
        assert_type(call.idempotency_key, str | None)
        call.note(watch__seen=True)
        outcome = await call.attempt(proceed)
        self.tell(outcome)
        return outcome.unwrap()

    @staticmethod
    def tell(outcome: Outcome) -> str:
        """Handle all of them; a checker sees that none is missing."""
        match outcome:
            case Returned():
                return "returned"
            case Replayed(_, error):
                assert_type(error, BaseException | None)
                return "replayed"
            case Raised(error) | Abandoned(error) | Refused(error):
                assert_type(error, BaseException)
                return type(outcome).__name__
            case _:
                assert_never(outcome)


class Places(Bracket):
    """A guard of two moments."""

    name = "places"

    def admit(self) -> int:
        """Return a permit."""
        return 1

    def returned(self, permit: int, value: object) -> None:
        """Give it back."""

    def raised(self, permit: int, error: BaseException) -> None:
        """Give it back."""

    def abandoned(self, permit: int, error: BaseException) -> None:
        """Give it back."""

    def released(self, permit: int) -> None:
        """Give it back."""


async def own_guards() -> None:
    """A guard is put on a function or a block."""
    assert_type(attach(attach(refund, Watch()), Places())("A1"), float)
    with Block(Watch(), "nightly sync", {"customers": 3}) as step:
        assert_type(step, Step)
        assert_type(step.fresh, bool)
        step.result = 42
    async with breaker.step("nightly sync", customers=3) as step:
        assert_type(step.call, patterns.Call)
    attach(refund, Watch)  # type: ignore[arg-type]
    Block(Watch(), "nightly sync")  # type: ignore[call-arg]


def strangers() -> None:
    """Functions one does not own."""
    handle = guard_import("stripe:Charge.create", breaker.protect)
    assert_type(handle, GuardedImport)
    assert_type(handle.in_force, bool)
    assert_type(handle.undo(), None)
    assert_type(guard_tools((refund, refund), breaker.protect)[0]("A1"), float)
    assert_type(guard_tools({"refund": refund}, breaker.protect)["refund"]("A1"), float)
    assert_type(guard_tools({"refund": refund}.values(), breaker.protect)[0]("A1"), float)
    guard_import(refund, breaker.protect)  # type: ignore[arg-type]
    guard_tools(refund, breaker.protect)  # type: ignore[call-overload]


async def runs() -> None:
    """A run is entered in both colours, and gives what it is."""
    async with patterns.run("ticket-4711", tenant="acme") as here:
        assert_type(here, Run)
        assert_type(here.path, tuple[str, ...])
    here.tenant = "other"  # type: ignore[misc]
    assert_type(patterns.carry(arefund)("A1", amount=3).close(), None)

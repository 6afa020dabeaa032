"""Effects in doubt: asked about downstream, repeated where that is harmless, and kept from colliding."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Any

import pytest

import patterns
from patterns.errors import InDoubt, InFlight, Misuse
from patterns.kernel.run import carry
from patterns.ledger import DidNotHappen, EffectResolved, Happened, Ledger, State, keyed
from patterns.testing.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still."""
    return ManualClock(wall=1000.0)


@pytest.fixture
def memory(clock):
    """Return a store on that clock."""
    return patterns.open_store("memory://", clock=clock)


@pytest.fixture
def ledger(memory, clock) -> Ledger:
    """Return a ledger on it too."""
    return Ledger(memory, wait=0, clock=clock)


def tool(ledger: Ledger, till, **options: Any):
    """Return a tool that fails ambiguously at first."""

    @ledger.once(name="pay", **options)
    def pay(order: str, amount: int) -> Any:
        till.pay(amount)
        if len(till.paid) == 1:
            raise TimeoutError
        return amount

    with pytest.raises(TimeoutError):
        pay("a", 5)
    return pay


def test_what_happened_is_recorded(ledger, till, run, clock):
    """The query takes the parameters it wants and gives the result; it is asked once."""
    asked = []

    def find(order: str, **_: Any) -> Happened:
        asked.append(order)
        return Happened({"id": (order, 5)})

    told: list[Any] = []
    ledger.subscribe(told.append)
    pay = tool(ledger, till, reconcile=find)
    assert {"id": ("a", 5)} == pay("a", 5) == pay("a", 5)
    assert (["a"], [5]) == (asked, till.paid)
    resolved = next(event for event in told if isinstance(event, EffectResolved))
    assert ("done", "reconcile") == (resolved.state, resolved.by)


def test_what_did_not_happen_is_run_after_a_quiet_while(ledger, till, run, clock):
    """A request of the attempt before may still be on its way."""
    pay = tool(ledger, till, reconcile=did_not_happen, quiet=30)
    with pytest.raises(InDoubt, match="too early to be sure"):
        pay("a", 5)
    clock.advance(30)
    assert 5 == pay("a", 5)
    assert [5, 5] == till.paid
    assert (State.DONE, 2) == (ledger.effects()[0].state, ledger.effects()[0].fence)


def did_not_happen(**_: Any) -> DidNotHappen:
    """Answer that it did not happen."""
    return DidNotHappen()


def test_an_answer_that_is_not_known_leaves_the_doubt(ledger, till, run):
    """And so does a query that fails; its error is the cause."""
    pay = tool(ledger, till, reconcile=lambda **_: None)
    with pytest.raises(InDoubt):
        pay("a", 5)

    @ledger.once(name="pay", reconcile=lambda amount, **_: amount / 0)
    def again(order: str, amount: int) -> Any:
        raise AssertionError

    with pytest.raises(InDoubt, match="reconcile= failed: ZeroDivisionError") as caught:
        again("a", 5)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert [5] == till.paid


def test_an_answer_that_is_none_is_refused(ledger, till, run):
    """A truth value is not an answer: True could mean either."""
    pay = tool(ledger, till, reconcile=lambda **_: True)
    with pytest.raises(Misuse, match="Happened"):
        pay("a", 5)


def test_the_query_may_be_a_coroutine_function_for_a_coroutine_function(ledger, till, run):
    """And only there."""

    async def find(order: str, **_: Any) -> Happened:
        await asyncio.sleep(0)
        return Happened(order)

    @ledger.once(name="apay", reconcile=find)
    async def apay(order: str) -> Any:
        raise TimeoutError

    async def main() -> Any:
        with pytest.raises(TimeoutError):
            await apay("a")
        return await apay("a")

    assert "a" == asyncio.run(main())
    with pytest.raises(Misuse, match="is async but pay is not"):
        tool(ledger, till, reconcile=find)("a", 5)


def test_a_query_that_demands_what_is_not_there_is_refused(ledger, till):
    """At decoration."""
    with pytest.raises(Misuse, match="reconcile= demands receipt"):
        ledger.once(reconcile=lambda receipt: receipt)(till_of(till))


def till_of(till):
    """Return a tool that pays for an order."""

    def pay(order: str) -> Any:
        return till.pay(order)

    return pay


def test_a_keyed_effect_is_sent_again_within_its_window(ledger, till, run, clock):
    """With the same downstream key; after the window it is in doubt."""
    sent = []

    @ledger.once(guarantee=keyed(window=60))
    def pay(order: str) -> Any:
        sent.append(patterns.current_call().idempotency_key)
        if len(sent) != 2 or order == "b":
            raise TimeoutError
        return order

    with pytest.raises(TimeoutError):
        pay("a")
    clock.advance(59)
    assert "a" == pay("a") == pay("a")
    with pytest.raises(TimeoutError):
        pay("b")
    clock.advance(60)
    with pytest.raises(InDoubt):
        pay("b")
    assert (3, 2) == (len(sent), len(set(sent)))
    assert {"keyed:60"} == {record.identity.guarantee for record in ledger.effects()}


def test_a_repeatable_effect_is_repeated(ledger, till, run):
    """Its author says that repeating does no harm."""
    pay = tool(ledger, till, guarantee="repeatable")
    assert 5 == pay("a", 5)
    assert [5, 5] == till.paid


def test_a_promise_of_the_ledger_holds_for_its_steps(memory, till, run):
    """A block has no options of its own."""
    ledger = Ledger(memory, guarantee="repeatable")
    with pytest.raises(TimeoutError), ledger.step("mail"):
        raise TimeoutError
    with ledger.step("mail") as step:
        assert step.fresh
    assert "repeatable" == ledger.effects()[0].identity.guarantee


# Different effects on one thing


def refunds(ledger: Ledger, till):
    """Return two tools that each want an order for themselves."""

    @ledger.once(name="refund", conflict_on=("order",))
    def refund(order: str, amount: int) -> Any:
        till.pay(amount)
        if amount == 13:
            raise TimeoutError
        return amount

    @ledger.once(name="cancel", conflict_on=("order",))
    def cancel(order: str) -> Any:
        return till.pay(order)

    return refund, cancel


def test_another_effect_on_the_same_thing_is_refused_while_one_is_in_doubt(ledger, till, run):
    """Models change their arguments when they try again; that must not pay twice."""
    refund, cancel = refunds(ledger, till)
    with pytest.raises(TimeoutError):
        refund("a", 13)
    for again in (lambda: refund("a", 14), lambda: cancel("a")):
        with pytest.raises(InDoubt, match="needs the same for itself"):
            again()
    assert 7 == refund("b", 7)
    (doubtful,) = ledger.effects(state="in_doubt")
    ledger.resolve(doubtful.id, failed="it never arrived")
    assert (14, "a") == (refund("a", 14), cancel("a"))
    assert [13, 7, 14, "a"] == till.paid


@pytest.mark.parametrize("ending", ["done", "failed", "freed"])
def test_what_is_over_is_in_nobodys_way(ending, ledger, till, run):
    """However it ended, as long as it is known."""
    errors = {"done": None, "failed": ValueError("x"), "freed": KeyError("x")}

    @ledger.once(name="first", conflict_on=("order",), retry_on=KeyError)
    def first(order: str) -> None:
        if errors[ending] is not None:
            raise errors[ending]

    _, cancel = refunds(ledger, till)
    with suppress(ValueError, KeyError):
        first("a")
    assert "a" == cancel("a")


def test_another_tenants_thing_is_another_thing(ledger, till):
    """Equal names mean nothing across tenants."""
    refund, cancel = refunds(ledger, till)
    with patterns.run("r", tenant="acme"), pytest.raises(TimeoutError):
        refund("a", 13)
    with patterns.run("r", tenant="other"):
        assert "a" == cancel("a")
    with patterns.run("another", tenant="acme"), pytest.raises(InDoubt):
        cancel("a")


def test_behind_a_running_effect_on_the_same_thing_callers_wait(memory, till, run):
    """And go on when it is over; or give up in time."""
    ledger, gate, started = Ledger(memory), threading.Event(), threading.Event()

    @ledger.once(name="slow", conflict_on=("order",))
    def slow(order: str) -> Any:
        started.set()
        gate.wait(10)
        return till.pay("slow")

    quick = Ledger(memory, wait=0.01).once(name="quick", conflict_on=("order",))(till_of(till))
    _, cancel = refunds(ledger, till)
    thread = threading.Thread(target=carry(slow), args=("a",))
    thread.start()
    assert started.wait(10)
    with pytest.raises(InFlight, match="which has the same for itself"):
        quick("a")
    threading.Timer(0.02, gate.set).start()
    assert "a" == cancel("a")
    thread.join()
    assert ["slow", "a"] == till.paid


def test_purging_forgets_free_things(ledger, till, run, memory, clock):
    """The store does not grow with every thing there ever was."""
    refund, _ = refunds(ledger, till)
    refund("a", 5)
    with pytest.raises(TimeoutError):
        refund("b", 13)
    clock.advance(10)
    assert 1 == ledger.purge(older_than=5)
    assert 1 == len(memory.cells.scan("ledger/ledger/resource/"))

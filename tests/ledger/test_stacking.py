"""The ledger in any place of a stack, and what telemetry and other guards see of it."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, ClassVar

import pytest

from patterns.errors import Refused
from patterns.kernel.commit import Claim
from patterns.kernel.guard import attach
from patterns.kernel.outcome import Returned
from patterns.kernel.stack import Guard
from patterns.kernel.storage import ABSENT, Change
from patterns.ledger import EffectRecorded, EffectReplayed, Ledger
from patterns.stores.memory import MemoryStore
from patterns.testing import Fault, inject


class Spy(Guard):
    """Writes down outcomes; refuses when told to."""

    name = "spy"

    def __init__(self) -> None:
        self.saw: list[str] = []
        self.events: list[type] = []
        self.refusing = False

    async def around(self, call: Any, proceed: Any) -> Any:
        if self.refusing:
            raise Refused("closed")
        outcome = await call.attempt(proceed)
        self.saw.append(type(outcome).__name__)
        self.events += [type(event) for event in call.events]
        return outcome.unwrap()


class Again(Guard):
    """Tries a second time whatever happens."""

    name = "again"

    async def around(self, call: Any, proceed: Any) -> Any:
        outcome = await call.attempt(proceed)
        if not isinstance(outcome, Returned):
            outcome = await call.attempt(proceed)
        return outcome.unwrap()


def stacked(function: Any, *decorators: Any) -> Any:
    """Return the function under the decorators, the outermost first."""
    for decorate in reversed(decorators):
        function = decorate(function)
    return function


def guarded_by(guard: Guard) -> Any:
    """Return the decorator of a guard."""
    return lambda function: attach(function, guard)


def test_outer_guards_see_a_replay_and_inner_ones_nothing(ledger, run, till):
    """A breaker outside does not count it, a gate inside is not asked."""
    outer, inner = Spy(), Spy()
    pay = stacked(lambda: till.pay(1), guarded_by(outer), ledger.once(name="pay"), guarded_by(inner))
    pay()
    pay()
    assert (["Returned", "Replayed"], ["Returned"]) == (outer.saw, inner.saw)
    assert [EffectRecorded, EffectReplayed] == outer.events


def test_replayed_failures_are_replays_too(ledger, run, till):
    """They say nothing about the dependency now."""
    outer = Spy()

    def fail() -> None:
        till.pay(1)
        raise ValueError("no")

    pay = stacked(fail, guarded_by(outer), ledger.once(name="pay"))
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            pay()
    assert (["Raised", "Replayed"], [1]) == (outer.saw, till.paid)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("place", ["outside", "inside"])
def test_a_refusal_before_the_body_leaves_nothing(place, asynchronous, ledger, run, till, memory):
    """Nothing is claimed, so the next call runs."""
    spy = Spy()
    order = [guarded_by(spy), ledger.once(name="pay")]

    def pay() -> Any:
        return till.pay(1)

    async def apay() -> Any:
        await asyncio.sleep(0)
        return till.pay(1)

    tool = stacked(apay if asynchronous else pay, *(order if place == "outside" else reversed(order)))
    call = (lambda: asyncio.run(tool())) if asynchronous else tool
    spy.refusing = True
    with pytest.raises(Refused, match="closed"):
        call()
    assert [] == memory.cells.scan("")
    spy.refusing = False
    assert (1, [1]) == (call(), till.paid)


@pytest.mark.parametrize("point", ["call.commit.after", "call.body.before"])
def test_a_claim_without_a_body_is_taken_back(point, once, ledger, till, memory):
    """What fails between the claim and the body leaves nothing either."""

    def fail() -> None:
        raise OSError("just now")

    with inject(Fault(point, fail)), pytest.raises(OSError, match="just now"):
        once(lambda: till.pay(1))
    assert [] == memory.cells.scan("")
    assert (1, 1) == (once(lambda: till.pay(1)), ledger.effects()[0].fence)


def test_retrying_outside_the_ledger(ledger, run, till):
    """A second attempt runs what was freed, replays what was recorded, and never doubles a doubt."""
    errors = iter([ConnectionRefusedError(), None, ValueError("final"), None, TimeoutError(), None])

    def body(which: str) -> Any:
        till.pay(which)
        error = next(errors)
        if error is not None:
            raise error
        return which

    pay = stacked(body, guarded_by(Again()), ledger.once(name="pay", retry_on=ConnectionRefusedError))
    assert "a" == pay("a")
    with pytest.raises(ValueError, match="final"):
        pay("b")
    next(errors)
    with pytest.raises(Exception, match="nobody knows whether pay happened"):
        pay("c")
    assert ["a", "a", "b", "c"] == till.paid


def test_retrying_inside_the_ledger(ledger, run, till):
    """It is one effect with two tries, recorded by what came last."""

    def body() -> Any:
        till.pay(1)
        if len(till.paid) == 1:
            raise TimeoutError
        return "done"

    pay = stacked(body, ledger.once(name="pay"), guarded_by(Again()))
    assert "done" == pay() == pay()
    assert ([1, 1], 1) == (till.paid, ledger.effects()[0].fence)


class Claiming(Guard):
    """Claims a record of its own at the commit."""

    name = "claiming"

    def __init__(self, store: Any) -> None:
        self.store = store

    async def around(self, call: Any, proceed: Any) -> Any:
        claim = Claim(self.store, [Change("other", ABSENT, b"x")])
        call.at_commit(claim)
        outcome = await call.attempt(proceed)
        call.withdraw(claim)
        return outcome.unwrap()


@pytest.mark.parametrize("order", list(itertools.permutations(["once", "claiming"])), ids=str)
@pytest.mark.parametrize("shared", [True, False], ids=["one store", "two stores"])
def test_claims_of_other_guards_hold_together_with_the_effects(order, shared, memory, run, till):
    """If another guard's claim is lost, the effect is not claimed and does not run."""
    ledger = Ledger(memory, wait=0)
    elsewhere = memory if shared else MemoryStore()
    decorators = {"once": ledger.once(name="pay"), "claiming": guarded_by(Claiming(elsewhere))}
    elsewhere.cells.swap([Change("other", ABSENT, b"taken")])
    pay = stacked(lambda: till.pay(1), *(decorators[name] for name in order))
    with pytest.raises(Refused, match="was claimed by another caller"):
        pay()
    assert ([], []) == (till.paid, ledger.effects())
    cell = elsewhere.cells.read("other")
    elsewhere.cells.swap([Change("other", cell.version, None)])
    assert (1, "done") == (pay(), ledger.effects()[0].state.value)


def test_two_ledgers_around_one_call_hold_together(memory, run, till):
    """Each records the effect; if one cannot claim, neither does."""
    here, there = Ledger(memory, wait=0), Ledger(MemoryStore(), wait=0)
    pay = stacked(till.pay, here.once(name="pay"), there.once(name="pay"))
    assert 1 == pay(1) == pay(1)
    assert ([1], "done", "done") == (till.paid, here.effects()[0].state.value, there.effects()[0].state.value)


def test_a_replay_is_linked_to_the_original_and_noted(ledger, run, till, spans):
    """Its call span says replayed, by whom it was run, and nothing of keys or arguments."""
    pay = ledger.once(key="{order}")(pay_of(till))
    pay("secret-1")
    pay("secret-1")
    first, second = [span for span in spans.finished() if span.name == "execute_tool pay"]
    assert ("executed", "replayed") == (first.attributes["patterns.outcome"], second.attributes["patterns.outcome"])
    (link,) = second.links
    assert first.context.span_id == link.context.span_id
    notes = [span.attributes for span in spans.finished() if span.name == "ledger.once"]
    assert ["executed", "replayed"] == [note["patterns.ledger.result"] for note in notes]
    assert 1 == len({note["patterns.ledger.key_hash"] for note in notes})
    assert not any("secret" in str(span.to_json()) for span in spans.finished())
    assert f"{first.context.trace_id:032x}" in ledger.effects()[0].trace


def pay_of(till):
    """Return a tool that pays for an order."""

    def pay(order: str) -> Any:
        return till.pay(order)

    return pay


METHODS = Ledger(MemoryStore(), wait=0)


class Bank:
    """Guarded in every way a method can be."""

    paid: ClassVar[list[int]] = []

    def __idempotency_key__(self) -> str:
        return "bank"

    @METHODS.once
    def plain(self, amount: int) -> Any:
        self.paid.append(amount)
        return amount

    @classmethod
    @METHODS.once
    def of_class(cls, amount: int) -> Any:
        cls.paid.append(amount)
        return amount

    @METHODS.once
    @staticmethod
    def of_none(amount: int) -> Any:
        Bank.paid.append(amount)
        return amount

    @METHODS.once
    async def later(self, amount: int) -> Any:
        await asyncio.sleep(0)
        self.paid.append(amount)
        return amount


def test_methods_of_all_kinds(run):
    """Plain, class and static methods, sync and async."""
    for _ in range(2):
        assert (1, 2, 3) == (Bank().plain(1), Bank.of_class(2), Bank.of_none(3))
        assert 4 == asyncio.run(Bank().later(4))
    assert [1, 2, 3, 4] == Bank.paid

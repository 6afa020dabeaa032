"""Random lives of effects against a dictionary that remembers what must be true."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from attrs import define
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from patterns.errors import EffectFailed, InDoubt, KeyConflict, Refused
from patterns.kernel.storage import Change
from patterns.ledger import Ledger
from patterns.ledger.machine import step
from patterns.ledger.operations import Claim
from patterns.ledger.record_format import write_record
from patterns.stores.memory import MemoryStore

NAMES = st.sampled_from("abcd")
AMOUNTS = st.sampled_from([5, 6])


class Owners:
    """Everybody but this process is dead."""

    def me(self) -> str:
        return "me"

    def alive(self, owner: str) -> bool | None:
        return owner == "me"


@define
class Truth:
    """What is known of one effect."""

    state: str
    amount: int
    outcome: Any = None


class Declined(Exception):
    """A definite failure."""


class Later(Exception):
    """Nothing happened."""


ERRORS = {"failed": Declined("no"), "ready": Later("later"), "in_doubt": TimeoutError("read")}


class Lives(RuleBasedStateMachine):
    """Calls, crashes and decisions in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.store.owners = Owners()
        self.truth: dict[str, Truth] = {}
        self.effects: dict[str, int] = {}
        self.open()

    def open(self) -> None:
        self.ledger = Ledger(self.store, wait=0, retry_on=Later, cached=2)

    def body(self, name: str, ending: str, result: Any) -> Any:
        self.effects[name] = self.effects.get(name, 0) + 1
        if ending != "done":
            raise ERRORS[ending]
        return result

    def call(self, shape: str, name: str, amount: int, ending: str, result: Any) -> Any:
        def run() -> Any:
            return self.body(name, ending, result)

        if shape == "with":
            with self.ledger.step("pay", key=name, amount=amount) as step:
                step.result = run() if step.fresh else step.result
            return step.result

        async def in_block() -> Any:
            async with self.ledger.step("pay", key=name, amount=amount) as step:
                step.result = run() if step.fresh else step.result
            return step.result

        return asyncio.run(in_block())

    @rule(
        shape=st.sampled_from(["with", "async with"]),
        name=NAMES,
        amount=AMOUNTS,
        ending=st.sampled_from(["done", "done", "failed", "ready", "in_doubt"]),
        result=st.sampled_from([None, 1, (1, 2), {"a": b"x"}]),
    )
    def makes_a_call(self, shape: str, name: str, amount: int, ending: str, result: Any) -> None:
        known = self.truth.get(name)
        before = self.effects.get(name, 0)
        if known is None or known.state == "ready":
            self.expect_a_run(shape, name, amount, ending, result)
            assert before + 1 == self.effects[name]
            return
        if known.amount != amount:
            expected: Any = KeyConflict
        else:
            expected = {"failed": known.outcome, "in_doubt": InDoubt, "running": InDoubt, "void": EffectFailed}.get(
                known.state
            )
        if expected is None:
            assert known.outcome == self.call(shape, name, amount, ending, result)
        else:
            with pytest.raises(expected):
                self.call(shape, name, amount, ending, result)
            known.state = "in_doubt" if expected is InDoubt else known.state
        assert before == self.effects.get(name, 0)

    def expect_a_run(self, shape: str, name: str, amount: int, ending: str, result: Any) -> None:
        self.truth[name] = Truth(ending, amount, result if ending == "done" else type(ERRORS[ending]))
        if ending == "done":
            assert result == self.call(shape, name, amount, ending, result)
        else:
            with pytest.raises(type(ERRORS[ending])):
                self.call(shape, name, amount, ending, result)

    @rule(name=NAMES, amount=AMOUNTS)
    def another_process_dies_in_the_middle(self, name: str, amount: int) -> None:
        if name in self.truth and self.truth[name].state != "ready":
            return
        other = Ledger(self.store, retry_on=Later)
        if name not in self.truth:
            with pytest.raises(Later), other.step("pay", key=name, amount=amount):
                raise Later
        record = self.ledger.effect(name)
        cell = self.store.cells.read(f"ledger/ledger/effect/{record.id}")
        claimed = step(record, Claim(identity=record.identity, owner="other"), 1.0).record
        change = Change(cell.key, cell.version, write_record(claimed))
        assert self.store.cells.swap([change]) is None
        known = self.truth.get(name)
        self.truth[name] = Truth("running", amount if known is None else known.amount)

    @rule(name=NAMES, how=st.sampled_from(["succeeded", "failed", "retry", "give_up"]))
    def a_person_decides(self, name: str, how: str) -> None:
        known = self.truth.get(name)
        if known is None:
            return
        value = {"succeeded": "by hand", "failed": Declined("by hand")}.get(how, True)
        if known.state not in {"in_doubt", "running"}:
            with pytest.raises(Refused):
                self.ledger.resolve(name, **{how: value})
            return
        self.ledger.resolve(name, **{how: value})
        known.state = {"succeeded": "done", "failed": "failed", "retry": "ready", "give_up": "void"}[how]
        known.outcome = {"succeeded": "by hand", "failed": Declined}.get(how)

    @rule()
    def the_process_starts_anew(self) -> None:
        self.open()

    @rule()
    def somebody_recovers(self) -> None:
        self.ledger.recover()
        for known in self.truth.values():
            known.state = "in_doubt" if known.state == "running" else known.state

    @precondition(lambda self: any(known.state in {"done", "failed", "void"} for known in self.truth.values()))
    @rule()
    def what_is_settled_is_forgotten(self) -> None:
        gone = [name for name, known in self.truth.items() if known.state in {"done", "failed", "void"}]
        assert len(gone) == self.ledger.purge(older_than=0)
        for name in gone:
            del self.truth[name]

    @invariant()
    def the_ledger_tells_the_truth(self) -> None:
        found = {record.identity.key: record.state.value for record in self.ledger.effects()}
        assert {name: known.state for name, known in self.truth.items()} == found


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)

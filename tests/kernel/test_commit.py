"""The commit point: everything becomes true at once, just before the body, or nothing does."""

from __future__ import annotations

import asyncio

import pytest

from patterns.errors import CircuitOpen, Refused, StoreUnavailable
from patterns.kernel.commit import Claim, ClaimLost, Intent
from patterns.kernel.guard import Guard, attach
from patterns.kernel.rehearsal import rehearsing
from patterns.kernel.storage import Change
from patterns.stores import open_store
from patterns.testing import Fault, inject
from patterns.testing.shapes import FUNCTION_SHAPES, SHAPES, Guarding


class Claiming(Guard):
    """Wants one record to exist."""

    def __init__(self, store, key, *, effect=False, name="claiming", retries=0):
        self.store, self.key, self.effect, self.name, self.retries = store, key, effect, name, retries
        self.outcomes = []
        self.reverted = 0

    async def around(self, call, proceed):
        for _ in range(self.retries + 1):
            claim = Claim(self.store, [Change(self.key, 0, b"mine")], effect=self.effect, revert=self._revert)
            call.at_commit(claim)
            outcome = await call.attempt(proceed)
            self.outcomes.append((type(outcome).__name__, claim.committed))
            call.withdraw(claim)
            if not (isinstance(getattr(outcome, "error", None), ClaimLost) and outcome.error.claim is claim):
                break
        return outcome.unwrap()

    async def _revert(self):
        self.reverted += 1
        self.store.cells.swap([Change(self.key, self.store.cells.read(self.key).version, None)])


class Intending(Guard):
    """Writes an intention first."""

    name = "intending"

    def __init__(self, log, error=None):
        self.log, self.error = log, error

    async def around(self, call, proceed):
        call.at_commit(Intent(self._write))
        return await proceed()

    async def _write(self):
        if self.error is not None:
            raise self.error
        self.log.append("intent")


class Refusing(Guard):
    """Always refuses."""

    name = "refusing"

    async def around(self, call, proceed):
        raise CircuitOpen("cut off")


def guarding(guard):
    """Return *guard* for the shapes."""
    from patterns.kernel.block import Block

    return Guarding(guard.name, lambda f: attach(f, guard), lambda name: Block(guard, name, {}))


@pytest.fixture
def store():
    """A store of its own for every test."""
    return open_store("memory://")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_claim_holds_when_the_body_runs(shape, store):
    """What was handed over is true in the body, in every shape."""
    guard = Claiming(store, "k")

    assert b"mine" == shape.run([guarding(guard)], lambda: store.cells.read("k").value)
    assert [("Returned", True)] == guard.outcomes


@pytest.mark.parametrize("shape", FUNCTION_SHAPES, ids=str)
def test_a_refusal_further_in_leaves_nothing_behind(shape, store):
    """Nothing before the commit point: no claim, no intention, whatever the order."""
    log = []
    claiming = Claiming(store, "k")

    with pytest.raises(CircuitOpen):
        shape.run([guarding(Intending(log)), guarding(claiming), guarding(Refusing())], lambda: log.append("body"))

    assert store.cells.read("k") is None
    assert [("Refused", False)] == claiming.outcomes
    assert [] == log


@pytest.mark.parametrize("shape", FUNCTION_SHAPES, ids=str)
def test_intentions_are_written_first(shape, store):
    """The intention is durable before anything is claimed, and harmless if the claim is lost."""
    log = []
    store.cells.swap([Change("k", 0, b"theirs")])

    with pytest.raises(ClaimLost):
        shape.run([guarding(Claiming(store, "k")), guarding(Intending(log))], lambda: log.append("body"))

    assert ["intent"] == log
    assert b"theirs" == store.cells.read("k").value


@pytest.mark.parametrize("shape", FUNCTION_SHAPES, ids=str)
def test_an_intention_that_cannot_be_written_stops_the_call(shape, store):
    """Fail closed: the body does not run and nothing is claimed."""
    claiming = Claiming(store, "k")

    with pytest.raises(OSError, match="disk full"):
        shape.run([guarding(claiming), guarding(Intending([], OSError("disk full")))], lambda: pytest.fail("ran"))

    assert store.cells.read("k") is None
    assert [("Refused", False)] == claiming.outcomes


@pytest.mark.parametrize("shape", FUNCTION_SHAPES, ids=str)
def test_claims_on_one_store_are_one_swap(shape, store):
    """If one of them is lost, none is made."""
    store.cells.swap([Change("b", 0, b"theirs")])
    first, second = Claiming(store, "a"), Claiming(store, "b")

    with pytest.raises(ClaimLost) as lost:
        shape.run([guarding(first), guarding(second)], lambda: pytest.fail("ran"))

    assert store.cells.read("a") is None
    assert lost.value.claim.changes[0].key == "b"


@pytest.mark.parametrize("shape", FUNCTION_SHAPES, ids=str)
def test_the_effects_store_is_swapped_last_and_the_others_are_reverted(shape, store):
    """With two stores, what the first took is given back if the effect's own store refuses."""
    effects = open_store("memory://")
    effects.cells.swap([Change("e", 0, b"theirs")])
    budget = Claiming(store, "budget")
    effect = Claiming(effects, "e", effect=True)

    with pytest.raises(ClaimLost):
        shape.run([guarding(effect), guarding(budget)], lambda: pytest.fail("ran"))

    assert store.cells.read("budget") is None
    assert 1 == budget.reverted


@pytest.mark.parametrize("shape", FUNCTION_SHAPES, ids=str)
def test_a_lost_claim_is_tried_again_with_everything_else(shape, store):
    """A second try commits the claims of the guards outside, and of those inside anew, exactly once."""
    store.cells.swap([Change("k", 0, b"theirs")])
    outer, inner = Claiming(store, "outer"), Claiming(store, "inner")
    racing = Claiming(store, "k", retries=1)
    log = []

    def winner_leaves(label):
        if label == "call.commit.before" and not log:
            log.append("first try")
        elif label == "call.commit.before":
            store.cells.swap([Change("k", store.cells.read("k").version, None)])

    with inject(winner_leaves):
        assert "ran" == shape.run([guarding(outer), guarding(racing), guarding(inner)], lambda: "ran")

    assert [("Refused", False), ("Returned", True)] == racing.outcomes
    assert [("Refused", False), ("Returned", True)] == inner.outcomes
    assert [("Returned", True)] == outer.outcomes
    assert {"inner", "k", "outer"} == {cell.key for cell in store.cells.scan("")}


def test_a_store_that_is_gone_stops_the_call(store):
    """Fail closed."""
    guard = Claiming(store, "k")
    store.close()

    with pytest.raises(StoreUnavailable):
        attach(lambda: pytest.fail("ran"), guard)()

    assert [("Refused", False)] == guard.outcomes


def test_a_cancellation_during_the_commit_waits_for_it(tmp_path):
    """The commit is one step: cancelled meanwhile it is finished, the body is not entered, the guard is told both."""
    store = open_store(f"sqlite:///{tmp_path}/s.db")
    guard = Claiming(store, "k")

    async def main():
        async def tool():
            pytest.fail("ran")

        task = asyncio.ensure_future(attach(tool, guard)())

        def cancel(label):
            if label == "call.commit.before":
                asyncio.get_running_loop().call_soon(task.cancel)

        with inject(cancel):
            await asyncio.wait({task})
        return task.cancelled()

    assert asyncio.run(main())
    assert [("Refused", True)] == guard.outcomes
    assert b"mine" == store.cells.read("k").value
    store.close()


def test_nothing_is_committed_while_an_action_is_only_tried(store):
    """A guarded call inside a rehearsal is refused, for what is committed is meant."""
    guard = Claiming(store, "k")
    tool = attach(lambda: pytest.fail("ran"), guard)

    with rehearsing("order"), pytest.raises(Refused, match="order is only tried"):
        tool()

    assert [("Refused", False)] == guard.outcomes
    assert store.cells.read("k") is None


def test_points_are_reached_in_order(store):
    """Crash tests can stop a call at each of its points."""
    seen = []
    with inject(seen.append, Fault("call.body.before", lambda: seen.append("act"))):
        attach(lambda: seen.append("body"), Claiming(store, "k"))()

    points = [label for label in seen if label.startswith(("call.", "act", "body"))]
    assert [
        "call.commit.before",
        "call.commit.after",
        "call.body.before",
        "act",
        "body",
        "call.body.after",
    ] == points

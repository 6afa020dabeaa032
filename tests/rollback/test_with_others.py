"""Undo logs and the other patterns around the same call."""

from __future__ import annotations

import pytest
import tenacity

import patterns
from patterns.errors import CircuitOpen, NotPerformed, RollbackIncomplete
from patterns.kernel.guard import layers
from patterns.rollback import ActionState, Saga, SagaStatus, Step


@pytest.fixture
def store():
    """Return a store that both patterns use."""
    opened = patterns.open_store("memory://")
    yield opened
    opened.close()


@pytest.mark.parametrize("ledger_outside", [True, False])
def test_an_effect_is_undone_once_however_often_it_is_replayed(ledger_outside, store, world):
    """In either order; its undo gets the key of the effect, and both claims are one swap in one store."""
    ledger, undo, keys = patterns.Ledger(store), patterns.RollbackManager("bot", store), []
    undoable = undo.undoable(undo=lambda thing, idempotency_key: world.story.append((thing, idempotency_key)))

    def add(thing):
        keys.append(patterns.current_call().idempotency_key)
        return world.add(thing)

    tool = ledger.once(undoable(add)) if ledger_outside else undoable(ledger.once(add))
    with patterns.run("ticket-1"):
        assert ("a", "a", "a") == (tool("a"), tool("a"), tool("a"))
        assert [ActionState.DONE] == [action.state for action in undo.actions()]
        undo.rollback_all()
        undo.rollback_all()
    assert ["a", ("a", keys[0])] == world.story
    assert keys[0]


def test_a_repeated_saga_does_its_effects_again(store, world):
    """The first attempt was taken back, so the ledger must not hand out its results."""
    ledger, saga, attempts = patterns.Ledger(store), Saga("order"), []

    @saga.tool(compensate=world.remove)
    @ledger.once
    def add(thing):
        return world.add(thing)

    @saga.tool
    def flaky():
        attempts.append(1)
        if len(attempts) < 2:
            raise OSError("again")

    policy = tenacity.Retrying(stop=tenacity.stop_after_attempt(2))
    with patterns.run("ticket-1"):
        report = saga.execute([Step("add", thing="a"), Step("flaky")], retry=policy)
    assert (SagaStatus.SUCCESS, ["a", ("undo", "a"), "a"]) == (report.status, world.story)


def test_an_open_circuit_is_no_reason_to_compensate_its_own_step(clock, world):
    """Refused by the breaker: the step did not run, the earlier ones are taken back."""
    breaker, saga = patterns.CircuitBreaker("bank", failure_threshold=1), Saga("order", clock=clock)

    @saga.tool(compensate=world.remove)
    def add(thing):
        return world.add(thing)

    @saga.tool(compensate=lambda: world.story.append("wrong"), raised="skip")
    @breaker.protect
    def charge():
        raise ValueError("bank down")

    for expected in (ValueError, CircuitOpen):
        report = saga.execute([Step("add", thing=1), Step("charge")])
        assert isinstance(report.error, expected)
        assert ["undone", "skipped" if expected is ValueError else "refused"] == [
            step.state.value for step in report.steps
        ]
    assert "wrong" not in world.story
    assert ("saga.tool", "breaker.protect") == layers(charge)


def test_a_compensation_that_is_refused_is_not_lost(world):
    """An open circuit around the refund parks it; when the circuit lets it pass it is run."""
    breaker, saga = patterns.CircuitBreaker("bank"), Saga("order")

    @breaker.protect
    def refund(amount):
        world.story.append(("undo", amount))

    @saga.tool(compensate=refund)
    def charge(amount):
        return amount

    breaker.force_open("maintenance")
    with pytest.raises(RollbackIncomplete, match="CircuitOpen"), saga.transaction():  # noqa: PT012 - it is what raises
        charge(20)
        raise ValueError("no")
    breaker.reset()
    assert SagaStatus.COMPENSATED is saga.recover()[0].status
    assert [20] == world.undone


def test_what_a_tool_says_did_not_happen_is_not_undone():
    """NotPerformed means the same to the rollback manager and the saga as to the ledger."""
    taken_back = []
    undo = patterns.RollbackManager("bot")
    saga = patterns.Saga("order")

    def declined(order):
        raise NotPerformed("declined before anything")

    def take_back(order):
        taken_back.append(order)

    plain = undo.undoable(undo=take_back)(declined)
    step = saga.tool(compensate=take_back)(declined)
    with patterns.run("t"):
        with pytest.raises(NotPerformed):
            plain("A1")
        undo.rollback_all()
        with pytest.raises(NotPerformed), saga.transaction("o"):
            step("A2")

    assert [] == taken_back

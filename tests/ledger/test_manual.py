"""Effects begun and settled by hand."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

import patterns
from patterns.errors import EffectFailed, InDoubt, InFlight, KeyConflict, Misuse, Refused, ScopeRequired
from patterns.ledger import Ledger, State
from patterns.testing.store_helpers import in_threads


class Hand:
    """The same words for both colours."""

    def __init__(self, ledger: Ledger, *, asynchronous: bool) -> None:
        self.ledger = ledger
        self.asynchronous = asynchronous

    def begin(self, *args: Any, **facts: Any) -> Any:
        return (
            asyncio.run(self.ledger.abegin(*args, **facts)) if self.asynchronous else self.ledger.begin(*args, **facts)
        )

    def end(self, effect: Any, how: str, *args: Any) -> None:
        answer = getattr(effect, how)(*args)
        if self.asynchronous:
            asyncio.run(_awaited(answer))


async def _awaited(answer: Any) -> None:
    await answer


@pytest.fixture(params=[False, True], ids=["def", "async def"])
def hand(request, ledger) -> Hand:
    """Return a hand of each colour."""
    return Hand(ledger, asynchronous=request.param)


def test_committed(hand, ledger):
    """Begun once, committed once, and handed out from then on."""
    effect = hand.begin("charge", key="o-1", amount=5)
    assert (True, 1, 32) == (effect.fresh, effect.fence, len(effect.idempotency_key))
    assert State.RUNNING is ledger.effect(effect.id).state
    hand.end(effect, "commit", ("paid", 5))
    again = hand.begin("charge", key="o-1", amount=5)
    assert (False, ("paid", 5), effect.id) == (again.fresh, again.result, again.id)
    with pytest.raises(KeyConflict):
        hand.begin("charge", key="o-1", amount=6)


def test_failed(hand, ledger):
    """With the exception to raise from then on, or a person's words."""
    hand.end(hand.begin("charge", key="o-1"), "fail", ValueError("no money"))
    hand.end(hand.begin("charge", key="o-2"), "fail", "no money")
    with pytest.raises(ValueError, match="no money"):
        hand.begin("charge", key="o-1")
    with pytest.raises(EffectFailed, match="no money"):
        hand.begin("charge", key="o-2")


def test_released(hand, ledger):
    """Nothing happened, so it may be begun again, under a higher fence."""
    hand.end(hand.begin("charge", key="o-1"), "release", "the queue is full")
    effect = hand.begin("charge", key="o-1")
    assert (True, 2) == (effect.fresh, effect.fence)
    hand.end(effect, "commit")


@pytest.mark.parametrize("why", ["no answer", TimeoutError("no answer")])
def test_abandoned(why, hand, ledger):
    """Nobody knows, and nobody begins it again."""
    hand.end(hand.begin("charge", key="o-1"), "abandon", why)
    with pytest.raises(InDoubt, match="no answer"):
        hand.begin("charge", key="o-1")


def test_settled_twice_or_without_being_fresh(hand):
    """An attempt has one outcome."""
    effect = hand.begin("charge", key="o-1")
    hand.end(effect, "commit", 1)
    for how in ("commit", "release"):
        with pytest.raises(Misuse, match="settled already"):
            hand.end(effect, how)
    with pytest.raises(Misuse, match="settled already"):
        hand.end(hand.begin("charge", key="o-1"), "fail", "x")


def test_a_report_of_an_attempt_that_was_overtaken_is_refused_and_kept(hand, ledger):
    """Fencing: whoever took over is not disturbed."""
    slow = hand.begin("charge", key="o-1")
    ledger.resolve(slow.id, retry=True, force=True)
    quick = hand.begin("charge", key="o-1")
    with pytest.raises(Refused, match="had moved on"):
        hand.end(slow, "commit", "slow")
    hand.end(quick, "commit", "quick")
    record = ledger.effect(slow.id)
    assert ('"quick"', 2, 1) == (record.result, record.fence, record.late[0]["fence"])


def test_begin_and_step_mean_the_same_effect(hand, ledger):
    """They only enclose the work differently."""
    hand.end(hand.begin("mail", key="m-1", to="ann"), "commit", "sent")
    with ledger.step("mail", key="m-1", to="ann") as step:
        assert (False, "sent") == (step.fresh, step.result)


def test_it_needs_a_scope_and_a_name(hand):
    """As a step does."""
    with pytest.raises(ScopeRequired):
        hand.begin("charge", amount=5)
    with pytest.raises(Misuse, match="needs a name"):
        hand.begin("")
    with patterns.run("r"):
        hand.end(hand.begin("charge", amount=5), "commit")


def test_the_recipe_is_safe_for_ten_threads(store, till):
    """The documented lines, ten times at once: one effect, ten results."""
    ledger = Ledger(store)

    def charge(_: int) -> Any:
        effect = ledger.begin("charge", key="o-1", amount=5)
        if effect.fresh:
            effect.commit(till.pay(5))
        return effect.result

    assert [5] * 10 == in_threads(10, charge)
    assert [5] == till.paid


def test_the_recipe_is_safe_for_ten_tasks(store, till):
    """The documented lines, ten times at once: one effect, ten results."""
    ledger = Ledger(store)

    async def charge() -> Any:
        effect = await ledger.abegin("charge", key="o-1", amount=5)
        if effect.fresh:
            await asyncio.sleep(0)
            await effect.commit(till.pay(5))
        return effect.result

    async def main() -> list[Any]:
        return await asyncio.gather(*(charge() for _ in range(10)))

    assert [5] * 10 == asyncio.run(main())
    assert [5] == till.paid


def test_one_that_was_forgotten_says_so(ledger):
    """It blocks all others, so it is not silent."""
    with pytest.warns(ResourceWarning, match="begun and never settled"):
        forget(ledger.begin("charge", key="o-1"))
    with pytest.raises(InFlight):
        ledger.begin("charge", key="o-1")


def forget(effect: Any) -> None:
    """Let go of it."""
    del effect
    gc.collect()

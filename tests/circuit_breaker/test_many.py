"""Many breakers: the kill switch over them and the registry of them."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest

from patterns.circuit_breaker import Breakers, CircuitBreaker, CircuitOpen, State, Switch, slow
from patterns.errors import Misuse
from patterns.kernel.guard import layers


def test_a_switch_opens_and_closes_all(make):
    """Those that are on it, and those that come to it while it is open."""
    switch = Switch("payments")
    before, other = make("before", switch=switch), make("other")
    switch.open("incident 12")
    after = make("after", switch=switch)
    assert [State.FORCED_OPEN, State.FORCED_OPEN, State.CLOSED] == [before.state, after.state, other.state]
    with pytest.raises(CircuitOpen, match="the circuit 'after' was opened by hand: payments: incident 12"):
        after.acquire()
    assert "payments: incident 12" == switch.reason
    assert "<Switch 'payments' open>" == repr(switch)
    switch.close()
    assert [State.CLOSED, State.CLOSED] == [before.state, after.state]
    assert switch.reason is None


def test_a_switch_wins_over_what_is_done_to_one_breaker(make):
    """Until it is closed, nothing lets a call through."""
    switch = Switch("payments")
    breaker = make(switch=switch)
    switch.open("incident")
    breaker.reset()
    assert State.FORCED_OPEN is breaker.state
    breaker.disable("it lies")
    assert (State.FORCED_OPEN, "payments: incident") == (breaker.state, breaker.snapshot().reason)
    switch.close()
    assert (State.CLOSED, "payments: closed") == (breaker.state, breaker.snapshot().reason)


def test_a_breaker_opened_by_hand_outlives_the_switch(make):
    """Each who opened it must let go."""
    switch = Switch("payments")
    breaker = make(switch=switch)
    breaker.force_open("maintenance")
    switch.open("incident")
    switch.close()
    assert (State.FORCED_OPEN, "maintenance") == (breaker.state, breaker.snapshot().reason)
    breaker.reset()
    assert State.CLOSED is breaker.state


def test_closing_a_switch_that_is_closed_changes_nothing(make, fail):
    """An open circuit stays open, counts are kept."""
    switch = Switch("payments")
    breaker = make(switch=switch)
    fail(breaker, 2)
    switch.close()
    assert 2 == breaker.snapshot().streak
    fail(breaker, 1)
    switch.close()
    assert State.OPEN is breaker.state


def test_whoever_throws_the_switch_last_is_obeyed_by_all(make):
    """Two threads throw it at once, many times: in the end all breakers agree with it."""
    switch = Switch("payments")
    breakers = [make(f"b{number}", switch=switch) for number in range(20)]

    def throw():
        for turn in range(50):
            switch.close() if turn % 2 else switch.open("drill")

    threads = [threading.Thread(target=throw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {State.CLOSED if switch.reason is None else State.FORCED_OPEN} == {breaker.state for breaker in breakers}


def test_a_switch_does_not_keep_breakers_alive():
    """A breaker that nobody uses goes."""
    switch = Switch("payments")
    breaker = weakref.ref(CircuitBreaker("x", switch=switch))
    gc.collect()
    assert breaker() is None
    switch.open("drill")


@pytest.mark.parametrize("wrong", [lambda: Switch(""), lambda: Switch("x").open(""), lambda: Switch("x").open(None)])
def test_a_switch_has_a_name_and_a_reason(wrong):
    """Others will want to know."""
    with pytest.raises(Misuse, match="right: "):
        wrong()


def test_one_breaker_per_key(make, protect):
    """One tenant's failures do not cut off another."""
    breakers = Breakers(lambda tenant: make(f"crm of {tenant}", failure_threshold=1))

    @breakers.protect(key=lambda tenant, **_: tenant)
    def sync(tenant, *, works=True):
        if not works:
            raise ConnectionError
        return tenant

    with pytest.raises(ConnectionError):
        sync("acme", works=False)
    with pytest.raises(CircuitOpen, match="'crm of acme'"):
        sync(tenant="acme")
    assert "other" == sync("other")
    assert {"acme": State.OPEN, "other": State.CLOSED} == {key: one.state for key, one in breakers.snapshots().items()}
    assert ("breaker.protect",) == layers(sync)


def test_one_breaker_per_key_for_coroutines_and_blocks(make):
    """The same breaker for the same key, whatever the shape of the call."""
    breakers = Breakers(lambda model: make(model, failure_threshold=2))

    @breakers.protect(key=lambda model: model)
    async def ask(model):
        raise ConnectionError

    with pytest.raises(ConnectionError):
        asyncio.run(ask("large"))
    with pytest.raises(ConnectionError), breakers.step("ask", key="large"):
        raise ConnectionError
    with pytest.raises(CircuitOpen), breakers.step("ask", key="large"):
        raise AssertionError("the body ran")
    assert State.OPEN is breakers["large"].state


def test_what_a_breaker_watches_it_watches_by_key_too(make, clock):
    """Slow calls and failed results as well."""
    breakers = Breakers(lambda key: make(key, trip=slow(1.0, over=2.0, min_calls=1)))

    @breakers.protect(key=lambda key: key)
    def call(key):
        clock.advance(3)

    call("a")
    assert State.OPEN is breakers["a"].state


def test_the_breaker_not_used_for_longest_is_forgotten(make, fail):
    """Unless it is open."""
    breakers = Breakers(make, limit=3)
    fail(breakers["a"])
    for key in "bcbd":
        breakers[key].acquire().success()
    assert ["a", "b", "d"] == list(breakers.snapshots())
    assert State.OPEN is breakers["a"].state
    assert 3 == len(breakers)


def test_the_newest_breaker_is_kept_though_all_others_are_open(make, fail):
    """Or its failures would never add up."""
    breakers = Breakers(make, limit=1)
    fail(breakers["a"])
    assert breakers["b"] is breakers["b"]
    assert 2 == len(breakers)


def test_a_key_has_one_breaker_however_many_ask(make):
    """Eight threads ask for it at once."""
    ready, made = threading.Barrier(8, timeout=10), []

    def build(key):
        ready.wait()
        return make(key)

    breakers = Breakers(build)
    threads = [threading.Thread(target=lambda: made.append(breakers["a"])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == len({id(breaker) for breaker in made})


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Breakers(CircuitBreaker("x")),
        lambda: Breakers(CircuitBreaker, limit=0),
        lambda: Breakers(CircuitBreaker)[5],
        lambda: Breakers(lambda key: None)["a"],
        lambda: Breakers(CircuitBreaker).protect(key=lambda tenant: tenant)(lambda order: order),
    ],
)
def test_a_registry_is_told_right(wrong):
    """It says so at once if not."""
    with pytest.raises(Misuse, match="right: "):
        wrong()

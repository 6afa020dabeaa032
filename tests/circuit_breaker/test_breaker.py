"""The breaker as its users see it: permits, blocks, commands, snapshots and refusals."""

from __future__ import annotations

import asyncio
import copy
import pickle

import pytest

from patterns.circuit_breaker import (
    CircuitBreaker,
    CircuitOpen,
    Counts,
    Snapshot,
    State,
    growing,
)
from patterns.errors import Refused
from patterns.kernel.guard import Guard, attach, layers
from patterns.testing import ManualClock
from patterns.testing.shapes import SHAPES, Guarding


def test_it_opens_probes_and_closes(make, protect, backend, clock):
    """The life of a circuit, as the documentation tells it."""
    breaker = make()
    guarded = protect(breaker, backend.__call__)
    backend.down()
    for _ in range(3):
        with pytest.raises(ConnectionError):
            guarded()
    with pytest.raises(CircuitOpen):
        guarded()
    clock.advance(10)
    assert State.OPEN is breaker.state
    with pytest.raises(ConnectionError):
        guarded()
    assert State.OPEN is breaker.state
    clock.advance(10)
    backend.up()
    assert "fine" == guarded()
    assert State.CLOSED is breaker.state
    assert 5 == backend.reached


def test_a_success_ends_the_streak(make, protect, backend):
    """Two failures, a success, two failures: not three in a row."""
    breaker = make()
    guarded = protect(breaker, backend.__call__)
    for works in (False, False, True, False, False):
        backend.up() if works else backend.down()
        if works:
            guarded()
        else:
            with pytest.raises(ConnectionError):
                guarded()
    assert (State.CLOSED, 2) == (breaker.state, breaker.snapshot().streak)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_shape_tells_the_same_story(shape, make, clock):
    """Three failures, a refusal, a failed and a good probe: the same events in every shape of a call."""
    told = []
    breaker = make(on_transition=lambda change: told.append((change.old, change.new, change.reason)))
    guarding = Guarding("breaker", breaker.protect, breaker.step)

    def body(error):
        if error is not None:
            raise error
        return "fine"

    for _ in range(3):
        with pytest.raises(ConnectionError):
            shape.run([guarding], lambda: body(ConnectionError()))
    with pytest.raises(CircuitOpen):
        shape.run([guarding], lambda: body(AssertionError("it ran")))
    clock.advance(10)
    with pytest.raises(TimeoutError):
        shape.run([guarding], lambda: body(TimeoutError()))
    clock.advance(10)
    assert "fine" == shape.run([guarding], lambda: body(None))
    assert [
        (State.CLOSED, State.OPEN, "3 failures in a row, the last: ConnectionError"),
        (State.OPEN, State.HALF_OPEN, "the wait is over"),
        (State.HALF_OPEN, State.OPEN, "a probe failed: TimeoutError"),
        (State.OPEN, State.HALF_OPEN, "the wait is over"),
        (State.HALF_OPEN, State.CLOSED, "a probe succeeded"),
    ] == told


def test_a_generator_closed_early_says_nothing(make, fail, clock):
    """A consumer that has seen enough is no verdict; a probe's place is free again."""
    breaker = make()

    @breaker.protect
    def items():
        yield 1
        yield 2

    @breaker.protect
    async def more():
        yield 1
        yield 2

    async def first():
        iterator = more()
        assert 1 == await anext(iterator)
        assert 1 == breaker.snapshot().probes
        await iterator.aclose()

    fail(breaker)
    clock.advance(10)
    iterator = items()
    assert 1 == next(iterator)
    assert 1 == breaker.snapshot().probes
    iterator.close()
    assert (State.HALF_OPEN, 0) == (breaker.state, breaker.snapshot().probes)
    asyncio.run(first())
    assert (State.HALF_OPEN, 0) == (breaker.state, breaker.snapshot().probes)
    assert [1, 2] == list(items())
    assert State.CLOSED is breaker.state


def test_commands(make, fail):
    """What a person says holds until they say otherwise."""
    breaker = make()
    early = breaker.acquire()
    breaker.force_open("maintenance")
    assert not early.success()
    with pytest.raises(CircuitOpen, match="the circuit 'billing' was opened by hand: maintenance") as caught:
        breaker.acquire()
    assert (None, "forced_open") == (caught.value.retry_after, caught.value.state)
    breaker.disable("it lies")
    fail(breaker, 100)
    assert State.DISABLED is breaker.state
    assert Counts() == breaker.snapshot().counts
    breaker.reset()
    fail(breaker, 2)
    breaker.reset("a new day")
    assert (State.CLOSED, 0, "a new day") == (breaker.state, breaker.snapshot().streak, breaker.snapshot().reason)


def test_the_wait_grows_and_jitters(make, fail, clock):
    """Each failed probe doubles it; chance comes from what was handed in."""

    class Dice:
        def uniform(self, low, high):
            return high

        def bits(self, count):
            raise AssertionError("nobody needs bits")

    breaker = make(cool_down=growing(10, longest=30, jitter=0.5), randomness=Dice())
    fail(breaker)
    waits = []
    for _ in range(3):
        waits.append(breaker.snapshot().retry_after)
        clock.advance(waits[-1])
        breaker.acquire().failure()
    assert [15.0, 30.0, 45.0] == waits


def test_a_refusal_says_all(make, protect, backend, fail, clock):
    """Facts for programs, a line for people, a text for models."""
    breaker = make()

    def refund(): ...

    fail(breaker)
    clock.advance(4)
    with pytest.raises(CircuitOpen) as caught:
        protect(breaker, refund)()
    refusal = caught.value
    assert isinstance(refusal, Refused)
    assert ("refund", "billing", "open", 6.0) == (refusal.call, refusal.breaker, refusal.state, refusal.retry_after)
    assert "the circuit 'billing' is open: 3 failures in a row, the last: ConnectionError" == str(refusal)
    assert refusal.for_model().startswith("refund is unavailable for 6")
    again = pickle.loads(pickle.dumps(refusal))  # noqa: S301 - our own bytes
    assert (str(refusal), refusal.retry_after) == (str(again), again.retry_after)


def test_a_refusal_names_the_probe(make, fail, clock):
    """While half open the wait is at most until the probe's deadline."""
    breaker = make(probe_timeout=7.0)
    fail(breaker)
    clock.advance(10)
    probe = breaker.acquire()
    clock.advance(2)
    with pytest.raises(CircuitOpen, match="waits for its probes") as caught:
        breaker.acquire()
    assert ("half_open", 5.0) == (caught.value.state, caught.value.retry_after)
    probe.success()


def test_a_snapshot_is_the_whole_picture(make, fail, clock):
    """Every fact of it, in the states that have them."""
    breaker = make(error_rate_threshold=0.5)
    began = clock.wall()
    clock.advance(5)
    breaker.acquire().success()
    breaker.acquire().failure(TimeoutError("slow"))
    expected = {
        "name": "billing",
        "state": State.CLOSED,
        "since": began,
        "reason": "",
        "retry_after": 0.0,
        "counts": Counts(2, 1, 0),
        "streak": 1,
        "refused": 0,
        "openings": 0,
        "probes": 0,
        "successes": 0,
        "last_failure": "TimeoutError: slow",
        "enforced": True,
    }
    assert Snapshot(**expected) == breaker.snapshot()
    assert 0.5 == breaker.snapshot().counts.error_rate
    fail(breaker, 2)
    breaker.try_acquire()
    seen = breaker.snapshot()
    assert (State.OPEN, began + 5, 10.0, 1, 1) == (
        seen.state,
        seen.since,
        seen.retry_after,
        seen.openings,
        seen.refused,
    )


def test_watching_only(make, protect, backend):
    """What would have been refused is counted and told, and passes; it says nothing about the dependency."""
    told = []
    breaker = make(enforce=False, on_transition=told.append)
    guarded = protect(breaker, backend.__call__)
    backend.down()
    for _ in range(5):
        with pytest.raises(ConnectionError):
            guarded()
    backend.up()
    assert "fine" == guarded()
    seen = breaker.snapshot()
    assert (State.OPEN, 3, False) == (seen.state, seen.refused, seen.enforced)
    assert [State.OPEN] == [change.new for change in told]
    breaker.force_open("drill")
    assert "fine" == guarded()


def test_what_a_guard_further_in_refuses_frees_the_probe(make, fail, clock):
    """The dependency was not called, so nothing is known of it."""
    breaker = make()

    class Refusing(Guard):
        async def around(self, call, proceed):
            raise Refused("no")

    class Replaying(Guard):
        async def around(self, call, proceed):
            call.is_replay = True
            return "recorded"

    fail(breaker)
    clock.advance(10)
    with pytest.raises(Refused):
        breaker.protect(attach(lambda: None, Refusing()))()
    assert (State.HALF_OPEN, 0) == (breaker.state, breaker.snapshot().probes)
    assert "recorded" == breaker.protect(attach(lambda: None, Replaying()))()
    assert (State.HALF_OPEN, 0, 0) == (breaker.state, breaker.snapshot().probes, breaker.snapshot().successes)


def test_a_recorded_failure_is_no_failure(make):
    """A replay says nothing, also if it is one of an error."""
    breaker = make(failure_threshold=1)

    class Replaying(Guard):
        async def around(self, call, proceed):
            call.is_replay = True
            raise ConnectionError("recorded")

    with pytest.raises(ConnectionError):
        breaker.protect(attach(lambda: None, Replaying()))()
    assert State.CLOSED is breaker.state


def test_the_call_knows_what_the_breaker_did(make, clock):
    """Guards further out see a refusal and a change of state among the call's events."""
    breaker = make(failure_threshold=1)
    seen = []

    class Watching(Guard):
        async def around(self, call, proceed):
            outcome = await call.attempt(proceed)
            seen.append([type(event).__name__ for event in call.events])
            seen.append([getattr(event, "new", None) or event.state for event in call.events])
            return outcome.unwrap()

    def refund(works):
        if not works:
            raise ConnectionError

    guarded = attach(breaker.protect(refund), Watching())
    with pytest.raises(ConnectionError):
        guarded(works=False)
    with pytest.raises(CircuitOpen):
        guarded(works=True)
    clock.advance(10)
    guarded(works=True)
    guarded(works=True)
    assert [
        ["StateChanged"],
        [State.OPEN],
        ["CallRefused"],
        [State.OPEN],
        ["StateChanged", "StateChanged"],
        [State.HALF_OPEN, State.CLOSED],
        [],
        [],
    ] == seen


at_module_level = CircuitBreaker("shared", clock=ManualClock())


@at_module_level.protect
def picklable(x):
    """Says what it does."""
    return x


def test_a_guarded_function_stays_what_it_is():
    """Name, documentation, pickling and copying; its layers can be asked for."""
    assert ("breaker.protect",) == layers(picklable)
    assert ("picklable", "Says what it does.") == (picklable.__name__, picklable.__doc__)
    assert pickle.loads(pickle.dumps(picklable)) is picklable  # noqa: S301 - our own bytes
    assert copy.deepcopy(picklable) is picklable
    assert 5 == picklable(5)


def test_methods_share_the_circuit(make):
    """A breaker is the dependency's, not the object's."""
    breaker = make(failure_threshold=2)

    class Client:
        @breaker.protect
        def get(self):
            raise ConnectionError

        @classmethod
        @breaker.protect()
        def ping(cls):
            raise ConnectionError

    with pytest.raises(ConnectionError):
        Client().get()
    with pytest.raises(ConnectionError):
        Client.ping()
    with pytest.raises(CircuitOpen):
        Client().get()


def test_stacked_breakers_are_independent(make, fail):
    """The outer one lets through, the inner one refuses: that is no failure of the outer one's dependency."""
    outer, inner = make("outer", failure_threshold=1), make("inner")

    @outer.protect
    @inner.protect
    def call(): ...

    fail(inner)
    with pytest.raises(CircuitOpen, match="'inner'"):
        call()
    assert State.CLOSED is outer.state

"""Threads, listeners, the garbage collector, signals and forks."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from patterns.circuit_breaker import CircuitBreaker, CircuitOpen, State, StateChanged
from patterns.kernel.events import ListenerFailed


def in_threads(count, work):
    """Run work(number) in so many threads at once."""
    ready = threading.Barrier(count, timeout=10)

    def run(number):
        ready.wait()
        work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)


@pytest.fixture
def hasty():
    """Switch between threads as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_no_success_is_lost(make, clock, hasty):
    """Successes of eight threads are all counted, while others look and the window moves on."""
    breaker = make(error_rate_threshold=1.0, window=10**6)
    guarded = breaker.protect(lambda: None)

    def work(number):
        for turn in range(2000):
            guarded()
            if number == 0 and turn % 50 == 0:
                clock.advance(10**6 / 40)
                breaker.snapshot()

    in_threads(8, work)
    (look,) = breaker._engine.era._looks
    breaker.snapshot()
    assert 16_000 == breaker._engine.era.totals.calls
    assert look.counts(breaker._engine.era.totals).calls < 16_000


def test_two_hundred_threads_fail_at_once(make, hasty):
    """The circuit opens once, whatever comes after."""
    told = []
    breaker = make(on_transition=told.append)
    ready = threading.Barrier(200, timeout=10)

    @breaker.protect
    def call():
        ready.wait()
        raise ConnectionError

    def work(_):
        with pytest.raises(ConnectionError):
            call()

    in_threads(200, work)
    assert [(State.CLOSED, State.OPEN)] == [(change.old, change.new) for change in told]


def test_the_cap_on_probes_holds_under_threads(make, fail, clock, hasty):
    """Never more than two are inside, in a hundred recoveries."""
    breaker = make(half_open_probes=2, success_threshold=10**6, probe_timeout=10**6)
    fail(breaker)
    clock.advance(10)
    inside, most = itertools.count(), []
    lock = threading.Lock()
    now_inside = 0

    @breaker.protect
    def call():
        nonlocal now_inside
        with lock:
            now_inside += 1
            most.append(now_inside)
        next(inside)
        with lock:
            now_inside -= 1

    def work(_):
        for _ in range(300):
            try:
                call()
            except CircuitOpen:
                continue

    in_threads(8, work)
    assert max(most) <= 2
    assert len(most) == breaker.snapshot().successes
    assert 0 == breaker.snapshot().probes


def test_listeners_hear_in_order_and_without_a_lock(make, fail, clock):
    """A listener may use the breaker; what comes of it is told after what it is just told."""
    told, threads = [], []

    def listener(change):
        told.append((change.old.value, change.new.value))
        if change.new is State.OPEN:
            worker = threading.Thread(target=lambda: threads.append(breaker.snapshot().state))
            worker.start()
            worker.join(10)
            breaker.reset("by the listener")
            told.append("end of the first")

    breaker = make(on_transition=listener)
    fail(breaker)
    assert [State.OPEN] == threads
    assert [("closed", "open"), "end of the first", ("open", "closed")] == told


def test_many_threads_one_order(make, hasty):
    """What listeners hear is one path through the states, whoever moved the circuit."""
    told = []
    breaker = make(on_transition=told.append)

    def work(number):
        for _ in range(100):
            breaker.force_open("x") if number % 2 else breaker.reset()

    in_threads(4, work)
    path = [State.CLOSED, *(change.new for change in told)]
    assert path[:-1] == [change.old for change in told]
    assert sorted(change.era for change in told) == [change.era for change in told]
    assert path[-1] is breaker.state


def test_a_listener_that_fails_changes_nothing(make, fail, caplog):
    """The others hear of it, and the call ends as it would have."""
    told = []

    def broken(change):
        raise RuntimeError("listener")

    breaker = make(on_transition=broken)
    end = breaker.subscribe(told.append)
    fail(breaker)
    assert {StateChanged, ListenerFailed} == {type(event) for event in told}
    assert State.OPEN is breaker.state
    assert "listener" in caplog.text
    end()
    heard = len(told)
    breaker.reset()
    assert heard == len(told)


def test_nothing_stays_untold(make):
    """What another thread adds when the one that tells has just finished is told all the same."""
    told = []
    breaker = make(on_transition=told.append)
    engine = breaker._engine

    class Telling:
        def acquire(self, *, blocking):
            return True

        def release(self):
            if len(told) == 1:
                engine._outbox.append(told[0])

    engine._telling = Telling()
    breaker.force_open("x")
    assert 2 == len(told)


def test_resetting_what_is_closed_is_no_change(make, fail):
    """It begins a new count, and there is nothing to tell."""
    told = []
    breaker = make(on_transition=told.append)
    fail(breaker, 2)
    breaker.reset()
    assert (0, []) == (breaker.snapshot().streak, told)


def test_an_event_tells_all(make, fail, clock):
    """Who, when, from where to where, why and for how long."""
    told = []
    breaker = make()
    breaker.subscribe(told.append)
    fail(breaker)
    expected = StateChanged(
        source="billing",
        at=clock.wall(),
        old=State.CLOSED,
        new=State.OPEN,
        era=1,
        reason="3 failures in a row, the last: ConnectionError",
        retry_after=10.0,
    )
    assert [expected] == told


def test_the_collector_may_come_at_the_worst_moment(make, fail, clock, monkeypatch):
    """A guarded generator closed while its breaker is at work gives its place back right after."""
    breaker = make()

    @breaker.protect
    def items():
        yield 1
        yield 2

    fail(breaker)
    clock.advance(10)
    probe = [items()]
    next(probe[0])
    engine = breaker._engine
    at_work = engine._look

    def interrupted(now):
        probe.clear()
        gc.collect()
        assert 1 == len(engine.era.circuit.leases)
        at_work(now)

    monkeypatch.setattr(type(engine), "_look", lambda self, now: interrupted(now))
    breaker.snapshot()
    assert () == engine.era.circuit.leases
    assert State.HALF_OPEN is breaker.state


def test_whoever_asks_in_the_middle_of_it_is_refused(make, fail, clock, monkeypatch):
    """A finaliser that calls while its breaker is at work is not let through undecided."""
    breaker = make()
    fail(breaker)
    clock.advance(10)
    engine, asked = breaker._engine, []
    at_work = engine._look
    monkeypatch.setattr(type(engine), "_look", lambda self, now: (asked.append(breaker.try_acquire()), at_work(now)))
    breaker.snapshot()
    assert [None] == asked
    assert breaker.try_acquire() is not None


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no interval timer")
def test_a_signal_handler_may_use_the_breaker(hasty):
    """In the main thread, thousands of times, while the main thread uses it too."""
    breaker = CircuitBreaker("x", failure_threshold=2, cool_down=1e-9)
    handled = []

    def handler(_number, _frame):
        handled.append(1)
        breaker.reset("by the signal")
        permit = breaker.try_acquire()
        if permit is not None:
            permit.failure()

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        while len(handled) < 50:
            permit = breaker.try_acquire()
            if permit is not None:
                permit.failure()
            breaker.snapshot()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    breaker.reset()
    assert State.CLOSED is breaker.state


ROOT = Path(__file__).parents[2]
FORK = """
import os, sys, threading, warnings
warnings.simplefilter("ignore")
from patterns.circuit_breaker import CircuitBreaker

breaker = CircuitBreaker("x", failure_threshold=1)
holds, may_go = threading.Event(), threading.Event()

def hold():
    with breaker._engine._lock, breaker._engine._telling:
        holds.set()
        may_go.wait()

thread = threading.Thread(target=hold)
thread.start()
holds.wait()
child = os.fork()
if child == 0:
    breaker.acquire().failure()
    os._exit(0 if breaker.state.value == "open" else 1)
may_go.set()
thread.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_a_child_forked_at_the_worst_moment_can_use_the_breaker():
    """The lock another thread held at the fork is nobody's in the child."""
    done = subprocess.run(
        [sys.executable, "-c", FORK], timeout=30, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert 0 == done.returncode

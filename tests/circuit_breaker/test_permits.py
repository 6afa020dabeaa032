"""Permits in two steps, probes and late verdicts."""

from __future__ import annotations

import pytest

from patterns.circuit_breaker import FAILURE, SUCCESS, Counts, ProbeExpired, State, VerdictRevised, calls, rate, slow
from patterns.errors import Misuse


def test_a_permit_is_settled_once(make):
    """A second end is a mistake of the program; releasing what is settled is harmless."""
    permit = make().acquire()
    assert permit.success()
    permit.release()
    with pytest.raises(Misuse, match="settled before"):
        permit.failure()


def test_a_permit_as_a_block(make, fail, clock):
    """It is settled by how the block ends, unless the block did so itself."""
    breaker = make(ignore=KeyError)
    with pytest.raises(ConnectionError), breaker.acquire():
        raise ConnectionError
    with pytest.raises(KeyError), breaker.acquire():
        raise KeyError
    with breaker.acquire() as permit:
        permit.failure("the answer made no sense")
    seen = breaker.snapshot()
    assert (2, "the answer made no sense") == (seen.streak, seen.last_failure)
    fail(breaker, 1)
    clock.advance(10)
    with pytest.raises(KeyboardInterrupt), breaker.acquire():
        raise KeyboardInterrupt
    assert (State.HALF_OPEN, 0) == (breaker.state, breaker.snapshot().probes)
    with breaker.acquire():
        pass
    assert State.CLOSED is breaker.state


def test_a_permit_of_another_era_does_not_count_whatever_it_says(make):
    """Not even if what it says is nothing."""
    breaker = make(ignore=KeyError)
    assert breaker.acquire().failure(KeyError())
    early = breaker.acquire()
    breaker.reset()
    assert not early.failure(KeyError())


def test_a_late_verdict_finds_its_call(make):
    """However often somebody looked in between."""
    breaker = make(error_rate_threshold=1.0, min_calls=2, window=calls(2), failure_threshold=None)
    breaker.snapshot()
    breaker.snapshot()
    first, second = breaker.acquire(), breaker.acquire()
    first.success()
    second.success()
    breaker.acquire().success()
    first.revise("it is not among the last two any more")
    assert Counts(2, 0) == breaker.snapshot().counts
    second.revise("it is")
    assert Counts(2, 1) == breaker.snapshot().counts


@pytest.mark.parametrize(
    "options",
    [{"trip": rate(0.5)}, {"trip": rate(0.5) | slow(0.5, over=2)}, {"trip": rate(0.5), "failed_results": bool}, None],
    ids=["rate", "slow", "results", "permit"],
)
def test_successes_are_counted_when_they_come(make, protect, clock, options):
    """One that came 59 seconds later is still within the window when the first one is not."""
    breaker = make(**options or {"trip": rate(0.5)})
    guarded = protect(breaker, lambda: None) if options is not None else lambda: breaker.acquire().success()
    guarded()
    clock.advance(59)
    guarded()
    assert 2 == breaker.snapshot().counts.calls
    clock.advance(2)
    assert 1 == breaker.snapshot().counts.calls


def test_a_late_verdict_counts(make, clock):
    """A validator finds out that what seemed well was not, and the circuit opens on it."""
    told = []
    breaker = make(error_rate_threshold=0.5, min_calls=4, failure_threshold=None)
    breaker.subscribe(told.append)
    permits = [breaker.acquire() for _ in range(4)]
    for permit in permits:
        permit.success()
    clock.advance(30)
    assert permits[0].revise("the answer was made up")
    assert Counts(4, 1) == breaker.snapshot().counts
    assert permits[2].revise(FAILURE.because("so was this"))
    assert (State.OPEN, "so was this") == (breaker.state, breaker.snapshot().last_failure)
    assert not permits[1].revise("too late")
    revised = [(event.reason, event.counted) for event in told if isinstance(event, VerdictRevised)]
    assert [("the answer was made up", True), ("so was this", True), ("too late", False)] == revised


def test_a_late_verdict_on_a_probe_opens_the_circuit_again(make, fail, clock):
    """As long as it is half open."""
    breaker = make(success_threshold=2)
    fail(breaker)
    clock.advance(10)
    probe = breaker.acquire()
    probe.success()
    assert probe.revise("it answered with an error page")
    assert (State.OPEN, "a probe failed: it answered with an error page") == (breaker.state, breaker.snapshot().reason)


def test_a_late_verdict_on_what_was_settled_in_an_earlier_era_does_not_count(make):
    """A success that came too late for its era was never counted, so neither is what becomes of it."""
    breaker = make()
    permit = breaker.acquire()
    breaker.reset()
    assert not permit.success()
    assert not permit.revise("made up")
    assert Counts() == breaker.snapshot().counts


@pytest.mark.parametrize("end", [lambda permit: None, lambda permit: permit.failure(), lambda permit: permit.release()])
def test_only_a_success_can_be_revised(make, end):
    """And only to a failure, once."""
    permit = make().acquire()
    end(permit)
    with pytest.raises(Misuse, match="only a success can be revised"):
        permit.revise("why")
    good = make().acquire()
    good.success()
    with pytest.raises(Misuse, match="only to a failure"):
        good.revise(SUCCESS)
    good.revise("why")
    with pytest.raises(Misuse, match="only a success can be revised"):
        good.revise("why")


def test_several_probes_several_successes(make, fail, clock):
    """Two at once, three in all; the cap holds after each."""
    breaker = make(half_open_probes=2, success_threshold=3)
    fail(breaker)
    clock.advance(10)
    first, second = breaker.acquire(), breaker.acquire()
    assert breaker.try_acquire() is None
    first.success()
    third = breaker.acquire()
    assert breaker.try_acquire() is None
    second.success()
    assert State.HALF_OPEN is breaker.state
    third.success()
    assert State.CLOSED is breaker.state


def test_a_ramp_grows_with_success(make, fail, clock):
    """One probe, then two, then four at once."""
    breaker = make(ramp=2.0, success_threshold=4)
    fail(breaker)
    clock.advance(10)
    breaker.acquire().success()
    two = [breaker.acquire(), breaker.acquire()]
    assert breaker.try_acquire() is None
    two[0].success()
    four = [two[1], breaker.acquire(), breaker.acquire(), breaker.acquire()]
    assert breaker.try_acquire() is None
    four[0].success()
    four[1].success()
    assert State.CLOSED is breaker.state


def test_an_expired_probe_is_told(make, fail, clock):
    """Once, when its place is needed."""
    breaker = make(probe_timeout=5.0)
    told = []
    breaker.subscribe(told.append)
    fail(breaker)
    clock.advance(10)
    breaker.acquire()
    clock.advance(5)
    breaker.acquire()
    expired = [event for event in told if isinstance(event, ProbeExpired)]
    assert [(2, 0)] == [(event.era, event.lease) for event in expired]


def test_a_probe_that_is_late_still_counts(make, fail, clock):
    """Or a dependency slower than the deadline could never recover."""
    breaker = make(probe_timeout=5.0)
    fail(breaker)
    clock.advance(10)
    late = breaker.acquire()
    clock.advance(60)
    assert late.success()
    assert State.CLOSED is breaker.state

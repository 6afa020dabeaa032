"""What is counted, against counting it by hand."""

from __future__ import annotations

from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patterns.circuit_breaker.era import Era
from patterns.circuit_breaker.machine import Circuit
from patterns.circuit_breaker.rules import Counts, LastCalls, LastSeconds
from patterns.circuit_breaker.windows import SLOTS

START = 64.0
SECONDS = LastSeconds(20.0)
CALLS = LastCalls(7)

# Steps of an eighth of a second are exact in binary; a slot of the window lasts one second.
waits = st.one_of(st.integers(0, 20), st.integers(0, 400)).map(lambda eighths: eighths / 8)
ends = st.sampled_from(["quick success", "success", "failure", "slow success", "slow failure", "look"])
histories = st.lists(st.tuples(waits, ends, st.sampled_from([1, 1, 1, 2, 9])), max_size=80)


class Naive:
    """Keeps every call and counts them all each time."""

    def __init__(self):
        self.calls = []

    def add(self, now, end, weight):
        self.calls += [(floor(now - START), "failure" in end, "slow" in end)] * weight

    def tally(self, chosen):
        return Counts(len(chosen), sum(failed for _, failed, _ in chosen), sum(slow for _, _, slow in chosen))

    def in_seconds(self, now):
        return self.tally([call for call in self.calls if call[0] > floor(now - START) - SLOTS])

    def in_calls(self):
        return self.tally(self.calls[-CALLS.size :])

    @property
    def streak(self):
        successes = [place for place, (_, failed, _) in enumerate(self.calls) if not failed]
        return len(self.calls) - (successes[-1] + 1 if successes else 0)


def happen(era, naive, now, end, weight):
    """Let a call end in both worlds, the way the guard does it."""
    if end == "look":
        era.look(now)
        return
    quick = end == "quick success"
    naive.add(now, end, 1 if quick else weight)
    if quick and now < era.edge:
        next(era.ticks)
    else:
        era.add(now, failed="failure" in end, slow="slow" in end, weight=1 if quick else weight)


@given(histories)
def test_windows_count_what_is_there(history):
    """At every moment both windows, the totals and the streak are what a list of all calls says."""
    era, naive, now = Era(Circuit(since=START), (SECONDS, CALLS), "x"), Naive(), START
    for wait, end, weight in history:
        now += wait
        happen(era, naive, now, end, weight)
        era.look(now)
        assert naive.in_seconds(now) == era.counts(SECONDS)
        assert naive.in_calls() == era.counts(CALLS)
        assert naive.tally(naive.calls) == era.totals
        assert naive.streak == era.streak


@given(histories)
def test_looking_changes_nothing(history):
    """A failure sees the same counts whether somebody looked before or not."""
    plain, watched = (Era(Circuit(since=START), (SECONDS, CALLS), "x") for _ in range(2))
    now = START
    for wait, end, weight in history:
        now += wait
        happen(plain, Naive(), now, end, weight)
        watched.look(now)
        happen(watched, Naive(), now, end, weight)
    for era in (plain, watched):
        era.add(now, failed=True, slow=False)
    assert plain.counts(SECONDS) == watched.counts(SECONDS)
    assert (plain.counts(CALLS), plain.totals, plain.streak) == (watched.counts(CALLS), watched.totals, watched.streak)


@given(histories, st.lists(st.tuples(st.integers(0, 79), st.integers(0, 79)), max_size=30))
def test_a_success_that_turns_out_to_have_failed_counts_as_if_it_had_failed_then(history, revisions):
    """Both windows and the totals are what they would be; a streak is at most as long as it would be."""
    era, naive, now, ended = Era(Circuit(since=START), (SECONDS, CALLS), "x"), Naive(), START, []
    for step, (wait, end, _) in enumerate(history):
        now += wait
        happen(era, naive, now, end, 1)
        ended += [now] * (len(naive.calls) - len(ended))
        for place in [which for when, which in revisions if when == step and which < len(naive.calls)]:
            slot, failed, slow = naive.calls[place]
            if not failed:
                naive.calls[place] = (slot, True, slow)
                era.amend(place + 1, ended[place], now)
        era.look(now)
        assert naive.in_seconds(now) == era.counts(SECONDS)
        assert naive.in_calls() == era.counts(CALLS)
        assert naive.tally(naive.calls) == era.totals
        assert naive.streak >= era.streak


def test_a_late_failure_leaves_the_window_with_its_call():
    """It is in the window as long as the call is, and no longer."""
    era = Era(Circuit(since=START), (SECONDS,), "x")
    era.add(START + 0.5, failed=False, slow=False)
    era.amend(1, START + 0.5, START + 19.5)
    assert Counts(1, 1, 0) == era.counts(SECONDS)
    era.look(START + 20.0)
    assert Counts(0, 0, 0) == era.counts(SECONDS)


@pytest.mark.parametrize("order", [[1, 2, 3, 4], [4, 3, 2, 1], [2, 1, 3, 4]])
def test_late_failures_are_a_streak_too(order):
    """In whatever neighbouring order they turn out."""
    era = Era(Circuit(since=START), (), "x")
    for _ in range(4):
        next(era.ticks)
    for number in order:
        era.amend(number, START, START)
    assert 4 == era.streak


@pytest.mark.parametrize("idle", [20.0, 21.0, 3600.0, 1e9])
def test_an_idle_hour_is_forgotten(idle):
    """What happened before the window is gone, however long nobody called."""
    era = Era(Circuit(since=START), (SECONDS,), "x")
    for _ in range(100):
        era.add(START, failed=True, slow=True)
    era.add(START + idle, failed=False, slow=False)
    assert Counts(1, 0, 0) == era.counts(SECONDS)


def test_the_window_moves_in_twentieths():
    """A call counts for at least 95% of the window's length and never longer than it."""
    for began in (0.0, 0.5, 0.99):
        era = Era(Circuit(since=START), (SECONDS,), "x")
        era.add(START + began, failed=True, slow=False)
        era.look(START + began + 19.0)
        assert 1 == era.counts(SECONDS).failures
        era.look(START + began + 20.0)
        assert 0 == era.counts(SECONDS).failures


def test_a_window_of_calls_remembers_failures_alone():
    """Its memory grows with what failed in it, not with its size or the number of calls."""
    era = Era(Circuit(since=START), (LastCalls(10**6),), "x")
    for _ in range(10_000):
        next(era.ticks)
    era.add(START, failed=True, slow=False)
    (look,) = era._looks
    assert 1 == len(look._failures)
    assert Counts(10_001, 1, 0) == era.counts(LastCalls(10**6))

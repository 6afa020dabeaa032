"""The whole breaker against a naive one that keeps every call, driven at random."""

from __future__ import annotations

from math import floor

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule

from patterns.circuit_breaker import CircuitBreaker, CircuitOpen, State, StateChanged, calls, rate, slow, streak
from patterns.testing import ManualClock

WINDOW, COOL_DOWN, PROBE_TIMEOUT, OVER = 20.0, 10.0, 4.0, 2.0
PROBES, SUCCESSES, LAST = 2, 3, 6


class Naive:
    """A breaker that remembers everything and computes everything anew."""

    def __init__(self, now):
        self.state = "closed"
        self.began = now
        self.era = 0
        self.calls = []
        self.retry_at = None
        self.leases = {}
        self.good_probes = 0
        self.given = 0

    def go(self, state, now):
        self.state, self.began, self.era = state, now, self.era + 1
        self.calls, self.leases, self.good_probes = [], {}, 0
        self.retry_at = now + COOL_DOWN if state == "open" else None

    def acquire(self, now):
        """Return (era, lease or None, started), or None for a refusal."""
        if self.state == "open" and now >= self.retry_at:
            self.go("half_open", now)
        if self.state in {"open", "forced_open"}:
            return None
        if self.state in {"closed", "disabled"}:
            return self.era, None, now
        self.leases = {lease: until for lease, until in self.leases.items() if until > now}
        if len(self.leases) >= PROBES:
            return None
        self.given += 1
        self.leases[self.given] = now + PROBE_TIMEOUT
        return self.era, self.given, now

    def settle(self, permit, end, now):
        """Return whether it counts."""
        era, lease, started = permit
        if era != self.era:
            return False
        late = now - started > OVER
        if lease is not None:
            self.leases.pop(lease, None)
            if end == "failure" or (end == "success" and late):
                self.go("open", now)
            elif end == "success":
                self.good_probes += 1
                if self.good_probes == SUCCESSES:
                    self.go("closed", now)
        elif self.state == "closed" and end != "nothing":
            self.calls.append((floor(now - self.began), end == "failure", late))
            if (end == "failure" or late) and self.broken(now):
                self.go("open", now)
        return True

    def seen(self, now):
        """Return the calls of the window of seconds."""
        return [call for call in self.calls if call[0] > floor(now - self.began) - 20]

    @property
    def run(self):
        length = 0
        for _, failed, _ in reversed(self.calls):
            if not failed:
                break
            length += 1
        return length

    def broken(self, now):
        recent, last = self.seen(now), self.calls[-LAST:]
        if self.run >= 4:
            return True
        if len(recent) >= 5 and sum(failed for _, failed, _ in recent) / len(recent) >= 0.5:
            return True
        return len(last) >= LAST and sum(late for *_, late in last) / len(last) >= 0.5


class Breaker(RuleBasedStateMachine):
    """Any number of permits are out at a time and come back in any order, in any later era, or never."""

    permits = Bundle("permits")

    def __init__(self):
        super().__init__()
        self.clock = ManualClock(now=64.0)
        self.naive = Naive(64.0)
        self.told = []
        self.refused = 0
        self.breaker = CircuitBreaker(
            "model",
            trip=streak(4)
            | rate(0.5, min_calls=5, window=WINDOW)
            | slow(0.5, over=OVER, min_calls=LAST, window=calls(LAST)),
            cool_down=COOL_DOWN,
            half_open_probes=PROBES,
            success_threshold=SUCCESSES,
            probe_timeout=PROBE_TIMEOUT,
            on_transition=self.told.append,
            clock=self.clock,
        )

    @rule(target=permits, raising=st.booleans())
    def acquire(self, raising):
        expected = self.naive.acquire(self.clock.now())
        permit = self.ask(raising=raising)
        assert (expected is None) == (permit is None)
        self.refused += permit is None
        return multiple() if permit is None else (permit, expected)

    def ask(self, *, raising):
        if not raising:
            return self.breaker.try_acquire()
        try:
            return self.breaker.acquire()
        except CircuitOpen as caught:
            refusal = caught
        assert self.naive.state == refusal.state
        return None

    @rule(permit=consumes(permits), end=st.sampled_from(["success", "failure", "failure", "nothing"]))
    def settle(self, permit, end):
        mine, expected = permit
        counts = self.naive.settle(expected, end, self.clock.now())
        if end == "nothing":
            mine.release()
        else:
            assert counts == (mine.success() if end == "success" else mine.failure(ConnectionError("refused")))

    @rule(ends=st.lists(st.sampled_from(["success", "failure"]), min_size=1, max_size=8))
    def several_calls(self, ends):
        """Steers into the other states more often than single steps would."""
        for end in ends:
            permit, expected = self.breaker.try_acquire(), self.naive.acquire(self.clock.now())
            assert (expected is None) == (permit is None)
            self.refused += permit is None
            if permit is not None:
                counts = self.naive.settle(expected, end, self.clock.now())
                assert counts == (permit.success() if end == "success" else permit.failure())

    @rule(eighths=st.one_of(st.integers(0, 40), st.just(80), st.integers(0, 400)))
    def wait(self, eighths):
        self.clock.advance(eighths / 8)

    @precondition(lambda self: self.naive.state == "open")
    @rule()
    def wait_for_the_probe(self):
        self.clock.advance(max(0.0, self.naive.retry_at - self.clock.now()))

    @rule(verb=st.sampled_from(["reset", "force_open", "disable"]), sure=st.integers(0, 3))
    def command(self, verb, sure):
        if sure == 0:
            getattr(self.breaker, verb)("by hand")
            self.naive.go(
                {"reset": "closed", "force_open": "forced_open", "disable": "disabled"}[verb], self.clock.now()
            )

    @invariant()
    def agree(self):
        now, naive, seen = self.clock.now(), self.naive, self.breaker.snapshot()
        assert naive.state == self.breaker.state.value == seen.state.value
        assert self.refused == seen.refused
        assert naive.good_probes == seen.successes
        assert naive.run == seen.streak
        if naive.state == "closed":
            recent = naive.seen(now)
            assert len(recent) == seen.counts.calls
            assert sum(failed for _, failed, _ in recent) == seen.counts.failures
            assert sum(late for *_, late in recent) == seen.counts.slow
        if naive.state == "open":
            assert max(0.0, naive.retry_at - now) == seen.retry_after

    @invariant()
    def every_change_was_told(self):
        """What the listener heard is a path through the states that ends where the breaker is."""
        assert all(isinstance(change, StateChanged) for change in self.told)
        path = [State.CLOSED, *(change.new for change in self.told)]
        assert path[:-1] == [change.old for change in self.told]
        assert path[-1] is self.breaker.state


TestBreaker = Breaker.TestCase

"""What a breaker is told to do, checked once and for all when it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from patterns.circuit_breaker.rules import (
    DEFAULT_MIN_CALLS,
    DEFAULT_WINDOW,
    Rule,
    Slow,
    finite,
    rate,
    streak,
    whole,
    windows_of,
)
from patterns.errors import misuse

if TYPE_CHECKING:
    from patterns.circuit_breaker.rules import LastCalls, Window
    from patterns.kernel.clock import Duration

__all__ = ["Growing", "Policy", "growing", "policy", "trip_rule"]

DEFAULT_FAILURE_THRESHOLD = 5
_UNLIMITED = 2.0**31


def _grown(first: float, factor: float, times: int, limit: float) -> float:
    try:
        return min(first * factor**times, limit)
    except OverflowError:
        return limit


@frozen
class Growing:
    """How long a circuit stays open; made by `growing`.

    Args:
        first: Seconds after it opened.
        factor: Each further wait before a recovery is so many times longer.
        longest: Seconds that no wait exceeds, jitter aside.
        jitter: Each wait is up to this share shorter or longer.

    """

    first: float
    factor: float
    longest: float
    jitter: float

    def wait(self, openings: int, chance: float) -> float:
        """Return the seconds to wait after *openings* earlier ones; *chance* lies between 0 and 1."""
        return _grown(self.first, self.factor, openings, self.longest) * (1 + self.jitter * (2 * chance - 1))

    def __str__(self) -> str:
        return f"{self.first:g} s" if self.factor == 1 else f"{self.first:g} s to {self.longest:g} s"


def growing(first: Duration, /, *, factor: float = 2.0, longest: Duration = 600.0, jitter: float = 0.1) -> Growing:
    """Stay open longer each time a probe fails, and not for the same time in every process.

    Args:
        first: Seconds after the circuit opened.
        factor: Each further wait before a recovery is so many times longer; 1 or more.
        longest: Seconds that no wait exceeds, jitter aside.
        jitter: Each wait is up to this share shorter or longer; 0 or more, below 1.

    Raises:
        Misuse: One of them is out of its bounds, or *longest* is shorter than *first*.

    """
    start, end = finite(first, name="first"), finite(longest, name="longest")
    if end < start:
        misuse(
            f"the longest wait, {end:g} s, is shorter than the first, {start:g} s",
            wrong=f"growing({start:g}, longest={end:g})",
            right=f"growing({end:g}, longest={start:g})",
        )
    factor = bounded(factor, name="factor", low=1, below=1e6, right="factor=2.0")
    jitter = bounded(jitter, name="jitter", low=0, below=1, right="jitter=0.1")
    return Growing(start, factor, end, jitter)


def bounded(value: float, *, name: str, low: float, below: float, right: str) -> float:
    """Return *value* as a float.

    Raises:
        Misuse: It is not a number, smaller than *low*, or not below *below*.

    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value < below:
        misuse(f"{name} must be a number from {low:g} to below {below:g}", wrong=f"{name}={value!r}", right=right)
    return float(value)


@frozen(kw_only=True)
class Policy:
    """When a circuit opens, how long it stays open, and how it comes back.

    Args:
        rule: What opens it.
        cool_down: How long it stays open.
        probes: Calls let through at once while it is half open.
        ramp: Each success multiplies the probes let through at once.
        success_threshold: Successful probes it takes to close.
        probe_timeout: Seconds after which a probe that did not end frees its place.
        windows: What the rule looks back on.
        slow_over: Seconds from which on a call is slow; None if nothing depends on it.

    """

    rule: Rule
    cool_down: Growing
    probes: int
    ramp: float
    success_threshold: int
    probe_timeout: float
    windows: tuple[Window, ...]
    slow_over: float | None

    def wait(self, openings: int, chance: float) -> float:
        """Return the seconds to stay open after *openings* earlier ones without a recovery."""
        return self.cool_down.wait(openings, chance)

    def places(self, successes: int) -> int:
        """Return how many probes may run at once after so many succeeded."""
        return int(_grown(self.probes, self.ramp, successes, _UNLIMITED))


def _one_limit(rule: Rule) -> float | None:
    limits = sorted({part.over for part in rule.parts if isinstance(part, Slow)})
    if len(limits) > 1:
        misuse(
            "one breaker has one idea of a slow call",
            wrong=" | ".join(f"slow(0.5, over={limit:g})" for limit in limits),
            right=f"slow(0.5, over={limits[0]:g}) on one breaker, the others on breakers of their own",
        )
    return limits[0] if limits else None


def policy(
    *,
    trip: Rule,
    cool_down: Duration | Growing,
    half_open_probes: int,
    ramp: float,
    success_threshold: int,
    probe_timeout: Duration | None,
) -> Policy:
    """Check the options and return what they say; see `CircuitBreaker`.

    Raises:
        Misuse: An option is out of its bounds.

    """
    if not isinstance(cool_down, Growing):
        flat = finite(cool_down, name="cool_down")
        cool_down = Growing(flat, 1.0, flat, 0.0)
    slow_over = _one_limit(trip)
    return Policy(
        rule=trip,
        cool_down=cool_down,
        probes=whole(half_open_probes, name="half_open_probes"),
        ramp=bounded(ramp, name="ramp", low=1, below=1e6, right="ramp=2.0"),
        success_threshold=whole(success_threshold, name="success_threshold"),
        probe_timeout=max(cool_down.first, slow_over or 0.0)
        if probe_timeout is None
        else finite(probe_timeout, name="probe_timeout"),
        windows=windows_of(trip),
        slow_over=slow_over,
    )


def trip_rule(
    *,
    trip: Rule | None,
    failure_threshold: int | None,
    error_rate_threshold: float | None,
    window: Duration | LastCalls,
    min_calls: int,
) -> Rule:
    """Return the rule that the simple options spell, or the one that was given.

    Raises:
        Misuse: They contradict each other, or nothing would ever open the circuit.

    """
    looks_back = window != DEFAULT_WINDOW or min_calls != DEFAULT_MIN_CALLS
    if trip is not None:
        plain = failure_threshold == DEFAULT_FAILURE_THRESHOLD and error_rate_threshold is None and not looks_back
        return _given(trip, plain=plain)
    if looks_back and error_rate_threshold is None:
        misuse(
            "window and min_calls belong to a rate; failures in a row are counted whenever they happen",
            wrong=f"failure_threshold={failure_threshold}, window={window!r}, min_calls={min_calls}",
            right=f"error_rate_threshold=0.5, window={window!r}, min_calls={min_calls}",
        )
    rules: list[Rule] = []
    if failure_threshold is not None:
        rules.append(streak(whole(failure_threshold, name="failure_threshold")))
    if error_rate_threshold is not None:
        rules.append(rate(error_rate_threshold, min_calls=min_calls, window=window))
    if not rules:
        misuse(
            "nothing would ever open this circuit",
            wrong="failure_threshold=None",
            right="failure_threshold=None, error_rate_threshold=0.5",
        )
    return rules[0] if len(rules) == 1 else rules[0] | rules[1]


def _given(trip: Rule, *, plain: bool) -> Rule:
    if not isinstance(trip, Rule):
        misuse(f"trip is a rule, not {trip!r}", wrong=f"trip={trip!r}", right="trip=streak(5) | rate(0.5)")
    if not plain:
        misuse(
            "trip is the whole rule, so the simple options would be ignored",
            wrong="trip=rate(0.5), failure_threshold=3, window=10",
            right="trip=streak(3) | rate(0.5, window=10)",
        )
    return trip

"""What a breaker cannot be told, and what it says then."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from patterns.circuit_breaker import CircuitBreaker, calls, growing, rate, slow, streak
from patterns.errors import Misuse

WRONG = {
    "no name": lambda: CircuitBreaker(""),
    "a name that is none": lambda: CircuitBreaker(print),
    "no failures": lambda: CircuitBreaker("x", failure_threshold=0),
    "fewer than no failures": lambda: CircuitBreaker("x", failure_threshold=-1),
    "half a failure": lambda: CircuitBreaker("x", failure_threshold=2.5),
    "a truth for a number": lambda: CircuitBreaker("x", failure_threshold=True),
    "nothing that opens it": lambda: CircuitBreaker("x", failure_threshold=None),
    "a percentage": lambda: CircuitBreaker("x", error_rate_threshold=50),
    "no share": lambda: CircuitBreaker("x", error_rate_threshold=0),
    "a share that is no number": lambda: CircuitBreaker("x", error_rate_threshold="half"),
    "no window": lambda: CircuitBreaker("x", error_rate_threshold=0.5, window=0),
    "a window that never ends": lambda: CircuitBreaker("x", error_rate_threshold=0.5, window=float("inf")),
    "a window in words": lambda: CircuitBreaker("x", error_rate_threshold=0.5, window="1m"),
    "no calls at all": lambda: CircuitBreaker("x", error_rate_threshold=0.5, min_calls=0),
    "a window too small": lambda: CircuitBreaker("x", error_rate_threshold=0.5, window=calls(10)),
    "a window of no calls": lambda: calls(0),
    "a window of a streak": lambda: CircuitBreaker("x", failure_threshold=3, window=10),
    "min_calls of a streak": lambda: CircuitBreaker("x", min_calls=3),
    "two ways to say it": lambda: CircuitBreaker("x", trip=rate(0.5), failure_threshold=3),
    "a window beside a rule": lambda: CircuitBreaker("x", trip=rate(0.5), window=10),
    "a rule that is none": lambda: CircuitBreaker("x", trip=0.5),
    "a rule of nothing": lambda: rate(0.5) | 5,
    "two ideas of slow": lambda: CircuitBreaker("x", trip=slow(0.5, over=1) | slow(0.1, over=9)),
    "slow at once": lambda: slow(0.5, over=0),
    "no streak": lambda: streak(0),
    "no wait": lambda: CircuitBreaker("x", cool_down=0),
    "a wait into the past": lambda: CircuitBreaker("x", cool_down=timedelta(seconds=-1)),
    "a wait for ever": lambda: CircuitBreaker("x", cool_down=float("inf")),
    "a wait that is not a number": lambda: CircuitBreaker("x", cool_down=float("nan")),
    "a wait that shrinks": lambda: growing(10, factor=0.5),
    "a longest wait that is not": lambda: growing(10, longest=5),
    "jitter beyond the wait": lambda: growing(10, jitter=1.0),
    "jitter below nothing": lambda: growing(10, jitter=-0.1),
    "no probes": lambda: CircuitBreaker("x", half_open_probes=0),
    "no successes": lambda: CircuitBreaker("x", success_threshold=0),
    "a ramp downwards": lambda: CircuitBreaker("x", ramp=0.5),
    "no time for a probe": lambda: CircuitBreaker("x", probe_timeout=0),
    "failures that are no types": lambda: CircuitBreaker("x", failures=(OSError, "timeout")),
    "failures that never arrive": lambda: CircuitBreaker("x", failures=KeyboardInterrupt),
    "cancellation as a failure": lambda: CircuitBreaker("x", failures=(OSError, asyncio.CancelledError)),
    "ignoring what is no type": lambda: CircuitBreaker("x", ignore=lambda error: True),
    "ignoring all": lambda: CircuitBreaker("x", failures=ValueError, ignore=Exception),
    "no failures at all": lambda: CircuitBreaker("x", failures=()),
    "results that cannot be asked": lambda: CircuitBreaker("x", failed_results=True),
    "a listener that is none": lambda: CircuitBreaker("x", on_transition="print"),
    "no reason to open": lambda: CircuitBreaker("x").force_open(""),
    "no reason to disable": lambda: CircuitBreaker("x").disable(" "),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_wrong_options_are_refused_at_once(wrong):
    """The error shows the wrong line and a right one."""
    with pytest.raises(Misuse) as caught:
        wrong()
    assert "wrong: " in str(caught.value)
    assert "right: " in str(caught.value)


def test_a_listener_is_a_plain_function():
    """Events are told at once, and nobody awaits."""

    async def listener(change): ...

    with pytest.raises(Misuse, match="plain function"):
        CircuitBreaker("x", on_transition=listener)
    with pytest.raises(Misuse, match="plain function"):
        CircuitBreaker("x").subscribe(listener)


def test_options_are_keywords():
    """Nobody has to guess what the second number means."""
    with pytest.raises(TypeError):
        CircuitBreaker("x", 5)


@pytest.mark.parametrize(
    ("breaker", "text"),
    [
        (CircuitBreaker("x"), "opens on 5 failures in a row, for 30 s>"),
        (
            CircuitBreaker("x", trip=slow(0.3, over=2, window=9.5)),
            "opens on 30% of at least 20 calls over 2 s in 9.5 s, for 30 s>",
        ),
        (
            CircuitBreaker("x", error_rate_threshold=0.5, cool_down=growing(timedelta(minutes=1))),
            "opens on 5 failures in a row or 50% of at least 20 calls failing in 60 s, for 60 s to 600 s>",
        ),
        (
            CircuitBreaker(
                "x",
                trip=(streak(1) | rate(0.09, min_calls=4, window=calls(8))) & streak(2),
                cool_down=9,
            ),
            "opens on (a failure or 9% of at least 4 calls failing among the last 8) and 2 failures in a row, for 9 s>",
        ),
    ],
)
def test_a_breaker_says_what_it_does(breaker, text):
    """Its representation is the rule in words."""
    assert f"<CircuitBreaker 'x' closed: {text}" == repr(breaker)

"""What counts as a failure: by type, by predicate, by result, and what says nothing."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace

import pytest

from patterns.circuit_breaker import FAILURE, IGNORE, SUCCESS, CircuitOpen, State, calls, rate, reported_error, slow
from patterns.errors import ActionBlocked, Misuse, Refused


def counts(breaker):
    """Return calls and failures of the era."""
    seen = breaker.snapshot().counts
    return seen.calls, seen.failures


def test_errors_that_are_no_failures_say_nothing(make, protect, backend):
    """They neither add to the streak nor end it, and are not among the calls of a rate."""
    breaker = make(failures=(OSError, TimeoutError), ignore=FileNotFoundError, failure_threshold=2)
    guarded = protect(breaker, backend.__call__)
    for error in (ConnectionError(), ValueError(), FileNotFoundError()):
        backend.down(error)
        with pytest.raises(type(error)):
            guarded()
    assert (1, 1) == counts(breaker)
    backend.down(TimeoutError())
    with pytest.raises(TimeoutError):
        guarded()
    assert State.OPEN is breaker.state


def test_an_error_that_says_nothing_does_not_close_the_circuit(make, protect, backend, fail, clock):
    """A probe that ends so frees its place, and the next call is the probe."""
    breaker = make(failures=OSError)
    guarded = protect(breaker, backend.__call__)
    fail(breaker)
    clock.advance(10)
    backend.down(ValueError("bad argument"))
    with pytest.raises(ValueError, match="bad argument"):
        guarded()
    assert (State.HALF_OPEN, 0) == (breaker.state, breaker.snapshot().probes)
    backend.up()
    guarded()
    assert State.CLOSED is breaker.state


def test_a_predicate_decides(make, protect, backend):
    """It may answer with a truth, a reason or a verdict."""
    answers = {
        "404": IGNORE,
        "429": FAILURE.because("too many requests"),
        "500": True,
        "502": "bad gateway",
        "200": None,
    }
    breaker = make(failures=lambda error: answers[str(error)], failure_threshold=9)
    guarded = protect(breaker, backend.__call__)
    for code in answers:
        backend.down(RuntimeError(code))
        with pytest.raises(RuntimeError):
            guarded()
    assert (3, 3) == counts(breaker)
    assert "RuntimeError: 502" == breaker.snapshot().last_failure


def test_a_predicate_that_fails_means_failure(make, protect, backend, caplog):
    """What cannot be judged must not pass for a success; the caller sees the error of the call."""
    breaker = make(failures=lambda error: error.status_code, failed_results=lambda result: result["code"])
    guarded = protect(breaker, backend.__call__)
    with caplog.at_level(logging.ERROR, "patterns"):
        assert "fine" == guarded()
        backend.down(ValueError("mine"))
        with pytest.raises(ValueError, match="mine"):
            guarded()
    assert (2, 2) == counts(breaker)
    assert 2 == caplog.text.count("cannot judge an outcome")


def test_refusals_and_misuse_are_no_failures(make, protect, backend):
    """A guard further in, or a guarded call of the body, that refuses says nothing about the dependency."""
    breaker = make(failure_threshold=1)
    guarded = protect(breaker, backend.__call__)
    for error in (ActionBlocked("too much", assessment=None), CircuitOpen("other"), Misuse("wrong")):
        backend.down(error)
        with pytest.raises(type(error)):
            guarded()
    assert (0, 0) == counts(breaker)
    named = protect(make(failures=(CircuitOpen, OSError), failure_threshold=1), backend.__call__)
    backend.down(CircuitOpen("other"))
    with pytest.raises(CircuitOpen, match="other"):
        named()
    with pytest.raises(CircuitOpen, match="'billing' is open: a failure, the last: CircuitOpen"):
        named()


def test_refusals_are_no_failures_for_a_predicate_either(make, backend):
    """It is not even asked."""
    breaker = make(failures=lambda error: True, failure_threshold=1)
    assert breaker.acquire().failure(Refused("no"))
    assert State.CLOSED is breaker.state


def test_a_result_can_be_a_failure(make, protect):
    """The caller gets it all the same."""
    breaker = make(failed_results=reported_error, failure_threshold=2)
    results = iter(["Error: no such order", {"isError": False}, {"isError": True}, "error: again"])
    guarded = protect(breaker, lambda: next(results))
    assert "Error: no such order" == guarded()
    assert {"isError": False} == guarded()
    assert {"isError": True} == guarded()
    assert "error: again" == guarded()
    assert State.OPEN is breaker.state
    assert "the text begins with 'error:'" == breaker.snapshot().last_failure


def test_the_result_of_a_coroutine_can_be_a_failure(make, protect):
    """The same for ``async def``."""
    breaker = make(failed_results=lambda result: result < 0, failure_threshold=1)

    async def call():
        return -1

    assert -1 == asyncio.run(protect(breaker, call)())
    assert State.OPEN is breaker.state


def test_the_result_of_a_block_is_what_it_was_given(make):
    """A block without a result has none to judge."""
    breaker = make(failed_results=lambda result: result["isError"], failure_threshold=1)
    with breaker.step("a"):
        pass
    assert (1, 0) == counts(breaker)
    with breaker.step("b") as step:
        step.result = {"isError": True}
    assert State.OPEN is breaker.state


def test_what_a_generator_returns_is_not_judged(make):
    """It is asked for its items."""
    breaker = make(failed_results=lambda result: True, failure_threshold=1)
    assert [1] == list(breaker.protect(lambda: (item for item in [1]))())

    @breaker.protect
    def items():
        yield 1

    breaker.reset()
    assert [1] == list(items())
    assert State.CLOSED is breaker.state


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("all is well", None),
        ("  ERROR: no", "the text begins with 'error:'"),
        ("errors: none", None),
        ({"isError": True}, "the result is marked as an error"),
        ({"is_error": True}, "the result is marked as an error"),
        ({"isError": "no"}, None),
        ({"status": "error"}, "the status is 'error'"),
        (SimpleNamespace(isError=True), "the result is marked as an error"),
        (SimpleNamespace(status="error"), "the status is 'error'"),
        (SimpleNamespace(status="success"), None),
        (None, None),
        (7, None),
    ],
)
def test_reported_errors(result, expected):
    """Tools that report instead of raising are understood; anything else is a success."""
    assert expected == reported_error(result)


def test_a_heavy_failure_counts_as_several(make):
    """For the streak as for the rate."""
    breaker = make(failure_threshold=3)
    breaker.acquire().failure(FAILURE.because("revoked", weight=2))
    assert (2, 2) == counts(breaker)
    breaker.acquire().failure()
    assert State.OPEN is breaker.state


def test_a_failure_that_names_its_time_opens_at_once(make, protect, backend, clock):
    """For as long as asked, but never for less than the cool-down."""
    breaker = make(failures=lambda error: FAILURE.because("429", retry_after=error.args[0]), failure_threshold=100)
    guarded = protect(breaker, backend.__call__)
    backend.down(ConnectionError(45))
    with pytest.raises(ConnectionError):
        guarded()
    assert 45.0 == breaker.snapshot().retry_after
    with pytest.raises(CircuitOpen, match="the dependency asked for 45 s, the last: 429") as caught:
        guarded()
    assert 45.0 == caught.value.retry_after
    clock.advance(45)
    backend.down(ConnectionError(1))
    with pytest.raises(ConnectionError):
        guarded()
    assert 10.0 == breaker.snapshot().retry_after


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: SUCCESS.because("well", retry_after=3),
        lambda: FAILURE.because("soon", retry_after=-1),
        lambda: FAILURE.because("never", retry_after=float("inf")),
        lambda: FAILURE.because("light", weight=0),
    ],
)
def test_a_verdict_makes_sense(wrong):
    """It says so where it does not."""
    with pytest.raises(Misuse, match="right: "):
        wrong()


def test_slow_calls_open_the_circuit(make, protect, clock):
    """Whether they fail or not; a slow failure is both."""
    breaker = make(trip=slow(0.5, over=2.0, min_calls=4, window=calls(4)))

    def call(duration):
        clock.advance(duration)
        if duration > 5:
            raise ConnectionError

    guarded = protect(breaker, call)
    for duration in (1.0, 2.0, 2.5):
        guarded(duration)
    with pytest.raises(ConnectionError):
        guarded(6.0)
    assert State.OPEN is breaker.state
    assert "2 of 4 calls took over 2 s among the last 4, the last: ConnectionError" == breaker.snapshot().reason


def test_a_slow_probe_does_not_close_the_circuit(make, protect, clock):
    """What opened it is not over."""
    breaker = make(trip=slow(0.5, over=2.0, min_calls=1))

    def call(duration):
        clock.advance(duration)

    guarded = protect(breaker, call)
    guarded(3.0)
    clock.advance(10)
    guarded(3.0)
    assert (State.OPEN, "a probe was slow") == (breaker.state, breaker.snapshot().reason)
    clock.advance(10)
    guarded(1.0)
    assert State.CLOSED is breaker.state


def test_rules_compose(make):
    """Both halves of an ``&`` must be broken; one of an ``|`` is enough."""
    breaker = make(trip=rate(0.5, min_calls=2) & slow(0.5, over=1.0, min_calls=2))
    for _ in range(4):
        breaker.acquire().failure()
    assert State.CLOSED is breaker.state


def test_no_error_is_kept(make, protect, backend):
    """The last failure is words: an error would keep its frames, and with them a whole prompt, alive."""

    class Heavy(ConnectionError):
        def __str__(self):
            return "first line\nsecond line" + "x" * 10_000

    breaker = make()
    backend.down(Heavy())
    with pytest.raises(Heavy):
        protect(breaker, backend.__call__)()
    words = breaker.snapshot().last_failure
    assert words.startswith("Heavy: first line second line")
    assert len(words) < 250


def test_an_error_that_cannot_describe_itself_is_a_failure_like_any_other(make, protect, backend):
    """The caller sees the error itself, not the one in its text."""

    class Mute(ConnectionError):
        def __str__(self):
            raise RuntimeError("no words")

    breaker = make()
    backend.down(Mute())
    with pytest.raises(Mute):
        protect(breaker, backend.__call__)()
    assert "Mute" == breaker.snapshot().last_failure

"""What breakers elsewhere get wrong: seventeen probes of behaviour, in each form of the breaker."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
import traceback

import pytest

from patterns.circuit_breaker import CircuitOpen, State


def test_async_def_is_really_guarded(make, protect, backend):
    """1. A coroutine function that always fails reaches the dependency as often as the threshold says."""
    breaker = make(failure_threshold=5)
    backend.down()

    async def call():
        return backend()

    guarded = protect(breaker, call)

    async def main():
        for _ in range(20):
            with pytest.raises((ConnectionError, CircuitOpen)):
                await guarded()

    asyncio.run(main())
    assert 5 == backend.reached


def test_fifty_tasks_at_recovery_are_one_probe(make, protect, fail, clock):
    """2. When the wait is over one task finds out, the others are refused."""
    breaker = make()
    reached = []

    async def call():
        reached.append(1)
        await asyncio.sleep(0)
        raise ConnectionError

    guarded = protect(breaker, call)
    fail(breaker)
    clock.advance(10)

    async def main():
        return await asyncio.gather(*(guarded() for _ in range(50)), return_exceptions=True)

    ended = asyncio.run(main())
    assert 1 == len(reached)
    assert 49 == sum(isinstance(error, CircuitOpen) for error in ended)
    assert State.OPEN is breaker.state


def test_sixteen_threads_at_recovery_are_one_probe(make, protect, fail, clock):
    """3. The same with threads, all of which ask before the probe ends."""
    breaker = make()
    everybody_asked = threading.Barrier(16, timeout=10)
    refused, reached = [], []

    def call():
        reached.append(1)
        everybody_asked.wait()
        raise ConnectionError

    guarded = protect(breaker, call)
    fail(breaker)
    clock.advance(10)

    def caller():
        try:
            guarded()
        except CircuitOpen:
            refused.append(1)
            everybody_asked.wait()
        except ConnectionError:
            pass

    threads = [threading.Thread(target=caller) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (1, 15) == (len(reached), len(refused))


def test_a_cancelled_probe_says_nothing(make, protect, fail, clock):
    """4. The circuit neither closes nor opens, and the next call is the probe."""
    breaker = make()

    async def call(hang):
        if hang:
            await asyncio.Event().wait()

    guarded = protect(breaker, call)
    fail(breaker)
    clock.advance(10)

    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await guarded(hang=True)
        assert State.HALF_OPEN is breaker.state
        assert 0 == breaker.snapshot().probes
        await guarded(hang=False)

    asyncio.run(main())
    assert State.CLOSED is breaker.state


def test_a_hung_probe_holds_nothing_up(make, fail, clock):
    """5. At its deadline its place is free for one other call, not for more."""
    breaker = make(probe_timeout=5.0)
    fail(breaker)
    clock.advance(10)
    hung = breaker.acquire()
    assert breaker.try_acquire() is None
    clock.advance(5)
    second = breaker.try_acquire()
    assert second is not None
    assert breaker.try_acquire() is None
    assert second.success()
    assert State.CLOSED is breaker.state
    assert not hung.failure(ConnectionError())
    assert State.CLOSED is breaker.state


def test_a_success_from_before_does_not_close_a_half_open_circuit(make, fail, clock):
    """6. What was admitted while CLOSED says nothing about the dependency of now."""
    breaker = make()
    early = breaker.acquire()
    fail(breaker)
    clock.advance(10)
    probe = breaker.acquire()
    assert not early.success()
    assert State.HALF_OPEN is breaker.state
    assert probe.failure()
    assert State.OPEN is breaker.state


def test_a_success_from_before_does_not_close_an_open_circuit(make, fail):
    """7. The same while OPEN."""
    breaker = make()
    early = breaker.acquire()
    fail(breaker)
    assert not early.success()
    assert State.OPEN is breaker.state


def test_a_failure_from_before_does_not_prolong_the_wait(make, fail, clock):
    """7b. A straggler that fails while OPEN changes nothing either."""
    breaker = make()
    early = breaker.acquire()
    fail(breaker)
    clock.advance(9)
    assert not early.failure(ConnectionError())
    assert 1.0 == breaker.snapshot().retry_after


def test_a_generator_that_fails_midway_is_a_failure(make, protect):
    """8. Also after it has yielded; and it is admitted when it is first advanced, not when it is made."""
    breaker = make(failure_threshold=1)

    def call():
        yield 1
        raise ConnectionError

    guarded = protect(breaker, call)
    unused = guarded()
    with pytest.raises(ConnectionError):
        list(guarded())
    assert State.OPEN is breaker.state
    with pytest.raises(CircuitOpen):
        next(unused)


def test_an_async_generator_that_fails_midway_is_a_failure(make, protect):
    """9. The same for an async generator."""
    breaker = make(failure_threshold=1)

    async def call():
        yield 1
        raise ConnectionError

    guarded = protect(breaker, call)

    async def main():
        with pytest.raises(ConnectionError):
            async for _ in guarded():
                pass
        with pytest.raises(CircuitOpen):
            await anext(guarded())

    asyncio.run(main())
    assert State.OPEN is breaker.state


def test_a_block_is_refused_while_open(make, fail):
    """10. Its body does not run."""
    breaker = make()
    fail(breaker)
    with pytest.raises(CircuitOpen), breaker.step("sync"):
        raise AssertionError("the body ran")

    async def main():
        with pytest.raises(CircuitOpen):
            async with breaker.step("sync"):
                raise AssertionError("the body ran")

    asyncio.run(main())
    assert State.OPEN is breaker.state


def test_the_call_that_opens_the_circuit_raises_its_own_error(make, protect, backend):
    """11. The very exception object, without our cause or context."""
    backend.down()
    guarded = protect(make(failure_threshold=1), backend.__call__)
    with pytest.raises(ConnectionError) as caught:
        guarded()
    assert backend.error is caught.value
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interruption_is_no_failure(make, protect, backend, interruption):
    """12. It says nothing, be the circuit closed or half open."""
    breaker = make(failure_threshold=1)
    guarded = protect(breaker, backend.__call__)
    backend.down(interruption())
    with pytest.raises(interruption):
        guarded()
    assert State.CLOSED is breaker.state


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_probe_says_nothing(make, protect, backend, clock, interruption):
    """12b. Its place is free at once."""
    breaker = make(failure_threshold=1)
    guarded = protect(breaker, backend.__call__)
    breaker.acquire().failure()
    clock.advance(10)
    backend.down(interruption())
    with pytest.raises(interruption):
        guarded()
    assert State.HALF_OPEN is breaker.state
    backend.up()
    assert "fine" == guarded()
    assert State.CLOSED is breaker.state


def test_refusals_do_not_grow(make, protect, backend, fail):
    """13. Each is a new error with a short traceback, and holds no error of the dependency."""
    breaker = make()
    guarded = protect(breaker, backend.__call__)
    fail(breaker)
    errors = []
    for _ in range(200):
        with pytest.raises(CircuitOpen) as caught:
            guarded()
        errors.append(caught.value)
    assert 200 == len({id(error) for error in errors})
    assert len(traceback.extract_tb(errors[0].__traceback__)) == len(traceback.extract_tb(errors[-1].__traceback__))
    assert errors[-1].__context__ is None
    assert errors[-1].__cause__ is None


def test_a_coroutine_function_stays_one(make, protect):
    """14. Frameworks ask."""

    async def call(): ...

    def plain(): ...

    assert inspect.iscoroutinefunction(protect(make(), call))
    assert not inspect.iscoroutinefunction(protect(make(), plain))


def test_a_step_of_the_wall_clock_changes_nothing(make, fail, clock):
    """15. Two hours forward or back open no gate and hold none shut."""
    breaker = make()
    fail(breaker)
    clock.set_wall(clock.wall() + 7200)
    assert breaker.try_acquire() is None
    clock.set_wall(0)
    clock.advance(10)
    assert breaker.try_acquire() is not None


def test_calls_run_in_parallel(make, protect):
    """16. Eight calls are inside at the same moment, so no lock is held over the function."""
    inside = threading.Barrier(8, timeout=10)
    guarded = protect(make(), inside.wait)
    ended = []
    threads = [threading.Thread(target=lambda: ended.append(guarded())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(range(8)) == sorted(ended)


def test_a_rate_opens_on_a_dependency_that_fails_nine_times_of_ten(make, protect, backend):
    """17. Failures in a row are never reached, yet the circuit opens as soon as there are enough calls."""
    breaker = make(failure_threshold=10, error_rate_threshold=0.5, min_calls=10)
    guarded = protect(breaker, backend.__call__)
    for number in range(1000):
        backend.down() if number % 10 else backend.up()
        with contextlib.suppress(ConnectionError, CircuitOpen):
            guarded()
    assert 10 == backend.reached
    assert State.OPEN is breaker.state

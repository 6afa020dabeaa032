"""The run context: which work a call belongs to."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import patterns
from patterns import telemetry
from patterns.errors import Misuse, ScopeRequired
from patterns.kernel.guard import Guard, attach


def test_runs_nest_and_inherit():
    """An inner run keeps what it is not given, and its path tells it from namesakes elsewhere."""
    with patterns.run("ticket", tenant="acme", agent="bot", user="u"):
        with patterns.run("step", agent="helper") as inner:
            assert (("ticket", "step"), "acme", "helper", "u") == (inner.path, inner.tenant, inner.agent, inner.user)
            assert "step" == inner.id
        assert "ticket" == patterns.current_run().id
    assert patterns.current_run() is None


def test_a_run_without_a_name_gets_a_new_one():
    """Two unnamed runs are two runs."""
    with patterns.run() as first, patterns.run() as second:
        assert first.id != second.id


def test_a_run_crosses_tasks_and_to_thread():
    """Tasks and asyncio.to_thread belong to the run that made them."""

    async def main():
        async with patterns.run("ticket"):
            task = asyncio.create_task(asyncio.to_thread(lambda: patterns.current_run().id))
            own = await asyncio.gather(task, asyncio.sleep(0, patterns.current_run().id))
        return own, patterns.current_run()

    assert (["ticket", "ticket"], None) == asyncio.run(main())


def test_a_run_crosses_threads_and_executors_when_carried():
    """carry() takes the run where Python would drop it."""
    seen = []

    def work():
        seen.append(patterns.current_run() and patterns.current_run().id)

    with patterns.run("ticket"):
        bare, carried = threading.Thread(target=work), threading.Thread(target=patterns.carry(work))
        for thread in (bare, carried):
            thread.start()
            thread.join()
        with ThreadPoolExecutor(2) as pool:
            shared = patterns.carry(lambda: patterns.current_run().id)
            assert ["ticket"] * 4 == [future.result() for future in [pool.submit(shared) for _ in range(4)]]

    assert [None, "ticket"] == seen


def test_one_run_object_may_be_entered_by_many_threads():
    """The context keeps the stack, not the object."""
    run = patterns.run("ticket")
    seen = []

    def work():
        with run, run:
            seen.append(patterns.current_run().path)
        seen.append(patterns.current_run())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 8 == seen.count(("ticket",))
    assert 8 == seen.count(None)


def test_a_deliberate_repetition_is_spelled_out():
    """distinct() labels add up and end with their block."""
    with patterns.run("ticket"), patterns.distinct("a"), patterns.distinct("b") as run:
        assert ("a", "b") == run.distinct
    with pytest.raises(ScopeRequired, match="belongs to a run"), patterns.distinct("a"):
        pass


@pytest.mark.parametrize("options", [{"id": ""}, {"id": 3}, {"tenant": ""}, {"user": 1}])
def test_names_that_name_nothing_are_refused(options):
    """An empty tenant is a mistake, not a tenant."""
    with pytest.raises(Misuse, match="must be a text"):
        patterns.run(**options)
    with patterns.run("x"), pytest.raises(Misuse):
        patterns.distinct("")


def test_current_call_is_the_innermost_guarded_call():
    """A tool can see the call it runs in; outside there is none."""

    class Passing(Guard):
        name = "pass"

        async def around(self, call, proceed):
            return await proceed()

    def inner():
        call = patterns.current_call()
        return call.name, call.parent.name, dict(call.arguments), call.run.id

    guarded = attach(inner, Passing())

    def outer(x, y=2):
        return guarded(), patterns.current_call().arguments

    with patterns.run("r"):
        inside, arguments = attach(outer, Passing())(1)

    assert ("inner", "outer", {}, "r") == inside
    assert {"x": 1, "y": 2} == dict(arguments)
    assert patterns.current_call() is None


def test_a_run_that_a_generator_opened_ends_as_itself():
    """Closing the generator within another run does not end that one."""

    def items():
        with patterns.run("a"):
            yield 1

    generator = items()
    next(generator)
    with patterns.run("b"):
        generator.close()
        assert ("a", "b") == patterns.current_run().path
    assert patterns.current_run() is None


def test_the_current_call_is_the_same_with_and_without_a_recorder(spans):
    """A client guarded by a breaker alone, inside a guarded tool, sees the tool's call, traced or not."""
    breaker = patterns.CircuitBreaker("client")
    ledger = patterns.Ledger(patterns.open_store("memory://"))
    seen = []

    @breaker.protect
    def client():
        seen.append((patterns.current_call().name, patterns.current_call().idempotency_key))

    @ledger.once(name="tool")
    def tool(number):
        client()

    with patterns.run("r"):
        tool(1)
        with telemetry.configured(detail="off"):
            tool(1 + 1)

    assert ["tool", "tool"] == [name for name, _ in seen]
    assert all(key for _, key in seen)


def test_a_generators_call_does_not_leak_into_its_consumer():
    """Between items the consumer sees its own context."""

    class Passing(Guard):
        name = "pass"

        async def around(self, call, proceed):
            return await proceed()

    seen = []

    def items():
        seen.append(patterns.current_call().name)
        yield 1
        seen.append(patterns.current_call().name)

    seen.extend(patterns.current_call() for _ in attach(items, Passing())())

    assert ["items", None, "items"] == seen

"""Plans: steps in order, groups in parallel, a record for each."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
import tenacity

import patterns
from patterns.errors import CircuitOpen, Misuse
from patterns.kernel.guard import Guard, attach
from patterns.rollback import ActionState, Saga, SagaStatus, Step


@pytest.fixture
def saga(clock) -> Saga:
    """Return a saga on the manual clock."""
    return Saga("order", clock=clock)


@pytest.fixture
def tools(saga, world):
    """A tool that works and one that fails, both sync."""

    @saga.tool(compensate=world.remove)
    def add(thing):
        return world.add(thing)

    @saga.tool(compensate=lambda: None)
    def fail():
        raise ValueError("no")

    return {"add": add, "fail": fail}


def told(report) -> list[tuple[str, str]]:
    """Return names and states of the steps."""
    return [(step.name, step.state.value) for step in report.steps]


def test_a_plan_that_works(saga, tools, world):
    """Steps by name or by function, in order, with their results."""
    report = saga.execute([Step("add", thing=1), Step(tools["add"], thing=2)], id="order-17")
    assert (SagaStatus.SUCCESS, "order-17", None) == (report.status, report.id, report.error)
    assert [("add", "done", 1), ("add", "done", 2)] == [(s.name, s.state.value, s.result) for s in report.steps]
    assert [1, 2] == world.story


def test_a_plan_that_fails_is_compensated_and_told(saga, tools, world):
    """No exception: the report says what failed, what was undone and what was not begun."""
    report = saga.execute([Step("add", thing=1), Step("add", thing=2), Step("fail"), Step("add", thing=3)])
    assert (SagaStatus.COMPENSATED, "no") == (report.status, str(report.error))
    assert [("add", "undone"), ("add", "undone"), ("fail", "undone"), ("add", "pending")] == told(report)
    assert [2, 1] == world.undone


def test_a_compensation_that_fails_is_told(saga, tools):
    """The status says so, and the run stays in view."""

    @saga.tool(compensate=lambda: 1 / 0)
    def charge():
        return 1

    report = saga.execute([Step("charge"), Step("add", thing=1), Step("fail")])
    assert SagaStatus.COMPENSATION_FAILED is report.status
    assert [("charge", "parked"), ("add", "undone"), ("fail", "undone")] == told(report)
    assert [report] == list(saga.unfinished())


def test_the_report_prints_and_travels(saga, tools, clock):
    """As text for people and as JSON for programs; results, which may be private, are left out."""
    report = saga.execute([Step("add", thing="secret"), Step("fail"), Step("add", thing=2)], id="order-17")
    assert (
        "saga order order-17: COMPENSATED after 0.000 s\n"
        "   1  add   undone\n"
        "   2  fail  undone     ValueError: no\n"
        "   3  add   pending\n"
        "  because of ValueError: no"
    ) == str(report)
    told_as_json = json.dumps(report.to_dict())
    assert "secret" not in told_as_json
    assert ["undone", "undone", "pending"] == [step["state"] for step in json.loads(told_as_json)["steps"]]


def test_a_group_runs_in_parallel_threads(saga, world):
    """Each waits for the other, so they must run at the same time; both belong to the saga."""
    both = threading.Barrier(2)

    @saga.tool(compensate=lambda thing: world.story.append(("undo", thing)))
    def meet(thing):
        both.wait(10)
        return thing

    @saga.tool
    def fail():
        raise ValueError("no")

    report = saga.execute([[Step("meet", thing=1), Step("meet", thing=2)], Step("fail")])
    assert SagaStatus.COMPENSATED is report.status
    assert {1, 2} == set(world.undone)
    assert 1 == len({step.group for step in report.steps if step.name == "meet"})


def test_groups_are_compensated_group_by_group(saga, world):
    """In reverse, and those of one group together."""
    together = None

    async def take_back(thing):
        if thing in {"b1", "b2"}:
            await together.wait()  # both are under way, or nobody passes
        world.remove(thing)

    @saga.tool(compensate=take_back)
    async def add(thing):
        return world.add(thing)

    @saga.tool
    async def fail():
        raise ValueError("no")

    async def main():
        nonlocal together
        together = asyncio.Barrier(2)
        plan = [
            Step("add", thing="a"),
            [Step("add", thing="b1"), Step("add", thing="b2")],
            Step("add", thing="c"),
            [Step("add", thing="d"), Step("fail")],
        ]
        return await saga.aexecute(plan)

    report = asyncio.run(main())
    assert SagaStatus.COMPENSATED is report.status
    assert (["d", "c"], {"b1", "b2"}, ["a"]) == (world.undone[:2], set(world.undone[2:4]), world.undone[4:])


def test_a_sibling_of_a_failing_step_is_not_torn(saga, world):
    """It is waited for, and compensated as what it is: done."""

    @saga.tool(compensate=world.remove)
    async def slow(thing):
        for _ in range(5):
            await asyncio.sleep(0)
        return world.add(thing)

    @saga.tool
    async def fail():
        raise ValueError("no")

    report = asyncio.run(saga.aexecute([[Step("fail"), Step("slow", thing=1)]]))
    assert [("fail", "skipped"), ("slow", "undone")] == told(report)
    assert [1, ("undo", 1)] == world.story


def test_sync_tools_run_in_async_plans(saga, tools, world):
    """And async ones are refused by the sync executor before anything ran."""
    report = asyncio.run(saga.aexecute([Step("add", thing=1), [Step("add", thing=2), Step("add", thing=3)]]))
    assert (SagaStatus.SUCCESS, [1, 2, 3]) == (report.status, world.there)

    @saga.tool
    async def later():
        return 1

    with pytest.raises(Misuse, match=r"await saga\.aexecute"):
        saga.execute([Step("add", thing=4), Step("later")])
    assert [1, 2, 3] == world.there


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (Step("unknown"), "has no tool 'unknown'; it has add, fail"),
        (Step("add"), "missing a required argument: 'thing'"),
        (Step("add", thing=1, other=2), "unexpected keyword argument 'other'"),
        (Step(len), "not a tool of a saga"),
        ("add", "made of steps"),
        ([], "made of steps"),
        (["add"], "made of steps"),
    ],
)
def test_a_plan_is_checked_before_its_first_step(entry, problem, saga, tools, world):
    """A mistake in the last step costs no compensation."""
    with pytest.raises(Misuse, match=problem):
        saga.execute([Step("add", thing=1), entry])
    assert [] == world.story


def test_generators_are_no_steps(saga):
    """An executor cannot know when they are exhausted."""

    @saga.tool
    def items():
        yield 1

    with pytest.raises(Misuse, match="generator function"):
        saga.execute([Step("items")])


def test_two_tools_cannot_share_a_name(saga, tools):
    """Or one of them would silently never run; the same function may come again, as on a reload."""

    def make():
        @saga.tool(compensate=lambda: None)
        def twice():
            return 1

        return twice

    make()
    make()
    with pytest.raises(Misuse, match="has a tool add already"):

        @saga.tool
        def add():
            return 2


class Open(Guard):
    """An open circuit around a tool."""

    name = "test.open"

    async def around(self, call, proceed):
        raise CircuitOpen("billing is down", call=call.name)


def test_a_guard_around_the_tool_may_refuse_it(saga, tools, world):
    """Then the saga never saw the call, but the report does."""
    charge = attach(saga.tool(lambda: 1), Open())
    report = saga.execute([Step("add", thing=1), Step(charge), Step("add", thing=2)])
    assert (SagaStatus.COMPENSATED, [1]) == (report.status, world.undone)
    assert [("add", "undone"), ("<lambda>", "refused"), ("add", "pending")] == told(report)


def test_a_guard_around_the_tool_may_replay_it(saga, tools, replaying):
    """Nothing to compensate, and the recorded result is in the report."""
    charge = replaying(saga.tool(compensate=lambda: None)(lambda: 1))
    report = saga.execute([Step(charge)])
    assert (SagaStatus.SUCCESS, ActionState.REPLAYED, "recorded") == (
        report.status,
        report.steps[0].state,
        report.steps[0].result,
    )


guarded_saga = Saga("guarded")


@guarded_saga.tool
def outside():
    """Be guarded by more than the saga."""
    return 1


outside = attach(outside, Open())


def test_a_name_means_the_tool_with_all_its_guards():
    """A plan that names a tool does not slip past decorators above `@saga.tool`."""
    report = guarded_saga.execute([Step("outside")])
    assert isinstance(report.error, CircuitOpen)


def test_a_whole_saga_is_retried_from_a_clean_state(saga, tools, world, clock):
    """`retry=` of execute: all steps again, after everything was compensated."""
    attempts = []

    @saga.tool
    def flaky():
        attempts.append(1)
        if len(attempts) < 3:
            raise OSError("again")

    policy = tenacity.Retrying(stop=tenacity.stop_after_attempt(5), wait=tenacity.wait_fixed(7))
    report = saga.execute([Step("add", thing=1), Step("flaky")], retry=policy)
    assert (SagaStatus.SUCCESS, 3, [1], [1, 1]) == (report.status, len(attempts), world.there, world.undone)
    assert [7, 7] == clock.slept
    attempts.clear()
    last = asyncio.run(saga.aexecute([Step("fail")], retry=policy))
    assert (SagaStatus.COMPENSATED, "no") == (last.status, str(last.error))


def test_a_repeated_saga_makes_new_effects(saga):
    """Or a ledger would hand out what was taken back in between."""
    labels = []

    @saga.tool
    def flaky():
        labels.append(patterns.current_run().distinct)
        if len(labels) < 3:
            raise OSError("again")

    with patterns.run("ticket-1"):
        saga.execute([Step("flaky")], retry=tenacity.Retrying(stop=tenacity.stop_after_attempt(5)))
    assert [(), ("attempt 2",), ("attempt 3",)] == labels


def test_a_saga_is_not_retried_on_top_of_what_is_left(saga, tools):
    """Where a compensation failed, a second run would double what stayed."""

    @saga.tool(compensate=lambda: 1 / 0)
    def charge():
        calls.append(1)

    calls = []
    report = saga.execute([Step("charge"), Step("fail")], retry=tenacity.Retrying(stop=tenacity.stop_after_attempt(5)))
    assert (SagaStatus.COMPENSATION_FAILED, 1) == (report.status, len(calls))


def test_an_interruption_is_not_swallowed(saga, tools, world):
    """It is compensated and goes on, in both executors."""

    @saga.tool
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        saga.execute([Step("add", thing=1), Step("stop")])
    with pytest.raises(KeyboardInterrupt):
        saga.execute([Step("add", thing=2), [Step("stop"), Step("fail")]])
    assert [1, 2] == world.undone


def test_an_empty_plan_is_a_success(saga):
    """There was nothing to do."""
    assert SagaStatus.SUCCESS is saga.execute([]).status


def test_a_step_shows_itself():
    """And equals one that is written the same."""
    assert Step("add", thing=1) == Step("add", thing=1) != Step("add", thing=2)
    assert "Step(tool='add', arguments={'thing': 1})" == repr(Step("add", thing=1))

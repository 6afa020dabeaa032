"""Sagas as blocks: what is compensated, when, and what is left."""

from __future__ import annotations

import asyncio
import threading

import pytest
import tenacity

import patterns
from patterns.errors import InFlight, Misuse, Refused, RollbackIncomplete
from patterns.kernel.guard import layers
from patterns.rollback import ActionState, Saga, SagaStatus


@pytest.fixture
def saga(clock) -> Saga:
    """Return a saga on the manual clock."""
    return Saga("order", clock=clock)


@pytest.fixture
def add(saga, world):
    """Return a tool that adds to the world."""

    @saga.tool(compensate=world.remove)
    def add(thing):
        return world.add(thing)

    return add


def told(report) -> list[tuple[str, str]]:
    """Return names and states of the steps."""
    return [(step.name, step.state.value) for step in report.steps]


def test_a_block_that_raises_is_compensated_backwards(saga, add, world):
    """And its error passes unchanged."""
    error = ValueError("no")
    with pytest.raises(ValueError, match="no") as caught, saga.transaction("order-17") as tx:  # noqa: PT012 - the block is what raises
        add(1)
        add(2)
        raise error
    assert (error, [2, 1], []) == (caught.value, world.undone, world.there)
    assert ("order-17", SagaStatus.COMPENSATED, error) == (tx.report.id, tx.status, tx.report.error)
    assert [("add", "undone"), ("add", "undone")] == told(tx.report)


def test_a_block_that_returns_is_done(saga, add, world):
    """Nothing is compensated, now or later."""
    with saga.transaction() as tx:
        assert SagaStatus.RUNNING is tx.status
        add(1)
    assert (SagaStatus.SUCCESS, [("add", "done")], ()) == (tx.status, told(tx.report), saga.unfinished())
    assert ((), [1]) == (saga.recover(), world.there)


def test_an_async_block_does_the_same(saga, world):
    """With async tools and compensations, and steps."""

    async def take_back(thing):
        await asyncio.sleep(0)
        world.remove(thing)

    @saga.tool(compensate=take_back)
    async def add(thing):
        return world.add(thing)

    async def main():
        async with saga.transaction() as tx:
            await add(1)
            async with saga.step("block", compensate=take_back, thing=2):
                world.add(2)
            raise ValueError("no") from None
        return tx

    with pytest.raises(ValueError, match="no"):
        asyncio.run(main())
    assert ([2, 1], []) == (world.undone, world.there)


def test_a_refused_step_needs_no_compensation_but_the_earlier_ones_do(saga, add, world, refusing):
    """The refusal is what the caller sees."""

    @saga.tool(compensate=lambda: world.story.append("wrong"))
    @refusing
    def charge():
        return 1

    with pytest.raises(Refused, match="not today"), saga.transaction() as tx:  # noqa: PT012 - the block is what raises
        add(1)
        charge()
    assert ([1], False) == (world.undone, "wrong" in world.story)
    assert [("add", "undone"), ("charge", "refused")] == told(tx.report)


def test_a_replayed_step_belongs_to_the_run_that_ran_it(saga, world, replaying):
    """It is shown and not compensated."""

    @saga.tool(compensate=lambda: world.story.append("wrong"))
    @replaying
    def charge():
        return 1

    with pytest.raises(ValueError, match="no"), saga.transaction() as tx:  # noqa: PT012 - the block is what raises
        assert "recorded" == charge()
        raise ValueError("no")
    assert ([], [("charge", "replayed")]) == (world.story, told(tx.report))


def test_a_caught_error_still_has_its_step_in_the_report(saga, add, world):
    """The block went on, so the saga succeeded; the failed step's effects are its own business."""

    @saga.tool(compensate=lambda: None)
    def fragile():
        raise OSError("disk")

    with saga.transaction() as tx:
        add(1)
        with pytest.raises(OSError, match="disk"):
            fragile()
    assert (SagaStatus.SUCCESS, [("add", "done"), ("fragile", "failed")]) == (tx.status, told(tx.report))


def test_a_tool_outside_a_transaction_is_refused(saga, add, world):
    """Nothing would compensate it; the error shows how to call it."""
    with pytest.raises(Misuse, match=r"with saga.transaction\(\): add"):
        add(1)
    with pytest.raises(Misuse, match="outside a transaction"), saga.step("block"):
        pass
    other = Saga("other")
    with other.transaction(), pytest.raises(Misuse, match="outside a transaction"):
        add(1)
    assert [] == world.story


def test_an_incomplete_compensation_is_raised_and_kept(saga, add, world):
    """The error comes from the block's own; what is left is in view until it is recovered."""
    broken = [True]

    def refund():
        if broken:
            raise OSError("bank down")
        world.story.append("refunded")

    @saga.tool(compensate=refund)
    def charge():
        return 1

    with (  # noqa: PT012 - the block is the test
        pytest.raises(RollbackIncomplete, match="order could not compensate 1 action: charge") as caught,
        saga.transaction("order-17"),
    ):
        add(1)
        charge()
        raise ValueError("no")
    assert "no" == str(caught.value.__cause__)
    assert SagaStatus.COMPENSATION_FAILED is caught.value.report.status
    assert [("add", "undone"), ("charge", "parked")] == told(saga.unfinished()[0])
    assert SagaStatus.COMPENSATION_FAILED is saga.recover()[0].status
    broken.clear()
    assert () == saga.recover("another")
    assert SagaStatus.COMPENSATED is saga.recover("order-17")[0].status
    assert (["refunded"], ()) == (world.story[-1:], saga.unfinished())


def test_a_person_can_finish_it(saga, add):
    """Dismissed with a reason, the saga is compensated."""

    @saga.tool(compensate=lambda: 1 / 0)
    def charge():
        return 1

    with pytest.raises(RollbackIncomplete), saga.transaction():  # noqa: PT012 - the block is what raises
        charge()
        raise ValueError("no")
    parked = saga.unfinished()[0].steps[0]
    with pytest.raises(Misuse, match=parked.id):
        saga.dismiss("act_x", reason="who knows")
    saga.dismiss(parked.id, reason="refunded by hand")
    assert () == saga.unfinished()


def test_a_doubtful_compensation_is_reopened_by_a_person(saga):
    """Sync and async decisions; recovery then runs it again."""
    calls = []

    async def refund():
        calls.append(1)
        if len(calls) < 2:
            raise TimeoutError("lost")

    @saga.tool(compensate=refund)
    async def charge():
        return 1

    async def main():
        with pytest.raises(RollbackIncomplete):  # noqa: PT012 - the block is what raises
            async with saga.transaction():
                await charge()
                raise ValueError("no")
        await saga.arecover()
        assert [1] == calls
        (report,) = await saga.aunfinished()
        await saga.areopen(report.steps[0].id, reason="never arrived")
        return await saga.arecover()

    (report,) = asyncio.run(main())
    assert (SagaStatus.COMPENSATED, [1, 1]) == (report.status, calls)


def test_park_leaves_everything_for_later(clock, world):
    """`on_failure="park"` compensates only when asked."""
    saga = Saga("order", on_failure="park", clock=clock)
    add = saga.tool(compensate=world.remove)(world.add)
    with pytest.raises(ValueError, match="no"), saga.transaction():  # noqa: PT012 - the block is what raises
        add(1)
        raise ValueError("no")
    assert ([1], SagaStatus.COMPENSATION_FAILED) == (world.there, saga.unfinished()[0].status)
    saga.recover()
    assert ([], ()) == (world.there, saga.unfinished())


def test_an_inner_run_that_fails_takes_back_only_its_own(saga, add, world):
    """The outer one goes on."""
    with saga.transaction("outer") as outer:
        add(1)
        with pytest.raises(ValueError, match="inner"), saga.transaction("inner"):  # noqa: PT012 - the block is what raises
            add(2)
            raise ValueError("inner")
        add(3)
    assert ([2], [1, 3], SagaStatus.SUCCESS) == (world.undone, world.there, outer.status)


def test_an_inner_run_that_succeeded_is_taken_back_with_the_outer(saga, add, world):
    """Also one of another saga."""
    payments = Saga("payments")
    pay = payments.tool(compensate=world.remove)(world.add)
    with pytest.raises(ValueError, match="outer"), saga.transaction("outer"):  # noqa: PT012 - the block is what raises
        add(1)
        with payments.transaction("inner") as inner:
            pay(2)
            add(3)
        assert SagaStatus.SUCCESS is inner.status
        add(4)
        raise ValueError("outer")
    assert ([4, 3, 2, 1], []) == (world.undone, world.there)


def test_inner_runs_at_the_same_time_keep_apart(saga, world):
    """Parallel branches share the log of the outer run, and each takes back its own."""

    @saga.tool(compensate=world.remove)
    async def add(thing):
        await asyncio.sleep(0)
        return world.add(thing)

    async def branch(name, *, fails):
        async with saga.transaction(name):
            for number in range(3):
                await add(f"{name}{number}")
            if fails:
                raise ValueError(name)

    async def main():
        async with saga.transaction("outer"):
            return await asyncio.gather(branch("a", fails=False), branch("b", fails=True), return_exceptions=True)

    ended = asyncio.run(main())
    assert (None, "b") == (ended[0], str(ended[1]))
    assert (["b2", "b1", "b0"], ["a0", "a1", "a2"]) == (world.undone, world.there)


def test_a_sibling_that_ends_late_is_compensated_then(saga, world):
    """`gather` leaves it running when another one fails; its effect is taken back as soon as it is there."""
    gate = None

    @saga.tool(compensate=world.remove)
    async def slow(thing):
        await gate.wait()
        return world.add(thing)

    @saga.tool
    async def failing():
        raise ValueError("no")

    async def main():
        nonlocal gate
        gate, late = asyncio.Event(), []

        async def late_one():
            late.append(asyncio.current_task())
            await slow("late")

        with pytest.raises(RollbackIncomplete, match="slow is still running"):
            async with saga.transaction():
                await asyncio.gather(late_one(), failing())
        assert 1 == len(saga.unfinished())
        gate.set()
        await asyncio.gather(*late)

    asyncio.run(main())
    assert (["late"], [], ()) == (world.undone, world.there, saga.unfinished())


def test_a_tool_called_after_the_end_is_refused(saga, world):
    """By a task that outlived the block."""

    @saga.tool(compensate=lambda: None)
    async def add(thing):
        return world.add(thing)

    async def main():
        gate = asyncio.Event()

        async def late():
            await gate.wait()
            await add(1)

        async with saga.transaction():
            task = asyncio.create_task(late())
            await asyncio.sleep(0)
        gate.set()
        with pytest.raises(InFlight, match="had ended"):
            await task

    asyncio.run(main())
    assert [] == world.there


def test_threads_join_the_run_by_carry(saga, add, world):
    """A thread belongs to the transaction whose context it carries."""
    with pytest.raises(ValueError, match="no"), saga.transaction():  # noqa: PT012 - the block is what raises
        thread = threading.Thread(target=patterns.carry(add), args=(1,))
        thread.start()
        thread.join()
        raise ValueError("no")
    assert [1] == world.undone


def test_tools_are_retried_by_their_policy(clock):
    """One record, several attempts; a refusal is final whatever the policy says."""
    saga = Saga("order", retry=tenacity.Retrying(stop=tenacity.stop_after_attempt(3)), clock=clock)
    calls = []

    @saga.tool
    def flaky(error):
        calls.append(error)
        if len(calls) < 3:
            raise error
        return "done"

    with saga.transaction() as tx:
        assert "done" == flaky(OSError("again"))
    assert (3, 1) == (tx.report.steps[0].attempts, len(tx.report.steps))
    calls.clear()
    with pytest.raises(Refused), saga.transaction():
        flaky(Refused("nested"))
    assert 1 == len(calls)


def test_retries_wait_on_the_clock_in_both_colours(saga, clock):
    """Nobody sleeps for real, and a policy on results is heard as well."""
    policy = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(3),
        wait=tenacity.wait_fixed(5),
        retry=tenacity.retry_if_result(lambda value: value is None),
    )
    answers = [None, "a", None, None, None]

    @saga.tool(retry=policy)
    async def ask():
        return answers.pop(0)

    async def main():
        async with saga.transaction():
            assert "a" == await ask()
            with pytest.raises(tenacity.RetryError):
                await ask()

    asyncio.run(main())
    assert [5, 5, 5] == clock.slept


def test_an_earlier_attempt_is_not_forgotten(saga, world, refusing):
    """The first timed out, the second was refused: the first may have happened."""
    attempts = []

    @saga.tool(
        compensate=lambda: world.story.append("compensated"),
        retry=tenacity.Retrying(stop=tenacity.stop_after_attempt(2)),
    )
    def charge():
        attempts.append(1)
        if len(attempts) == 1:
            raise TimeoutError
        raise ValueError("declined")

    with pytest.raises(ValueError, match="declined"), saga.transaction() as tx:
        charge()
    assert (2, ["compensated"]) == (len(attempts), world.story)
    assert [("charge", "undone")] == told(tx.report)


def test_the_compensation_knows_the_steps_key(saga, keying):
    """The one its effect was made under."""
    seen = []

    @saga.tool(compensate=lambda idempotency_key: seen.append(idempotency_key))  # noqa: PLW0108 - the name of its parameter is what is read
    @keying
    def charge():
        return 1

    with pytest.raises(ValueError, match="no"), saga.transaction():  # noqa: PT012 - the block is what raises
        charge()
        raise ValueError("no")
    assert ["key-of-charge"] == seen


def test_spans_of_a_saga(saga, add, spans):
    """The block, its tools and each compensation below it."""
    with pytest.raises(ValueError, match="no"), saga.transaction("order-17"):  # noqa: PT012 - the block is what raises
        add(1)
        raise ValueError("no")
    block, guard = spans.one("patterns.step order"), spans.one("saga.transaction")
    compensation = spans.one("compensate add")
    assert block.context.span_id == compensation.parent.span_id == guard.parent.span_id
    assert ("compensated", 1) == (
        guard.attributes["patterns.saga.status"],
        guard.attributes["patterns.saga.compensated"],
    )
    assert "order" == compensation.attributes["patterns.saga.name"]
    assert "order-17" not in " ".join(spans.names())


def test_wrong_use_is_found_early(saga):
    """Options, names, retries of what cannot run twice."""
    with pytest.raises(Misuse, match="'compensate' or 'park'"):
        Saga("order", on_failure="explode")
    with pytest.raises(Misuse, match=r"tenacity\.Retrying"):
        Saga("order", compensation_retry=tenacity.AsyncRetrying())
    with pytest.raises(Misuse, match="needs a name"):
        saga.transaction("")
    with pytest.raises(Misuse, match="cannot run a second time"):

        @saga.tool(retry=tenacity.Retrying())
        def items():
            yield 1


def test_the_decorated_tool_stays_itself(saga, add):
    """Bare and with options."""

    @saga.tool
    def look(a: int) -> int:
        """Look."""
        return a

    assert ("look", "Look.", ("saga.tool",), ["add", "look"]) == (
        look.__name__,
        look.__doc__,
        layers(look),
        list(saga.tools),
    )


def test_a_park_is_not_a_wrong_state(saga):
    """A running transaction is not among the unfinished, and its steps cannot be decided about."""

    @saga.tool
    def look():
        assert ActionState.RUNNING is tx.report.steps[0].state
        assert () == saga.unfinished()

    with saga.transaction() as tx:
        look()

"""Cancellation never leaves a saga half compensated."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from patterns.errors import RollbackIncomplete
from patterns.rollback import RollbackManager, Saga, SagaStatus, Step

STEPS = 3


@pytest.fixture
def saga(clock) -> Saga:
    """Return a saga on the manual clock."""
    return Saga("order", clock=clock)


@pytest.fixture
def add(saga, world):
    """Return a tool that adds to the world."""

    async def take_back(thing):
        for _ in range(5):
            await asyncio.sleep(0)
        world.remove(thing)

    @saga.tool(compensate=take_back)
    async def add(thing):
        return world.add(thing)

    return add


async def forever() -> None:
    """Wait until cancelled."""
    await asyncio.Event().wait()


async def work(saga, add, reached, seen) -> None:
    """Run some steps and wait until cancelled."""
    async with saga.transaction() as tx:
        seen.append(tx)
        for number in range(STEPS):
            await add(number)
        reached.set()
        await forever()


def test_a_cancelled_task_is_compensated(saga, add, world):
    """Completely, and the cancellation goes on."""

    async def main():
        reached, seen = asyncio.Event(), []
        task = asyncio.create_task(work(saga, add, reached, seen))
        await reached.wait()
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        return seen[0]

    tx = asyncio.run(main())
    assert ([2, 1, 0], SagaStatus.COMPENSATED) == (world.undone, tx.status)


@pytest.mark.parametrize("again", range(1, 12))
def test_cancelling_again_during_compensation_changes_nothing(saga, add, world, again):
    """However often and whenever it happens."""

    async def main():
        reached, seen = asyncio.Event(), []
        task = asyncio.create_task(work(saga, add, reached, seen))
        await reached.wait()
        task.cancel()
        for _ in range(again):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert ([2, 1, 0], []) == (world.undone, world.there)


def test_a_timeout_is_compensated(saga, add, world):
    """`asyncio.timeout` sees its own cancellation come back."""

    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await work(saga, add, asyncio.Event(), [])

    asyncio.run(main())
    assert [2, 1, 0] == world.undone


def test_an_anyio_scope_is_compensated(saga, add, world):
    """Its scopes cancel again at every await, which must not stop the compensation."""

    async def main():
        with anyio.CancelScope() as scope:
            async with saga.transaction():
                await add(1)
                await add(2)
                scope.cancel()
                await forever()
        assert scope.cancelled_caught

    anyio.run(main)
    assert ([2, 1], []) == (world.undone, world.there)


def test_an_anyio_timeout_within_a_step_leaves_doubt_that_is_compensated(saga, world):
    """The step may have happened, so its compensation is run too."""

    @saga.tool(compensate=lambda thing: world.story.append(("undo", thing)))
    async def slow(thing):
        world.add(thing)
        await forever()

    async def main():
        with anyio.move_on_after(0.01):
            async with saga.transaction():
                await slow(1)

    anyio.run(main)
    assert [1] == world.undone


def test_a_cancelled_parallel_group_is_compensated_after_all_have_ended(saga, world):
    """No sibling carries on in the background; each is compensated as what it became."""

    @saga.tool(compensate=lambda thing: world.story.append(("undo", thing)))
    async def slow(thing):
        world.story.append(thing)
        try:
            await forever()
        finally:
            await asyncio.sleep(0)
            world.story.append(("ended", thing))

    async def main():
        task = asyncio.create_task(saga.aexecute([[Step("slow", thing=1), Step("slow", thing=2)]]))
        for _ in range(10):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    kinds = [one[0] if isinstance(one, tuple) else "begun" for one in world.story]
    assert ["begun", "begun", "ended", "ended", "undo", "undo"] == kinds


def test_a_failing_compensation_does_not_hide_the_cancellation(saga):
    """It is told as a note, and the run stays in view."""

    @saga.tool(compensate=lambda: 1 / 0)
    async def charge():
        return 1

    async def main():
        reached = asyncio.Event()

        async def run():
            async with saga.transaction():
                await charge()
                reached.set()
                await forever()

        task = asyncio.create_task(run())
        await reached.wait()
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return task.cancelled()

    assert asyncio.run(main())
    assert SagaStatus.COMPENSATION_FAILED is saga.unfinished()[0].status


def test_an_interrupt_in_a_sync_block_is_compensated(saga, world):
    """KeyboardInterrupt and SystemExit too, with a note if something is left."""
    add = saga.tool(compensate=world.remove)(world.add)
    with pytest.raises(SystemExit), saga.transaction():  # noqa: PT012 - the block is what raises
        add(1)
        raise SystemExit
    assert [1] == world.undone
    broken = saga.tool(compensate=lambda: 1 / 0)(lambda: 1)
    with pytest.raises(KeyboardInterrupt) as caught, saga.transaction():  # noqa: PT012 - the block is what raises
        broken()
        raise KeyboardInterrupt
    assert "could not compensate" in caught.value.__notes__[0]


def test_a_rollback_is_not_interrupted_by_cancellation(clock, world):
    """`arollback_to` and the manager's transaction."""
    undo = RollbackManager("bot", clock=clock)

    async def take_back(thing):
        for _ in range(5):
            await asyncio.sleep(0)
        world.remove(thing)

    @undo.undoable(undo=take_back)
    async def add(thing):
        return world.add(thing)

    async def main():
        checkpoint = undo.checkpoint("before")
        await add(1)
        await add(2)
        task = asyncio.create_task(undo.arollback_to(checkpoint))
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [2, 1] == world.undone
        with anyio.CancelScope() as scope:
            async with undo.transaction("block"):
                await add(3)
                scope.cancel()
                await forever()

    asyncio.run(main())
    assert ([2, 1, 3], []) == (world.undone, world.there)


def test_a_managers_transaction_is_a_saga_without_tools(clock, world):
    """Undone if it raises, kept if not, and the rest of the run is not touched."""
    undo = RollbackManager("bot", clock=clock)
    add = undo.undoable(undo=world.remove)(world.add)
    add("before")
    with undo.transaction("good"):
        add("good")
    with pytest.raises(ValueError, match="no"), undo.transaction("bad"):  # noqa: PT012 - the block is what raises
        add("bad")
        raise ValueError("no")
    assert (["before", "good"], ["bad"]) == (world.there, world.undone)
    broken = undo.undoable(undo=lambda: 1 / 0)(lambda: 1)
    with pytest.raises(RollbackIncomplete) as caught, undo.transaction("worse"):  # noqa: PT012 - the block is what raises
        broken()
        raise ValueError("no")
    assert isinstance(caught.value.__cause__, ValueError)
    with undo.step("late", undo=None):
        pass
    assert ["add", "add", "<lambda>", "late"] == [action.name for action in undo.actions()]


@pytest.mark.leaves_calls_open
def test_a_coroutine_that_is_closed_by_force_leaves_doubt(clock):
    """Nothing can be awaited then, but the log knows."""
    undo = RollbackManager("bot", clock=clock)

    @undo.undoable(undo=lambda: None)
    async def slow():
        await asyncio.sleep(60)

    async def begin():
        coroutine = slow()
        coroutine.send(None)
        coroutine.close()

    asyncio.run(begin())
    assert ["in_doubt"] == [action.state.value for action in undo.actions()]

"""Checkpoints: a stack with a limit, states that come back, and what is final."""

from __future__ import annotations

import asyncio

import pytest

import patterns
from patterns.errors import Misuse, RollbackIncomplete
from patterns.rollback import CheckpointForgotten, RollbackManager


@pytest.fixture
def undo(clock) -> RollbackManager:
    """Return a manager on the manual clock."""
    return RollbackManager("bot", clock=clock)


@pytest.fixture
def add(undo, world):
    """Return a tool that adds to the world."""

    @undo.undoable(undo=world.remove)
    def add(thing):
        return world.add(thing)

    return add


def test_a_rollback_undoes_what_came_after_the_checkpoint_backwards(undo, add, world):
    """And nothing that came before it."""
    add(1)
    checkpoint = undo.checkpoint("before")
    add(2)
    add(3)
    done = undo.rollback_to(checkpoint)
    assert [3, 2] == world.undone == [action.arguments["thing"] for action in done.undone]
    assert [1] == world.there


def test_a_checkpoint_can_be_named_by_its_id(undo, add, world):
    """For agents, which pass texts around."""
    checkpoint = undo.checkpoint("before")
    add(1)
    assert checkpoint == undo.rollback_to(checkpoint.id).checkpoint
    assert [] == world.there


def test_steps_count_checkpoints(undo, add, world):
    """One step goes to the newest, two to the one before; the one gone to stays."""
    undo.checkpoint("a")
    add(1)
    undo.checkpoint("b")
    add(2)
    assert "b" == undo.rollback(steps=1).checkpoint.name
    assert "b" == undo.rollback().checkpoint.name
    assert [1] == world.there
    assert "a" == undo.rollback(steps=2).checkpoint.name
    assert [] == world.there
    assert ["a"] == [checkpoint.name for checkpoint in undo.checkpoints]


def test_the_last_safe_point_is_found_behind_unsafe_ones(undo, add, world):
    """Unsafe checkpoints are passed over."""
    undo.checkpoint("old", safe=True)
    undo.checkpoint("safe", safe=True)
    add(1)
    undo.checkpoint("unsafe")
    add(2)
    assert "safe" == undo.rollback_to_last_safe_point().checkpoint.name
    assert [] == world.there


def test_everything_can_be_undone_without_a_checkpoint(undo, add, world):
    """`rollback_all` needs none and leaves none."""
    add(1)
    undo.checkpoint("a")
    add(2)
    assert None is undo.rollback_all().checkpoint
    assert ([2, 1], ()) == (world.undone, undo.checkpoints)


def test_the_state_comes_back_as_it_was(undo):
    """It is copied when it is taken and again when it is handed out."""
    memory = {"facts": ["a"]}
    checkpoint = undo.checkpoint("before", memory)
    memory["facts"].append("b")
    first = undo.rollback_to(checkpoint).state
    assert {"facts": ["a"]} == first
    first["facts"].append("c")
    assert {"facts": ["a"]} == undo.rollback_to(checkpoint).state


def test_a_state_that_cannot_be_copied_is_refused(undo):
    """With the way out."""
    with pytest.raises(Misuse, match=r"capture=world\.export"):
        undo.checkpoint("before", state=(one for one in "ab"))


def test_capture_and_restore_do_the_copying(clock):
    """What was captured is handed to restore, after the undos."""
    live, seen = [1], []
    manager = RollbackManager("bot", capture=lambda: tuple(live), restore=seen.append, clock=clock)
    checkpoint = manager.checkpoint("before")
    live.append(2)

    @manager.undoable(undo=lambda: seen.append("undo"))
    def act():
        return None

    act()
    manager.rollback_to(checkpoint)
    assert ["undo", (1,)] == seen


def test_capture_and_restore_may_be_async(clock):
    """In the async twins."""
    seen = []

    async def capture():
        return "state"

    async def restore(state):
        seen.append(state)

    manager = RollbackManager("bot", capture=capture, restore=restore, clock=clock)

    async def main():
        await manager.arollback_to(await manager.acheckpoint("before"))

    asyncio.run(main())
    assert ["state"] == seen
    with pytest.raises(Misuse, match="capture is async"):
        manager.checkpoint("sync")


def test_a_failing_restore_is_told_after_the_undos(clock, world):
    """The undos are run, the error names restore."""

    def restore(state):
        raise OSError("disk")

    manager = RollbackManager("bot", capture=lambda: 1, restore=restore, clock=clock)
    checkpoint = manager.checkpoint("before")
    manager.undoable(undo=world.remove)(world.add)("a")
    with pytest.raises(RollbackIncomplete) as caught:
        manager.rollback_to(checkpoint)
    assert ["restore"] == [name for name, _ in caught.value.failures]
    assert [] == world.there


def test_the_oldest_checkpoint_goes_and_what_was_before_is_final(clock, world):
    """The depth is limited; nobody is left believing in an undo that is gone."""
    undo = RollbackManager("bot", max_checkpoints=2, clock=clock)
    add = undo.undoable(undo=world.remove)(world.add)
    heard = []
    undo.subscribe(heard.append)
    first = undo.checkpoint("first")
    for thing in ("a", "b", "c"):
        add(thing)
        undo.checkpoint(f"after {thing}")
    assert ["after b", "after c"] == [one.name for one in undo.checkpoints]
    forgotten = [(one.checkpoint, one.actions) for one in heard if isinstance(one, CheckpointForgotten)]
    assert [("first", 1), ("after a", 1)] == forgotten
    with pytest.raises(Misuse, match="no checkpoint"):
        undo.rollback_to(first)
    undo.rollback_all()
    assert (["c"], ["a", "b"]) == (world.undone, world.there)


def test_the_log_of_a_run_is_limited(clock, world):
    """The oldest actions become final, and that is told; one that waits for a person never does."""
    undo = RollbackManager("bot", max_actions=3, clock=clock)

    @undo.undoable(undo=world.remove)
    def add(thing):
        return world.add(thing)

    heard = []
    undo.subscribe(heard.append)
    for thing in range(5):
        add(thing)
    assert [2, 3, 4] == [action.arguments["thing"] for action in undo.actions()]
    assert 2 == sum(one.actions for one in heard if isinstance(one, CheckpointForgotten))


def test_an_open_transaction_is_never_forgotten(clock, world):
    """Limits do not tear holes into a block that may still fail."""
    undo = RollbackManager("bot", max_actions=2, max_checkpoints=1, clock=clock)
    add = undo.undoable(undo=world.remove)(world.add)
    with pytest.raises(ValueError, match="late"), undo.transaction("long"):  # noqa: PT012 - the block is the test
        for thing in range(6):
            add(thing)
            undo.checkpoint("inside")
        raise ValueError("late")
    assert ([], [5, 4, 3, 2, 1, 0]) == (world.there, world.undone)


def test_runs_have_their_own_stacks(undo, add, world):
    """One run's rollback never touches another one's actions."""
    with patterns.run("one"):
        undo.checkpoint("a")
        add(1)
    with patterns.run("two"):
        assert () == undo.checkpoints
        add(2)
        undo.rollback_all()
    assert [1] == world.there
    with patterns.run("one"):
        assert ["a"] == [one.name for one in undo.checkpoints]
        undo.rollback()
    assert [] == world.there


def test_runs_that_are_no_longer_used_are_forgotten(clock, world):
    """The memory is bounded however many runs there are; parked actions stay."""
    undo = RollbackManager("bot", max_runs=2, clock=clock)
    add = undo.undoable(undo=lambda thing: 1 / 0)(world.add)
    with patterns.run("parked"):
        add(0)
        with pytest.raises(RollbackIncomplete):
            undo.rollback_all()
    for number in range(5):
        with patterns.run(str(number)):
            add(number)
    with patterns.run("0"):
        assert () == undo.actions()
    with patterns.run("parked"):
        assert 1 == len(undo.actions())


def test_forget_makes_all_final(undo, add, world):
    """After it nothing is left to undo."""
    undo.checkpoint("a")
    add(1)
    undo.forget()
    assert ((), ()) == (undo.actions(), undo.checkpoints)
    undo.rollback_all()
    assert [1] == world.there


def test_wrong_ways_are_shown_with_the_right_one(undo):
    """No checkpoint, no safe point, no such id, no such number."""
    with pytest.raises(Misuse, match="rollback_all"):
        undo.rollback()
    with pytest.raises(Misuse, match="safe=True"):
        undo.rollback_to_last_safe_point()
    with pytest.raises(Misuse, match="no checkpoint 'cp_x'"):
        undo.rollback_to("cp_x")
    with pytest.raises(Misuse, match="from 1 on"):
        undo.rollback(steps=0)
    with pytest.raises(Misuse, match="needs a name"):
        undo.checkpoint("")


@pytest.mark.parametrize(
    "options",
    [
        {"max_checkpoints": 0},
        {"max_actions": 1.5},
        {"max_runs": True},
        {"retry": 3},
        {"capture": dict},
        {"restore": print},
    ],
)
def test_wrong_options_are_found_when_it_is_built(options):
    """The error shows the wrong line and the right one."""
    with pytest.raises(Misuse, match=r"wrong: [\s\S]*right: "):
        RollbackManager("bot", **options)
    with pytest.raises(Misuse, match="needs a name"):
        RollbackManager("")


def test_the_async_twins_do_the_same(undo, world):
    """Each of them, with an async undo."""

    async def take_back(thing):
        await asyncio.sleep(0)
        world.remove(thing)

    @undo.undoable(undo=take_back)
    async def add(thing):
        return world.add(thing)

    async def main():
        start = await undo.acheckpoint("start", {"n": 1}, safe=True)
        await add(1)
        assert {"n": 1} == (await undo.arollback_to(start)).state
        await add(2)
        await undo.arollback_to_last_safe_point()
        await add(3)
        await undo.arollback(steps=1)
        await add(4)
        await undo.arollback_all()
        await add(5)
        await undo.aforget()
        return await undo.aactions()

    assert () == asyncio.run(main())
    assert ([1, 2, 3, 4], [5]) == (world.undone, world.there)

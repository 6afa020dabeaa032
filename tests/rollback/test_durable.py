"""Undo logs in a store: what a later process finds, and what it does with it."""

from __future__ import annotations

import asyncio
import json

import pytest

import patterns
from patterns.errors import Misuse, RollbackIncomplete, ScopeRequired, StoreUnavailable
from patterns.kernel.storage import Change
from patterns.rollback import ActionState, RollbackManager


def keys(store, prefix="patterns/"):
    """Return the store's keys."""
    return [cell.key for cell in store.cells.scan(prefix)]


def records(store):
    """Return the records of actions."""
    return [json.loads(cell.value) for cell in store.cells.scan("patterns/") if "/act_" in cell.key]


def manager(store, clock, world) -> RollbackManager:
    """Build what each process builds when it imports its tools."""
    undo = RollbackManager("bot", store, clock=clock)

    @undo.undoable(undo=lambda thing, result: world.story.append(("undo", thing, result)))
    def add(thing, private=None):
        return world.add(thing)

    undo.add = add
    return undo


def test_an_action_is_on_record_before_it_runs(store, clock, world):
    """With what its undo asks for and nothing else; afterwards the result is there too."""
    undo = manager(store, clock, world)

    @undo.undoable(undo=lambda order: None)
    def look(order, secret):
        seen.extend(records(store))

    seen = []
    with patterns.run("r"):
        look(17, "secret")
    assert [("look", "running", {"order": 17}, "process-1")] == [
        (one["name"], one["state"], one["arguments"], one["owner"]) for one in seen
    ]
    assert ["done"] == [one["state"] for one in records(store)]


def test_the_record_goes_when_nothing_is_left_to_undo(store, clock, world, refusing, replaying):
    """After the undo, after a refusal, after forgetting, and where there is no undo at all."""
    undo = manager(store, clock, world)
    with patterns.run("r"):
        undo.add(1)
        assert 1 == len(keys(store))
        undo.rollback_all()
        assert [] == keys(store)
        with pytest.raises(patterns.errors.Refused):
            undo.undoable(undo=lambda: None)(refusing(lambda: 1))()
        undo.undoable(undo=lambda: None)(replaying(lambda: 1))()
        undo.undoable(lambda: 1)()
        assert [] == keys(store)
        undo.add(2)
        undo.forget()
        assert [] == keys(store)


def test_a_later_process_undoes_what_a_dead_one_did(store, clock, world):
    """In the same run, last first, with arguments and results."""
    first = manager(store, clock, world)
    with patterns.run("r", tenant="acme"):
        first.add(1)
        clock.advance(1)
        first.add(2)
    store.owners.die()
    second = manager(store, clock, world)
    with patterns.run("r"):
        assert () == second.actions()
    with patterns.run("r", tenant="acme"):
        assert ["add", "add"] == [action.name for action in second.actions()]
        second.add(3)
        second.rollback_all()
    assert [3, 2, 1] == [one[1] for one in world.story if isinstance(one, tuple)]
    assert [] == keys(store)


def test_what_ran_when_its_process_died_is_in_doubt(store, clock, world):
    """Its undo needs a result nobody knows, so a person has to look."""
    first = manager(store, clock, world)
    with patterns.run("r"):
        tool = first.undoable(undo=lambda result: None)(lambda: store.owners.die())  # noqa: PLW0108 - the name of its parameter is what is read
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(first), "ended", _never)
            with pytest.raises(SystemExit):
                tool()
    # The settlement after the death was written by nobody: put the record back to what the dead one left.
    (cell,) = store.cells.scan("patterns/")
    record = json.loads(cell.value) | {"state": "running", "ended": None, "owner": "process-1"}
    store.cells.swap([Change(cell.key, cell.version, json.dumps(record).encode())])
    second = manager(store, clock, world)
    with patterns.run("r"):
        (action,) = second.actions()
        assert ActionState.IN_DOUBT is action.state
        with pytest.raises(RollbackIncomplete):
            second.rollback_all()


async def _never(self, log, action, mode):
    raise SystemExit


def test_what_a_living_process_is_at_is_left_alone(store, clock, world):
    """Running or being undone elsewhere."""
    first, second = manager(store, clock, world), manager(store, clock, world)

    def meddle(thing):
        store.owners.current = "process-2"
        with pytest.raises(RollbackIncomplete, match="still undoing"):
            second.rollback_all()
        store.owners.current = "process-1"

    first.undoable(undo=meddle)(lambda thing: None)
    with patterns.run("r"):
        with first.step("block", undo=meddle, thing=1):
            store.owners.current = "process-2"
            with pytest.raises(RollbackIncomplete, match="still running"):
                second.rollback_all()
            store.owners.current = "process-1"
        first.rollback_all()
    assert [] == keys(store)


def test_an_undo_that_another_process_did_is_not_done_again(store, clock, world):
    """The store has the last word."""
    first, second = manager(store, clock, world), manager(store, clock, world)
    with patterns.run("r"):
        first.add(1)
        second.rollback_all()
        with pytest.raises(RollbackIncomplete, match="another process undoes add"):
            first.rollback_all()
    assert 1 == len([one for one in world.story if isinstance(one, tuple)])


def test_an_undo_whose_process_died_is_in_doubt(store, clock, world):
    """It is not run again until a person says that it did not happen."""
    first = manager(store, clock, world)
    with patterns.run("r"):
        first.add(1)
    (cell,) = store.cells.scan("patterns/")
    record = json.loads(cell.value) | {"state": "undoing"}
    store.cells.swap([Change(cell.key, cell.version, json.dumps(record).encode())])
    store.owners.die()
    second = manager(store, clock, world)
    with patterns.run("r"):
        with pytest.raises(RollbackIncomplete, match="may have happened"):
            second.rollback_all()
        (action,) = second.actions()
        second.reopen(action.id, reason="the provider knows nothing of it")
        second.rollback_all()
    assert [("undo", 1, 1)] == [one for one in world.story if isinstance(one, tuple)]


def test_a_handler_that_is_not_there_is_named(store, clock, world):
    """The process did not import the module of the tool; nothing is lost."""
    first = manager(store, clock, world)
    with patterns.run("r"):
        first.add(1)
    store.owners.die()
    empty = RollbackManager("bot", store, clock=clock)
    with patterns.run("r"), pytest.raises(RollbackIncomplete, match="nothing in this process undoes"):
        empty.rollback_all()
    with patterns.run("r"):
        manager(store, clock, world).rollback_all()
    assert [] == keys(store)


def test_arguments_that_json_cannot_say_are_refused_before_the_call(store, clock, world):
    """If the undo asks for them; what it does not ask for is not kept."""
    undo = manager(store, clock, world)

    @undo.undoable(undo=lambda thing: None)
    def tool(thing, other=None):
        return world.add(1)

    with patterns.run("r"):
        with pytest.raises(Misuse, match="thing of tool is object"):
            tool(object())
        with pytest.raises(Misuse, match="thing of tool is float"):
            tool(float("nan"))
        with pytest.raises(Misuse, match="thing of tool is dict"):
            tool({1: 2})
        assert ([], []) == (world.story, keys(store))
        tool([{"a": (1, 2.5, None, True)}], other=object())
        assert [{"thing": [{"a": [1, 2.5, None, True]}]}] == [one["arguments"] for one in records(store)]
        assert [ActionState.DONE] == [action.state for action in undo.actions()]


def test_a_result_that_json_cannot_say_is_missed_later(store, clock, world):
    """In this process the undo has it; a later one parks rather than guesses."""
    first = manager(store, clock, world)
    tool = first.undoable(undo=lambda result: world.story.append(("undo", result)))(_an_object)
    with patterns.run("r"):
        tool()
        assert "result" not in records(store)[0]
        first.rollback_all()
        assert 1 == len(world.story)
        tool()
    store.owners.die()
    second = manager(store, clock, world)
    second.undoable(undo=lambda result: world.story.append(("undo", result)))(_an_object)
    with patterns.run("r"), pytest.raises(RollbackIncomplete, match="without its result"):
        second.rollback_all()


def _an_object():
    return object()


def test_a_durable_log_belongs_to_a_run(store, clock, world):
    """Or one process would undo what another one does."""
    with pytest.raises(ScopeRequired, match="belongs to a run"):
        manager(store, clock, world).add(1)
    assert [] == world.story


def test_a_store_that_is_down_stops_the_action(store, clock, world):
    """Nothing runs that could not be undone later."""
    undo = manager(store, clock, world)
    store.close()
    with patterns.run("r"), pytest.raises(StoreUnavailable):
        undo.add(1)
    assert [] == world.story


def test_a_store_that_goes_down_during_the_action_changes_no_result(store, clock, world, caplog):
    """The action ran; what could not be written is logged, and after a crash it counts as in doubt."""
    undo = manager(store, clock, world)

    @undo.undoable(undo=lambda: None)
    def tool():
        store.close()
        return 7

    with patterns.run("r"):
        assert 7 == tool()
    assert "counts as in doubt" in caplog.text


def test_limits_delete_records_too(store, clock, world):
    """What is final in memory is final in the store."""
    undo = RollbackManager("bot", store, max_checkpoints=1, clock=clock)
    add = undo.undoable(undo=lambda thing: None)(world.add)
    with patterns.run("r"):
        undo.checkpoint("a")
        add(1)
        undo.checkpoint("b")
        add(2)
    assert [{"thing": 2}] == [one["arguments"] for one in records(store)]


def test_async_calls_use_the_same_records(store, clock, world):
    """And async twins find them."""
    undo = RollbackManager("bot", store, clock=clock)

    @undo.undoable(undo=world.remove)
    async def add(thing):
        return world.add(thing)

    async def main():
        with patterns.run("r"):
            await add(1)
            assert 1 == len(await undo.aactions())
            await undo.arollback_all()
            await add(2)
            await undo.aforget()

    asyncio.run(main())
    assert ([1], []) == (world.undone, keys(store))

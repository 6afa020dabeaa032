"""Undo logs in a store: what a later process finds, and what it does with it."""

from __future__ import annotations

import asyncio
import contextvars
import json

import pytest

import patterns
from patterns.errors import InFlight, Misuse, RollbackIncomplete, ScopeRequired, StoreUnavailable
from patterns.kernel.storage import Change
from patterns.rollback import ActionState, RollbackManager, Saga, SagaStatus
from patterns.stores import open_store


class Owners:
    """Owners that a test can let die."""

    def __init__(self) -> None:
        self.current = "process-1"
        self.dead: set[str] = set()

    def me(self) -> str:
        return self.current

    def alive(self, owner: str, /) -> bool | None:
        return owner not in self.dead

    def die(self) -> None:
        """Let the present process die, and be another one from now on."""
        self.dead.add(self.current)
        self.current = f"process-{len(self.dead) + 1}"


@pytest.fixture
def store():
    """Return a store whose owners a test can let die."""
    opened = open_store("memory://")
    opened.owners = Owners()
    yield opened
    opened.close()


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


def order_saga(store, clock, world) -> Saga:
    """Build what each process builds when it imports its tools."""
    saga = Saga("order", store=store, clock=clock)

    @saga.tool(compensate=world.remove)
    def add(thing):
        return world.add(thing)

    @saga.tool(compensate=lambda: world.story.append("refunded"))
    def charge():
        if world.story[-1:] == ["die"]:
            raise SystemExit
        return 1

    saga.add, saga.charge = add, charge
    return saga


def abandon(saga, tx_id, *things) -> None:
    """Do some steps of a run and stop as a killed process does: without a word."""

    def begin():
        tx = saga.transaction(tx_id)
        tx.__enter__()
        for thing in things:
            saga.add(thing)
        tx._block._inside = False  # nobody will leave it

    contextvars.copy_context().run(begin)


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


# Sagas


def test_a_finished_saga_leaves_nothing_in_the_store(store, clock, world):
    """Done or compensated."""
    saga = order_saga(store, clock, world)
    with saga.transaction("order-17"):
        saga.add(1)
        assert 2 == len(keys(store))
    assert [] == keys(store)
    with pytest.raises(ValueError, match="no"), saga.transaction("order-17"):  # noqa: PT012 - the block is what raises
        saga.add(2)
        raise ValueError("no")
    assert ([], [2]) == (keys(store), world.undone)


@pytest.mark.leaves_calls_open
def test_a_dead_process_saga_is_compensated_by_a_later_one(store, clock, world):
    """In order, each step once."""
    abandon(order_saga(store, clock, world), "order/17, a", 1, 2, 3)
    saga = order_saga(store, clock, world)
    assert ((), ()) == (saga.unfinished(), saga.recover("order/17, a"))
    store.owners.die()
    assert ["order/17, a"] == [report.id for report in saga.unfinished()]
    (report,) = saga.recover()
    assert (SagaStatus.COMPENSATED, [3, 2, 1], []) == (report.status, world.undone, keys(store))
    assert () == saga.recover()


@pytest.mark.leaves_calls_open
def test_an_unfinished_id_cannot_be_used_again(store, clock, world):
    """Or two runs would be one; the error says what to do."""
    abandon(order_saga(store, clock, world), "order-17", 1)
    saga = order_saga(store, clock, world)
    with pytest.raises(InFlight, match=r"recover\('order-17'\)"), saga.transaction("order-17"):
        saga.add(2)
    with pytest.raises(InFlight):
        saga.execute([], id="order-17")
    store.owners.die()
    saga.recover()
    with saga.transaction("order-17"):
        saga.add(3)
    assert [3] == world.there


def test_tenants_do_not_share_sagas(store, clock, world):
    """The same id twice."""
    saga = order_saga(store, clock, world)
    with patterns.run(tenant="a"), saga.transaction("order-17"):
        with patterns.run(tenant="b"), Saga("order", store=store).transaction("x"):
            pass
        saga.add(1)
    assert [] == keys(store)


@pytest.mark.leaves_calls_open
def test_a_parked_step_stays_in_the_store(store, clock, world):
    """Until a process that can compensate it does; a person can finish it from there, too."""
    saga = order_saga(store, clock, world)
    abandon(saga, "order-17", 1, 2)
    store.owners.die()
    world.there.remove(2)
    saga = order_saga(store, clock, world)
    (report,) = saga.recover()
    assert SagaStatus.COMPENSATION_FAILED is report.status
    assert [("add", "undone"), ("add", "parked")] == [(step.name, step.state.value) for step in report.steps]
    store.owners.die()
    saga = order_saga(store, clock, world)
    (report,) = saga.unfinished()
    saga.dismiss(report.steps[0].id, reason="it is not there any more")
    assert (1, SagaStatus.COMPENSATED) == (len(keys(store)), saga.recover()[0].status)
    assert [] == keys(store)


@pytest.mark.leaves_calls_open
def test_a_store_without_owners_needs_a_person_to_name_the_run(store, clock, world):
    """Nothing is taken from a process that may be alive."""
    store.owners = None
    abandon(order_saga(store, clock, world), "order-17", 1)
    saga = order_saga(store, clock, world)
    assert () == saga.recover()
    assert SagaStatus.COMPENSATED is saga.recover("order-17")[0].status


def test_a_saga_the_store_does_not_know_to_be_done_is_compensated(store, clock, world, monkeypatch):
    """Or a later process would compensate what everybody believes to be done."""
    saga = order_saga(store, clock, world)

    def refuse(*args):
        raise StoreUnavailable("disk full")

    with pytest.raises(StoreUnavailable, match="disk full"), saga.transaction("order-17") as tx:  # noqa: PT012 - the block is what raises
        saga.add(1)
        monkeypatch.setattr("patterns.rollback.records.Records.finish", refuse)
    assert (SagaStatus.COMPENSATED, [1]) == (tx.status, world.undone)


def test_an_inner_runs_records_belong_to_the_outer(store, clock, world):
    """One log, one fate."""
    saga = order_saga(store, clock, world)
    with saga.transaction("outer"):
        saga.add(1)
        with saga.transaction("inner"):
            saga.add(2)
        assert ["outer/act", "outer/act", "outer/sag"] == ["/".join(key.split("/")[-2:])[:9] for key in keys(store)]
    assert [] == keys(store)


@pytest.mark.leaves_calls_open
def test_async_sagas_use_the_same_records(store, clock, world):
    """And `arecover` finds them."""
    abandon(order_saga(store, clock, world), "order-17", 1)
    store.owners.die()
    saga = order_saga(store, clock, world)

    async def main():
        assert 1 == len(await saga.aunfinished())
        (report,) = await saga.arecover()
        async with saga.transaction("order-17"):
            saga.add(2)
        return report

    assert SagaStatus.COMPENSATED is asyncio.run(main()).status
    assert ([2], []) == (world.there, keys(store))


def test_sqlite_holds_async_sagas_without_blocking_the_loop(tmp_path, world):
    """Two at once, one of which fails; what is left is empty."""
    store = open_store(f"sqlite:///{tmp_path}/agent.db")
    saga = Saga("order", store=store)

    async def take_back(thing):
        world.remove(thing)

    @saga.tool(compensate=take_back)
    async def add(thing):
        return world.add(thing)

    async def one(name, *, fails):
        async with saga.transaction(name):
            await asyncio.gather(*(add(f"{name}{number}") for number in range(3)))
            if fails:
                raise ValueError(name)

    async def main():
        await asyncio.gather(one("a", fails=False), one("b", fails=True), return_exceptions=True)
        assert () == await saga.arecover()
        with patterns.run("ticket-1"):
            undo = RollbackManager("bot", store)
            await undo.undoable(undo=lambda: None)(_later)()
            await undo.arollback_all()

    asyncio.run(main())
    assert (["a0", "a1", "a2"], []) == (sorted(world.there), keys(store))
    store.close()


async def _later():
    return 1

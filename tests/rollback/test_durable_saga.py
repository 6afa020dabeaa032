"""Sagas in a store: what a later process finds, and what it does with it."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

import patterns
from patterns.errors import InFlight, StoreUnavailable
from patterns.rollback import RollbackManager, Saga, SagaStatus
from patterns.stores import open_store


def keys(store, prefix="patterns/"):
    """Return the store's keys."""
    return [cell.key for cell in store.cells.scan(prefix)]


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

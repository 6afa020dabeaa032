"""One winner; everybody else gets its result, whoever and wherever they are."""

from __future__ import annotations

import asyncio
import copy
import threading
import time
from typing import Any

import pytest

import patterns
from patterns.errors import InDoubt, InFlight, StoreUnavailable
from patterns.kernel.run import carry
from patterns.kernel.storage import Change
from patterns.ledger import EffectRecorded, Ledger, State
from patterns.ledger.machine import step
from patterns.ledger.operations import Claim
from patterns.ledger.record_format import read_record, write_record
from patterns.testing import Fault, inject
from patterns.testing.store_helpers import in_threads

MANY = 200


def held(body, gate: threading.Event):
    """Return a body that waits for the gate."""

    def tool(amount: int) -> Any:
        assert gate.wait(10)
        return body(amount)

    return tool


def paying(till):
    """Return a tool that pays; as a plain function, so that its only argument is the amount."""

    def pay(amount: int) -> Any:
        return till.pay(amount)

    return pay


def wait_for_waiters(ledger: Ledger, count: int) -> None:
    """Return when so many callers wait for the winner; polls, since waiting tells nobody."""
    deadline = time.monotonic() + 20
    while ledger._books.waiters < count:
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)


async def until_waiting(ledger: Ledger, count: int) -> None:
    """Return when so many tasks wait for the winner."""
    while ledger._books.waiters < count:  # noqa: ASYNC110 - nobody tells that they wait
        await asyncio.sleep(0)


def test_threads(store, till, run):
    """200 threads at once: one effect, 200 results."""
    ledger, gate = Ledger(store), threading.Event()
    pay = carry(ledger.once(name="pay")(held(till.pay, gate)))

    def call(number: int) -> Any:
        if number == 0:
            wait_for_waiters(ledger, 1)
            gate.set()
            return 7
        return pay(7)

    assert [7] * MANY == in_threads(MANY, call)
    assert [7] == till.paid
    assert 0 == ledger._books.waiters


def test_tasks(store, till, run):
    """200 tasks at once: one effect, 200 results."""
    ledger = Ledger(store)

    async def main() -> list[Any]:
        @ledger.once(name="pay")
        async def pay(amount: int) -> Any:
            await until_waiting(ledger, MANY - 1)
            return till.pay(amount)

        return await asyncio.gather(*(pay(7) for _ in range(MANY)))

    assert [7] * MANY == asyncio.run(main())
    assert [7] == till.paid


def test_event_loops_share_one_function(store, till, run):
    """Eight loops in eight threads: one effect, nobody hangs."""
    ledger, gate = Ledger(store), threading.Event()

    @ledger.once(name="pay")
    async def pay(amount: int) -> Any:
        await asyncio.to_thread(gate.wait, 10)
        return till.pay(amount)

    call = carry(lambda: asyncio.run(pay(7)))

    def start(number: int) -> Any:
        if number == 8:
            wait_for_waiters(ledger, 7)
            gate.set()
            return 7
        return call()

    assert [7] * 9 == in_threads(9, start)
    assert [7] == till.paid


@pytest.mark.parametrize(("error", "expected"), [(ValueError("no money"), ValueError), (TimeoutError("read"), InDoubt)])
def test_waiters_share_a_failure_and_a_doubt(error, expected, store, till, run):
    """What the winner knows, all know; the winner itself gets its own error."""
    ledger, gate = Ledger(store), threading.Event()

    def fail(amount: int) -> None:
        till.pay(amount)
        raise error

    pay = carry(ledger.once(name="pay")(held(fail, gate)))

    def call(number: int) -> Any:
        if number == 0:
            wait_for_waiters(ledger, 4)
            gate.set()
            return type(error)
        try:
            return pay(7)
        except Exception as caught:  # noqa: BLE001 - it is what is looked at
            return type(caught)

    outcomes = in_threads(6, call)[1:]
    assert [7] == till.paid
    assert sorted(map(str, [type(error), *[expected] * 4])) == sorted(map(str, outcomes))


def test_a_freed_key_goes_to_the_next_waiter(store, till, run):
    """Each tries in turn until one succeeds."""
    ledger = Ledger(store, retry_on=ValueError)

    @ledger.once(name="pay")
    def pay(amount: int) -> Any:
        till.pay(amount)
        if len(till.paid) < 4:
            raise ValueError("later")
        return amount

    call = carry(pay)

    def attempt(_: int) -> Any:
        try:
            return call(7)
        except ValueError:
            return "later"

    outcomes = in_threads(8, attempt)
    assert (3, 5) == (outcomes.count("later"), outcomes.count(7))
    assert 4 == len(till.paid)


def test_waiting_ends(memory, till, run):
    """Behind a live owner the caller gives up after the time it was told, and says for whom."""
    gate, started = threading.Event(), threading.Event()
    ledger = Ledger(memory, wait=0.05)

    @ledger.once
    def pay(amount: int) -> Any:
        started.set()
        gate.wait(10)
        return till.pay(amount)

    thread = threading.Thread(target=carry(pay), args=(7,))
    thread.start()
    assert started.wait(10)
    try:
        with pytest.raises(InFlight, match=r"within 0.05 s") as caught:
            pay(7)
        with pytest.raises(InFlight):
            asyncio.run(async_twin(ledger, till)(7))
    finally:
        gate.set()
        thread.join()
    assert memory.owners.me() == caught.value.holder
    assert (7, [7]) == (pay(7), till.paid)


def async_twin(ledger: Ledger, till):
    """Return the same tool as a coroutine function."""
    name = ledger.effects()[0].tool

    @ledger.once(name=name)
    async def pay(amount: int) -> Any:
        return till.pay(amount)

    return pay


def test_a_clock_that_stands_still_does_not_make_anybody_wait_for_ever(memory, manual_clock, till, run):
    """Waiting counts what was waited for."""
    leave_running(memory, "somebody")
    ledger = Ledger(memory, wait=0.02, clock=manual_clock)
    with pytest.raises(InFlight):
        ledger.once(name="pay")(paying(till))(7)


def leave_running(store, owner: str, **facts: Any) -> str:
    """Leave the effect ``pay(7)`` of the current run as RUNNING by *owner*, as a crash would."""
    ledger = Ledger(store)
    ledger.once(name="pay", retry_on=ValueError)(_raise)
    with pytest.raises(ValueError, match="freed"):
        ledger.once(name="pay", retry_on=ValueError, **facts)(_raise)(7)
    (cell,) = store.cells.scan("ledger/ledger/effect/")
    record = read_record(cell)
    claimed = step(record, Claim(identity=record.identity, owner=owner), 1.0).record
    assert store.cells.swap([Change(cell.key, cell.version, write_record(claimed))]) is None
    return record.id


def _raise(amount: int) -> None:
    raise ValueError("freed")


class Dead:
    """Owners of whom all but this process are dead."""

    def me(self) -> str:
        return "me"

    def alive(self, owner: str) -> bool | None:
        return owner == "me"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_behind_a_dead_owner_nobody_waits(asynchronous, store, till, run):
    """The effect is in doubt at once, for everybody to see, and says how to go on."""
    store.owners = Dead()
    ledger = Ledger(store)
    told: list[Any] = []
    ledger.subscribe(told.append)
    effect = leave_running(store, "gone")
    if asynchronous:

        @ledger.once(name="pay")
        async def apay(amount: int) -> Any:
            return till.pay(amount)

        def pay(amount: int) -> Any:
            return asyncio.run(apay(amount))
    else:
        pay = ledger.once(name="pay")(paying(till))
    for _ in range(2):
        with pytest.raises(InDoubt, match="its owner gone died while it was running") as caught:
            pay(7)
        assert (effect, 3) == (caught.value.effect_id, len(caught.value.ways))
    assert ([], State.IN_DOUBT, True) == (till.paid, ledger.effect(effect).state, ledger.effect(effect).over)
    assert [EffectRecorded] == [type(event) for event in told]
    ledger.resolve(effect, retry=True)
    assert (7, [7]) == (pay(7), till.paid)


def test_a_waiter_notices_that_the_owner_died_meanwhile(memory, till, run):
    """It does not wait for the end of its patience."""
    alive = {"stranger"}

    class Mortal(Dead):
        def alive(self, owner: str) -> bool | None:
            return owner in alive

    memory.owners = Mortal()
    leave_running(memory, "stranger")
    ledger = Ledger(memory, wait=30)
    pay = carry(ledger.once(name="pay")(paying(till)))

    def call(number: int) -> Any:
        if number == 0:
            wait_for_waiters(ledger, 1)
            alive.clear()
            return time.monotonic()
        with pytest.raises(InDoubt):
            pay(7)
        return time.monotonic()

    died, noticed = in_threads(2, call)
    assert noticed - died < 5


def test_where_nobody_can_tell_who_is_alive_callers_wait(memory, till, run):
    """A store without owners never proves a death."""
    memory.owners = None
    leave_running(memory, "somebody")
    with pytest.raises(InFlight):
        Ledger(memory, wait=0.01).once(name="pay")(paying(till))(7)
    assert [] == till.paid
    assert 5 == Ledger(memory).once(name="other")(till.pay)(5)


def test_a_cancelled_waiter_leaves_no_trace(memory, till, run):
    """Only the winner's outcome counts."""
    ledger = Ledger(memory)

    async def main() -> Any:
        gate = asyncio.Event()

        @ledger.once
        async def pay(amount: int) -> Any:
            await gate.wait()
            return till.pay(amount)

        winner, waiter = asyncio.create_task(pay(7)), asyncio.create_task(pay(7))
        await until_waiting(ledger, 1)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        gate.set()
        return await winner

    assert (7, [7]) == (asyncio.run(main()), till.paid)
    assert (0, "done") == (ledger._books.waiters, ledger.effects()[0].state.value)


def test_an_outcome_that_could_not_be_written_is_not_lost(memory, till, run):
    """The caller has its result, an event tells, and the next caller in this process settles it."""
    ledger = Ledger(memory, wait=0)
    told: list[Any] = []
    ledger.subscribe(told.append)
    pay = ledger.once(name="pay")(paying(till))

    def break_store() -> None:
        memory.cells.swap = no_swap

    def no_swap(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("the disk is full")

    with inject(Fault("ledger.settle.before", break_store)):
        assert 7 == pay(7)
    assert ["EffectUnsettled"] == [type(event).__name__ for event in told]
    assert "the disk is full" in told[0].error
    del memory.cells.swap
    assert (7, [7]) == (pay(7), till.paid)
    assert "done" == ledger.effects()[0].state.value


def test_nothing_runs_without_the_store(memory, till, run):
    """A ledger that cannot claim refuses the call."""
    pay = Ledger(memory).once(name="pay")(paying(till))
    memory.close()
    with pytest.raises(StoreUnavailable):
        pay(7)
    assert [] == till.paid


def test_a_late_result_is_kept_and_rings_the_bell(memory, till, run):
    """A person was wrong: it ran twice, and everybody can see it."""
    ledger = Ledger(memory, wait=0)
    told: list[Any] = []
    ledger.subscribe(told.append)

    @ledger.once(name="pay")
    def pay(amount: int) -> Any:
        if not till.paid:
            till.pay("first")
            (effect,) = ledger.effects()
            ledger.resolve(effect.id, retry=True, force=True, by="ann", note="it hangs")
            with patterns.run("r-1", tenant="acme"):
                threads = in_threads(1, lambda _: other(amount))
            return ("first", threads)
        return till.pay("second")

    other = carry(pay)
    assert ("first", ["second"]) == pay(7)
    record = ledger.effects()[0]
    assert ('"second"', 2, "done") == (record.result, record.fence, record.late[0]["outcome"])
    assert ["EffectResolved", "EffectRecorded", "LateResult"] == [type(event).__name__ for event in told]
    assert ("did_not_happen (forced)", "ann") == (record.notes[0]["what"], record.notes[0]["by"])


def test_a_result_after_a_wrong_suspicion_is_believed(memory, run):
    """The slow owner was alive: its own attempt's outcome is the truth."""
    mistaken = copy.copy(memory)
    mistaken.owners = Dead()
    other = carry(Ledger(mistaken).once(name="pay")(lambda amount: amount))

    @Ledger(memory).once(name="pay")
    def pay(amount: int) -> Any:
        with pytest.raises(InDoubt):
            in_threads(1, lambda _: other(amount))
        return amount

    assert 7 == pay(7) == pay(7)
    assert "done" == Ledger(memory).effects()[0].state.value


def test_the_cache_replays_without_the_store(memory, till, run):
    """Settled effects do not change; others are not remembered."""
    ledger = Ledger(memory, cached=2, wait=0, retry_on=ValueError)
    pay = ledger.once(name="pay")(lambda amount: till.pay([amount]))
    assert [1] == pay(1) == pay(1)
    reads = []
    read, memory.cells.read = memory.cells.read, reads.append
    assert [1] == pay(1)
    pay(1).append(2)
    assert [1] == pay(1)
    memory.cells.read = read
    assert [] == reads
    for amount in range(5):
        pay(amount)
        pay(amount)
    assert 2 == len(ledger._books._settled)
    assert 5 == len(till.paid)

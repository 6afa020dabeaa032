"""Processes killed at every labelled point: never two effects, and in doubt exactly where nobody can know."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import patterns
from patterns.errors import InDoubt, InFlight
from patterns.kernel import faults
from patterns.ledger import Ledger, State
from patterns.testing import Fault, inject
from patterns.testing.forked import fork, run_in_processes

if TYPE_CHECKING:
    from pathlib import Path


class Oracle:
    """Counts effects outside the library: each is a line on disk before anybody goes on."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def effect(self, name: str) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, f"{name}\n".encode())
        os.fsync(descriptor)
        os.close(descriptor)

    def effects(self) -> list[str]:
        return self.path.read_text().split() if self.path.exists() else []


@pytest.fixture
def oracle(tmp_path) -> Oracle:
    """Return an oracle that saw nothing yet."""
    return Oracle(tmp_path / "effects")


@contextmanager
def ledger_at(path: Path, **options: Any):
    """Open the ledger in *path* inside a run."""
    store = patterns.open_store(f"sqlite:///{path}/agent.db")
    with patterns.run("r-1"):
        yield Ledger(store, **options)
    store.close()


def call(shape: str, ledger: Ledger, oracle: Oracle, name: str) -> str:
    """Make the effect *name* in that shape; the oracle sees it."""

    def body() -> str:
        faults.reach("before the effect")
        oracle.effect(name)
        faults.reach("after the effect")
        return f"paid {name}"

    match shape:
        case "def":
            return ledger.once(name="pay")(lambda name: body())(name)
        case "async def":
            return asyncio.run(coroutine(ledger, body)(name))
        case "with":
            with ledger.step("pay", name=name) as step:
                step.result = body() if step.fresh else step.result
            return step.result
        case _:
            return asyncio.run(in_block(ledger, body, name))


def coroutine(ledger: Ledger, body):
    """Return the guarded coroutine function."""

    @ledger.once(name="pay")
    async def pay(name: str) -> str:
        await asyncio.sleep(0)
        return await asyncio.to_thread(body)

    return pay


async def in_block(ledger: Ledger, body, name: str) -> str:
    """Make the effect in an async block."""
    async with ledger.step("pay", name=name) as step:
        step.result = await asyncio.to_thread(body) if step.fresh else step.result
    return step.result


def in_process(path: Path, shape: str, oracle: Oracle, name: str, fault: Fault | None = None) -> Any:
    """Call in a process of its own; return what it got, or the signal it died of."""

    def work() -> str:
        with ledger_at(path) as ledger, inject(fault) if fault else nullcontext():
            try:
                return call(shape, ledger, oracle, name)
            except InDoubt:
                return "in doubt"

    child = fork(work)
    try:
        return child.result()
    except ChildProcessError:
        return "killed"


def kill() -> None:
    """Die at once."""
    os.kill(os.getpid(), signal.SIGKILL)


class Point(NamedTuple):
    """Where the process dies, and what is true afterwards."""

    label: str
    nth: int
    effects: int
    then: str


POINTS = [
    Point("call.commit.before", 1, 0, "runs"),
    Point("sqlite.swap.before_commit", 1, 0, "runs"),
    Point("sqlite.swap.after_commit", 1, 0, "in doubt"),
    Point("call.commit.after", 1, 0, "in doubt"),
    Point("call.body.before", 1, 0, "in doubt"),
    Point("before the effect", 1, 0, "in doubt"),
    Point("after the effect", 1, 1, "in doubt"),
    Point("ledger.settle.before", 1, 1, "in doubt"),
    Point("sqlite.swap.before_commit", 2, 1, "in doubt"),
    Point("sqlite.swap.after_commit", 2, 1, "replays"),
    Point("ledger.settle.after", 1, 1, "replays"),
]


@pytest.mark.parametrize("shape", ["def", "async def", "with", "async with"])
@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point.label}-{point.nth}")
def test_killed(point: Point, shape: str, tmp_path: Path, oracle: Oracle):
    """What the next callers get is what can be known, each time; a person settles the rest."""
    assert "killed" == in_process(tmp_path, shape, oracle, "a", Fault(point.label, kill, nth=point.nth))
    assert point.effects == len(oracle.effects())
    for _ in range(2):
        expected = "in doubt" if point.then == "in doubt" else "paid a"
        assert expected == in_process(tmp_path, shape, oracle, "a")
    runs_now = point.then == "runs"
    assert point.effects + runs_now == len(oracle.effects())
    with ledger_at(tmp_path) as ledger:
        (record,) = ledger.effects()
        if point.then != "in doubt":
            assert State.DONE is record.state
            return
        assert (State.IN_DOUBT, True) == (record.state, record.over)
        if point.effects:
            ledger.resolve(record.id, succeeded="paid a", by="ann", note="it is in the bank's list")
        else:
            ledger.resolve(record.id, retry=True, by="ann", note="it is not in the bank's list")
    assert "paid a" == in_process(tmp_path, shape, oracle, "a")
    assert ["a"] == oracle.effects()


def test_processes_share_forty_keys(tmp_path: Path, oracle: Oracle):
    """Eight processes, the same forty effects: each happens once, and all get all results."""
    names = [f"k{number}" for number in range(40)]

    def work(number: int) -> list[str]:
        mine = random.Random(number).sample(names, len(names))
        with ledger_at(tmp_path) as ledger:
            return sorted(call("def" if number % 2 else "async def", ledger, oracle, name) for name in mine)

    assert [sorted(f"paid {name}" for name in names)] * 8 == run_in_processes(8, work)
    assert sorted(names) == sorted(oracle.effects())


def test_forked_children_share_what_they_inherited(tmp_path: Path, oracle: Oracle):
    """A decorated function used before the fork, as application servers do: one effect in eight children."""
    with ledger_at(tmp_path) as ledger:
        pay = ledger.once(name="pay")(lambda name: oracle.effect(name) or os.getpid())
        assert os.getpid() == pay("before")
        answers = run_in_processes(8, lambda _: [pay("before"), pay("after")])
        assert {os.getpid()} == {before for before, _ in answers}
        assert 1 == len({after for _, after in answers})
        assert ["before", "after"] == oracle.effects()
        owners = {record.owner for record in ledger.effects()}
        assert 2 == len(owners)


def test_a_stopped_process_is_not_a_dead_one(tmp_path: Path, oracle: Oracle):
    """Behind a process that merely hangs callers wait, and its result counts when it goes on."""

    def stop() -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    def work() -> str:
        with ledger_at(tmp_path) as ledger, inject(Fault("before the effect", stop)):
            return call("def", ledger, oracle, "a")

    child = fork(work)
    os.waitpid(child.pid, os.WUNTRACED)
    with ledger_at(tmp_path, wait=0.1) as ledger:
        with pytest.raises(InFlight):
            call("def", ledger, oracle, "a")
        assert [] == ledger.recover()
        child.kill(signal.SIGCONT)
        assert "paid a" == child.result()
        assert "paid a" == call("def", ledger, oracle, "a")
    assert ["a"] == oracle.effects()


def test_a_waiter_in_another_process_notices_the_death(tmp_path: Path, oracle: Oracle):
    """It gets the doubt when the owner dies, not when its patience ends."""
    reached, reach = os.pipe()

    def announce() -> None:
        os.write(reach, b"x")
        signal.pause()

    def work() -> str:
        with ledger_at(tmp_path) as ledger, inject(Fault("before the effect", announce)):
            return call("def", ledger, oracle, "a")

    owner = fork(work)
    os.read(reached, 1)
    waiter = fork(lambda: _in_doubt_after(tmp_path, oracle))
    owner.kill(signal.SIGKILL)
    owner.reap()
    assert "in doubt" == waiter.result()
    os.close(reached)
    os.close(reach)
    assert [] == oracle.effects()


def _in_doubt_after(path: Path, oracle: Oracle) -> str:
    with ledger_at(path, wait=20) as ledger, pytest.raises(InDoubt):
        call("def", ledger, oracle, "a")
    return "in doubt"


WORKERS, NAMES, KILLS = 4, 60, 24


def storm(path: Path, oracle: Oracle, seed: int) -> None:
    """Make effects in any order for ever."""
    names = [f"k{number}" for number in range(NAMES)]
    chance = random.Random(seed)
    with ledger_at(path, wait=0.05) as ledger:
        while True:
            try:
                call("def", ledger, oracle, chance.choice(names))
            except (InDoubt, InFlight):
                continue


def test_a_storm_of_kills(tmp_path: Path, oracle: Oracle):
    """Workers are killed at random moments for a while: no effect twice, every doubt visible, none stuck."""
    chance = random.Random(7)
    seeds = iter(range(10_000))
    children = [fork(lambda: storm(tmp_path, oracle, next(seeds))) for _ in range(WORKERS)]
    for _ in range(KILLS):
        enough = len(oracle.effects()) + 1
        looks = 1000  # there may be nothing left to do
        while looks and len(oracle.effects()) < enough:
            looks -= 1
        victim = chance.randrange(WORKERS)
        children[victim].kill(signal.SIGKILL)
        children[victim].reap()
        children[victim] = fork(lambda: storm(tmp_path, oracle, next(seeds)))
    for child in children:
        child.kill(signal.SIGKILL)
        child.reap()
    effects = oracle.effects()
    assert len(set(effects)) == len(effects)
    with ledger_at(tmp_path) as ledger:
        ledger.recover()
        states = {record.id: record.state for record in ledger.effects(limit=1000)}
        done = {record.to_dict()["result"] for record in ledger.effects(state="done", limit=1000)}
    assert set(states.values()) <= {State.DONE, State.IN_DOUBT}
    assert done <= {f"paid {name}" for name in effects}
    assert len(effects) <= len(states)

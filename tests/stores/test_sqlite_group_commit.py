"""Those who write at the same time share a transaction, whatever happens to one of them."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from patterns.errors import StoreUnavailable
from patterns.kernel.storage import ABSENT, Change, Lost
from patterns.stores import open_store
from patterns.stores.sqlite import group_commit, polling
from patterns.testing import Fault, inject
from patterns.testing.store_helpers import content, in_threads, put, value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from patterns.kernel.storage import Store

BEFORE, AFTER = "sqlite.swap.before_commit", "sqlite.swap.after_commit"
LONG = 20.0


@pytest.fixture
def store(tmp_path: Path):
    """Return an open store."""
    store = open_store(f"sqlite:///{tmp_path}/a.db")
    yield store
    store.close()


@contextmanager
def writing(store: Store) -> Iterator[threading.Event]:
    """Keep a swap by another thread under way, just before its commit, until the event is set."""
    inside, go_on = threading.Event(), threading.Event()

    def hold(label: str) -> None:
        if label == BEFORE and not inside.is_set():
            inside.set()
            go_on.wait()

    with inject(hold), ThreadPoolExecutor(1) as pool:
        writer = pool.submit(put, store.cells, "first", b"x")
        inside.wait()
        try:
            yield go_on
        finally:
            go_on.set()
            writer.result()


def writer_threads() -> list[threading.Thread]:
    """Return the writer threads that run."""
    return [thread for thread in threading.enumerate() if thread.name == "patterns-writer"]


def test_a_lone_caller_needs_no_thread(store: Store):
    """It writes for itself."""
    before = writer_threads()
    for number in range(5):
        put(store.cells, "a", b"%d" % number)
    assert before == writer_threads()


def test_many_callers_need_few_transactions(store: Store):
    """Six hundred swaps by sixty threads share theirs."""
    commits = Fault(BEFORE, lambda: None)

    def claim(number: int) -> list[Lost | None]:
        return [store.cells.swap([Change(f"{number}/{step}", ABSENT, b"x")]) for step in range(10)]

    with inject(commits):
        assert [[None] * 10] * 60 == in_threads(60, claim)
    assert 600 == len(store.cells.scan("", limit=1000))
    assert commits.reached < 300


def test_all_that_queue_up_are_one_transaction(store: Store):
    """Winners and losers, threads and tasks; each learns its own outcome."""
    commits = Fault(BEFORE, lambda: None)
    changes = [Change(key, ABSENT, b"x") for key in ("a", "b", "a", "first")]

    async def tasks() -> list[Lost | None]:
        return await asyncio.gather(*(store.async_cells.swap([change]) for change in changes))

    with writing(store) as go_on, ThreadPoolExecutor(5) as pool:
        outcomes = [pool.submit(asyncio.run, tasks()), pool.submit(asyncio.run, tasks())]
        while len(store._engine._group._queue) < 8:
            pass
        with inject(commits):
            go_on.set()
            found = sorted([*outcomes[0].result(), *outcomes[1].result()], key=repr)
    assert [Lost("a", 1)] * 3 + [Lost("b", 1)] + [Lost("first", 1)] * 2 + [None] * 2 == found
    assert 1 == commits.reached


def test_the_event_loop_goes_on_while_a_task_writes(store: Store):
    """However long the disk takes."""
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        go_on.wait()

    async def work() -> int:
        swap = asyncio.ensure_future(store.async_cells.swap([Change("a", ABSENT, b"x")]))
        turns = 0
        while not inside.is_set() or turns < 100:
            await asyncio.sleep(0)
            turns += not swap.done()
        go_on.set()
        assert await swap is None
        return turns

    with inject(Fault(BEFORE, hold)):
        assert asyncio.run(work()) >= 100


def test_a_swap_outlives_its_event_loop(store: Store):
    """A loop that is closed with a swap on its way neither stops it nor disturbs others."""
    with writing(store) as go_on:
        loop = asyncio.new_event_loop()
        swap = loop.create_task(store.async_cells.swap([Change("a", ABSENT, b"x")]))
        loop.run_until_complete(asyncio.sleep(0))
        loop.set_exception_handler(lambda _loop, _context: None)  # it would complain of the task it never finished
        loop.close()
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(put, store.cells, "b", b"x")
            go_on.set()
            other.result(LONG)
    assert [b"x", b"x"] == [content(store.cells, "a"), content(store.cells, "b")]
    del swap
    gc.collect()


def test_an_interrupt_before_the_commit_takes_everything_back(store: Store):
    """Ctrl-C in the middle: nothing is there, and the next swap works."""
    with inject(Fault(BEFORE, interrupt)), pytest.raises(KeyboardInterrupt):
        store.cells.swap([Change("a", ABSENT, b"x"), Change("b", ABSENT, b"x")])
    assert [] == store.cells.scan("")
    put(store.cells, "a", b"x")
    assert in_threads(4, lambda number: put(store.cells, f"{number}", b"x")) == [None] * 4


def test_an_interrupt_after_the_commit_changes_nothing(store: Store):
    """Ctrl-C just after: everything is there, and the next swap works."""
    with inject(Fault(AFTER, interrupt)), pytest.raises(KeyboardInterrupt):
        store.cells.swap([Change("a", ABSENT, b"x"), Change("b", ABSENT, b"x")])
    assert [b"x", b"x"] == [cell.value for cell in store.cells.scan("")]
    put(store.cells, "a", b"y")


def interrupt() -> None:
    """Do what Ctrl-C does."""
    raise KeyboardInterrupt


def test_an_interrupt_while_queued_leaves_the_turn_in_order(store: Store):
    """Somebody interrupted while another writes for him holds up nobody, and his swap happens."""
    with writing(store) as go_on:
        request = group_commit.Request(lambda cursor: cursor.execute("SELECT 1").fetchone(), durable=False)

        class Interrupting(group_commit.ThreadSignal):
            def wait(self, timeout: float | None = None) -> bool:
                raise KeyboardInterrupt

        group = store._engine._group
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(group_commit, "ThreadSignal", Interrupting)
            with pytest.raises(KeyboardInterrupt):
                group.do(request)
        go_on.set()
    put(store.cells, "a", b"x")
    group.wait_until_idle()
    assert (1,) == request.result()


@pytest.mark.may_block
def test_without_threads_the_caller_does_it(store: Store, monkeypatch: pytest.MonkeyPatch):
    """When no thread can be started, at the end of the interpreter for one, the swap is done all the same."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(group_commit.Thread, "start", refuse)
    asyncio.run(swap_one(store, "a"))
    assert b"x" == value(store.cells, "a")


def test_closing_finishes_what_is_queued(store: Store):
    """Nothing that was handed over is dropped; what comes later is refused."""

    async def swap_and_close() -> list[object]:
        swaps = [asyncio.ensure_future(store.async_cells.swap([Change(f"{n}", ABSENT, b"x")])) for n in range(5)]
        await asyncio.sleep(0)
        with ThreadPoolExecutor(1) as pool:
            closing = pool.submit(store.close)
            while len(store._engine._group._queue) < 6:
                pass
            go_on.set()
            closing.result()
        late = store.async_cells.swap([Change("late", ABSENT, b"x")])
        return await asyncio.gather(*swaps, late, return_exceptions=True)

    with writing(store) as go_on:
        *outcomes, late = asyncio.run(swap_and_close())
    assert [None] * 5 == outcomes
    assert isinstance(late, StoreUnavailable)


def test_the_writer_thread_ends_when_it_is_not_needed(store: Store, monkeypatch: pytest.MonkeyPatch):
    """And another comes when it is."""
    monkeypatch.setattr(group_commit, "_LINGER", 0.01)
    for number in range(3):
        asyncio.run(swap_one(store, f"{number}"))
        thread = store._engine._group._thread
        if thread is not None:
            thread.join(LONG)
        assert store._engine._group._thread is None


async def swap_one(store: Store, key: str) -> None:
    """Create *key* from a task."""
    assert await store.async_cells.swap([Change(key, ABSENT, b"x")]) is None


def test_waiters_in_the_process_are_told_and_need_no_poll(store: Store, monkeypatch: pytest.MonkeyPatch):
    """Where nobody looks at the file, those who wait hear of a change by the one who made it."""
    monkeypatch.setattr(polling.PollingWatchers, "_look", lambda _self, _watchers: ())
    with ThreadPoolExecutor(1) as pool:
        wait = pool.submit(store.cells.wait, "a", ABSENT, LONG)
        while not store._engine.watchers.anybody:
            pass
        put(store.cells, "a", b"x")
        assert wait.result(LONG / 2) is True


def test_a_store_forgotten_is_closed(tmp_path: Path):
    """Who drops the last reference without closing leaves no open file behind; who keeps the records keeps it."""
    store = open_store(f"sqlite:///{tmp_path}/a.db")
    cells = store.cells
    put(cells, "a", b"x")
    del store
    gc.collect()
    assert b"x" == value(cells, "a")
    connections = cells._engine._connections
    del cells
    gc.collect()
    with pytest.raises(StoreUnavailable, match="is closed"):
        connections.read(lambda _connection: None)

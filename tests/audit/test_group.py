"""Callers share commits; everyone gets the index of their own line, or an error of their own."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from patterns.audit.group import GroupCommit
from patterns.errors import AuditError
from patterns.testing.forked import fork

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Log:
    """Commits lines, and can be held up or broken."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.inside = threading.Event()
        self.error: BaseException | None = None

    def commit(self, lines: Sequence[bytes]) -> int:
        self.inside.set()
        assert self.gate.wait(10)
        if self.error is not None:
            raise self.error
        first = len(self.lines)
        self.lines += lines
        self.batches.append(len(lines))
        return first


@pytest.fixture
def log() -> Log:
    """Return a log to commit to."""
    return Log()


@pytest.fixture
def group(log: Log):
    """Return a group over it."""
    group = GroupCommit(log.commit)
    yield group
    group.close()


def run_all(count: int, work: Callable[[int], None]) -> list[threading.Thread]:
    """Start *count* threads."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    return threads


def join_all(threads: list[threading.Thread]) -> None:
    """Wait for all threads; one that does not end is a failure."""
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def hold_up(log: Log, group: GroupCommit) -> threading.Thread:
    """Let one commit begin and hold it, so that whoever comes now queues."""
    log.gate.clear()
    log.inside.clear()
    (leader,) = run_all(1, lambda _: group.submit(b"leader"))
    assert log.inside.wait(10)
    return leader


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until other threads have come so far."""
    event = threading.Event()
    for _ in range(10_000):
        if condition():
            return
        event.wait(0.001)
    raise AssertionError("it never came so far")


def test_a_lone_caller_commits_at_once(log: Log, group: GroupCommit):
    """No timer, no other thread."""
    assert [0, 1] == [group.submit(b"a"), group.submit(b"b")]
    assert [1, 1] == log.batches


def test_who_comes_during_a_commit_shares_the_next(log: Log, group: GroupCommit):
    """Twenty callers behind one commit become one batch, each with its own index."""
    leader = hold_up(log, group)
    indexes: dict[int, int] = {}
    threads = run_all(20, lambda number: indexes.update({number: group.submit(b"%d" % number)}))
    wait_for(lambda: group.waiting == 20)
    log.gate.set()
    join_all([leader, *threads])
    assert [1, 20] == log.batches
    assert all(b"%d" % number == log.lines[index] for number, index in indexes.items())


def test_tasks_share_commits_with_threads(log: Log, group: GroupCommit):
    """The same queue serves both, and the event loop is never blocked."""
    indexes: dict[int, int] = {}

    async def task(number: int) -> None:
        indexes[number] = await group.asubmit(b"%d" % number)

    async def main() -> None:
        await asyncio.gather(*[task(number) for number in range(50)])

    threads = run_all(4, lambda number: [group.submit(b"t%d" % number) for _ in range(20)])
    asyncio.run(main())
    join_all(threads)
    assert 130 == len(log.lines)
    assert all(b"%d" % number == log.lines[index] for number, index in indexes.items())


def test_the_loops_own_threads_may_all_wait(log: Log, group: GroupCommit):
    """Sync callers in every thread of the event loop's pool do not keep a task from leading."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        first = asyncio.ensure_future(group.asubmit(b"first"))
        await asyncio.to_thread(log.inside.wait, 10)
        second = asyncio.ensure_future(group.asubmit(b"second"))
        await asyncio.sleep(0)
        threads = [loop.run_in_executor(None, group.submit, b"sync") for _ in range(40)]
        log.gate.set()
        await asyncio.wait_for(asyncio.gather(first, second, *threads), 10)

    log.gate.clear()
    asyncio.run(main())
    assert 42 == len(log.lines)


def test_everyone_of_a_failed_batch_hears_of_it(log: Log, group: GroupCommit):
    """Each caller gets an error of its own with the cause; the next commit is tried."""
    errors: list[AuditError] = []

    def caller(number: int) -> None:
        try:
            group.submit(b"%d" % number)
        except AuditError as error:
            errors.append(error)

    log.gate.clear()
    threads = run_all(6, caller)
    wait_for(lambda: log.inside.is_set() and group.waiting == 5)
    log.error = AuditError("full", errno=28)
    log.gate.set()
    join_all(threads)
    assert [("full", 28)] * 6 == [(error.text, error.errno) for error in errors]
    assert 6 == len({id(error) for error in errors})
    log.error = None
    assert 0 == group.submit(b"next")


def test_an_error_of_a_stranger_becomes_an_audit_error(log: Log, group: GroupCommit):
    """Whatever a sink or signer raises, the caller catches one type."""
    log.error = ZeroDivisionError("odd")
    with pytest.raises(AuditError, match="odd"):
        group.submit(b"a")


def test_an_interrupted_leader_lets_the_others_go_on(log: Log, group: GroupCommit):
    """KeyboardInterrupt in a commit reaches its own caller as such; followers hear that nothing is acknowledged."""
    log.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        group.submit(b"a")
    log.error = None
    assert 0 == group.submit(b"b")


def test_a_cancelled_task_does_not_stop_the_queue(log: Log, group: GroupCommit):
    """Its line may be committed all the same, and whoever comes later is served."""

    async def main() -> None:
        log.gate.clear()
        cancelled = asyncio.ensure_future(group.asubmit(b"cancelled"))
        await asyncio.sleep(0)
        queued = asyncio.ensure_future(group.asubmit(b"queued"))
        await asyncio.sleep(0)
        cancelled.cancel()
        queued.cancel()
        log.gate.set()
        await asyncio.gather(cancelled, queued, return_exceptions=True)
        await group.asubmit(b"later")

    asyncio.run(main())
    assert b"later" == log.lines[-1]


def test_a_loop_that_was_closed_is_forgotten(log: Log, group: GroupCommit):
    """Tasks that died with their event loop hold nobody up."""

    async def abandon() -> None:
        log.gate.clear()
        for name in (b"x", b"y"):
            asyncio.ensure_future(group.asubmit(name)).add_done_callback(lambda task: task.cancelled())
        await asyncio.sleep(0)

    asyncio.run(abandon())
    log.gate.set()
    assert group.submit(b"later") >= 0
    assert b"later" == log.lines[-1]


def test_unhurried_lines_go_along(log: Log, group: GroupCommit):
    """They are committed with the next hurried one, before it, or when enough have gathered."""
    for number in range(3):
        group.leave(b"%d" % number)
    assert [] == log.lines
    assert 3 == group.submit(b"now")
    assert [b"0", b"1", b"2", b"now"] == log.lines
    for number in range(1000):
        group.leave(b"%d" % number)
    assert 1004 == len(log.lines)
    assert [4, 1000] == log.batches


def test_unhurried_lines_never_block_an_event_loop(log: Log, group: GroupCommit):
    """A full batch is committed by a thread of its own."""
    loops: list[int] = []
    commit = log.commit
    group._commit = lambda lines: (loops.append(threading.get_ident()), commit(lines))[1]

    async def main() -> None:
        for number in range(1000):
            group.leave(b"%d" % number)
        await group.asubmit(None)

    asyncio.run(main())
    assert 1000 == len(log.lines)
    assert threading.get_ident() not in loops


def test_unhurried_lines_survive_a_failed_commit(log: Log, group: GroupCommit):
    """They are tried again in their order, and bounded in number."""
    group.leave(b"a")
    group.leave(b"b")
    log.error = AuditError("full")
    with pytest.raises(AuditError):
        group.submit(None)
    log.error = None
    group.submit(b"c")
    assert [b"a", b"b", b"c"] == log.lines


def test_unhurried_lines_are_bounded(log: Log):
    """A log that cannot be written for long refuses instead of filling the memory."""
    log.error = AuditError("full")
    group = GroupCommit(log.commit, unhurried=20_000)
    for _ in range(10_000):
        group.leave(b"x")
    with pytest.raises(AuditError, match="10000 records wait"):
        group.leave(b"x")


def test_a_forked_child_begins_anew(log: Log, group: GroupCommit):
    """A fork in the middle of somebody's commit leaves the child with no queue and no lock held."""
    group.leave(b"parent's")
    leader = hold_up(log, group)

    def child() -> list[int]:
        log.gate.set()
        return [group.submit(b"child"), len(log.lines)]

    assert [0, 1] == fork(child).result()
    log.gate.set()
    join_all([leader])
    assert [b"parent's", b"leader"] == log.lines

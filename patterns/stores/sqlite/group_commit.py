"""Group commit: all who write at the same time share one transaction and one fsync.

A lone thread writes for itself, so nothing stands between it and the file.
Whoever comes while a write is under way queues up; then one writer thread
takes all that is queued, again and again, until nothing is left. Tasks queue
up always, since an event loop must not wait for a disk.
"""

from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from patterns.kernel.storage import Lost
from patterns.stores import forking
from patterns.stores.signals import Signal, TaskSignal, ThreadSignal, wake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from sqlite3 import Cursor

    from patterns.kernel.storage import Change

__all__ = ["GroupCommit", "Request"]

T = TypeVar("T")

_BATCH = 256  # requests in one transaction: it keeps other processes out for a few milliseconds at most
_LINGER = 5.0  # seconds the writer thread waits for the next turn before it ends


class Request(Generic[T]):
    """One piece of work inside a shared transaction.

    Args:
        work: Checks first and writes only if all checks hold, so that a loser leaves nothing behind.
        durable: Whether it must survive a power loss before it counts as done.
        changes: What it changes if it does not lose, for those who watch.

    """

    __slots__ = ("_outcome", "_work", "changes", "durable", "error", "signal")

    def __init__(self, work: Callable[[Cursor], T], *, durable: bool, changes: Sequence[Change] = ()) -> None:
        self._work = work
        self.durable = durable
        self.changes = changes
        self.error: Exception | None = None
        self.signal: Signal | None = None
        self._outcome: T | None = None

    @property
    def lost(self) -> bool:
        """Whether the work found that it had come too late."""
        return isinstance(self._outcome, Lost)

    def run(self, cursor: Cursor) -> None:
        """Do the work and keep what it returns."""
        self._outcome = self._work(cursor)

    def result(self) -> T:
        """Return what the work returned, or raise what went wrong."""
        if self.error is not None:
            raise self.error
        return cast("T", self._outcome)


class GroupCommit:
    """Brings requests from threads and tasks together.

    Args:
        commit: Does all requests of a batch in one transaction and notes an error on each that failed. That only
            one thread is in it at a time is a matter of speed: the file's own lock keeps the order.

    """

    _lock: Lock
    _queue: list[Request[Any]]
    _writing: bool  # somebody writes, or has been told to
    _thread: Thread | None
    _turns: SimpleQueue[None]

    def __init__(self, commit: Callable[[Sequence[Request[Any]]], None]) -> None:
        self._commit = commit
        self._held = False
        self._begin_afresh()
        forking.watch(self)

    def do(self, request: Request[T]) -> T:
        """Do *request* from a thread, blocking until it is done; return its result."""
        queued = False
        try:
            queued = self._queue_up(request)
            if not queued:
                self._commit([request])
        finally:
            if not queued:
                self._pass_on()
        if request.signal is not None:
            cast("ThreadSignal", request.signal).wait()
        return request.result()

    async def do_async(self, request: Request[T]) -> T:
        """Do *request* from a task, which suspends; it is done even if the task is cancelled."""
        signal = request.signal = TaskSignal()
        with self._lock:
            self._queue.append(request)
            idle, self._writing = not self._writing, True
        if idle:
            self._pass_on()
        await signal.wait()
        return request.result()

    def wait_until_idle(self) -> None:
        """Block until all that is queued now is done."""
        signal = ThreadSignal()
        with self._lock:
            if not self._writing:
                return
            last = Request(_nothing, durable=False)
            last.signal = signal
            self._queue.append(last)
        signal.wait()

    def before_fork(self) -> None:
        """Let nobody change the queue during the fork."""
        self._held = self._lock.acquire(timeout=forking.PATIENCE)

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._held:
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """Start afresh: what is queued is the parent's to do, by a thread that does not exist here."""
        self._begin_afresh()

    def _begin_afresh(self) -> None:
        self._lock = Lock()
        self._queue = []
        self._writing = False
        self._thread = None
        self._turns = SimpleQueue()

    def _queue_up(self, request: Request[Any]) -> bool:
        """Queue *request* and return True, or return False: nobody writes, so it is the caller's turn."""
        with self._lock:
            if not self._writing:
                self._writing = True
                return False
            request.signal = ThreadSignal()
            self._queue.append(request)
            return True

    def _pass_on(self) -> None:
        """End the caller's turn; if somebody has queued up meanwhile, it is the writer thread's."""
        with self._lock:
            if not self._queue:
                self._writing = False
                return
        self._turns.put(None)
        with self._lock:
            if self._thread is not None:
                return
            thread = self._thread = Thread(target=self._serve, name="patterns-writer", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread to be had, or the interpreter is ending: then the caller does it
            self._thread = None
            self._drain()

    def _serve(self) -> None:
        """Be the writer thread, until there has been nothing to do for a while."""
        turns = self._turns
        while True:
            try:
                turns.get(timeout=_LINGER)
            except Empty:
                with self._lock:
                    if turns.empty():
                        self._thread = None
                        return
            else:
                self._drain()

    def _drain(self) -> None:
        while batch := self._take():
            try:
                self._commit(batch)
            except Exception as problem:  # noqa: BLE001 - handed to those who asked
                for request in batch:
                    request.error = request.error or problem
            wake(request.signal for request in batch if request.signal is not None)

    def _take(self) -> list[Request[Any]]:
        with self._lock:
            batch, self._queue = self._queue[:_BATCH], self._queue[_BATCH:]
            self._writing = bool(batch)
            return batch


def _nothing(_cursor: Cursor) -> None:
    """Serve as a request that is done when all before it are."""

"""Waking those who wait, threads as well as tasks of any event loop."""

from __future__ import annotations

from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import TIMEOUT_MAX, Lock
from typing import TYPE_CHECKING

from patterns.stores import forking

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Iterable

    from patterns.kernel.storage import Change

__all__ = ["Signal", "TaskSignal", "ThreadSignal", "Watcher", "Watchers", "wake"]


class ThreadSignal:
    """Wakes one thread; setting it twice does no harm."""

    __slots__ = ("_sets",)

    def __init__(self) -> None:
        # A queue in C: cheaper to make than an Event, and safe to set from anywhere, even from a signal handler.
        self._sets: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """Let the waiting thread go on."""
        self._sets.put(None)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until set, at most *timeout* seconds; return whether it was set."""
        try:
            self._sets.get(timeout=None if timeout is None else min(max(timeout, 0.0), TIMEOUT_MAX))
        except Empty:
            return False
        return True


class TaskSignal:
    """Wakes one task of the event loop it was made in; it may be set from any thread."""

    __slots__ = ("_done", "loop")

    def __init__(self) -> None:
        from asyncio import get_running_loop

        self.loop: AbstractEventLoop = get_running_loop()
        self._done: Future[None] = self.loop.create_future()

    def set(self) -> None:
        """Let the waiting task go on."""
        _call_in(self.loop, [self])

    def resolve(self) -> None:
        """Let the waiting task go on; called in its own loop."""
        if not self._done.done():
            self._done.set_result(None)

    async def wait(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - a hint with a bound
        """Suspend until set, at most *timeout* seconds; return whether it was set."""
        if timeout is None:
            await self._done
            return True
        from asyncio import wait

        await wait([self._done], timeout=max(timeout, 0.0))
        return self._done.done()


Signal = ThreadSignal | TaskSignal


def wake(signals: Iterable[Signal]) -> None:
    """Set all *signals*, with one call per event loop."""
    loops: dict[AbstractEventLoop, list[TaskSignal]] = {}
    for signal in signals:
        if isinstance(signal, TaskSignal):
            loops.setdefault(signal.loop, []).append(signal)
        else:
            signal.set()
    for loop, tasks in loops.items():
        _call_in(loop, tasks)


def _call_in(loop: AbstractEventLoop, tasks: list[TaskSignal]) -> None:
    with suppress(RuntimeError):  # the loop is closed, so nobody waits in it any more
        loop.call_soon_threadsafe(_resolve_all, tasks)


def _resolve_all(tasks: list[TaskSignal]) -> None:
    for task in tasks:
        task.resolve()


class Watcher:
    """Somebody who waits for *key* to have another version than *seen*."""

    __slots__ = ("key", "seen", "signal")

    def __init__(self, key: str, seen: int, signal: Signal) -> None:
        self.key = key
        self.seen = seen
        self.signal = signal


class Watchers:
    """All who wait for records of one store to change.

    Whoever waits adds itself first and reads the record then, so no change
    slips through between the two.
    """

    def __init__(self) -> None:
        self._held = False
        self._begin_afresh()
        forking.watch(self)

    def add(self, watcher: Watcher) -> None:
        """Wake *watcher* at every change of its key from now on."""
        with self._lock:
            self.anybody.setdefault(watcher.key, []).append(watcher)

    def remove(self, watcher: Watcher) -> None:
        """Forget *watcher*."""
        with self._lock:
            others = self.anybody.get(watcher.key, [])
            if watcher in others:
                others.remove(watcher)
            if not others:
                self.anybody.pop(watcher.key, None)

    def all(self) -> list[Watcher]:
        """Return everybody who waits at this moment."""
        with self._lock:
            return [watcher for watchers in self.anybody.values() for watcher in watchers]

    def notify(self, changes: Iterable[Change]) -> None:
        """Wake those who wait for a key among *changes*."""
        with self._lock:
            watchers = [watcher for change in changes for watcher in self.anybody.get(change.key, ())]
        wake(watcher.signal for watcher in watchers)

    def notify_all(self) -> None:
        """Wake everybody."""
        wake(watcher.signal for watcher in self.all())

    def before_fork(self) -> None:
        """Let nobody come or go during the fork."""
        self._held = self._lock.acquire(timeout=forking.PATIENCE)

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._held:
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """Forget everybody: they are threads and tasks of the parent."""
        self._begin_afresh()

    def _begin_afresh(self) -> None:
        self._lock = Lock()
        self.anybody: dict[str, list[Watcher]] = {}  # by key; empty if nobody waits

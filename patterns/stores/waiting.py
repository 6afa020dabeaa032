"""Waiting for a record to change: add yourself, read, sleep, read again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from patterns.kernel.clock import SYSTEM_CLOCK
from patterns.stores.signals import TaskSignal, ThreadSignal, Watcher

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from patterns.stores.signals import Watchers

__all__ = ["block_until_moved", "suspend_until_moved"]

# Waiting is for other threads and processes, so it happens in real time whatever clock a store was given.
_now = SYSTEM_CLOCK.now


def block_until_moved(
    watchers: Watchers, key: str, seen: int, timeout: float, moved: Callable[[str, int], bool]
) -> bool:
    """Block the thread until ``moved(key, seen)``, at most *timeout* seconds; return whether it did."""
    signal = ThreadSignal()
    watcher = Watcher(key, seen, signal)
    deadline = _now() + timeout
    watchers.add(watcher)
    try:
        while not moved(key, seen):
            if not signal.wait(deadline - _now()):
                return moved(key, seen)
        return True
    finally:
        watchers.remove(watcher)


async def suspend_until_moved(
    watchers: Watchers,
    key: str,
    seen: int,
    timeout: float,  # noqa: ASYNC109 - a hint with a bound
    moved: Callable[[str, int], Awaitable[bool]],
) -> bool:
    """Suspend the task until ``await moved(key, seen)``, at most *timeout* seconds; return whether it did."""
    deadline = _now() + timeout
    while True:
        signal = TaskSignal()  # a future serves once
        watcher = Watcher(key, seen, signal)
        watchers.add(watcher)
        try:
            if await moved(key, seen):
                return True
            if not await signal.wait(deadline - _now()):
                return await moved(key, seen)
        finally:
            watchers.remove(watcher)

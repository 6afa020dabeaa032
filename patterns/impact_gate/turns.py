"""Guarded calls on one world, one after the other within this process.

A rehearsal keeps others from writing for its whole length, also while an
``async def`` waits. Calls that ran into each other there would block
threads, or the event loop itself, and in the end be refused for a lock that
their own process holds. So they take turns before they ask for the lock, and
tasks wait without a thread.
"""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from patterns.impact_gate.world import Unmeasurable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from patterns.kernel.call import Call
    from patterns.kernel.clock import Clock

__all__ = ["NO_TURNS", "NoTurns", "Turns"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.02


class Turns:
    """A lock for calls of both colours; who has it, and whatever they call, need not wait.

    Args:
        timeout: Seconds to wait at most.
        clock: Where the time comes from.

    """

    def __init__(self, timeout: float, clock: Clock) -> None:
        self._timeout = timeout
        self._clock = clock
        self._lock = threading.Lock()
        self._mine: ContextVar[bool] = ContextVar("patterns_gate_turn", default=False)

    @asynccontextmanager
    async def taken(self, call: Call) -> AsyncIterator[Unmeasurable | None]:
        """Wait for the turn, and keep it for the length of a block.

        Returns:
            None, or why there is none: others keep it for too long.

        """
        if self._mine.get():
            yield None
            return
        if not await self._acquire(call):
            yield Unmeasurable(f"other calls keep the database busy for more than {self._timeout:g} s")
            return
        token = self._mine.set(True)
        try:
            yield None
        finally:
            self._mine.reset(token)
            self._lock.release()

    async def _acquire(self, call: Call) -> bool:
        if not call.target.asynchronous:
            return self._lock.acquire(timeout=self._timeout)
        deadline, pause = self._clock.now() + self._timeout, _FIRST_PAUSE
        while not self._lock.acquire(blocking=False):
            if self._clock.now() >= deadline:
                return False
            await self._clock.asleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        return True


class NoTurns:
    """For a world in which calls do not get in each other's way."""

    @asynccontextmanager
    async def taken(self, call: Call) -> AsyncIterator[Unmeasurable | None]:
        """Wait for nothing."""
        del call
        yield None


NO_TURNS = NoTurns()

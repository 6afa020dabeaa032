"""A clock that stands still until it is told to move, and whose waits take no time."""

from __future__ import annotations

import threading

from patterns.errors import misuse

__all__ = ["ManualClock"]


class ManualClock:
    """Implements `patterns.kernel.clock.Clock`; ``sleep`` and ``asleep`` jump instead of waiting.

    Args:
        now: First monotonic time, in seconds.
        wall: First wall-clock time, in seconds since 1970-01-01 UTC.

    """

    def __init__(self, *, now: float = 1000.0, wall: float = 1_700_000_000.0) -> None:
        self._lock = threading.Lock()
        self._now = now
        self._wall = wall
        self.slept: list[float] = []

    def now(self) -> float:
        """Return monotonic seconds."""
        with self._lock:
            return self._now

    def wall(self) -> float:
        """Return seconds since 1970-01-01 UTC."""
        with self._lock:
            return self._wall

    def advance(self, duration: float) -> None:
        """Move both times *duration* seconds forward.

        Raises:
            Misuse: *duration* is negative; a monotonic clock never goes back (see `set_wall`).

        """
        if duration < 0:
            misuse("a monotonic clock never goes back", wrong=f"advance({duration})", right="set_wall(earlier)")
        with self._lock:
            self._now += duration
            self._wall += duration

    def set_wall(self, wall: float) -> None:
        """Step the wall clock alone, as an operator or NTP does."""
        with self._lock:
            self._wall = wall

    def sleep(self, duration: float, /) -> None:
        """Jump *duration* seconds and remember it in `slept`."""
        self.slept.append(duration)
        self.advance(duration)

    async def asleep(self, duration: float, /) -> None:
        """Do the same, and let other tasks run once."""
        import asyncio  # noqa: PLC0415 - a sync test never needs it

        self.sleep(duration)
        await asyncio.sleep(0)

"""The only door to time: monotonic seconds, wall-clock seconds, and sleeping."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Protocol

from patterns.errors import misuse

__all__ = ["Clock", "Duration", "SystemClock", "seconds"]

Duration = float | timedelta


class Clock(Protocol):
    """What a guard may know of time; `patterns.testing.ManualClock` is the other implementation."""

    def now(self) -> float:
        """Return monotonic seconds; only differences mean anything."""
        ...

    def wall(self) -> float:
        """Return seconds since 1970-01-01 UTC."""
        ...

    def sleep(self, duration: float, /) -> None:
        """Block the thread for *duration* seconds."""
        ...

    async def asleep(self, duration: float, /) -> None:
        """Suspend the task for *duration* seconds."""
        ...


class SystemClock:
    """The machine's own clock."""

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)

    def sleep(self, duration: float, /) -> None:
        """Block the thread for *duration* seconds."""
        time.sleep(duration)

    async def asleep(self, duration: float, /) -> None:
        """Suspend the task for *duration* seconds."""
        import asyncio

        await asyncio.sleep(duration)


SYSTEM_CLOCK = SystemClock()


def seconds(duration: Duration, *, name: str, positive: bool = True) -> float:
    """Return *duration* as float seconds.

    Args:
        duration: Seconds as a number, or a timedelta.
        name: The option it was given for, shown in the error.
        positive: Refuse zero as well as negative values.

    Raises:
        Misuse: It is negative, not a number, or zero where a positive one is needed.

    """
    value = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or value < 0:  # noqa: PLR0124 - NaN
        misuse(f"{name} must be seconds, not {duration!r}", wrong=f"{name}={duration!r}", right=f"{name}=30")
    if positive and value == 0:
        misuse(f"{name} must be longer than zero", wrong=f"{name}={duration!r}", right=f"{name}=30")
    return float(value)

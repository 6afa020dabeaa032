"""Waiting for somebody else's result: told by the store, looked after by ourselves, and not for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from patterns.kernel.clock import Clock
    from patterns.kernel.storage import AsyncCells

__all__ = ["Patience"]

# A stranger may die at any moment, which no store tells, so it is looked after; this very process is not.
_FIRST, _GROWTH = 0.001, 1.6
_LAST_BEHIND_STRANGER, _LAST_BEHIND_SELF = 0.002, 1.0
_CROWD = 4  # from here on waiters share the looking


class Patience:
    """How long one caller still waits, in looks that become rarer.

    Args:
        clock: Measures the waiting.
        seconds: How long in all.

    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._began = clock.now()
        self._waited = 0.0
        self._pause = _FIRST

    @property
    def left(self) -> float:
        """Seconds left."""
        # By the clock, or by what was waited for if that is more: a clock may stand still, real waiting does not.
        return self._seconds - max(self._waited, self._clock.now() - self._began)

    async def wait(self, cells: AsyncCells, key: str, seen: int, *, waiters: int, stranger: bool, asleep: bool) -> None:
        """Wait until *key* has another version than *seen*, or it is time to look again.

        Args:
            cells: Tells of changes.
            key: Whose.
            seen: The version that is known.
            waiters: How many wait in this process.
            stranger: Whether the one waited for may die without our knowing.
            asleep: Whether to sleep as a task rather than as a thread.

        """
        began = self._clock.now()
        pause = min(self._pause, self.left)
        changed = await cells.wait(key, seen, pause)
        last = _LAST_BEHIND_STRANGER * max(1.0, waiters / _CROWD) if stranger else _LAST_BEHIND_SELF
        self._pause = min(self._pause * _GROWTH, last)
        if changed:
            return
        self._waited += pause
        rest = pause / 2 - (self._clock.now() - began)
        if rest <= 0:
            return
        # The store came back at once with nothing new; it only hints, so the pause is made here.
        if asleep:
            await self._clock.asleep(rest)
        else:
            self._clock.sleep(rest)

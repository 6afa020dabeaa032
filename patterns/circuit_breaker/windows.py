"""Looks back on the calls of one era at a cost that does not depend on how far.

Both windows are told of totals that only grow. `CallTail` remembers the
places of failures and slow calls in that sequence; a success needs no memory,
since the sequence goes on without it. `TimeRing` remembers what the totals
were when each of its slots began; what happened in the window is the
difference between now and then, so nothing is ever summed up.
"""

from __future__ import annotations

from array import array
from bisect import insort
from collections import deque
from math import inf
from typing import TYPE_CHECKING

from patterns.circuit_breaker.rules import Counts, LastSeconds

if TYPE_CHECKING:
    from patterns.circuit_breaker.rules import Window

__all__ = ["SLOTS", "CallTail", "TimeRing", "look_back"]

SLOTS = 20
"""Steps in which a window of seconds moves on; it covers between 95% and 100% of its length."""


class TimeRing:
    """The last *length* seconds, in `SLOTS` steps.

    Args:
        length: Seconds.
        now: Monotonic second at which the era begins.

    Attributes:
        edge: Monotonic second at which the current step ends.

    """

    __slots__ = ("_at_start", "_began", "_slot", "_width", "edge")

    def __init__(self, length: float, now: float) -> None:
        self._width = length / SLOTS
        self._began = now
        self._slot = 0
        self._at_start = array("q", bytes(3 * 8 * SLOTS))
        self.edge = now + self._width

    def roll(self, now: float, totals: Counts) -> None:
        """Begin the step that *now* lies in; *totals* are those before it."""
        slot = int((now - self._began) / self._width)
        for passed in range(max(self._slot + 1, slot - SLOTS + 1), slot + 1):
            start = 3 * (passed % SLOTS)
            self._at_start[start : start + 3] = array("q", (totals.calls, totals.failures, totals.slow))
        if slot > self._slot:
            self._slot = slot
            self.edge = self._began + (slot + 1) * self._width

    def note(self, number: int, *, failed: bool, slow: bool) -> None:
        """Nothing to remember: the totals say it."""

    def amend(self, number: int, ended: float) -> None:
        """Make a failure of a success that was counted when it *ended*."""
        del number
        after = int((ended - self._began) / self._width) + 1
        for passed in range(max(after, self._slot - SLOTS + 1), self._slot + 1):
            self._at_start[3 * (passed % SLOTS) + 1] += 1

    def counts(self, totals: Counts) -> Counts:
        """Return what happened in the window, *totals* being those of now."""
        start = 3 * ((self._slot + 1) % SLOTS)
        calls, failures, slow = self._at_start[start : start + 3]
        return Counts(totals.calls - calls, totals.failures - failures, totals.slow - slow)


class CallTail:
    """The last *size* calls."""

    __slots__ = ("_failures", "_size", "_slow", "edge")

    def __init__(self, size: int) -> None:
        self._size = size
        self._failures: deque[int] | None = None
        self._slow: deque[int] | None = None
        self.edge = inf

    def roll(self, now: float, totals: Counts) -> None:
        """Time does not matter."""

    def note(self, number: int, *, failed: bool, slow: bool) -> None:
        """Remember the call that is the *number*-th of the era."""
        if failed:
            self._failures = _with(self._failures, number, self._size)
        if slow:
            self._slow = _with(self._slow, number, self._size)

    def amend(self, number: int, ended: float) -> None:
        """Make a failure of a success that was the *number*-th call of the era."""
        del ended
        self._failures = deque() if self._failures is None else self._failures
        insort(self._failures, number)

    def counts(self, totals: Counts) -> Counts:
        """Return how the last calls ended, *totals* being those of now."""
        first = totals.calls - self._size
        return Counts(min(totals.calls, self._size), _since(self._failures, first), _since(self._slow, first))


def _with(places: deque[int] | None, number: int, size: int) -> deque[int]:
    places = deque() if places is None else places
    places.append(number)
    _since(places, number - size)
    return places


def _since(places: deque[int] | None, first: int) -> int:
    if places is None:
        return 0
    while places and places[0] <= first:
        places.popleft()
    return len(places)


def look_back(window: Window, now: float) -> TimeRing | CallTail:
    """Return what counts *window* in an era that begins *now*."""
    return TimeRing(window.length, now) if isinstance(window, LastSeconds) else CallTail(window.size)

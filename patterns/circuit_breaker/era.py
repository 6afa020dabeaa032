"""What is counted during one era of a circuit.

A success that comes while nothing else happens is one atomic step of a
C-level counter (``next(era.ticks)``), without a lock; everything else is done
under the breaker's lock. Since failures take their number from the same
counter, "in a row" and "among the last N" need no word from the successes.
"""

from __future__ import annotations

from itertools import count
from math import inf
from typing import TYPE_CHECKING

from patterns.circuit_breaker.machine import ADMITS_ALL, State
from patterns.circuit_breaker.rules import Counts
from patterns.circuit_breaker.windows import look_back
from patterns.errors import CircuitOpen

if TYPE_CHECKING:
    from patterns.circuit_breaker.events import StateChanged
    from patterns.circuit_breaker.machine import Circuit, Lease
    from patterns.circuit_breaker.rules import Window

__all__ = ["Era", "Probe", "refusal_in"]

_STANDS = {
    State.CLOSED: "is closed",
    State.OPEN: "is open",
    State.HALF_OPEN: "is half open and waits for its probes",
    State.FORCED_OPEN: "was opened by hand",
    State.DISABLED: "is disabled",
}


class Era:
    """The calls admitted between two moves of the circuit; also the permit of each of them.

    Args:
        circuit: What the machine knows; replaced while the era goes on, only ever by one of the same era.
        windows: What the rule looks back on; empty if this era is not judged by a rule.
        name: The breaker's.

    Attributes:
        free: Whether everybody is admitted without a question.
        ticks: Gives each call that ended the next number.
        began: The change of state that began it, if it was one.
        peeks: Numbers that were taken to look and belong to no call.
        edge: Monotonic second before which a success has nothing to do but to tick.
        shut_until: Monotonic second before which nobody is admitted.
        refusal: What every refused call gets a copy of; None if it is free.

    """

    __slots__ = (
        "_failures",
        "_last_failure",
        "_looks",
        "_run",
        "_slow",
        "_total",
        "_windows",
        "began",
        "circuit",
        "edge",
        "free",
        "peeks",
        "refusal",
        "shut_until",
        "ticks",
    )

    def __init__(self, circuit: Circuit, windows: tuple[Window, ...], name: str) -> None:
        self.circuit = circuit
        self.free = circuit.state in ADMITS_ALL
        self.shut_until = -inf
        self.refusal = None if self.free else refusal_in(circuit, name)
        self.began: StateChanged | None = None
        self.ticks = count(1)
        self.peeks = 0
        self._total = 0
        self._failures = 0
        self._slow = 0
        self._run = 0
        self._last_failure = 0
        self._windows = windows
        self._looks = tuple(look_back(window, circuit.since) for window in windows)
        self.edge = min((look.edge for look in self._looks), default=inf)

    @property
    def totals(self) -> Counts:
        """How the calls of the whole era ended, as of the last look."""
        return Counts(self._total, self._failures, self._slow)

    @property
    def streak(self) -> int:
        """How many failed since the last success."""
        return self._run if self._total == self._last_failure else 0

    @property
    def seen(self) -> Counts:
        """How the calls of the first window ended, or of the whole era if there is none; as of the last look."""
        return next((look.counts(self.totals) for look in self._looks), self.totals)

    def counts(self, window: Window, /) -> Counts:
        """Return how the calls of *window* ended, as of the last look."""
        return self._looks[self._windows.index(window)].counts(self.totals)

    def add(self, now: float, *, failed: bool, slow: bool, weight: int = 1) -> int:
        """Count a call that ended *now*, as *weight* calls, and return its number; needs the lock."""
        number = next(self.ticks) - self.peeks
        self._total = number - 1
        self._roll(now)
        self._note(number, failed=failed, slow=slow)
        for _ in range(weight - 1):
            self._note(next(self.ticks) - self.peeks, failed=failed, slow=slow)
        return number

    def amend(self, number: int, ended: float, now: float) -> None:
        """Make a failure of the success that was the *number*-th call and *ended* then; needs the lock."""
        self.look(now)
        self._failures += 1
        for look in self._looks:
            look.amend(number, ended)
        if number == self._last_failure - self._run:
            self._run += 1
        elif number > self._last_failure:
            self._lengthen(number)

    def _lengthen(self, number: int) -> None:
        self._run = self._run + 1 if number == self._last_failure + 1 else 1
        self._last_failure = number

    def look(self, now: float) -> None:
        """Bring everything up to *now*; needs the lock."""
        self._total = next(self.ticks) - self.peeks - 1
        self.peeks += 1
        self._roll(now)

    def _roll(self, now: float) -> None:
        if now >= self.edge:
            for look in self._looks:
                look.roll(now, self.totals)
            self.edge = min(look.edge for look in self._looks)

    def _note(self, number: int, *, failed: bool, slow: bool) -> None:
        self._total = number
        if failed:
            self._lengthen(number)
            self._failures += 1
        self._slow += slow
        for look in self._looks:
            look.note(number, failed=failed, slow=slow)


def refusal_in(circuit: Circuit, name: str) -> CircuitOpen:
    """Return the error that refused calls get a copy of."""
    text = f"the circuit {name!r} {_STANDS[circuit.state]}: {circuit.reason}"
    return CircuitOpen(text, retry_after=None, breaker=name, state=circuit.state.value, reason=circuit.reason)


class Probe:
    """The permit of a call that is let through to find out."""

    __slots__ = ("era", "lease")

    free = False

    def __init__(self, era: Era, lease: Lease) -> None:
        self.era = era
        self.lease = lease

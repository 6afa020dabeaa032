"""A kill switch: one hand on many breakers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from weakref import WeakSet

from patterns.errors import misuse

if TYPE_CHECKING:
    from patterns.circuit_breaker.engine import Engine

__all__ = ["Switch"]


class Switch:
    """Opens many breakers at once, and lets go of all of them again.

    Breakers are put on it with ``CircuitBreaker(..., switch=switch)``; those
    that are made while it is open are refused from their first call. It wins
    over what is done to a single breaker: neither `CircuitBreaker.reset` nor
    `CircuitBreaker.disable` lets a call through while it is open. A breaker
    that was opened by hand stays so when the switch is closed.

    Args:
        name: What it cuts off, in words.

    Raises:
        Misuse: The name is empty.

    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            misuse(f"a switch has a name, not {name!r}", wrong="Switch()", right='Switch("all payments")')
        self.name = name
        self._reason: str | None = None
        self._lock = threading.Lock()
        self._engines: WeakSet[Engine] = WeakSet()

    @property
    def reason(self) -> str | None:
        """Why it is open, or None if it is closed."""
        return self._reason

    def open(self, reason: str) -> None:
        """Refuse every call through every breaker on it.

        Args:
            reason: In words; refusals and events show it.

        Raises:
            Misuse: There is no reason given.

        """
        self._throw(f"{self.name}: {said(reason, 'switch.open')}")

    def close(self) -> None:
        """Let calls through again, except by breakers that others hold open; they begin CLOSED, without a past."""
        self._throw(None)

    def _throw(self, reason: str | None) -> None:
        # Each breaker looks at the switch after this store, so whoever throws last is obeyed by all.
        self._reason = reason
        with self._lock:
            engines = list(self._engines)
        for engine in engines:
            engine.obey(self)

    def attach(self, engine: Engine) -> None:
        """Put a breaker on the switch; `CircuitBreaker` does it."""
        with self._lock:
            self._engines.add(engine)
        engine.obey(self)

    def __repr__(self) -> str:
        return f"<Switch {self.name!r} {'closed' if self._reason is None else 'open'}>"


def said(reason: str, verb: str) -> str:
    """Return *reason* if there is one.

    Raises:
        Misuse: There is none.

    """
    if not isinstance(reason, str) or not reason.strip():
        misuse("say why: others will want to know", wrong=f"{verb}()", right=f'{verb}("maintenance")')
    return reason

"""A breaker as it is at one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from patterns.circuit_breaker.machine import State
    from patterns.circuit_breaker.rules import Counts

__all__ = ["Snapshot"]


@frozen(kw_only=True)
class Snapshot:
    """A breaker as it is at one moment.

    Args:
        name: The breaker's.
        state: Where the circuit stands. It stays OPEN after the wait until somebody calls.
        since: When it went there, in seconds since 1970-01-01 UTC.
        reason: Why, in words; empty if it was never anywhere else.
        retry_after: Seconds until a call may help; 0 for at once, None if nobody can know.
        counts: How the calls of the rule's first window ended; of the whole era if the rule has no window.
        streak: How many of the last calls failed without a success between them.
        refused: Calls refused so far, or that would have been if the breaker were enforced.
        openings: How often it opened since it last recovered.
        probes: Probes that run now.
        successes: Probes that succeeded since it is half open.
        last_failure: Type and text of the last failure.
        enforced: Whether refused calls are really refused.

    """

    name: str
    state: State
    since: float
    reason: str
    retry_after: float | None
    counts: Counts
    streak: int
    refused: int
    openings: int
    probes: int
    successes: int
    last_failure: str | None
    enforced: bool

"""What a breaker tells those who listen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from patterns.kernel.events import Event

if TYPE_CHECKING:
    from patterns.circuit_breaker.machine import State

__all__ = ["CallRefused", "ProbeExpired", "StateChanged", "VerdictRevised"]


@frozen(kw_only=True)
class StateChanged(Event):
    """The circuit went from one state to another.

    Args:
        old: State before.
        new: State since.
        era: Number of the new era.
        reason: Why, in words.
        retry_after: Seconds from then on until a probe may pass; None unless it opened for a time.

    """

    old: State
    new: State
    era: int
    reason: str
    retry_after: float | None


@frozen(kw_only=True)
class ProbeExpired(Event):
    """A probe did not end before its deadline and lost its place; it hangs or was forgotten.

    Args:
        era: Number of the era it belongs to.
        lease: Its number in that era.

    """

    era: int
    lease: int


@frozen(kw_only=True)
class VerdictRevised(Event):
    """A call that seemed to have gone well turned out to have failed.

    Args:
        reason: Why, in words.
        counted: Whether it was counted; False if the circuit changed its state in the meantime.

    """

    reason: str
    counted: bool


@frozen(kw_only=True)
class CallRefused(Event):
    """A call was not made; told in `Call.events` of that call alone, for there may be very many.

    Args:
        call: Name of the function or step.
        state: Where the circuit stood.
        retry_after: Seconds until it may be worth calling again; None if nobody can know.

    """

    call: str
    state: State
    retry_after: float | None

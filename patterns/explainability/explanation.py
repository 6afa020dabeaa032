"""What an explanation holds."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from attrs import asdict, field, frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Decision", "Ending", "Explanation", "Phase"]


class Phase(StrEnum):
    """When in the life of a call an explanation was made."""

    PRE = "pre-action"
    POST = "post-action"
    ERROR = "on-error"


class Ending(StrEnum):
    """How the call ended, in the words of the five outcomes."""

    EXECUTED = "executed"
    FAILED = "failed"
    REFUSED = "refused"
    REPLAYED = "replayed"
    ABANDONED = "abandoned"


@frozen(kw_only=True)
class Decision:
    """What another pattern decided during the call.

    Args:
        source: The pattern object's name, such as a breaker's.
        event: What it did, such as ``EffectReplayed``.
        facts: The event's facts by name, redacted and shortened.

    """

    source: str
    event: str
    facts: Mapping[str, Any]


@frozen(kw_only=True)
class Explanation:
    """Why an agent did something, and what became of it.

    Args:
        phase: Before the action, after it, or on its error.
        at: Seconds since 1970-01-01 UTC.
        agent: Who acted.
        tool: Name of the function or step.
        call_id: The guarded call; a pre-action and its later explanation share it, and so do its span and its
            record in the audit log.
        parent_id: The guarded call it was made from.
        traceparent: W3C traceparent of the call's span, if it is traced.
        run: Ids of the runs around it, outermost first.
        tenant: Whose work it was.
        user: For whom.
        reasoning: Why, in the agent's or the programmer's words.
        confidence: From 0 to 1, if told.
        alternatives: What else was considered.
        inputs: Arguments by name, redacted and shortened.
        output: What it returned, redacted and shortened; only after the action.
        error: Type and text of the error, redacted and shortened; only on error.
        ending: How the call ended; None before the action.
        decisions: What the other patterns of the call decided.
        duration: Seconds from pre-action to the end; None before the action.
        trouble: What went wrong while explaining, such as a reasoning function that raised.

    """

    phase: Phase
    at: float
    agent: str
    tool: str
    call_id: str
    parent_id: str | None = None
    traceparent: str | None = None
    run: tuple[str, ...] = ()
    tenant: str | None = None
    user: str | None = None
    reasoning: str | None = None
    confidence: float | None = None
    alternatives: tuple[str, ...] = ()
    inputs: Mapping[str, Any] = field(factory=dict)
    output: Any = None
    error: str | None = None
    ending: Ending | None = None
    decisions: tuple[Decision, ...] = ()
    duration: float | None = None
    trouble: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)

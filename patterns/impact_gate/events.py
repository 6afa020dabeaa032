"""What the impact gate tells: on the call, where audit and explanations find it, and to listeners."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from patterns.kernel.events import Event

if TYPE_CHECKING:
    from patterns.impact_gate.assessment import Assessment
    from patterns.impact_gate.diff import Diff

__all__ = ["Assessed", "ImpactSurprise", "ReviewPassed"]


@frozen(kw_only=True)
class Assessed(Event):
    """The gate looked at a call and decided."""

    assessment: Assessment


@frozen(kw_only=True)
class ReviewPassed(Event):
    """A reviewer let a call through, and it still does what was reviewed."""

    assessment: Assessment


@frozen(kw_only=True)
class ImpactSurprise(Event):
    """A call did something else than its rehearsal.

    Args:
        action: The function's name.
        where: What differs, as ``table.column``, or ``table`` for rows that only one of them touched.
        expected: What the rehearsal did.
        actual: What the call really did.

    """

    action: str
    where: tuple[str, ...]
    expected: Diff
    actual: Diff

"""Who decides about what lies between the two thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from patterns.errors import ActionBlocked
from patterns.kernel.settle import hook_result

if TYPE_CHECKING:
    from patterns.impact_gate.assessment import Assessment
    from patterns.impact_gate.options import Review
    from patterns.kernel.call import Call

__all__ = ["Reviewer", "reviewed"]


class Reviewer(Protocol):
    """Decides about a call that needs a review, now or later."""

    async def review(self, call: Call, assessment: Assessment, /) -> None:
        """Return if the call may run, after handing ``call.at_commit`` what must be written when it does.

        In the call of a ``def`` it must not suspend.

        Raises:
            ApprovalPending: Nobody has decided yet.
            ApprovalDenied: Somebody said no.

        """


async def reviewed(reviewer: Review, call: Call, assessment: Assessment) -> None:
    """Ask the reviewer.

    Raises:
        ActionBlocked: A function said something else than True.

    """
    review = getattr(reviewer, "review", None)
    if review is not None:
        await review(call, assessment)
        return
    ask: Any = reviewer
    answer = await hook_result(ask(assessment), call, "reviewer")
    if answer is not True:
        raise ActionBlocked(f"the review did not approve it: {assessment}", call=call.name, assessment=assessment)

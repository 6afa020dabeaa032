"""Guards around ``with`` blocks that take back what was done inside when the block raises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from patterns.kernel.guard import Guard
from patterns.kernel.outcome import Abandoned, Refused, Replayed, Returned
from patterns.rollback.extent import Extent
from patterns.rollback.mode import Mode
from patterns.rollback.undoing import Failures, Undoing, Words, incomplete

if TYPE_CHECKING:
    from collections.abc import Iterable

    from patterns.kernel.call import Call, Proceed
    from patterns.kernel.outcome import Outcome
    from patterns.rollback.machine import Action
    from patterns.rollback.manager import RollbackManager

__all__ = ["RollbackGuard", "leave_failed"]


def leave_failed(outcome: Outcome, failures: Failures, words: Words, **facts: Any) -> None:
    """Raise what a block raises that failed and of which *failures* could not be undone.

    An interruption stays what it is, with a note: whoever cancels must see
    the cancellation.
    """
    if failures and isinstance(outcome, Abandoned):
        outcome.error.add_note(str(incomplete(failures, words)))
    elif failures and not isinstance(outcome, Returned):
        raise incomplete(failures, words, **facts) from outcome.error


class RollbackGuard(Guard):
    """Undoes what was done in the block if it raises.

    Args:
        manager: Whose log it is.

    """

    name = "rollback.transaction"

    def __init__(self, manager: RollbackManager) -> None:
        self._manager = manager

    async def around(self, call: Call, proceed: Proceed) -> Any:
        """Let the block run; undo what was done inside unless it returns."""
        stack = self._manager.stack_of(call.run)
        extent, start = Extent(stack.log), stack.enter()
        extent.open()
        try:
            outcome = await call.attempt(proceed)
            extent.close()
            if isinstance(outcome, (Returned, Replayed, Refused)):
                return outcome.unwrap()
            extent.failed(self._take_back(extent))
            undoing = self._undoing(extent, Mode(call.target.asynchronous, self._manager.clock))
            await call.shield(undoing.run(extent.actions))
            call.events.extend(undoing.events)
            call.note(rollback__undone=len(undoing.undone), rollback__failed=len(undoing.failures))
            leave_failed(outcome, tuple(undoing.failures), self._manager.words)
            return outcome.unwrap()
        finally:
            stack.leave(start)
            stack.drop_finished(extent.actions)

    def _undoing(self, extent: Extent, mode: Mode) -> Undoing:
        return Undoing(extent.log, mode, self._manager.words, self._manager.listeners)

    def _take_back(self, extent: Extent) -> Any:
        async def take_back(actions: Iterable[Action], mode: Mode) -> None:
            await self._undoing(extent, mode).run(actions)

        return take_back

"""What a person may decide about an action that could not be undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from patterns.errors import misuse
from patterns.rollback.events import ActionDecided
from patterns.rollback.machine import MOVES, ActionState

if TYPE_CHECKING:
    from patterns.rollback.log import UndoLog
    from patterns.rollback.machine import Action
    from patterns.rollback.mode import Mode

__all__ = ["decide"]


async def decide(log: UndoLog, action_id: str, decision: str, *, reason: str, mode: Mode, source: str) -> ActionDecided:
    """Dismiss or reopen an action of *log*; return what to tell of it.

    Raises:
        Misuse: There is no such action, it is not in a state for that, or no reason is given.

    """
    if not isinstance(reason, str) or not reason.strip():
        misuse(
            "a decision needs a reason, for whoever reads it later",
            wrong=f"dismiss({action_id!r}, reason={reason!r})",
            right=f'dismiss({action_id!r}, reason="refunded by hand, receipt 4711")',
        )
    action = log.get(action_id)
    if action is None:
        known = ", ".join(one.id for one in log.actions if one.state is ActionState.PARKED) or "none"
        misuse(
            f"there is no action {action_id!r} here; parked are: {known}", wrong=f"dismiss({action_id!r})", right=known
        )
    if decision == "dismissed":
        await _dismiss(log, action, mode)
    else:
        await _reopen(log, action, mode)
    return ActionDecided(
        source=source, at=mode.clock.wall(), action=action.name, action_id=action_id, decision=decision, reason=reason
    )


async def _dismiss(log: UndoLog, action: Action, mode: Mode) -> None:
    if ActionState.DISMISSED not in MOVES[action.state]:
        misuse(
            f"{action.name} is {action.state.value}",
            wrong=f"dismiss({action.id!r})",
            right="wait until it has ended",
        )
    await log.move(action.id, ActionState.DISMISSED, mode)
    log.drop(action.id)


async def _reopen(log: UndoLog, action: Action, mode: Mode) -> None:
    if action.state is not ActionState.PARKED:
        misuse(
            f"{action.name} is {action.state.value}, not parked",
            wrong=f"reopen({action.id!r})",
            right="reopen an action whose undo is in doubt",
        )
    again = evolve(action, undo_in_doubt=False)
    log.replace(again)
    await log.save(again, mode)

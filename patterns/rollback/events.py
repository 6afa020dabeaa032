"""What the undo log tells its listeners."""

from __future__ import annotations

from attrs import frozen

from patterns.kernel.events import Event

__all__ = ["ActionDecided", "ActionParked", "ActionUndone", "CheckpointForgotten", "RolledBack"]


@frozen(kw_only=True)
class ActionUndone(Event):
    """The undo of an action returned.

    Args:
        action: Name of the action.
        action_id: Its id in the undo log.

    """

    action: str
    action_id: str


@frozen(kw_only=True)
class ActionParked(Event):
    """An action could not be undone; it stays in the log until a rollback succeeds or a person dismisses it.

    Args:
        action: Name of the action.
        action_id: Its id in the undo log.
        error: Why, in one line.

    """

    action: str
    action_id: str
    error: str


@frozen(kw_only=True)
class CheckpointForgotten(Event):
    """A limit was reached: what was done before the oldest checkpoint that is left is final now.

    Args:
        checkpoint: Name of the checkpoint, or ``""`` if the limit was that of actions.
        actions: How many actions became final.

    """

    checkpoint: str
    actions: int


@frozen(kw_only=True)
class RolledBack(Event):
    """A rollback ended.

    Args:
        undone: How many actions it undid.
        failed: How many it could not undo.

    """

    undone: int
    failed: int


@frozen(kw_only=True)
class ActionDecided(Event):
    """A person decided about a parked action.

    Args:
        action: Name of the action.
        action_id: Its id in the undo log.
        decision: ``dismissed`` or ``reopened``.
        reason: In their words.

    """

    action: str
    action_id: str
    decision: str
    reason: str

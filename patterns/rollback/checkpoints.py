"""The checkpoints of one run, as a stack, and the snapshots of state that belong to them."""

from __future__ import annotations

import copy
from threading import Lock
from typing import TYPE_CHECKING, Any

from attrs import frozen

from patterns.errors import Misuse, misuse
from patterns.rollback.machine import OPEN, ActionState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from patterns.rollback.log import UndoLog
    from patterns.rollback.machine import Action
    from patterns.rollback.undoing import Failures

__all__ = ["Checkpoint", "Rollback", "Stack", "snapshot"]


@frozen(kw_only=True)
class Checkpoint:
    """A point to which a run can be rolled back.

    Args:
        id: Unique.
        name: What it is called.
        safe: Whether `rollback_to_last_safe_point` stops here.
        position: How many actions stood in the undo log.
        at: Seconds since 1970-01-01 UTC.

    """

    id: str
    name: str
    safe: bool
    position: int
    at: float


@frozen(kw_only=True)
class Rollback:
    """What a rollback did.

    Args:
        checkpoint: Where it went back to; None if everything was undone.
        state: A copy of the checkpoint's state.
        undone: The actions it undid, in the order in which it did so.
        failures: Names and errors of the actions that it could not undo.

    """

    checkpoint: Checkpoint | None
    state: Any
    undone: tuple[Action, ...]
    failures: Failures


class Stack:
    """The checkpoints of one run, oldest first, over its undo log.

    Args:
        log: The actions of the run.

    """

    def __init__(self, log: UndoLog) -> None:
        self.log = log
        self._lock = Lock()
        self._checkpoints: list[Checkpoint] = []
        self._states: dict[str, Any] = {}
        self._open_transactions: list[int] = []

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """The checkpoints, oldest first."""
        with self._lock:
            return tuple(self._checkpoints)

    def push(self, checkpoint: Checkpoint, state: Any, limit: int) -> Checkpoint | None:
        """Add a checkpoint; return the oldest one if there are more than *limit* and it had to go."""
        with self._lock:
            self._checkpoints.append(checkpoint)
            self._states[checkpoint.id] = state
            if len(self._checkpoints) <= limit:
                return None
            oldest = self._checkpoints.pop(0)
            self._states.pop(oldest.id)
            return oldest

    def last(self, steps: int) -> Checkpoint:
        """Return the checkpoint *steps* back, 1 being the newest.

        Raises:
            Misuse: There are fewer.

        """
        known = self.checkpoints
        if steps > len(known):
            misuse(
                f"there is no checkpoint {steps} steps back, only {len(known)}",
                wrong=f"undo.rollback(steps={steps})",
                right="undo.rollback_all()" if not known else f"undo.rollback(steps={len(known)})",
            )
        return known[-steps]

    def last_safe(self) -> Checkpoint:
        """Return the newest safe checkpoint.

        Raises:
            Misuse: There is none.

        """
        for checkpoint in reversed(self.checkpoints):
            if checkpoint.safe:
                return checkpoint
        misuse(
            "no checkpoint of this run is a safe point",
            wrong='undo.checkpoint("before the refunds"); undo.rollback_to_last_safe_point()',
            right='undo.checkpoint("before the refunds", safe=True); undo.rollback_to_last_safe_point()',
        )

    def find(self, wanted: Checkpoint | str) -> Checkpoint:
        """Return the checkpoint with that id.

        Raises:
            Misuse: This run has none, or it was forgotten.

        """
        wanted_id = wanted.id if isinstance(wanted, Checkpoint) else wanted
        for checkpoint in self.checkpoints:
            if checkpoint.id == wanted_id:
                return checkpoint
        known = ", ".join(f"{one.name} ({one.id})" for one in self.checkpoints[-5:]) or "none"
        misuse(
            f"this run has no checkpoint {wanted_id!r}; the last ones are: {known}",
            wrong=f"undo.rollback_to({wanted_id!r})",
            right='checkpoint = undo.checkpoint("before"); undo.rollback_to(checkpoint)',
        )

    def state(self, checkpoint: Checkpoint) -> Any:
        """Return the state kept with *checkpoint*."""
        return self._states.get(checkpoint.id)

    def cut(self, checkpoint: Checkpoint | None) -> None:
        """Forget the checkpoints after *checkpoint*; all of them if it is None."""
        with self._lock:
            kept = (
                0
                if checkpoint is None
                else 1 + next((index for index, one in enumerate(self._checkpoints) if one.id == checkpoint.id), -1)
            )
            for gone in self._checkpoints[kept:]:
                self._states.pop(gone.id, None)
            del self._checkpoints[kept:]

    def enter(self) -> int:
        """Begin a transaction; return where it begins in the log."""
        with self._lock:
            start = self.log.position
            self._open_transactions.append(start)
        return start

    def leave(self, start: int) -> None:
        """End the transaction that began at *start*."""
        with self._lock:
            self._open_transactions.remove(start)

    def drop_finished(self, actions: Iterable[Action]) -> None:
        """Forget those among *actions* with which nothing is left to do."""
        for action in actions:
            if action.state not in OPEN:
                self.log.drop(action.id)

    def final_before(self) -> int:
        """Return the position before which no checkpoint and no open transaction begins."""
        with self._lock:
            begins = [checkpoint.position for checkpoint in self._checkpoints[:1]] + self._open_transactions
            return min(begins, default=self.log.position)

    def open_before(self) -> int:
        """Return the position at which the oldest open transaction begins, or the end of the log."""
        with self._lock:
            return min(self._open_transactions, default=self.log.position)

    @property
    def is_idle(self) -> bool:
        """Whether nobody is at work here and nothing waits for a person."""
        busy = {ActionState.RUNNING, ActionState.UNDOING, ActionState.PARKED}
        return not self._open_transactions and not any(action.state in busy for action in self.log.actions)


def snapshot(state: Any) -> Any:
    """Return a deep copy of *state*.

    Raises:
        Misuse: It cannot be copied.

    """
    try:
        return copy.deepcopy(state)
    except Exception as error:
        raise Misuse.shown(
            f"the state cannot be copied: {type(error).__name__}: {error}",
            wrong="undo.checkpoint(name, state=connection)",
            right="RollbackManager(name, capture=world.export, restore=world.load)",
        ) from error

"""What a saga did, step by step, for people and programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from patterns.rollback.machine import Action, ActionState, SagaStatus

__all__ = ["SagaReport", "StepRecord", "record_of"]


@frozen(kw_only=True)
class StepRecord:
    """One step of a saga.

    Args:
        name: The tool's or step's name.
        state: How it stands.
        id: Its id in the undo log, for `Saga.dismiss` and `Saga.reopen`; None if it was not begun.
        group: Steps of one parallel group share a number.
        attempts: How often it was tried.
        result: What it returned.
        error: What it raised, or what refused it.
        undo_error: Why its compensation failed.
        started: When it began, seconds since 1970-01-01 UTC.
        duration: Seconds it took.

    """

    name: str
    state: ActionState
    id: str | None = None
    group: int | None = None
    attempts: int = 0
    result: Any = None
    error: BaseException | None = None
    undo_error: BaseException | None = None
    started: float | None = None
    duration: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON can say it, without the result, which may be private."""
        return {
            "name": self.name,
            "state": self.state.value,
            "id": self.id,
            "group": self.group,
            "attempts": self.attempts,
            "error": _one_line(self.error),
            "undo_error": _one_line(self.undo_error),
            "started": self.started,
            "duration": self.duration,
        }


@frozen(kw_only=True)
class SagaReport:
    """What became of one run of a saga; ``print(report)`` shows it.

    Args:
        saga: The saga's name.
        id: The run's id.
        status: How it ended.
        steps: One record per step, in order.
        error: Why it failed; None if it did not.
        started: When it began, seconds since 1970-01-01 UTC.
        duration: Seconds it took, compensation included; None while it runs.

    """

    saga: str
    id: str
    status: SagaStatus
    steps: tuple[StepRecord, ...]
    error: BaseException | None
    started: float
    duration: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON can say it."""
        return {
            "saga": self.saga,
            "id": self.id,
            "status": self.status.value,
            "error": _one_line(self.error),
            "started": self.started,
            "duration": self.duration,
            "steps": [step.to_dict() for step in self.steps],
        }

    def __str__(self) -> str:
        took = "" if self.duration is None else f" after {self.duration:.3f} s"
        lines = [f"saga {self.saga} {self.id}: {self.status.name}{took}"]
        width = max((len(step.name) for step in self.steps), default=0)
        for number, step in enumerate(self.steps, 1):
            told = _one_line(step.undo_error) or _one_line(step.error) or ""
            lines.append(f"  {number:>2}  {step.name:<{width}}  {step.state.value:<9}  {told}".rstrip())
        if self.error is not None:
            lines.append(f"  because of {_one_line(self.error)}")
        return "\n".join(lines)


def record_of(action: Action) -> StepRecord:
    """Return what the undo log says of *action*."""
    return StepRecord(
        name=action.name,
        state=action.state,
        id=action.id,
        group=action.group,
        attempts=action.attempts,
        result=action.result,
        error=action.error,
        undo_error=action.undo_error,
        started=action.started,
        duration=action.duration,
    )


def _one_line(error: BaseException | None) -> str | None:
    return None if error is None else " ".join(f"{type(error).__name__}: {error}".split())

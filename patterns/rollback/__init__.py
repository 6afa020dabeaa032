"""Rollback and sagas: what was done is taken back, last first, when the whole cannot be finished."""

from __future__ import annotations

from patterns.rollback.checkpoints import Checkpoint, Rollback
from patterns.rollback.events import ActionDecided, ActionParked, ActionUndone, CheckpointForgotten, RolledBack
from patterns.rollback.execution import Step
from patterns.rollback.machine import Action, ActionState, Happened, SagaStatus
from patterns.rollback.manager import RollbackManager
from patterns.rollback.report import SagaReport, StepRecord
from patterns.rollback.saga import Saga
from patterns.rollback.transaction import Transaction

__all__ = [
    "Action",
    "ActionDecided",
    "ActionParked",
    "ActionState",
    "ActionUndone",
    "Checkpoint",
    "CheckpointForgotten",
    "Happened",
    "Rollback",
    "RollbackManager",
    "RolledBack",
    "Saga",
    "SagaReport",
    "SagaStatus",
    "Step",
    "StepRecord",
    "Transaction",
]

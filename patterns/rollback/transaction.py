"""One run of a saga: the block in which its tools are called, and what they did."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any, Self

from patterns.errors import InFlight
from patterns.kernel.block import Block
from patterns.kernel.guard import Guard
from patterns.kernel.outcome import Raised, Refused, Replayed, Returned
from patterns.rollback.extent import Extent
from patterns.rollback.machine import ActionState, SagaStatus, saga_status
from patterns.rollback.mode import Mode
from patterns.rollback.report import SagaReport, StepRecord, record_of
from patterns.rollback.transactions import leave_failed
from patterns.rollback.undoing import Undoing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from patterns.kernel.call import Call, Proceed
    from patterns.kernel.outcome import Outcome
    from patterns.rollback.log import UndoLog
    from patterns.rollback.machine import Action
    from patterns.rollback.saga import Saga

__all__ = ["Transaction", "actions_of_step", "current_transaction", "parallel_group", "refuse_over"]

_transaction: contextvars.ContextVar[Transaction | None] = contextvars.ContextVar("patterns_saga", default=None)

parallel_group: contextvars.ContextVar[int | None] = contextvars.ContextVar("patterns_saga_group", default=None)
"""The number that the actions of the parallel group being run share."""


actions_of_step: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("patterns_saga_step", default=None)
"""Where the names of the actions are collected that the executor's current step leads to."""


def current_transaction(saga: Saga) -> Transaction | None:
    """Return the innermost run of *saga* that this code belongs to, or None."""
    found = _transaction.get()
    while found is not None and found.saga is not saga:
        found = found.outer
    return found


class Transaction:
    """One run of a saga, as ``with`` or ``async with``; made by `Saga.transaction`.

    A run inside another one shares its undo log: what the inner run did is
    taken back too when the outer one fails later.

    Args:
        saga: Whose tools it records.
        id: Its name.
        log: Where its actions are written down, unless it is entered inside another run.

    Attributes:
        outer: The run it is part of, or None.
        extent: Its actions.
        error: Why it failed; None if it did not.
        planned: Names of steps that are still to be begun.
        unrecorded: Steps that a guard around the tool refused or replayed.
        is_over: Whether its block has ended.

    """

    def __init__(self, saga: Saga, id: str, log: UndoLog) -> None:  # noqa: A002 - the word users look for
        self.saga = saga
        self.id = id
        self.outer: Transaction | None = None
        self.extent = Extent(log)
        self.error: BaseException | None = None
        self.planned: tuple[str, ...] = ()
        self.unrecorded: tuple[StepRecord, ...] = ()
        self.is_over = False
        self._started = saga.clock.wall()
        self._began = saga.clock.now()
        self._duration: float | None = None
        self._block = Block(_SagaGuard(self), saga.name, {"id": id})
        self._token: contextvars.Token[Transaction | None] | None = None

    def __repr__(self) -> str:
        return f"<Transaction {self.id} of saga {self.saga.name}: {self.status.name}>"

    @property
    def log(self) -> UndoLog:
        """Where its actions are written down."""
        return self.extent.log

    @property
    def status(self) -> SagaStatus:
        """How it stands."""
        return saga_status(self.extent.actions, over=self.is_over, failed=self.error is not None)

    @property
    def report(self) -> SagaReport:
        """What it did so far."""
        pending = [StepRecord(name=name, state=ActionState.PENDING) for name in self.planned]
        return SagaReport(
            saga=self.saga.name,
            id=self.id,
            status=self.status,
            steps=(*map(record_of, self.extent.actions), *self.unrecorded, *pending),
            error=self.error,
            started=self._started,
            duration=self._duration,
        )

    # As a block

    def __enter__(self) -> Self:
        self._block.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return self._block.__exit__(kind, error, trace)

    async def __aenter__(self) -> Self:
        await self._block.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return await self._block.__aexit__(kind, error, trace)

    # What its guard does

    async def begin(self, mode: Mode) -> None:
        """Become the current run, part of the run around it if there is one.

        Raises:
            InFlight: The store knows an unfinished run of this name.

        """
        around = _transaction.get()
        if around is not None and not around.is_over:
            self.outer, self.extent = around, Extent(around.log)
        else:
            await self.saga.unfinished_runs.begin(self, mode)
        self.extent.open()
        self._token = _transaction.set(self)

    def left(self) -> None:
        """Undo `begin`; a block may be left from another context than it was entered in."""
        self.extent.close()
        if self._token is not None and _transaction.get() is self:
            _transaction.set(self.outer)

    async def succeed(self, mode: Mode) -> None:
        """Let what was done be final, unless an outer run may still take it back."""
        if self.outer is None:
            await self.saga.unfinished_runs.finish(self, mode)
        self._end()

    async def compensate(self, mode: Mode) -> Undoing:
        """Take back what was done; what cannot be taken back stays in the log, and the saga keeps it in view."""
        undoing = self._undoing(mode)
        try:
            await undoing.run(self.extent.actions)
        finally:
            self._end()
        if self.outer is None and self.status is SagaStatus.COMPENSATED:
            await self.saga.unfinished_runs.swept(self, mode)
        return undoing

    async def fail(self, error: BaseException, mode: Mode) -> Undoing:
        """Do what the saga does on failure."""
        self.error = error
        self.saga.unfinished_runs.watch(self)
        if self.saga.compensates:
            self.extent.failed(self._take_back)
            return await self.compensate(mode)
        self._end()
        return self._undoing(mode)

    async def _take_back(self, actions: Iterable[Action], mode: Mode) -> None:
        await self._undoing(mode).run(actions)

    def _undoing(self, mode: Mode) -> Undoing:
        return Undoing(self.log, mode, self.saga.words, self.saga.listeners)

    def _end(self) -> None:
        self.is_over = True
        self._duration = self.saga.clock.now() - self._began


class _SagaGuard(Guard):
    """Compensates when the block raises or is cut short."""

    name = "saga.transaction"

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def around(self, call: Call, proceed: Proceed) -> Any:
        """Let the block run, then let what was done be final or take it back."""
        transaction, mode = self._transaction, Mode(call.target.asynchronous, self._transaction.saga.clock)
        await transaction.begin(mode)
        try:
            outcome = await call.attempt(proceed)
        finally:
            transaction.left()
        if isinstance(outcome, Returned):
            outcome = await self._succeed(call, outcome, mode)
        if isinstance(outcome, (Returned, Replayed, Refused)):
            return outcome.unwrap()
        undoing = await call.shield(transaction.fail(outcome.error, mode))
        call.events.extend(undoing.events)
        call.note(saga__status=transaction.status.value, saga__compensated=len(undoing.undone))
        leave_failed(outcome, tuple(undoing.failures), transaction.saga.words, report=transaction.report)
        return outcome.unwrap()

    async def _succeed(self, call: Call, outcome: Returned, mode: Mode) -> Outcome:
        try:
            await call.shield(self._transaction.succeed(mode), suspends=self._transaction.log.records is not None)
        except Exception as error:  # noqa: BLE001 - a saga of which the store does not know that it is done is not done
            return Raised(error)
        call.note(saga__status=self._transaction.status.value)
        return outcome


def refuse_over(transaction: Transaction, call: Call) -> None:
    """Refuse a tool that is called after its saga ended, by a task that outlived the block.

    Raises:
        InFlight: The saga is over.

    """
    if transaction.is_over:
        text = f"{call.name} was called after its saga {transaction.saga.name} {transaction.id} had ended"
        raise InFlight(text, call=call.name, holder=transaction.id, until=None)

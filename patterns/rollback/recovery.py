"""Runs of a saga that are not finished: those parked in this process, and what dead processes left in the store."""

from __future__ import annotations

import json
from threading import Lock
from typing import TYPE_CHECKING

from patterns.errors import InDoubt, InFlight, StoreUnavailable
from patterns.kernel import faults
from patterns.kernel.run import current_run
from patterns.kernel.storage import ABSENT, Change
from patterns.rollback.holder import Holder
from patterns.rollback.log import UndoLog
from patterns.rollback.machine import ActionState, SagaStatus
from patterns.rollback.records import Records, pages, part, unpart
from patterns.rollback.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from patterns.kernel.storage import Store
    from patterns.rollback.handler import Handler
    from patterns.rollback.mode import Mode
    from patterns.rollback.saga import Saga

__all__ = ["Unfinished"]

_HEADER = "saga"


class Unfinished:
    """Knows the runs of one saga that are not finished.

    With a store each run has a header, which is created when it begins and
    deleted together with its records when it ends well; the deletion is the
    moment from which on the saga counts as done.

    Args:
        saga: Whose runs.
        store: Where they outlive the process, or None.
        handlers: How actions are compensated, by handler name.

    """

    def __init__(self, saga: Saga, store: Store | None, handlers: Mapping[str, Handler]) -> None:
        self._saga = saga
        self._holder = None if store is None else Holder(store)
        self._handlers = handlers
        self._watched: list[Transaction] = []
        self._lock = Lock()

    @property
    def _prefix(self) -> str:
        return f"patterns/saga/{part(self._saga.name)}/"

    def new_log(self, run_id: str) -> UndoLog:
        """Return the log for a new run."""
        if self._holder is None:
            return UndoLog(self._saga.clock.wall)
        run = current_run()
        tenant = part(None if run is None else run.tenant)
        return UndoLog(self._saga.clock.wall, Records(self._holder, f"{self._prefix}{tenant}/{part(run_id)}/"))

    async def begin(self, transaction: Transaction, mode: Mode) -> None:
        """Create the run's header.

        Raises:
            InFlight: The store knows an unfinished run of that name.
            StoreUnavailable: The store cannot say.

        """
        records = transaction.log.records
        if records is None:
            return
        header = json.dumps({"format": 1, "owner": await records.holder.me(mode)}).encode()
        lost = await mode.cells(records.store).swap([Change(records.prefix + _HEADER, ABSENT, header)])
        if lost is not None:
            raise InFlight(
                f"the saga {self._saga.name} {transaction.id} is not finished; recover({transaction.id!r}) finishes it",
                call=self._saga.name,
                holder=transaction.id,
                until=None,
            )

    async def finish(self, transaction: Transaction, mode: Mode) -> None:
        """Delete the run's records, those of parked actions excepted; then it is done.

        Raises:
            StoreUnavailable: The store cannot say, so the run is not done.

        """
        records = transaction.log.records
        if records is None:
            return
        parked = {one.id for one in transaction.extent.actions if one.state is ActionState.PARKED}
        faults.reach("saga.finish.before")
        await records.finish({*parked, _HEADER} if parked else set(), mode)
        faults.reach("saga.finish.after")

    def watch(self, transaction: Transaction) -> None:
        """Keep a failed run in view until nothing of it is left."""
        with self._lock:
            self._watched = [*filter(_is_unfinished, self._watched), transaction]

    async def found(self, run_id: str | None, mode: Mode) -> list[Transaction]:
        """Return the unfinished runs, or the one called *run_id*; those that are running are left alone."""
        here = [one for one in self._watched if one.is_over and _is_unfinished(one) and run_id in {None, one.id}]
        known = {one.log.records.prefix for one in self._watched if one.log.records is not None}
        if self._holder is None:
            return here
        cells = await pages(mode.cells(self._holder.store), self._prefix)
        for cell in [one for one in cells if one.key.endswith(f"/{_HEADER}")]:
            prefix = cell.key.removesuffix(_HEADER)
            own_id = unpart(prefix.split("/")[-2])
            records = Records(self._holder, prefix)
            if prefix in known or run_id not in {None, own_id}:
                continue
            if await records.is_left(cell, mode, named=run_id is not None):
                here.append(await self._left(own_id, records, mode))
        return here

    async def _left(self, run_id: str, records: Records, mode: Mode) -> Transaction:
        log = UndoLog(self._saga.clock.wall, records)
        await log.refresh(self._handlers, mode)
        transaction = Transaction(self._saga, run_id, log)
        for action in log.actions:
            transaction.extent.add(action)
        transaction.error = InDoubt(
            f"the process that ran the saga {self._saga.name} {run_id} is gone",
            call=self._saga.name,
            effect_id=run_id,
            key=run_id,
        )
        transaction.is_over = True
        return transaction

    async def swept(self, transaction: Transaction, mode: Mode) -> None:
        """Delete what a fully compensated run left in the store; a leftover is found and deleted by `recover`."""
        try:
            await self.finish(transaction, mode)
        except StoreUnavailable as error:
            import logging

            logging.getLogger("patterns").warning(
                "the records of %s are left in the store", transaction, exc_info=error
            )


def _is_unfinished(transaction: Transaction) -> bool:
    return not transaction.is_over or transaction.status is SagaStatus.COMPENSATION_FAILED

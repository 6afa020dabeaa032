"""Sagas: tools with compensations, called in a block or by an executor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from patterns.errors import misuse
from patterns.kernel.block import Block
from patterns.kernel.clock import SYSTEM_CLOCK
from patterns.kernel.drive import finish_at_once
from patterns.kernel.events import Listeners
from patterns.kernel.guard import attach
from patterns.kernel.ids import SYSTEM_IDS
from patterns.kernel.settle import shielded
from patterns.rollback.decisions import decide
from patterns.rollback.execution import Executor
from patterns.rollback.guard import Place, Undo, UndoGuard
from patterns.rollback.machine import ActionState
from patterns.rollback.mode import Mode
from patterns.rollback.options import check_name, check_retry
from patterns.rollback.recovery import Unfinished
from patterns.rollback.tools import GUARD, Tools
from patterns.rollback.transaction import Transaction, actions_of_step, current_transaction, parallel_group, refuse_over
from patterns.rollback.undoing import Words

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.kernel.call import Call
    from patterns.kernel.clock import Clock
    from patterns.kernel.events import Event
    from patterns.kernel.storage import Store
    from patterns.rollback.execution import Plan
    from patterns.rollback.handler import Handler
    from patterns.rollback.log import UndoLog
    from patterns.rollback.machine import Action, Policy
    from patterns.rollback.report import SagaReport

__all__ = ["Saga"]

F = TypeVar("F", bound="Callable[..., Any]")
OnFailure = Literal["compensate", "park"]


class Saga:
    """Steps that are taken back, last first, when the whole cannot be finished.

    Args:
        name: Used in spans, events, errors and keys.
        store: Keeps what is to be compensated beyond this process; see `recover`.
        retry: A ``tenacity.Retrying`` for tools that raise, unless the tool has its own.
        compensation_retry: One for compensations that raise, unless the tool has its own.
        on_failure: ``"compensate"``, or ``"park"`` to leave everything as it is until `recover` is called.
        clock: Where time comes from.

    Raises:
        Misuse: An option has an impossible value.

    """

    def __init__(
        self,
        name: str,
        *,
        store: Store | None = None,
        retry: Any = None,
        compensation_retry: Any = None,
        on_failure: OnFailure = "compensate",
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if on_failure not in {"compensate", "park"}:
            misuse(
                "on_failure is 'compensate' or 'park'", wrong=f"on_failure={on_failure!r}", right='on_failure="park"'
            )
        self.name = check_name(name, "Saga")
        self.clock = clock
        self.listeners = Listeners()
        self.words = Words(name, "saga", "compensate")
        self.compensates = on_failure == "compensate"
        self.tools = Tools(name)
        self._retry = check_retry(retry, "retry")
        self._compensation_retry = check_retry(compensation_retry, "compensation_retry")
        self._handlers: dict[str, Handler] = {}
        self.unfinished_runs = Unfinished(self, store, self._handlers)
        self._executor = Executor(self)

    def __repr__(self) -> str:
        return f"Saga({self.name!r})"

    @overload
    def tool(self, function: F, /) -> F: ...
    @overload
    def tool(
        self,
        /,
        *,
        compensate: Callable[..., Any] | None = None,
        resolve: Callable[..., Any] | None = None,
        retry: Any = None,
        compensation_retry: Any = None,
        raised: Policy = "compensate",
        in_doubt: Policy = "compensate",
        repeatable: bool = False,
    ) -> Callable[[F], F]: ...
    def tool(
        self,
        function: F | None = None,
        /,
        *,
        compensate: Callable[..., Any] | None = None,
        resolve: Callable[..., Any] | None = None,
        retry: Any = None,
        compensation_retry: Any = None,
        raised: Policy = "compensate",
        in_doubt: Policy = "compensate",
        repeatable: bool = False,
    ) -> F | Callable[[F], F]:
        """Make a function a tool of this saga: each call in `transaction` is recorded with its compensation.

        Args:
            function: The function, when the decorator is used bare.
            compensate: Takes the function's own parameters, ``result`` and ``idempotency_key``, as far as it wants
                them; plain or async. None: there is nothing to compensate.
            resolve: Tells whether a call in doubt happened: True, False, None if it cannot tell, or
                `Happened` with the result.
            retry: A ``tenacity.Retrying`` for the tool; what was refused or is in doubt is never tried again.
            compensation_retry: One for its compensation.
            raised: What becomes of a call that raised when the saga fails: ``"compensate"``, ``"park"`` it for a
                person, or ``"skip"``.
            in_doubt: The same for a call that was cancelled, interrupted or timed out; asked after *resolve*.
            repeatable: Whether a compensation that may have happened can simply be run again.

        Raises:
            Misuse: A compensation asks for what the function does not have, the saga has a tool of that name, or
                an option is wrong.

        """
        guard = UndoGuard(
            GUARD,
            self,
            Undo(
                option="compensate",
                undo=compensate,
                resolve=resolve,
                retry=self._retry if retry is None else retry,
                undo_retry=self._compensation_retry if compensation_retry is None else compensation_retry,
                raised=raised,
                in_doubt=in_doubt,
                repeatable=repeatable,
            ),
        )

        def decorate(plain: F) -> F:
            decorated = attach(plain, guard)
            self.tools.add(decorated)
            return decorated

        return decorate(function) if function is not None else decorate

    def step(
        self,
        name: str,
        /,
        *,
        compensate: Callable[..., Any] | None = None,
        resolve: Callable[..., Any] | None = None,
        compensation_retry: Any = None,
        raised: Policy = "compensate",
        in_doubt: Policy = "compensate",
        repeatable: bool = False,
        **facts: Any,
    ) -> Block:
        """Return a ``with`` or ``async with`` block that is a step of this saga.

        Args:
            name: What is done, low in cardinality.
            compensate: Takes the facts by name, ``result`` (the block's ``step.result``) and ``idempotency_key``.
            resolve: As for `tool`.
            compensation_retry: As for `tool`.
            raised: As for `tool`.
            in_doubt: As for `tool`.
            repeatable: As for `tool`.
            facts: What the compensation needs to know.

        Raises:
            Misuse: As for `tool`, when the block is entered; or it is entered outside a transaction.

        """
        undo = Undo(
            option="compensate",
            undo=compensate,
            resolve=resolve,
            undo_retry=self._compensation_retry if compensation_retry is None else compensation_retry,
            raised=raised,
            in_doubt=in_doubt,
            repeatable=repeatable,
        )
        return Block(UndoGuard("saga.step", self, undo, tuple(facts)), name, facts)

    def transaction(self, id: str | None = None) -> Transaction:  # noqa: A002 - the word users look for
        """Return a ``with`` or ``async with`` block that compensates what was done inside if it raises.

        Args:
            id: The work's own name, such as an order number; with a store, two unfinished runs cannot share one.

        Returns:
            The run. Leaving it raises `RollbackIncomplete` from the block's own error if a compensation
            failed; a cancellation stays a cancellation. ``transaction.report`` tells what happened.

        Raises:
            Misuse: The id is not a text or empty.

        """
        own_id = SYSTEM_IDS.new("saga_") if id is None else check_name(id, "saga.transaction")
        return Transaction(self, own_id, self.unfinished_runs.new_log(own_id))

    def execute(self, plan: Plan, *, id: str | None = None, retry: Any = None) -> SagaReport:  # noqa: A002 - the word users look for
        """Run a plan, and compensate what was done if a step fails.

        Args:
            plan: `Step`s in order; a list of steps among them runs in parallel (in threads).
            id: As for `transaction`.
            retry: A ``tenacity.Retrying`` for the whole saga: after it was compensated completely, all its steps
                are made again. For single tools see `tool`.

        Returns:
            What became of each step. Errors of steps are told in it, not raised.

        Raises:
            Misuse: A step could not be called, found before the first one is made.
            InFlight: The store knows an unfinished run of that id.

        """
        return self._executor.execute(plan, id, retry)

    async def aexecute(self, plan: Plan, *, id: str | None = None, retry: Any = None) -> SagaReport:  # noqa: A002 - the word users look for
        """Do as `execute`; tools may be async, and a list of steps runs in tasks."""
        return await self._executor.aexecute(plan, id, retry)

    # What is left

    def unfinished(self) -> tuple[SagaReport, ...]:
        """Return the failed runs that are not compensated completely, with a store also those of dead processes."""
        found: list[Transaction] = finish_at_once(self.unfinished_runs.found(None, self._mode()))
        return tuple(one.report for one in found)

    async def aunfinished(self) -> tuple[SagaReport, ...]:
        """Do as `unfinished`, without blocking the event loop."""
        found = await self.unfinished_runs.found(None, self._mode(asynchronous=True))
        return tuple(one.report for one in found)

    def recover(self, id: str | None = None) -> tuple[SagaReport, ...]:  # noqa: A002 - the word users look for
        """Compensate what is left of failed runs, with a store also of those whose process died.

        Args:
            id: Only this run. Where a store cannot tell whether a process is alive, naming a run says that it is dead.

        Returns:
            What became of each. A compensation that may have happened is not run again unless it is repeatable:
            see `dismiss` and `reopen`.

        """
        reports: tuple[SagaReport, ...] = finish_at_once(self._recover(id, self._mode()))
        return reports

    async def arecover(self, id: str | None = None) -> tuple[SagaReport, ...]:  # noqa: A002 - the word users look for
        """Do as `recover`; compensations may be async, and no cancellation interrupts it."""
        return await shielded(self._recover(id, self._mode(asynchronous=True)))

    def dismiss(self, action_id: str, *, reason: str) -> None:
        """Record that a person took care of a step: no compensation will be run.

        Args:
            action_id: `StepRecord.id`.
            reason: Why, in the person's words.

        Raises:
            Misuse: No unfinished run has such a step, or it is running.

        """
        finish_at_once(self._decide(action_id, "dismissed", reason, self._mode()))

    async def adismiss(self, action_id: str, *, reason: str) -> None:
        """Do as `dismiss`, without blocking the event loop."""
        await self._decide(action_id, "dismissed", reason, self._mode(asynchronous=True))

    def reopen(self, action_id: str, *, reason: str) -> None:
        """Record that a person found a compensation in doubt not to have happened: `recover` runs it.

        Raises:
            Misuse: No unfinished run has such a step, or it is not parked.

        """
        finish_at_once(self._decide(action_id, "reopened", reason, self._mode()))

    async def areopen(self, action_id: str, *, reason: str) -> None:
        """Do as `reopen`, without blocking the event loop."""
        await self._decide(action_id, "reopened", reason, self._mode(asynchronous=True))

    def subscribe(self, listener: Callable[[Event], object], /) -> Callable[[], None]:
        """Call *listener* with every event from now on; return what ends it. It cannot break a saga."""
        return self.listeners.subscribe(listener)

    def _mode(self, *, asynchronous: bool = False) -> Mode:
        return Mode(asynchronous, self.clock)

    async def _recover(self, run_id: str | None, mode: Mode) -> tuple[SagaReport, ...]:
        found = await self.unfinished_runs.found(run_id, mode)
        for transaction in found:
            await transaction.compensate(mode)
        return tuple(one.report for one in found)

    async def _decide(self, action_id: str, decision: str, reason: str, mode: Mode) -> None:
        found = await self.unfinished_runs.found(None, mode)
        log = next((one.log for one in found if one.log.get(action_id) is not None), None)
        if log is None:
            parked = [step.id for one in found for step in one.report.steps if step.state is ActionState.PARKED]
            misuse(
                f"no unfinished run of {self.name} has a step {action_id!r}; parked are {parked}",
                wrong=f"saga.dismiss({action_id!r}, reason=...)",
                right="saga.dismiss(saga.unfinished()[0].steps[0].id, reason=...)",
            )
        self.listeners.publish(await decide(log, action_id, decision, reason=reason, mode=mode, source=self.name))

    # Recorder, for the guards

    def place(self, call: Call) -> Place:
        """Return the run that *call* belongs to.

        Raises:
            Misuse: It is called outside any run, where nothing would compensate it.
            InFlight: The run is over.

        """
        transaction = current_transaction(self)
        if transaction is None:
            misuse(
                f"{call.name} is a tool of the saga {self.name} and was called outside a transaction, "
                "where nothing would compensate it",
                wrong=f"{call.name}(...)",
                right=f"with saga.transaction(): {call.name}(...)",
            )
        refuse_over(transaction, call)
        reached = actions_of_step.get()
        if reached is not None:
            reached.append(call.name)
        return Place(transaction.log, parallel_group.get())

    def know(self, handler: Handler) -> None:
        """Remember the handler for what earlier processes left in the store."""
        self._handlers[handler.name] = handler

    async def ended(self, log: UndoLog, action: Action, mode: Mode) -> None:
        """Keep every step: the report tells of it."""

"""The rollback manager: checkpoints, an undo per action, and the way back."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar, overload

from patterns.errors import ScopeRequired, misuse
from patterns.kernel import telemetry
from patterns.kernel.block import Block
from patterns.kernel.clock import SYSTEM_CLOCK
from patterns.kernel.drive import finish_at_once
from patterns.kernel.events import Listeners
from patterns.kernel.guard import attach
from patterns.kernel.ids import SYSTEM_IDS
from patterns.kernel.run import current_run
from patterns.kernel.settle import shielded
from patterns.rollback.checkpoints import Checkpoint, Rollback, Stack, snapshot
from patterns.rollback.decisions import decide
from patterns.rollback.events import CheckpointForgotten
from patterns.rollback.guard import Place, Undo, UndoGuard
from patterns.rollback.holder import Holder
from patterns.rollback.log import UndoLog
from patterns.rollback.machine import ActionState
from patterns.rollback.mode import Mode
from patterns.rollback.options import check_count, check_name, check_retry
from patterns.rollback.records import Records, part
from patterns.rollback.transactions import RollbackGuard
from patterns.rollback.undoing import Undoing, Words, incomplete

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.kernel.call import Call
    from patterns.kernel.clock import Clock
    from patterns.kernel.events import Event
    from patterns.kernel.run import Run
    from patterns.kernel.storage import Store
    from patterns.rollback.handler import Handler
    from patterns.rollback.machine import Action, Policy

__all__ = ["RollbackManager"]

F = TypeVar("F", bound="Callable[..., Any]")

_BEGINNING = float("-inf")


class RollbackManager:
    """Remembers what was done and how to undo it, per run, and goes back on demand.

    Each run (`patterns.run`) has its own stack of checkpoints and its own
    undo log; outside any run there is one for the whole object.

    Args:
        name: Used in spans, events and errors.
        store: Keeps the undo log beyond this process; then every action belongs to a run.
        max_checkpoints: Depth of a run's stack; beyond it the oldest checkpoint is forgotten, and what was done
            before is final.
        max_actions: How many actions a run can have undone; beyond it the oldest ones are final.
        max_runs: How many runs are remembered; beyond it the one longest unused is forgotten.
        retry: A ``tenacity.Retrying`` for undo functions that raise.
        capture: Returns a snapshot of the agent's state; asked at every checkpoint that is given none.
        restore: Takes such a snapshot and puts it back.
        clock: Where time comes from.

    Raises:
        Misuse: An option has an impossible value, or one of capture and restore is missing.

    """

    def __init__(
        self,
        name: str,
        store: Store | None = None,
        *,
        max_checkpoints: int = 100,
        max_actions: int = 10_000,
        max_runs: int = 1_000,
        retry: Any = None,
        capture: Callable[[], Any] | None = None,
        restore: Callable[[Any], Any] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if (capture is None) is not (restore is None):
            misuse(
                "capture and restore belong together",
                wrong=f"RollbackManager({name!r}, capture=world.export)",
                right=f"RollbackManager({name!r}, capture=world.export, restore=world.load)",
            )
        self.name = check_name(name, "RollbackManager")
        self.clock = clock
        self.listeners = Listeners()
        self.words = Words(name, "rollback", "undo")
        self._holder = None if store is None else Holder(store)
        self._max_checkpoints = check_count(max_checkpoints, "max_checkpoints")
        self._max_actions = check_count(max_actions, "max_actions")
        self._max_runs = check_count(max_runs, "max_runs")
        self._retry = check_retry(retry, "retry")
        self._capture = capture
        self._restore = restore
        self._handlers: dict[str, Handler] = {}
        self._stacks: OrderedDict[tuple[str | None, tuple[str, ...]], Stack] = OrderedDict()
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"RollbackManager({self.name!r})"

    # Writing down

    @overload
    def undoable(self, function: F, /) -> F: ...
    @overload
    def undoable(
        self,
        /,
        *,
        undo: Callable[..., Any] | None = None,
        resolve: Callable[..., Any] | None = None,
        retry: Any = None,
        raised: Policy = "compensate",
        in_doubt: Policy = "compensate",
        repeatable: bool = False,
    ) -> Callable[[F], F]: ...
    def undoable(
        self,
        function: F | None = None,
        /,
        *,
        undo: Callable[..., Any] | None = None,
        resolve: Callable[..., Any] | None = None,
        retry: Any = None,
        raised: Policy = "compensate",
        in_doubt: Policy = "compensate",
        repeatable: bool = False,
    ) -> F | Callable[[F], F]:
        """Write every call down together with what undoes it.

        Args:
            function: The function, when the decorator is used bare.
            undo: Takes the function's own parameters, ``result`` and ``idempotency_key``, as far as it wants them;
                plain or async. None: there is nothing to undo.
            resolve: Tells whether a call in doubt happened: True, False, None if it cannot tell, or
                `Happened` with the result.
            retry: A ``tenacity.Retrying`` for this undo instead of the manager's.
            raised: What a rollback does with a call that raised: ``"compensate"``, ``"park"`` it for a person,
                or ``"skip"``.
            in_doubt: The same for a call that was cancelled, interrupted or timed out; asked after *resolve*.
            repeatable: Whether an undo that may have happened can simply be run again.

        Raises:
            Misuse: An undo asks for what the function does not have, or an option is wrong.

        """
        undo_of = self._undo(undo, resolve, retry, raised, in_doubt, repeatable=repeatable)
        guard = UndoGuard("rollback.undoable", self, undo_of)
        return attach(function, guard) if function is not None else lambda function: attach(function, guard)

    def step(
        self,
        name: str,
        /,
        *,
        undo: Callable[..., Any] | None = None,
        resolve: Callable[..., Any] | None = None,
        retry: Any = None,
        raised: Policy = "compensate",
        in_doubt: Policy = "compensate",
        repeatable: bool = False,
        **facts: Any,
    ) -> Block:
        """Return a ``with`` or ``async with`` block that is written down together with what undoes it.

        Args:
            name: What is done, low in cardinality.
            undo: Takes the facts by name, ``result`` (the block's ``step.result``) and ``idempotency_key``.
            resolve: As for `undoable`.
            retry: As for `undoable`.
            raised: As for `undoable`.
            in_doubt: As for `undoable`.
            repeatable: As for `undoable`.
            facts: What the undo needs to know.

        Raises:
            Misuse: As for `undoable`, when the block is entered.

        """
        undo_of = self._undo(undo, resolve, retry, raised, in_doubt, repeatable=repeatable)
        return Block(UndoGuard("rollback.step", self, undo_of, tuple(facts)), name, facts)

    def _undo(self, undo: Any, resolve: Any, retry: Any, raised: Policy, in_doubt: Policy, *, repeatable: bool) -> Undo:
        return Undo(
            option="undo",
            undo=undo,
            resolve=resolve,
            undo_retry=self._retry if retry is None else retry,
            raised=raised,
            in_doubt=in_doubt,
            repeatable=repeatable,
        )

    def transaction(self, name: str, **facts: Any) -> Block:
        """Return a ``with`` or ``async with`` block whose actions are undone if it raises or is cancelled.

        Args:
            name: What is done, low in cardinality.
            facts: Attributes of the block's call.

        Returns:
            The block. It raises `RollbackIncomplete` from the block's own error if an undo failed; a
            cancellation stays a cancellation.

        """
        return Block(RollbackGuard(self), name, facts)

    # Going back

    def checkpoint(self, name: str, state: Any = None, *, safe: bool = False) -> Checkpoint:
        """Mark a point to which this run can be rolled back.

        Args:
            name: What it is called.
            state: Copied deeply and handed out by a rollback; if None, ``capture`` is asked.
            safe: Whether `rollback_to_last_safe_point` stops here.

        Raises:
            Misuse: The state cannot be copied, or ``capture`` is async (use `acheckpoint`).

        """
        checkpoint: Checkpoint = finish_at_once(self._checkpoint(name, state, self._mode(), safe=safe))
        return checkpoint

    async def acheckpoint(self, name: str, state: Any = None, *, safe: bool = False) -> Checkpoint:
        """Do as `checkpoint`; ``capture`` may be async."""
        return await self._checkpoint(name, state, self._mode(asynchronous=True), safe=safe)

    def rollback(self, *, steps: int = 1) -> Rollback:
        """Go back to the newest checkpoint, or to the one *steps* back; it stays on the stack.

        Undoes what was done since, last first, then restores the state.

        Returns:
            What was undone, and the checkpoint's state.

        Raises:
            RollbackIncomplete: Some undos failed; the others were run. The failed ones stay in the log and are
                tried again by the next rollback.
            Misuse: There are not so many checkpoints.

        """
        return self._go_back(self._here().last(check_count(steps, "steps")))

    async def arollback(self, *, steps: int = 1) -> Rollback:
        """Do as `rollback`; undo functions may be async, and no cancellation interrupts it."""
        return await self._ago_back(self._here().last(check_count(steps, "steps")))

    def rollback_to(self, checkpoint: Checkpoint | str) -> Rollback:
        """Go back to *checkpoint*, given as such or by its id; otherwise as `rollback`."""
        return self._go_back(self._here().find(checkpoint))

    async def arollback_to(self, checkpoint: Checkpoint | str) -> Rollback:
        """Do as `rollback_to`; undo functions may be async, and no cancellation interrupts it."""
        return await self._ago_back(self._here().find(checkpoint))

    def rollback_to_last_safe_point(self) -> Rollback:
        """Go back to the newest checkpoint made with ``safe=True``; otherwise as `rollback`."""
        return self._go_back(self._here().last_safe())

    async def arollback_to_last_safe_point(self) -> Rollback:
        """Do as `rollback_to_last_safe_point`; undo functions may be async, and no cancellation interrupts it."""
        return await self._ago_back(self._here().last_safe())

    def rollback_all(self) -> Rollback:
        """Undo all that is in this run's log, with a store also what earlier processes left; state is not touched.

        Raises:
            RollbackIncomplete: As for `rollback`.

        """
        return self._go_back(None)

    async def arollback_all(self) -> Rollback:
        """Do as `rollback_all`; undo functions may be async, and no cancellation interrupts it."""
        return await self._ago_back(None)

    def forget(self) -> None:
        """Let what was done in this run be final: drop its checkpoints and its log, save what waits for a person."""
        finish_at_once(self._forget(self._mode()))

    async def aforget(self) -> None:
        """Do as `forget`, without blocking the event loop."""
        await shielded(self._forget(self._mode(asynchronous=True)))

    # Looking and deciding

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """This run's checkpoints, oldest first."""
        return self._here().checkpoints

    def actions(self) -> tuple[Action, ...]:
        """Return this run's undo log, oldest first, with a store also what earlier processes left."""
        found: tuple[Action, ...] = finish_at_once(self._actions(self._mode()))
        return found

    async def aactions(self) -> tuple[Action, ...]:
        """Do as `actions`, without blocking the event loop."""
        return await self._actions(self._mode(asynchronous=True))

    def dismiss(self, action_id: str, *, reason: str) -> None:
        """Record that a person took care of an action: no rollback will touch it.

        Args:
            action_id: From `actions` or from an error.
            reason: Why, in the person's words.

        Raises:
            Misuse: This run has no such action, or it is running.

        """
        finish_at_once(self._decide(action_id, "dismissed", reason, self._mode()))

    async def adismiss(self, action_id: str, *, reason: str) -> None:
        """Do as `dismiss`, without blocking the event loop."""
        await self._decide(action_id, "dismissed", reason, self._mode(asynchronous=True))

    def reopen(self, action_id: str, *, reason: str) -> None:
        """Record that a person found an undo in doubt not to have happened: the next rollback runs it.

        Raises:
            Misuse: This run has no such action, or it is not parked.

        """
        finish_at_once(self._decide(action_id, "reopened", reason, self._mode()))

    async def areopen(self, action_id: str, *, reason: str) -> None:
        """Do as `reopen`, without blocking the event loop."""
        await self._decide(action_id, "reopened", reason, self._mode(asynchronous=True))

    def subscribe(self, listener: Callable[[Event], object], /) -> Callable[[], None]:
        """Call *listener* with every event from now on; return what ends it. It cannot break a rollback."""
        return self.listeners.subscribe(listener)

    # Recorder, for the guards

    def place(self, call: Call) -> Place:
        """Return where *call* is written down."""
        return Place(self.stack_of(call.run).log)

    def know(self, handler: Handler) -> None:
        """Remember the handler for what earlier processes left in the store."""
        self._handlers[handler.name] = handler

    async def ended(self, log: UndoLog, action: Action, mode: Mode) -> None:
        """Forget what needs no undo, and the oldest actions beyond the limit."""
        if action.state in {ActionState.REFUSED, ActionState.REPLAYED}:
            log.drop(action.id)
            return
        if len(log) > self._max_actions:
            stack = next((one for one in self._stacks.values() if one.log is log), None)
            before = log.position if stack is None else stack.open_before()
            # Some at a time: the log is long, and each time costs a message to the listeners.
            excess = len(log) - self._max_actions + self._max_actions // 100
            await self._let_be_final(log, log.oldest(excess, before), "", mode)

    def stack_of(self, run: Run | None) -> Stack:
        """Return the stack of *run*.

        Raises:
            ScopeRequired: There is a store and no run.

        """
        key = (None, ()) if run is None else (run.tenant, run.path)
        with self._lock:
            stack = self._stacks.get(key)
            if stack is None:
                stack = self._stacks[key] = Stack(UndoLog(self.clock.wall, self._records(run)))
            self._stacks.move_to_end(key)
            forgotten = self._oldest_idle() if len(self._stacks) > self._max_runs else None
        if forgotten is not None and forgotten.log.records is None:
            self._tell_forgotten("", len(forgotten.log))
        return stack

    def _records(self, run: Run | None) -> Records | None:
        if self._holder is None:
            return None
        if run is None:
            raise ScopeRequired.shown(
                "a durable undo log belongs to a run, or one process would undo what another one does",
                wrong="refund(...)",
                right='with patterns.run("ticket-4711"): refund(...)',
            )
        path = ",".join(part(one) for one in run.path)
        return Records(self._holder, f"patterns/rollback/{part(self.name)}/{part(run.tenant)}/{path}/")

    def _oldest_idle(self) -> Stack | None:
        key = next((key for key, stack in self._stacks.items() if stack.is_idle), None)
        return None if key is None else self._stacks.pop(key)

    # The coroutines behind both colours

    def _mode(self, *, asynchronous: bool = False) -> Mode:
        return Mode(asynchronous, self.clock)

    def _here(self) -> Stack:
        return self.stack_of(current_run())

    def _go_back(self, target: Checkpoint | None) -> Rollback:
        rollback: Rollback = finish_at_once(self._roll_back(self._here(), target, self._mode()))
        return rollback

    async def _ago_back(self, target: Checkpoint | None) -> Rollback:
        return await shielded(self._roll_back(self._here(), target, self._mode(asynchronous=True)))

    async def _checkpoint(self, name: str, state: Any, mode: Mode, *, safe: bool) -> Checkpoint:
        check_name(name, "checkpoint")
        if self._capture is None:
            kept = snapshot(state)
        elif state is None:
            kept = await mode.value(self._capture(), "capture")
        else:
            misuse(
                "this manager captures the state itself",
                wrong="RollbackManager(name, capture=..., restore=...).checkpoint(name, state=...)",
                right="RollbackManager(name, capture=..., restore=...).checkpoint(name)",
            )
        stack = self._here()
        checkpoint = Checkpoint(
            id=SYSTEM_IDS.new("cp_"), name=name, safe=safe, position=stack.log.position, at=self.clock.wall()
        )
        forgotten = stack.push(checkpoint, kept, self._max_checkpoints)
        if forgotten is not None:
            final = stack.log.oldest(None, before=stack.final_before())
            await self._let_be_final(stack.log, final, forgotten.name, mode)
        return checkpoint

    async def _let_be_final(self, log: UndoLog, actions: list[Action], checkpoint: str, mode: Mode) -> None:
        await log.erase(actions, mode)
        self._tell_forgotten(checkpoint, len(actions))

    def _tell_forgotten(self, checkpoint: str, count: int) -> None:
        at = self.clock.wall()
        self.listeners.publish(CheckpointForgotten(source=self.name, at=at, checkpoint=checkpoint, actions=count))

    async def _roll_back(self, stack: Stack, target: Checkpoint | None, mode: Mode) -> Rollback:
        with telemetry.span("rollback", rollback__name=self.name):
            await stack.log.refresh(self._handlers, mode)
            undoing = Undoing(stack.log, mode, self.words, self.listeners)
            since = _BEGINNING if target is None else target.position
            failures = await undoing.run([one for one in stack.log.actions if one.position >= since])
            state = None if target is None else stack.state(target)
            if target is not None and self._restore is not None:
                try:
                    await mode.value(self._restore(state), "restore")
                except Exception as error:  # noqa: BLE001 - it is told below, with the others
                    failures = (*failures, ("restore", error))
            elif target is not None:
                state = snapshot(state)
            stack.cut(target)
            stack.drop_finished(stack.log.actions)
            rollback = Rollback(checkpoint=target, state=state, undone=tuple(undoing.undone), failures=failures)
            if failures:
                raise incomplete(failures, self.words, rollback=rollback)
            return rollback

    async def _forget(self, mode: Mode) -> None:
        stack = self._here()
        await stack.log.refresh(self._handlers, mode)
        stack.cut(None)
        await stack.log.erase(stack.log.oldest(None, before=stack.log.position), mode)

    async def _actions(self, mode: Mode) -> tuple[Action, ...]:
        log = self._here().log
        await log.refresh(self._handlers, mode)
        return log.actions

    async def _decide(self, action_id: str, decision: str, reason: str, mode: Mode) -> None:
        log = self._here().log
        await log.refresh(self._handlers, mode)
        self.listeners.publish(await decide(log, action_id, decision, reason=reason, mode=mode, source=self.name))

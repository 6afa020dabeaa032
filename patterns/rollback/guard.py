"""The guard that writes an action down before it runs and says how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from attrs import frozen

from patterns.errors import InDoubt, NotPerformed, Refused, misuse
from patterns.kernel import outcome as ends
from patterns.kernel.guard import Guard
from patterns.rollback.extent import must_be_taken_back, take_back_late, written_down
from patterns.rollback.handler import Handler, Hook, binder_of_facts, kept
from patterns.rollback.machine import ActionState, Policies, after_attempts, is_ambiguous
from patterns.rollback.mode import Mode
from patterns.rollback.options import check_policy, check_retry
from patterns.rollback.retrying import retried
from patterns.rollback.undoing import is_undoing

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.kernel.call import Call, Proceed
    from patterns.kernel.clock import Clock
    from patterns.kernel.commit import Claim
    from patterns.kernel.outcome import Outcome
    from patterns.kernel.target import Target
    from patterns.rollback.log import UndoLog
    from patterns.rollback.machine import Action, Policy

__all__ = ["Place", "Recorder", "Undo", "UndoGuard"]


@frozen(kw_only=True)
class Undo:
    """How an action is undone, as the user wrote it.

    Args:
        option: What the undo function is called where it was given: ``undo`` or ``compensate``.
        undo: Takes the effect back, or None.
        resolve: Tells whether an action in doubt happened, or None.
        undo_retry: A ``tenacity.Retrying`` for the undo, or None.
        retry: One for the action itself, or None.
        raised: What to do with an action that raised.
        in_doubt: What to do with one that may have happened.
        repeatable: Whether an undo that may have happened can simply be run again.

    """

    option: str
    undo: Callable[..., Any] | None
    resolve: Callable[..., Any] | None = None
    undo_retry: Any = None
    retry: Any = None
    raised: Policy = "compensate"
    in_doubt: Policy = "compensate"
    repeatable: bool = False

    def __attrs_post_init__(self) -> None:
        check_policy(self.raised, "raised")
        check_policy(self.in_doubt, "in_doubt")
        check_retry(self.retry, "retry")
        check_retry(self.undo_retry, "retry" if self.option == "undo" else "compensation_retry")

    def handler(self, target: Target, facts: tuple[str, ...]) -> Handler:
        """Read the functions against the target's parameters or a block's facts.

        Raises:
            Misuse: One of them asks for what a call does not have.

        """
        if self.undo is None and self.resolve is None:
            none = Policies(has_undo=False)
            return Handler(name=target.qualified_name, undo=None, resolve=None, retry=None, policies=none)
        binder = binder_of_facts(target.name, facts) if target.is_block else target.binder
        undo = None if self.undo is None else Hook.of(self.undo, binder, self.option)
        resolve = None if self.resolve is None else Hook.of(self.resolve, binder, "resolve")
        if undo is None or (resolve is not None and resolve.needs_result):
            misuse(
                "resolve tells of an action without a result whether there is something to undo",
                wrong="resolve=lambda result: ..." if undo else "resolve=lookup",
                right=f"{self.option}=cancel, resolve=lambda idempotency_key: ...",
            )
        policies = Policies(
            raised=self.raised,
            in_doubt=self.in_doubt,
            needs_result=undo.needs_result,
            repeatable=self.repeatable,
        )
        return Handler(name=target.qualified_name, undo=undo, resolve=resolve, retry=self.undo_retry, policies=policies)


@frozen
class Place:
    """Where an action is written down.

    Args:
        log: The log of its run or saga.
        group: The parallel group it belongs to, or None.

    """

    log: UndoLog
    group: int | None = None


class Recorder(Protocol):
    """What the guard asks of the manager or the saga it works for."""

    clock: Clock

    def place(self, call: Call) -> Place:
        """Return where *call* is to be written down."""
        ...

    def know(self, handler: Handler) -> None:
        """Remember the handler for undo logs of earlier processes."""

    async def ended(self, log: UndoLog, action: Action, mode: Mode) -> None:
        """Do what is to be done when an action of *log* has ended."""


class UndoGuard(Guard):
    """Writes down each call with what undoes it.

    Args:
        name: Of its span.
        recorder: The manager or saga.
        undo: What undoes the call.
        facts: The names of a block's facts.

    """

    def __init__(self, name: str, recorder: Recorder, undo: Undo, facts: tuple[str, ...] = ()) -> None:
        self.name = name
        self._recorder = recorder
        self._undo = undo
        self._facts = facts
        self._handler: Handler | None = None

    def bind(self, target: Target) -> UndoGuard:
        """Read the user's functions against *target*.

        Raises:
            Misuse: They ask for what it does not have, or it cannot be tried again.

        """
        if self._undo.retry is not None and target.one_shot:
            misuse(
                f"{target.name} is a {target.kind.value}, which cannot run a second time",
                wrong="retry=tenacity.Retrying(...) on a generator or a with block",
                right="retry=tenacity.Retrying(...) on a function",
            )
        bound = UndoGuard(self.name, self._recorder, self._undo, self._facts)
        bound._handler = self._undo.handler(target, self._facts)
        self._recorder.know(bound._handler)
        return bound

    async def around(self, call: Call, proceed: Proceed) -> Any:
        """Write the action down, let it run, and write down how it ended."""
        if is_undoing() or self._handler is None:
            return await proceed()
        mode = Mode(call.target.asynchronous, self._recorder.clock)
        place = self._recorder.place(call)
        key = call.idempotency_key
        action = place.log.begin(self._handler, call.name, call.arguments, key=key, group=place.group)
        tries = _Tries(call, proceed, mode, await place.log.write(action, self._handler, mode))
        written_down(place.log, action)
        try:
            return await retried(self._undo.retry, tries, mode, never=_FINAL)
        except GeneratorExit:
            if tries.cut_off:  # closed by force: nothing can be awaited, so only this process will know
                self._settle_here(place.log, action, tries)
            raise
        finally:
            if place.log.is_running(action):
                await call.shield(self._settle(place.log, action, tries), suspends=place.log.records is not None)
                if must_be_taken_back(place.log, action):
                    await call.shield(take_back_late(place.log, action, mode))

    def _settle_here(self, log: UndoLog, action: Action, tries: _Tries) -> Action:
        state, facts = tries.ended()
        tries.call.note(rollback__state=state.value)
        key = tries.call.idempotency_key or action.idempotency_key
        return log.note(action.id, state, idempotency_key=key, **facts)

    async def _settle(self, log: UndoLog, action: Action, tries: _Tries) -> None:
        tries.withdraw()
        ended = self._settle_here(log, action, tries)
        if tries.is_recorded:
            await log.save(ended, tries.mode)
        await self._recorder.ended(log, ended, tries.mode)


_FINAL = (Refused, InDoubt, ends.CarriedStop)
"""After these there is no further attempt: refused is refused, doubt is for a person, and the last is no failure."""


class _Tries:
    """The attempts at one call, and what they amount to."""

    def __init__(self, call: Call, proceed: Proceed, mode: Mode, claim: Claim | None) -> None:
        self.call = call
        self.mode = mode
        self._proceed = proceed
        self._claim = claim
        self._state: ActionState | None = None
        self._last: Outcome | None = None
        self._count = 0
        self._began = mode.clock.now()
        if claim is not None:
            call.at_commit(claim)

    def withdraw(self) -> None:
        """Take the claim back if it was never committed: a guard further out may try the whole again."""
        if self._claim is not None:
            self.call.withdraw(self._claim)

    @property
    def cut_off(self) -> bool:
        """Whether an attempt was begun and has no outcome."""
        return self._last is None

    @property
    def is_recorded(self) -> bool:
        """Whether the action stands in the store."""
        return self._claim is not None and self._claim.committed

    async def __call__(self) -> Any:
        """Make one attempt."""
        self._last = None
        outcome = self._last = await self.call.attempt(self._proceed)
        self._count += not isinstance(outcome, (ends.Refused, ends.Replayed))
        last = _state_of(outcome)
        self._state = after_attempts(self._state, last)
        return outcome.unwrap()

    def ended(self) -> tuple[ActionState, dict[str, Any]]:
        """Return how the action ended; a call that was closed by force may have run."""
        facts: dict[str, Any] = {"attempts": self._count, "duration": self.mode.clock.now() - self._began}
        if self._last is None or self._state is None:
            return ActionState.IN_DOUBT if self.call.entries else ActionState.REFUSED, facts
        if isinstance(self._last, ends.Returned):
            return self._state, {**facts, "result": kept(self._last.value), "has_result": True}
        return self._state, {**facts, "error": self._last.error}


def _state_of(outcome: Outcome) -> ActionState:
    match outcome:
        case ends.Returned():
            return ActionState.DONE
        case ends.Raised(NotPerformed()):
            return ActionState.REFUSED  # the tool says that nothing happened
        case ends.Raised(error):
            return ActionState.IN_DOUBT if is_ambiguous(error) else ActionState.FAILED
        case ends.Abandoned():
            return ActionState.IN_DOUBT
        case ends.Replayed():
            return ActionState.REPLAYED
        case _:
            return ActionState.REFUSED

"""Undoing: last first, each at most once, the others go on where one fails."""

from __future__ import annotations

import contextvars
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import frozen

from patterns.errors import InDoubt, InFlight, RollbackIncomplete, misuse
from patterns.kernel import faults, telemetry
from patterns.rollback.events import ActionParked, ActionUndone, RolledBack
from patterns.rollback.machine import OPEN, ActionState, Verdict, answered, is_ambiguous, judge, plan, resolved
from patterns.rollback.retrying import retried

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from patterns.kernel.events import Event, Listeners
    from patterns.rollback.handler import Handler, Hook
    from patterns.rollback.log import UndoLog
    from patterns.rollback.machine import Action
    from patterns.rollback.mode import Mode

__all__ = ["Failures", "Undoing", "Words", "incomplete", "is_undoing"]

Failures = tuple[tuple[str, BaseException], ...]

_undoing: contextvars.ContextVar[bool] = contextvars.ContextVar("patterns_undoing", default=False)


def is_undoing() -> bool:
    """Whether this code runs inside an undo, whose own actions are not written down to be undone again."""
    return _undoing.get()


@frozen
class Words:
    """How a manager or a saga speaks of what it does.

    Args:
        source: Its name.
        room: ``rollback`` or ``saga``: the first part of its spans' attributes.
        verb: ``undo`` or ``compensate``.

    """

    source: str
    room: str
    verb: str


def incomplete(failures: Failures, words: Words, **facts: Any) -> RollbackIncomplete:
    """Return the error that tells which actions are left."""
    told = "; ".join(f"{name}: {type(error).__name__}: {error}" for name, error in failures)
    count = f"{len(failures)} action{'s' if len(failures) > 1 else ''}"
    return RollbackIncomplete(f"{words.source} could not {words.verb} {count}: {told}", failures=failures, **facts)


class Undoing:
    """One rollback of a log.

    Args:
        log: What was done.
        mode: Whether it may await.
        words: How it is spoken of.
        listeners: Are told.

    Attributes:
        events: What was told, in order.

    """

    def __init__(self, log: UndoLog, mode: Mode, words: Words, listeners: Listeners) -> None:
        self._log = log
        self._mode = mode
        self._words = words
        self._listeners = listeners
        self.events: list[Event] = []
        self.undone: list[Action] = []
        self.failures: list[tuple[str, BaseException]] = []

    async def run(self, actions: Iterable[Action]) -> Failures:
        """Undo the open ones among *actions*, last first; those of a parallel group at once where that is possible.

        Returns:
            What could not be undone.

        """
        for group in plan(actions):
            work = [self._undo(action) for action in group]
            if self._mode.asynchronous and len(work) > 1:
                await _together(work)
            else:
                for one in work:
                    await one
        at = self._mode.clock.wall()
        counts = {"undone": len(self.undone), "failed": len(self.failures)}
        self._tell(RolledBack(source=self._words.source, at=at, **counts))
        return tuple(self.failures)

    async def _undo(self, planned: Action) -> None:
        try:
            action = await self._log.take(planned.id, self._mode)
        except Exception as error:  # noqa: BLE001 - the store cannot decide, so this undo is not run
            self.failures.append((planned.name, error))
            return
        if action is None:
            self._left_to_others(planned)
            return
        handler, undo_began = self._log.handler(action.id), False
        try:
            verdict, action = await self._verdict(action, handler)
            undo_began = verdict is Verdict.COMPENSATE
            if undo_began:
                await self._compensate(action, handler)
        except BaseException as error:
            await self._park(action, error, undo_in_doubt=undo_began and is_ambiguous(error))
            if not isinstance(error, Exception):
                raise
        else:
            await self._done(action, verdict)

    def _left_to_others(self, planned: Action) -> None:
        now = self._log.get(planned.id)
        if now is not None and now.state in OPEN:
            busy = InFlight(f"{now.name} is still {now.state.value}", call=now.name, holder="", until=None)
            self.failures.append((now.name, now.undo_error or busy))

    async def _verdict(self, action: Action, handler: Handler) -> tuple[Verdict, Action]:
        verdict = judge(action, can_ask=handler.resolve is not None)
        if verdict is not Verdict.ASK or handler.resolve is None:
            return verdict, action
        answer = await self._call(handler.resolve, action)
        return answered(action, answer), resolved(action, answer)

    async def _compensate(self, action: Action, handler: Handler) -> None:
        if handler.undo is None:
            misuse(
                f"nothing in this process undoes {handler.name}",
                wrong="recovering without the module that defines it",
                right=f"import {handler.name.rpartition('.')[0]}",
            )
        words = self._words
        facts = {f"{words.room}__name": words.source, f"{words.room}__action__id": action.id}
        with telemetry.span(f"{words.verb} {action.name}", **facts):
            faults.reach("rollback.undo.before")
            await retried(handler.retry, partial(self._call, handler.undo, action), self._mode, never=(InDoubt,))
            faults.reach("rollback.undo.after")

    async def _done(self, action: Action, verdict: Verdict) -> None:
        match verdict:
            case Verdict.COMPENSATE:
                self.undone.append(await self._log.move(action.id, ActionState.UNDONE, self._mode, undo_error=None))
                at, name = self._mode.clock.wall(), action.name
                self._tell(ActionUndone(source=self._words.source, at=at, action=name, action_id=action.id))
            case Verdict.SKIP:
                await self._log.move(action.id, ActionState.SKIPPED, self._mode)
            case _:
                await self._park(action, _why_parked(action, self._words.verb))

    async def _call(self, function: Hook, action: Action) -> Any:
        token = _undoing.set(True)
        try:
            return await self._mode.value(function(action), f"{function.option} of {action.name}")
        finally:
            _undoing.reset(token)

    async def _park(self, action: Action, error: BaseException, **facts: Any) -> None:
        await self._log.move(action.id, ActionState.PARKED, self._mode, undo_error=error, **facts)
        self.failures.append((action.name, error))
        at, why = self._mode.clock.wall(), f"{type(error).__name__}: {error}"
        self._tell(ActionParked(source=self._words.source, at=at, action=action.name, action_id=action.id, error=why))

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        self._listeners.publish(event)


async def _together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    import asyncio

    for ended in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(ended, BaseException):
            raise ended


def _why_parked(action: Action, verb: str) -> BaseException:
    if action.undo_in_doubt:
        text = f"an earlier attempt to {verb} {action.name} may have happened; a person must find out"
    elif action.ended is ActionState.FAILED:
        return action.error or InDoubt(f"{action.name} raised")
    elif action.policies.needs_result and not action.has_result:
        text = f"{action.name} may have happened, and without its result there is no way to {verb} it"
    else:
        text = f"it is not known whether {action.name} happened; a person must find out"
    return InDoubt(text, call=action.name, effect_id=action.id, key=action.idempotency_key)

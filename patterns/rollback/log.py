"""The undo log of one scope (a run, a saga): actions in order, each moved by one caller at a time."""

from __future__ import annotations

from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any

from attrs import evolve

from patterns.errors import InFlight
from patterns.kernel.ids import SYSTEM_IDS
from patterns.rollback.handler import kept
from patterns.rollback.machine import FORGETTABLE, Action, ActionState, can_be_taken, moved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from patterns.kernel.commit import Claim
    from patterns.rollback.handler import Handler
    from patterns.rollback.mode import Mode
    from patterns.rollback.records import Records

__all__ = ["UndoLog"]


class UndoLog:
    """Actions and their handlers; safe for threads.

    The memory is what this process knows; with *records* every move is also
    written to a store, and the store has the last word on who may undo.

    Args:
        wall: Seconds since 1970-01-01 UTC.
        records: Where the log outlives the process, or None.

    """

    def __init__(self, wall: Callable[[], float], records: Records | None = None) -> None:
        self.records = records
        self._wall = wall
        self._lock = Lock()
        self._actions: dict[str, Action] = {}
        self._handlers: dict[str, Handler] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._actions)

    @property
    def position(self) -> int:
        """Where the next action will stand."""
        return self._next

    @property
    def actions(self) -> tuple[Action, ...]:
        """All actions, in order."""
        with self._lock:
            return tuple(sorted(self._actions.values(), key=lambda action: action.position))

    def oldest(self, count: int | None, before: float) -> list[Action]:
        """Return up to *count* of the oldest actions that stand before the position *before* and may be forgotten."""
        with self._lock:
            fit = (one for one in self._actions.values() if one.position < before and one.state in FORGETTABLE)
            return list(islice(fit, count))

    def get(self, action_id: str) -> Action | None:
        """Return the action, or None."""
        return self._actions.get(action_id)

    def handler(self, action_id: str) -> Handler:
        """Return how the action is undone."""
        return self._handlers[action_id]

    def begin(
        self, handler: Handler, name: str, arguments: Mapping[str, Any], *, key: str | None, group: int | None = None
    ) -> Action:
        """Return the action that is about to run, not yet written down."""
        own_id = SYSTEM_IDS.new("act_")
        with self._lock:
            position, self._next = self._next, self._next + 1
        return Action(
            id=own_id,
            name=name,
            position=position,
            arguments={parameter: kept(value) for parameter, value in arguments.items()},
            policies=handler.policies,
            idempotency_key=key or own_id,
            group=position if group is None else group,
            started=self._wall(),
        )

    async def write(self, action: Action, handler: Handler, mode: Mode) -> Claim | None:
        """Write the action down; return what must be true in the store before it may run, if there is one.

        Raises:
            Misuse: A store cannot keep what its undo needs.

        """
        claim = None if self.records is None else await self.records.claim(action, handler, mode)
        with self._lock:
            self._actions[action.id], self._handlers[action.id] = action, handler
        return claim

    def note(self, action_id: str, to: ActionState, **facts: Any) -> Action:
        """Move the action to another state, in this process.

        Raises:
            IllegalMove: It cannot go there.

        """
        with self._lock:
            action = self._actions[action_id] = moved(self._actions[action_id], to, **facts)
        return action

    async def move(self, action_id: str, to: ActionState, mode: Mode, **facts: Any) -> Action:
        """Do the same in the store as well."""
        action = self.note(action_id, to, **facts)
        await self.save(action, mode)
        return action

    async def save(self, action: Action, mode: Mode) -> None:
        """Write where the action stands to the store, if there is one."""
        if self.records is not None:
            await self.records.settle(action, self._handlers[action.id], mode)

    def is_running(self, action: Action) -> bool:
        """Whether it has not been told yet how the action ended."""
        now = self._actions.get(action.id)
        return now is not None and now.state is ActionState.RUNNING

    async def take(self, action_id: str, mode: Mode) -> Action | None:
        """Move the action to UNDOING and return it as it was; None if there is nothing to do or somebody is at it."""
        with self._lock:
            before = self._actions[action_id]
            if not can_be_taken(before):
                return None
            action = self._actions[action_id] = moved(before, ActionState.UNDOING)
        if self.records is None:
            return before
        try:
            won = await self.records.take(action, self._handlers[action_id], mode)
        except BaseException as error:
            self.replace(evolve(before, state=ActionState.PARKED, undo_error=error))
            raise
        if not won:
            other = InFlight(f"another process undoes {action.name}", call=action.name, holder="", until=None)
            self.replace(evolve(before, state=ActionState.PARKED, undo_error=other))
        return before if won else None

    def replace(self, action: Action) -> None:
        """Keep other facts of an action this caller alone has to do with."""
        with self._lock:
            self._actions[action.id] = action

    async def refresh(self, handlers: Mapping[str, Handler], mode: Mode) -> None:
        """Learn what other processes left in the store; it stands before everything done here."""
        if self.records is None:
            return
        found = await self.records.load(handlers, mode)
        with self._lock:
            strangers = [one for one in self._actions.values() if one.position < 0]
            for action in strangers:
                if action.state is not ActionState.UNDOING:  # a rollback of this process is at it
                    del self._actions[action.id], self._handlers[action.id]
            others = [(action, handler) for action, handler in found if action.id not in self._actions]
            places: dict[int, int] = {}
            for index, (action, handler) in enumerate(others, start=-len(others)):
                if action.position == action.group:  # the first of its group
                    places[action.group] = index
                group = places.get(action.group, index)
                self._actions[action.id] = evolve(action, position=index, group=group)
                self._handlers[action.id] = handler

    def drop(self, action_id: str) -> None:
        """Forget the action in this process."""
        with self._lock:
            self._actions.pop(action_id, None)
            self._handlers.pop(action_id, None)

    async def erase(self, actions: Iterable[Action], mode: Mode) -> None:
        """Forget *actions* for good: what they did stays done."""
        gone = tuple(actions)
        for action in gone:
            self.drop(action.id)
        if self.records is not None:
            await self.records.erase(gone, mode)

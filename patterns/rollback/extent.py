"""Which actions belong to which block: positions would not tell, for parallel blocks share a log."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from patterns.rollback.log import UndoLog
    from patterns.rollback.machine import Action
    from patterns.rollback.mode import Mode

    TakeBack = Callable[[Iterable[Action], Mode], Awaitable[Any]]

__all__ = ["Extent", "must_be_taken_back", "take_back_late", "written_down"]

_extents: contextvars.ContextVar[tuple[Extent, ...]] = contextvars.ContextVar("patterns_undo_extents", default=())


class Extent:
    """The actions of one block, those of the blocks inside it included.

    Args:
        log: Where they are written down.

    """

    def __init__(self, log: UndoLog) -> None:
        self.log = log
        self._ids: dict[str, None] = {}  # in order, and safe to copy while another thread adds
        self._before: tuple[Extent, ...] = ()
        self._is_open = False
        self._take_back: TakeBack | None = None

    @property
    def actions(self) -> tuple[Action, ...]:
        """The block's actions, in order."""
        found = [action for action in map(self.log.get, list(self._ids)) if action is not None]
        return tuple(sorted(found, key=lambda action: action.position))

    def add(self, action: Action) -> None:
        """Count *action* among the block's."""
        self._ids[action.id] = None

    def open(self) -> None:
        """Begin to collect the actions of this context and of those that spring from it."""
        self._before, self._is_open = _extents.get(), True
        _extents.set((*self._before, self))

    def close(self) -> None:
        """End what `open` began; a block may be left from another context than it was entered in."""
        self._is_open = False
        if self in _extents.get():
            _extents.set(self._before)

    def failed(self, take_back: TakeBack) -> None:
        """From now on, hand an action that ends only now, in a task that outlived the block, to *take_back*."""
        self._take_back = take_back

    @property
    def is_open(self) -> bool:
        """Whether what begins now belongs to the block."""
        return self._is_open

    def wants_back(self, action: Action) -> bool:
        """Whether *action* was begun in the block, which has failed."""
        return self._take_back is not None and action.id in self._ids

    async def take_back(self, action: Action, mode: Mode) -> None:
        """Take back *action*, which ended after its block had failed."""
        if self._take_back is not None:
            await self._take_back((action,), mode)


def written_down(log: UndoLog, action: Action) -> None:
    """Tell the blocks around that *action* was written down in *log*."""
    for extent in _extents.get():
        if extent.log is log and extent.is_open:
            extent.add(action)


def must_be_taken_back(log: UndoLog, action: Action) -> bool:
    """Whether a block around *action* failed while it was running."""
    return any(extent.log is log and extent.wants_back(action) for extent in _extents.get())


async def take_back_late(log: UndoLog, action: Action, mode: Mode) -> None:
    """Let the blocks around that failed meanwhile take back *action*."""
    for extent in reversed(_extents.get()):
        if extent.log is log and extent.wants_back(action):
            await extent.take_back(action, mode)

"""The colour of a piece of work: whether it may await, and what it does instead if it may not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from patterns.errors import misuse
from patterns.kernel.storage import Blocking

if TYPE_CHECKING:
    from patterns.kernel.clock import Clock
    from patterns.kernel.storage import AsyncCells, Store

__all__ = ["Mode"]


@frozen
class Mode:
    """How to wait: a coroutine given a sync mode never suspends.

    Args:
        asynchronous: Whether an event loop drives the work.
        clock: Where time comes from.

    """

    asynchronous: bool
    clock: Clock

    async def sleep(self, duration: float) -> None:
        """Wait *duration* seconds."""
        if self.asynchronous:
            await self.clock.asleep(duration)
        else:
            self.clock.sleep(duration)

    async def value(self, value: Any, what: str) -> Any:
        """Return what a user's function returned, awaiting it if need be.

        Raises:
            Misuse: *value* has to be awaited and nothing here can.

        """
        if not hasattr(type(value), "__await__"):
            return value
        if self.asynchronous:
            return await value
        close = getattr(value, "close", None)
        if close is not None:
            close()
        misuse(
            f"{what} is async, and nothing awaits it in a sync rollback",
            wrong="undo.rollback_to(checkpoint), or with saga.transaction(): ...",
            right="await undo.arollback_to(checkpoint), or async with saga.transaction(): ...",
        )

    def cells(self, store: Store) -> AsyncCells:
        """Return the records of *store* in this colour."""
        return store.async_cells if self.asynchronous else Blocking(store.cells)

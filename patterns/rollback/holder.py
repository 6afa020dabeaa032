"""Who writes a record, and whether whoever wrote one is still alive."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from patterns.kernel.storage import Store
    from patterns.rollback.mode import Mode

__all__ = ["Holder"]

_ASK_AGAIN = 5.0
"""Seconds after which the store is asked again who we are: a cleaner of files may have swept our sign of life away."""


class Holder:
    """This process as one store knows it, and the others.

    Args:
        store: Whose owners.

    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._me = ("", -1, 0.0)  # owner id, process id, when the store said so

    async def me(self, mode: Mode) -> str | None:
        """Return this process's owner id, or None if the store knows no owners."""
        owners = self.store.owners
        if owners is None:
            return None
        owner, process, asked = self._me
        now = mode.clock.now()
        if process == os.getpid() and now - asked < _ASK_AGAIN:
            return owner
        new: str = await self._off_loop(owners.me, mode=mode)
        self._me = (new, os.getpid(), now)
        return new

    async def is_alive(self, owner: str | None, mode: Mode) -> bool | None:
        """Return True, False if *owner* is proven dead, or None if it cannot be told."""
        if owner is None or self.store.owners is None:
            return None
        alive: bool | None = await self._off_loop(self.store.owners.alive, owner, mode=mode)
        return alive

    async def _off_loop(self, ask: Any, *args: Any, mode: Mode) -> Any:
        # A store that never waits has owners that do not, either.
        if not (mode.asynchronous and self.store.async_cells.suspends):
            return ask(*args)
        import asyncio

        return await asyncio.to_thread(ask, *args)

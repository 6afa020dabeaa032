"""Interleavings that are written down instead of hoped for."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from patterns.errors import misuse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = ["Sequencer"]

_PATIENCE = 10.0


class Sequencer:
    """Makes numbered sections of several threads or tasks run in the order of their numbers.

    Each number is used once; a section waits until all smaller ones are left.

    Example:
        ``with sequencer(0): ...`` in one thread, ``with sequencer(1): ...`` in
        another, or ``async with sequencer.turn(1): ...`` in a task.

    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._next = 0
        self._taken: set[int] = set()

    def _take(self, number: int) -> None:
        with self._condition:
            if number < 0 or number in self._taken:
                misuse(f"the turn {number} is taken", wrong=f"sequencer({number}) twice", right="each number once")
            self._taken.add(number)

    def _leave(self) -> None:
        with self._condition:
            self._next += 1
            self._condition.notify_all()

    @contextmanager
    def __call__(self, number: int) -> Iterator[None]:
        """Wait for the turn of *number* in a thread.

        Raises:
            TimeoutError: The turn did not come within ten seconds; the interleaving is impossible.

        """
        self._take(number)
        with self._condition:
            if not self._condition.wait_for(lambda: self._next == number, _PATIENCE):
                raise TimeoutError(f"turn {number} never came; the last one left was {self._next - 1}")
        try:
            yield
        finally:
            self._leave()

    @asynccontextmanager
    async def turn(self, number: int) -> AsyncIterator[None]:
        """Do the same in a task, without blocking its event loop."""
        import asyncio  # noqa: PLC0415 - threads never need it

        self._take(number)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE
        while self._next != number:
            if loop.time() > deadline:
                raise TimeoutError(f"turn {number} never came; the last one left was {self._next - 1}")
            await asyncio.sleep(0)
        try:
            yield
        finally:
            self._leave()

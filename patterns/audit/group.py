"""Group commit: whoever comes while a commit is under way shares the next one."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections import deque
from copy import copy
from typing import TYPE_CHECKING, Any

from patterns.errors import AuditError, PatternsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["GroupCommit"]

_MOST_UNHURRIED = 10_000


class _Ticket:
    """A line to commit, if any, and how its owner hears of the outcome.

    Args:
        line: None only asks for a commit.
        loop: The event loop of a task that waits for it; None for a thread.

    """

    __slots__ = ("error", "future", "index", "leads", "line", "loop", "ready")

    def __init__(self, line: bytes | None, *, loop: Any = None) -> None:
        self.line = line
        self.index = -1
        self.error: BaseException | None = None
        self.leads = False
        self.loop = loop
        self.future: Any = loop.create_future() if loop is not None else None
        self.ready = threading.Lock()
        self.ready.acquire()

    def outcome(self) -> int:
        """Return the index, or raise an error of this caller's own: a shared one would collect all tracebacks."""
        if self.error is None:
            return self.index
        if isinstance(self.error, PatternsError):
            raise copy(self.error) from self.error
        raise AuditError(f"the record is not acknowledged: {self.error!r}") from self.error


class GroupCommit:
    """Lets many threads and tasks commit through one function that takes a list of lines.

    The first to come leads: it commits what is queued by then, its own line
    among it, and passes the lead on to the next in the queue. So a batch is as
    large as the number of callers that came during the commit before it, and
    nobody waits for a timer.

    Args:
        commit: Takes lines, returns the index of the first.
        unhurried: How many lines that nobody waits for make a commit of their own.

    """

    def __init__(self, commit: Callable[[Sequence[bytes]], int], *, unhurried: int = 1000) -> None:
        self._commit = commit
        self._unhurried = unhurried
        self._reset()
        _alive.add(self)

    def _reset(self) -> None:
        self._mutex = threading.Lock()
        self._queue: deque[_Ticket] = deque()
        self._left: deque[bytes] = deque()
        self._led = False
        self._thread: ThreadPoolExecutor | None = None

    def submit(self, line: bytes | None) -> int:
        """Commit *line*, or only what others left, from a thread.

        Returns:
            The line's index.

        Raises:
            AuditError: It is not acknowledged.

        """
        ticket = _Ticket(line)
        if not self._joined(ticket):
            self._wait(ticket)
        if ticket.leads:
            self._lead()
        return ticket.outcome()

    async def asubmit(self, line: bytes | None) -> int:
        """Do the same from a task; if it is cancelled the line may be committed all the same."""
        import asyncio

        ticket = _Ticket(line, loop=asyncio.get_running_loop())
        if self._joined(ticket):
            self._lead_elsewhere()
        await ticket.future
        return ticket.outcome()

    def leave(self, line: bytes) -> None:
        """Leave *line* to whoever commits next; nothing is acknowledged.

        Raises:
            AuditError: Too many lines wait already, or the commit of a full batch failed.

        """
        with self._mutex:
            if len(self._left) >= _MOST_UNHURRIED:
                raise AuditError(f"{len(self._left)} records wait to be written")
            self._left.append(line)
            full = len(self._left) >= self._unhurried and not self._led
            elsewhere = full and _in_event_loop()
            self._led = self._led or elsewhere
        if elsewhere:
            self._lead_elsewhere()
        elif full:
            self.submit(None)  # whoever writes so fast waits a little, which keeps the queue short

    @property
    def waiting(self) -> int:
        """How many lines are not committed yet."""
        return len(self._queue) + len(self._left)

    def _joined(self, ticket: _Ticket) -> bool:
        """Queue *ticket*; tell whether it leads."""
        with self._mutex:
            self._queue.append(ticket)
            ticket.leads, self._led = not self._led, True
            return ticket.leads

    def _wait(self, ticket: _Ticket) -> None:
        try:
            ticket.ready.acquire()
        except BaseException:
            with self._mutex:
                if ticket in self._queue:
                    self._queue.remove(ticket)
            if ticket.leads:
                self._hand_over()
            raise

    def _lead(self) -> None:
        """Commit one batch and pass the lead on."""
        with self._mutex:
            batch, left = list(self._queue), list(self._left)
            self._queue.clear()
            self._left.clear()
        try:
            self._commit_batch(batch, left)
        except BaseException as error:
            for ticket in batch:
                ticket.error = error
            with self._mutex:  # what nobody waits for is tried again with the next commit
                self._left.extendleft(reversed(left))
            if not isinstance(error, Exception):
                raise
        finally:
            _tell(batch)
            self._hand_over()

    def _commit_batch(self, batch: Iterable[_Ticket], left: list[bytes]) -> None:
        written = [ticket for ticket in batch if ticket.line is not None]
        first = self._commit([*left, *(ticket.line for ticket in written if ticket.line is not None)])
        for index, ticket in enumerate(written, first + len(left)):
            ticket.index = index

    def _hand_over(self) -> None:
        with self._mutex:
            self._led = bool(self._queue)
            if not self._led:
                return
            following = self._queue[0]
            following.leads = True
        if following.loop is None:
            following.ready.release()
        else:
            self._lead_elsewhere()

    def _lead_elsewhere(self) -> None:
        """Lead in a thread of our own, for a task.

        The event loop's own threads may all be occupied by callers that wait
        for this very commit.
        """
        if self._thread is None:
            from concurrent.futures import ThreadPoolExecutor

            self._thread = ThreadPoolExecutor(1, thread_name_prefix="patterns-audit")
        self._thread.submit(self._lead)

    def close(self) -> None:
        """End the thread that leads for tasks, if there is one; it begins again when needed."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown()


def _in_event_loop() -> bool:
    asyncio = sys.modules.get("asyncio")  # where it was never imported, no event loop runs
    try:
        return asyncio is not None and asyncio.get_running_loop() is not None
    except RuntimeError:
        return False


def _tell(batch: Iterable[_Ticket]) -> None:
    tasks: dict[Any, list[_Ticket]] = {}
    for ticket in batch:
        if ticket.loop is not None:
            tasks.setdefault(ticket.loop, []).append(ticket)
        elif not ticket.leads:
            ticket.ready.release()
    for loop, tickets in tasks.items():
        try:
            loop.call_soon_threadsafe(_resolve, tickets)
        except RuntimeError:
            continue  # the loop is closed and its tasks with it


def _resolve(tickets: Iterable[_Ticket]) -> None:
    for ticket in tickets:
        if not ticket.future.done():
            ticket.future.set_result(None)


_alive: weakref.WeakSet[GroupCommit] = weakref.WeakSet()


def _forked() -> None:
    for group in _alive:
        group._reset()  # noqa: SLF001 - the parent's callers wait there, not here


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)

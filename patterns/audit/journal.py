"""Records on their way into the log: made by the scribe, committed in groups, never silently lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from patterns.audit.group import GroupCommit
from patterns.errors import AuditError

if TYPE_CHECKING:
    from patterns.audit.records import Scribe
    from patterns.audit.writer import Writer

__all__ = ["Journal"]


class Journal:
    """What the logger and its guards write through.

    Args:
        scribe: Makes the records.
        writer: Commits them.
        closed: True if what cannot be recorded first must not run.

    """

    def __init__(self, scribe: Scribe, writer: Writer, *, closed: bool) -> None:
        self.scribe = scribe
        self.closed = closed
        self.waits = writer.waits
        self._writer = writer
        self._group = GroupCommit(writer.commit)

    def append(self, line: bytes) -> int:
        """Commit *line* from a thread; return its index."""
        if self.waits or self._group.waiting:
            return self._group.submit(line)
        return self._writer.commit((line,))

    async def aappend(self, line: bytes) -> int:
        """Commit *line* from a task, in a thread unless nothing waits."""
        return await self._group.asubmit(line) if self.waits else self.append(line)

    def leave(self, line: bytes) -> None:
        """Leave *line* to the next commit; nothing is acknowledged."""
        self._group.leave(line)

    def leave_late(self, line: bytes, failure: BaseException) -> None:
        """Leave a record that could not be written in time, and say so loudly; never raises."""
        try:
            self._group.leave(line)
        except AuditError as error:
            failure = error
        self.report(failure)

    def report(self, failure: BaseException) -> None:
        """Say loudly that a record is missing; never raises."""
        import logging

        logging.getLogger("patterns.audit").error(
            "the audit log cannot be written (%s); %d records wait for the next commit", failure, self.waiting
        )

    def flush(self) -> None:
        """Commit whatever waits."""
        self._group.submit(None)

    def close(self) -> None:
        """Commit whatever waits, and end the thread that commits for tasks."""
        try:
            if self.waiting:
                self.flush()
        finally:
            self._group.close()

    @property
    def waiting(self) -> int:
        """How many records are not committed yet."""
        return self._group.waiting

    def line(self, record: dict[str, Any]) -> bytes:
        """Return the line of *record*, redacted."""
        return self.scribe.line(record)

"""Where a log is kept: the protocol, and the sink for tests that keeps it in memory."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from attrs import frozen

from patterns.audit.head import Head
from patterns.audit.merkle import node_hash

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

__all__ = ["Batch", "Found", "LazySink", "MemorySink", "Reader", "Recovered", "Sink"]


@frozen
class Batch:
    """Some consecutive lines as they were read, without their newlines.

    Args:
        segment: Index of the first entry of the file they are in, as the file's name says.
        offset: Where in that file the first of them begins.
        lines: The lines.
        torn: True if the last of them has no newline, which ends its file.

    """

    segment: int
    offset: int
    lines: list[bytes]
    torn: bool = False


@frozen
class Recovered:
    """What was found behind the sealed end, was never acknowledged, and was set aside."""

    bytes: int
    sha256: str
    kept_in: str


@frozen
class Found:
    """What a sink holds when it is opened for appending."""

    head: Head | None
    recovered: tuple[Recovered, ...] = ()


class Reader(Protocol):
    """Reads a log without changing it, also while it is written to."""

    def head(self) -> Head | None:
        """Return the newest head, or None if there is none."""
        raise NotImplementedError

    def published(self) -> str | None:
        """Return the checkpoint as it is published, or None."""
        raise NotImplementedError

    def batches(self) -> Iterator[Batch]:
        """Yield all lines from the first one on, the unsealed ones too."""
        raise NotImplementedError

    def node(self, level: int, index: int) -> bytes:
        """Return the root of leaves [index << level, (index + 1) << level), as stored."""
        raise NotImplementedError


class Sink(Protocol):
    """Keeps lines in one order, and the newest head.

    It knows nothing of keys or records. Whoever writes one runs the
    conformance tests in ``tests/audit/test_sinks.py`` on it.
    """

    def exclusive(self) -> AbstractContextManager[Found]:
        """Keep every other writer out, in this and any other process, and tell what is there.

        Lines behind the sealed end were never acknowledged; they are set aside
        before this returns.

        Raises:
            AuditError: The sink cannot be reached.
            LogTampered: Sealed lines are missing, or the head is.

        """
        raise NotImplementedError

    def append(self, head: Head, lines: Sequence[bytes], leaves: Sequence[bytes]) -> Head:
        """Write *lines* behind *head*, which is sealed, durably; inside `exclusive` only.

        Args:
            head: As found.
            lines: Without newlines.
            leaves: Their leaf hashes.

        Returns:
            *head* with the place where the lines end.

        Raises:
            AuditError: Not all of them could be written; none counts.

        """
        raise NotImplementedError

    def seal(self, head: Head) -> None:
        """Make *head* the newest one, durably and at once; inside `exclusive` only.

        Raises:
            AuditError: It could not be written.

        """
        raise NotImplementedError

    def reader(self) -> Reader:
        """Return a reader of this log."""
        raise NotImplementedError

    def close(self) -> None:
        """Release files and connections."""
        raise NotImplementedError


@runtime_checkable
class LazySink(Sink, Protocol):
    """A sink that forgets everything with the process, so that nothing is gained by sealing at once."""

    def keep(self, lines: Sequence[bytes]) -> int:
        """Keep *lines* to be sealed when somebody looks; return the index of the first."""
        raise NotImplementedError

    def unsealed(self) -> list[bytes]:
        """Return the lines that are kept but not sealed yet; inside `exclusive` only."""
        raise NotImplementedError


class MemorySink:
    """Keeps the log in memory: for tests and for trying things out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: list[bytes] = []
        self._levels: list[list[bytes]] = [[]]
        self._head: Head | None = None

    def __repr__(self) -> str:
        return f"<MemorySink of {len(self._lines)} lines>"

    def keep(self, lines: Sequence[bytes]) -> int:
        """See `LazySink.keep`."""
        with self._lock:
            first = len(self._lines)
            self._lines += lines
        return first

    def unsealed(self) -> list[bytes]:
        """See `LazySink.unsealed`."""
        return self._lines[0 if self._head is None else self._head.tree.size :]

    @contextmanager
    def exclusive(self) -> Iterator[Found]:
        """See `Sink.exclusive`."""
        with self._lock:
            yield Found(self._head)

    def append(self, head: Head, lines: Sequence[bytes], leaves: Sequence[bytes]) -> Head:
        """See `Sink.append`; lines that are kept already are not kept twice."""
        size = head.tree.size
        self._lines[size : size + len(lines)] = lines
        del self._levels[0][size:]  # of an append that was not sealed
        for leaf in leaves:
            self._grow(leaf)
        return Head(head.tree, head.note, 0, head.offset + sum(map(len, lines)) + len(lines))

    def seal(self, head: Head) -> None:
        """See `Sink.seal`."""
        self._head = head

    def reader(self) -> Reader:
        """See `Sink.reader`."""
        return self

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def head(self) -> Head | None:
        """See `Reader.head`."""
        return self._head

    def published(self) -> str | None:
        """See `Reader.published`."""
        return None if self._head is None else self._head.note

    def batches(self) -> Iterator[Batch]:
        """See `Reader.batches`."""
        yield Batch(0, 0, list(self._lines))

    def node(self, level: int, index: int) -> bytes:
        """See `Reader.node`."""
        return self._levels[level][index]

    def _grow(self, leaf: bytes) -> None:
        self._levels[0].append(leaf)
        level, count, node = 0, len(self._levels[0]), leaf
        while count % 2 == 0:
            level, count, node = level + 1, count // 2, node_hash(self._levels[level][count - 2], node)
            if level == len(self._levels):
                self._levels.append([])
            del self._levels[level][count - 1 :]
            self._levels[level].append(node)

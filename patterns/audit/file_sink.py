"""The sink that keeps a log in a directory: durable, shared by processes, repaired after a crash."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import TYPE_CHECKING

from attrs import field, frozen

from patterns.audit.files import CHUNK, TILE_WIDTH, LogFiles, newest_of, root_of_row
from patterns.audit.head import SLOT_SIZE, Head
from patterns.audit.merkle import HASH_SIZE, tampered
from patterns.audit.sinks import Found, Recovered
from patterns.errors import AuditError, LogTampered, misuse
from patterns.kernel import faults
from patterns.kernel.ids import SYSTEM_IDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from patterns.audit.sinks import Reader

__all__ = ["FileSink"]

_EMPTY_SLOT = bytes(SLOT_SIZE)
_MODE = 0o640
_TILE_BYTES = TILE_WIDTH * HASH_SIZE

_datasync = getattr(os, "fdatasync", os.fsync)
"""File data and length, without the time stamps; macOS has only the whole."""


@frozen
class _Slots:
    """The bytes of both slots, which of them is newest, and the head in it."""

    data: bytes = b""
    newest: int = 0
    head: Head | None = None


@frozen
class _Open:
    """The descriptors of one process."""

    pid: int
    directory: int
    head: int
    checkpoint: int
    identities: dict[str, tuple[int, int]]
    segments: dict[int, int] = field(factory=dict)
    trees: dict[int, int] = field(factory=dict)

    def descriptors(self) -> tuple[int, ...]:
        return (self.directory, self.head, self.checkpoint, *self.segments.values(), *self.trees.values())

    def tree(self, level: int, path: str) -> int:
        descriptor = self.trees.get(level)
        if descriptor is None:
            descriptor = self.trees[level] = _create(path)
        return descriptor


class FileSink:
    """Keeps a log in a directory of its own.

    Processes of one machine may share it: each commit takes an ``flock``. The
    file system must be a local one.

    Args:
        directory: Made if missing. Keep it where the agent's tools cannot write.
        rotate_at: Bytes after which a new file of entries is begun; None keeps one file.

    Raises:
        Misuse: *rotate_at* is not positive.
        AuditError: The directory cannot be made.

    """

    def __init__(self, directory: str | os.PathLike[str], *, rotate_at: int | None = None) -> None:
        if rotate_at is not None and rotate_at <= 0:
            misuse(f"rotate_at={rotate_at} bytes", wrong=f"rotate_at={rotate_at}", right="rotate_at=100_000_000")
        self.files = LogFiles(directory)
        self._rotate_at = rotate_at
        self._open: _Open | None = None
        self._slots = _Slots()
        self._published: int | None = None
        self._recovered: list[Recovered] = []
        try:
            self.files.directory.mkdir(parents=True, exist_ok=True)
            _sync_directory(self.files.directory.parent)
        except OSError as error:
            raise AuditError(f"the directory of the log cannot be made: {error}", errno=error.errno) from error

    def __repr__(self) -> str:
        return f"FileSink({os.fspath(self.files.directory)!r})"

    def reader(self) -> Reader:
        """See `Sink.reader`."""
        return self.files

    @contextmanager
    def exclusive(self) -> Iterator[Found]:
        """See `Sink.exclusive`."""
        try:
            files = self._opened()
            _lock(files.head)
            yield self._found(files)
            _unlock(files.head)
        except BaseException as error:
            self.close()  # what the files hold is uncertain now, so the next one looks again
            if isinstance(error, OSError):
                raise AuditError(f"the log cannot be written: {error}", errno=error.errno) from error
            raise

    def append(self, head: Head, lines: Sequence[bytes], leaves: Sequence[bytes]) -> Head:
        """See `Sink.append`."""
        files = self._held()
        if self._full(head):
            head = Head(head.tree, head.note, head.tree.size, 0)
        data = b"\n".join(lines) + b"\n"
        segment = self._segment(files, head.segment)
        try:
            _write(segment, data, head.offset)
            self._write_tree(files, head.tree.size, leaves)
            faults.reach("audit.written")
            _datasync(segment)
        except BaseException:
            with suppress(OSError):  # if this fails too, the next to open the log sets the rest aside
                os.ftruncate(segment, head.offset)
            raise
        faults.reach("audit.synced")
        return Head(head.tree, head.note, head.segment, head.offset + len(data))

    def seal(self, head: Head) -> None:
        """See `Sink.seal`."""
        files = self._held()
        old, new = self._slots.newest, 1 - self._slots.newest
        slot = head.encode()
        _write(files.head, slot, new * SLOT_SIZE)
        faults.reach("audit.sealing")
        _datasync(files.head)
        faults.reach("audit.sealed")
        # An older checkpoint left lying here would be a ready-made end for whoever cuts the log.
        _write(files.head, _EMPTY_SLOT, old * SLOT_SIZE)
        self._publish(files, head.note.encode())
        self._slots = _Slots(slot + _EMPTY_SLOT if new == 0 else _EMPTY_SLOT + slot, new, head)
        self._recovered.clear()

    def restore(self, head: Head | None, leaves: Iterable[list[bytes]]) -> None:
        """Write the stored hashes anew and, if *head* is given, a lost head; see `patterns.audit.repair`.

        Raises:
            AuditError: A file cannot be written.

        """
        try:
            files = self._opened()
            _lock(files.head)
            size = 0
            for batch in leaves:
                self._write_tree(files, size, batch)
                size += len(batch)
            if head is not None:
                self.seal(head)
            _unlock(files.head)
        except OSError as error:
            raise AuditError(f"the log cannot be repaired: {error}", errno=error.errno) from error

    def _publish(self, files: _Open, note: bytes) -> None:
        _write(files.checkpoint, note, 0)
        if self._published is None or len(note) < self._published:
            os.ftruncate(files.checkpoint, len(note))
        self._published = len(note)

    def close(self) -> None:
        """See `Sink.close`; the sink may be used again."""
        files, self._open, self._slots = self._open, None, _Slots()
        for descriptor in files.descriptors() if files else ():
            with suppress(OSError):
                os.close(descriptor)

    def _held(self) -> _Open:
        if self._open is None:
            raise AssertionError("append and seal belong inside exclusive")
        return self._open

    def _opened(self) -> _Open:
        if self._open is not None and self._open.pid != os.getpid():
            self.close()  # inherited by a fork: a lock taken on these would be the parent's
        if self._open is None:
            directory = os.open(self.files.directory, os.O_RDONLY | os.O_DIRECTORY)
            head = _create(self.files.head_path)
            checkpoint = _create(self.files.checkpoint_path)
            os.makedirs(os.path.dirname(self.files.tree_path(0)), exist_ok=True)
            os.fsync(directory)
            identities = {self.files.head_path: _identity(os.fstat(head))}
            self._open = _Open(os.getpid(), directory, head, checkpoint, identities)
        return self._open

    def _found(self, files: _Open) -> Found:
        _still_there(files, self.files.head_path)
        slots = os.pread(files.head, 2 * SLOT_SIZE, 0)
        if slots != self._slots.data or self._slots.head is None:
            self._read_slots(slots)
            self._published = None
        head = self._slots.head
        if head is not None:
            self._settle(files, head)
        return Found(head, tuple(self._recovered))

    def _read_slots(self, slots: bytes) -> None:
        newest, head = newest_of(slots)
        if head is None and self.files.segments():
            tampered("the log has entries but no head")
        self._slots = _Slots(slots, newest, head)

    def _settle(self, files: _Open, head: Head) -> None:
        """See to it that the file of entries ends where the head says."""
        if head.tree.size == 0 and not os.path.exists(self.files.segment_path(0)):
            return
        self._segment(files, head.segment)
        path = self.files.segment_path(head.segment)
        size = _still_there(files, path).st_size
        if size < head.offset:
            tampered(f"{path} has {size} bytes, {head.offset} are sealed")
        if size > head.offset:
            self._recovered.append(self._set_aside(path, head.offset))
        following = self.files.segment_path(head.tree.size)
        if self._full(head) and head.segment != head.tree.size and os.path.exists(following):
            self._recovered.append(self._set_aside(following, 0))

    def _full(self, head: Head) -> bool:
        return self._rotate_at is not None and head.offset >= self._rotate_at

    def _set_aside(self, path: str, offset: int) -> Recovered:
        """Move what lies behind *offset* to quarantine: it was never acknowledged, but it is evidence."""
        aside = self.files.directory / "quarantine"
        aside.mkdir(exist_ok=True)
        _sync_directory(self.files.directory)
        kept, digest, count = aside / SYSTEM_IDS.new(), sha256(), 0
        with open(path, "r+b", buffering=0) as source, kept.open("xb") as copy:
            source.seek(offset)
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                count += copy.write(chunk)
            copy.flush()
            os.fsync(copy.fileno())
            _sync_directory(aside)
            source.truncate(offset)
            os.fsync(source.fileno())
        return Recovered(count, digest.hexdigest(), f"quarantine/{kept.name}")

    def _segment(self, files: _Open, first: int) -> int:
        descriptor = files.segments.get(first)
        if descriptor is None:
            for older in list(files.segments):
                os.close(files.segments.pop(older))
            path = self.files.segment_path(first)
            known = os.path.exists(path)
            descriptor = files.segments[first] = _create(path)
            files.identities[path] = _identity(os.fstat(descriptor))
            if not known:
                os.fsync(files.directory)
        return descriptor

    def _write_tree(self, files: _Open, size: int, leaves: Sequence[bytes]) -> None:
        """Store the leaves' hashes and what they complete; derived, hence not synced."""
        level, row = 0, list(leaves)
        while row:
            tree = files.tree(level, self.files.tree_path(level))
            _write(tree, b"".join(row), size * HASH_SIZE)
            first, last = size // TILE_WIDTH, (size + len(row)) // TILE_WIDTH
            row = [_tile_root(tree, tile) for tile in range(first, last)]
            level, size = level + 1, first


def _tile_root(tree: int, tile: int) -> bytes:
    stored = os.pread(tree, _TILE_BYTES, tile * _TILE_BYTES)
    return root_of_row([stored[at : at + HASH_SIZE] for at in range(0, _TILE_BYTES, HASH_SIZE)])


def _sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)


def _write(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of *data*; the kernel may take less without an error, as on a full disk."""
    written = os.pwrite(descriptor, data, offset)
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], offset + written)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _still_there(files: _Open, path: str) -> os.stat_result:
    """Refuse to write to a file that is no longer where it was opened.

    Raises:
        LogTampered: It was removed or replaced.

    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise LogTampered(f"{path} was removed while the log was open", index=None) from None
    if _identity(status) != files.identities[path]:
        tampered(f"{path} was replaced while the log was open")
    return status


def _lock(descriptor: int) -> None:
    import fcntl  # noqa: PLC0415 - not on every platform

    fcntl.flock(descriptor, fcntl.LOCK_EX)


def _unlock(descriptor: int) -> None:
    import fcntl  # noqa: PLC0415 - not on every platform

    fcntl.flock(descriptor, fcntl.LOCK_UN)

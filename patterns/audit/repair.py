"""Puts back what can be derived, after it was lost: the stored hashes and the head. Entries are never touched."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from patterns.audit.file_sink import FileSink
from patterns.audit.files import LogFiles
from patterns.audit.head import Head
from patterns.audit.merkle import Tree
from patterns.audit.verify import verify
from patterns.errors import AuditError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    from patterns.audit.keys import VerifyingKey
    from patterns.audit.verify import Remembered

__all__ = ["repair"]


def repair(
    directory: str | os.PathLike[str],
    *,
    vkeys: Iterable[str | VerifyingKey] = (),
    against: Iterable[Remembered] = (),
    unsigned: bool = False,
) -> tuple[str, ...]:
    """Write the stored hashes and, if it is missing, the head anew, from entries that verify.

    Stop the writers first.

    Args:
        directory: The log.
        vkeys: Keys that may have signed it.
        against: Checkpoints remembered elsewhere.
        unsigned: Accept a log without signatures.

    Returns:
        What was done, one line each.

    Raises:
        LogTampered: The entries are not what was signed; nothing is changed.
        AuditError: It cannot be told whether they are, or a file cannot be written.

    """
    found = verify(directory, vkeys=vkeys, against=against, unsigned=unsigned)
    found.raise_for_tampering()
    files = LogFiles(directory)
    head = files.head()
    note = files.published() if head is None else head.note
    if note is None:
        raise AuditError("the log has no checkpoint")
    rebuilt, done = _rebuilt(files, found.size, note), []
    sink = FileSink(directory)
    try:
        sink.restore(rebuilt if head is None else None, _leaves(files, found.size))
        done.append(f"the stored hashes of {found.size} entries were written anew")
        if head is None:
            done.append("the head was written anew from the published checkpoint")
    finally:
        sink.close()
    return tuple(done)


def _leaves(files: LogFiles, size: int) -> Iterator[list[bytes]]:
    count = 0
    for batch in files.batches():
        leaves = [sha256(b"\0" + line).digest() for line in batch.lines[: size - count]]
        if not leaves:
            return
        yield leaves
        count += len(leaves)


def _rebuilt(files: LogFiles, size: int, note: str) -> Head:
    tree, segment, offset = Tree(), 0, 0
    for batch in files.batches():
        lines = batch.lines[: size - tree.size]
        if not lines:
            break
        tree = tree.extended([sha256(b"\0" + line).digest() for line in lines])
        segment, offset = batch.segment, batch.offset + sum(map(len, lines)) + len(lines)
    return Head(tree, note, segment, offset)

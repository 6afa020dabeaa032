"""Remembers where a log was, so that nobody can put it back: the least a witness does.

A witness belongs where the log's writer cannot reach: another user, another
host, a medium that is taken away. It keeps one checkpoint, and replaces it
only by one that goes on from it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from patterns.audit.checkpoint import Checkpoint
from patterns.audit.files import LogFiles
from patterns.audit.keys import VerifyingKey, verified_by
from patterns.audit.merkle import tampered
from patterns.audit.note import Note
from patterns.audit.proof import consistency
from patterns.audit.verify import verify
from patterns.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["remember"]


def remember(
    log: str | os.PathLike[str],
    kept: str | os.PathLike[str],
    *,
    vkeys: Iterable[str | VerifyingKey],
) -> Checkpoint:
    """Make sure that a log goes on from what is kept, and keep its newest checkpoint instead.

    It costs a few hashes, whatever the length of the log, and reads none of
    its entries: `patterns.audit.verify.verify` compares those, with *kept* as ``against``.

    Args:
        log: The directory of the log.
        kept: A file with the checkpoint kept so far; made if missing.
        vkeys: Keys that may sign for the log.

    Returns:
        The checkpoint that is kept now.

    Raises:
        LogTampered: The log does not go on from what is kept, which stays as evidence; or a signature is not genuine.
        AuditError: The checkpoint is not signed by one of *vkeys*, or a file cannot be read or written.

    """
    keys = [VerifyingKey.parse(key) for key in vkeys]
    path = Path(kept)
    try:
        with _alone(path.parent):
            old = path.read_text(encoding="utf-8") if path.exists() else None
            note, checkpoint = _signed(LogFiles(log), keys, old)
            if old is not None:
                _goes_on(log, Checkpoint.read(old), checkpoint, note, keys)
            _replace(path, note)
    except OSError as error:
        raise AuditError(f"the checkpoint cannot be kept: {error}", errno=error.errno) from error
    return checkpoint


def _signed(files: LogFiles, keys: list[VerifyingKey], old: str | None) -> tuple[str, Checkpoint]:
    head = files.head()
    note = files.published() if head is None else head.note
    if note is None:
        if old is not None:
            tampered("the log has no checkpoint any more")
        raise AuditError("the log has no checkpoint")
    if "\n\n" not in note or not verified_by(Note.parse(note), keys):
        raise AuditError("the checkpoint is not signed by a key that is known here")
    return note, Checkpoint.read(note)


def _goes_on(
    log: str | os.PathLike[str], old: Checkpoint, new: Checkpoint, note: str, keys: list[VerifyingKey]
) -> None:
    try:
        consistency(LogFiles(log), old, new)
    except AuditError:  # the stored hashes may be to blame, the entries tell
        verify(log, vkeys=keys, origin=old.origin, against=[old.text, note]).raise_for_tampering()


def _replace(path: Path, note: str) -> None:
    """Write durably and at once."""
    new = path.with_name(path.name + ".new")
    with new.open("w", encoding="utf-8") as file:
        file.write(note)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    with _directory(path.parent) as descriptor:
        os.fsync(descriptor)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep other witnesses of this directory out: what is compared must be what is replaced."""
    import fcntl  # noqa: PLC0415 - not on every platform

    with _directory(directory) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)

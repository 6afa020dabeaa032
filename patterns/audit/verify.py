"""Says whether a log is what was signed, and if not, where it breaks.

The entries are read once, as bytes, and folded into a tree of O(log n)
memory; no line is parsed. Only if the root is wrong are they read again, to
find the first bad entry with the help of the stored hashes.
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from patterns.audit.checkpoint import Checkpoint
from patterns.audit.files import LogFiles
from patterns.audit.findings import Problem, Verification
from patterns.audit.keys import VerifyingKey, verified_by
from patterns.audit.locate import first_bad
from patterns.audit.merkle import Tree
from patterns.audit.note import Note
from patterns.errors import AuditError, LogTampered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from patterns.audit.sinks import Batch, Reader

__all__ = ["Remembered", "verify"]


_UNSIGNED = "unsigned: rewriting cannot be detected"


Remembered = str | os.PathLike[str]
"""A checkpoint kept elsewhere: its text, or the path of a file with it."""


def verify(
    log: str | os.PathLike[str] | Reader,
    *,
    vkeys: str | VerifyingKey | Iterable[str | VerifyingKey] = (),
    origin: str | None = None,
    against: Remembered | Iterable[Remembered] = (),
    unsigned: bool = False,
) -> Verification:
    """Check a log, also while it is written to.

    Args:
        log: Its directory, or a reader of a sink.
        vkeys: Keys that may have signed it, from a trusted place; keys found beside the log prove nothing.
        origin: Name the log must have; if missing, that of one of the *vkeys*.
        against: Checkpoints remembered elsewhere, which the log must go on from: without one,
            a log put back to an earlier state with its own checkpoint looks right.
        unsigned: Accept a log without signatures, with a warning: it is shown to be in itself consistent, no more.

    Returns:
        What was found; a log that does not verify is no exception.

    Raises:
        Misuse: One of *vkeys* is no key.
        AuditError: A file cannot be read.

    """
    reader = log if not isinstance(log, (str, os.PathLike)) else LogFiles(log)
    try:
        return _Verifier(reader, _keys(vkeys), origin, unsigned=unsigned).run(_kept(against))
    except OSError as error:
        raise AuditError(f"the log cannot be read: {error}", errno=error.errno) from error


class _Stop(Exception):
    pass


class _Verifier:
    """One verification under way."""

    def __init__(self, reader: Reader, keys: tuple[VerifyingKey, ...], origin: str | None, *, unsigned: bool) -> None:
        self._reader = reader
        self._keys = keys
        self._origin = origin
        self._unsigned_accepted = unsigned
        self._warnings: list[str] = []
        self._problems: list[Problem] = []
        self._signed_by: tuple[VerifyingKey, ...] = ()

    def run(self, against: Sequence[Remembered]) -> Verification:
        """Check everything that can be checked."""
        remembered = [one for one in map(self._remembered, against) if one is not None]
        newest, fold = None, None
        with suppress(_Stop):
            note, head_tree, end = self._newest(remembered)
            newest = self._trusted(note)
            if newest is None:
                raise _Stop
            fold = _Fold(self._reader, newest.size, [one.size for one in remembered])
            self._compare(fold, newest, head_tree, end)
            self._compare_remembered(fold, newest, remembered)
        return Verification(
            origin=newest.origin if newest else None,
            size=newest.size if newest else 0,
            root=newest.root if newest else b"",
            signed_by=tuple(map(str, self._signed_by)),
            problems=tuple(self._problems),
            warnings=tuple(self._warnings),
            unacknowledged=fold.behind if fold else 0,
            torn=fold.torn if fold else 0,
            against=tuple(one.size for one in remembered if fold and fold.roots.get(one.size) == one.root),
        )

    def _problem(self, kind: str, text: str, **where: object) -> None:
        self._problems.append(Problem(kind=kind, text=text, **where))  # type: ignore[arg-type]

    def _newest(self, remembered: Sequence[Checkpoint]) -> tuple[str, Tree | None, tuple[int, int] | None]:
        """Return the newest checkpoint as it is kept, and what the head says besides."""
        try:
            head = self._reader.head()
        except LogTampered as error:
            self._problem("head", error.text)
            raise _Stop from error
        except FileNotFoundError:
            head = None
        if head is not None:
            return head.note, head.tree, (head.segment, head.offset)
        published = self._published()
        if published is not None:
            return published, None, None
        self._nothing_signed(remembered)
        raise _Stop

    def _published(self) -> str | None:
        try:
            return self._reader.published()
        except FileNotFoundError:
            return None

    def _nothing_signed(self, remembered: Sequence[Checkpoint]) -> None:
        try:
            lines = any(batch.lines for batch in self._reader.batches())
        except FileNotFoundError:
            lines = False
        once = max((one.size for one in remembered), default=0)
        if lines:
            self._problem("checkpoint", "there are entries but no checkpoint: it was removed")
        elif once:
            self._problem("rolled_back", f"the log is gone; it had {once} entries", index=0)
        else:
            self._problem("no_log", "there is no log here")

    def _trusted(self, spelled: str) -> Checkpoint | None:
        """Read the newest checkpoint and see who signed it."""
        try:
            checkpoint = Checkpoint.read(spelled)
            if "\n\n" not in spelled:
                self._unsigned()
            else:
                self._signed(Note.parse(spelled))
        except LogTampered as error:
            self._problem("checkpoint", f"the checkpoint is not genuine: {error.text}")
            return None
        self._check_origin(checkpoint)
        return checkpoint

    def _unsigned(self) -> None:
        if self._keys:
            self._problem("signature", "the checkpoint has no signature, though a key was expected to sign it")
        elif self._unsigned_accepted:
            self._warnings.append(_UNSIGNED)
        else:
            self._problem("unsigned", _UNSIGNED)

    def _signed(self, note: Note) -> None:
        self._signed_by = verified_by(note, self._keys)
        if not self._signed_by:
            names = ", ".join(f"{one.name}+{one.key_id.hex()}" for one in note.signatures)
            self._problem("unknown_key", f"signed by {names}, of which no verifying key is known here")

    def _check_origin(self, checkpoint: Checkpoint) -> None:
        expected = {self._origin} if self._origin else {key.name for key in self._keys}
        if expected and checkpoint.origin not in expected:
            self._problem("origin", f"this is the log {checkpoint.origin}, not {' or '.join(sorted(expected))}")

    def _remembered(self, kept: Remembered) -> Checkpoint | None:
        """Read a remembered checkpoint; a signature it bears must be right."""
        text = kept if isinstance(kept, str) and "\n" in kept else Path(kept).read_text(encoding="utf-8")
        try:
            checkpoint = Checkpoint.read(text)
            known = "\n\n" not in text or not self._keys or verified_by(Note.parse(text), self._keys)
        except LogTampered as error:
            self._problem("remembered", f"the remembered checkpoint is not genuine: {error.text}")
            return None
        if not known:
            self._problem("unknown_key", "the remembered checkpoint is signed by a key that is not known here")
        return checkpoint

    def _compare(self, fold: _Fold, newest: Checkpoint, tree: Tree | None, end: tuple[int, int] | None) -> None:
        if fold.count == newest.size and fold.root == newest.root:
            if tree is not None and (tree.size, tree.root()) != (newest.size, newest.root):
                self._problem("head", "the head of the log contradicts its own checkpoint")
            if end is not None and newest.size and fold.end != end:
                self._problem("head", f"the head says that the entries end at {end}, they end at {fold.end}")
            return
        bad = first_bad(self._reader, newest.root, tree, newest.size)
        exact = bad.until == bad.index + 1
        kind, where = bad.kind, f"entry {bad.index}" if exact else f"an entry from {bad.index} to {bad.until - 1}"
        text = {"truncated": f"{newest.size} entries are signed, {bad.index} are there"}.get(
            kind, f"{where} was {kind}"
        )
        if fold.missing_file is not None:
            kind, text = "missing", f"the file of the entries from {fold.missing_file} on is missing"
        file = f"events-{bad.segment:020d}.jsonl"
        self._problem(kind, text, index=bad.index, file=file, offset=bad.offset)

    def _compare_remembered(self, fold: _Fold, newest: Checkpoint, remembered: Sequence[Checkpoint]) -> None:
        for old in remembered:
            if old.origin != newest.origin:
                self._problem("origin", f"the remembered checkpoint is of the log {old.origin}")
            elif old.size > newest.size:
                text = f"rolled back: {old.size} entries are remembered, {newest.size} are signed"
                self._problem("rolled_back", text, index=newest.size)
            elif old.size and fold.roots.get(old.size) != old.root and fold.root == newest.root:
                text = f"the first {old.size} entries are others than those remembered, though signed: a second history"
                self._problem("forked", text)


class _Fold:
    """Reads all entries once: the root, roots at smaller sizes, and what lies behind."""

    def __init__(self, reader: Reader, size: int, sizes: Iterable[int]) -> None:
        self.roots: dict[int, bytes] = {}
        self.missing_file: int | None = None
        self.end = (0, 0)
        self.behind = 0
        self.torn = 0
        self._tree = Tree()
        self._stops = sorted({one for one in sizes if 0 < one < size} | {size})
        for batch in reader.batches():
            if batch.segment > self.count and batch.offset == 0 and self.count < size:
                self.missing_file = self.count
                break
            self._read(batch, size)
        self.root = self._tree.root()
        self.roots[self.count] = self.root

    @property
    def count(self) -> int:
        """How many of the entries were there."""
        return self._tree.size

    def _read(self, batch: Batch, size: int) -> None:
        lines = batch.lines
        room = size - self.count
        if batch.torn:
            self.torn += len(lines[0])
        elif room <= 0:
            self.behind += len(lines)
        else:
            self.behind += max(0, len(lines) - room)
            taken = lines[:room]
            self._grow([sha256(b"\0" + line).digest() for line in taken])
            self.end = (batch.segment, batch.offset + sum(map(len, taken)) + len(taken))

    def _grow(self, leaves: list[bytes]) -> None:
        """Extend the tree, stopping where a remembered checkpoint was made."""
        while leaves:
            stop = next((one for one in self._stops if one > self.count), self.count + len(leaves))
            part, leaves = leaves[: stop - self.count], leaves[stop - self.count :]
            self._tree = self._tree.extended(part)
            if self.count in self._stops:
                self.roots[self.count] = self._tree.root()


def _keys(given: str | VerifyingKey | Iterable[str | VerifyingKey]) -> tuple[VerifyingKey, ...]:
    each = (given,) if isinstance(given, (str, VerifyingKey)) else given
    return tuple(VerifyingKey.parse(key) for key in each)


def _kept(given: Remembered | Iterable[Remembered]) -> list[Remembered]:
    return [given] if isinstance(given, (str, os.PathLike)) else list(given)

"""Writes lines under a signed checkpoint: data first, then the checkpoint, then the word that it is done."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from patterns.audit.checkpoint import Checkpoint
from patterns.audit.head import Head
from patterns.audit.keys import VerifyingKey, sign, verified_by
from patterns.audit.merkle import Tree, tampered
from patterns.audit.note import Note
from patterns.audit.sinks import LazySink
from patterns.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from patterns.audit.keys import Signer
    from patterns.audit.sinks import Found, Recovered, Sink

__all__ = ["Writer"]


class Writer:
    """Appends to one log; not for several threads at once (see `patterns.audit.group`).

    Args:
        sink: Where.
        origin: Name of the log.
        signers: Who signs; nobody makes the log unsigned.
        trusted: Keys whose checkpoints may be built upon besides the signers' own, after a change of keys.
        describe: Makes the line that records what was found behind the sealed end.

    """

    def __init__(
        self,
        sink: Sink,
        *,
        origin: str,
        signers: Sequence[Signer],
        trusted: Iterable[VerifyingKey] = (),
        describe: Callable[[Recovered], bytes],
    ) -> None:
        self._sink = sink
        self._lazy = sink if isinstance(sink, LazySink) else None
        self._origin = origin
        self._signers = tuple((VerifyingKey.parse(signer.vkey), signer) for signer in signers)
        self.keys = (*(key for key, _ in self._signers), *trusted)
        self._describe = describe
        self._seen: Head | None = None

    def commit(self, lines: Sequence[bytes]) -> int:
        """Append *lines*; when this returns they are on disk and under a durable checkpoint.

        In memory there is no disk to be on, and they are sealed when somebody looks (see `seal`).

        Returns:
            The index of the first of them.

        Raises:
            AuditError: They are not acknowledged; whether they are there is unknown.
            LogTampered: The log is not as this or another writer left it.

        """
        if self._lazy is not None:
            return self._lazy.keep(lines)
        with self._sink.exclusive() as found:
            head = self._accepted(found)
            if found.head is None:
                # Entries without a head mean that it was removed, so the head comes first.
                head = self._seen = self._extended(head, [])
            recovered = [self._describe(one) for one in found.recovered]
            first = head.tree.size + len(recovered)
            if recovered or lines:
                self._seen = self._extended(head, [*recovered, *lines])
            return first

    @property
    def waits(self) -> bool:
        """Whether a commit waits for a disk or a network."""
        return self._lazy is None

    def open(self) -> None:
        """Make the head of a new log, or repair and check that of an old one, now rather than at the first record."""
        if self._lazy is None:
            self.commit([])
        else:
            self.seal()

    def seal(self) -> None:
        """Bring the head up to date before it is read.

        Raises:
            AuditError: It cannot be signed.

        """
        if self._lazy is None:
            return
        with self._lazy.exclusive() as found:
            head, lines = self._accepted(found), self._lazy.unsealed()
            if lines or found.head is None:
                self._seen = self._extended(head, lines)

    @property
    def head(self) -> Head | None:
        """The newest head this writer has seen or made."""
        return self._seen

    def _extended(self, head: Head, lines: list[bytes]) -> Head:
        leaves = [sha256(b"\0" + line).digest() for line in lines]
        tree = head.tree.extended(leaves)
        # Signed before anything is written: a signer that fails leaves nothing behind.
        note = sign(Checkpoint.of(tree, self._origin).text, self._signers)
        placed = self._sink.append(head, lines, leaves) if lines else head
        sealed = Head(tree, note, placed.segment, placed.offset)
        self._sink.seal(sealed)
        return sealed

    def _accepted(self, found: Found) -> Head:
        """Return the head to build upon, after making sure that it is ours."""
        head, seen = found.head, self._seen
        if head is None:
            if seen is not None:
                tampered("the log was emptied while it was open")
            return Head(Tree(), "")
        if head is not seen:
            self._check(head)
            if seen is not None and (
                head.tree.size < seen.tree.size or (head.tree.size == seen.tree.size and head.tree != seen.tree)
            ):
                tampered(f"the log was rolled back to {head.tree.size} entries; it had {seen.tree.size}")
            self._seen = head
        return head

    def _check(self, head: Head) -> None:
        if head.checkpoint.origin != self._origin:
            raise AuditError(f"this is the log {head.checkpoint.origin}, not {self._origin}")
        signed = "\n\n" in head.note
        if not signed and self.keys:
            raise AuditError(
                "the log has no signature, so signing it now would vouch for whatever is in it; begin a new one"
            )
        if signed and not self.keys:
            raise AuditError("the log is signed; without a key nothing may be added to it")
        if signed and not verified_by(Note.parse(head.note), self.keys):
            raise AuditError("the log was signed with another key; name it in trusted=[...] if keys were changed")

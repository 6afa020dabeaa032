"""Proofs that can be checked without the log: of one entry, and of one checkpoint going on from another.

Source: c2sp.org/tlog-proof@v1.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from attrs import frozen

from patterns.audit.checkpoint import Checkpoint
from patterns.audit.keys import VerifyingKey, verified_by
from patterns.audit.merkle import (
    HASH_SIZE,
    check_consistency,
    check_inclusion,
    leaf_hash,
    prove_consistency,
    prove_inclusion,
    tampered,
)
from patterns.audit.note import Note, canonical_base64
from patterns.errors import AuditError, LogTampered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from patterns.audit.sinks import Reader

    Node = Callable[[int, int], bytes]

__all__ = ["Proof", "consistency", "prove"]

_FIRST_LINE = "c2sp.org/tlog-proof@v1"


@frozen
class Proof:
    """Shows that an entry is in a log; with the entry and the log's verifying key it stands alone.

    Args:
        index: Number of the entry.
        path: Hashes from the leaf's sibling up.
        note: The signed checkpoint.

    """

    index: int
    path: tuple[bytes, ...]
    note: str

    def __str__(self) -> str:
        hashes = "".join(f"{b64encode(node).decode()}\n" for node in self.path)
        return f"{_FIRST_LINE}\nindex {self.index}\n{hashes}\n{self.note}"

    @classmethod
    def parse(cls, spelled: str) -> Proof:
        """Read a proof; the opaque extra data that others may add is not supported.

        Raises:
            LogTampered: It is none, or not in its canonical spelling.

        """
        top, _, note = spelled.partition("\n\n")
        first, index, *hashes = [*top.split("\n"), ""] if "\n" in top else ["", "", ""]
        path = tuple(canonical_base64(one) or b"" for one in hashes[:-1])
        digits = index.removeprefix("index ")
        if not digits.isascii() or not digits.isdecimal() or len(digits) > 19:  # noqa: PLR2004 - 63 bits
            tampered("a proof names the index of its entry")
        proof = cls(int(digits), path, note)
        if first != _FIRST_LINE or str(proof) != spelled or any(len(node) != HASH_SIZE for node in path):
            tampered("that is no proof in its canonical spelling")
        return proof

    def check(self, entry: bytes, vkeys: Iterable[str | VerifyingKey]) -> Checkpoint:
        """Check that *entry* is in the log that one of *vkeys* signs.

        Args:
            entry: The line as it was written, without its newline.
            vkeys: Keys trusted to sign for the log.

        Returns:
            The checkpoint under which it is.

        Raises:
            LogTampered: It is not, or a signature is not genuine.
            AuditError: No signature is by one of *vkeys*.

        """
        note = Note.parse(self.note)
        if not verified_by(note, [VerifyingKey.parse(key) for key in vkeys]):
            raise AuditError("the checkpoint of the proof is not signed by a key that is known here")
        checkpoint = Checkpoint.parse(note.text)
        check_inclusion(leaf_hash(entry), self.index, checkpoint.size, self.path, checkpoint.root)
        return checkpoint


def prove(reader: Reader, index: int) -> Proof:
    """Return the proof that entry *index* is in the log.

    Raises:
        IndexError: There is no such acknowledged entry.
        AuditError: The log has no checkpoint, or its stored hashes are damaged.

    """
    note, checkpoint = _newest(reader)
    if not 0 <= index < checkpoint.size:
        raise IndexError(f"no entry {index} in a log of {checkpoint.size}")
    path = prove_inclusion(index, checkpoint.size, reader.node)
    _check_own(lambda: check_inclusion(reader.node(0, index), index, checkpoint.size, path, checkpoint.root))
    return Proof(index, path, note)


def consistency(reader: Reader, old: Checkpoint, new: Checkpoint | None = None) -> tuple[bytes, ...]:
    """Return the proof that a later checkpoint of the log goes on from an earlier one, for a witness.

    Args:
        reader: The log.
        old: The earlier one, as remembered.
        new: The later one; the newest if missing.

    Raises:
        LogTampered: It does not, or the stored hashes are damaged (verifying the log tells which).
        AuditError: The log has no checkpoint.

    """
    checkpoint = new or _newest(reader)[1]
    if old.origin != checkpoint.origin or old.size > checkpoint.size:
        tampered(
            f"{old.size} entries of {old.origin} are remembered; there are {checkpoint.size} of {checkpoint.origin}"
        )
    if old.size == 0:
        return ()
    path = prove_consistency(old.size, checkpoint.size, reader.node)
    check_consistency(old.size, checkpoint.size, path, old.root, checkpoint.root)
    return path


def _newest(reader: Reader) -> tuple[str, Checkpoint]:
    head = reader.head()
    if head is None:
        raise AuditError("the log has no checkpoint")
    return head.note, head.checkpoint


def _check_own(check: Callable[[], None]) -> None:
    try:
        check()
    except LogTampered as error:
        raise AuditError("the stored hashes below tree/ are damaged: verify the log, then rebuild them") from error

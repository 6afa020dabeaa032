"""The head of a log: all that is needed to go on writing, in one slot of fixed size; no I/O.

Two slots are written in turn, so a crash in the middle of a write leaves the
other one. A slot is text, readable with ``strings``::

    patterns.audit.head/1 <SHA-256 of what follows, in hex>
    <index of the current file's first entry> <bytes of that file that are sealed>
    <roots of the complete subtrees, one behind the other, base 64>
    <the checkpoint>

and NUL bytes up to the slot's size. The numbers of the second line are not
signed and need not be: a wrong one makes the log fail to verify.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

from attrs import frozen

from patterns.audit.checkpoint import Checkpoint
from patterns.audit.merkle import HASH_SIZE, Tree, tampered
from patterns.audit.note import canonical_base64

__all__ = ["SLOT_SIZE", "Head"]

SLOT_SIZE = 4096
_MAGIC = "patterns.audit.head/1"


@frozen
class Head:
    """The sealed state of a log.

    Args:
        tree: Over every sealed entry.
        note: The checkpoint as it is kept: a signed note, or its bare text if the log is unsigned.
        segment: Index of the first entry in the file written to at present.
        offset: Bytes of that file that are sealed.

    """

    tree: Tree
    note: str
    segment: int = 0
    offset: int = 0

    @property
    def checkpoint(self) -> Checkpoint:
        """What the note says.

        Raises:
            LogTampered: It does not speak of the tree.

        """
        checkpoint = Checkpoint.read(self.note)
        if (checkpoint.size, checkpoint.root) != (self.tree.size, self.tree.root()):
            tampered("the head of the log contradicts its own checkpoint")
        return checkpoint

    def encode(self) -> bytes:
        """Return the slot."""
        nodes = b64encode(b"".join(self.tree.nodes)).decode()
        body = f"{self.segment} {self.offset}\n{nodes}\n{self.note}".encode()
        slot = f"{_MAGIC} {sha256(body).hexdigest()}\n".encode() + body
        if len(slot) > SLOT_SIZE:
            tampered(f"the head of the log needs {len(slot)} bytes, more than {SLOT_SIZE}")
        return slot.ljust(SLOT_SIZE, b"\0")

    @classmethod
    def decode(cls, slot: bytes) -> Head | None:
        """Return the head that *slot* holds, or None if it is empty or torn.

        Raises:
            LogTampered: It is neither, but nonsense.

        """
        first, _, body = slot.rstrip(b"\0").partition(b"\n")
        if first != f"{_MAGIC} {sha256(body).hexdigest()}".encode():
            return None
        place, spelled, note = [*body.decode(errors="replace").split("\n", 2), "", ""][:3]
        nodes = canonical_base64(spelled) or b""
        try:
            segment, offset = map(int, place.split())
        except ValueError:
            tampered("the head of the log does not say where it ends")
        size = Checkpoint.read(note).size
        return cls(Tree(size, _cut(nodes)), note, segment, offset)


def _cut(nodes: bytes) -> tuple[bytes, ...]:
    return tuple(nodes[at : at + HASH_SIZE] for at in range(0, len(nodes), HASH_SIZE))

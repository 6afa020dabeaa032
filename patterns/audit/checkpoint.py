"""Checkpoints: which log, how many entries, which root; parsing and spelling only.

Source: c2sp.org/tlog-checkpoint@v1.0.0.
"""

from __future__ import annotations

from base64 import b64encode

from attrs import frozen

from patterns.audit.merkle import HASH_SIZE, Tree, tampered
from patterns.audit.note import Note, canonical_base64

__all__ = ["Checkpoint"]

_FEWEST_LINES = 3


@frozen
class Checkpoint:
    """The state of a log at one moment; its text is what gets signed.

    Args:
        origin: The log's unique name.
        size: Number of entries.
        root: Root hash over them, 32 bytes.
        extensions: Further lines, read but never written by this library.

    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @classmethod
    def of(cls, tree: Tree, origin: str) -> Checkpoint:
        """Return the checkpoint of *tree*."""
        return cls(origin, tree.size, tree.root())

    @property
    def text(self) -> str:
        """The text of the note."""
        lines = (self.origin, str(self.size), b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read the text of a note.

        Raises:
            LogTampered: It is no checkpoint, or not in the one canonical spelling.

        """
        lines = text.split("\n")[:-1]
        if len(lines) < _FEWEST_LINES or not all(lines):
            tampered("a checkpoint has an origin, a size and a root")
        origin, size, root, *extensions = lines
        if not (size.isascii() and size.isdecimal()):
            tampered("a checkpoint's size is a decimal number")
        hashed = canonical_base64(root)
        if hashed is None or len(hashed) != HASH_SIZE:
            tampered("a checkpoint's root is a SHA-256 hash in base 64")
        checkpoint = cls(origin, _number(size), hashed, tuple(extensions))
        if checkpoint.text != text:
            tampered("the checkpoint is not in its canonical spelling")
        return checkpoint

    @classmethod
    def read(cls, spelled: str | bytes) -> Checkpoint:
        """Read a checkpoint as it is kept: a signed note, or the bare text of an unsigned log.

        The signatures are not looked at.
        """
        whole = spelled if isinstance(spelled, str) else spelled.decode(errors="replace")
        return cls.parse(Note.parse(spelled).text if "\n\n" in whole else whole)


def _number(digits: str) -> int:
    if len(digits) > 19:  # noqa: PLR2004 - more would not fit 63 bits, and huge texts are slow to convert
        tampered("a checkpoint's size does not fit 63 bits")
    return int(digits)

"""Signed notes: text with signature lines below it; parsing and spelling only, no cryptography, no I/O.

Source: c2sp.org/signed-note@v1.0.0. A note has exactly one spelling: whatever
would be written differently than it was read is rejected.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as BadBase64

from attrs import frozen

from patterns.audit.merkle import tampered

__all__ = ["Note", "Signature", "canonical_base64", "is_key_name"]

_DASH = "\N{EM DASH}"
_KEY_ID_SIZE = 4
_MOST_SIGNATURES = 100
_LARGEST_NOTE = 1_000_000


@frozen
class Signature:
    """One signature line: who signed (name and key id) and the signature's bytes."""

    name: str
    key_id: bytes
    value: bytes

    def __str__(self) -> str:
        return f"{_DASH} {self.name} {b64encode(self.key_id + self.value).decode()}\n"


@frozen
class Note:
    """A text and the signatures below it; nothing in it is to be trusted before a signature is verified."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"

    @classmethod
    def parse(cls, spelled: str | bytes) -> Note:
        """Read a note.

        Raises:
            LogTampered: It is not a note, or not in the one canonical spelling.

        """
        whole = _as_text(spelled)
        head, blank, block = whole.rpartition("\n\n")
        if not blank or not block.endswith("\n"):
            tampered("a note ends with an empty line and signature lines")
        lines = block[:-1].split("\n")
        if len(lines) > _MOST_SIGNATURES:
            tampered(f"a note with {len(lines)} signatures is not read")
        note = cls(head + "\n", tuple(_signature(line) for line in lines))
        if str(note) != whole:
            tampered("the note is not in its canonical spelling")
        return note


def is_key_name(name: str) -> bool:
    """Tell whether *name* may name a key: not empty, no spaces of any script, no plus."""
    return bool(name) and "+" not in name and not any(char.isspace() or char < " " for char in name)


def canonical_base64(spelled: str) -> bytes | None:
    """Return the bytes that *spelled* is the canonical base 64 of, or None."""
    try:
        value = b64decode(spelled, validate=True)
    except (BadBase64, ValueError):
        return None
    return value if b64encode(value).decode() == spelled else None


def _as_text(spelled: str | bytes) -> str:
    if len(spelled) > _LARGEST_NOTE:
        tampered(f"a note of {len(spelled)} bytes is not read")
    if isinstance(spelled, bytes):
        try:
            spelled = spelled.decode()
        except UnicodeDecodeError:
            tampered("a note is UTF-8 text")
    if any(char < " " and char != "\n" for char in spelled):
        tampered("a note has no control characters")
    return spelled


def _signature(line: str) -> Signature:
    parts = line.split(" ")
    value = canonical_base64(parts[-1])
    if len(parts) != 3 or parts[0] != _DASH or not is_key_name(parts[1]):  # noqa: PLR2004 - dash, name, value
        tampered("a signature line is a dash, a name and the signature")
    if value is None or len(value) <= _KEY_ID_SIZE:
        tampered("a signature is canonical base 64 of a key id and the signature")
    return Signature(parts[1], value[:_KEY_ID_SIZE], value[_KEY_ID_SIZE:])

"""A log in a directory: what its files are called, and how they are read.

::

    events-00000000000000000000.jsonl   the entries, one a line; the number is the index of the first
    head                                two slots (see `patterns.audit.head`), written in turn; also the lock
    checkpoint                          the newest checkpoint, for people and for other tools
    tree/0, tree/1, ...                 roots of complete subtrees of 256**n leaves, 32 bytes each, derived
    quarantine/                         what was behind the sealed end after a crash
"""

from __future__ import annotations

import os
import re
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from patterns.audit.head import SLOT_SIZE, Head
from patterns.audit.merkle import HASH_SIZE
from patterns.audit.sinks import Batch
from patterns.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["CHUNK", "LONGEST_LINE", "TILE_HEIGHT", "TILE_WIDTH", "LogFiles", "newest_of"]

CHUNK = 1 << 16
"""Read at a time: small enough for the second-level cache, which makes verification faster than large reads do."""
LONGEST_LINE = 65_535
"""The most an entry of a tiled log may have (c2sp.org/tlog-tiles)."""

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT

_SEGMENT = re.compile(r"events-(\d{20})\.jsonl")
_READ_AGAIN = 100
"""A slot that is being written reads as torn; the other one may be wiped in between, so both are read again."""


class LogFiles:
    """Reads the log in *directory*."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        # Texts, not paths: a commit looks at each of them, and a Path costs as much as a system call.
        self._root = os.fspath(self.directory)
        self.head_path = f"{self._root}/head"
        self.checkpoint_path = f"{self._root}/checkpoint"

    def __repr__(self) -> str:
        return f"<LogFiles {self._root}>"

    def segment_path(self, first: int) -> str:
        """Return the file whose first entry is number *first*."""
        return f"{self._root}/events-{first:020d}.jsonl"

    def tree_path(self, level: int) -> str:
        """Return the file of roots of complete subtrees of 256**level leaves."""
        return f"{self._root}/tree/{level}"

    def segments(self) -> list[int]:
        """Return the index of the first entry of every file of entries, in order."""
        names = (_SEGMENT.fullmatch(name) for name in os.listdir(self.directory))
        return sorted(int(name[1]) for name in names if name)

    def head(self) -> Head | None:
        """See `Reader.head`."""
        for _ in range(_READ_AGAIN):
            try:
                slots = Path(self.head_path).read_bytes()
            except FileNotFoundError:
                return None
            _, found = newest_of(slots)
            if found is not None:
                return found
        return None

    def published(self) -> str | None:
        """See `Reader.published`."""
        try:
            return Path(self.checkpoint_path).read_bytes().decode(errors="replace") or None
        except FileNotFoundError:
            return None

    def batches(self) -> Iterator[Batch]:
        """See `Reader.batches`."""
        for segment in self.segments():
            yield from _batches_of(self.segment_path(segment), segment)

    def node(self, level: int, index: int) -> bytes:
        """See `Reader.node`.

        Raises:
            AuditError: It is not stored; the files below ``tree/`` are damaged.

        """
        tile, inner = divmod(level, TILE_HEIGHT)
        try:
            with open(self.tree_path(tile), "rb") as file:
                stored = os.pread(file.fileno(), HASH_SIZE << inner, index * HASH_SIZE << inner)
        except OSError as error:
            raise AuditError(f"the stored hashes cannot be read: {error}") from error
        if len(stored) != HASH_SIZE << inner:
            raise AuditError(f"the stored hashes of level {tile} end too early")
        return root_of_row([stored[at : at + HASH_SIZE] for at in range(0, len(stored), HASH_SIZE)])


def root_of_row(row: Sequence[bytes]) -> bytes:
    """Return the root over *row*, whose length is a power of two."""
    while len(row) > 1:
        row = [sha256(b"\1" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=True)]
    return row[0]


def newest_of(slots: bytes) -> tuple[int, Head | None]:
    """Return the newest head in the two slots, or None if neither holds one, and the number of its slot."""
    heads = [Head.decode(slots[at : at + SLOT_SIZE]) for at in (0, SLOT_SIZE)]
    newest = max((0, 1), key=lambda slot: -1 if (head := heads[slot]) is None else head.tree.size)
    return newest, heads[newest]


def _batches_of(path: str, segment: int) -> Iterator[Batch]:
    offset, rest = 0, b""
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            if len(rest) > LONGEST_LINE:
                break
            if lines:
                yield Batch(segment, offset, lines)
                offset += sum(map(len, lines)) + len(lines)
    if rest:
        yield Batch(segment, offset, [rest], torn=True)

"""Finds the first bad entry of a log whose root is wrong, with the help of the stored hashes."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from attrs import frozen

from patterns.audit.files import TILE_HEIGHT, TILE_WIDTH, root_of_row
from patterns.audit.merkle import Tree, leaf_hash
from patterns.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from patterns.audit.sinks import Batch, Reader

__all__ = ["Bad", "first_bad"]


@frozen(kw_only=True)
class Bad:
    """The first entries that are not what was signed.

    Args:
        kind: ``rewritten``, ``missing``, ``inserted``, ``swapped`` or ``truncated``.
        index: The first of them.
        until: The entry behind the last one that may be the bad one; *index* + 1 if it is known exactly.
        segment: First index of the file it is in, or should be.
        offset: Where it begins in that file.

    """

    kind: str
    index: int
    until: int
    segment: int
    offset: int


class _Line(NamedTuple):
    leaf: bytes
    segment: int
    offset: int
    end: int
    torn: bool


_START = _Line(b"", 0, 0, 0, torn=False)


def first_bad(reader: Reader, root: bytes, tree: Tree | None, size: int) -> Bad:
    """Return the first entry that is bad, as exactly as the stored hashes allow.

    Args:
        reader: The log.
        root: The signed root over *size* entries.
        tree: The signed tree, if the head is there.
        size: How many entries are signed.

    """
    stored = _Stored(reader, root, size)
    if stored.genuine:
        return _by_tiles(reader, stored, size)
    return _by_subtrees(reader, tree, size)


class _Stored:
    """The stored hashes, used only where they lead to the signed root."""

    def __init__(self, reader: Reader, root: bytes, size: int) -> None:
        self._reader = reader
        self._size = size
        self.genuine = False
        try:
            tree = self._tree()
        except AuditError:
            return
        self.genuine = tree.root() == root

    def _tree(self) -> Tree:
        tiles = self._size >> TILE_HEIGHT
        above = Tree().extended([self._reader.node(TILE_HEIGHT, tile) for tile in range(tiles)])
        rest = [self._reader.node(0, index) for index in range(tiles << TILE_HEIGHT, self._size)]
        return Tree(tiles << TILE_HEIGHT, above.nodes).extended(rest)

    def tile(self, tile: int) -> bytes:
        return self._reader.node(TILE_HEIGHT, tile)

    def leaves(self, tile: int) -> list[bytes] | None:
        """Return the leaves of a tile, or None if they are damaged."""
        first = tile << TILE_HEIGHT
        leaves = [self._reader.node(0, index) for index in range(first, min(first + TILE_WIDTH, self._size))]
        whole = len(leaves) == TILE_WIDTH
        return None if whole and root_of_row(leaves) != self.tile(tile) else leaves


def _by_tiles(reader: Reader, stored: _Stored, size: int) -> Bad:
    lines, place, tile = _lines(reader), _START, 0
    while True:
        row = list(islice(lines, TILE_WIDTH))
        whole = len(row) == TILE_WIDTH and (tile + 1) << TILE_HEIGHT <= size
        if not (whole and root_of_row([line.leaf for line in row]) == stored.tile(tile)):
            break
        place, tile = row[-1], tile + 1
    first = tile << TILE_HEIGHT
    leaves = stored.leaves(tile)
    if leaves is None:
        at = row[0] if row else place
        return Bad(
            kind="rewritten", index=first, until=min(first + TILE_WIDTH, size), segment=at.segment, offset=at.offset
        )
    return _compare(row, leaves, first, place)


def _compare(row: list[_Line], leaves: list[bytes], first: int, place: _Line) -> Bad:
    """Compare the lines of a tile with its leaves; the first difference, or the end of the lines, is the place."""
    found = [b"" if line.torn else line.leaf for line in row]
    at = next((at for at, leaf in enumerate(leaves) if found[at : at + 1] != [leaf]), len(leaves))
    index = first + at
    if at >= len(found):
        end = row[-1] if row else place
        return Bad(kind="truncated", index=index, until=index + 1, segment=end.segment, offset=end.end)
    if row[at].torn:
        return Bad(kind="truncated", index=index, until=index + 1, segment=row[at].segment, offset=row[at].offset)
    gone = leaves[at + 1 : at + 2] == found[at : at + 1]
    new = found[at + 1 : at + 2] == leaves[at : at + 1]
    kind = {(True, True): "swapped", (True, False): "missing", (False, True): "inserted"}.get((gone, new), "rewritten")
    return Bad(kind=kind, index=index, until=index + 1, segment=row[at].segment, offset=row[at].offset)


def _by_subtrees(reader: Reader, tree: Tree | None, size: int) -> Bad:
    """Compare the complete subtrees named in the head, which are large: the place is only roughly known."""
    lines, place = _lines(reader), _START
    for start, end, node in () if tree is None else tree.subtrees():
        part, count, first = Tree(), 0, place
        for line in islice(lines, end - start):
            first = line if count == 0 else first
            part, count, place = part.extended([line.leaf]), count + 1, line
        if count < end - start:
            return Bad(kind="truncated", index=start + count, until=size, segment=place.segment, offset=place.end)
        if part.nodes != (node,):
            return Bad(kind="rewritten", index=start, until=end, segment=first.segment, offset=first.offset)
    return Bad(kind="rewritten", index=0, until=size, segment=0, offset=0)


def _lines(reader: Reader) -> Iterator[_Line]:
    """Yield every line; a file that is missing ends it, since from there on nothing is in its place."""
    count = 0
    for batch in reader.batches():
        if batch.segment > count and batch.offset == 0:
            return
        yield from _placed(batch)
        count += len(batch.lines)


def _placed(batch: Batch) -> Iterator[_Line]:
    offset = batch.offset
    for line in batch.lines:
        end = offset + len(line) + 1
        yield _Line(leaf_hash(line), batch.segment, offset, end, batch.torn)
        offset = end

"""Writes a log as static files that every tool for tiled transparency logs reads.

Source: c2sp.org/tlog-tiles@v1.0.0.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from patterns.audit.files import TILE_WIDTH, LogFiles, root_of_row
from patterns.audit.merkle import Tree, leaf_hash, tampered
from patterns.errors import AuditError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from patterns.audit.checkpoint import Checkpoint
    from patterns.audit.sinks import Reader

__all__ = ["export_tiles"]


def export_tiles(log: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Checkpoint:
    """Write checkpoint, hash tiles and entry bundles of a log to *directory*, to be served as they are.

    Args:
        log: The directory of the log.
        directory: Made if missing; files in it are overwritten.

    Returns:
        The checkpoint that was exported.

    Raises:
        LogTampered: The entries do not lead to the checkpoint's root.
        AuditError: The log has no checkpoint, or a file cannot be read or written.

    """
    files, tiles = LogFiles(log), _Tiles(Path(directory))
    try:
        head = files.head()
        if head is None:
            raise AuditError("the log has no checkpoint")
        checkpoint, tree = head.checkpoint, Tree()
        for rows in _rows(files, checkpoint.size):
            leaves = [leaf_hash(line) for line in rows]
            tiles.add(rows, leaves)
            tree = tree.extended(leaves)
        if (tree.size, tree.root()) != (checkpoint.size, checkpoint.root):
            tampered("the entries do not lead to the root of the checkpoint; verify the log to see where it breaks")
        tiles.finish(head.note)
    except OSError as error:
        raise AuditError(f"the log cannot be exported: {error}", errno=error.errno) from error
    return checkpoint


class _Tiles:
    """Static files under way: each level gathers hashes until a tile is full."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._levels: list[list[bytes]] = [[]]
        self._written: list[int] = [0]
        self._bundles = 0

    def add(self, lines: list[bytes], leaves: list[bytes]) -> None:
        """Write the bundle of up to 256 entries, and every tile that becomes full."""
        bundle = b"".join(len(line).to_bytes(2) + line for line in lines)
        self._write("entries", self._bundles, len(lines), bundle)
        self._bundles += 1
        self._levels[0] = leaves
        if len(leaves) == TILE_WIDTH:
            self._full(0)

    def finish(self, note: str) -> None:
        """Write the tiles that are not full, and at last the checkpoint that speaks of them."""
        for level, hashes in enumerate(self._levels):
            if hashes:
                self._write(str(level), self._written[level], len(hashes), b"".join(hashes))
        self._root.mkdir(parents=True, exist_ok=True)
        (self._root / "checkpoint").write_text(note, encoding="utf-8")

    def _full(self, level: int) -> None:
        hashes = self._levels[level]
        self._write(str(level), self._written[level], TILE_WIDTH, b"".join(hashes))
        self._written[level] += 1
        self._levels[level] = []
        if level + 1 == len(self._levels):
            self._levels.append([])
            self._written.append(0)
        self._levels[level + 1].append(root_of_row(hashes))
        if len(self._levels[level + 1]) == TILE_WIDTH:
            self._full(level + 1)

    def _write(self, level: str, index: int, width: int, data: bytes) -> None:
        path = self._root / "tile" / level / tile_name(index, width)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def tile_name(index: int, width: int) -> str:
    """Return the path of a tile below its level: groups of three digits, all but the last marked with an x."""
    digits = f"{index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    name = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return name if width == TILE_WIDTH else f"{name}.p/{width}"


def _rows(reader: Reader, size: int) -> Iterator[list[bytes]]:
    """Yield the acknowledged lines, 256 at a time."""
    row: list[bytes] = []
    left = size
    for batch in reader.batches():
        for line in batch.lines[:left]:
            row.append(line)
            if len(row) == TILE_WIDTH:
                yield row
                row = []
        left -= len(batch.lines[:left])
        if not left:
            break
    if row:
        yield row

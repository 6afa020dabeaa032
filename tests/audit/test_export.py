"""The static export is the format of the tiled logs, byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from patterns.audit import AuditLogger, FileSink, SigningKey
from patterns.audit.export import export_tiles, tile_name
from patterns.audit.merkle import Tree, leaf_hash, prove_inclusion
from patterns.audit.writer import Writer
from patterns.errors import AuditError, LogTampered

if TYPE_CHECKING:
    from pathlib import Path


def log_of(place: Path, key: SigningKey, entries: list[bytes]) -> None:
    """Write *entries* as a log."""
    sink = FileSink(place, rotate_at=5000)
    writer = Writer(sink, origin=key.name, signers=[key], describe=lambda _: b"")
    writer.commit([])
    for start in range(0, len(entries), 100):
        writer.commit(entries[start : start + 100])


def test_it_is_what_another_implementation_writes(shared: Path, tmp_path: Path, key: SigningKey):
    """The entries of a Tessera log give its tiles and bundles."""
    theirs = shared / "vectors/tessera-log/testdata/log"
    bundle, entries = (theirs / "tile/entries/000.p/15").read_bytes(), []
    while bundle:
        end = 2 + int.from_bytes(bundle[:2])
        entries.append(bundle[2:end])
        bundle = bundle[end:]
    log_of(tmp_path / "log", key, entries)
    export_tiles(tmp_path / "log", tmp_path / "static")
    for name in ("tile/entries/000.p/15", "tile/0/000.p/15"):
        assert (theirs / name).read_bytes() == (tmp_path / "static" / name).read_bytes()
    ours, other = ((place / "checkpoint").read_text().splitlines() for place in (tmp_path / "static", theirs))
    assert ours[1:3] == other[1:3]


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 700])
def test_proofs_can_be_made_of_the_tiles_alone(count: int, tmp_path: Path, key: SigningKey):
    """A client that has only the tiles finds every complete subtree in them."""
    entries = [b"%d" % number for number in range(count)]
    log_of(tmp_path / "log", key, entries)
    assert count == export_tiles(tmp_path / "log", tmp_path / "static").size
    leaves = [leaf_hash(entry) for entry in entries]

    def node(level: int, index: int) -> bytes:
        tile, inner = divmod(level, 8)
        first = index << inner
        width = min(256, (count >> 8 * tile) - (first // 256 << 8))
        data = (tmp_path / "static" / "tile" / str(tile) / tile_name(first // 256, width)).read_bytes()
        row = [data[at : at + 32] for at in range(0, len(data), 32)]
        return Tree().extended(row[first % 256 : (first % 256) + (1 << inner)]).root()

    def stored(level: int, index: int) -> bytes:
        return Tree().extended(leaves[index << level : (index + 1) << level]).root()

    for index in range(0, count, 37):
        assert prove_inclusion(index, count, stored) == prove_inclusion(index, count, node)


@pytest.mark.parametrize(
    ("index", "width", "name"),
    [(0, 256, "000"), (999, 256, "999"), (1000, 256, "x001/000"), (1234067, 256, "x001/x234/067"), (7, 3, "007.p/3")],
)
def test_names_of_tiles(index: int, width: int, name: str):
    """As c2sp.org/tlog-tiles spells them."""
    assert name == tile_name(index, width)


def test_what_does_not_verify_is_not_exported(audit: AuditLogger, tmp_path: Path):
    """A checkpoint beside entries it does not speak of would mislead."""
    audit.log("note", "a")
    file = next((tmp_path / "audit").glob("events-*"))
    file.write_bytes(file.read_bytes().replace(b'"a"', b'"b"'))
    with pytest.raises(LogTampered):
        export_tiles(tmp_path / "audit", tmp_path / "static")
    assert not (tmp_path / "static" / "checkpoint").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(AuditError, match="no checkpoint"):
        export_tiles(tmp_path / "empty", tmp_path / "static")

"""What every sink must do; whoever writes one adds it to SINKS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from patterns.audit import FileSink, MemorySink, SigningKey
from patterns.audit.checkpoint import Checkpoint
from patterns.audit.head import Head
from patterns.audit.merkle import Tree, leaf_hash, root_of
from patterns.audit.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from patterns.audit.sinks import Sink

SINKS = {
    "memory": lambda _: MemorySink(),
    "file": lambda path: FileSink(path / "log"),
    "rotating file": lambda path: FileSink(path / "log", rotate_at=1000),
}


@pytest.fixture(params=SINKS)
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Sink:
    """Return a new sink of each kind."""
    return SINKS[request.param](tmp_path)


class Sealing(Writer):
    """Seals what a lazy sink only keeps."""

    def commit(self, lines: Sequence[bytes]) -> int:
        first = super().commit(lines)
        self.seal()
        return first


def writer_of(sink: Sink, key: SigningKey) -> Writer:
    """Return a writer of *sink*."""
    return Sealing(sink, origin=key.name, signers=[key], describe=lambda recovered: b"recovered")


def lines_of(sink: Sink) -> list[bytes]:
    """Return all lines a reader sees."""
    return [line for batch in sink.reader().batches() for line in batch.lines]


def test_a_new_sink_is_empty(sink: Sink):
    """It has no head, and nothing to recover."""
    with sink.exclusive() as found:
        assert (None, ()) == (found.head, found.recovered)
    assert sink.reader().head() is None
    assert sink.reader().published() is None
    assert [] == lines_of(sink)


def test_lines_are_kept_byte_for_byte_in_order(sink: Sink, key: SigningKey):
    """Whatever the bytes, they come back unchanged; indexes count from 0."""
    writer = writer_of(sink, key)
    lines = [b"", b"\xff\0\r", b"{}", "ü\u2028".encode(), b"x" * 65_535]
    assert 0 == writer.commit(lines[:2])
    assert 2 == writer.commit(lines[2:])
    assert lines == lines_of(sink)


def test_the_head_names_what_was_sealed(sink: Sink, key: SigningKey):
    """After each commit the reader's head is the tree over all lines, and is what the next writer finds."""
    writer = writer_of(sink, key)
    lines = [b"%d" % number for number in range(300)]
    for start in range(0, 300, 60):
        writer.commit(lines[start : start + 60])
        head = sink.reader().head()
        assert Tree().extended([leaf_hash(line) for line in lines[: start + 60]]) == head.tree
        assert head.note == sink.reader().published()
    with sink.exclusive() as found:
        assert head == found.head


def test_every_stored_node_is_the_root_of_its_leaves(sink: Sink, key: SigningKey):
    """Proofs are made of these, for all levels and places."""
    writer = writer_of(sink, key)
    lines = [b"%d" % number for number in range(700)]
    for start in range(0, 700, 35):
        writer.commit(lines[start : start + 35])
    leaves = [leaf_hash(line) for line in lines]
    for level in range(10):
        for index in range(700 >> level):
            part = leaves[index << level : (index + 1) << level]
            assert Tree().extended(part).root() == sink.reader().node(level, index)
    assert Tree().extended(leaves).root() == root_of(0, 700, sink.reader().node)


def test_an_append_without_a_seal_does_not_count(sink: Sink, key: SigningKey):
    """If sealing fails, the next writer begins where the last seal was."""
    lines = [b"%d" % number for number in range(9)]
    leaves = [leaf_hash(line) for line in lines]
    with sink.exclusive():
        sink.seal(Head(Tree(), Checkpoint.of(Tree(), key.name).text))
    for start in range(0, 9, 3):
        with sink.exclusive() as found:
            head = found.head
            assert start == head.tree.size
            sink.append(head, [b"never sealed"] * 5, [leaf_hash(b"never sealed")] * 5)
        with sink.exclusive() as found:
            head = found.head
            placed = sink.append(head, lines[start : start + 3], leaves[start : start + 3])
            tree = head.tree.extended(leaves[start : start + 3])
            sink.seal(Head(tree, Checkpoint.of(tree, key.name).text, placed.segment, placed.offset))
    assert lines == lines_of(sink)[:9]
    assert Tree().extended(leaves).root() == root_of(0, 9, sink.reader().node)


def test_a_closed_sink_opens_again(sink: Sink, key: SigningKey):
    """Closing releases files, no more."""
    writer = writer_of(sink, key)
    writer.commit([b"one"])
    sink.close()
    sink.close()
    assert 1 == writer.commit([b"two"])


def test_rotation_begins_files_named_by_their_first_entry(tmp_path: Path, key: SigningKey):
    """One tree goes on over all files, and each file's name says where it begins."""
    sink = FileSink(tmp_path / "log", rotate_at=1000)
    writer = writer_of(sink, key)
    for number in range(50):
        writer.commit([b"%099d" % number])
    firsts = [int(path.name[7:27]) for path in sorted((tmp_path / "log").glob("events-*.jsonl"))]
    assert [0, 10, 20, 30, 40] == firsts
    assert [b"%099d" % number for number in range(50)] == lines_of(sink)

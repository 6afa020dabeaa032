"""The head is a slot of fixed size that tells whether it is whole."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patterns.audit.checkpoint import Checkpoint
from patterns.audit.files import newest_of
from patterns.audit.head import SLOT_SIZE, Head
from patterns.audit.merkle import Tree, leaf_hash
from patterns.errors import LogTampered

LEAVES = [leaf_hash(b"%d" % number) for number in range(300)]


def head_of(size: int, *, segment: int = 0, offset: int = 0) -> Head:
    """Return an unsigned head over *size* leaves."""
    tree = Tree().extended(LEAVES[:size])
    return Head(tree, Checkpoint.of(tree, "example.org/log").text, segment, offset)


@given(size=st.integers(0, 300), segment=st.integers(0, 2**63), offset=st.integers(0, 2**63))
def test_a_head_is_read_as_it_was_written(size: int, segment: int, offset: int):
    """Encoding and decoding are inverse, and every slot has the same size."""
    head = head_of(size, segment=segment, offset=offset)
    slot = head.encode()
    assert SLOT_SIZE == len(slot)
    assert head == Head.decode(slot)
    assert size == head.checkpoint.size


@given(size=st.integers(0, 300), data=st.data())
def test_a_torn_slot_is_no_head(size: int, data: st.DataObject):
    """Whatever part of a write reached the disk, the slot is the new head, the old one, or none."""
    old, new = head_of(max(0, size - 1)).encode(), head_of(size).encode()
    cut = data.draw(st.integers(0, SLOT_SIZE))
    assert Head.decode(new[:cut] + old[cut:]) in (None, Head.decode(old), Head.decode(new))
    assert Head.decode(new[:cut] + bytes(SLOT_SIZE - cut)) in (None, Head.decode(new))
    assert Head.decode(bytes(cut) + new[cut:]) in (None, Head.decode(new))


def test_the_newest_of_two_slots_counts():
    """The larger one wins, in either place; an empty or torn one does not count."""
    small, large, none = head_of(3).encode(), head_of(4).encode(), bytes(SLOT_SIZE)
    assert (1, head_of(4)) == newest_of(small + large)
    assert (0, head_of(4)) == newest_of(large + small)
    assert (1, head_of(3)) == newest_of(none + small)
    assert (0, None) == newest_of(none + none) == newest_of(b"")


def test_the_largest_head_fits():
    """The widest tree of 63 bits and a long origin with two signatures' worth of note still fit a slot."""
    tree = Tree(2**63 - 1, tuple(LEAVES[:63]))
    note = Checkpoint.of(tree, "example.org/" + "x" * 240).text + "\n" + "s" * 600 + "\n"
    assert SLOT_SIZE == len(Head(tree, note, 2**63, 2**63).encode())
    with pytest.raises(LogTampered, match="more than 4096"):
        Head(tree, note + "s" * 1000, 0, 0).encode()


@pytest.mark.parametrize("body", [b"", b"x y\n\n", b"0\n\nno checkpoint\n", b"0 0\nAAAA\n\xff"])
def test_a_whole_slot_of_nonsense_is_tampering(body: bytes):
    """A crash cannot make a right checksum over wrong content."""
    slot = b"patterns.audit.head/1 " + sha256(body).hexdigest().encode() + b"\n" + body
    with pytest.raises(LogTampered):
        Head.decode(slot.ljust(SLOT_SIZE, b"\0"))


def test_a_head_must_speak_of_its_own_tree():
    """The note's root is checked against the subtrees before anything is built on them."""
    head = head_of(5)
    with pytest.raises(LogTampered, match="contradicts"):
        Head(head_of(6).tree, head.note).checkpoint  # noqa: B018 - reading it is the check

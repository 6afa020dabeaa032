"""The tree agrees with the public vectors and with the definition of RFC 6962, written down naively."""

from __future__ import annotations

import json
from base64 import b64decode
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patterns.audit.merkle import (
    EMPTY_ROOT,
    Tree,
    check_consistency,
    check_inclusion,
    check_subtree_consistency,
    check_subtree_inclusion,
    leaf_hash,
    prove_consistency,
    prove_inclusion,
    root_of,
)
from patterns.errors import LogTampered

if TYPE_CHECKING:
    from pathlib import Path

ENTRIES = [b"", b"\0", b"\x10", b" !", b"01", b"@ABC", b"PQRSTUVW", b"`abcdefghijklmno"]
LEAVES = [leaf_hash(b"%d" % number) for number in range(200)]
FOLDERS = {"inclusion": 98, "consistency": 98, "subtreeinclusion": 204, "subtreeconsistency": 118}


def naive_root(leaves: list[bytes]) -> bytes:
    """Return the Merkle tree hash as RFC 6962 section 2.1 defines it."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\1" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """Return the audit path as RFC 6962 section 2.1.1 defines it."""
    if len(leaves) == 1:
        return []
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if index < split:
        return [*naive_path(index, leaves[:split]), naive_root(leaves[split:])]
    return [*naive_path(index - split, leaves[split:]), naive_root(leaves[:split])]


def naive_consistency(old: int, leaves: list[bytes], *, whole: bool = True) -> list[bytes]:
    """Return the consistency proof as RFC 6962 section 2.1.2 defines it."""
    if old == len(leaves):
        return [] if whole else [naive_root(leaves)]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if old <= split:
        return [*naive_consistency(old, leaves[:split], whole=whole), naive_root(leaves[split:])]
    return [*naive_consistency(old - split, leaves[split:], whole=False), naive_root(leaves[:split])]


def node(level: int, index: int) -> bytes:
    """Return the root of a complete subtree of LEAVES."""
    return naive_root(LEAVES[index << level : (index + 1) << level])


def decoded(text: str | None) -> bytes:
    """Return the bytes of a vector's field."""
    return b64decode(text or "")


def judged(kind: str, vector: dict) -> None:
    """Check one public vector."""
    proof = [decoded(one) for one in vector["proof"] or []]
    if kind == "inclusion":
        leaf, root = decoded(vector["leafHash"]), decoded(vector["root"])
        check_inclusion(leaf, vector["leafIdx"], vector["treeSize"], proof, root)
    elif kind == "consistency":
        roots = decoded(vector["root1"]), decoded(vector["root2"])
        check_consistency(vector["size1"], vector["size2"], proof, *roots)
    elif kind == "subtreeinclusion":
        leaf, root = decoded(vector["leafHash"]), decoded(vector["root"])
        check_subtree_inclusion(leaf, vector["leafIdx"], vector["start"], vector["end"], proof, root)
    else:
        roots = decoded(vector["root1"]), decoded(vector["root2"])
        check_subtree_consistency(vector["start"], vector["end"], vector["size"], proof, *roots)


@pytest.mark.parametrize("kind", FOLDERS)
def test_the_public_vectors_are_judged_as_published(kind: str, shared: Path):
    """All 518 vectors of transparency-dev/merkle pass or fail as they say, for the reasons they say."""
    files = sorted((shared / "vectors/merkle-rfc6962/testdata" / kind).rglob("*.json"))
    assert FOLDERS[kind] == len(files)
    wrong = []
    for file in files:
        vector = json.loads(file.read_text())
        try:
            judged(kind, vector)
        except LogTampered:
            passed = False
        else:
            passed = True
        if passed == vector["wantErr"]:
            wrong.append(str(file))
    assert [] == wrong


def test_known_roots():
    """The roots of the eight entries every implementation of RFC 6962 tests with."""
    leaves = [leaf_hash(entry) for entry in ENTRIES]
    assert "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" == EMPTY_ROOT.hex()
    assert "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" == leaves[0].hex()
    assert "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328" == Tree().extended(leaves).root().hex()


@given(size=st.integers(0, 200), first=st.integers(0, 200))
def test_growing_in_steps_gives_the_naive_root(size: int, first: int):
    """Extending a tree is the same in one step or two, and gives the root of the definition."""
    first = min(first, size)
    grown = Tree().extended(LEAVES[:first]).extended(LEAVES[first:size])
    assert grown == Tree().extended(LEAVES[:size])
    assert naive_root(LEAVES[:size]) == grown.root() == root_of(0, size, node)
    assert [naive_root(LEAVES[start:end]) for start, end, _ in grown.subtrees()] == list(grown.nodes)


@given(data=st.data())
def test_inclusion_is_proven_and_checked(data: st.DataObject):
    """Every proof of inclusion is the naive one, checks, and stops checking when anything is changed."""
    size = data.draw(st.integers(1, 200))
    index = data.draw(st.integers(0, size - 1))
    root = naive_root(LEAVES[:size])
    proof = prove_inclusion(index, size, node)
    assert tuple(naive_path(index, LEAVES[:size])) == proof
    check_inclusion(LEAVES[index], index, size, proof, root)
    for broken in _broken(data, proof):
        with pytest.raises(LogTampered):
            check_inclusion(LEAVES[index], index, size, broken, root)
    other = data.draw(st.integers(0, 199).filter(lambda number: number != index))
    with pytest.raises(LogTampered):
        check_inclusion(LEAVES[other], index, size, proof, root)
    with pytest.raises(LogTampered):
        check_inclusion(LEAVES[index], other, size, proof, root)


@given(data=st.data())
def test_consistency_is_proven_and_checked(data: st.DataObject):
    """Every proof of consistency is the naive one, checks, and stops checking when anything is changed."""
    size = data.draw(st.integers(1, 200))
    old = data.draw(st.integers(1, size))
    roots = naive_root(LEAVES[:old]), naive_root(LEAVES[:size])
    proof = prove_consistency(old, size, node)
    assert tuple(naive_consistency(old, LEAVES[:size])) == proof
    check_consistency(old, size, proof, *roots)
    for broken in _broken(data, proof):
        with pytest.raises(LogTampered):
            check_consistency(old, size, broken, *roots)
    with pytest.raises(LogTampered):
        check_consistency(old, size, proof, LEAVES[199], roots[1])
    with pytest.raises(LogTampered):
        check_consistency(old, size, proof, roots[0], LEAVES[199])


def _broken(data: st.DataObject, proof: tuple[bytes, ...]) -> list[tuple[bytes, ...]]:
    """Return proofs that differ from *proof*: longer, shorter, one bit flipped, two hashes cut anew."""
    broken = [(*proof, LEAVES[0]), (LEAVES[0], *proof)]
    if proof:
        at, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
        flipped = (int.from_bytes(proof[at]) ^ (1 << bit)).to_bytes(32)
        broken += [proof[:-1], proof[1:], (*proof[:at], flipped, *proof[at + 1 :])]
        broken += [(*proof[:at], proof[at] + b"\0", *proof[at + 1 :]), (*proof[:at], proof[at][:-1], *proof[at + 1 :])]
    return broken


def test_nothing_is_proven_of_what_is_not_there():
    """A proof is asked for an entry, or an older size, that exists."""
    for index, size in [(-1, 5), (5, 5), (0, 0)]:
        with pytest.raises(IndexError):
            prove_inclusion(index, size, node)
    for old, size in [(0, 5), (6, 5), (-1, 5)]:
        with pytest.raises(IndexError):
            prove_consistency(old, size, node)


@pytest.mark.parametrize(("size", "nodes"), [(1, ()), (0, (LEAVES[0],)), (3, (LEAVES[0],)), (1, (b"short",)), (-1, ())])
def test_a_tree_is_well_formed(size: int, nodes: tuple[bytes, ...]):
    """A size has one node for each bit of it, 32 bytes long."""
    with pytest.raises(LogTampered):
        Tree(size, nodes)

"""The tree over the entries of a log: hashing, growing, proving, checking; no I/O.

Sources: RFC 6962 section 2.1, RFC 9162 section 2.1, and
draft-ietf-plants-merkle-tree-certs for subtrees.

An entry's leaf is ``SHA-256(0x00 || entry)``, an inner node is
``SHA-256(0x01 || left || right)``. A tree of n leaves splits at the largest
power of two below n, so the whole tree is known by the roots of the complete
subtrees that its size names in binary: its compact range, here `Tree`.

One walk serves all four kinds of proof. From the root down to the subtree
[start, end) every step leaves a sibling behind: on the right; on the left and
outside the subtree; or on the left and inside it. An inclusion proof is the
walk to a subtree of one leaf, a consistency proof the walk to [0, old size).
"""

from __future__ import annotations

from enum import Enum
from hashlib import sha256
from typing import TYPE_CHECKING, NoReturn

from attrs import frozen

from patterns.errors import LogTampered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Node = Callable[[int, int], bytes]
    """Gives the root of the complete subtree at (level, index): leaves [index << level, (index + 1) << level)."""

__all__ = [
    "EMPTY_ROOT",
    "HASH_SIZE",
    "Tree",
    "check_consistency",
    "check_inclusion",
    "check_subtree_consistency",
    "check_subtree_inclusion",
    "leaf_hash",
    "node_hash",
    "prove_consistency",
    "prove_inclusion",
    "root_of",
    "tampered",
]

HASH_SIZE = 32
_ONE_SIZE = frozenset({HASH_SIZE})
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\1" + left + right).digest()


@frozen
class Tree:
    """A tree known by its size and the roots of its complete subtrees, largest first.

    It grows in O(log n) memory and, on average, two hashes for each leaf.
    """

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def __attrs_post_init__(self) -> None:
        nodes = self.nodes
        if self.size < 0 or len(nodes) != self.size.bit_count() or not _ONE_SIZE.issuperset(map(len, nodes)):
            tampered(f"a tree of {self.size} leaves cannot have these {len(nodes)} subtrees")

    def extended(self, leaves: Sequence[bytes]) -> Tree:
        """Return the tree after *leaves* (their hashes)."""
        nodes, index = list(self.nodes), self.size
        push, pop, hashed = nodes.append, nodes.pop, sha256
        for leaf in leaves:
            node, carry = leaf, index
            while carry & 1:
                node = hashed(b"\1" + pop() + node).digest()
                carry >>= 1
            push(node)
            index += 1
        return Tree(index, tuple(nodes))

    def root(self) -> bytes:
        """Return the root hash."""
        if not self.nodes:
            return EMPTY_ROOT
        root = self.nodes[-1]
        for node in self.nodes[-2::-1]:
            root = sha256(b"\1" + node + root).digest()
        return root

    def subtrees(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield (start, end, root) of every complete subtree, from the left."""
        start = 0
        for node in self.nodes:
            end = start + _floor_power(self.size - start)
            yield start, end, node
            start = end


def root_of(start: int, end: int, node: Node) -> bytes:
    """Return the root of leaves [start, end); *start* must be where the tree splits or 0."""
    if start == end:
        return EMPTY_ROOT
    parts = []
    while start < end:
        width = _floor_power(end - start)
        parts.append(node(width.bit_length() - 1, start // width))
        start += width
    root = parts.pop()
    while parts:
        root = node_hash(parts.pop(), root)
    return root


def prove_inclusion(index: int, size: int, node: Node) -> tuple[bytes, ...]:
    """Return the proof that leaf *index* is in the tree of *size* leaves, from the leaf's sibling up."""
    if not 0 <= index < size:
        message = f"no leaf {index} in a tree of {size}"
        raise IndexError(message)
    return _prove(index, index + 1, size, node)


def prove_consistency(old: int, size: int, node: Node) -> tuple[bytes, ...]:
    """Return the proof that the tree of *size* leaves begins with the tree of *old* leaves."""
    if not 0 < old <= size:
        message = f"a tree of {size} leaves has no proof from size {old}"
        raise IndexError(message)
    return _prove(0, old, size, node)


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that *leaf* (a leaf hash) is number *index* in the tree of *size* leaves with *root*.

    Raises:
        LogTampered: It is not, or the proof does not show it.

    """
    if not 0 <= index < size or len(leaf) != HASH_SIZE:
        tampered(f"no such leaf {index} in a tree of {size}")
    _check(index, index + 1, size, proof, leaf, root)


def check_consistency(old: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes) -> None:
    """Check that the tree of *size* leaves with *root* begins with the tree of *old* leaves with *old_root*.

    Raises:
        LogTampered: It does not, or the proof does not show it; nothing can be shown from size 0.

    """
    if not 0 < old <= size:
        tampered(f"nothing can be shown from size {old} to size {size}")
    _check(0, old, size, proof, old_root, root)


def check_subtree_inclusion(  # noqa: PLR0917 - the six facts of the claim, in the order of the drafts
    leaf: bytes, index: int, start: int, end: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that *leaf* is number *index* of the whole tree, in its subtree [start, end) with *root*.

    Raises:
        LogTampered: It is not, or there is no such subtree.

    """
    _check_aligned(start, end)
    check_inclusion(leaf, index - start, end - start, proof, root)


def check_subtree_consistency(  # noqa: PLR0917 - the six facts of the claim, in the order of the drafts
    start: int, end: int, size: int, proof: Sequence[bytes], subtree_root: bytes, root: bytes
) -> None:
    """Check that the tree of *size* leaves with *root* holds the subtree [start, end) with *subtree_root*.

    Raises:
        LogTampered: It does not, or there is no such subtree; an empty subtree is in every tree.

    """
    _check_aligned(start, end)
    if end > size:
        tampered(f"subtree [{start}, {end}) is larger than the tree of {size}")
    if start < end:
        _check(start, end, size, proof, subtree_root, root)
    elif proof or subtree_root != EMPTY_ROOT:
        tampered("an empty subtree has the empty root and an empty proof")


def tampered(problem: str, /, *, index: int | None = None) -> NoReturn:
    """Raise `LogTampered`."""
    raise LogTampered(problem, index=index)


class _Sibling(Enum):
    RIGHT = 1
    LEFT_OUTSIDE = 2
    LEFT_INSIDE = 3


def _walk(start: int, end: int, size: int) -> Iterator[tuple[_Sibling, int, int]]:
    low, high = 0, size
    while (low, high) != (start, end):
        middle = low + _split(high - low)
        if end <= middle:
            yield _Sibling.RIGHT, middle, high
            high = middle
        elif start >= middle:
            yield _Sibling.LEFT_OUTSIDE, low, middle
            low = middle
        else:
            yield _Sibling.LEFT_INSIDE, low, middle
            low = start = middle


def _prove(start: int, end: int, size: int, node: Node) -> tuple[bytes, ...]:
    steps = list(_walk(start, end, size))
    proof = [root_of(low, high, node) for _, low, high in steps]
    inside = [high for side, _, high in steps if side is _Sibling.LEFT_INSIDE]
    if inside:
        proof.append(root_of(inside[-1], end, node))
    return tuple(reversed(proof))


def _check(  # noqa: PLR0917 - the six facts of the claim
    start: int, end: int, size: int, proof: Sequence[bytes], part: bytes, whole: bytes
) -> None:
    sides = [side for side, _, _ in _walk(start, end, size)]
    split = _Sibling.LEFT_INSIDE in sides
    if len(proof) != len(sides) + split or any(len(node) != HASH_SIZE for node in proof):
        tampered("the proof has the wrong shape")
    siblings = iter(proof)
    below = above = next(siblings) if split else part
    for side, sibling in zip(reversed(sides), siblings, strict=True):
        if side is _Sibling.RIGHT:
            above = node_hash(above, sibling)
            continue
        if side is _Sibling.LEFT_INSIDE:
            below = node_hash(sibling, below)
        above = node_hash(sibling, above)
    if (below, above) != (part, whole):
        tampered("the proof does not lead to the root")


def _check_aligned(start: int, end: int) -> None:
    width = end - start
    if start < 0 or width < 0 or start % (1 << max(0, width - 1).bit_length()):
        tampered(f"[{start}, {end}) is no subtree")


def _floor_power(number: int) -> int:
    return 1 << (number.bit_length() - 1)


def _split(width: int) -> int:
    return 1 << ((width - 1).bit_length() - 1)

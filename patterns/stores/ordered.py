"""A set of texts kept in order of code point, quick at any size."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["OrderedKeys"]

_FULL = 512


class OrderedKeys:
    """Sorted chunks of at most 512 keys, so an insertion moves a few hundred pointers however many keys there are.

    New keys are put in order when somebody asks for the order, and not before.
    """

    def __init__(self) -> None:
        self._new: set[str] = set()
        self._count = 0  # of keys in order
        self._chunks: list[list[str]] = []
        self._lasts: list[str] = []
        self.add = self._new.add  # called for every record that is made

    def remove(self, key: str) -> None:
        """Take out *key*, which is in it."""
        if key in self._new:
            self._new.discard(key)
            return
        self._count -= 1
        at = bisect_left(self._lasts, key)
        chunk = self._chunks[at]
        del chunk[bisect_left(chunk, key)]
        if chunk:
            self._lasts[at] = chunk[-1]
        else:
            del self._chunks[at]
            del self._lasts[at]

    def start_at(self, first: str) -> Iterator[str]:
        """Yield the keys from *first* on, in order."""
        self._sort_in()
        at = bisect_left(self._lasts, first)
        for number in range(at, len(self._chunks)):
            chunk = self._chunks[number]
            yield from chunk[bisect_left(chunk, first) :] if number == at else chunk

    def _sort_in(self) -> None:
        if len(self._new) > self._count:
            keys = sorted([key for chunk in self._chunks for key in chunk] + list(self._new))
            self._chunks = [keys[at : at + _FULL // 2] for at in range(0, len(keys), _FULL // 2)]
            self._lasts = [chunk[-1] for chunk in self._chunks]
        else:
            for key in self._new:
                self._insert(key)
        self._count += len(self._new)
        self._new.clear()

    def _insert(self, key: str) -> None:
        at = min(bisect_left(self._lasts, key), len(self._chunks) - 1)
        chunk = self._chunks[at]
        insort(chunk, key)
        self._lasts[at] = chunk[-1]
        if len(chunk) > _FULL:
            self._split(at)

    def _split(self, at: int) -> None:
        chunk = self._chunks[at]
        half = len(chunk) // 2
        self._chunks[at : at + 1] = [chunk[:half], chunk[half:]]
        self._lasts[at : at + 1] = [chunk[half - 1], chunk[-1]]

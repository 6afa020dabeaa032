"""The only door to randomness: sortable identifiers and jitter."""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Ids", "Randomness", "SystemRandomness"]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base 32, lower case
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS = tuple(range(120, -1, -10))


class Randomness(Protocol):
    """Where chance comes from."""

    def bits(self, count: int, /) -> int:
        """Return *count* random bits as an integer."""
        ...

    def uniform(self, low: float, high: float, /) -> float:
        """Return a float between *low* and *high*."""
        ...


class SystemRandomness:
    """The operating system's entropy; reseeded after a fork, so children never share identifiers."""

    def __init__(self) -> None:
        self._random = random.Random(os.urandom(32))  # noqa: S311 - identifiers, not secrets
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reseed)

    def _reseed(self) -> None:
        self._random.seed(os.urandom(32))

    def bits(self, count: int, /) -> int:
        """Return *count* random bits as an integer."""
        return self._random.getrandbits(count)

    def uniform(self, low: float, high: float, /) -> float:
        """Return a float between *low* and *high*."""
        return self._random.uniform(low, high)


SYSTEM_RANDOMNESS = SystemRandomness()


class Ids:
    """Makes identifiers of 128 bits that sort by the millisecond they were made in (ULID layout).

    Args:
        randomness: Source of the 80 random bits.
        wall: Seconds since 1970-01-01 UTC.

    """

    def __init__(self, randomness: Randomness = SYSTEM_RANDOMNESS, wall: Callable[[], float] = time.time) -> None:
        self._bits = randomness.bits
        self._wall = wall

    def new(self, prefix: str = "") -> str:
        """Return a new identifier, 26 characters after *prefix*."""
        number = int(self._wall() * 1000) << 80 | self._bits(80)
        return prefix + "".join([_PAIRS[(number >> shift) & 1023] for shift in _SHIFTS])


SYSTEM_IDS = Ids()

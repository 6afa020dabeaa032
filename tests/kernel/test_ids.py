"""Identifiers: unique, sortable, the same layout as ULIDs."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from patterns.kernel.ids import SYSTEM_IDS, Ids, SystemRandomness
from patterns.testing.forked import fork

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class Fixed:
    """Randomness that is none."""

    def __init__(self, number):
        self.number = number

    def bits(self, count):
        return self.number % (1 << count)

    def uniform(self, low, high):
        return low


@given(st.integers(0, 2**47), st.integers(0, 2**80 - 1))
def test_an_id_spells_milliseconds_and_eighty_random_bits(milliseconds, bits):
    """Read back digit by digit, an id is its time and its chance."""
    spelled = Ids(Fixed(bits), wall=lambda: milliseconds / 1000).new()

    number = 0
    for digit in spelled:
        number = number * 32 + ALPHABET.index(digit)
    assert 26 == len(spelled)
    assert bits == number & (2**80 - 1)
    assert abs((number >> 80) - milliseconds) <= 1  # a float of seconds is exact to the millisecond, about


def test_ids_sort_by_the_time_they_were_made():
    """Later is larger."""
    times = iter([1.0, 2.0, 1_700_000_000.0, 1_700_000_000.002])
    ids = Ids(SystemRandomness(), wall=lambda: next(times))
    made = [ids.new("x_") for _ in range(4)]

    assert sorted(made) == made
    assert all(one.startswith("x_") for one in made)


def test_ids_do_not_repeat():
    """Not among many, and not between parent and child after a fork."""
    made = {SYSTEM_IDS.new() for _ in range(10_000)}
    child = fork(lambda: [SYSTEM_IDS.new()[10:] for _ in range(100)])
    ours = {SYSTEM_IDS.new()[10:] for _ in range(100)}

    assert 10_000 == len(made)
    assert ours.isdisjoint(child.result())
    assert os.getpid() != child.pid

"""What is particular to the memory store."""

from __future__ import annotations

import os
import threading

from hypothesis import given
from hypothesis import strategies as st

from patterns.kernel.storage import ABSENT, Change
from patterns.stores import open_store
from patterns.stores.ordered import OrderedKeys
from patterns.testing.forked import fork
from patterns.testing.store_helpers import put, value

STEPS = st.lists(st.tuples(st.sampled_from(["add", "remove", "list"]), st.text(max_size=3)), max_size=60)


@given(STEPS)
def test_ordered_keys_are_a_sorted_set(steps):
    """Whatever is added and removed, the order is that of `sorted`."""
    keys, model = OrderedKeys(), set()
    for step, key in steps:
        if step == "add" and key not in model:
            keys.add(key)
            model.add(key)
        elif step == "remove" and key in model:
            keys.remove(key)
            model.remove(key)
        elif step == "list":
            assert [each for each in sorted(model) if each >= key] == list(keys.start_at(key))
    assert sorted(model) == list(keys.start_at(""))


def test_ordered_keys_stay_in_order_through_splits():
    """Thousands of keys, in chunks that fill, split and empty."""
    keys, model = OrderedKeys(), set()
    for number in range(6000):
        key = str(number * 7919 % 6007)
        keys.add(key)
        model.add(key)
        if number % 1500 == 700:
            assert sorted(model) == list(keys.start_at(""))
    for key in sorted(model)[1000:4000]:
        keys.remove(key)
        model.remove(key)
    assert sorted(model) == list(keys.start_at(""))


def test_every_memory_store_is_its_own():
    """Two of them share nothing."""
    one, two = open_store("memory://"), open_store("memory://")
    put(one.cells, "a", b"x")
    assert two.cells.read("a") is None


def test_a_forked_child_has_a_copy_and_another_owner():
    """It can go on, changes nothing of the parent's, and does not speak for the parent's life."""
    store = open_store("memory://")
    put(store.cells, "a", b"parent")
    owner = store.owners.me()

    def child():
        put(store.cells, "a", b"child")
        return [value(store.cells, "a").decode(), store.owners.me() != owner, store.owners.alive(owner)]

    assert ["child", True, None] == fork(child).result()
    assert b"parent" == value(store.cells, "a")
    assert owner == store.owners.me()


def test_a_fork_during_swaps_leaves_the_child_whole():
    """No lock is held for ever and no swap half done in the child, whatever other threads do."""
    store = open_store("memory://")
    stop = threading.Event()

    def swap_pairs():
        while not stop.is_set():
            versions = [cell.version if (cell := store.cells.read(key)) else ABSENT for key in ("a", "b")]
            text = os.urandom(8).hex().encode()
            store.cells.swap([Change("a", versions[0], text), Change("b", versions[1], text)])

    threads = [threading.Thread(target=swap_pairs) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        store.cells.wait("a", ABSENT, 10)

        def child():
            pair = value(store.cells, "a") == value(store.cells, "b")
            put(store.cells, "a", b"child")
            return pair

        assert [True] * 10 == [fork(child).result() for _ in range(10)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()

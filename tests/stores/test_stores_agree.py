"""The memory store is the model: whatever is done, SQLite answers the same."""

from __future__ import annotations

import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from patterns.kernel.storage import ABSENT, Change
from patterns.stores import open_store

KEYS = st.sampled_from(["a", "a/1", "a/2", "a\0", "b", "é", "\U0001f9fe", "\uffff"])
CHANGES = st.lists(
    st.tuples(KEYS, st.sampled_from([0, 0, 0, -1, 1]), st.one_of(st.none(), st.binary(max_size=3))),
    max_size=3,
    unique_by=lambda change: change[0],
)
SWAP = st.tuples(st.just("swap"), CHANGES, st.booleans())
SCAN = st.tuples(st.just("scan"), st.sampled_from(["", "a", "a/", "\uffff", "é"]), st.one_of(st.just(""), KEYS))
APPEND = st.tuples(st.just("append"), st.sampled_from("xy"), st.lists(st.binary(max_size=3), max_size=3))
READ_LOG = st.tuples(st.just("read"), st.sampled_from("xy"), st.integers(-1, 9))
REOPEN = st.tuples(st.just("reopen"), st.none(), st.none())
STEPS = st.lists(st.one_of(SWAP, SWAP, SWAP, SCAN, APPEND, READ_LOG, REOPEN), max_size=25)


def perform(store, step):
    """Do one step; return everything that can be seen of it."""
    what, first, second = step
    if what == "swap":
        # Some of the versions are off by one.
        seen = {cell.key: cell.version for cell in store.cells.scan("")}
        changes = [Change(key, max(ABSENT, seen.get(key, ABSENT) + off), value) for key, off, value in first]
        return store.cells.swap(changes, durable=False), store.cells.scan("")
    if what == "scan":
        return [store.cells.scan(first, after=second, limit=limit) for limit in (0, 2, 100)]
    if what == "append":
        return store.log(first).append(second), store.log(first).size()
    return store.log(first).read(second, limit=2)


@settings(max_examples=60)
@given(STEPS)
def test_sqlite_answers_like_memory(steps):
    """Outcomes, versions, order and logs are the same, across reopening as well."""
    with tempfile.TemporaryDirectory() as directory:
        model, store = open_store("memory://"), open_store(f"sqlite:///{directory}/a.db")
        try:
            for step in steps:
                if step[0] == "reopen":
                    store.close()
                    store = open_store(f"sqlite:///{directory}/a.db")
                else:
                    assert perform(model, step) == perform(store, step)
        finally:
            store.close()

"""A store that was open before the fork serves parent and child."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from patterns.errors import StoreUnavailable
from patterns.stores import forking, open_store
from patterns.testing.forked import fork
from patterns.testing.store_helpers import add, content, put, value

if TYPE_CHECKING:
    from pathlib import Path

    from patterns.kernel.storage import Store


@pytest.fixture
def store(tmp_path: Path):
    """Return a store that has read, written and is known to have idle connections."""
    store = open_store(f"sqlite:///{tmp_path}/a.db")
    put(store.cells, "a", b"0")
    yield store
    store.close()


def test_parent_and_child_see_each_other(store: Store):
    """Both go on with the object they have."""

    def child() -> str:
        before = value(store.cells, "a").decode()
        put(store.cells, "a", b"child")
        return before

    assert "0" == fork(child).result()
    assert b"child" == value(store.cells, "a")
    put(store.cells, "a", b"parent")
    assert "parent" == fork(child).result()


def test_what_the_child_has_open_is_really_locked(store: Store, tmp_path: Path):
    """The parent's closing must not take the log away from under a child that is still writing."""
    go_on, gone = os.pipe()
    ready, say_ready = os.pipe()

    def child() -> None:
        os.close(gone)
        put(store.cells, "child", b"before")
        os.write(say_ready, b".")
        os.read(go_on, 1)  # the parent has closed the store, the last but for us
        put(store.cells, "child", b"after")

    running = fork(child)
    os.read(ready, 1)
    store.close()
    open_store(f"sqlite:///{tmp_path}/a.db").close()
    os.close(gone)
    assert running.result() is None
    again = open_store(f"sqlite:///{tmp_path}/a.db")
    assert b"after" == value(again.cells, "child")
    again.close()
    for descriptor in (go_on, ready, say_ready):
        os.close(descriptor)


def test_forks_in_the_middle_of_a_storm(store: Store):
    """Threads that read and write all the time notice nothing, and every child works at once."""
    stop = threading.Event()

    def work(number: int) -> None:
        while not stop.is_set():
            add(store.cells, 1, "a")
            store.cells.scan("")
            put(store.cells, f"own/{number}", b"x")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        children = [fork(lambda: add(store.cells, 10, "a")) for _ in range(5)]
        assert [None] * 5 == [child.result() for child in children]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert int(value(store.cells, "a")) >= 50


def test_a_child_torn_out_of_an_operation_refuses(store: Store, monkeypatch: pytest.MonkeyPatch):
    """If an operation of another thread lasts longer than a fork waits, the child says so; the parent goes on."""
    monkeypatch.setattr(forking, "PATIENCE", 0.02)
    inside, go_on = threading.Event(), threading.Event()

    def linger(_connection: object) -> None:
        inside.set()
        go_on.wait()

    thread = threading.Thread(target=store._engine.read, args=(linger,))
    thread.start()
    inside.wait()

    def child() -> str:
        try:
            store.cells.read("a")
        except StoreUnavailable as problem:
            return problem.reason
        return "served"

    try:
        assert "was in use at the fork" == fork(child).result()
    finally:
        go_on.set()
        thread.join()
    assert b"0" == value(store.cells, "a")


def test_an_unannounced_fork_is_survived(store: Store, monkeypatch: pytest.MonkeyPatch):
    """A server that forks in C may tell Python only afterwards."""
    parent, alive = os.getpid(), forking._alive
    monkeypatch.setattr(forking, "_alive", lambda: [] if os.getpid() == parent else alive())

    def child() -> str:
        put(store.cells, "a", b"child")
        return value(store.cells, "a").decode()

    assert "child" == fork(child).result()
    assert b"child" == content(store.cells, "a")


def test_a_store_closed_before_the_fork_stays_closed(store: Store):
    """Also in the child."""
    store.close()

    def child() -> None:
        with pytest.raises(StoreUnavailable, match="is closed"):
            store.cells.read("a")

    assert fork(child).result() is None

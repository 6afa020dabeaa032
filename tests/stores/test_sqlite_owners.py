"""Owners are alive exactly as long as their process."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from patterns.errors import StoreUnavailable
from patterns.kernel.clock import SYSTEM_CLOCK
from patterns.kernel.ids import SYSTEM_IDS
from patterns.stores import open_store
from patterns.testing.forked import Child, fork
from patterns.testing.store_helpers import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from patterns.kernel.storage import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the database."""
    return tmp_path / "a.db"


@pytest.fixture
def store(path: Path):
    """Return an open store."""
    store = open_store(f"sqlite:///{path}")
    yield store
    store.close()


class Owner:
    """Another process that registers as an owner, does *then*, and stays until it is killed."""

    def __init__(self, path: Path, then: Callable[[], object] = lambda: None) -> None:
        said, say = os.pipe()

        def live() -> None:
            owner = open_store(f"sqlite:///{path}").owners.me()
            then()
            os.write(say, owner.encode())
            signal.pause()

        self.child: Child = fork(live)
        os.close(say)
        self.id = os.read(said, 100).decode()
        os.close(said)

    def kill(self) -> None:
        """End it the hard way."""
        self.child.kill(signal.SIGKILL)
        assert -signal.SIGKILL == self.child.reap()


def seconds_until_dead(store: Store, owner: str) -> float:
    """Return how long it takes until *owner* counts as dead."""
    began = SYSTEM_CLOCK.now()
    while store.owners.alive(owner) and SYSTEM_CLOCK.now() - began < 10:
        os.sched_yield()
    return SYSTEM_CLOCK.now() - began


def test_a_killed_owner_is_dead_at_once(path: Path, store: Store):
    """No lease has to run out."""
    owner = Owner(path)
    assert store.owners.alive(owner.id) is True
    owner.child.kill(signal.SIGKILL)
    assert seconds_until_dead(store, owner.id) < 0.5
    assert store.owners.alive(owner.id) is False
    owner.kill()


def test_a_stopped_owner_is_alive(path: Path, store: Store):
    """However long it does nothing, it may go on."""
    owner = Owner(path)
    owner.child.kill(signal.SIGSTOP)
    os.waitpid(owner.child.pid, os.WUNTRACED)
    assert store.owners.alive(owner.id) is True
    owner.child.kill(signal.SIGCONT)
    assert store.owners.alive(owner.id) is True
    owner.kill()
    assert store.owners.alive(owner.id) is False


def test_an_owner_outlives_its_store(path: Path, store: Store):
    """What the process began may still be running after it has closed the store."""
    other = open_store(f"sqlite:///{path}")
    owner = other.owners.me()
    assert store.owners.me() == owner
    other.close()
    assert ([owner], True) == (
        [path.name for path in path.with_name("a.db.owners").iterdir()],
        store.owners.alive(owner),
    )
    child = fork(lambda: store.owners.alive(owner))
    assert child.result() is True


def test_children_do_not_keep_an_owner_alive(path: Path, store: Store):
    """Neither a forked child nor a program it has started inherits the lock."""
    said, say = os.pipe()

    def have_children() -> None:
        program = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], close_fds=False)
        ready, begun = os.pipe()
        forked = fork(lambda: (os.write(begun, b"."), signal.pause()))
        os.read(ready, 1)  # the child runs, so it has let go of what it inherited
        os.write(say, b"%d %d" % (program.pid, forked.pid))

    owner = Owner(path, then=have_children)
    grandchildren = [int(pid) for pid in os.read(said, 100).split()]
    try:
        owner.kill()
        assert store.owners.alive(owner.id) is False
        for pid in grandchildren:
            os.kill(pid, 0)  # they live on
    finally:
        for pid in grandchildren:
            os.kill(pid, signal.SIGKILL)
        os.close(said)
        os.close(say)


def test_a_forked_child_is_another_owner(path: Path, store: Store):
    """The parent's lock stays the parent's; each sees the other alive, and the child dead in the end."""
    owner = store.owners.me()
    child = fork(lambda: [store.owners.me(), store.owners.alive(owner), store.owners.alive(store.owners.me())]).result()
    assert [True, True] == child[1:]
    assert owner != child[0]
    assert (owner, True, False) == (store.owners.me(), store.owners.alive(owner), store.owners.alive(child[0]))


def test_who_looks_is_not_taken_for_the_owner(path: Path, store: Store):
    """Somebody else who checks at this very moment does not make the dead look alive."""
    owner = Owner(path)
    owner.kill()
    with path.with_name("a.db.owners").joinpath(owner.id).open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert store.owners.alive(owner.id) is False


def test_many_may_look_at_once(path: Path, store: Store):
    """Threads that check together all find the same."""
    living = Owner(path)
    for _ in range(5):
        dead = Owner(path)
        dead.kill()
        assert [False] * 16 == in_threads(16, lambda _number, owner=dead.id: store.owners.alive(owner))
        assert [True] * 16 == in_threads(16, lambda _number: store.owners.alive(living.id))
    living.kill()


def test_what_the_dead_leave_is_removed(path: Path, store: Store):
    """A process that registers clears up after those who could not; the living stay."""
    living = Owner(path)
    dead = [Owner(path) for _ in range(3)]
    for owner in dead:
        owner.kill()
    directory = path.with_name("a.db.owners")
    assert {living.id, *(owner.id for owner in dead)} == {file.name for file in directory.iterdir()}
    me = store.owners.me()
    assert {living.id, me} == {file.name for file in directory.iterdir()}
    assert [False] * 3 == [store.owners.alive(owner.id) for owner in dead]
    living.kill()


def test_nothing_is_claimed_of_strangers(path: Path, store: Store):
    """What is no owner id, or was never seen where all is gone, cannot be told."""
    assert [None, None, None] == [store.owners.alive(owner) for owner in ("", "../a.db", "x" * 27)]
    assert store.owners.alive(SYSTEM_IDS.new()) is None
    store.owners.me()
    assert store.owners.alive(SYSTEM_IDS.new()) is False


def test_an_owner_comes_back_after_a_cleaner(path: Path, store: Store):
    """A program that removes old files must not make the living look dead for long."""
    owner = store.owners.me()
    shutil.rmtree(path.with_name("a.db.owners"))
    assert owner == store.owners.me()
    assert fork(lambda: store.owners.alive(owner)).result() is True


def test_a_place_that_cannot_be_locked_is_told(path: Path, store: Store):
    """In one line, with the remedy."""
    path.with_name("a.db.owners").write_text("in the way")
    with pytest.raises(StoreUnavailable, match=r"cannot be used .*; let this process create and lock files there"):
        store.owners.me()

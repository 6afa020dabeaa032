"""Processes killed at the worst moment: what was acknowledged is there, and nothing is torn."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from patterns.kernel.storage import ABSENT, Change
from patterns.stores import open_store
from patterns.testing import Fault, inject
from patterns.testing.forked import fork
from patterns.testing.store_helpers import content, put, value, version

if TYPE_CHECKING:
    from pathlib import Path

    from patterns.testing.forked import Child

WORKERS, ROUNDS, ACKNOWLEDGED = 4, 5, 30
PAIR = ("pair/left", "pair/right", "pair/third")


def storm(path: Path, worker: int, acknowledge: int) -> None:
    """Swap for ever: an own counter and, with all others, three records that are always alike."""
    store = open_store(f"sqlite:///{path}")
    cells = store.cells
    number = int(content(cells, f"own/{worker}") or b"0")
    while True:
        number += 1
        put_durably = [Change(f"own/{worker}", version(cells, f"own/{worker}"), b"%d" % number)]
        assert cells.swap(put_durably) is None
        os.write(acknowledge, b"%d %d\n" % (worker, number))
        text = b"%d by %d" % (number, worker)
        cells.swap([Change(key, version(cells, key), text) for key in PAIR], durable=number % 2 == 0)


def start(path: Path, worker: int, acknowledge: int) -> Child:
    """Start a worker."""
    return fork(lambda: storm(path, worker, acknowledge))


def test_no_acknowledged_change_is_lost_and_no_swap_is_torn(tmp_path: Path):
    """Four processes storm one file and are killed again and again."""
    path = tmp_path / "a.db"
    last = dict.fromkeys(range(WORKERS), 0)
    for _ in range(ROUNDS):
        acknowledged, acknowledge = os.pipe()
        workers = [start(path, worker, acknowledge) for worker in range(WORKERS)]
        os.close(acknowledge)
        with open(acknowledged, "rb") as lines:  # noqa: PTH123 - a descriptor, not a path
            for count, line in enumerate(lines):
                worker, number = map(int, line.split())
                last[worker] = number
                if count == ACKNOWLEDGED:
                    for child in workers:
                        child.kill(signal.SIGKILL)
        for child in workers:
            with pytest.raises(ChildProcessError, match=f"-{int(signal.SIGKILL)}"):
                child.result()
        store = open_store(f"sqlite:///{path}")
        found = {worker: int(content(store.cells, f"own/{worker}") or b"0") for worker in last}
        assert all(found[worker] in {last[worker], last[worker] + 1} for worker in last), (found, last)
        assert 1 == len({content(store.cells, key) for key in PAIR})
        integrity = store._engine.read(lambda connection: connection.execute("PRAGMA integrity_check").fetchall())
        assert [("ok",)] == integrity
        store.close()
    assert ROUNDS * ACKNOWLEDGED < sum(last.values())  # one may starve, for SQLite's lock has no queue


@pytest.mark.parametrize("durable", [True, False], ids=["durable", "lazy"])
@pytest.mark.parametrize(("label", "there"), [("sqlite.swap.before_commit", False), ("sqlite.swap.after_commit", True)])
def test_a_change_is_there_exactly_if_it_was_committed(label: str, there: bool, durable: bool, tmp_path: Path):  # noqa: FBT001
    """Killed just before the commit nothing is there; just after it everything is, lazy or not."""
    path = tmp_path / "a.db"
    store = open_store(f"sqlite:///{path}")
    put(store.cells, "old", b"x")

    def child() -> None:
        changes = [Change("a", ABSENT, b"x"), Change("b", ABSENT, b"x"), Change("old", 1, None)]
        with inject(Fault(label, lambda: os.kill(os.getpid(), signal.SIGKILL))):
            store.cells.swap(changes, durable=durable)

    with pytest.raises(ChildProcessError):
        fork(child).result()
    expected = [b"x", b"x", None] if there else [None, None, b"x"]
    assert expected == [content(store.cells, key) for key in ("a", "b", "old")]
    store.close()


def test_a_lock_of_a_killed_process_is_free_at_once(tmp_path: Path):
    """Killed inside a transaction, it holds up nobody."""
    path = tmp_path / "a.db"
    store = open_store(f"sqlite:///{path}", busy_timeout=5)

    def child() -> None:
        with inject(Fault("sqlite.swap.before_commit", lambda: os.kill(os.getpid(), signal.SIGKILL))):
            put(store.cells, "a", b"child")

    for _ in range(3):
        with pytest.raises(ChildProcessError):
            fork(child).result()
        put(store.cells, "a", b"parent")
    assert b"parent" == value(store.cells, "a")
    store.close()

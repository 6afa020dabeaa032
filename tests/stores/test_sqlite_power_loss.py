"""Power loss: what was durable is on the disk; what was lazy may be lost, but only whole."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from patterns.stores import open_store
from patterns.testing.store_helpers import content

HERE = Path(__file__).parent

PROGRAM = """
import os, sys, threading
from patterns.kernel.storage import Change
from patterns.stores import open_store

store = open_store("sqlite:///" + sys.argv[1])
store.cells.swap([Change("early", 0, b"x")], durable=False)
store.cells.swap([Change("claim", 0, b"x"), Change("approval", 0, b"x")])
threads = [threading.Thread(target=store.cells.swap, args=([Change(f"many/{n}", 0, b"x")],)) for n in range(20)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
store.log("log").append([b"0", b"1"])
store.cells.swap([Change("settled", 0, b"x"), Change("claim", 1, b"y")], durable=False)
os.kill(os.getpid(), 9)
"""


@pytest.fixture(scope="module")
def preload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the library that notes what is synced."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler and Linux")
    library = tmp_path_factory.mktemp("preload") / "power_loss.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, HERE / "power_loss.c", "-ldl"], check=True)
    return library


def test_durable_means_on_the_disk(preload: Path, tmp_path: Path):
    """After a power loss all durable changes are there, and the lazy one is gone as a whole."""
    synced = tmp_path / "synced"
    path = tmp_path / "a.db"
    environment = os.environ | {
        "LD_PRELOAD": str(preload),
        "SYNCED": str(synced),
        "PYTHONPATH": str(HERE.parents[1]),
    }
    subprocess.run([sys.executable, "-c", PROGRAM, path], env=environment, check=False)
    sizes = dict(line.split(" ", 1)[::-1] for line in synced.read_text().splitlines())
    log = Path(f"{path}-wal")
    written, kept = log.stat().st_size, int(sizes[str(log)])
    os.truncate(log, kept)
    store = open_store(f"sqlite:///{path}")
    keys = {cell.key: cell.value for cell in store.cells.scan("")}
    assert {"early", "claim", "approval", *(f"many/{number}" for number in range(20))} == set(keys)
    assert (b"x", None) == (keys["claim"], content(store.cells, "settled"))
    assert [b"0", b"1"] == store.log("log").read(0)
    assert written > kept, "the lazy change was synced as well, so this test has shown nothing"
    store.close()


def test_those_who_write_together_share_a_sync(preload: Path, tmp_path: Path):
    """Twenty durable swaps at the same time need far fewer than twenty syncs."""
    synced = tmp_path / "synced"
    path = tmp_path / "a.db"
    program = PROGRAM.replace("range(20)", "range(200)")
    environment = os.environ | {
        "LD_PRELOAD": str(preload),
        "SYNCED": str(synced),
        "PYTHONPATH": str(HERE.parents[1]),
    }
    subprocess.run([sys.executable, "-c", program, path], env=environment, check=False)
    assert synced.read_text().count("-wal\n") < 200
    store = open_store(f"sqlite:///{path}")
    assert 200 == len(store.cells.scan("many/", limit=300))
    store.close()

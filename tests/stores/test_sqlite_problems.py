"""What can be wrong with a file, and that it is said in words that help and costs nothing."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest

from patterns.errors import StoreUnavailable
from patterns.kernel.storage import ABSENT, Change
from patterns.stores import open_store
from patterns.stores.sqlite.file import APPLICATION_ID, DatabaseFile
from patterns.testing.forked import fork, run_in_processes
from patterns.testing.store_helpers import in_threads, put, value, version

if TYPE_CHECKING:
    from pathlib import Path

    from patterns.kernel.storage import Cells

NOBODY = 65534
PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a store with one record, closed."""
    path = tmp_path / "a.db"
    store = open_store(f"sqlite:///{path}")
    put(store.cells, "a", b"kept")
    store.close()
    return path


def refusal(path: Path, **options) -> StoreUnavailable:
    """Return the error that opening *path* ends with; it names the file in one line."""
    with pytest.raises(StoreUnavailable) as caught:
        open_store(f"sqlite:///{path}", **options)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    assert caught.value.remedy in text
    return caught.value


def fill(cells: Cells) -> None:
    """Write some four megabytes."""
    for number in range(1000):
        put(cells, f"n{number:04}", b"x" * 4000)


def test_a_missing_directory_is_named(tmp_path: Path):
    """And not created: the path may be a slip."""
    assert f"create {tmp_path}/no" == refusal(tmp_path / "no" / "a.db").remedy
    assert not (tmp_path / "no").exists()


def test_a_directory_is_no_file(tmp_path: Path):
    """Said before SQLite is asked."""
    assert "is a directory" == refusal(tmp_path).reason


def test_another_format_is_left_alone(tmp_path: Path):
    """A text file is not a database, and stays what it is."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be taken for one. " * 20)
    before = path.read_bytes()
    assert "is not an SQLite database" in refusal(path).reason
    assert (before, [path]) == (path.read_bytes(), list(tmp_path.iterdir()))


@pytest.mark.parametrize("mark", ["CREATE TABLE t (x)", "PRAGMA application_id = 7", "PRAGMA user_version = 3"])
def test_a_strangers_database_is_left_alone(mark: str, tmp_path: Path):
    """Whatever tells that it is somebody else's; not even its journal mode changes."""
    path = tmp_path / "theirs.db"
    connection = sqlite3.connect(path)
    connection.execute(mark)
    connection.close()
    before = path.read_bytes()
    assert "belongs to another program" == refusal(path).reason
    assert (before, [path]) == (path.read_bytes(), list(tmp_path.iterdir()))


def test_a_newer_schema_asks_for_a_newer_library(path: Path):
    """An older version never writes into what it does not know."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    problem = refusal(path)
    assert ("has schema 2 and this version knows 1", "update the library") == (problem.reason, problem.remedy)


def test_the_file_tells_whose_it_is(path: Path):
    """By the application id in its header, for tools such as file(1)."""
    assert APPLICATION_ID == int.from_bytes(path.read_bytes()[68:72], "big")


def test_a_damaged_file_is_refused(path: Path):
    """On opening, or by the operation that meets the damage."""
    content = bytearray(path.read_bytes())
    content[100:] = b"\xaa" * (len(content) - 100)
    path.write_bytes(content)
    assert "is damaged" in refusal(path).reason


def test_damage_met_while_reading_is_told_and_the_rest_still_serves(tmp_path: Path):
    """A page of values is broken: its record is refused, others are read."""
    path = tmp_path / "a.db"
    store = open_store(f"sqlite:///{path}")
    for number in range(200):
        put(store.cells, f"{number:03}", b"%03d" % number * 300)
    store.close()
    content = path.read_bytes()
    pages = [content[at : at + PAGE] for at in range(0, len(content), PAGE)]
    path.write_bytes(b"".join(b"\xaa" * PAGE if b"150" * 20 in page else page for page in pages))
    store = open_store(f"sqlite:///{path}")
    with pytest.raises(StoreUnavailable, match="is damaged"):
        store.cells.read("150")
    assert b"000" * 300 == value(store.cells, "000")
    store.close()


@pytest.mark.parametrize("modes", [(0o444, 0o755), (0o644, 0o555)], ids=["file", "directory"])
def test_a_read_only_place_is_told_on_opening(modes: tuple[int, int], path: Path):
    """Not only when the first record is to be kept."""

    def child() -> str:
        if os.getuid() == 0:
            os.setuid(NOBODY)  # to the superuser everything is writable
        try:
            open_store(f"sqlite:///{path}")
        except StoreUnavailable as problem:
            return problem.reason
        return "opened"

    for parent in path.parents:
        if parent.owner() == path.owner() and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    path.chmod(modes[0])
    path.parent.chmod(modes[1])
    try:
        reason = fork(child).result()
    finally:
        path.parent.chmod(0o755)
    assert any(words in reason for words in ("is read-only", "cannot be opened")), reason


def test_a_full_disk_refuses_and_loses_nothing(path: Path):
    """What was there is there, what was refused is not, and with space it goes on."""

    def child() -> list:
        store = open_store(f"sqlite:///{path}")
        _soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        with pytest.raises(StoreUnavailable) as caught:
            fill(store.cells)
        kept = len(store.cells.scan("n", limit=1000))
        refused = store.cells.read(f"n{kept:04}")
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        put(store.cells, "again", b"x")
        return [caught.value.reason, kept, refused, value(store.cells, "a").decode()]

    reason, kept, refused, first = fork(child).result()
    assert "cannot be read or written" in reason
    assert (True, None, "kept") == (kept > 10, refused, first)
    store = open_store(f"sqlite:///{path}")
    assert kept == len(store.cells.scan("n", limit=1000))
    assert b"x" == value(store.cells, "again")
    store.close()


def test_one_value_too_large_for_the_file_fails_alone(path: Path, monkeypatch: pytest.MonkeyPatch):
    """Those who share its transaction succeed; the error says that the disk is full."""

    class SmallFile(DatabaseFile):
        def connect(self, *, writing: bool) -> sqlite3.Connection:
            connection = super().connect(writing=writing)
            connection.execute("PRAGMA max_page_count = 60").fetchall()
            return connection

    monkeypatch.setattr("patterns.stores.sqlite.DatabaseFile", SmallFile)
    store = open_store(f"sqlite:///{path}")

    def swap(number: int) -> str:
        size = 1_000_000 if number == 3 else 10
        try:
            store.cells.swap([Change(f"n{number}", ABSENT, b"x" * size)])
        except StoreUnavailable as problem:
            return problem.reason
        return "done"

    outcomes = in_threads(8, swap)
    assert "cannot grow, the disk is full (SQLITE_FULL)" == outcomes.pop(3)
    assert ["done"] * 7 == outcomes
    assert 8 == len(store.cells.scan(""))
    store.close()


def test_a_value_no_database_holds_is_refused(path: Path):
    """The error says so, and the store goes on."""
    store = open_store(f"sqlite:///{path}")
    length = sqlite3.SQLITE_LIMIT_LENGTH
    store._engine._connections.write(lambda cursor: cursor.connection.setlimit(length, 1000))
    with pytest.raises(StoreUnavailable, match="cannot keep a value of that size"):
        put(store.cells, "b", b"x" * 2000)
    put(store.cells, "b", b"x")
    store.close()


@pytest.mark.parametrize("fate", ["replaced", "removed"])
def test_a_file_taken_away_is_noticed(fate: str, path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nothing is recorded where no other process would see it."""
    monkeypatch.setattr("patterns.stores.sqlite.file._CHECK_EVERY", 0.0)
    store = open_store(f"sqlite:///{path}")
    put(store.cells, "a", b"x")
    copy = path.with_name("copy.db")
    shutil.copy(path, copy)
    if fate == "replaced":
        copy.rename(path)
    else:
        path.unlink()
    with pytest.raises(StoreUnavailable, match="was removed or replaced while in use; restart"):
        put(store.cells, "a", b"y")
    assert (fate == "replaced") == path.exists()
    store.close()


def test_patience_with_a_writer_ends(path: Path):
    """A transaction of another program is waited for as long as asked, and no longer; then it works again."""
    store = open_store(f"sqlite:///{path}", busy_timeout=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match=r"was locked by others for 0\.05 s"):
        put(store.cells, "a", b"x")
    assert b"kept" == value(store.cells, "a")
    other.execute("COMMIT")
    other.close()
    put(store.cells, "a", b"x")
    store.close()


def test_patience_with_a_writer_pays(path: Path):
    """If the other ends in time, nobody notices."""
    store = open_store(f"sqlite:///{path}", busy_timeout=10)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.03, other.execute, ["COMMIT"])
    timer.start()
    put(store.cells, "a", b"x")
    timer.join()
    other.close()
    assert b"x" == value(store.cells, "a")
    store.close()


def test_a_locked_file_is_waited_for_when_reading(path: Path):
    """A reader shut out by an exclusive lock waits as well, and tells if it was in vain."""
    store = open_store(f"sqlite:///{path}", busy_timeout=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreUnavailable, match="was locked by others"):
        version(store.cells, "a")
    other.execute("COMMIT")
    other.close()
    assert b"kept" == value(store.cells, "a")
    store.close()


def test_a_first_write_waits_for_an_exclusive_lock(path: Path):
    """Already the settings of a new connection may meet with it."""
    store = open_store(f"sqlite:///{path}", busy_timeout=10)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(0.03, other.close)
    timer.start()
    store.cells.swap([Change("b", ABSENT, b"x")])
    timer.join()
    assert b"x" == value(store.cells, "b")
    store.close()


@pytest.mark.parametrize("attempt", range(6))
def test_eight_processes_may_make_the_file_at_once(attempt: int, tmp_path: Path):
    """Opening a new file is a race that everybody survives."""

    def child(number: int) -> int:
        store = open_store(f"sqlite:///{tmp_path}/new.db")
        put(store.cells, f"{number}", b"x")
        return len(store.cells.scan("")) > 0

    assert [True] * 8 == run_in_processes(8, child)
    store = open_store(f"sqlite:///{tmp_path}/new.db")
    assert 8 == len(store.cells.scan(""))
    store.close()

"""The directory of a log: durability, repair, and everything that must make it refuse."""

from __future__ import annotations

import errno
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from patterns.audit import AuditLogger, FileSink, Phase, SigningKey, verify
from patterns.audit import file_sink as module
from patterns.audit.head import SLOT_SIZE, Head
from patterns.errors import AuditError, LogTampered, Misuse
from patterns.testing import Fault, inject

if TYPE_CHECKING:
    from pathlib import Path

FIRST = "events-00000000000000000000.jsonl"


def entries(directory: Path) -> Path:
    """Return the first file of entries."""
    return directory / FIRST


def boom() -> None:
    """Fail as a disk does."""
    raise OSError(errno.EIO, "injected")


def test_data_reaches_the_disk_before_the_checkpoint(tmp_path: Path, key: SigningKey, monkeypatch: pytest.MonkeyPatch):
    """Entries, sync, head, sync, and only then the wiping of the old head and the word that it is done."""
    story: list[str] = []
    logger = AuditLogger(tmp_path / "log", key=key)
    names = {path.stat().st_ino: path.name for path in (tmp_path / "log").iterdir()}

    def name(descriptor: int) -> str:
        return names.get(os.fstat(descriptor).st_ino, "events")

    write, sync = os.pwrite, module._datasync
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: (story.append(f"write {name(fd)}"), write(fd, data, at))[1])
    monkeypatch.setattr(module, "_datasync", lambda fd: (story.append(f"sync {name(fd)}"), sync(fd))[1])
    logger.log("note", "a")
    told = [step for step in story if step != "write checkpoint"]
    assert ["write events", "write events", "sync events", "write head", "sync head", "write head"] == told


def test_no_older_checkpoint_is_left_on_disk(tmp_path: Path, key: SigningKey):
    """An older signed checkpoint would be a ready-made end for whoever cuts the log."""
    logger = AuditLogger(tmp_path / "log", key=key)
    notes = []
    for number in range(5):
        logger.log("note", str(number))
        notes.append(logger.checkpoint)
    stored = b"".join(path.read_bytes() for path in (tmp_path / "log").rglob("*") if path.is_file())
    assert [False] * 4 + [True] == [note.encode() in stored for note in notes]
    slots = (tmp_path / "log" / "head").read_bytes()
    assert 1 == sum(Head.decode(slots[at : at + SLOT_SIZE]) is not None for at in (0, SLOT_SIZE))


@pytest.mark.parametrize("label", ["audit.written", "audit.synced", "audit.sealing", "audit.sealed"])
def test_a_failure_at_any_point_is_told_and_survived(label: str, tmp_path: Path, key: SigningKey):
    """The caller hears of it, nothing acknowledged is lost, and the log goes on."""
    logger = AuditLogger(tmp_path / "log", key=key)
    logger.log("note", "before")
    with inject(Fault(label, boom)), pytest.raises(AuditError):
        logger.log("note", "failing")
    logger.log("note", "after")
    actions = [entry.record["action"] for entry in logger.entries() if entry.record["phase"] == "note"]
    assert ["before", "after"] == [action for action in actions if action != "failing"]
    assert logger.verify().ok
    assert ("failing" in actions) == (label in {"audit.sealing", "audit.sealed"})


def test_a_disk_that_takes_half_a_line_is_noticed(tmp_path: Path, key: SigningKey, monkeypatch: pytest.MonkeyPatch):
    """A short write without an error, as on a full disk, acknowledges nothing and leaves nothing behind."""
    logger = AuditLogger(tmp_path / "log", key=key)
    logger.log("note", "before")
    size = entries(tmp_path / "log").stat().st_size
    real = os.pwrite

    def full(descriptor: int, data: bytes, offset: int) -> int:
        if offset != size:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data[:46], offset)

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(AuditError, match="No space left") as caught:
            logger.log("note", "lost")
    assert errno.ENOSPC == caught.value.errno
    assert size == entries(tmp_path / "log").stat().st_size
    logger.log("note", "after")
    assert ["before", "after"] == [entry.record["action"] for entry in logger.entries()]


def test_a_really_full_disk_refuses(tmp_path: Path, key: SigningKey):
    """With a limit on the size of files the log refuses, stays whole, and goes on when there is room again."""
    resource = pytest.importorskip("resource")
    import signal

    logger = AuditLogger(tmp_path / "log", key=key)
    logger.log("note", "before")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3 * SLOT_SIZE, before[1]))
        with pytest.raises(AuditError):
            _fill(logger)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    logger.log("note", "after")
    assert logger.verify().ok


def _fill(logger: AuditLogger) -> None:
    for _ in range(1000):
        logger.log("note", "x" * 1000)


@pytest.mark.parametrize("tail", [b'{"torn', b'{"forged":1}\n', b'{"forged":1}\n{"torn'])
def test_what_was_never_acknowledged_is_set_aside_and_told(tail: bytes, tmp_path: Path, key: SigningKey):
    """It is kept in quarantine, named by length and hash in a signed record, and never becomes an entry."""
    AuditLogger(tmp_path / "log", key=key).log("note", "before")
    with entries(tmp_path / "log").open("ab") as file:
        file.write(tail)
    logger = AuditLogger(tmp_path / "log", key=key)
    first, second = [entry.record for entry in logger.entries()]
    assert ("before", Phase.RECOVERED) == (first["action"], second["phase"])
    assert len(tail) == second["facts"]["bytes"]
    assert tail == (tmp_path / "log" / second["facts"]["kept_in"]).read_bytes()
    assert logger.verify().ok


def test_a_tail_that_appears_between_two_commits_is_set_aside(tmp_path: Path, key: SigningKey):
    """Another writer may have died in the middle while this one was idle."""
    logger = AuditLogger(tmp_path / "log", key=key)
    logger.log("note", "before")
    with entries(tmp_path / "log").open("ab") as file:
        file.write(b"of the dead")
    logger.log("note", "after")
    assert ["note", Phase.RECOVERED, "note"] == [entry.record["phase"] for entry in logger.entries()]


def test_a_file_begun_by_a_dead_writer_is_set_aside(tmp_path: Path, key: SigningKey):
    """A crash in the middle of a rotation leaves a file that was never acknowledged."""
    sink = FileSink(tmp_path / "log", rotate_at=10)
    logger = AuditLogger(sink, key=key)
    logger.log("note", "before")
    orphan = tmp_path / "log" / "events-00000000000000000001.jsonl"
    orphan.write_bytes(b'{"forged":1}\n')
    logger.log("note", "after")
    assert ["note", Phase.RECOVERED, "note"] == [entry.record["phase"] for entry in logger.entries()]
    assert logger.verify().ok


def test_a_writer_refuses_what_was_tampered_with(tmp_path: Path, key: SigningKey):
    """It would otherwise vouch for it: a shorter file, a missing head, a missing file of entries."""
    AuditLogger(tmp_path / "log", key=key).log("note", "before")
    good = tmp_path / "good"
    shutil.copytree(tmp_path / "log", good)

    def attacked(name: str) -> Path:
        shutil.copytree(good, tmp_path / name)
        return tmp_path / name

    cut = attacked("cut")
    os.truncate(entries(cut), 10)
    headless = attacked("headless")
    (headless / "head").unlink()
    gone = attacked("gone")
    entries(gone).unlink()
    wiped = attacked("wiped")
    (wiped / "head").write_bytes(bytes(2 * SLOT_SIZE))
    for directory in (cut, headless, gone, wiped):
        with pytest.raises(LogTampered):
            AuditLogger(directory, key=key)


def test_a_writer_notices_that_its_files_were_taken_away(tmp_path: Path, key: SigningKey):
    """Otherwise it would go on writing to files nobody can find."""
    for number, name in enumerate([FIRST, "head"]):
        directory = tmp_path / str(number)
        logger = AuditLogger(directory, key=key)
        logger.log("note", "before")
        (directory / name).rename(directory / "elsewhere")
        with pytest.raises(LogTampered, match="removed"):
            logger.log("note", "after")
        shutil.copy(directory / "elsewhere", directory / name)
        with logger:
            logger.log("note", "found again")


def test_a_running_writer_notices_a_rollback(tmp_path: Path, key: SigningKey):
    """It remembers the newest checkpoint it made or saw."""
    logger = AuditLogger(tmp_path / "log", key=key)
    logger.log("note", "first")
    old = (tmp_path / "log" / "head").read_bytes(), entries(tmp_path / "log").read_bytes()
    logger.log("note", "second")
    (tmp_path / "log" / "head").write_bytes(old[0])
    entries(tmp_path / "log").write_bytes(old[1])
    with pytest.raises(LogTampered, match="rolled back to 1 entries"):
        logger.log("note", "third")


def test_a_signed_log_is_never_continued_unsigned_nor_the_other_way(tmp_path: Path, key: SigningKey):
    """Nobody vouches for what they cannot know, and nobody drops the signature quietly."""
    AuditLogger(tmp_path / "signed", key=key).log("note", "a")
    AuditLogger(tmp_path / "unsigned", origin=key.name).log("note", "a")
    with pytest.raises(AuditError, match="without a key"):
        AuditLogger(tmp_path / "signed", origin=key.name)
    with pytest.raises(AuditError, match="no signature"):
        AuditLogger(tmp_path / "unsigned", key=key)
    with pytest.raises(AuditError, match="another key"):
        AuditLogger(tmp_path / "signed", key=SigningKey.generate(key.name))
    with pytest.raises(AuditError, match=r"not example\.org/else"):
        AuditLogger(tmp_path / "signed", key=key, origin="example.org/else")


def test_keys_change_with_an_overlap(tmp_path: Path, key: SigningKey):
    """Both sign for a while, or the new one trusts the old one; a verifier who knows either is content."""
    new = SigningKey.generate(key.name)
    AuditLogger(tmp_path / "log", key=key).log("note", "old")
    AuditLogger(tmp_path / "log", key=[new, key]).log("note", "both")
    assert verify(tmp_path / "log", vkeys=key.vkey).ok
    assert verify(tmp_path / "log", vkeys=new.vkey).ok
    AuditLogger(tmp_path / "log", key=new, trusted=[key.vkey]).log("note", "new")
    assert verify(tmp_path / "log", vkeys=[key.vkey, new.vkey]).ok
    assert not verify(tmp_path / "log", vkeys=key.vkey).ok


def test_options_are_checked(tmp_path: Path):
    """At construction, with the right line."""
    with pytest.raises(Misuse, match="right: rotate_at=100_000_000"):
        FileSink(tmp_path, rotate_at=0)
    (tmp_path / "file").touch()
    with pytest.raises(AuditError, match="cannot be made"):
        FileSink(tmp_path / "file")

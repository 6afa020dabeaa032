"""A witness keeps one checkpoint, and only ever replaces it by one that goes on from it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from patterns.audit import AuditLogger, Checkpoint, SigningKey, verify
from patterns.audit.witness import remember
from patterns.errors import AuditError, LogTampered
from patterns.testing.forked import run_in_processes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Return where the witness keeps the checkpoint."""
    (tmp_path / "witness").mkdir()
    return tmp_path / "witness" / "kept"


def test_a_log_that_goes_on_is_followed(audit: AuditLogger, tmp_path: Path, kept: Path):
    """From every size to every later one, and without a change, too."""
    for number in range(9):
        assert number == remember(tmp_path / "audit", kept, vkeys=audit.vkeys).size
        assert audit.checkpoint == kept.read_text()
        audit.log("note", str(number))
    assert 9 == remember(tmp_path / "audit", kept, vkeys=audit.vkeys).size
    assert 9 == remember(tmp_path / "audit", kept, vkeys=audit.vkeys).size
    assert verify(tmp_path / "audit", vkeys=audit.vkeys, against=kept).ok


def test_a_rollback_is_refused_and_the_evidence_kept(audit: AuditLogger, tmp_path: Path, kept: Path):
    """An old copy, an empty log, and no log at all."""
    for number in range(5):
        audit.log("note", str(number))
    shutil.copytree(tmp_path / "audit", tmp_path / "old")
    audit.log("note", "later")
    remember(tmp_path / "audit", kept, vkeys=audit.vkeys)
    newest = audit.checkpoint
    with pytest.raises(LogTampered, match="rolled back"):
        remember(tmp_path / "old", kept, vkeys=audit.vkeys)
    (tmp_path / "empty").mkdir()
    with pytest.raises(LogTampered, match="no checkpoint any more"):
        remember(tmp_path / "empty", kept, vkeys=audit.vkeys)
    assert newest == kept.read_text()


def test_a_second_history_is_refused(audit: AuditLogger, tmp_path: Path, kept: Path, key: SigningKey):
    """The key holder signs another log of the same name, as long or longer."""
    audit.log("note", "first")
    remember(tmp_path / "audit", kept, vkeys=audit.vkeys)
    for size in (1, 5):
        other = AuditLogger(tmp_path / str(size), key=key)
        for number in range(size):
            other.log("note", f"other {number}")
        with pytest.raises(LogTampered, match="second history"):
            remember(tmp_path / str(size), kept, vkeys=audit.vkeys)


def test_damaged_hashes_are_no_tampering(audit: AuditLogger, tmp_path: Path, kept: Path):
    """Then the entries are read, which takes longer and tells the same."""
    for number in range(5):
        audit.log("note", str(number))
    remember(tmp_path / "audit", kept, vkeys=audit.vkeys)
    audit.log("note", "later")
    (tmp_path / "audit" / "tree" / "0").write_bytes(b"")
    assert 6 == remember(tmp_path / "audit", kept, vkeys=audit.vkeys).size


def test_only_signed_checkpoints_of_known_keys_are_kept(
    audit: AuditLogger, tmp_path: Path, kept: Path, key: SigningKey
):
    """Neither an unsigned log nor a stranger's, nor nothing."""
    AuditLogger(tmp_path / "unsigned", origin=key.name).log("note", "a")
    stranger = SigningKey.generate(key.name)
    for log, vkey in [("unsigned", key.vkey), ("audit", stranger.vkey)]:
        with pytest.raises(AuditError, match="not signed by a key"):
            remember(tmp_path / log, kept, vkeys=[vkey])
    with pytest.raises(AuditError, match="no checkpoint"):
        remember(tmp_path / "nothing", kept, vkeys=audit.vkeys)
    assert not kept.exists()
    with pytest.raises(AuditError, match="cannot be kept"):
        remember(tmp_path / "audit", tmp_path / "nowhere" / "kept", vkeys=audit.vkeys)


def test_witnesses_at_once_never_go_back(tmp_path: Path, kept: Path, key: SigningKey):
    """Reading, comparing and replacing is one step."""
    AuditLogger(tmp_path / "audit", key=key)

    def work(number: int) -> list[int]:
        audit = AuditLogger(tmp_path / "audit", key=key)
        sizes = []
        for _ in range(10):
            audit.log("note", str(number))
            sizes.append(remember(tmp_path / "audit", kept, vkeys=[key.vkey]).size)
        return sizes

    for sizes in run_in_processes(4, work):
        assert sorted(sizes) == sizes
    assert Checkpoint.read(kept.read_text()).size <= 40
    assert [kept] == list(kept.parent.iterdir())

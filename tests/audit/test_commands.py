"""What the command line calls: data in, data out."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from patterns.audit import AuditLogger, FileSink, SigningKey, Verdict, commands, verify
from patterns.errors import AuditError, LogTampered, Misuse

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a rotated log of ten notes, made with the key file ``key``."""
    with AuditLogger(FileSink(tmp_path / "log", rotate_at=500), key=tmp_path / "key", origin="example.org/a") as audit:
        for number in range(10):
            audit.log("note", f"tool{number % 2}", number=number)
    return tmp_path / "log"


def test_verify(log: Path, tmp_path: Path):
    """Keys and remembered checkpoints come as files, the result goes out as JSON with the exit code as verdict."""
    (tmp_path / "kept").write_text(commands.show_checkpoint(log))
    result = commands.verify_log(log, vkeys=[str(tmp_path / "key.pub")], against=[tmp_path / "kept"])
    assert (0, [10]) == (int(result.verdict), json.loads(json.dumps(result.as_dict()))["against"])
    assert int(commands.verify_log(log).verdict) == Verdict.CANNOT_SAY == 3
    (log / "events-00000000000000000000.jsonl").write_bytes(b"")
    assert int(commands.verify_log(log, vkeys=[str(tmp_path / "key.pub")]).verdict) == Verdict.TAMPERED == 1
    with pytest.raises(Misuse):
        commands.verify_log(log, vkeys=["nonsense"])
    with pytest.raises(AuditError):
        commands.verify_log(log, against=[tmp_path / "missing"])


def test_show(log: Path):
    """Entries from an index on, and those of one action."""
    assert list(range(4, 10)) == [entry.index for entry in commands.show_entries(log, start=4)]
    assert [1, 3, 5, 7, 9] == [entry.index for entry in commands.show_entries(log, where={"action": "tool1"})]
    assert [] == list(commands.show_entries(log, where={"facts": {"number": 11}}))
    assert () == commands.show_unsettled(log)


def test_prove_and_check(log: Path, tmp_path: Path):
    """The proof is a text that stands alone."""
    entry, proof = commands.prove_entry(log, 7)
    commands.check_proof(str(proof), entry.line, vkeys=[str(tmp_path / "key.pub")])
    with pytest.raises(LogTampered):
        commands.check_proof(str(proof), entry.line + b" ", vkeys=[str(tmp_path / "key.pub")])
    with pytest.raises(IndexError):
        commands.prove_entry(log, 10)


def test_no_log(tmp_path: Path):
    """An error, not a traceback; no log is no tampering."""
    with pytest.raises(AuditError):
        commands.show_checkpoint(tmp_path)
    for command in (commands.show_checkpoint, commands.show_entries, commands.show_unsettled):
        with pytest.raises(AuditError, match="there is no log in"):
            command(tmp_path / "nothing")
    assert Verdict.CANNOT_SAY is commands.verify_log(tmp_path / "nothing").verdict


def test_repair_puts_back_what_is_derived(log: Path, tmp_path: Path, key: SigningKey):
    """Stored hashes and head are written anew from entries that verify; then writing and proving go on."""
    vkeys = [str(tmp_path / "key.pub")]
    shutil.rmtree(log / "tree")
    (log / "head").unlink()
    assert 2 == len(commands.repair_log(log, vkeys=vkeys))
    entry, proof = commands.prove_entry(log, 3)
    commands.check_proof(str(proof), entry.line, vkeys=vkeys)
    with AuditLogger(FileSink(log, rotate_at=500), key=tmp_path / "key") as audit:
        assert 10 == audit.log("note", "after").index
        assert audit.verify().ok
    assert 1 == len(commands.repair_log(log, vkeys=vkeys))
    assert verify(log, vkeys=(tmp_path / "key.pub").read_text()).ok


def test_repair_never_vouches_for_what_does_not_verify(log: Path, tmp_path: Path):
    """Neither tampered entries nor an unknown key; nothing is changed."""
    with pytest.raises(AuditError, match="no verifying key is known"):
        commands.repair_log(log)
    first = log / "events-00000000000000000000.jsonl"
    first.write_bytes(first.read_bytes().replace(b"tool0", b"tool9", 1))
    shutil.rmtree(log / "tree")
    with pytest.raises(LogTampered):
        commands.repair_log(log, vkeys=[str(tmp_path / "key.pub")])
    assert not (log / "tree").exists()

"""Many threads, processes and crashes on one log: everything acknowledged is there, once, and verifies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from patterns.audit import AuditLogger, FileSink, Phase, SigningKey, verify
from patterns.errors import AuditError
from patterns.testing.forked import fork, run_in_processes

ROOT = Path(__file__).parent.parent.parent
LABELS = ["audit.written", "audit.synced", "audit.sealing", "audit.sealed"]

WRITER = """
import os, sys
from patterns.audit import AuditLogger, FileSink
from patterns.testing import arm_from_environment
arm_from_environment()
audit = AuditLogger(FileSink(sys.argv[1], rotate_at=4000), key=sys.argv[2])
number = 0
while True:
    receipt = audit.log("note", f"{sys.argv[3]}-{number}", pad="x" * 300)
    os.write(1, f"{sys.argv[3]}-{number} {receipt.index}\\n".encode())
    number += 1
"""


def actions(audit: AuditLogger) -> list[str]:
    """Return the actions of all notes."""
    return [entry.record["action"] for entry in audit.entries() if entry.record["phase"] == "note"]


def test_eight_processes_append(tmp_path: Path, key: SigningKey):
    """Every line of every process is there once, at the index its writer was told, under one signed tree."""

    def work(process: int) -> dict[str, int]:
        audit = AuditLogger(FileSink(tmp_path / "log", rotate_at=5000), key=key)
        return {f"{process}-{number}": audit.log("note", f"{process}-{number}").index for number in range(15)}

    told = {action: index for one in run_in_processes(8, work) for action, index in one.items()}
    audit = AuditLogger(tmp_path / "log", key=key)
    assert told == {entry.record["action"]: entry.index for entry in audit.entries()}
    assert 120 == len(told)
    assert audit.verify().ok


def test_two_hundred_threads_append(tmp_path: Path, key: SigningKey):
    """Also through two loggers of one process on one directory."""
    loggers = [AuditLogger(tmp_path / "log", key=key) for _ in range(2)]
    told: dict[str, int] = {}

    def work(thread: int) -> None:
        for number in range(3):
            told[f"{thread}-{number}"] = loggers[thread % 2].log("note", f"{thread}-{number}").index

    threads = [threading.Thread(target=work, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert 600 == len(told)
    assert told == {entry.record["action"]: entry.index for entry in loggers[0].entries()}
    assert loggers[0].verify().ok


def test_a_forked_child_writes_to_its_parents_log(tmp_path: Path, key: SigningKey):
    """The child opens the files anew: a lock on inherited ones would be the parent's."""
    audit = AuditLogger(tmp_path / "log", key=key)
    audit.log("note", "parent before")
    child = fork(lambda: [audit.log("note", f"child {number}").index for number in range(20)])
    parent = [audit.log("note", f"parent {number}").index for number in range(20)]
    indexes = sorted(parent + child.result())
    assert list(range(1, 41)) == indexes
    assert audit.verify().ok


def test_a_child_that_dies_with_the_lock_frees_it(tmp_path: Path, key: SigningKey):
    """The lock belongs to the process and goes with it."""
    audit = AuditLogger(tmp_path / "log", key=key)

    def die() -> None:
        sink = FileSink(tmp_path / "log")
        with sink.exclusive():
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(ChildProcessError, match="-9"):
        fork(die).result()
    assert 0 == audit.log("note", "after").index


def start(tmp_path: Path, name: str, fault: str | None = None) -> subprocess.Popen[bytes]:
    """Start a process that writes until it is killed and tells what was acknowledged."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | ({"PATTERNS_FAULT": fault} if fault else {})
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "log"), str(tmp_path / "key"), name],
        env=environment,
        stdout=subprocess.PIPE,
    )


def acknowledged(output: bytes) -> dict[str, int]:
    """Return the complete lines of a writer's output: it may be killed in the middle of one."""
    lines = output.decode().rpartition("\n")[0].splitlines()
    return {action: int(index) for action, index in (line.split() for line in lines)}


@pytest.mark.parametrize("label", LABELS)
def test_killed_at_every_point_of_a_commit(label: str, tmp_path: Path, key: SigningKey):
    """SIGKILL between any two steps loses nothing acknowledged, and the next writer repairs by itself."""
    key.save(tmp_path / "key")
    process = start(tmp_path, "a", f"{label}:13:kill")
    told = acknowledged(process.communicate(timeout=30)[0])
    assert -signal.SIGKILL == process.returncode
    assert len(told) in {11, 12}  # opening a new log seals it, too
    assert verify(tmp_path / "log", vkeys=key.vkey).ok
    audit = AuditLogger(tmp_path / "log", key=key)
    found = {entry.record["action"]: entry.index for entry in audit.entries()}
    assert told == {action: index for action, index in found.items() if action in told}
    assert audit.log("note", "after").index == len(found)
    assert audit.verify().ok


def test_a_storm_of_kills(tmp_path: Path, key: SigningKey):
    """Three writers are killed at arbitrary moments again and again; every acknowledged line is there and verifies."""
    key.save(tmp_path / "key")
    told: dict[str, int] = {}
    remembered: list[str] = []
    for round_ in range(3):
        processes = [start(tmp_path, f"{round_}.{number}") for number in range(3)]
        for process, lines in zip(processes, (5, 11, 17), strict=True):
            begun = b"".join(process.stdout.readline() for _ in range(lines))
            process.kill()
            told |= acknowledged(begun + process.communicate(timeout=30)[0])
        result = verify(tmp_path / "log", vkeys=key.vkey, against=remembered)
        assert result.ok, str(result)
        remembered.append((tmp_path / "log" / "checkpoint").read_text())
    audit = AuditLogger(tmp_path / "log", key=key)
    found = {entry.record["action"]: entry.index for entry in audit.entries() if entry.record["phase"] == "note"}
    assert told == {action: found.get(action) for action in told}
    assert {1} == set(Counter(actions(audit)).values())
    assert audit.verify(against=remembered).ok


def test_whoever_reads_while_others_write_sees_a_whole_log(tmp_path: Path, key: SigningKey):
    """A verification at any moment finds a log that verifies, and never fewer entries than before."""
    key.save(tmp_path / "key")
    writers = [start(tmp_path, str(number)) for number in range(2)]
    try:
        for writer in writers:
            writer.stdout.readline()
        sizes = []
        for _ in range(30):
            result = verify(tmp_path / "log", vkeys=key.vkey)
            assert result.ok, str(result)
            sizes.append(result.size)
        assert sorted(sizes) == sizes
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate(timeout=30)


def test_a_log_that_cannot_be_locked_is_not_written(tmp_path: Path, key: SigningKey, monkeypatch: pytest.MonkeyPatch):
    """A file system without locks would let processes fork the log."""
    import fcntl

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(AuditError, match="not supported"):
        AuditLogger(tmp_path / "log", key=key)


def test_recovery_is_recorded_once(tmp_path: Path, key: SigningKey):
    """What a crash left behind is told by the first writer afterwards, and by no other."""
    AuditLogger(tmp_path / "log", key=key).log("note", "before")
    with (tmp_path / "log" / "events-00000000000000000000.jsonl").open("ab") as file:
        file.write(b"left behind")
    counts = run_in_processes(4, lambda number: AuditLogger(tmp_path / "log", key=key).log("note", str(number)).index)
    phases = [json.loads(line)["phase"] for line in _lines(tmp_path)]
    assert 1 == phases.count(Phase.RECOVERED)
    assert 4 == len(set(counts))


def _lines(tmp_path: Path) -> list[bytes]:
    return (tmp_path / "log" / "events-00000000000000000000.jsonl").read_bytes().splitlines()

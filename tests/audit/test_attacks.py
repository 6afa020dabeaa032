"""Attacks on the files of a log, without the key, with it, and with old copies: what is noticed, and where."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patterns.audit import AuditLogger, FileSink, SigningKey, Verdict, verify
from patterns.audit.checkpoint import Checkpoint
from patterns.audit.merkle import Tree, leaf_hash
from patterns.audit.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COUNT = 600  # more than two tiles, and no power of two
FIRST = "events-00000000000000000000.jsonl"
Lines = list[bytes]


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory, key: SigningKey) -> Path:
    """Return a log with a checkpoint remembered at 500 entries, and an old copy of it."""
    root = tmp_path_factory.mktemp("victim")
    writer = Writer(FileSink(root / "log"), origin=key.name, signers=[key], describe=lambda _: b"")
    writer.commit([b'{"n":%d,"amount":20}' % number for number in range(500)])
    shutil.copytree(root / "log", root / "old")
    shutil.copy(root / "log" / "checkpoint", root / "remembered")
    writer.commit([b'{"n":%d,"amount":20}' % number for number in range(500, COUNT - 1)])
    writer.commit([b'{"n":%d,"amount":20}' % (COUNT - 1)])
    return root


@pytest.fixture
def log(victim: Path, tmp_path: Path) -> Path:
    """Return a copy of the victim to attack."""
    return shutil.copytree(victim / "log", tmp_path / "log")


def lines_of(log: Path) -> Lines:
    """Return the lines of the file of entries."""
    return (log / FIRST).read_bytes().split(b"\n")[:-1]


def put(log: Path, lines: Lines, tail: bytes = b"") -> None:
    """Write them back."""
    (log / FIRST).write_bytes(b"".join(line + b"\n" for line in lines) + tail)


def changed(at: int, line: bytes) -> Callable[[Lines], Lines]:
    """Return an edit that puts *line* in place of another."""
    return lambda lines: [*lines[:at], line, *lines[at + 1 :]]


EDITS: dict[str, tuple[Callable[[Lines], Lines], str, int]] = {
    "a field": (changed(300, b'{"n":300,"amount":2}'), "rewritten", 300),
    "the first entry": (changed(0, b"{}"), "rewritten", 0),
    "the last entry": (changed(COUNT - 1, b"{}"), "rewritten", COUNT - 1),
    "whitespace": (changed(300, b'{"n": 300,"amount":20}'), "rewritten", 300),
    "a duplicate key": (changed(300, b'{"n":300,"amount":1,"amount":20}'), "rewritten", 300),
    "number spelling": (changed(300, b'{"n":300,"amount":2e1}'), "rewritten", 300),
    "deleted in the middle": (lambda lines: lines[:300] + lines[301:], "missing", 300),
    "deleted first": (lambda lines: lines[1:], "missing", 0),
    "inserted": (lambda lines: [*lines[:300], b"{}", *lines[300:]], "inserted", 300),
    "replayed": (lambda lines: [*lines[:300], lines[10], *lines[300:]], "inserted", 300),
    "swapped": (lambda lines: [*lines[:300], lines[301], lines[300], *lines[302:]], "swapped", 300),
    "cut tail": (lambda lines: lines[:400], "truncated", 400),
    "cut last": (lambda lines: lines[:-1], "truncated", COUNT - 1),
    "emptied": (lambda lines: [], "truncated", 0),
    "all rewritten": (lambda lines: [b'{"fake":%d}' % number for number in range(COUNT)], "rewritten", 0),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_without_the_key_is_found(name: str, log: Path, key: SigningKey):
    """The first bad entry is named, with its kind, its file and the byte where it begins."""
    edit, kind, index = EDITS[name]
    before = lines_of(log)
    put(log, edit(before))
    result = verify(log, vkeys=key.vkey)
    (problem,) = result.problems
    assert (Verdict.TAMPERED, kind, index) == (result.verdict, problem.kind, problem.index)
    assert (FIRST, sum(len(line) + 1 for line in before[:index])) == (problem.file, problem.offset)


@pytest.mark.parametrize("name", EDITS)
def test_it_is_found_without_the_stored_hashes_too(name: str, log: Path, key: SigningKey):
    """Then the place is only known within a complete subtree."""
    shutil.rmtree(log / "tree")
    edit, _, index = EDITS[name]
    put(log, edit(lines_of(log)))
    result = verify(log, vkeys=key.vkey)
    (problem,) = result.problems
    assert Verdict.TAMPERED is result.verdict
    assert problem.index <= index


def test_stored_hashes_that_were_changed_along_mislead_nobody(log: Path, key: SigningKey):
    """Hashes that do not lead to the signed root are not believed."""
    put(log, changed(300, b"{}")(lines_of(log)))
    with (log / "tree" / "0").open("r+b") as file:
        file.seek(300 * 32)
        file.write(leaf_hash(b"{}"))
    (problem,) = verify(log, vkeys=key.vkey).problems
    assert ("rewritten", 256) == (problem.kind, problem.index)
    assert "from 256 to 511" in problem.text


def test_an_extra_copy_of_the_last_record_is_no_record(log: Path, key: SigningKey):
    """What stands behind the checkpoint was never acknowledged; it is told, and never read as an entry."""
    lines = lines_of(log)
    put(log, [*lines, lines[-1]])
    result = verify(log, vkeys=key.vkey)
    assert (Verdict.OK, 1, COUNT) == (result.verdict, result.unacknowledged, result.size)
    logger = AuditLogger(log, key=key)
    assert COUNT + 1 == len(list(logger.entries()))
    assert "log_recovered" == list(logger.entries())[-1].record["phase"]


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_torn_signed_line_is_a_cut(cut: int, log: Path, key: SigningKey):
    """Its loss is no crash: what is acknowledged is on disk."""
    os.truncate(log / FIRST, (log / FIRST).stat().st_size - cut)
    (problem,) = verify(log, vkeys=key.vkey).problems
    assert ("truncated", COUNT - 1) == (problem.kind, problem.index)


def test_a_torn_line_behind_the_checkpoint_is_a_crash(log: Path, key: SigningKey):
    """All acknowledged entries verify; the torn bytes are told."""
    put(log, lines_of(log), b'{"n":6')
    result = verify(log, vkeys=key.vkey)
    assert (Verdict.OK, 6, 0) == (result.verdict, result.torn, result.unacknowledged)


def test_a_rewrite_with_a_new_root_but_no_key_is_found(log: Path, key: SigningKey):
    """The attacker computes everything anew and keeps the old signature, makes one up, or drops it."""
    lines = [b'{"fake":%d}' % number for number in range(COUNT)]
    tree = Tree().extended([leaf_hash(line) for line in lines])
    note = (log / "checkpoint").read_text()
    text = Checkpoint.of(tree, key.name).text
    stolen = text + "\n" + note.partition("\n\n")[2]
    own = SigningKey.generate(key.name)
    for name, forged in {"stolen signature": stolen, "no signature": text}.items():
        _forge(log, lines, tree, forged)
        assert Verdict.TAMPERED is verify(log, vkeys=key.vkey).verdict, name
    shutil.rmtree(log)
    Writer(FileSink(log), origin=key.name, signers=[own], describe=lambda _: b"").commit(lines)
    result = verify(log, vkeys=key.vkey)
    assert (Verdict.CANNOT_SAY, ["unknown_key"]) == (result.verdict, [one.kind for one in result.problems])


def _forge(log: Path, lines: Lines, tree: Tree, note: str) -> None:
    from patterns.audit.head import SLOT_SIZE, Head

    put(log, lines)
    size = sum(len(line) + 1 for line in lines)
    (log / "head").write_bytes(Head(tree, note, 0, size).encode() + bytes(SLOT_SIZE))
    (log / "checkpoint").write_text(note)


def test_a_rollback_is_found_by_whoever_remembers(victim: Path, tmp_path: Path, key: SigningKey):
    """An old copy with its own checkpoint looks right, but not to somebody who keeps a newer checkpoint."""
    newest = (victim / "log" / "checkpoint").read_text()
    assert verify(victim / "old", vkeys=key.vkey).ok
    (problem,) = verify(victim / "old", vkeys=key.vkey, against=newest).problems
    assert ("rolled_back", 500) == (problem.kind, problem.index)
    gone = tmp_path / "gone"
    gone.mkdir()
    assert Verdict.CANNOT_SAY is verify(gone, vkeys=key.vkey).verdict
    assert Verdict.TAMPERED is verify(gone, vkeys=key.vkey, against=newest).verdict
    assert Verdict.TAMPERED is verify(tmp_path / "never there", vkeys=key.vkey, against=newest).verdict


def test_a_second_history_with_the_key_is_found_by_whoever_remembers(victim: Path, tmp_path: Path, key: SigningKey):
    """The key holder can rewrite and sign, but not make an older checkpoint of the first history fit."""
    forked = tmp_path / "forked"
    writer = Writer(FileSink(forked), origin=key.name, signers=[key], describe=lambda _: b"")
    writer.commit([b'{"fake":%d}' % number for number in range(COUNT)])
    assert verify(forked, vkeys=key.vkey).ok
    result = verify(forked, vkeys=key.vkey, against=victim / "remembered")
    assert ["forked"] == [one.kind for one in result.problems]
    assert Verdict.TAMPERED is result.verdict
    fresh = tmp_path / "fresh"
    AuditLogger(fresh, key=key)
    assert ["rolled_back"] == [
        one.kind for one in verify(fresh, vkeys=key.vkey, against=victim / "remembered").problems
    ]


def test_the_true_log_goes_on_from_what_is_remembered(victim: Path, key: SigningKey):
    """And says from which sizes."""
    newest = (victim / "log" / "checkpoint").read_text()
    result = verify(victim / "log", vkeys=key.vkey, against=[victim / "remembered", newest])
    assert result.ok
    assert (500, COUNT) == result.against


def test_another_log_of_the_same_owner_is_not_this_one(log: Path, tmp_path: Path):
    """Every log has its own name, and a verifier says which one is meant."""
    other = SigningKey("example.org/other", bytes(range(32)))
    AuditLogger(tmp_path / "other", key=other)
    assert ["origin"] == [
        one.kind for one in verify(tmp_path / "other", vkeys=other.vkey, origin="example.org/audit").problems
    ]
    shared = SigningKey("example.org/keys", bytes(32))
    AuditLogger(tmp_path / "b", key=shared, origin="example.org/b")
    assert verify(tmp_path / "b", vkeys=shared.vkey, origin="example.org/b").ok
    assert Verdict.TAMPERED is verify(tmp_path / "b", vkeys=shared.vkey).verdict


def test_removed_checkpoints(log: Path, key: SigningKey):
    """Without the head the published checkpoint serves; without both there is nothing to trust."""
    (log / "head").unlink()
    assert verify(log, vkeys=key.vkey).ok
    (log / "checkpoint").unlink()
    result = verify(log, vkeys=key.vkey)
    assert (Verdict.TAMPERED, ["checkpoint"]) == (result.verdict, [one.kind for one in result.problems])


def test_a_head_that_names_another_end_is_found(log: Path, key: SigningKey):
    """The one thing in it that is not signed is compared with the entries."""
    from attrs import evolve

    from patterns.audit.files import LogFiles
    from patterns.audit.head import SLOT_SIZE

    head = LogFiles(log).head()
    (log / "head").write_bytes(evolve(head, offset=head.offset - 3).encode() + bytes(SLOT_SIZE))
    assert ["head"] == [one.kind for one in verify(log, vkeys=key.vkey).problems]


def test_a_missing_file_of_entries_is_named(tmp_path: Path, key: SigningKey):
    """After rotation, too, the tree spans all files."""
    logger = AuditLogger(FileSink(tmp_path / "log", rotate_at=500), key=key)
    for number in range(20):
        logger.log("note", str(number), pad="x" * 100)
    files = sorted((tmp_path / "log").glob("events-*"))
    files[1].unlink()
    (problem,) = verify(tmp_path / "log", vkeys=key.vkey).problems
    first = int(files[1].name[7:27])
    assert ("missing", first) == (problem.kind, problem.index)
    assert "file of the entries" in problem.text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_the_signed_bytes_is_found(data: st.DataObject, victim: Path, tmp_path: Path, key: SigningKey):
    """Flipping, removing or inserting bytes anywhere in the signed part is tampering, not a pass, not a crash."""
    whole = (victim / "log" / FIRST).read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    kind = data.draw(st.sampled_from(["flip", "remove", "insert"]))
    if kind == "flip":
        mangled = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    elif kind == "remove":
        mangled = whole[:at] + whole[at + data.draw(st.integers(1, 50)) :]
    else:
        mangled = whole[:at] + data.draw(st.binary(min_size=1, max_size=50)) + whole[at:]
    log = shutil.copytree(victim / "log", tmp_path / "log", dirs_exist_ok=True)
    (log / FIRST).write_bytes(mangled)
    result = verify(log, vkeys=key.vkey)
    assert Verdict.TAMPERED is result.verdict, (kind, at)
    assert result.problems[0].index <= whole[: at + 50].count(b"\n")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(data=st.data())
def test_any_change_of_the_head_or_checkpoint_is_survived(
    data: st.DataObject, victim: Path, tmp_path: Path, key: SigningKey
):
    """A mangled head falls back to the published checkpoint or is tampering; it never makes a wrong log pass."""
    log = shutil.copytree(victim / "log", tmp_path / "log", dirs_exist_ok=True)
    name = data.draw(st.sampled_from(["head", "checkpoint"]))
    whole = (log / name).read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    (log / name).write_bytes(whole[:at] + data.draw(st.binary(min_size=1, max_size=9)) + whole[at + 1 :])
    result = verify(log, vkeys=key.vkey)
    assert COUNT == result.size if result.ok else result.problems
    put(log, lines_of(log)[:-1])
    assert not verify(log, vkeys=key.vkey).ok


def test_what_an_unsigned_log_can_and_cannot_show(tmp_path: Path):
    """It is marked; an accident is found, a rewrite is not, and a remembered checkpoint helps here, too."""
    logger = AuditLogger(tmp_path / "log")
    assert "UNSIGNED" in repr(logger)
    for number in range(5):
        logger.log("note", str(number))
    remembered = logger.checkpoint
    assert Verdict.CANNOT_SAY is verify(tmp_path / "log").verdict
    assert "rewriting cannot be detected" in str(verify(tmp_path / "log"))
    accepted = verify(tmp_path / "log", unsigned=True)
    assert (True, ("unsigned: rewriting cannot be detected",)) == (accepted.ok, accepted.warnings)
    put(tmp_path / "log", changed(2, b"{}")(lines_of(tmp_path / "log")))
    assert Verdict.TAMPERED is verify(tmp_path / "log", unsigned=True).verdict
    shutil.rmtree(tmp_path / "log")
    AuditLogger(tmp_path / "log").log("note", "another history")
    assert verify(tmp_path / "log", unsigned=True).ok
    assert Verdict.TAMPERED is verify(tmp_path / "log", unsigned=True, against=remembered).verdict
    assert Verdict.TAMPERED is logger.verify().verdict

"""The logger as users hold it: helpers, causes, reading, verifying, proving."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import patterns
from patterns.audit import AuditLogger, Checkpoint, MemorySink, Phase, Proof, SigningKey, Verdict
from patterns.audit.merkle import check_consistency
from patterns.audit.proof import consistency
from patterns.errors import AuditError, LogTampered, Misuse

if TYPE_CHECKING:
    from pathlib import Path

    from patterns.testing import ManualClock


def records(logger: AuditLogger) -> list[dict]:
    """Return all records."""
    return [entry.record for entry in logger.entries()]


def test_the_helpers_tell_one_story_by_causes():
    """Proposed, blocked, violated, executed: each names what it follows from."""
    logger = AuditLogger("memory", agent="support-bot")
    wanted = logger.log_action_proposed("refund", {"order": "A1", "amount": 20}, reason="damaged")
    blocked = logger.log_action_blocked("refund", "over the limit", cause=wanted)
    logger.log_policy_violation("refund", "refunds-below-100", cause=[wanted, blocked], limit=100)
    logger.log_action_executed("refund", cause=wanted.id, result={"id": 1})
    first, second, third, fourth = records(logger)
    assert [0, 1] == [wanted.index, blocked.index]
    assert ["proposed", "blocked", "policy_violation", "executed"] == [one["phase"] for one in records(logger)]
    assert [wanted.id] == second["cause"] == fourth["cause"]
    assert [wanted.id, blocked.id] == third["cause"]
    assert ("damaged", "over the limit", "refunds-below-100") == (first["reason"], second["reason"], third["reason"])
    assert {"limit": 100} == third["facts"]
    assert {"support-bot"} == {one["agent"] for one in records(logger)}
    assert "A1" not in str(records(logger))


def test_a_record_tells_for_whom(manual_clock: ManualClock):
    """Run, tenant, agent and user come from the context; the run's agent goes before the logger's."""
    logger = AuditLogger("memory", agent="default", clock=manual_clock)
    with patterns.run("outer", tenant="acme", user="u-17"), patterns.run("inner", agent="bot"):
        logger.log("note", "a")
    (record,) = records(logger)
    assert ("inner", ["outer"], "acme", "bot", "u-17") == tuple(
        record[name] for name in ("run", "within", "tenant", "agent", "user")
    )
    assert "2023-11-14T22:13:20.000000Z" == record["time"]


def test_tasks_log_without_blocking(audit: AuditLogger):
    """Many tasks share commits; the plugin fails this test if the event loop is blocked."""

    async def main() -> list[int]:
        receipts = await asyncio.gather(*[audit.alog("note", str(number), reason="r") for number in range(40)])
        return [receipt.index for receipt in receipts]

    assert list(range(40)) == sorted(asyncio.run(main()))
    assert audit.verify().ok


def test_unhurried_records_are_not_acknowledged_until_flushed(tmp_path: Path, key: SigningKey):
    """They have no index; a flush, the next record or closing commits them in order."""
    logger = AuditLogger(tmp_path / "log", key=key)
    receipt = logger.log("note", "a", wait=False)
    assert (-1, 1, []) == (receipt.index, logger.unwritten, records(logger))
    logger.flush()
    assert 0 == logger.unwritten
    logger.log("note", "b", wait=False)
    assert 2 == logger.log("note", "c").index
    logger.log("note", "d", wait=False)
    logger.close()
    assert ["a", "b", "c", "d"] == [one["action"] for one in records(logger)]


def test_entries_can_be_read_from_anywhere(audit: AuditLogger):
    """Index and bytes are those of the file."""
    for number in range(10):
        audit.log("note", str(number))
    assert [(7, "7"), (8, "8"), (9, "9")] == [(entry.index, entry.record["action"]) for entry in audit.entries(7)]
    assert [] == list(audit.entries(10))


def test_a_log_goes_on_after_a_restart(tmp_path: Path, key: SigningKey):
    """A second logger continues the same tree."""
    with AuditLogger(tmp_path / "log", key=key) as logger:
        logger.log("note", "first")
        remembered = logger.checkpoint
    with AuditLogger(tmp_path / "log", key=key) as logger:
        assert 1 == logger.log("note", "second").index
        assert (2, 1) == logger.verify(against=remembered).against


def test_verification_remembers_what_this_process_wrote(tmp_path: Path, key: SigningKey):
    """A rollback during the life of a logger is found even if the attacker holds old copies."""
    import shutil

    logger = AuditLogger(tmp_path / "log", key=key)
    logger.log("note", "a")
    shutil.copytree(tmp_path / "log", tmp_path / "old")
    logger.log("note", "b")
    shutil.rmtree(tmp_path / "log")
    shutil.copytree(tmp_path / "old", tmp_path / "log")
    result = logger.verify()
    assert ["rolled_back"] == [one.kind for one in result.problems]
    with pytest.raises(LogTampered, match="rolled back") as caught:
        result.raise_for_tampering()
    assert 1 == caught.value.index


def test_a_proof_stands_alone(audit: AuditLogger, key: SigningKey):
    """Entry, proof and verifying key are enough; any other entry, index, path or key is not."""
    for number in range(300):
        audit.log("note", str(number), wait=False)
    audit.flush()
    entry = next(audit.entries(123))
    spelled = str(audit.prove(123))
    checkpoint = Proof.parse(spelled).check(entry.line, audit.vkeys)
    assert (300, key.name) == (checkpoint.size, checkpoint.origin)
    with pytest.raises(LogTampered):
        Proof.parse(spelled).check(next(audit.entries(124)).line, audit.vkeys)
    with pytest.raises(LogTampered):
        Proof.parse(spelled.replace("index 123\n", "index 122\n")).check(entry.line, audit.vkeys)
    with pytest.raises(AuditError, match="not signed by a key"):
        Proof.parse(spelled).check(entry.line, [SigningKey.generate(key.name).vkey])


def test_a_proof_has_one_spelling(audit: AuditLogger):
    """Whatever would be written differently is refused."""
    for number in range(5):
        audit.log("note", str(number))
    spelled = str(audit.prove(3))
    lines = spelled.split("\n")
    for wrong in [
        "",
        "x",
        spelled + "\n",
        spelled[1:],
        spelled.replace("index 3", "index 03"),
        spelled.replace("index 3", "index x"),
        spelled.replace("index 3", "index \u0663"),
        spelled.replace("index 3", "index " + "9" * 25),
        spelled.replace("@v1", "@v2"),
        "\n".join([*lines[:2], "AAAA", *lines[3:]]),
        "\n".join([*lines[:2], lines[2][:-1] + "!", *lines[3:]]),
    ]:
        with pytest.raises(LogTampered):
            Proof.parse(wrong).check(next(audit.entries(3)).line, audit.vkeys)


def test_consistency_is_proven_from_a_remembered_checkpoint(audit: AuditLogger):
    """A witness that keeps only a checkpoint can check that the log goes on from it."""
    olds = []
    for number in range(20):
        audit.log("note", str(number))
        olds.append(Checkpoint.read(audit.checkpoint))
    newest = olds[-1]
    reader = audit._sink.reader()
    for old in olds:
        check_consistency(old.size, newest.size, consistency(reader, old), old.root, newest.root)
    assert () == consistency(reader, Checkpoint(newest.origin, 0, bytes(32)))
    for wrong in [
        Checkpoint(newest.origin, 5, bytes(32)),
        Checkpoint(newest.origin, 21, newest.root),
        Checkpoint("example.org/other", 5, olds[4].root),
    ]:
        with pytest.raises(LogTampered):
            consistency(reader, wrong)


def test_proofs_need_whole_stored_hashes(audit: AuditLogger, tmp_path: Path):
    """A damaged file of hashes gives no wrong proof, but an error that says what to do."""
    for number in range(5):
        audit.log("note", str(number))
    (tmp_path / "audit" / "tree" / "0").write_bytes(bytes(5 * 32))
    with pytest.raises(AuditError, match="rebuild"):
        audit.prove(3)
    (tmp_path / "audit" / "tree" / "0").write_bytes(b"")
    with pytest.raises(AuditError, match="end too early"):
        audit.prove(3)
    with pytest.raises(IndexError):
        audit.prove(5)


def test_several_logs_in_one_process_are_apart(tmp_path: Path, key: SigningKey):
    """Each has its own sink and its own name."""
    other = SigningKey.generate("example.org/other")
    one, two = AuditLogger(tmp_path / "one", key=key), AuditLogger(tmp_path / "two", key=other)
    one.log("note", "a")
    two.log("note", "b")
    assert (["a"], ["b"]) == ([r["action"] for r in records(one)], [r["action"] for r in records(two)])
    assert (key.name, "example.org/other") == (one.origin, two.origin)


def test_a_sink_may_be_given(key: SigningKey):
    """Two loggers on one sink share the log."""
    sink = MemorySink()
    AuditLogger(sink, key=key).log("note", "a")
    logger = AuditLogger(sink, key=key)
    logger.log("note", "b")
    assert 2 == len(records(logger))
    assert Verdict.OK is logger.verify().verdict


@pytest.mark.parametrize("options", [{"on_failure": "hope"}, {"trusted": ["no key"]}])
def test_options_are_checked(options: dict):
    """At construction, with the right line."""
    with pytest.raises(Misuse, match="right:"):
        AuditLogger("memory", **options)


def test_an_action_has_a_name():
    """Records without one would say nothing."""
    with pytest.raises(Misuse):
        AuditLogger("memory").log("note", "")


def test_redaction_comes_before_hashing(tmp_path: Path, key: SigningKey):
    """What is redacted is nowhere in the files, and the log verifies."""

    def redact(record: dict) -> dict:
        return record | {"reason": record.get("reason", "").replace("4111", "****")}

    logger = AuditLogger(tmp_path / "log", key=key, redact=redact)
    logger.log("note", "a", reason="card 4111", db_credential="hunter2")
    stored = b"".join(path.read_bytes() for path in (tmp_path / "log").rglob("*") if path.is_file())
    assert (False, False, True) == (b"4111" in stored, b"hunter2" in stored, b"****" in stored)
    assert logger.verify().ok


def test_proposals_without_outcome_are_listed():
    """They may have happened: the process died in between."""
    logger = AuditLogger("memory")
    done, lost = logger.log_action_proposed("a"), logger.log_action_proposed("b")
    logger.log_action_executed("a", cause=done)
    logger.log_policy_violation("b", "policy", cause=lost)
    assert [(lost.index, Phase.PROPOSED)] == [(entry.index, entry.record["phase"]) for entry in logger.unsettled()]

"""An audit log that is attacked: what a reader with the verifying key, and an older checkpoint, finds out.

Run it: it prints what happened to an agent's actions, then plays four attacks
on a copy of the log and shows what the verification says of each.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import patterns
from patterns.audit import AuditLogger, Proof, Verdict, verify
from patterns.errors import AuditError


def main() -> None:
    """Record, verify, attack, prove."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        # In earnest the key lies where neither the agent nor its tools can read it.
        with AuditLogger(root / "audit", key=root / "audit.key", origin="example.org/audit/support") as audit:
            work(audit)
            remembered = audit.checkpoint  # in earnest: mailed, printed, committed, kept by somebody else
            work(audit)
            story(audit)
            attack(root, audit, remembered)
            prove(audit)


def work(audit: AuditLogger) -> None:
    """Do something worth recording."""

    @audit.record
    def refund(order: str, amount: int) -> str:
        if amount > 100:
            raise ValueError("too much")
        return f"refunded {order}"

    with patterns.run("ticket-4711", tenant="acme", agent="support-bot", user="u-17"):
        refund("A1", 20)
        try:
            refund("A2", 999)
        except ValueError:
            audit.log_policy_violation("refund", "refunds are below 100", amount=999)
        with audit.step("close ticket", ticket=4711):
            pass


def story(audit: AuditLogger) -> None:
    """Print what was wanted and done."""
    for entry in audit.entries():
        record = entry.record
        cause = f"  because of {record['cause'][0][-8:]}" if "cause" in record else ""
        print(f"{entry.index:>3} {record['phase']:<16} {record['action']:<12} …{record['id'][-8:]}{cause}")
    print(audit.verify(), end="\n\n")


def attack(root: Path, audit: AuditLogger, remembered: str) -> None:
    """Let somebody who has the files, but not the key, change them."""

    def edit(log: Path) -> None:
        file = next(log.glob("events-*.jsonl"))
        file.write_bytes(file.read_bytes().replace(b'"failed"', b'"unseen"', 1))

    def cut(log: Path) -> None:
        file = next(log.glob("events-*.jsonl"))
        file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-2]))

    def remove_all(log: Path) -> None:
        shutil.rmtree(log)
        AuditLogger(log, key=root / "own.key", origin=audit.origin).log("note", "nothing ever happened")

    def roll_back(log: Path) -> None:
        shutil.rmtree(log)
        AuditLogger(log, key=root / "audit.key").log("note", "the key was stolen, too")

    for attacked in (edit, cut, remove_all, roll_back):
        log = Path(shutil.copytree(root / "audit", root / attacked.__name__))
        attacked(log)
        result = verify(log, vkeys=audit.vkeys, against=remembered)
        print(f"{attacked.__name__}: {result}", end="\n\n")
        if result.verdict is Verdict.OK:
            raise AssertionError("an attack went unnoticed")


def prove(audit: AuditLogger) -> None:
    """Hand one entry to somebody who never sees the rest of the log."""
    entry, proof, vkeys = next(audit.entries(3)), str(audit.prove(3)), audit.vkeys
    checkpoint = Proof.parse(proof).check(entry.line, vkeys)
    print(f"entry {entry.index} is in the log {checkpoint.origin} of {checkpoint.size} entries")
    try:
        Proof.parse(proof).check(entry.line.replace(b"refund", b"reward"), vkeys)
    except AuditError as error:
        print(f"another entry is not: {error}")


if __name__ == "__main__":
    main()

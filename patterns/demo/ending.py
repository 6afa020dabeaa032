"""The end of the demo: the log is verified and tampered with, the agent explains itself, everything is counted."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from patterns.audit.commands import verify_log
from patterns.demo.spans import tree

if TYPE_CHECKING:
    from pathlib import Path

    from patterns.demo.runner import Result
    from patterns.demo.show import Screen

__all__ = ["show_evidence", "show_table"]

_TELLING = ("rejected", "replayed", "in_doubt", "blocked", "rolled_back", "failed")


def show_evidence(screen: Screen, place: Path, failures: list[str]) -> None:
    """Show what is left behind by the guarded run; what does not hold is added to *failures*."""
    screen.section(7, "Somebody edits the audit log")
    vkeys = [str(place / "audit.key.pub")]
    honest = verify_log(place / "audit", vkeys=vkeys)
    screen.line("good" if honest.ok else "bad", f"as the agent left it: {str(honest).splitlines()[0]}")
    shutil.copytree(place / "audit", place / "forged")
    log = next((place / "forged").glob("*.jsonl"))
    log.write_bytes(log.read_bytes().replace(b'"blocked"', b'"allowed"', 1))
    forged = verify_log(place / "forged", vkeys=vkeys)
    screen.line("note", 'in a copy, one "blocked" is changed to "allowed"')
    for line in str(forged).splitlines()[:2]:
        screen.line("bad" if forged.ok else "good", line)
    if not honest.ok or forged.ok:
        failures.append("the audit log does not tell an honest copy from a forged one")
    screen.section(8, "What an operator sees")
    screen.block(tree(place / "spans.jsonl", _TELLING))


def show_table(screen: Screen, result: Result, *, without: bool) -> None:
    """Show the closing table."""
    counted = result.count
    if counted is None:
        raise AssertionError("the demo is not over")
    screen.table(
        [
            ("agent", "unguarded" if without else "guarded"),
            ("charges the agent asked for", str(result.charges_asked)),
            ("charges the payment service made", str(counted.charges_made)),
            ("refunds it made", str(counted.refunds_made)),
            ("charges that were due", str(counted.charges_due)),
            ("customers lost", str(result.customers_lost)),
            ("process killed", f"{result.deaths} time{'s' if result.deaths != 1 else ''}"),
            ("money lost", str(counted.money_lost)),
        ]
    )

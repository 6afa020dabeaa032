"""``patterns audit``: what it prints, and how it ends."""

from __future__ import annotations

import json

import pytest

import patterns
from patterns.audit import AuditLogger
from patterns.cli import main


@pytest.fixture
def log(tmp_path, capsys):
    """Two entries, the second of the run ``ticket-1``."""
    with AuditLogger(tmp_path / "log", key=tmp_path / "key") as audit:
        audit.log("proposed", "refund")
        with patterns.run("ticket-1"):
            audit.log("proposed", "send mail")
    capsys.readouterr()
    return str(tmp_path / "log")


@pytest.mark.parametrize(
    ("options", "actions"),
    [([], ["refund", "send mail"]), (["--run", "ticket-1"], ["send mail"]), (["--tool", "refund"], ["refund"])],
)
def test_show_prints_the_entries_that_were_asked_for(log, capsys, options, actions):
    """Without options all of them."""
    assert 0 == main(["audit", "show", log, "--json", *options])
    assert actions == [entry["action"] for entry in json.loads(capsys.readouterr().out)]

"""The demonstration as an end-to-end test: real processes, a real SIGKILL, counted by the payment service's journal."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from patterns.demo.oracle import count
from patterns.demo.runner import DUE


def run(*words):
    """Run the command as a user does."""
    command = [sys.executable, "-m", "patterns", "demo", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)


@pytest.mark.parametrize("attempt", range(3))
def test_the_guarded_agent_loses_nothing(attempt):
    """Killed, fooled and cut off, it pays what is due and no more."""
    done = run("--json")

    assert done.returncode == 0, done.stderr
    assert {
        "guarded": True,
        "charges_asked": 14,
        "charges_due": 3,
        "charges_made": 4,
        "refunds_made": 1,
        "customers_lost": 0,
        "deaths": 1,
        "money_lost": 0,
        "failures": [],
    } == json.loads(done.stdout)


def test_the_bare_agent_shows_the_losses():
    """The same acts with bare tools: paid twice, three times over, and the customers are gone."""
    done = run("--without", "--json")
    told = json.loads(done.stdout)

    assert done.returncode == 0, done.stderr
    assert (False, 455, 200, 7, 1) == tuple(
        told[name] for name in ("guarded", "money_lost", "customers_lost", "charges_made", "deaths")
    )


def test_it_reads_as_plain_text_where_there_is_no_terminal():
    """Short sections, one line per event, a closing table, no control characters."""
    done = run("--fast")

    assert done.returncode == 0, done.stderr
    assert "\033" not in done.stdout
    for words in (
        "1  The payment service is down",
        "the agent's process is dead (SIGKILL)",
        "deletes 200 of 200 customers",
        "the payment service: refund 180 for A5",
        "was rewritten",
        "execute_tool charge",
        "money lost                        0",
    ):
        assert words in done.stdout


def test_an_ascii_terminal_gets_ascii():
    """Marks and rules fall back where the encoding cannot show them."""
    command = [sys.executable, "-m", "patterns", "demo", "--fast", "--without"]
    done = subprocess.run(
        command, capture_output=True, check=True, timeout=50, env={"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin:/bin"}
    )

    assert done.stdout.isascii()
    assert b"-> charge('A1', 20)" in done.stdout


def test_the_oracle_counts_every_unit_that_is_not_where_it_should_be(tmp_path):
    """Too much and too little are both losses."""
    journal = tmp_path / "journal"
    moves = [
        ("charge", "A1", 20),
        ("charge", "A1", 20),
        ("charge", "A2", 180),
        ("charge", "A5", 9),
        ("refund", "A5", 4),
    ]
    journal.write_text("\n".join(json.dumps({"kind": kind, "order": o, "amount": a}) for kind, o, a in moves))

    counted = count(journal, DUE)

    assert (20 + 0 + 75 + 5, 4, 1, 3) == (
        counted.money_lost,
        counted.charges_made,
        counted.refunds_made,
        counted.charges_due,
    )

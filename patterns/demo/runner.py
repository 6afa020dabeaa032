"""Starts the payment service and the agent as processes, starts the agent again when it was killed, and counts."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, field

from patterns.demo import ending
from patterns.demo.client import PaymentsProcess
from patterns.demo.oracle import Count, count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from patterns.demo.show import Screen

__all__ = ["DUE", "Result", "run_demo"]

DUE = {"A1": 20, "A2": 180, "A3": 75, "A5": 0}
"""What each order should cost in the end: A5 cannot be shipped, so nothing may be kept for it."""

_MOST_DEATHS = 3


@define
class Result:
    """What happened."""

    charges_asked: int = 0
    customers_lost: int = 0
    deaths: int = 0
    failures: list[str] = field(factory=list)
    count: Count | None = None

    @property
    def money_lost(self) -> int:
        """How much money ended where it should not be."""
        if self.count is None:
            raise AssertionError("the demo is not over")
        return self.count.money_lost

    def as_dict(self, *, without: bool) -> dict[str, Any]:
        """Return the numbers for JSON."""
        if self.count is None:
            raise AssertionError("the demo is not over")
        return {
            "guarded": not without,
            "charges_asked": self.charges_asked,
            "charges_due": self.count.charges_due,
            "charges_made": self.count.charges_made,
            "refunds_made": self.count.refunds_made,
            "customers_lost": self.customers_lost,
            "deaths": self.deaths,
            "money_lost": self.count.money_lost,
            "failures": self.failures,
        }


def run_demo(screen: Screen, *, without: bool = False) -> Result:
    """Play the whole demo in a temporary directory.

    Args:
        screen: Where it is shown.
        without: Give the agent the bare tools.

    Returns:
        What was asked and what happened, counted from the payment service's journal.

    """
    with tempfile.TemporaryDirectory(prefix="patterns-demo-") as name:
        place = Path(name)
        journal = place / "payments.jsonl"
        result = Result()
        with PaymentsProcess(journal) as service:
            _play(screen, place, service.port, result, without=without)
        result.count = count(journal, DUE)
        if not without:
            ending.show_evidence(screen, place, result.failures)
        ending.show_table(screen, result, without=without)
    return result


def _play(screen: Screen, place: Path, port: int, result: Result, *, without: bool) -> None:
    act = 0
    while True:
        code = 0
        for event in _agent(place, port, act, again=result.deaths > 0, without=without):
            if event["kind"] == "exit":
                code = event["code"]
            else:
                act = event.get("number", act)
                _show(screen, event, result, again=result.deaths > 0)
        if code == 0:
            return
        result.deaths += 1
        if code != -signal.SIGKILL or result.deaths > _MOST_DEATHS:
            raise RuntimeError(f"the agent's process ended with {code}")
        screen.line("bad", "the agent's process is dead (SIGKILL)")
        screen.line("note", "a new process takes over")


def _agent(place: Path, port: int, act: int, *, again: bool, without: bool) -> Iterator[dict[str, Any]]:
    words = ["--start", str(act), *(["--again"] if again else []), *(["--without"] if without else [])]
    command = [sys.executable, "-m", "patterns.demo.agent", str(place), str(port), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own words
        if process.stdout is None:
            raise AssertionError("a pipe was asked for")
        for line in process.stdout:
            yield json.loads(line)
    yield {"kind": "exit", "code": process.returncode}


def _show(screen: Screen, event: dict[str, Any], result: Result, *, again: bool) -> None:
    result.charges_asked += bool(event.get("asked"))
    result.customers_lost += event.get("customers_lost", 0)
    if event["kind"] != "act":
        screen.line(event["kind"], event["text"])
    elif not (again and event["number"] == _act_of_death()):
        screen.section(event["number"] + 1, event["text"])


def _act_of_death() -> int:
    from patterns.demo.acts import ACTS, crash  # noqa: PLC0415 - loaded when needed

    return ACTS.index(crash)

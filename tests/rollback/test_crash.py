"""A process is killed at every named point of a saga; a later one finishes it, and nothing is taken back twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

PROGRAM = """
import sys
from pathlib import Path

from patterns.rollback import Saga
from patterns.stores import open_store
from patterns.testing import arm_from_environment

database, world, task = sys.argv[1:]
saga = Saga("order", store=open_store(f"sqlite:///{database}"))

def tell(line):
    with Path(world).open("a") as file:
        file.write(line + "\\n")

@saga.tool(compensate=lambda thing: tell(f"undo {thing}"))
def add(thing):
    tell(f"do {thing}")
    return thing

if task == "recover":
    for report in saga.recover():
        for step in report.steps:
            print(step.name, step.state.value, step.id)
else:
    arm_from_environment()
    with saga.transaction("order-17"):
        add("a")
        add("b")
        if task == "fail":
            raise SystemExit(3)
"""

POINTS = [
    # What happens before the kill, in words: nothing, one effect, two effects, a compensation.
    ("succeed", "call.commit.before:1"),
    ("succeed", "call.commit.after:1"),
    ("succeed", "call.body.before:2"),
    ("succeed", "call.body.after:2"),
    ("succeed", "rollback.settle.before:2"),
    ("succeed", "rollback.settle.after:2"),
    ("succeed", "saga.finish.before:1"),
    ("fail", "rollback.undo.before:1"),
    ("fail", "rollback.undo.after:1"),
    ("fail", "rollback.settle.before:3"),
    ("fail", "rollback.settle.after:3"),
    ("fail", "rollback.undo.before:2"),
    ("fail", "saga.finish.before:1"),
]


@pytest.fixture
def process(tmp_path):
    """Run the program in a process of its own; return its exit code and output."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    def run(task: str, fault: str = "") -> tuple[int, str]:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PATTERNS_FAULT": fault}
        command = [sys.executable, str(program), str(tmp_path / "agent.db"), str(tmp_path / "world"), task]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout

    return run


def effects(tmp_path: Path) -> Counter[str]:
    """Return how often each thing was done and undone."""
    world = tmp_path / "world"
    return Counter(world.read_text().splitlines() if world.exists() else [])


@pytest.mark.parametrize(("task", "point"), POINTS)
def test_a_killed_saga_is_finished_by_a_later_process(task, point, process, tmp_path):
    """What was done is undone once, or a person is told that it may have been; a second recovery finds no more."""
    assert -signal.SIGKILL == process(task, f"{point}:kill")[0]
    code, told = process("recover")
    assert 0 == code
    done = effects(tmp_path)
    parked = [line for line in told.splitlines() if " parked " in line]
    for thing in "ab":
        assert 1 >= done[f"undo {thing}"]
        assert done[f"do {thing}"] <= done[f"undo {thing}"] + len(parked)
    assert (
        [1]
        if point
        in {"rollback.undo.before:1", "rollback.undo.after:1", "rollback.settle.before:3", "rollback.undo.before:2"}
        else [0]
    ) == [len(parked)]
    again = process("recover")
    assert (0, told if parked else "") == (again[0], again[1] if not parked else told)
    assert done == effects(tmp_path)


def test_a_saga_that_was_not_killed_leaves_nothing_to_recover(process, tmp_path):
    """Done stays done; failed was compensated by its own process."""
    assert (0, "") == process("succeed")
    assert (0, "") == process("recover")
    assert {"do a": 1, "do b": 1} == effects(tmp_path)
    assert (3, "") == process("fail")
    assert (0, "") == process("recover")
    assert {"do a": 2, "do b": 2, "undo b": 1, "undo a": 1} == effects(tmp_path)


def test_a_saga_killed_after_its_end_is_done(process, tmp_path):
    """The deletion of its records is the moment; nothing is compensated after it."""
    assert -signal.SIGKILL == process("succeed", "saga.finish.after:1:kill")[0]
    assert (0, "") == process("recover")
    assert {"do a": 1, "do b": 1} == effects(tmp_path)

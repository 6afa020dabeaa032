"""What importing the package loads, and what it must not load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {
    "approval",
    "audit",
    "circuit_breaker",
    "explainability",
    "finality",
    "impact_gate",
    "ledger",
    "rollback",
}
PRESENT = sorted(room for room in ROOMS if (ROOT / "patterns" / room / "__init__.py").exists())
COSTLY = {
    "asyncio",
    "cryptography",
    "jinja2",
    "logging",
    "msgspec",
    "multiprocessing",
    "opentelemetry.sdk",
    "orjson",
    "psycopg",
    "pydantic",
    "redis",
    "rich",
    "sqlite3",
    "starlette",
    "wrapt",
}

PROGRAM = """
import json, sys
before = set(sys.modules)
import {module}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def loaded_by(module: str) -> set[str]:
    """Return the modules that a fresh interpreter loads for ``import module``."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM.format(module=module)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=30)
    return set(json.loads(done.stdout))


def test_the_package_alone_loads_nothing_else():
    """``import patterns`` opens no room and loads no dependency, not even attrs."""
    loaded = loaded_by("patterns")
    assert {"patterns", "patterns._version"} == {name for name in loaded if name.split(".")[0] == "patterns"}
    assert set() == loaded & (COSTLY | {"attr", "opentelemetry", "tenacity"})


@pytest.mark.parametrize("room", PRESENT)
def test_a_room_loads_no_other_room(room: str):
    """Each pattern is usable alone."""
    loaded = loaded_by(f"patterns.{room}")
    assert f"patterns.{room}" in loaded
    assert set() == {other for other in ROOMS - {room} if f"patterns.{other}" in loaded}
    assert set() == {name for name in loaded if name.startswith("patterns.stores.")}


@pytest.mark.parametrize("room", PRESENT)
def test_a_room_loads_nothing_costly(room: str):
    """A synchronous program without telemetry pays for neither asyncio, wrapt, an SDK nor a driver."""
    assert set() == loaded_by(f"patterns.{room}") & COSTLY

"""The import contracts of setup.cfg hold, and each one notices when it is broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINT = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"

FLOORS = "Arrows point down"
STORES = "never a store"
FRONT = "The front door"
MACHINES = "Machines are pure"
WRAPT = "One door to wrapt"
TELEMETRY = "One door to OpenTelemetry"
ACYCLIC = "No module needs itself"

VIOLATIONS = [
    ("ledger/planted.py", "import patterns.audit", FLOORS),
    ("ledger/planted.py", "import patterns.ledger.middle", FLOORS),
    ("kernel/planted.py", "import patterns.ledger", FLOORS),
    ("errors.py", "import patterns.kernel", FLOORS),
    ("audit/planted.py", "import patterns.testing", FLOORS),
    ("undeclared/__init__.py", "", FLOORS),
    ("ledger/planted.py", "import patterns.stores.planted", STORES),
    ("ledger/planted.py", "from patterns.stores import open_store", STORES),
    ("kernel/planted.py", "import patterns.stores.planted", STORES),
    ("kernel/planted.py", "import patterns", FRONT),
    ("ledger/planted.py", "from patterns import AuditLogger", FRONT),
    ("rollback/machine.py", "import asyncio", MACHINES),
    ("rollback/machine.py", "import time", MACHINES),
    ("rollback/machine.py", "from datetime import timedelta", MACHINES),
    ("rollback/machine.py", "import patterns.rollback.outside", MACHINES),
    ("rollback/machine.py", "import patterns.kernel.clock", MACHINES),
    ("audit/planted.py", "import wrapt", WRAPT),
    ("audit/planted.py", "from opentelemetry import trace", TELEMETRY),
    ("ledger/planted.py", "import patterns.ledger.circle", ACYCLIC),
]

HELPERS = {
    "stores/planted.py": "",
    "ledger/middle.py": "import patterns.audit",
    "ledger/circle.py": "import patterns.ledger.planted",
    "rollback/outside.py": "import os",
}


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of *tree*."""
    return subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache", "--config", "setup.cfg"],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def broken(tree: Path) -> list[str]:
    """Return the names of the contracts that *tree* breaks."""
    report = lint(tree).stdout
    assert "Contracts: " in report, report
    return [line for line in report.splitlines() if line.endswith(" BROKEN")]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of the package and its contracts, to plant violations in."""
    shutil.copytree(ROOT / "patterns", tmp_path / "patterns", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    return tmp_path


def plant(tree: Path, name: str, line: str) -> None:
    """Append *line* to a module of the copy."""
    place = tree / "patterns" / name
    place.parent.mkdir(exist_ok=True)
    with place.open("a", encoding="utf-8") as module:
        module.write(f"\n{line}\n")


def test_all_contracts_hold():
    """The library keeps its own rules."""
    report = lint(ROOT)
    assert 0 == report.returncode, report.stdout


def test_no_room_knows_another_not_even_for_annotations(tree: Path):
    """With annotations counted the rooms are as independent as without."""
    config = tree / "setup.cfg"
    config.write_text(config.read_text().replace("exclude_type_checking_imports = True", ""))
    assert [] == [line for line in broken(tree) if FLOORS in line or STORES in line]


@pytest.mark.parametrize(("name", "line", "contract"), VIOLATIONS)
def test_a_violation_breaks_its_contract(name: str, line: str, contract: str, tree: Path):
    """A planted import is noticed by the contract that forbids it."""
    for helper, text in HELPERS.items():
        if helper.removesuffix(".py").replace("/", ".") in line:
            plant(tree, helper, text)
    plant(tree, name, line)
    assert [] != [found for found in broken(tree) if contract in found]

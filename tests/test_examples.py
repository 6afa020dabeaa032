"""Every example is a program that runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(ROOT.glob("examples/**/*.py"))
LACKS_SOMETHING = 77


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example.relative_to(ROOT)))
def test_example_runs(example: Path, tmp_path: Path):
    """It ends by itself, successfully and without a warning; or says what it lacks and exits with 77."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    if done.returncode == LACKS_SOMETHING:
        pytest.skip(done.stdout.strip() or done.stderr.strip())
    assert 0 == done.returncode, f"{done.stdout}\n{done.stderr}"

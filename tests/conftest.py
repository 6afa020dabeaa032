"""Fixtures for all tests; `patterns.testing.plugin` gives more and watches every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent

# A failing run is found again by anybody; HYPOTHESIS_PROFILE=thorough looks for new ones.
settings.register_profile("default", deadline=None, max_examples=50, derandomize=True, database=None)
settings.register_profile("thorough", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the directory of test vectors and data, which are not part of the project."""
    place = Path(os.environ.get("PATTERNS_SHARED", ROOT.parent / "shared"))
    if not (place / "vectors").is_dir():
        pytest.skip(f"no test vectors in {place}; PATTERNS_SHARED says where they are")
    return place

"""A key that is the same in every run, and a log to attack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from patterns.audit import AuditLogger, SigningKey

if TYPE_CHECKING:
    from pathlib import Path

ORIGIN = "example.org/audit"


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return SigningKey(ORIGIN, bytes(range(32)))


@pytest.fixture
def audit(tmp_path: Path, key: SigningKey):
    """Return a signed log in a directory."""
    with AuditLogger(tmp_path / "audit", key=key) as logger:
        yield logger

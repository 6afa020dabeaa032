"""Failures inside the conformance suite are shown with their values."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("patterns.testing.store_conformance")

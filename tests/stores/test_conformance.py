"""The stores that ship, and the one the documentation shows, do what every store must do."""

from __future__ import annotations

import re
from pathlib import Path

from patterns.stores import open_store
from patterns.testing.store_conformance import StoreConformance

PAGE = Path(__file__).parents[2] / "docs" / "stores.md"


def documented_toy():
    """Return the class ToyStore as the documentation shows it."""
    (block,) = (
        block for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if "class ToyCells" in block
    )
    namespace = {}
    exec(compile(block, PAGE, "exec"), namespace)  # noqa: S102 - the documentation is ours
    return namespace["ToyStore"]


class TestMemory(StoreConformance):
    def make(self, tmp_path):
        return open_store("memory://")


class TestSqlite(StoreConformance):
    survives = True
    many_processes = True

    def make(self, tmp_path):
        return open_store(f"sqlite:///{tmp_path}/store.db")


class TestToy(StoreConformance):
    logs = False

    def make(self, tmp_path):
        return documented_toy()()

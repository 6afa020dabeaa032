"""The stores that ship do what every store must do."""

from __future__ import annotations

from patterns.stores import open_store
from patterns.testing.store_conformance import StoreConformance


class TestMemory(StoreConformance):
    def make(self, tmp_path):
        return open_store("memory://")


class TestSqlite(StoreConformance):
    survives = True
    many_processes = True

    def make(self, tmp_path):
        return open_store(f"sqlite:///{tmp_path}/store.db")

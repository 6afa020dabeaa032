"""Every real pattern, ready to be stacked in any order."""

from __future__ import annotations

import itertools

import pytest

import patterns
from patterns.testing.shapes import Guarding

PATTERNS = ("breaker", "ledger", "gate", "audit", "undo", "hooks")
# A ledger does not guard generators: half a stream cannot be replayed.
STREAMING = tuple(name for name in PATTERNS if name != "ledger")


def orders(names=PATTERNS, *, longest=3):
    """Return every order of up to *longest* patterns, and some of all of them."""
    short = [order for length in range(1, longest + 1) for order in itertools.permutations(names, length)]
    return [*short, tuple(names), tuple(reversed(names))]


class Bench:
    """One of each pattern over memory, and what they recorded."""

    def __init__(self):
        self.store = patterns.open_store("memory://")
        self.breaker = patterns.CircuitBreaker("laws", failure_threshold=3)
        self.ledger = patterns.Ledger(self.store)
        self.gate = patterns.ImpactGate(model=lambda action: 0.1)
        self.audit = patterns.AuditLogger("memory")
        self.undone = []
        self.undo = patterns.RollbackManager("laws")
        self.hooks = patterns.ExplainabilityHooks("laws")

    def guardings(self, names):
        """Return these patterns as the shapes use them, outermost first."""
        return [getattr(self, "_" + name)() for name in names]

    def _breaker(self):
        return Guarding("breaker", self.breaker.protect, self.breaker.step)

    def _ledger(self):
        return Guarding("ledger", self.ledger.once, lambda name: self.ledger.step(name, key="k"))

    def _gate(self):
        return Guarding("gate", self.gate.check, self.gate.step)

    def _audit(self):
        return Guarding("audit", self.audit.record, self.audit.step)

    def _undo(self):
        def undo():
            self.undone.append("undone")

        return Guarding("undo", self.undo.undoable(undo=undo), lambda name: self.undo.step(name, undo=undo))

    def _hooks(self):
        return Guarding("hooks", self.hooks.explain(reasoning="a law"), self.hooks.step)

    def phases(self):
        """Return what the audit log says happened, in order."""
        return [entry.record["phase"] for entry in self.audit.entries()]


@pytest.fixture
def bench():
    """A fresh set of patterns inside a run."""
    with patterns.run("laws"):
        made = Bench()
        yield made
        made.store.close()

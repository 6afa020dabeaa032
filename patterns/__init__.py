"""Composable safety patterns for AI agents that act on the real world.

Every name is loaded when it is first used, so ``import patterns`` costs next
to nothing and no room opens before somebody enters it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from patterns._version import __version__

if TYPE_CHECKING:
    from patterns.audit import AuditLogger
    from patterns.circuit_breaker import CircuitBreaker
    from patterns.errors import PatternsError
    from patterns.explainability import ExplainabilityHooks
    from patterns.impact_gate import ImpactGate
    from patterns.kernel.call import Call, current_call
    from patterns.kernel.guard import layers
    from patterns.kernel.patching import guard_import, guard_tools
    from patterns.kernel.run import carry, current_run, distinct, run
    from patterns.ledger import Ledger
    from patterns.rollback import RollbackManager, Saga
    from patterns.stores import open_store

__all__ = [
    "AuditLogger",
    "Call",
    "CircuitBreaker",
    "ExplainabilityHooks",
    "ImpactGate",
    "Ledger",
    "PatternsError",
    "RollbackManager",
    "Saga",
    "__version__",
    "carry",
    "current_call",
    "current_run",
    "distinct",
    "guard_import",
    "guard_tools",
    "layers",
    "open_store",
    "run",
]

_HOMES = {
    "AuditLogger": "patterns.audit",
    "Call": "patterns.kernel.call",
    "CircuitBreaker": "patterns.circuit_breaker",
    "ExplainabilityHooks": "patterns.explainability",
    "ImpactGate": "patterns.impact_gate",
    "Ledger": "patterns.ledger",
    "PatternsError": "patterns.errors",
    "RollbackManager": "patterns.rollback",
    "Saga": "patterns.rollback",
    "carry": "patterns.kernel.run",
    "current_call": "patterns.kernel.call",
    "current_run": "patterns.kernel.run",
    "distinct": "patterns.kernel.run",
    "guard_import": "patterns.kernel.patching",
    "guard_tools": "patterns.kernel.patching",
    "layers": "patterns.kernel.guard",
    "open_store": "patterns.stores",
    "run": "patterns.kernel.run",
}


if not TYPE_CHECKING:  # a type checker is to report a name that is not there

    def __getattr__(name: str) -> Any:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'patterns' has no attribute {name!r}")
        value = getattr(importlib.import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

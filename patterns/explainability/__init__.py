"""Explainability hooks: why an agent did something, what became of it, and what the other patterns decided."""

from __future__ import annotations

from patterns.explainability.explanation import Decision, Ending, Explanation, Phase
from patterns.explainability.hooks import ExplainabilityHooks
from patterns.explainability.memory import JsonLines, Sink
from patterns.explainability.shorten import Limits
from patterns.explainability.teller import Explained, SinkFailed

__all__ = [
    "Decision",
    "Ending",
    "ExplainabilityHooks",
    "Explained",
    "Explanation",
    "JsonLines",
    "Limits",
    "Phase",
    "Sink",
    "SinkFailed",
]

"""Hooks on a manual clock, and guards that stand in for other patterns."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import frozen

from patterns.errors import Refused
from patterns.explainability import ExplainabilityHooks
from patterns.kernel.events import Event
from patterns.kernel.guard import Guard, attach
from patterns.testing import ManualClock


@frozen(kw_only=True)
class Decided(Event):
    """What the stand-in decides."""

    verdict: str
    card: str = "4111"


class Deciding(Guard):
    """Reports its verdict and does as it says."""

    def __init__(self, verdict: str) -> None:
        self.name = f"test.{verdict}"
        self.verdict = verdict

    async def around(self, call: Any, proceed: Any) -> Any:
        call.events.append(Decided(source="gatekeeper", at=0.0, verdict=self.verdict))
        if self.verdict == "refuse":
            raise Refused("not today", call=call.name)
        if self.verdict == "replay":
            call.is_replay = True
            return "recorded"
        return await proceed()


@pytest.fixture
def clock() -> ManualClock:
    """Return a manual clock."""
    return ManualClock()


@pytest.fixture
def hooks(clock) -> ExplainabilityHooks:
    """Return hooks on it."""
    return ExplainabilityHooks("support-bot", clock=clock)


@pytest.fixture
def decide() -> Any:
    """Return a decorator that decides as told."""
    return lambda verdict: lambda function: attach(function, Deciding(verdict))

"""A breaker on a manual clock, in both of its forms."""

from __future__ import annotations

from typing import Any

import pytest

from patterns.circuit_breaker import CircuitBreaker
from patterns.kernel.guard import Guard, attach
from patterns.testing import ManualClock


class Transparent(Guard):
    """Does nothing, but is no bracket, so the whole stack leaves the fast lane."""

    name = "transparent"

    async def around(self, call: Any, proceed: Any) -> Any:
        return (await call.attempt(proceed)).unwrap()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def make(clock: ManualClock) -> Any:
    """Build breakers on the manual clock; three failures open them for ten seconds unless told otherwise."""

    def build(name: str = "billing", **options: Any) -> CircuitBreaker:
        if "trip" not in options:
            options.setdefault("failure_threshold", 3)
        return CircuitBreaker(name, clock=clock, **{"cool_down": 10.0, **options})

    return build


@pytest.fixture(params=["fast lane", "stack", "traced"])
def protect(request: pytest.FixtureRequest) -> Any:
    """Return a function of a breaker and a function that guards one with the other, in each form of the guard."""
    if request.param == "traced":
        request.getfixturevalue("spans")

    def decorate(breaker: CircuitBreaker, function: Any) -> Any:
        guarded = breaker.protect(function)
        return attach(guarded, Transparent()) if request.param == "stack" else guarded

    return decorate


class Backend:
    """A dependency that works or does not, and knows how often it was reached."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.reached = 0

    def __call__(self) -> str:
        self.reached += 1
        if self.error is not None:
            raise self.error
        return "fine"

    def down(self, error: BaseException | None = None) -> None:
        self.error = error or ConnectionError("refused")

    def up(self) -> None:
        self.error = None


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def fail() -> Any:
    """Let so many calls through a breaker fail."""

    def failing(breaker: CircuitBreaker, times: int = 3) -> None:
        for _ in range(times):
            breaker.acquire().failure(ConnectionError("refused"))

    return failing

"""Guards that only watch, for tests of the machinery itself."""

from __future__ import annotations

from typing import Any

import pytest

from patterns.kernel.block import Block
from patterns.kernel.guard import Bracket, Guard, attach
from patterns.testing.shapes import Guarding


class Witness(Guard):
    """Writes down what it sees."""

    def __init__(self, name: str, story: list[tuple[str, str]]) -> None:
        self.name = name
        self.story = story

    async def around(self, call: Any, proceed: Any) -> Any:
        self.story.append((self.name, "in"))
        outcome = await call.attempt(proceed)
        self.story.append((self.name, type(outcome).__name__))
        return outcome.unwrap()


class BracketWitness(Bracket):
    """Does the same in the fast lane."""

    def __init__(self, name: str, story: list[tuple[str, str]]) -> None:
        self.name = name
        self.story = story

    def admit(self) -> str:
        self.story.append((self.name, "in"))
        return self.name

    def returned(self, permit: str, value: object) -> None:
        self.story.append((permit, "Returned"))

    def raised(self, permit: str, error: BaseException) -> None:
        self.story.append((permit, "Raised"))

    def abandoned(self, permit: str, error: BaseException) -> None:
        self.story.append((permit, "Abandoned"))

    def released(self, permit: str) -> None:
        self.story.append((permit, "Released"))


def guarding(guard: Guard) -> Guarding:
    """Return the guard as the shapes use it."""
    return Guarding(guard.name, lambda function: attach(function, guard), lambda name: Block(guard, name, {}))


@pytest.fixture
def story() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def witness(story: list[tuple[str, str]]) -> Any:
    """Make watching guards by name."""
    return lambda name="w": guarding(Witness(name, story))


@pytest.fixture
def bracket(story: list[tuple[str, str]]) -> Any:
    """Make watching guards of the fast lane by name."""
    return lambda name="b": guarding(BracketWitness(name, story))

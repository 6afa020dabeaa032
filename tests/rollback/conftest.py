"""A world that actions change, and guards that stand in for other patterns."""

from __future__ import annotations

from typing import Any

import pytest

from patterns.errors import Refused
from patterns.kernel.guard import Guard, attach
from patterns.stores import open_store
from patterns.testing import ManualClock


class World:
    """What is there now, and everything that was ever done, in order."""

    def __init__(self) -> None:
        self.there: list[Any] = []
        self.story: list[Any] = []

    def add(self, thing: Any) -> Any:
        self.there.append(thing)
        self.story.append(thing)
        return thing

    def remove(self, thing: Any) -> None:
        self.there.remove(thing)
        self.story.append(("undo", thing))

    @property
    def undone(self) -> list[Any]:
        return [one[1] for one in self.story if isinstance(one, tuple) and one[0] == "undo"]


class Refusing(Guard):
    name = "test.refusing"

    async def around(self, call: Any, proceed: Any) -> Any:
        raise Refused("not today", call=call.name)


class Replaying(Guard):
    name = "test.replaying"

    async def around(self, call: Any, proceed: Any) -> Any:
        call.is_replay = True
        return "recorded"


class Keying(Guard):
    """Sets the idempotency key as a ledger does."""

    name = "test.keying"

    async def around(self, call: Any, proceed: Any) -> Any:
        call.idempotency_key = f"key-of-{call.name}"
        return await proceed()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def refusing() -> Any:
    return lambda function: attach(function, Refusing())


@pytest.fixture
def replaying() -> Any:
    return lambda function: attach(function, Replaying())


@pytest.fixture
def keying() -> Any:
    return lambda function: attach(function, Keying())


class Owners:
    """Owners that a test can let die."""

    def __init__(self) -> None:
        self.current = "process-1"
        self.dead: set[str] = set()

    def me(self) -> str:
        return self.current

    def alive(self, owner: str, /) -> bool | None:
        return owner not in self.dead

    def die(self) -> None:
        """Let the present process die, and be another one from now on."""
        self.dead.add(self.current)
        self.current = f"process-{len(self.dead) + 1}"


@pytest.fixture
def store():
    """Return a store whose owners a test can let die."""
    opened = open_store("memory://")
    opened.owners = Owners()
    yield opened
    opened.close()

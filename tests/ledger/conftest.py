"""Stores, ledgers, and a till that counts what really happened."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import patterns
from patterns.ledger import Ledger


class Till:
    """What the outside world saw: every payment, in order."""

    def __init__(self) -> None:
        self.paid: list[Any] = []

    def __idempotency_key__(self) -> str:
        return "till"

    def pay(self, amount: Any) -> Any:
        self.paid.append(amount)
        return amount

    def pay_order(self, order: Any) -> Any:
        return self.pay(order)


@pytest.fixture
def till() -> Till:
    """Return an empty till."""
    return Till()


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    """Return a store of each kind."""
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/agent.db"
    opened = patterns.open_store(url)
    yield opened
    opened.close()


@pytest.fixture
def memory():
    """Return a store in memory."""
    return patterns.open_store("memory://")


@pytest.fixture
def ledger(memory) -> Ledger:
    """Return a ledger in memory that waits for nobody."""
    return Ledger(memory, wait=0)


@pytest.fixture
def events(ledger):
    """Return the list of what the ledger tells."""
    told: list[Any] = []
    ledger.subscribe(told.append)
    return told


@pytest.fixture
def run():
    """Put the test in a run."""
    with patterns.run("r-1", tenant="acme") as inside:
        yield inside


def shapes() -> list[str]:
    """Return the four ways to guard a body."""
    return ["def", "async def", "with", "async with"]


@pytest.fixture(params=shapes())
def once(request, ledger, run):
    """Return a function that runs a body as the effect called by a name, in each shape."""
    return lambda body, name="pay", **options: in_shape(request.param, ledger, body, name, options)


def in_shape(shape: str, ledger: Ledger, body: Any, name: str, options: dict[str, Any]) -> Any:
    """Run *body* once as *name*; options go to the ledger of a block, which takes none."""
    if shape in {"with", "async with"} and options:
        ledger = Ledger(ledger._books.store, wait=0, **options)
    match shape:
        case "def":

            @ledger.once(name=name, **options)
            def tool() -> Any:
                return body()

            return tool()
        case "async def":

            @ledger.once(name=name, **options)
            async def tool() -> Any:
                await asyncio.sleep(0)
                return body()

            return asyncio.run(tool())
        case "with":
            with ledger.step(name) as step:
                if step.fresh:
                    step.result = body()
            return step.result
        case _:
            return asyncio.run(in_async_block(ledger, body, name))


async def in_async_block(ledger: Ledger, body: Any, name: str) -> Any:
    async with ledger.step(name) as step:
        if step.fresh:
            await asyncio.sleep(0)
            step.result = body()
    return step.result

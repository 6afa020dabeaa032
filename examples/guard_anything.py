"""One breaker around everything that can be called, and around what you do not own."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
from typing import TYPE_CHECKING, Any

from patterns import CircuitBreaker, guard_import, guard_tools, layers
from patterns.errors import CircuitOpen, Misuse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

breaker = CircuitBreaker("billing-api", failure_threshold=2)


class Billing:
    """Every kind of method."""

    @breaker.protect
    def charge(self, order_id: str, amount: int) -> str:
        """Charge an order."""
        return f"charged {amount} for {order_id}"

    @classmethod
    @breaker.protect
    def currency(cls) -> str:
        """Tell the currency."""
        return "EUR"

    @property
    @breaker.protect
    def balance(self) -> int:
        """Tell the balance."""
        return 7

    @breaker.protect
    def invoices(self) -> Iterator[str]:
        """Yield the invoices; one guarded call from the first to the last."""
        yield from ("invoice-1", "invoice-2")

    @breaker.protect
    async def events(self) -> AsyncIterator[str]:
        """Follow what happens."""
        yield "paid"

    @contextlib.contextmanager
    @breaker.protect
    def session(self) -> Iterator[str]:
        """Hold a connection; its block is part of the guarded call."""
        yield "connection"


class Tool:
    """What an agent framework makes of a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name = function.__name__
        self.description = function.__doc__
        self.func = function

    def invoke(self, **arguments: object) -> object:
        """Call the function inside."""
        return self.func(**arguments)


def show_methods() -> None:
    """Methods bind, and every kind keeps its kind."""
    billing = Billing()
    print(billing.charge("A1", 20), billing.currency(), billing.balance, *billing.invoices())

    async def follow() -> list[str]:
        return [event async for event in billing.events()]

    print(*asyncio.run(follow()))
    with billing.session() as connection, breaker.step("nightly sync") as step:
        step.result = connection
    print(breaker.protect(functools.partial(pow, 2))(10), layers(Billing.charge))


def show_tools() -> None:
    """A framework's object is guarded on the inside, and a useless guard around it is refused."""
    tool = Tool(Billing().charge)
    (guarded,) = guard_tools([tool], breaker.protect)
    print(guarded.invoke(order_id="A2", amount=5))
    try:
        breaker.protect(tool)  # type: ignore[call-overload]  # a type checker sees it, too
    except Misuse as error:
        print(error)


def show_strangers() -> None:
    """A function of somebody else's module, guarded until it is undone."""
    guarded = guard_import("json:loads", breaker.protect)
    for text in ("{", "{", "{}"):
        try:
            print(json.loads(text))
        except json.JSONDecodeError as error:
            print("failed:", error)
        except CircuitOpen as error:
            print(error.for_model())
    guarded.undo()
    print(json.loads("{}"), layers(json.loads))


if __name__ == "__main__":
    show_methods()
    show_tools()
    show_strangers()

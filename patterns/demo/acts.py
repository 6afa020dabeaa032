"""The acts of the demo: each injects one real fault and lets the agent do what agents do then."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

from attrs import define

from patterns.demo.shop import CUSTOMERS, orders, stock
from patterns.errors import CircuitOpen, InDoubt, PatternsError, Refused
from patterns.kernel import faults

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from patterns.demo.client import Payments
    from patterns.demo.safety import Safety
    from patterns.demo.tools import Tools

__all__ = ["ACTS", "World"]

_TRIES = 6


@define
class World:
    """What the acts play with; ``safety`` is None in the unguarded run."""

    tools: Tools
    payments: Payments
    shop: sqlite3.Connection
    safety: Safety | None
    tell: Callable[..., None]
    again: bool = False


def _persist(world: World, tool: Callable[..., Any], *arguments: Any, tries: int = _TRIES) -> Any:
    """Call a tool the way agents do: again and again, unless the answer says not to."""
    named = f"{getattr(tool, '__name__', tool)}({', '.join(map(repr, arguments))})"
    for _ in range(tries):
        world.tell("tool", named, asked=named.startswith("charge"))
        try:
            result = tool(*arguments)
        except CircuitOpen as refused:
            world.tell("stop", refused.for_model())
            time.sleep(refused.retry_after or 0.0)  # noqa: TID251 - the agent waits as it was told
        except InDoubt as doubt:
            world.tell("stop", doubt.for_model())
            _find_out(world, doubt, arguments[0])
        except Refused as refused:
            world.tell("stop", refused.for_model())
            return None
        except Exception as error:  # noqa: BLE001 - the agent sees any error as a reason to try again
            world.tell("bad", f"{type(error).__name__}: {error}")
        else:
            world.tell("good", f"{named} returned {result!r}" if result is not None else f"{named} done")
            return result
    return None


def _find_out(world: World, doubt: InDoubt, order: str) -> None:
    """Do what a person does with a doubt: ask the provider, then say so to the ledger."""
    if world.safety is None:
        raise AssertionError("only the guarded run knows doubt")
    happened = world.safety.find_out(doubt, world.payments, order)
    if happened is None:
        world.tell("note", f"the provider knows of no charge for {order}; the ledger is told that it did not happen")
    else:
        world.tell("note", f"the provider has the charge {happened['id']} for {order}; the ledger is told so")


def outage(world: World) -> None:
    """The payment service is down."""
    world.payments.order_faults(*["down"] * 3)
    _persist(world, world.tools.charge, "A1", 20)
    world.tools.mark_paid("A1")


def repeated_call(world: World) -> None:
    """The model calls the same tool twice."""
    _persist(world, world.tools.charge, "A1", 20)


def lost_answer(world: World) -> None:
    """The money moves, the answer is lost."""
    world.payments.order_faults("lose the answer")
    _persist(world, world.tools.charge, "A2", 180)
    world.tools.mark_paid("A2")


def crash(world: World) -> None:
    """Kill -9 between payment and record."""
    if not world.again:
        world.tell("note", "the process is killed with SIGKILL the moment the money has moved")
        faults.arm(lambda label: os.kill(os.getpid(), signal.SIGKILL) if label == "demo.paid" else None)
    elif orders(world.shop)["A3"][1] == "open":
        world.tell("note", "started again: order A3 is not marked as paid, so the agent charges it")
    _persist(world, world.tools.charge, "A3", 75)
    world.tools.mark_paid("A3")


def bulk_action(world: World) -> None:
    """A bulk action with a wrong date."""
    world.tell("note", f"asked to remove customers not seen since 2016, the model writes 2036; there are {CUSTOMERS}")
    _persist(world, world.tools.delete_customers, "2036-01-01", tries=1)
    left = world.shop.execute("SELECT count(*) FROM customers").fetchone()[0]
    lost = CUSTOMERS - left
    world.tell("good" if left == CUSTOMERS else "bad", f"{left} customers are left", customers_lost=lost)


def half_an_order(world: World) -> None:
    """An order that fails half-way."""
    before = stock(world.shop, "desk")
    try:
        if world.safety is None:
            _order(world, world.tools)
        else:
            with world.safety.order("A5"):
                _order(world, world.safety.in_saga(world.tools))
    except PatternsError as error:
        world.tell("bad", str(error))
    except Exception as error:  # noqa: BLE001 - the agent gives up the order
        world.tell("bad", f"{type(error).__name__}: {error}")
    for movement in world.payments.movements("A5"):
        world.tell("note", f"the payment service: {movement['kind']} {movement['amount']} for A5")
    kept = before - stock(world.shop, "desk")
    world.tell("bad" if kept else "good", f"{kept} desks are reserved for nobody")


def _order(world: World, tools: Tools) -> None:
    steps: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
        (tools.reserve, ("desk",)),
        (tools.charge, ("A5", 180)),
        (tools.ship, ("A5",)),
    ]
    for tool, arguments in steps:
        named = f"{getattr(tool, '__name__', tool)}({', '.join(map(repr, arguments))})"
        world.tell("tool", named, asked=named.startswith("charge"))
        tool(*arguments)


ACTS = (outage, repeated_call, lost_answer, crash, bulk_action, half_an_order)

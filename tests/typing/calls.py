"""How runs, calls and stacks are used, for type checkers; nothing here is executed."""

# pyright: reportUnnecessaryTypeIgnoreComment=true
from __future__ import annotations

from typing import assert_type

import patterns
from patterns import Call, current_call, current_run, distinct, guard_tools, layers, run


def refund(order_id: str, amount: int = 0) -> float:
    """Stand for a tool."""
    return amount / len(order_id)


async def runs() -> None:
    """A run is a context for both colours."""
    with run("ticket-4711", tenant="acme", agent="support-bot", user="u-17"), distinct("second gift"):
        here = current_run()
        assert_type(here.id if here else None, str | None)
        assert_type(current_call(), Call | None)


def stacks() -> None:
    """The stack is asked for by a free function; carrying a run keeps the signature."""
    assert_type(layers(refund), tuple[str, ...])
    carried = patterns.carry(refund)
    assert_type(carried("A1", amount=20), float)
    carried(20)  # type: ignore[arg-type]


def tools() -> None:
    """Guarded tools keep their types and their names."""
    assert_type(guard_tools([refund], lambda tool: tool)[0]("A1"), float)
    assert_type(guard_tools({"refund": refund}, lambda tool: tool)["refund"]("A1", 20), float)


def wrong() -> None:
    """Mistakes that a checker finds."""
    run("ticket-4711", "acme")  # type: ignore[call-arg]
    distinct()  # type: ignore[call-arg]

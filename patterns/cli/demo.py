"""``patterns demo``: see the whole point with your own eyes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from patterns.cli.output import say_json

if TYPE_CHECKING:
    import argparse

__all__ = ["add"]

_PAUSES = {"fast": 0.0, "normal": 0.04, "slow": 0.6}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``demo``."""
    demo = commands.add_parser(
        "demo",
        help="a scripted agent, a real shop, a real payment service, and everything that can go wrong",
        description="Plays six bad moments of an agent against real processes and counts the money afterwards. "
        "Exit code 1: money was lost in the guarded run.",
    )
    demo.add_argument("--without", action="store_true", help="the same agent with bare tools, to see the difference")
    pace = demo.add_mutually_exclusive_group()
    pace.add_argument("--fast", action="store_const", dest="pace", const="fast", help="without pauses")
    pace.add_argument("--slow", action="store_const", dest="pace", const="slow", help="for reading along")
    demo.add_argument("--json", action="store_true", help="print only the numbers, as JSON")
    demo.set_defaults(run=_run, pace="normal")


def _run(options: argparse.Namespace) -> int:
    from patterns.demo.runner import run_demo  # noqa: PLC0415 - needs the extra "demo"
    from patterns.demo.show import Screen, Silence  # noqa: PLC0415 - loaded when needed

    screen = Silence() if options.json else Screen(pause=_PAUSES[options.pace])
    screen.title(
        "An agent looks after a small shop. The shop and the payment service are real; so are the faults.",
        "Bare tools: nothing stands between the agent and the world."
        if options.without
        else "Every tool is guarded: circuit breaker, idempotency ledger, impact gate, audit log, saga, explanations.",
    )
    result = run_demo(screen, without=options.without)
    if options.json:
        say_json(result.as_dict(without=options.without))
    return int(not options.without and bool(result.money_lost or result.customers_lost or result.failures))

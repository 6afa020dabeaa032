"""The scripted agent: what a model does on a bad day, act by act. It runs as a process of its own and gets killed.

It prints one JSON line per event for the demo's screen. With ``--without`` it
does exactly the same with the bare tools.
"""

from __future__ import annotations

import argparse
import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import patterns
from patterns.demo.acts import ACTS, World
from patterns.demo.client import Payments
from patterns.demo.shop import open_shop
from patterns.demo.tools import plain_tools

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def _tell(kind: str, text: str, **facts: Any) -> None:
    print(json.dumps({"kind": kind, "text": text, **facts}), flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Play the acts from *--start* on."""
    words = argparse.ArgumentParser(prog="python -m patterns.demo.agent")
    words.add_argument("place", type=Path)
    words.add_argument("port", type=int)
    words.add_argument("--start", type=int, default=0)
    words.add_argument("--again", action="store_true", help="the first act was begun by a process that died")
    words.add_argument("--without", action="store_true")
    options = words.parse_args(arguments)
    shop, payments = open_shop(options.place / "shop.db"), Payments(options.port)
    tools, safety = plain_tools(lambda: nullcontext(shop), payments), None
    if not options.without:
        from patterns.demo.safety import Safety  # noqa: PLC0415 - the bare agent runs without the library

        safety = Safety(options.place)
        tools = safety.guarded(plain_tools(safety.world.connection, payments))
    world = World(tools=tools, payments=payments, shop=shop, safety=safety, tell=_tell, again=options.again)
    with patterns.run("ticket-4711", tenant="shop", agent="support-bot"):
        for number, act in enumerate(ACTS):
            if number >= options.start:
                _tell("act", (act.__doc__ or act.__name__).rstrip("."), number=number)
                act(world)
                world.again = False
    if safety is not None:
        safety.close()


if __name__ == "__main__":
    main()

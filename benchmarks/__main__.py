"""``python -m benchmarks [TABLE ...] [--json FILE] [--rounds N]`` times what is claimed."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

from benchmarks.harness import ROUNDS, Table, measure
from benchmarks.report import as_json, as_markdown, machine

# A new table is a module here with a function `tables()`.
MODULES = ("breaker", "depth", "telemetry")


def tables() -> list[Table]:
    """Return every table in the order they are shown."""
    return [table for name in MODULES for table in importlib.import_module(f"benchmarks.{name}").tables()]


def main() -> int:
    """Measure and print the tables that were asked for, or all."""
    every = {table.name: table for table in tables()}
    words = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    words.add_argument("table", nargs="*", help=f"some of: {', '.join(every)}")
    words.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there as well")
    words.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each case is timed ({ROUNDS})")
    options = words.parse_args()
    unknown = [name for name in options.table if name not in every]
    if unknown:
        words.error(f"no table is called {', '.join(unknown)}; there are {', '.join(every)}")
    print(f"{machine()}, {options.rounds} rounds, interleaved\n")
    numbers = []
    for name in options.table or every:
        results = measure(every[name], rounds=options.rounds)
        print(as_markdown(every[name], results), flush=True)
        numbers.append(as_json(every[name], results))
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

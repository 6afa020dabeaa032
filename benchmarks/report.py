"""Shows results as a table for people and as JSON for programs."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.harness import Result, Table

__all__ = ["as_json", "as_markdown", "machine"]


def machine() -> str:
    """Return what it was measured on."""
    return f"{platform.python_implementation()} {platform.python_version()}, {platform.system()} {platform.machine()}"


def _baseline(table: Table, results: Sequence[Result]) -> Result:
    """Return the baseline's result; the first one if the baseline is a peer that is not installed."""
    return next((result for result in results if result.case.name == table.baseline), results[0])


def as_markdown(table: Table, results: Sequence[Result]) -> str:
    """Return a Markdown table: microseconds per call and the ratio to the baseline."""
    baseline = _baseline(table, results)
    base = baseline.median
    lines = [
        f"### {table.title}",
        "",
        f"| | min µs | median µs | max µs | ratio to {baseline.case.name} |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        low, middle, high = result.seconds[0], result.median, result.seconds[-1]
        name = f"**{result.case.name}**" if result.case.ours else result.case.name
        lines.append(f"| {name} | {low * 1e6:.3f} | {middle * 1e6:.3f} | {high * 1e6:.3f} | {middle / base:.2f} |")
    missing = [case.name for case in table.cases if case.name not in {result.case.name for result in results}]
    if missing:
        lines += ["", f'Left out, not installed or not able to: {", ".join(missing)} (`pip install ".[bench]"`).']
    if table.notes:
        lines += ["", table.notes]
    return "\n".join(lines) + "\n"


def as_json(table: Table, results: Sequence[Result]) -> dict[str, Any]:
    """Return the same as plain values, in seconds."""
    baseline = _baseline(table, results)
    base = baseline.median
    return {
        "table": table.name,
        "title": table.title,
        "machine": machine(),
        "baseline": baseline.case.name,
        "cases": [
            {
                "name": result.case.name,
                "ours": result.case.ours,
                "min": result.seconds[0],
                "median": result.median,
                "max": result.seconds[-1],
                "ratio": result.median / base,
            }
            for result in results
        ],
    }

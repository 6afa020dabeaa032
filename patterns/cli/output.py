"""How commands speak: a table for people, JSON for programs, one line on standard error when something is wrong."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["complain", "natural", "say", "say_json", "table"]


def natural(text: str) -> int:
    """Read a number from the command line that is not negative."""
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def say(text: str) -> None:
    """Print one line for a person."""
    print(_printable(text))


def say_json(value: Any) -> None:
    """Print *value* as one JSON document."""
    print(json.dumps(value, indent=2, default=str, ensure_ascii=not _speaks_unicode()))


def complain(text: str) -> None:
    """Print what is wrong to standard error."""
    print(f"patterns: {text}", file=sys.stderr)


def _speaks_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _printable(text: str) -> str:
    """Keep control characters of stored text from driving the terminal."""
    shown = "".join(
        character if character.isprintable() or character in "\n\t" else repr(character)[1:-1] for character in text
    )
    encoding = sys.stdout.encoding or "utf-8"
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print *rows* under *columns*; with rich on a terminal, plain and aligned elsewhere."""
    cells = [[_printable(str("" if row.get(column) is None else row[column])) for column in columns] for row in rows]
    if sys.stdout.isatty() and _rich_table(columns, cells):
        return
    widths = [max(len(line[place]) for line in [list(columns), *cells]) for place in range(len(columns))]
    for line in [list(columns), *cells]:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _rich_table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> bool:
    try:
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table
    except ImportError:
        return False
    shown = Table(*columns, box=None, header_style="bold")
    for line in cells:
        shown.add_row(*map(escape, line))
    Console().print(shown)
    return True

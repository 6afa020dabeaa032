"""How the demo looks: short sections, one line per event, a closing table; plain text when it is not a terminal."""

from __future__ import annotations

import sys
import textwrap
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Screen", "Silence"]

_MARKS = {"good": "✓", "bad": "✗", "stop": "■", "note": "·", "tool": "→"}
_PLAIN_MARKS = {"good": "ok", "bad": "!!", "stop": "--", "note": "  ", "tool": "->"}
_COLOURS = {"good": "32", "bad": "31", "stop": "33", "note": "2", "tool": "0"}
_WIDTH = 100


class Screen:
    """Prints the demo.

    Args:
        pause: Seconds to wait after each line, for reading along.

    """

    def __init__(self, *, pause: float = 0.0) -> None:
        self._pause = pause
        self._colour = sys.stdout.isatty()
        unicode = (sys.stdout.encoding or "").lower().startswith("utf")
        self._marks = _MARKS if unicode else _PLAIN_MARKS
        self._rule = "─" if unicode else "-"

    def _print(self, text: str, colour: str = "0") -> None:
        print(f"\033[{colour}m{text}\033[0m" if self._colour and colour != "0" else text, flush=True)
        if self._pause:
            time.sleep(self._pause)  # noqa: TID251 - for a person who reads

    def title(self, text: str, words: str = "") -> None:
        """Begin the demo."""
        self._print(text, "1")
        self.paragraph(words)

    def section(self, number: int, text: str) -> None:
        """Begin an act."""
        self._print("")
        self._print(f"{number}  {text}", "1")

    def paragraph(self, words: str) -> None:
        """Print prose."""
        for line in textwrap.wrap(words, _WIDTH):
            self._print(line, "2")

    def line(self, kind: str, text: str) -> None:
        """Print one event; *kind* is good, bad, stop, note or tool."""
        first, *rest = textwrap.wrap(text, _WIDTH - 6) or [""]
        self._print(f"   {self._marks[kind]} {first}", _COLOURS[kind])
        for line in rest:
            self._print(f"     {line}", _COLOURS[kind])

    def block(self, lines: Sequence[str]) -> None:
        """Print prepared lines, such as a tree, as they are."""
        for line in lines:
            self._print(f"   {line}")

    def table(self, rows: Sequence[tuple[str, str]]) -> None:
        """Print the closing table."""
        width = max(len(name) for name, _ in rows)
        self._print("")
        self._print(self._rule * (width + 24))
        for name, value in rows:
            self._print(f"{name:<{width}}  {value}")
        self._print(self._rule * (width + 24))


class Silence(Screen):
    """Shows nothing, for programs that want the numbers only."""

    def _print(self, text: str, colour: str = "0") -> None:
        del text, colour

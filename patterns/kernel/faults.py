"""Named points where a test can make the process die, fail or wait; nothing happens unless one is armed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["arm", "reach"]

_on_reach: Callable[[str], None] | None = None


def arm(on_reach: Callable[[str], None] | None) -> Callable[[str], None] | None:
    """Call *on_reach* with the label of every point that is reached from now on; None disarms.

    Returns:
        What was armed before.

    """
    global _on_reach
    before, _on_reach = _on_reach, on_reach
    return before


def reach(label: str) -> None:
    """Say that the point *label* is reached."""
    if _on_reach is not None:
        _on_reach(label)

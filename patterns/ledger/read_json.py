"""Reading JSON that the ledger wrote, with orjson if it is there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LARGEST", "read_json"]

LARGEST = 2**63
"""Integers from here on are not written as numbers, since not every reader keeps them exactly."""

_loads: Callable[[str], Any] | None = None


def read_json(text: str) -> Any:
    """Return what *text* says.

    Raises:
        ValueError: It is not JSON.

    """
    try:
        return (_loads or _choose())(text)
    except ValueError:  # orjson refuses half a surrogate pair, which the standard library reads
        return json.loads(text)


def _choose() -> Callable[[str], Any]:
    global _loads  # noqa: PLW0603 - chosen at the first use
    try:
        from orjson import loads
    except ImportError:
        _loads = json.loads
    else:
        _loads = loads
    return _loads

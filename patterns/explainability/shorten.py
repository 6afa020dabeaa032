"""Makes any value small, plain and harmless to keep: a copy, bounded in depth, length and text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Limits", "shorten"]

_CUT = "…"
_LARGE = 10**18


@frozen(kw_only=True)
class Limits:
    """How much of a value is kept.

    Args:
        text: Characters of a text.
        items: Entries of a list or mapping.
        depth: Levels of nesting.

    """

    text: int = 500
    items: int = 20
    depth: int = 4


def shorten(value: Any, limits: Limits, depth: int = 0) -> Any:
    """Return a plain copy of *value* within *limits*; what is cut shows it. A value whose repr raises is named."""
    if value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < _LARGE):
        return value
    if isinstance(value, str):
        return _text(value, limits)
    if depth >= limits.depth:
        return _CUT
    if isinstance(value, dict):
        return _mapping(value, limits, depth)
    if isinstance(value, (list, tuple, set, frozenset)):
        kept = [shorten(one, limits, depth + 1) for _, one in zip(range(limits.items), value, strict=False)]
        return [*kept, _CUT] if len(value) > limits.items else kept
    return _text(_shown(value), limits)


def _mapping(value: Mapping[Any, Any], limits: Limits, depth: int) -> dict[str, Any]:
    pairs = zip(range(limits.items), value.items(), strict=False)
    kept = {_text(_shown(key), limits): shorten(one, limits, depth + 1) for _, (key, one) in pairs}
    return {**kept, _CUT: _CUT} if len(value) > limits.items else kept


def _text(text: str, limits: Limits) -> str:
    clean = text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
    return clean if len(clean) <= limits.text else clean[: limits.text] + _CUT


def _shown(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - explaining must not break a call
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"

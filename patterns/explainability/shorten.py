"""Makes any value small, plain and harmless to keep: a copy, bounded in depth, length and text."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from patterns.errors import misuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Limits", "plain_copy", "said", "shorten"]

_CUT = "…"
_LARGE = 10**18


def _positive(limits: Limits, attribute: Any, value: int) -> None:
    del limits
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        misuse(
            f"{attribute.name} is a whole number from 1 on",
            wrong=f"Limits({attribute.name}={value!r})",
            right=f"Limits({attribute.name}={attribute.default})",
        )


@frozen(kw_only=True)
class Limits:
    """How much of a value is kept.

    Args:
        text: Characters of a text.
        items: Entries of a list or mapping.
        depth: Levels of nesting.

    Raises:
        Misuse: A limit is not a positive whole number.

    """

    text: int = field(default=500, validator=_positive)
    items: int = field(default=20, validator=_positive)
    depth: int = field(default=4, validator=_positive)


def shorten(value: Any, limits: Limits, depth: int = 0) -> Any:
    """Return a plain copy of *value* within *limits*; what is cut shows it. A value whose repr raises is named."""
    if isinstance(value, Enum):
        value = value.value
    if _is_short(value):
        return value
    if isinstance(value, (bytes, bytearray)):
        return f"<{len(value)} bytes>"
    if isinstance(value, (dict, list, tuple, set, frozenset)):
        return _container(value, limits, depth)
    return _text(_shown(value), limits)


def _is_short(value: Any) -> bool:
    if isinstance(value, float):
        return value - value == 0  # JSON has no infinity and no NaN
    return value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < _LARGE)


def _container(value: Any, limits: Limits, depth: int) -> Any:
    if depth >= limits.depth:
        return _CUT
    if isinstance(value, dict):
        return _mapping(value, limits, depth)
    kept = [shorten(one, limits, depth + 1) for one in _first(value, limits)]
    return [*kept, _CUT] if len(value) > limits.items else kept


def _mapping(value: Mapping[Any, Any], limits: Limits, depth: int) -> dict[str, Any]:
    pairs = _first(value.items(), limits)
    kept = {_text(_shown(key), limits): shorten(one, limits, depth + 1) for key, one in pairs}
    return {**kept, _CUT: _CUT} if len(value) > limits.items else kept


def _first(values: Iterable[Any], limits: Limits) -> list[Any]:
    return [one for _, one in zip(range(limits.items), values, strict=False)]


def _text(text: str, limits: Limits) -> str:
    kept = text if len(text) <= limits.text else text[: limits.text] + _CUT
    return kept if kept.isascii() else kept.encode("utf-8", "backslashreplace").decode()


def _shown(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - explaining must not break a call
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"


def said(error: BaseException) -> str:
    """Return type and text of *error*, whatever its text does."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - explaining must not break a call
        return f"{type(error).__name__}, whose text cannot be had"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def plain_copy(value: Any) -> Any:
    """Return *value* with its plain containers copied, so that whoever changes the copy does not change a call."""
    try:
        return _copied(value)
    except RecursionError:
        return value  # it contains itself


def _copied(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {key: _copied(one) for key, one in value.items()}
    if kind in {list, tuple, set}:
        return kind(map(_copied, value))
    return value

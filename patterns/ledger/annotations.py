"""What a function's return annotation tells of its results before any exists."""

from __future__ import annotations

from inspect import isabstract
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints, is_typeddict

from patterns.errors import misuse
from patterns.ledger.value_classes import form_of
from patterns.ledger.value_types import SCALARS, label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from patterns.kernel.target import Target

__all__ = ["declared_classes", "refuse_unrecordable"]

_PLAIN = frozenset({str, int, float, bool, type(None), list, dict, tuple, set, frozenset, object, Any})
_ONCE_ONLY = frozenset({"Iterator", "Generator", "AsyncIterator", "AsyncGenerator", "Coroutine", "Awaitable"})


def refuse_unrecordable(target: Target) -> None:
    """Refuse a function whose annotation promises results that no record can hold.

    Raises:
        Misuse: It does; an effect whose result is lost is better not begun.

    """
    annotation = _returned(target.function)
    culprit = _culprit(annotation)
    if culprit is not None:
        misuse(
            f"{target.name} returns {culprit}, which cannot be recorded and handed out again",
            wrong=f"def {target.name}(...) -> {culprit}: ...",
            right=f"def {target.name}(...) -> Receipt: ...  # a dataclass, attrs or pydantic class; or str, dict, ...",
        )


def declared_classes(function: Callable[..., Any]) -> list[type]:
    """Return the classes the return annotation mentions, and those their fields mention."""
    found: list[type] = []
    for kind in _mentioned(_returned(function)):
        _collect(kind, found)
    return found


def _collect(kind: type, found: list[type]) -> None:
    if kind in found or form_of(kind) is None:
        return
    found.append(kind)
    for annotation in _hints(kind).values():
        for inner in _mentioned(annotation):
            _collect(inner, found)


def _mentioned(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        yield annotation
    for argument in get_args(annotation):
        yield from _mentioned(argument)


def _returned(function: Callable[..., Any]) -> Any:
    return _hints(function).get("return", Any)


def _hints(thing: Any) -> dict[str, Any]:
    try:
        return get_type_hints(thing)
    except Exception:  # noqa: BLE001 - an annotation may be anything, and name what does not exist yet
        return {}


def _culprit(annotation: Any) -> str | None:
    """Return the name of what can never be recorded, or None if it cannot be told."""
    origin = get_origin(annotation)
    if origin is None:
        return label(annotation) if isinstance(annotation, type) and not _may_be_recorded(annotation) else None
    if origin.__name__ in _ONCE_ONLY:
        return str(origin.__name__)
    if origin in _PLAIN:
        return next((culprit for one in get_args(annotation) if (culprit := _culprit(one))), None)
    if str(origin.__name__) in {"Union", "UnionType"}:
        culprits = [_culprit(one) for one in get_args(annotation) if one is not type(None)]
        return None if None in culprits else culprits[0]
    return _culprit(origin) if isinstance(origin, type) else None


def _may_be_recorded(kind: type) -> bool:
    if kind.__name__ in _ONCE_ONLY and kind.__module__ == "collections.abc":
        return False
    if kind in _PLAIN or (kind.__module__, kind.__qualname__) in SCALARS or form_of(kind) is not None:
        return True
    return isabstract(kind) or getattr(kind, "_is_protocol", False) or is_typeddict(kind) or _is_open(kind)


def _is_open(kind: type) -> bool:
    """Whether other classes count as its subclasses without inheriting from it, or it is a base of recordable ones."""
    return "__subclasshook__" in vars(kind) or any(map(form_of, type.__subclasses__(kind)))

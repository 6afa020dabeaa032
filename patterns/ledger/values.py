"""Results as JSON text, typed: what is replayed equals what was returned, type for type.

What JSON says exactly is written as JSON. Anything else is an object with one
key, its tag: ``{"$tuple": [1, 2]}``, ``{"$decimal": "0.10"}``,
``{"$new": ["shop:Receipt", {"id": "r-1"}]}``. A dictionary whose keys JSON
would turn into texts, or whose keys begin with ``$``, is ``{"$dict": pairs}``.

Objects are rebuilt from their fields alone: no ``__init__`` runs, nothing is
imported, and only records (dataclasses, attrs and pydantic classes, named
tuples) and enumerations are rebuilt at all. A pydantic model with fields of
other types goes through its own JSON, if it comes back equal.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as _text
from math import isfinite
from typing import TYPE_CHECKING, Any

from patterns.ledger.read_json import LARGEST, read_json
from patterns.ledger.value_types import SCALARS, Unrecordable, label, restore_scalar

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.ledger.value_classes import Classes

__all__ = ["LOST", "Unrecordable", "dump", "from_plain", "load", "to_plain"]

_DEPTH = 200
_PLAIN = frozenset({str, bool, type(None)})
_json = json.JSONEncoder(check_circular=False, allow_nan=False, separators=(",", ":")).encode


def dump(value: Any, classes: Classes) -> str:
    """Return *value* as JSON text.

    Args:
        value: What a function returned.
        classes: Remembers the classes met, and knows how to take their instances apart.

    Raises:
        Unrecordable: It holds something that cannot be rebuilt later; the text says what and where.

    """
    kind = type(value)
    if value is None:
        return "null"
    if kind is str:
        return _text(value)
    if kind is bool or (kind is int and -LARGEST < value < LARGEST):
        return repr(value).lower()
    return _json(to_plain(value, classes, "result"))


def load(text: str, classes: Classes) -> Any:
    """Return a new value equal to the one that was dumped.

    Raises:
        Unrecordable: A class it is made of is not known here, or is not what it was.

    """
    return from_plain(read_json(text), classes)


def to_plain(value: object, classes: Classes, path: str) -> Any:
    """Return *value* as what `json` writes exactly, *path* naming it in errors.

    Raises:
        Unrecordable: As for `dump`.

    """
    try:
        return _plain(value, classes, _DEPTH, path)
    except RecursionError:  # the caller itself was deep in the stack
        raise Unrecordable(f"{path} is nested too deeply") from None


def from_plain(plain: Any, classes: Classes) -> Any:
    """Return the value that `to_plain` took apart.

    Raises:
        Unrecordable: As for `load`.

    """
    try:
        return _typed(plain, classes)
    except (ValueError, TypeError, ArithmeticError, LookupError) as problem:
        raise Unrecordable(f"it cannot be rebuilt ({type(problem).__name__}: {problem})") from problem


def _plain(value: Any, classes: Classes, depth: int, path: str) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is int:
        return value if -LARGEST < value < LARGEST else {"$int": hex(value)}
    if kind is float:
        return value if isfinite(value) else {"$float": repr(value)}
    if not depth:
        raise Unrecordable(f"{path} is nested more than {_DEPTH} deep, or holds itself")
    take_apart = _CONTAINERS.get(kind)
    if take_apart is not None:
        return take_apart(value, classes, depth - 1, path)
    scalar = SCALARS.get((kind.__module__, kind.__qualname__))
    if scalar is not None:
        return {scalar.tag: scalar.write(value, path)}
    return _object(value, classes, depth - 1, path)


def _list(value: list[Any], classes: Classes, depth: int, path: str) -> list[Any]:
    return [_plain(item, classes, depth, f"{path}[{number}]") for number, item in enumerate(value)]


def _dict(value: dict[Any, Any], classes: Classes, depth: int, path: str) -> dict[str, Any]:
    if all(type(key) is str and not key.startswith("$") for key in value):
        return {key: _plain(item, classes, depth, f"{path}[{key!r}]") for key, item in value.items()}
    return {"$dict": _pairs(value, classes, depth, path)}


def _pairs(value: dict[Any, Any], classes: Classes, depth: int, path: str) -> list[Any]:
    return [
        [_plain(key, classes, depth, f"a key of {path}"), _plain(item, classes, depth, f"{path}[{key!r}]")]
        for key, item in value.items()
    ]


def _tagged(tag: str) -> Callable[[Any, Classes, int, str], dict[str, Any]]:
    def take_apart(value: Any, classes: Classes, depth: int, path: str) -> dict[str, Any]:
        return {tag: _list(list(value), classes, depth, path)}

    return take_apart


_CONTAINERS: dict[type, Callable[[Any, Classes, int, str], Any]] = {
    list: _list,
    dict: _dict,
    tuple: _tagged("$tuple"),
    set: _tagged("$set"),
    frozenset: _tagged("$frozenset"),
}


def _object(value: Any, classes: Classes, depth: int, path: str) -> dict[str, Any]:
    form = classes.form_of(type(value))
    if form is None:
        raise Unrecordable(f"{path} is a {label(type(value))}, which cannot be rebuilt from a record")
    name = classes.remember(type(value))
    try:
        return {form.tag: [name, _plain(form.take_apart(value, path), classes, depth, path)]}
    except Unrecordable:
        text = form.as_text(value) if form.as_text else None
        if text is None:
            raise
        return {"$model": [name, text]}


# Back


def _typed(plain: Any, classes: Classes) -> Any:
    if type(plain) is list:
        return [_typed(item, classes) for item in plain]
    if type(plain) is not dict:
        return plain
    if len(plain) == 1:
        ((tag, content),) = plain.items()
        if tag.startswith("$"):
            return _untagged(tag, content, classes)
    return {key: _typed(item, classes) for key, item in plain.items()}


def _untagged(tag: str, content: Any, classes: Classes) -> Any:
    rebuild = _REBUILDERS.get(tag)
    if rebuild is not None:
        return rebuild(content, classes)
    if tag in _OBJECTS:
        name, parts = content
        return classes.rebuild(tag, name, _typed(parts, classes))
    if tag == LOST:
        raise Unrecordable(content)
    return restore_scalar(tag, content)


LOST = "$lost"
"""Tag of what stands in for a value that could not be recorded; its content says why."""

_OBJECTS = frozenset({"$new", "$enum", "$flag", "$named", "$model"})

_REBUILDERS: dict[str, Callable[[Any, Classes], Any]] = {
    "$tuple": lambda content, classes: tuple(_typed(content, classes)),
    "$set": lambda content, classes: set(_typed(content, classes)),
    "$frozenset": lambda content, classes: frozenset(_typed(content, classes)),
    "$dict": lambda content, classes: {_typed(key, classes): _typed(item, classes) for key, item in content},
    "$int": lambda content, _: int(content, 16),
    "$float": lambda content, _: float(content),
}

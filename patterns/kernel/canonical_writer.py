"""Writes any value in k1, one container after the other; the format is specified in docs/encoding.md."""

from __future__ import annotations

from json.encoder import encode_basestring, encode_basestring_ascii
from typing import TYPE_CHECKING, Any

from patterns.kernel.canonical_types import OwnKey, Record, Tagged, Unspellable, int_text, spelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["DEPTH", "SIGIL", "text_of"]

DEPTH = 64
"""How many containers may lie in one another."""

SIGIL = "$"
"""Starts the name of every tag; an ordinary key that starts with it gets one more."""

_LONGEST_STEP = 40
_SHOWN_STEPS = 8


def text_of(value: object, *, path: str) -> str:
    """Return the k1 text of *value*.

    Args:
        value: What to spell.
        path: What to call it in an error.

    Raises:
        Unspellable: It has no spelling; the text says where and why.

    """
    try:
        return _text(value, [])
    except Unspellable as refusal:
        told = Unspellable(_told(refusal, path))
        told.steps = refusal.steps
        raise told from refusal.__cause__


def _text(value: Any, trail: list[object]) -> str:
    kind = type(value)
    scalar = _SCALARS.get(kind)
    if scalar is not None:
        return scalar(value)
    body = _BODIES.get(kind)
    if body is not None:
        return _deeper(body, value, value, trail)
    spelling = spelled(value)
    if type(spelling) is Tagged:
        return f'{{"{spelling.tag}":{_payload(spelling.payload)}}}'
    if type(spelling) is Record or type(spelling) is OwnKey:
        return _deeper(_BODIES[type(spelling)], value, spelling, trail)
    return _text(spelling, trail)


def _deeper(body: Callable[[Any, list[object]], str], owner: object, content: object, trail: list[object]) -> str:
    if len(trail) == DEPTH:
        refusal = Unspellable(f"it lies more than {DEPTH} levels deep")
        refusal.trail = (*trail, owner)
        raise refusal
    trail.append(owner)
    text = body(content, trail)
    trail.pop()
    return text


# Containers; each adds one step to the path of a refusal.


def _array(items: Iterable[object], trail: list[object]) -> str:
    parts: list[str] = []
    try:
        for item in items:
            parts.append(_text(item, trail))  # noqa: PERF401 - a refusal needs to know how far it got
    except Unspellable as refusal:
        refusal.steps.append(f"[{len(parts)}]")
        raise
    return f"[{','.join(parts)}]"


def _set(items: Iterable[object], trail: list[object]) -> str:
    try:
        parts = [_text(item, trail) for item in items]
    except Unspellable as refusal:
        refusal.steps.append("{}")
        raise
    return f'{{"$set":[{",".join(sorted(parts))}]}}'


def _mapping(mapping: dict[Any, object], trail: list[object]) -> str:
    fields: dict[str, object] = {}
    for key, item in mapping.items():
        name = key if type(key) is str else _plain_key(key)
        if type(name) is not str:
            return _pairs(mapping, trail)
        fields[name] = item
    return _object(fields, trail)


def _plain_key(key: object) -> object:
    """Return the text that a str subclass is; anything else as it is."""
    if not isinstance(key, str):
        return key
    try:
        return spelled(key)
    except Unspellable as refusal:
        refusal.steps.append(".keys()")
        raise


def _object(fields: dict[str, object], trail: list[object]) -> str:
    parts: list[str] = []
    name = ""
    try:
        for name in sorted(fields):
            key = _quoted(SIGIL + name if name.startswith(SIGIL) else name)
            parts.append(f"{key}:{_text(fields[name], trail)}")
    except Unspellable as refusal:
        refusal.steps.append(_member(name))
        raise
    return f"{{{','.join(parts)}}}"


def _pairs(mapping: dict[Any, object], trail: list[object]) -> str:
    parts: list[tuple[str, str]] = []
    step = ".keys()"
    try:
        for key, item in mapping.items():
            step = ".keys()"
            name = _text(key, trail)
            step = f"[{name[:_LONGEST_STEP]}]"
            parts.append((name, _text(item, trail)))
    except Unspellable as refusal:
        refusal.steps.append(step)
        raise
    return f'{{"$dict":[{",".join(f"[{name},{text}]" for name, text in sorted(parts))}]}}'


def _fields(record: Record, trail: list[object]) -> str:
    return f'{{"$record":[{_quoted(record.name)},{_object(record.fields, trail)}]}}'


def _own_key(own: OwnKey, trail: list[object]) -> str:
    try:
        return f'{{"$object":[{_quoted(own.name)},{_text(own.value, trail)}]}}'
    except Unspellable as refusal:
        refusal.steps.append(".__idempotency_key__")
        raise


_BODIES: dict[type, Callable[[Any, list[object]], str]] = {
    dict: _mapping,
    list: _array,
    tuple: _array,
    set: _set,
    frozenset: _set,
    Record: _fields,
    OwnKey: _own_key,
}


# Scalars


def _quoted(text: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            shown = encode_basestring_ascii(text)[:_LONGEST_STEP]
            raise Unspellable(f"{shown} holds a lone surrogate, which is half a character") from None
    return encode_basestring(text)


def _number(value: float) -> str:
    if value - value != 0:
        raise Unspellable(f"{value} is not a number one can act upon")
    return float.__repr__(value) if value else "0.0"  # -0.0 equals 0.0


def _payload(payload: str | int | tuple[str | int, ...]) -> str:
    parts = payload if isinstance(payload, tuple) else (payload,)
    text = ",".join(_SCALARS[type(part)](part) for part in parts)
    return f"[{text}]" if isinstance(payload, tuple) else text


_SCALARS: dict[type, Callable[[Any], str]] = {
    str: _quoted,
    int: int_text,
    float: _number,
    bool: {True: "true", False: "false"}.__getitem__,
    type(None): {None: "null"}.__getitem__,
}


# Paths


def _told(refusal: Unspellable, path: str) -> str:
    steps = refusal.steps[::-1]
    trail = refusal.trail
    for end, container in enumerate(trail):
        start = next(start for start, earlier in enumerate(trail) if earlier is container)
        if start != end:
            return f"{_place(path, steps[:end])}: it is {_place(path, steps[:start])} again, in a circle"
    return f"{_place(path, steps)}: {refusal.reason}"


def _place(path: str, steps: list[str]) -> str:
    shown = steps if len(steps) <= _SHOWN_STEPS else [*steps[: _SHOWN_STEPS - 1], "..."]
    return path + "".join(shown)


def _member(name: str) -> str:
    if name.isidentifier() and name.isascii():
        return f".{name}"
    return f"[{encode_basestring_ascii(name)[:_LONGEST_STEP]}]"

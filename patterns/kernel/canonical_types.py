"""How a value that JSON lacks is spelled in k1; the format is specified in docs/encoding.md.

No module of a type spelled here is imported: a decimal, say, exists only in a
program that has imported `decimal`. Types are known by the names in their
method resolution order, attributes are read through the type itself, so no
overridden method of a subclass takes part.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OwnKey", "Record", "Tagged", "Unspellable", "int_text", "label", "spelled"]

_OWN_KEY = "__idempotency_key__"
_FUNCTIONS = (type(lambda: None), type(len))
_BYTE_FORMATS = frozenset({"B", "c"})


class Unspellable(Exception):
    """A value has no spelling; *steps* lead to it from within, the last one first."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.steps: list[str] = []
        self.trail: tuple[object, ...] = ()


class Tagged(NamedTuple):
    """A value spelled as *payload*, which holds nothing but text and integers."""

    tag: str
    payload: str | int | tuple[str | int, ...]


class Record(NamedTuple):
    """A value spelled as the name of its class and its fields."""

    name: str
    fields: dict[str, object]


class OwnKey(NamedTuple):
    """A value spelled as the name of its class and the value it gives for itself."""

    name: str
    value: object


def spelled(value: Any) -> Any:
    """Return a `Tagged`, `Record` or `OwnKey`, or an equal value of a builtin type.

    Args:
        value: Anything but a str, int, float, bool, None, list, tuple, dict, set or frozenset itself.

    Raises:
        Unspellable: k1 has no spelling for it.

    """
    kind = type(value)
    spell = _EXACT.get(kind)
    if spell is not None:
        return spell(kind, value)
    for read in (_own_key, _enum_member, _record, _known, _named):
        found = read(kind, value)
        if found is not None:
            return found
    _refuse_identity(kind)
    raise Unspellable(f"there is no spelling for {label(kind)}")


def label(kind: type) -> str:
    """Return the name of a class for a person."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _refuse_identity(kind: Any) -> None:
    """Refuse objects that another process can never find equal."""
    if kind.__eq__ is object.__eq__:
        raise Unspellable(f"two objects of {label(kind)} are equal only if they are the same object")


# What a value says of itself


def _own_key(kind: type, value: Any) -> OwnKey | None:
    if isinstance(value, type) or not (hasattr(kind, _OWN_KEY) or _OWN_KEY in getattr(value, "__dict__", ())):
        return None
    try:
        own = getattr(value, _OWN_KEY)
        own = own() if callable(own) else own
    except Exception as error:
        raise Unspellable(f"{_OWN_KEY} of {label(kind)} raised {type(error).__name__}: {error}") from error
    if own is None:  # an object not saved yet has no id, and must not be one with every other such object
        raise Unspellable(f"{_OWN_KEY} of {label(kind)} gives None")
    return OwnKey(f"{kind.__module__}:{kind.__qualname__}", own)


def _enum_member(kind: type, value: Any) -> Tagged | None:
    if not any(_source(base) == "enum.Enum" for base in kind.__mro__):
        return None
    # The members of a Flag are combined freely, and a combination has no name of its own.
    is_flag = any(_source(base) == "enum.Flag" for base in kind.__mro__)
    return Tagged("$enum", (_found_by_name(kind), value._value_ if is_flag else value._name_))


# Records


def _record(kind: type, value: Any) -> Record | None:
    names = _field_names(kind, value)
    if names is None:
        return None
    _refuse_identity(kind)
    if issubclass(kind, tuple) and getattr(value, "__dict__", None):
        raise Unspellable(f"this {label(kind)} holds more than its fields")
    name = _found_by_name(kind)
    fields = {field: _field(value, field, comparable) for field, comparable in names.items()}
    return Record(name, fields | (getattr(value, "__pydantic_extra__", None) or {}))


def _field_names(kind: Any, value: object) -> dict[str, Callable[[Any], Any] | None] | None:
    """Return the fields that make two records equal, each with what is compared instead of the value itself."""
    if issubclass(kind, tuple) and (names := getattr(kind, "_fields", None)) is not None:
        return dict.fromkeys(names)
    if (attributes := getattr(kind, "__attrs_attrs__", None)) is not None:
        return {field.name: field.eq_key for field in attributes if field.eq}
    if hasattr(kind, "__dataclass_fields__"):
        return {field.name: None for field in sys.modules["dataclasses"].fields(kind) if field.compare}
    if any(_source(base) == "pydantic.BaseModel" for base in kind.__mro__):
        return dict.fromkeys(getattr(kind, "model_fields", None) or vars(value))  # vars: pydantic 1
    return None


def _field(value: Any, name: str, comparable: Callable[[Any], Any] | None) -> Any:
    try:
        content = getattr(value, name)
        return content if comparable is None else comparable(content)
    except Exception as error:
        refusal = Unspellable(f"reading it raised {type(error).__name__}: {error}")
        refusal.steps.append(f".{name}")
        raise refusal from error


# Types of the standard library, and what inherits from them without adding anything


def _known(kind: type, value: Any) -> Any:
    for depth, base in enumerate(kind.__mro__):
        spell = _SPELLINGS.get(_source(base))
        if spell is None:
            continue
        if base is kind:
            _EXACT[kind] = spell
        elif not _adds_nothing(kind, depth, value):
            raise Unspellable(f"{label(kind)} is more than the {label(base)} in it")
        return spell(base, value)
    return None


def _adds_nothing(kind: type, depth: int, value: Any) -> bool:
    """Whether *value* is equal to whatever its base class at *depth* finds equal, and holds nothing else."""
    base = kind.__mro__[depth]
    slots = any(vars(between).get("__slots__") for between in kind.__mro__[:depth])
    return kind.__eq__ is base.__eq__ and not slots and not getattr(value, "__dict__", None)


def _source(kind: type) -> str:
    """Return top-level module and name; `pathlib` became a package in Python 3.13."""
    return f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"


def _decimal(base: Any, value: Any) -> Tagged:
    """Spell the number, not its trailing zeros: 20.0 and 20.00 are one amount."""
    sign, digits, exponent = base.as_tuple(value)
    if not isinstance(exponent, int):
        raise Unspellable(f"{value} is not a number one can act upon")
    text = "".join(map(str, digits)).lstrip("0")
    significant = text.rstrip("0")
    if not significant:
        return Tagged("$decimal", "0")
    exponent += len(text) - len(significant)
    return Tagged("$decimal", f"{'-' * sign}{significant}{f'E{exponent}' if exponent else ''}")


def _datetime(base: Any, value: Any) -> Tagged:
    offset = base.utcoffset(value)
    if offset is None and value.tzinfo is not None:
        raise Unspellable(f"its time zone {type(value.tzinfo).__name__} tells no offset")
    local = base(value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond)
    if offset is None:
        return Tagged("$datetime", local.isoformat(timespec="microseconds"))
    try:
        moment = local - offset
    except OverflowError:
        raise Unspellable("in UTC it lies outside the years 1 to 9999") from None
    return Tagged("$datetime", moment.isoformat(timespec="microseconds") + "Z")


def _time(base: Any, value: Any) -> Tagged:
    if value.tzinfo is not None and base.utcoffset(value) is None:
        raise Unspellable("its offset depends on a date, which it lacks")
    return Tagged("$time", base.isoformat(value, timespec="microseconds"))


def _timedelta(_: Any, value: Any) -> Tagged:
    return Tagged("$timedelta", (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds)


def _bytes(_: Any, value: Any) -> Tagged:
    import binascii  # noqa: PLC0415 - built in, and seldom needed

    try:
        view = memoryview(value)
    except ValueError as error:
        raise Unspellable(str(error)) from error
    if view.format not in _BYTE_FORMATS or view.ndim != 1:
        raise Unspellable("only a memoryview of single bytes has a spelling")
    return Tagged("$bytes", binascii.b2a_base64(view.tobytes(), newline=False).decode())


def int_text(value: int) -> str:
    """Return decimal digits of any number of them."""
    try:
        return int.__repr__(value)
    except ValueError:  # the interpreter's guard against slow conversion; decimal's is quick
        from decimal import Decimal  # noqa: PLC0415 - for numbers of thousands of digits only

        return f"{Decimal(value):f}"


_SPELLINGS: dict[str, Callable[[Any, Any], Any]] = {
    "builtins.str": lambda base, value: base.__str__(value),
    "builtins.int": lambda base, value: base.__int__(value),
    "builtins.float": lambda base, value: base.__float__(value),
    "builtins.list": lambda base, value: [*base.__iter__(value)],
    "builtins.tuple": lambda base, value: [*base.__iter__(value)],
    "builtins.dict": lambda base, value: dict(base.items(value)),
    "builtins.set": lambda base, value: {*base.__iter__(value)},
    "builtins.frozenset": lambda base, value: {*base.__iter__(value)},
    "builtins.bytes": _bytes,
    "builtins.bytearray": _bytes,
    "builtins.memoryview": _bytes,
    "collections.OrderedDict": lambda base, value: dict(base.items(value)),
    "datetime.date": lambda base, value: Tagged("$date", base.isoformat(value)),
    "datetime.datetime": _datetime,
    "datetime.time": _time,
    "datetime.timedelta": _timedelta,
    "decimal.Decimal": _decimal,
    "pathlib.PurePosixPath": lambda base, value: Tagged("$path", ("posix", base.__str__(value))),
    "pathlib.PureWindowsPath": lambda base, value: Tagged("$path", ("windows", base.__str__(value).lower())),
    "uuid.UUID": lambda base, value: Tagged("$uuid", base.__str__(value)),
}
_EXACT: dict[type, Callable[[Any, Any], Any]] = {}
"""Types of the standard library met so far; a user's class is never kept alive by it."""


# Classes and functions


def _named(kind: type, value: Any) -> Tagged | None:
    if isinstance(value, type):
        return Tagged("$type", _found_by_name(value))
    return Tagged("$function", _found_by_name(value)) if kind in _FUNCTIONS else None


def _found_by_name(named: Any) -> str:
    """Return ``module:qualified.name`` of what is found there, since two things may bear one name."""
    module, name = named.__module__, named.__qualname__
    found: Any = sys.modules.get(module or "")
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not named:
        place = f"{module}.{name}" if module else name
        raise Unspellable(f"{place} is not found under this name (a lambda, or local), so the name cannot stand for it")
    return f"{module}:{name}"

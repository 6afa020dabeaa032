"""Which classes results are made of, how their instances are taken apart, and how they are put together again."""

from __future__ import annotations

import sys
from enum import Enum, Flag
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from patterns.ledger.value_types import Unrecordable, label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Classes", "Form", "form_of"]


class Form(NamedTuple):
    """How instances of a class are recorded."""

    tag: str
    take_apart: Callable[[Any, str], Any]
    rebuild: Callable[[type, Any], Any]
    as_text: Callable[[Any], str | None] | None = None
    from_text: Callable[[type, str], Any] | None = None


class Classes:
    """The classes one function's results may be made of.

    A class is found among those met before, in its module if that is loaded,
    and in the function's return annotation. Finding one imports nothing.

    Args:
        declared: Returns what the return annotation mentions; asked when all else failed.

    """

    def __init__(self, declared: Callable[[], Iterable[type]] = tuple) -> None:
        self._declared = declared
        self._met: dict[str, type] = {}
        self._forms: dict[type, Form | None] = {}

    def form_of(self, kind: type) -> Form | None:
        """Return how instances of *kind* are recorded, or None if they cannot be."""
        if kind not in self._forms:
            self._forms[kind] = form_of(kind)
        return self._forms[kind]

    def remember(self, kind: type) -> str:
        """Return the name *kind* is recorded by."""
        name = f"{kind.__module__}:{kind.__qualname__}"
        self._met[name] = kind
        return name

    def rebuild(self, tag: str, name: str, parts: Any) -> Any:
        """Return an instance of the class called *name*.

        Raises:
            Unrecordable: There is no such class here, or its instances are not recorded like that.

        """
        kind = self.find(name)
        form = None if kind is None else self.form_of(kind)
        if kind is None or form is None:
            raise Unrecordable(f"the class {name} is not known here; import it, or name it in the return annotation")
        if tag == "$model" and form.from_text is not None:
            return form.from_text(kind, parts)
        if tag != form.tag:
            raise Unrecordable(f"{name} was recorded as {tag} and is {form.tag} now")
        return form.rebuild(kind, parts)

    def find(self, name: str) -> type | None:
        """Return the class called *name* (``module:qualified.name``), or None."""
        found = self._met.get(name) or loaded(name)
        if found is None:
            declared = {f"{kind.__module__}:{kind.__qualname__}": kind for kind in self._declared()}
            found = declared.get(name)
        return found


def loaded(name: str) -> type | None:
    """Return the class called *name* if its module is loaded; no attribute hook of a module runs."""
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    return found if isinstance(found, type) else None


def form_of(kind: type) -> Form | None:
    """Return how instances of *kind* are recorded, or None if they cannot be."""
    if issubclass(kind, Enum):
        return _FLAG if issubclass(kind, Flag) else _ENUM
    if issubclass(kind, tuple):
        return _NAMED if hasattr(kind, "_fields") else None
    if hasattr(kind, "__del__") or not _is_bare(kind):
        return None
    if hasattr(kind, "model_construct") and hasattr(kind, "__pydantic_validator__"):
        return _MODEL
    if hasattr(kind, "__attrs_attrs__"):
        return _ATTRS
    return _DATACLASS if hasattr(kind, "__dataclass_fields__") else None


def _is_bare(kind: type) -> bool:
    """Whether an instance is nothing but its attributes."""
    try:
        object.__new__(kind)
    except TypeError:  # it inherits from a builtin type with contents of its own, or is abstract
        return False
    return True


# Enumerations and named tuples


def _member(kind: type, name: Any) -> Any:
    return kind[name]  # type: ignore[index]  # an Enum


_ENUM = Form("$enum", lambda value, _: value._name_, _member)
_FLAG = Form("$flag", lambda value, _: value._value_, lambda kind, value: kind(value))


def _named_parts(value: Any, path: str) -> list[Any]:
    if getattr(value, "__dict__", None):
        raise Unrecordable(f"{path} is a {label(type(value))} that holds more than its fields")
    return list(value)


def _named_rebuilt(kind: Any, parts: Any) -> Any:
    if len(parts) != len(kind._fields):
        raise Unrecordable(f"{label(kind)} has other fields than when it was recorded")
    return tuple.__new__(kind, parts)


_NAMED = Form("$named", _named_parts, _named_rebuilt)


# Dataclasses and attrs


def _fields_of(value: Any, names: Iterable[str], path: str) -> dict[str, Any]:
    try:
        fields = {name: getattr(value, name) for name in names}
    except AttributeError as problem:
        raise Unrecordable(f"{path} is a {label(type(value))} without a value for {problem.name}") from None
    for name in getattr(value, "__dict__", ()):
        if name not in fields and not _is_cache(type(value), name):
            raise Unrecordable(f"{path} is a {label(type(value))} with {name!r}, which is not one of its fields")
    return fields


def _is_cache(kind: type, name: str) -> bool:
    return name == _ATTRS_HASH or any(isinstance(vars(base).get(name), cached_property) for base in kind.__mro__)


def _instance(kind: type, names: Iterable[str], parts: dict[str, Any], defaults: Callable[[str], Any]) -> Any:
    names = list(names)
    unknown = parts.keys() - set(names)
    if unknown:
        raise Unrecordable(f"{label(kind)} has no field {min(unknown)!r} any more")
    instance: Any = object.__new__(kind)
    for name in names:
        object.__setattr__(instance, name, parts[name] if name in parts else defaults(name))
    return instance


def _dataclass_names(kind: Any) -> list[str]:
    return [field.name for field in sys.modules["dataclasses"].fields(kind)]


def _dataclass_rebuilt(kind: Any, parts: Any) -> Any:
    def default(name: str) -> Any:
        field, missing = kind.__dataclass_fields__[name], sys.modules["dataclasses"].MISSING
        if field.default_factory is not missing:
            return field.default_factory()
        return _given(field.default, missing, kind, name)

    return _instance(kind, _dataclass_names(kind), parts, default)


def _given(default: Any, missing: Any, kind: type, name: str) -> Any:
    if default is missing:
        raise Unrecordable(f"{label(kind)} has a field {name!r} now, which was not recorded and has no default")
    return default


_DATACLASS = Form(
    "$new", lambda value, path: _fields_of(value, _dataclass_names(type(value)), path), _dataclass_rebuilt
)

_ATTRS_HASH = "_attrs_cached_hash"


def _attrs_names(kind: Any) -> list[str]:
    return [field.name for field in kind.__attrs_attrs__]


def _attrs_rebuilt(kind: Any, parts: Any) -> Any:
    from attrs import NOTHING, Factory  # noqa: PLC0415 - the class made with attrs has it loaded

    def default(name: str) -> Any:
        given = next(field.default for field in kind.__attrs_attrs__ if field.name == name)
        if isinstance(given, Factory) and not given.takes_self:  # type: ignore[arg-type]  # it is a class
            return given.factory()
        return _given(NOTHING if isinstance(given, Factory) else given, NOTHING, kind, name)  # type: ignore[arg-type]

    instance = _instance(kind, _attrs_names(kind), parts, default)
    if _ATTRS_HASH in getattr(getattr(kind.__hash__, "__code__", None), "co_names", ()):
        object.__setattr__(instance, _ATTRS_HASH, None)
    return instance


_ATTRS = Form("$new", lambda value, path: _fields_of(value, _attrs_names(type(value)), path), _attrs_rebuilt)


# Pydantic, as its own model_construct does it


def _model_parts(value: Any, _: str) -> dict[str, Any]:
    fields = {name: content for name, content in value.__dict__.items() if name in type(value).model_fields}
    parts: dict[str, Any] = {"fields": fields, "set": sorted(value.__pydantic_fields_set__)}
    if value.__pydantic_extra__ is not None:
        parts["extra"] = value.__pydantic_extra__
    if value.__pydantic_private__ is not None:
        parts["private"] = value.__pydantic_private__
    return parts


def _model_rebuilt(kind: Any, parts: Any) -> Any:
    if parts["fields"].keys() != kind.model_fields.keys():
        raise Unrecordable(f"{label(kind)} has other fields than when it was recorded")
    instance = object.__new__(kind)
    for name, content in {
        "__dict__": parts["fields"],
        "__pydantic_fields_set__": set(parts["set"]),
        "__pydantic_extra__": parts.get("extra"),
        "__pydantic_private__": parts.get("private"),
    }.items():
        object.__setattr__(instance, name, content)
    return instance


def _model_text(value: Any) -> str | None:
    try:
        text: str = value.model_dump_json(round_trip=True)
        return text if type(value).model_validate_json(text) == value else None
    except Exception:  # noqa: BLE001 - whatever a validator raises, it does not come back
        return None


_MODEL = Form(
    "$new",
    _model_parts,
    _model_rebuilt,
    _model_text,
    lambda kind, text: kind.model_validate_json(text),  # type: ignore[attr-defined]
)

"""Failures as records, and back as the same exceptions where that can be done without importing or running anything.

An exception is rebuilt if its class is a builtin one, one of this library, or
one that the loaded program knows by the recorded name, and if what it carries
can be recorded. That is tried when it is recorded; where the copy would differ,
only the text is kept and the replay is an `EffectFailed`.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from patterns import errors
from patterns.errors import EffectFailed, PatternsError, Refused
from patterns.ledger.value_classes import loaded
from patterns.ledger.value_types import label
from patterns.ledger.values import from_plain, to_plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from patterns.ledger.record import Record
    from patterns.ledger.value_classes import Classes

__all__ = ["describe", "rebuild", "text_of"]

_LONGEST = 4000


def text_of(error: BaseException) -> str:
    """Return the type and text of *error* for a person; one that cannot say its text gives its type alone."""
    name = label(type(error))
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - somebody else's __str__
        return name
    return f"{name}: {text}"[:_LONGEST] if text else name


def describe(error: BaseException | str, classes: Classes) -> dict[str, Any]:
    """Return what is recorded of *error*, an exception or a person's words."""
    if isinstance(error, str):
        return {"text": error[:_LONGEST]}
    facts: dict[str, Any] = {"type": f"{type(error).__module__}:{type(error).__qualname__}", "text": text_of(error)}
    if isinstance(error, Refused):
        return facts  # of a nested call, then; handed out again it would claim that this one was refused just now
    try:
        whole = facts | {"parts": to_plain(_parts(error), classes, "error")}
        if _is_copy(_rebuilt(type(error), from_plain(whole["parts"], classes)), error):
            return whole
    except Exception:  # noqa: BLE001, S110 - somebody else's exception class; its text is kept in any case
        pass
    return facts


def rebuild(record: Record, classes: Classes) -> Exception:
    """Return the recorded failure as a new exception, which says that it is a replay."""
    facts: Mapping[str, Any] = record.error or {}
    again = _same_again(facts, classes)
    hint = f"the failure of {record.id} is handed out again; effects before it may have happened"
    if again is not None:
        again.add_note(hint)
        return again
    text = facts.get("text", "it failed")
    return EffectFailed(
        f"{text} ({hint})", call=record.tool, effect_id=record.id, error_type=facts.get("type", ""), error=text
    )


def _same_again(facts: Mapping[str, Any], classes: Classes) -> Exception | None:
    kind = _exception_class(facts.get("type", ""), classes)
    if kind is None or "parts" not in facts:
        return None
    try:
        return _rebuilt(kind, from_plain(facts["parts"], classes))
    except Exception:  # noqa: BLE001 - the class is not what it was; the text tells what happened
        return None


def _exception_class(name: str, classes: Classes) -> type[Exception] | None:
    kind = classes.find(name) or loaded(name)
    return kind if kind is not None and issubclass(kind, Exception) else None


def _is_ours(kind: Any) -> bool:
    return issubclass(kind, PatternsError) and vars(errors).get(kind.__name__) is kind


def _parts(error: BaseException) -> dict[str, Any]:
    if isinstance(error, PatternsError) and _is_ours(type(error)):
        return {"text": error.text, "call": error.call, "facts": error.facts}
    return {"args": list(error.args), "state": dict(vars(error))}


def _rebuilt(kind: Any, parts: dict[str, Any]) -> Exception:
    if _is_ours(kind):
        ours: Exception = kind(parts["text"], call=parts["call"], **parts["facts"])
        return ours
    if kind.__module__ == builtins.__name__:
        known: Exception = kind(*parts["args"])
        return _with_state(known, parts)
    stranger: Exception = kind.__new__(kind, *parts["args"])  # without __init__, which may ask for other arguments
    stranger.args = tuple(parts["args"])
    return _with_state(stranger, parts)


def _with_state(error: Exception, parts: dict[str, Any]) -> Exception:
    error.__dict__.update(parts["state"])
    return error


def _is_copy(copy: BaseException, error: BaseException) -> bool:
    return type(copy) is type(error) and text_of(copy) == text_of(error) and len(copy.args) == len(error.args)

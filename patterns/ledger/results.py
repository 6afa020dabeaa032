"""Results as they are recorded: never the reason to lose a success."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from patterns.errors import ResultUnavailable
from patterns.ledger.value_types import Unrecordable
from patterns.ledger.values import LOST, dump, load

if TYPE_CHECKING:
    from patterns.ledger.record import Record
    from patterns.ledger.value_classes import Classes

__all__ = ["is_lost", "replayed_result", "result_text"]


def result_text(value: object, classes: Classes, largest: int) -> str:
    """Return what is recorded of *value*; a placeholder with the reason if it cannot be recorded.

    Args:
        value: The result.
        classes: The classes results are made of.
        largest: Characters of JSON text a recorded result may have.

    """
    try:
        text = dump(value, classes)
    except Unrecordable as problem:
        return _lost(str(problem))
    except Exception as problem:  # noqa: BLE001 - a property of a user's object may raise anything
        return _lost(f"taking it apart raised {type(problem).__name__}: {problem}")
    if len(text) > largest:
        return _lost(f"it has {len(text)} characters, and results of more than {largest} are not recorded")
    return text


def _lost(why: str) -> str:
    return json.dumps({LOST: why})


def is_lost(text: str) -> bool:
    """Whether *text* is such a placeholder."""
    return text.startswith(f'{{"{LOST}":')


def replayed_result(record: Record, classes: Classes, name: str) -> Any:
    """Return a new copy of the recorded result.

    Raises:
        ResultUnavailable: It could not be recorded, or cannot be rebuilt here.

    """
    text = record.result or "null"
    if text == "null":
        return None
    try:
        return load(text, classes)
    except Unrecordable as problem:
        raise ResultUnavailable(
            f"{name} succeeded before and is not run again, but its result cannot be handed out: {problem}",
            call=name,
            effect_id=record.id,
            reason=str(problem),
        ) from problem

"""Whether an action is only being tried: then nothing may be committed, for what is committed is meant."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["rehearsed_action", "rehearsing"]

_rehearsed: ContextVar[str | None] = ContextVar("patterns_rehearsed", default=None)


def rehearsed_action() -> str | None:
    """Return the name of the action that is being tried in this very context, or None."""
    return _rehearsed.get()


@contextmanager
def rehearsing(action: str) -> Iterator[None]:
    """Say that everything in the block only tries *action*."""
    token = _rehearsed.set(action)
    try:
        yield
    finally:
        _rehearsed.reset(token)

"""What a process must put in order around a fork, so that parent and child both find their stores whole."""

from __future__ import annotations

import os
from threading import RLock
from typing import Protocol
from weakref import ref

__all__ = ["PATIENCE", "Forkable", "watch"]

PATIENCE = 2.0
"""Seconds a fork waits for operations under way in other threads."""


class Forkable(Protocol):
    """Something that holds locks, files or threads a fork would tear apart."""

    def before_fork(self) -> None:
        """Come to rest: finish what is under way and let nothing new begin."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Start afresh: no other thread exists here, and the parent's files are not ours."""


_lock = RLock()  # held from before a fork until after it
_watched: dict[int, ref[Forkable]] = {}
_resting: list[Forkable] = []


def watch(thing: Forkable) -> None:
    """Tell *thing* of every fork from now on, as long as it lives."""
    number = id(thing)
    with _lock:
        _watched[number] = ref(thing, lambda _: _watched.pop(number, None))


def _before() -> None:
    _lock.acquire()
    _resting[:] = _alive()
    for thing in _resting:
        thing.before_fork()


def _after_in_parent() -> None:
    try:
        for thing in _resting:
            thing.after_fork_in_parent()
    finally:
        _resting.clear()
        _lock.release()


def _after_in_child() -> None:
    global _lock  # noqa: PLW0603 - another thread of the parent may have held it
    try:
        for thing in _resting or _alive():  # a fork made in C may come unannounced
            thing.after_fork_in_child()
    finally:
        _resting.clear()
        _lock = RLock()


def _alive() -> list[Forkable]:
    """Return what is watched, in order of age: a store's connections come to rest before what feeds them."""
    return [thing for each in list(_watched.values()) if (thing := each()) is not None]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)

"""What a return annotation tells before any effect happens."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Generator, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, Protocol, TypedDict, TypeVar

import pytest

from patterns.errors import Misuse

T = TypeVar("T")


@dataclass
class Receipt:
    id: str


class Colour(Enum):
    RED = 1


class Facts(TypedDict):
    id: str


class HasId(Protocol):
    id: str


class Opaque:
    pass


def returning(annotation: Any):
    """Return a tool with that return annotation."""

    def tool() -> None:
        """Return something."""

    tool.__annotations__["return"] = annotation
    return tool


FINE = [
    None,
    Any,
    object,
    int,
    dict[str, list[int]],
    Receipt,
    Receipt | None,
    list[Receipt],
    Colour,
    Decimal,
    Facts,
    HasId,
    Mapping[str, int],
    Literal["a"],
    T,
    Opaque | str,
    "NotThereYet",
]


@pytest.mark.parametrize("annotation", FINE, ids=str)
def test_what_may_be_recorded_is_allowed(annotation, ledger):
    """And so is what cannot be told."""
    tool = returning(annotation)
    assert tool is ledger.once(tool).__wrapped__


HOPELESS = [
    sqlite3.Cursor,
    Opaque,
    Opaque | None,
    list[Opaque],
    dict[str, Opaque],
    Iterator[int],
    Generator[int, None, None],
    Awaitable[int],
    type[int],
]


@pytest.mark.parametrize("annotation", HOPELESS, ids=str)
def test_what_can_never_be_recorded_is_refused_at_decoration(annotation, ledger):
    """An effect whose result will be lost is better not begun."""
    with pytest.raises(Misuse, match=r"cannot be recorded and handed out again"):
        ledger.once(returning(annotation))


def test_a_local_class_is_found_by_the_annotation(memory, run):
    """A replay in another process knows it from nowhere else."""
    from patterns.ledger import Ledger

    def tools(ledger):
        @dataclass
        class Local:
            inner: Receipt

        def tool():
            return Local(Receipt("r"))

        tool.__annotations__["return"] = list[Local] | Local
        return ledger.once(tool), Local

    first, kind = tools(Ledger(memory))
    assert kind(Receipt("r")) == first()
    again, kind = tools(Ledger(memory))
    assert kind(Receipt("r")) == again()

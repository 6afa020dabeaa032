"""Results come back as they went in: same type, same value, a new copy."""

from __future__ import annotations

import enum
import functools
import json
import sys
import types
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patterns.errors import ResultUnavailable
from patterns.ledger.results import is_lost, result_text
from patterns.ledger.value_classes import Classes
from patterns.ledger.values import Unrecordable, dump, load


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


class Level(enum.IntEnum):
    HIGH = 3


class Word(enum.StrEnum):
    YES = "yes"


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: Any
    y: Any = 0


@dataclass
class Line:
    items: Any
    count: int = 1
    hidden: Any = field(default=None, init=False, repr=False)

    @functools.cached_property
    def total(self) -> int:
        return self.count * 2


@dataclass(frozen=True, slots=True)
class Receipt:
    id: Any
    lines: Any = ()


@dataclass
class Strict:
    amount: Any

    def __post_init__(self) -> None:
        raise AssertionError("a replay is no reason to run this")


@attrs.frozen
class Money:
    amount: Any
    currency: Any = "EUR"


@attrs.define(cache_hash=True, frozen=True, slots=False)
class Cached:
    value: Any


@attrs.mutable(slots=False)
class Box:
    content: Any
    _secret: Any = None


class Order(pydantic.BaseModel):
    id: Any
    tags: Any = None
    _note: str = pydantic.PrivateAttr(default="none")


class Loose(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    id: Any


class Site(pydantic.BaseModel):
    url: pydantic.HttpUrl


ZONES = [None, UTC, timezone(timedelta(hours=5, minutes=30)), ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(2**60, 2**80),
    st.floats(allow_nan=False),
    st.text(st.characters(codec=None), max_size=8),
    st.binary(max_size=8),
    st.binary(max_size=8).map(bytearray),
    st.complex_numbers(allow_nan=False),
    st.datetimes(timezones=st.sampled_from(ZONES)),
    st.dates(),
    st.times(timezones=st.sampled_from(ZONES[:3])),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.uuids(),
    st.sampled_from([Colour.RED, Colour.BLUE, Level.HIGH, Word.YES, Right.READ, Right.READ | Right.WRITE, Right(0)]),
    st.sampled_from([Path("a/b"), Path("/x"), PurePosixPath("c")]),
)
hashable = scalars.filter(lambda value: not isinstance(value, bytearray))


def containers(inner):
    """Return values made of *inner* ones."""
    return st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=3) | st.sampled_from(["$tuple", "$new", "$"]), inner, max_size=3),
        st.dictionaries(hashable, inner, max_size=2),
        st.sets(hashable, max_size=2),
        st.frozensets(hashable, max_size=2),
        st.builds(Point, inner, inner),
        st.builds(Line, inner),
        st.builds(Receipt, inner, inner),
        st.builds(Money, inner),
        st.builds(Box, inner, inner),
        st.builds(Order, id=inner),
        st.builds(Loose, id=inner, other=inner),
    )


values = st.recursive(scalars, containers, max_leaves=8)


def exactly(one: Any, other: Any) -> bool:
    """Whether two values are equal down to the types, where ``==`` is not enough."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(exactly, one, other))
    if isinstance(one, dict):
        return list(map(repr, one)) == list(map(repr, other)) and all(map(exactly, one.values(), other.values()))
    if isinstance(one, (float, complex, Decimal, datetime, time)):
        return repr(one) == repr(other)
    return one == other


@given(values)
def test_every_value_comes_back_exactly(value: Any):
    """Type for type, also in another process, which has met none of the classes yet."""
    text = dump(value, Classes())
    assert exactly(value, load(text, Classes()))
    assert text.isascii()
    assert "\n" not in text


@pytest.mark.parametrize(
    "value",
    [
        float("inf"),
        -float("inf"),
        -0.0,
        10**5000,
        -(10**5000),
        2**53 + 1,
        "\ud800",
        "\0",
        datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
        date.max,
        Decimal("1E+10"),
        Fraction(1, 3),
        UUID(int=5),
        {1: "a", "1": "b", (1, 2): "c"},
        {"$new": 1},
        {"$a": 1, "b": 2},
    ],
    ids=lambda value: type(value).__name__,
)
def test_odd_values_come_back(value: Any):
    """The corners in which JSON libraries lose something."""
    back = load(dump(value, Classes()), Classes())
    assert type(value) is type(back)
    assert (value, str(value)) == (back, str(back)) if not isinstance(value, int) else value == back


def test_nan_comes_back():
    """It equals nothing, not even itself."""
    back = load(dump([float("nan"), Decimal("NaN")], Classes()), Classes())
    assert "[nan, Decimal('NaN')]" == repr(back)


def test_every_replay_is_a_new_copy():
    """What one caller does to its copy is seen by no other."""
    text = dump({"a": [1], "b": Line([1])}, Classes())
    first, second = load(text, Classes()), load(text, Classes())
    first["a"].append(2)
    first["b"].items.append(2)
    assert ([1], [1]) == (second["a"], second["b"].items)


def test_objects_are_rebuilt_without_running_them():
    """No ``__init__``, no validator: a result of long ago is handed out as it was."""
    strict = object.__new__(Strict)
    strict.amount = 5
    assert 5 == load(dump(strict, Classes()), Classes()).amount


def test_what_is_not_a_field_is_kept_or_refused():
    """Caches are left out, private values of models come along, anything else would be lost silently."""
    line = Line([1])
    assert 2 == line.total
    assert line == load(dump(line, Classes()), Classes())
    order = Order(id=1)
    order._note = "paid"
    assert "paid" == load(dump(order, Classes()), Classes())._note
    line.extra = 1
    with pytest.raises(Unrecordable, match=r"result is a .*Line with 'extra'"):
        dump(line, Classes())


def test_a_cached_hash_is_made_anew():
    """Hashes of texts differ between processes."""
    cached = Cached("a")
    hash(cached)
    assert {cached} == {load(dump(cached, Classes()), Classes())}


def test_a_model_with_fields_of_other_types_goes_through_its_own_json():
    """If it comes back equal."""
    site = Site(url="https://example.org/a")
    text = dump({"site": site}, Classes())
    assert {"site": site} == load(text, Classes())
    assert "$model" in text


def local_class() -> type:
    """Return a class that is in no module."""

    @dataclass
    class Local:
        amount: int

    return Local


def test_a_class_is_found_in_the_annotation_if_nowhere_else():
    """A class made inside a function is in no module."""
    local = local_class()
    text = dump([local(5)], Classes())
    assert [local(5)] == load(text, Classes(lambda: [local]))
    with pytest.raises(Unrecordable, match=r"local_class\.<locals>\.Local is not known here"):
        load(text, Classes())


def test_nothing_is_imported_for_a_record(monkeypatch):
    """Whoever can write to the store can still not choose what is loaded or run."""
    before = set(sys.modules)
    for name in ("antigravity:x", "this:x", "os:system", "subprocess:Popen", "builtins:eval", "json:decoder.scanner"):
        for tag in ("$new", "$enum", "$named", "$model", "$flag"):
            with pytest.raises(Unrecordable):
                load(json.dumps({tag: [name, {}]}), Classes())
    assert before == set(sys.modules)

    lazy = types.ModuleType("lazy")
    lazy.__getattr__ = lambda name: pytest.fail("a module's hook was run")
    monkeypatch.setitem(sys.modules, "lazy", lazy)
    with pytest.raises(Unrecordable):
        load('{"$new": ["lazy:Thing", {}]}', Classes())


@pytest.mark.parametrize(
    "text",
    [
        '{"$decimal": "x"}',
        '{"$bytes": "!"}',
        '{"$datetime": []}',
        '{"$tuple": 5}',
        '{"$new": 5}',
        '{"$new": ["a"]}',
        '{"$enum": ["tests:X", "Y"]}',
        '{"$unheard": 1}',
        '{"$dict": [[[], 1]]}',
    ],
)
def test_a_damaged_result_is_a_clear_error(text: str):
    """Never a bare TypeError from the depths."""
    with pytest.raises(Unrecordable):
        load(text, Classes())


def rebuilt_as(later: type, name: str, value: Any, monkeypatch) -> Any:
    """Return *value* rebuilt after its class was changed."""
    text = dump(value, Classes())
    monkeypatch.setattr(sys.modules[__name__], name, later)
    later.__module__, later.__qualname__ = __name__, name
    return load(text, Classes())


def test_a_class_may_gain_a_field_with_a_default(monkeypatch):
    """Records outlive versions of a program."""
    later = attrs.make_class(
        "Money", {"amount": attrs.field(), "currency": attrs.field(), "tax": attrs.field(factory=list)}
    )
    assert [] == rebuilt_as(later, "Money", Money(5), monkeypatch).tax


def test_a_class_that_lost_a_field_is_not_guessed_at(monkeypatch):
    """A result with something missing is none."""
    later = attrs.make_class("Money", ["amount"])
    with pytest.raises(Unrecordable, match="no field 'currency' any more"):
        rebuilt_as(later, "Money", Money(5), monkeypatch)
    monkeypatch.undo()
    pair = namedtuple("Point", ["x"])  # noqa: PYI024 - made at run time
    with pytest.raises(Unrecordable, match="other fields"):
        rebuilt_as(pair, "Point", Point(1), monkeypatch)


class HostileModel(pydantic.BaseModel):
    id: Any

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("do not compare")

    __hash__ = None


def endless() -> list:
    """Return a list that holds itself."""
    value: list = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        object(),
        [lambda: None],
        {"a": (1, open)},
        endless(),
        functools.reduce(lambda inner, _: [inner], range(990), 1),
        HostileModel(id=object()),
        iter([1]),
        ValueError("x"),
        OrderedDict(a=1),
        type("Sub", (str,), {})("x"),
        datetime(2020, 1, 1, tzinfo=type("Zone", (type(UTC).__base__,), {"utcoffset": lambda *_: timedelta()})()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_recorded_becomes_a_placeholder_that_says_why(value: Any):
    """A success is never lost to its result."""
    text = result_text(value, Classes(), 10_000)
    assert is_lost(text)
    with pytest.raises(Unrecordable):
        load(text, Classes())


def test_a_replayed_result_names_the_remedy(ledger, run):
    """The class is gone: the text says which one."""

    @ledger.once
    def tool() -> Any:
        return local_class()(5)

    tool()

    @ledger.once(name=f"{__name__}.{tool.__qualname__}")
    def again() -> Any:
        raise AssertionError("it was done before")

    with pytest.raises(ResultUnavailable, match="is not known here; import it, or name it in the return annotation"):
        again()

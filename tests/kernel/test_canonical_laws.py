"""The laws of k1: equal values have equal bytes, different values have different ones, whoever writes them."""

from __future__ import annotations

import datetime as dt
import enum
import itertools
import json
import math
import operator
import pathlib
import struct
import uuid
from decimal import Decimal
from typing import NamedTuple

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patterns.errors import Misuse
from patterns.kernel import canonical
from patterns.kernel.canonical import encode
from patterns.kernel.canonical_types import Unspellable
from patterns.kernel.canonical_writer import text_of


def examples(least: int) -> settings:
    """Ask for at least this many, and for as many as the profile has."""
    return settings(max_examples=max(least, settings.default.max_examples))


class Suit(enum.Enum):
    HEART = "h"
    SPADE = "s"


class Code(enum.StrEnum):
    A = "a"
    B = "b"


class Bits(enum.IntFlag):
    R = 1
    W = 2


class Pair(NamedTuple):
    first: object
    second: object


@attrs.frozen
class Box:
    first: object
    second: object


# When are two values one? Written without a look at the encoder, by what Python says of them.


def family(value) -> str:
    """Return what kind of thing *value* is; things of two kinds are never one."""
    names = {
        "bytes": (bytes, bytearray, memoryview),
        "array": (list, tuple),
        "set": (set, frozenset),
        "posix": (pathlib.PurePosixPath,),
        "windows": (pathlib.PureWindowsPath,),
    }
    for name, kinds in names.items():
        if type(value) in kinds:
            return name
    if isinstance(value, dt.datetime | dt.time):
        return f"{type(value).__name__}, offset: {value.utcoffset() is not None}"
    return type(value).__qualname__


def one(first, second) -> bool:
    """Tell whether a tool is called with the same thing twice."""
    kind = family(first)
    return kind == family(second) and SAME.get(kind.partition(",")[0], operator.eq)(first, second)


def matched(first: list, second: list, same) -> bool:
    """Tell whether each of *first* has a partner of its own in *second*."""
    for item in first:
        place = next((place for place, other in enumerate(second) if same(item, other)), None)
        if place is None:
            return False
        second = second[:place] + second[place + 1 :]
    return not second


SAME = {
    "array": lambda a, b: len(a) == len(b) and all(map(one, a, b)),
    "set": lambda a, b: matched(list(a), list(b), one),
    "dict": lambda a, b: matched(list(a.items()), list(b.items()), lambda c, d: one(c[0], d[0]) and one(c[1], d[1])),
    "Pair": lambda a, b: one(list(a), list(b)),
    "Box": lambda a, b: one(list(attrs.astuple(a, recurse=False)), list(attrs.astuple(b, recurse=False))),
    "time": lambda a, b: a.utcoffset() == b.utcoffset() and a.replace(tzinfo=None) == b.replace(tzinfo=None),
}

ZONES = [dt.UTC, dt.timezone(dt.timedelta(hours=2)), dt.timezone(-dt.timedelta(minutes=90, seconds=1))]
NIGHT = dt.datetime.fromisoformat("2026-01-01T00:00")
TEXTS = ["", "a", "b", "A", "1", "1.0", "null", "$", "$$", "$a", "$set", "$dict", "$decimal", "1E1", "é", "e\u0301"]
SCALARS = [
    *(None, True, False, *TEXTS),
    *(0, 1, -1, 2, 10, 2**53, 2**53 + 1, 2**63, 2**64, 10**30),
    *(0.0, -0.0, 1.0, 10.0, 0.1, 2.0**53, 1e16, 1e-5, 1e22, 5e-324),
    *map(Decimal, ["0", "-0.00", "1", "1.0", "1E1", "10", "10.0", "0.1", "1E-1", "1E+30"]),
    *(b"", b"a", memoryview(b"a"), memoryview(b"bab")[1:2]),
    *(NIGHT, NIGHT.replace(hour=2), NIGHT.replace(microsecond=1), *(NIGHT.replace(tzinfo=zone) for zone in ZONES)),
    *(dt.time(), dt.time(2), dt.time(2, fold=1), *(dt.time(2, tzinfo=zone) for zone in ZONES)),
    *(dt.date(2026, 1, 1), dt.timedelta(1), dt.timedelta(hours=24), dt.timedelta(microseconds=-1), dt.timedelta()),
    *(uuid.UUID(int=1), uuid.UUID(int=10)),
    *(Suit.HEART, Suit.SPADE, Code.A, Code.B, Bits.R, Bits.W, Bits.R | Bits.W),
    *(pathlib.PurePosixPath("a"), pathlib.Path("a"), pathlib.PurePosixPath("A"), pathlib.PureWindowsPath("A")),
    *(int, str, Suit, Pair, len, max, family),
]
FORMS = ["scalar", "list", "tuple", "dict", "any dict", "set", "frozenset", "Pair", "Box", "bytearray"]


@st.composite
def values(draw, depth=3, *, hashable=False):
    """Make any value."""
    forms = ["scalar", "tuple", "frozenset", "Pair", "Box"] if hashable else FORMS
    form = draw(st.sampled_from(forms if depth else ["scalar"]))
    if form == "scalar":
        return draw(st.sampled_from(SCALARS))
    if form == "bytearray":
        return bytearray(draw(st.binary(max_size=1)))
    key = values(depth - 1, hashable=True)
    parts = key if "set" in form else values(depth - 1, hashable=hashable)
    if form in {"Pair", "Box"}:
        return {"Pair": Pair, "Box": Box}[form](draw(parts), draw(parts))
    made = [draw(parts) for _ in range(draw(st.integers(0, 3)))]
    if "dict" in form:
        return {draw(key if form == "any dict" else st.sampled_from(TEXTS)): item for item in made}
    return {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[form](made)


@st.composite
def respelled(draw, value):
    """Return *value* in other words, which are to give the same bytes."""
    form = family(value).partition(",")[0]
    if form not in OTHER_WORDS:
        return value
    return OTHER_WORDS[form](lambda inner: draw(respelled(inner)), lambda *ways: draw(st.sampled_from(ways)), value)


def shuffled(choose, items) -> list:
    """Return *items* in any order."""
    items = list(items)
    return [items.pop(choose(*range(len(items)))) for _ in range(len(items))]


OTHER_WORDS = {
    "array": lambda again, choose, value: choose(list, tuple)(map(again, value)),
    "dict": lambda again, choose, value: {key: again(value[key]) for key in shuffled(choose, value)},
    "set": lambda again, choose, value: choose(set, frozenset)(shuffled(choose, value)),
    "Pair": lambda again, choose, value: Pair(*map(again, value)),
    "Box": lambda again, choose, value: Box(again(value.first), again(value.second)),
    "bytes": lambda again, choose, value: choose(bytes, bytearray, memoryview)(value),
    "Decimal": lambda again, choose, value: value.quantize(Decimal(choose("0.01", "0.0001"))) if value < 99 else value,
    "datetime": lambda again, choose, value: value.astimezone(choose(*ZONES)) if value.tzinfo else value,
    "float": lambda again, choose, value: value or choose(0.0, -0.0),
}


@st.composite
def twisted(draw, value):
    """Return *value* with a change somewhere, which is mostly to give other bytes."""
    if type(value) in {list, tuple} and value:
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], draw(twisted(value[place])), *value[place + 1 :]]
    if type(value) is dict and value:
        key = draw(st.sampled_from(list(value)))
        return value | {key: draw(twisted(value[key]))}
    ways = [[value], {"$set": [value]}, str(value), json.loads(encode(value)), bool(value)]
    return draw(st.sampled_from([*ways, *SCALARS]))


def with_another(change):
    """Make a value and what *change* makes of it."""
    return values().flatmap(lambda value: st.tuples(st.just(value), change(value)))


pairs = st.tuples(values(), values()) | with_another(respelled) | with_another(twisted)


@examples(300)
@given(pairs)
def test_two_values_have_the_same_bytes_if_and_only_if_they_are_one(pair):
    """No two things share a key, and one thing never has two."""
    first, second = pair
    assert one(first, second) == (encode(first) == encode(second))


@examples(100)
@given(with_another(respelled))
def test_other_words_change_nothing(pair):
    """Order, container, zone and trailing zeros do not matter, and the reference agrees."""
    first, second = pair
    assert one(first, second)
    assert encode(first) == encode(second)


PLAIN = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**64,
    0.0,
    1.0,
    "",
    "a",
    "1",
    "$",
    "$$",
    "$a",
    "null",
    [],
    {},
    [[]],
    [{}],
    [1],
    ["a"],
]
KEYS = [None, True, 0, 1.5, "", "a", "$", "$$", "$dict", (), (1,), ("a",), frozenset(), b"", Code.A, Decimal(1)]
TAGS = ["$decimal", "$datetime", "$date", "$time", "$timedelta", "$uuid", "$bytes", "$path", "$set", "$dict", "$enum"]
MORE_TAGS = ["$record", "$type", "$function", "$object"]
TAGGED = [
    Decimal(1),
    NIGHT,
    dt.date(2026, 1, 1),
    dt.time(),
    dt.timedelta(1),
    uuid.UUID(int=1),
    b"",
    set(),
]


def crowd() -> list:
    """Return many small values, and dicts made to look like tagged ones."""
    looks = [{key: item} for key in KEYS for item in (1, "a", [], {"$a": 1})]
    payloads = ["1", 1, [], ["a"], [["a", 1]], "", "00000000-0000-0000-0000-000000000001", "2026-01-01", 86_400_000_000]
    fakes = [{tag: payload} for tag in TAGS + MORE_TAGS for payload in payloads]
    doubled = [{"$" + key: item for key, item in fake.items()} for fake in fakes]
    real = [*TAGGED, *Suit, *Code, Pair(1, "a"), Box(1, "a"), int, len, pathlib.PurePosixPath("a"), {1, "a"}, {1: "a"}]
    return [*PLAIN, *looks, *fakes, *doubled, *real, *([item] for item in real), *({"k": item} for item in real)]


def test_no_two_of_a_crowd_collide():
    """Among hundreds of small values, many made up to collide, each pair obeys the law."""
    known = [(value, encode(value)) for value in crowd()]
    wrong = [
        (first, second)
        for (first, its), (second, other) in itertools.combinations(known, 2)
        if one(first, second) != (its == other)
    ]
    assert [] == wrong


# What JSON can say is written by three writers.

wild_texts = st.text(st.characters(codec=None, categories=None), max_size=8) | st.sampled_from(
    ["\ud800", "\x7f\u2028", "$"]
)
wild_floats = st.floats() | st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("d", struct.pack("Q", bits))[0])
wild_integers = st.integers() | st.integers(-(2**70), 2**70) | st.just(4400).map(lambda digits: -(10**digits))
wild_scalars = st.none() | st.booleans() | wild_texts | wild_floats | wild_integers
odd_keys = wild_texts | st.sampled_from([1, None, True, Code.A, 1.5])
wild = st.recursive(
    wild_scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(wild_texts, inner, max_size=4)
        | st.dictionaries(odd_keys, inner, max_size=2)
        | st.sampled_from([uuid.UUID(int=1), Code.A, Suit.HEART, b"a", Bits.R])
    ),
    max_leaves=12,
)


def written(value, quick) -> bytes | str:
    """Return what `encode` gives with *quick*, or what it says."""
    before, canonical._quick = canonical._quick, quick
    try:
        return encode(value)
    except Misuse as refusal:
        return str(refusal)
    finally:
        canonical._quick = before


def never(_: object) -> bytes:
    """Leave everything to the writer."""
    raise TypeError


@examples(250)
@given(wild)
def test_every_encoder_writes_the_same(value):
    """With orjson, with the standard library and without either: the same bytes, and the same refusals."""
    pytest.importorskip("orjson", reason="the extra `fast` is not installed")
    plainly = written(value, canonical._Quick(never, checks_keys=True))
    assert plainly == written(value, canonical._by_json())
    assert plainly == written(value, canonical._by_orjson())


@examples(300)
@given(wild_floats)
def test_a_float_reads_back_as_itself(number):
    """No digit too few and, as Python has it, none too many; and what is no number is refused."""
    if not math.isfinite(number):
        with pytest.raises(Misuse, match="is not a number one can act upon"):
            encode(number)
        return
    assert (repr(number) if number else "0.0").encode() == encode(number)
    assert number == float(encode(number))


@examples(300)
@given(values())
def test_the_bytes_are_sorted_compact_json(value):
    """Any JSON parser reads them, and writing what it read, sorted and compact, gives them again."""
    text = encode(value).decode()
    again = json.dumps(json.loads(text), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert text == again


@examples(100)
@given(values())
def test_the_writer_alone_agrees(value):
    """What the quick way writes is what the slow way would have written."""
    assert text_of(value, path="arguments").encode() == encode(value)


def test_a_plain_value_never_needs_the_writer(monkeypatch):
    """Text, numbers and containers of them take the quick way, text that starts with a dollar sign too."""

    def refuse(value, *, path):
        raise Unspellable(f"{path} took the slow way")

    monkeypatch.setattr(canonical, "text_of", refuse)
    plain = {
        "price": "$20",
        "tags": ["a", ("b", 1.5, 0.0, -2.25)],
        "none": None,
        "yes": True,
        "more": {"a": {"b": 2**60}},
    }
    assert plain == json.loads(encode(plain)) | {"tags": plain["tags"]}
    with pytest.raises(Misuse, match="took the slow way"):
        encode({"$price": 20})

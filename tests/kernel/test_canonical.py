"""The bytes of k1: what they are, that they never change, and what has none."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import hashlib
import os
import pathlib
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import attrs
import pytest

from patterns.errors import Misuse
from patterns.kernel import canonical
from patterns.kernel.canonical import digest, encode, fingerprint
from patterns.kernel.canonical_writer import DEPTH

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(params=["orjson", "json"])
def either_encoder(request, monkeypatch):
    """Run the test with orjson, if it is there, and without."""
    if request.param == "orjson":
        pytest.importorskip("orjson", reason="the extra `fast` is not installed")
    monkeypatch.setattr(canonical, "_quick", getattr(canonical, f"_by_{request.param}")())


class Color(enum.Enum):
    RED = 1
    CRIMSON = 1  # noqa: PIE796 - an alias
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    A = "a"


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: int


class Spot(Point):
    """Has room for attributes, which a named tuple itself has not."""


@dataclasses.dataclass
class Order:
    id: str
    items: list = dataclasses.field(default_factory=list)
    seen: int = dataclasses.field(default=0, compare=False)


@attrs.define
class Customer:
    name: str = attrs.field(eq=str.casefold)
    visits: int = attrs.field(default=0, eq=False)


@dataclasses.dataclass(eq=False)
class ById:
    id: str


class Account:
    def __init__(self, key):
        self.key = key

    def __idempotency_key__(self):
        return self.key


class Unsaved:
    @property
    def __idempotency_key__(self):
        raise KeyError("id")


class Tagged(str):
    __slots__ = ()


class Labelled(int):
    label = ""


class Caseless(str):
    __slots__ = ()

    def __eq__(self, other):
        return self.casefold() == other.casefold()

    __hash__ = str.__hash__


class Nowhere(dt.tzinfo):
    def utcoffset(self, moment):
        return None


def text(value) -> str:
    """Return the k1 text."""
    return encode(value).decode()


def test_a_digest_is_the_hash_of_the_bytes():
    """Anybody can check a digest with a SHA-256 tool."""
    value = {"a": [1, decimal.Decimal(2)]}
    assert "k1:" + hashlib.sha256(encode(value)).hexdigest() == digest(value)


def test_a_fingerprint_leaves_out_what_does_not_matter():
    """Two calls that differ in excluded arguments alone have one fingerprint."""
    first, second = {"order": 1, "at": 5}, {"order": 1, "at": 6}
    assert digest(first) == fingerprint(first)
    assert fingerprint(first) != fingerprint(second)
    assert fingerprint(first, exclude=("at",)) == fingerprint(second, exclude=("at",)) == digest({"order": 1})


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        (r'{"$enum":["%:Color","RED"]}', Color.CRIMSON),
        (r'{"$enum":["%:Level","LOW"]}', Level.LOW),
        (r'{"$enum":["%:Word","A"]}', Word.A),
        (r'{"$enum":["%:Rights",3]}', Rights.READ | Rights.WRITE),
        (r'{"$record":["%:Point",{"x":1,"y":2}]}', Point(1, 2)),
        (r'{"$record":["%:Order",{"id":"A","items":[{"$decimal":"1"}]}]}', Order("A", [decimal.Decimal(1)], 7)),
        (r'{"$record":["%:Customer",{"name":"ann"}]}', Customer("Ann", 3)),
        (r'{"$object":["%:Account",{"$set":[1]}]}', Account({1})),
        (r'{"$object":["%:Account",{"$object":["%:Account",7]}]}', Account(Account(7))),
        (r'{"$type":"%:Account"}', Account),
        (r'{"$function":"%:text"}', text),
        (r'{"$dict":[[{"$enum":["%:Word","A"]},1]]}', {Word.A: 1}),
        ('"a"', Tagged("a")),
        ('{"a":1}', {Tagged("a"): 1}),
        ("1", Labelled(1)),
        ('{"a":1}', collections.defaultdict(int, a=1)),
        (r'{"$bytes":"YQ=="}', memoryview(b"xay")[1:2]),
    ],
    ids=lambda value: repr(value).partition(" at 0x")[0],  # the same in every process
)
def test_own_types_have_tags(expected, value):
    """A value of a user's type says which one, unless it is a builtin one in all but name."""
    assert expected.replace("%", __name__) == text(value)


def test_an_integer_may_have_any_number_of_digits():
    """The interpreter's limit on slow conversions is no limit of keys."""
    assert b"-1" + b"0" * 5000 == encode(-(10**5000))


def test_a_moment_is_one_whatever_its_zone():
    """The same instant in two zones is one key; without a zone it is another."""
    noon = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    elsewhere = noon.astimezone(dt.timezone(dt.timedelta(hours=-5, seconds=7)))
    assert encode(noon) == encode(elsewhere) != encode(noon.replace(tzinfo=None))


def test_a_subclass_with_more_in_it_is_not_its_base():
    """What a subclass adds to its value is never dropped silently."""
    labelled = Labelled(1)
    labelled.label = "EUR"
    with pytest.raises(Misuse, match=r"test_canonical.Labelled is more than the int in it"):
        encode(labelled)
    with pytest.raises(Misuse, match=r"test_canonical.Caseless is more than the str in it"):
        encode({Caseless("a"): 1})


def test_a_named_tuple_is_its_fields():
    """A subclass that holds nothing else is a record of its own; one that does is refused."""
    spot = Spot(1, 2)
    assert encode(Point(1, 2)) != encode(spot) == encode(Spot(1, 2))
    spot.name = "corner"
    with pytest.raises(Misuse, match=r"this .*Spot holds more than its fields"):
        encode(spot)


def test_pydantic_models_are_records():
    """Fields and extras of both generations of models take part, and the class does."""
    pydantic = pytest.importorskip("pydantic")
    made = make_models(pydantic)
    assert rf'{{"$record":["{__name__}:New",{{"a":1,"extra":{{"$decimal":"2"}}}}]}}' == text(
        made["New"](a=1, extra=decimal.Decimal(2))
    )
    if "Old" in made:
        assert rf'{{"$record":["{__name__}:Old",{{"a":1,"extra":2}}]}}' == text(made["Old"](a=1, extra=2))


def make_models(pydantic):
    """Define models that are found under their names."""
    models = {"New": pydantic.create_model("New", __config__={"extra": "allow"}, __module__=__name__, a=(int, ...))}
    if sys.version_info < (3, 14):
        from pydantic import v1

        configuration = type("Config", (), {"extra": "allow"})
        models["Old"] = type("Old", (v1.BaseModel,), {"__annotations__": {"a": int}, "Config": configuration})
        models["Old"].__module__ = __name__
    globals().update(models)
    return models


def local_class():
    """Return an object of a class that cannot be found by its name."""
    return dataclasses.make_dataclass("Local", ["a"])(1)


@pytest.mark.parametrize(
    ("reason", "value"),
    [
        ("two objects of object are equal only if they are the same object", object()),
        ("two objects of .*ById are equal only if they are the same object", ById("a")),
        (r"<lambda> is not found under this name", lambda: None),
        (r"functools.partial", functools.partial(text, 1)),
        (r"Local is not found under this name", local_class()),
        (r"list.append is not found under this name", [].append),
        ("nan is not a number one can act upon", float("nan")),
        ("-inf is not a number one can act upon", float("-inf")),
        ("sNaN is not a number one can act upon", decimal.Decimal("sNaN")),
        (r"\"a\\ud800\" holds a lone surrogate", "a\ud800"),
        (r"\"a\\udcff\" holds a lone surrogate", pathlib.PurePosixPath("a\udcff")),
        ("in UTC it lies outside the years 1 to 9999", dt.datetime.max.replace(tzinfo=dt.timezone.min)),
        ("its time zone Nowhere tells no offset", dt.datetime(2026, 1, 1, tzinfo=Nowhere())),
        ("its offset depends on a date", dt.time(tzinfo=Nowhere())),
        ("only a memoryview of single bytes", memoryview(b"abcd").cast("i")),
        ("there is no spelling for complex", 1j),
        ("there is no spelling for range", range(3)),
        ("__idempotency_key__ of .*Account gives None", Account(None)),
        ("__idempotency_key__ of .*Unsaved raised KeyError: 'id'", Unsaved()),
    ],
)
@pytest.mark.usefixtures("either_encoder")
def test_what_cannot_be_spelled_is_refused(reason, value):
    """A value without spelling is refused where it stands, never spelled by its repr or address."""
    with pytest.raises(Misuse, match=rf"^no key can be made of arguments\.order\.items\[2\]\.price: .*{reason}"):
        encode({"order": {"items": [0, 1, {"price": value}]}})


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("call", object()),
        ('call["a b"]', {"a b": object()}),
        (r'call["\ud800"]', {"\ud800": 1}),
        ("call[1]", {1: object()}),
        ("call.keys()", {object(): 1}),
        ("call.keys()", {local_class: {}, lambda: 1: {}}),
        ("call{}", {local_class, object()}),
        ("call.items[0]", Order("a", [object()])),
        ("call.name", Customer(5)),
        ("call.__idempotency_key__.a", Account({"a": object()})),
    ],
)
def test_the_refusal_names_the_place(place, value):
    """The path leads through objects, arrays, keys, sets, records and keys of their own."""
    with pytest.raises(Misuse) as refused:
        encode(value, path="call")
    assert f"no key can be made of {place}: " in str(refused.value)


def test_the_refusal_names_the_remedies():
    """Whoever meets the error can go on: another key, fewer arguments, or a spelling."""
    with pytest.raises(Misuse) as refused:
        encode({"order_id": 1, "client": object()})
    remedies = (
        "key=lambda order_id, **_: order_id, exclude=('client',), or def __idempotency_key__(self): return self.id"
    )
    assert str(refused.value).endswith(f"right: {remedies}")


def test_the_error_of_a_users_code_is_the_cause():
    """What went wrong inside ``__idempotency_key__`` can be seen."""
    with pytest.raises(Misuse) as refused:
        encode(Unsaved())
    assert isinstance(refused.value.__cause__, KeyError)


def nested(depth: int, innermost):
    """Put *innermost* into *depth* containers, a dict and a list by turns."""
    for level in range(depth):
        innermost = [innermost] if level % 2 else {"a": innermost}
    return innermost


@pytest.mark.usefixtures("either_encoder")
@pytest.mark.parametrize("innermost", [1, (), {}, decimal.Decimal(1)], ids=repr)
def test_depth_is_limited(innermost):
    """64 containers may lie in one another, whatever is inside; one more is refused."""
    depth = DEPTH - (innermost in ((), {}))
    assert DEPTH // 2 == encode(nested(depth, innermost)).count(b'"a":')
    with pytest.raises(Misuse, match=r"arguments(\.a|\[0\]){7}\.\.\.: it lies more than 64 levels deep"):
        encode([nested(depth, innermost)])


def test_a_circle_is_refused_where_it_closes():
    """A container that holds itself, through whatever is between, is named twice."""
    order = Order("a")
    order.items.append({"parent": (order,)})
    with pytest.raises(
        Misuse, match=r"arguments.order.items\[0\].parent\[0\]: it is arguments.order again, in a circle"
    ):
        encode({"order": order})


def test_the_bytes_are_those_of_the_moment():
    """What happens to the arguments afterwards does not reach the bytes."""
    items = [1]
    before = encode({"items": items})
    items.append(2)
    assert b'{"items":[1]}' == before


PROGRAM = """
import sys
from patterns.kernel.canonical import encode
assert not {"datetime", "decimal", "uuid", "dataclasses", "pathlib", "attr", "orjson"} & set(sys.modules)
sys.stdout.buffer.write(encode([{"b": {"x", "y", "z", 1, None}, "a": {(1, 2): 1, "k": 2, b"b": 3}}]))
assert not {"decimal", "pathlib", "attr"} & set(sys.modules)
"""


def test_another_process_writes_the_same_and_loads_little():
    """The order of sets and dicts depends on the process, the bytes do not; no module of a type is loaded for it."""
    written = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    expected = b'[{"a":{"$dict":[["k",2],[[1,2],1],[{"$bytes":"Yg=="},3]]},"b":{"$set":["x","y","z",1,null]}}]'
    assert {expected} == written


@pytest.mark.asyncio
async def test_the_first_key_may_be_made_in_a_task(monkeypatch):
    """Choosing the encoder does not block the event loop."""
    monkeypatch.setattr(canonical, "_quick", None)
    assert b"[1]" == encode([1])
    assert canonical._quick is not None

"""A record is one line of JSON that keeps no secret and loses no event."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patterns.audit import records
from patterns.audit.files import LONGEST_LINE
from patterns.audit.records import REDACTED, Scribe, encode, plain
from patterns.errors import AuditError
from patterns.testing import ManualClock

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=12,
)


@pytest.fixture(params=["orjson", "standard library"])
def encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test with each encoder."""
    if request.param == "orjson":
        monkeypatch.setattr(records, "_dump", pytest.importorskip("orjson").dumps)
    else:
        monkeypatch.setattr(records, "_dump", records._standard())
    return request.param


@given(value=JSON)
def test_any_fact_becomes_one_line_of_strict_json(value: object):
    """No newline, no NaN, valid UTF-8, read back by a strict parser as what was written."""
    clean = plain(value)
    for dump in (records._standard(), pytest.importorskip("orjson").dumps):
        line = dump({"facts": clean})
        assert b"\n" not in line
        assert {"facts": clean} == json.loads(line, parse_constant=pytest.fail)


def test_what_json_cannot_say_becomes_text_or_a_type():
    """Numbers JavaScript would round become texts; what is no data is named, never shown."""
    told = plain({
        "big": 2**53, "exact": 2**53 - 1, "nan": math.nan, "minus": -math.inf, "bytes": b"abc", "set": {1},
        "money": Decimal("1.50"), "at": datetime(2026, 1, 2, tzinfo=UTC), "path": PurePosixPath("/a"),
        "client": object(), 7: "key", (1, 2): "odd key",
    })  # fmt: skip
    assert {
        "big": "9007199254740992", "exact": 9007199254740991, "nan": "nan", "minus": "-inf",
        "bytes": {"$bytes": 3, "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        "set": [1], "money": "1.50", "at": "2026-01-02 00:00:00+00:00", "path": "/a",
        "client": {"$type": "builtins.object"}, "7": "key", "$tuple": "odd key",
    } == told  # fmt: skip


def test_depth_is_bounded():
    """A structure without end is cut, not a crash."""
    endless: list[object] = []
    endless.append(endless)
    told = plain(endless)
    for _ in range(16):
        (told,) = told
    assert {"$too_deep": "list"} == told


@pytest.mark.parametrize(
    "name", ["password", "db_password", "API-Key", "apiKey", "access_token", "Authorization", "client_secret", "Cookie"]
)
def test_values_named_like_secrets_are_left_out(name: str):
    """At any depth."""
    assert {"inner": [{name: REDACTED}]} == plain({"inner": [{name: "hunter2"}]})


@pytest.mark.parametrize("name", ["input_tokens", "tokenizer", "order", "author"])
def test_other_values_are_kept(name: str):
    """How many tokens a model used is no secret."""
    assert {name: 5} == plain({name: 5})


def test_a_record_that_does_not_fit_keeps_everything_but_the_large_part(encoder: str):
    """The line stays within the limit of a tiled log; the part left out is told by length and hash."""
    line = encode({"v": 1, "phase": "proposed", "facts": {"page": "x" * 100_000}, "reason": "short"})
    assert LONGEST_LINE >= len(line)
    record = json.loads(line)
    assert ("proposed", "short", 100_011) == (record["phase"], record["reason"], record["facts"]["$too_long"])
    with pytest.raises(AuditError, match="does not fit"):
        encode({"action": "x" * 100_000})


def test_a_lone_surrogate_does_not_lose_the_record(encoder: str):
    """UTF-8 lacks it, JSON can escape it."""
    assert "a\ud800b" == json.loads(encode({"reason": "a\ud800b"}))["reason"]


def test_order_of_the_parts_and_time_of_the_clock():
    """A record begins with its version, id and time; the time is the injected clock's."""
    scribe = Scribe(clock=ManualClock(wall=1_700_000_000.25), agent="bot")
    record = scribe.record("proposed", "refund", who=scribe.who(None, None), cause=None, reason="r")
    assert ["v", "id", "time", "phase", "action", "agent", "reason"] == list(record)
    assert "2023-11-14T22:13:20.250000Z" == record["time"]


@given(st.floats(0, 4e9))
def test_time_is_rfc_3339(wall: float):
    """Microseconds, UTC, for every moment."""
    told = records.timestamp(wall)
    assert abs(datetime.fromisoformat(told).timestamp() - wall) < 1e-5
    assert 27 == len(told)


def test_digests_are_of_the_arguments_and_keyed_on_request():
    """Equal arguments have equal digests; with a key nobody else can compute them."""
    scribe, keyed = Scribe(), Scribe(digest_key=b"k" * 32)
    assert scribe.arguments({"a": 1, "b": 2}) == scribe.arguments({"b": 2, "a": 1})
    assert scribe.arguments({"a": 1})["arguments"].startswith("k1:")
    assert keyed.arguments({"a": 1})["arguments"].startswith("hmac-k1:")
    assert keyed.arguments({"a": 1}) != Scribe(digest_key=b"other").arguments({"a": 1})


def test_an_argument_that_is_no_data_is_named():
    """A client has no digest; the others have."""
    told = Scribe().arguments({"client": object(), "amount": 5})
    assert ["client"] == told["unspelled"]
    assert Scribe().arguments({"amount": 5})["arguments"] == told["arguments"]


def test_the_redaction_hook_has_the_last_word():
    """What it returns is what is written, made safe for JSON."""
    scribe = Scribe(redact=lambda record: {**record, "reason": "gone", "weight": math.nan})
    assert {"reason": "gone", "weight": "nan"} == json.loads(scribe.line({"reason": "4111 1111 1111 1111"}))


@pytest.mark.parametrize("redact", [lambda record: 1 / 0, lambda record: None, lambda record: "text"])
def test_a_broken_redaction_hook_writes_nothing(redact: object):
    """Nothing unredacted reaches the log."""
    with pytest.raises(AuditError, match="redaction hook"):
        Scribe(redact=redact).line({"reason": "secret"})

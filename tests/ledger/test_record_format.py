"""Records as bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patterns.errors import StoreUnavailable
from patterns.kernel.storage import Cell, Change
from patterns.ledger import Identity, Ledger, Record, State
from patterns.ledger.record_format import read_record, write_record

texts = st.text(st.characters(codec=None), max_size=20)
times = st.floats(0, 2**40)
integers = st.integers(-(2**63) + 1, 2**63 - 1)  # larger ones are written as texts
plain = st.dictionaries(texts, st.none() | st.booleans() | integers | texts, max_size=3)
identities = st.builds(
    Identity,
    id=texts,
    tool=texts,
    key=st.none() | texts,
    tenant=st.none() | texts,
    run=st.lists(texts, max_size=3).map(tuple),
    distinct=st.lists(texts, max_size=2).map(tuple),
    fingerprint=texts,
    guarantee=texts,
)
records = st.builds(
    Record,
    identity=identities,
    state=st.sampled_from(State),
    fence=st.integers(0, 2**63 - 1),
    owner=st.none() | texts,
    over=st.booleans(),
    created=times,
    first=st.none() | times,
    started=st.none() | times,
    changed=times,
    result=st.none() | plain.map(json.dumps),
    error=st.none() | plain,
    doubt=st.none() | texts,
    repeats=st.booleans(),
    approval=st.none() | texts,
    trace=st.none() | texts,
    resources=st.lists(texts, max_size=2).map(tuple),
    late=st.lists(plain, max_size=2).map(tuple),
    notes=st.lists(plain, max_size=2).map(tuple),
)


@given(records)
def test_a_record_survives_being_written(record: Record):
    """Every field comes back, whatever texts it holds."""
    assert record == read_record(Cell("k", 1, write_record(record)))


@given(records)
def test_the_first_line_is_json_without_the_result(record: Record):
    """Anybody can read it; the result stands on a line of its own."""
    line, *rest = write_record(record).split(b"\n")
    facts = json.loads(line)
    assert (1, record.state.value) == (facts["v"], facts["state"])
    assert ([] if record.result is None else [record.result.encode()]) == rest


def change(written: bytes, **facts) -> bytes:
    """Return the bytes with other facts; None takes one out."""
    known = json.loads(written)
    return json.dumps({name: value for name, value in {**known, **facts}.items() if value is not None}).encode()


WRITTEN = write_record(
    Record(
        identity=Identity(
            id="i", tool="t", key=None, tenant=None, run=(), distinct=(), fingerprint="f", guarantee="at_most_once"
        ),
        state=State.RUNNING,
        created=1.0,
        changed=1.0,
    )
)
DAMAGED = {
    "empty": b"",
    "not JSON": b"{",
    "not UTF-8": b"\xff\xfe",
    "another shape": b"[1]",
    "no version": change(WRITTEN, v=None),
    "no state": change(WRITTEN, state=None),
    "unknown state": change(WRITTEN, state="paid"),
    "fence as text": change(WRITTEN, fence="1"),
    "time as text": change(WRITTEN, created="now"),
    "owner as number": change(WRITTEN, owner=7),
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("value", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_record_is_refused(value: bytes):
    """Nobody can tell whether the effect happened, so it is not run."""
    with pytest.raises(StoreUnavailable, match="the record k is damaged"):
        read_record(Cell("k", 1, value))


def test_a_record_of_a_newer_version_is_refused():
    """It may forbid what this version does not know of."""
    with pytest.raises(StoreUnavailable, match=r"has the format 2.*update the library"):
        read_record(Cell("k", 1, change(WRITTEN, v=2)))


@pytest.mark.parametrize("value", [b"{", change(WRITTEN, v=2)])
def test_the_effect_is_not_run_over_such_a_record(value: bytes, ledger: Ledger, memory, till, run):
    """Fail closed, and leave the record for a person."""
    pay = ledger.once(name="pay")(till.pay)
    pay(1)
    (cell,) = memory.cells.scan("ledger/")
    memory.cells.swap([Change(cell.key, cell.version, value)])
    with pytest.raises(StoreUnavailable):
        pay(1)
    assert [1] == till.paid
    assert value == memory.cells.read(cell.key).value


def test_a_record_as_plain_values_is_fit_for_json(ledger: Ledger, run):
    """For the command line, and for whoever keeps it elsewhere."""
    with ledger.step("mail", key="m-1", to="ann") as step:
        if step.fresh:
            step.result = {"id": (1, 2)}
    facts = json.loads(json.dumps(ledger.effect("m-1").to_dict()))
    expected = {
        "tool": "step:mail",
        "key": "m-1",
        "tenant": "acme",
        "run": ["r-1"],
        "state": "done",
        "result": {"id": {"$tuple": [1, 2]}},
        "fence": 1,
    }
    assert expected == {name: facts[name] for name in expected}
    assert facts["created"] <= facts["changed"]

"""Records as bytes: one line of JSON, and if there is a result a second line with its JSON text.

The second line keeps a large result out of everything that only looks at the
state. The first line starts with the version of the format; a reader refuses
versions it does not know, since it cannot tell what they forbid.

A member that is missing has its default: nothing, or ``created`` for the times
``first`` and ``started``.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as _text
from typing import TYPE_CHECKING, Any

from patterns.errors import StoreUnavailable
from patterns.ledger.read_json import read_json
from patterns.ledger.record import Identity, Record, State, member, texts

if TYPE_CHECKING:
    from patterns.kernel.storage import Cell

__all__ = ["VERSION", "read_record", "write_record"]

VERSION = 1

_STATES = {state.value: state for state in State}
_json = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode


def write_record(record: Record) -> bytes:
    """Return *record* as bytes."""
    created = record.created
    line = (
        f'{{"v":{VERSION},{record.identity.json},"state":"{record.state._value_}","fence":{record.fence}'
        f',"created":{created!r},"changed":{record.changed!r}'
    )
    if record.owner is not None:
        line += f',"owner":{_text(record.owner)}'
    if record.first != created:
        line += _time("first", record.first)
    if record.started != created:
        line += _time("started", record.started)
    line += _rest(record) + "}"
    if record.result is not None:
        line += f"\n{record.result}"
    return line.encode()


def _time(name: str, value: float | None) -> str:
    return f',"{name}":null' if value is None else f',"{name}":{value!r}'


def _rest(record: Record) -> str:
    """Return what most records lack."""
    rest = ',"over":true' if record.over else ""
    if record.trace is not None:
        rest += member("trace", record.trace)
    if record.doubt is not None:
        rest += member("doubt", record.doubt)
    if record.approval is not None:
        rest += member("approval", record.approval)
    if record.repeats:
        rest += ',"repeats":true'
    if record.resources:
        rest += f',"resources":{texts(record.resources)}'
    if record.error is not None:
        rest += f',"error":{_json(record.error)}'
    if record.late:
        rest += f',"late":{_json(record.late)}'
    if record.notes:
        rest += f',"notes":{_json(record.notes)}'
    return rest


def read_record(cell: Cell) -> Record:
    """Return the record that *cell* holds.

    Raises:
        StoreUnavailable: It is damaged or was written by a newer version, so nobody can tell whether to run the effect.

    """
    try:
        line, separator, result = cell.value.decode().partition("\n")
        facts = read_json(line)
        if facts["v"] == VERSION:
            return _built(facts, result if separator else None)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise StoreUnavailable(
            f"the record {cell.key} is damaged ({type(problem).__name__}: {problem}); restore it from a backup",
            key=cell.key,
        ) from problem
    raise StoreUnavailable(
        f"the record {cell.key} has the format {facts['v']!r}, and this version of the library knows only {VERSION}; "
        "update the library",
        key=cell.key,
    )


def _built(facts: dict[str, Any], result: str | None) -> Record:
    created = facts["created"]
    fact = {**_DEFAULTS, "first": created, "started": created, **facts}
    _check(fact)
    return Record(
        identity=Identity(
            id=fact["id"],
            tool=fact["tool"],
            key=fact["key"],
            tenant=fact["tenant"],
            run=tuple(fact["run"]),
            distinct=tuple(fact["distinct"]),
            fingerprint=fact["fingerprint"],
            guarantee=fact["guarantee"],
        ),
        state=_STATES[fact["state"]],
        fence=fact["fence"],
        owner=fact["owner"],
        over=fact["over"],
        created=fact["created"],
        first=fact["first"],
        started=fact["started"],
        changed=fact["changed"],
        result=result,
        error=fact["error"],
        doubt=fact["doubt"],
        repeats=fact["repeats"],
        approval=fact["approval"],
        trace=fact["trace"],
        resources=tuple(fact["resources"]),
        late=tuple(fact["late"]),
        notes=tuple(fact["notes"]),
    )


_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(("key", "tenant", "owner", "error", "doubt", "approval", "trace")),
    **dict.fromkeys(("distinct", "resources", "late", "notes"), ()),
    "over": False,
    "repeats": False,
}


def _check(fact: dict[str, Any]) -> None:
    """Refuse what the rules and the errors could not work with."""
    first, owner, error = fact["first"], fact["owner"], fact["error"]
    if (
        type(fact["id"]) is str
        and type(fact["fingerprint"]) is str
        and type(fact["guarantee"]) is str
        and type(fact["fence"]) is int
        and type(fact["created"]) is float
        and type(fact["changed"]) is float
        and type(fact["over"]) is bool
        and (first is None or type(first) is float)
        and (owner is None or type(owner) is str)
        and (error is None or type(error) is dict)
    ):
        return
    raise TypeError("one of its facts is of another type")

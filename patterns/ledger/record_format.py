"""Records as bytes: one line of JSON, and if there is a result a second line with its JSON text.

The second line keeps a large result out of everything that only looks at the
state. The first line starts with the version of the format; a reader refuses
versions it does not know, since it cannot tell what they forbid.
"""

from __future__ import annotations

import json
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
    line = (
        f'{{"v":{VERSION},{record.identity.json},"state":"{record.state.value}","fence":{record.fence}'
        f',"created":{record.created!r},"changed":{record.changed!r}{member("owner", record.owner)}'
        f"{_number('first', record.first)}{_number('started', record.started)}{_rest(record)}}}"
    )
    if record.result is not None:
        line = f"{line}\n{record.result}"
    return line.encode()


def _number(name: str, value: float | None) -> str:
    return "" if value is None else f',"{name}":{value!r}'


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
    get = facts.get
    identity = Identity(
        id=facts["id"],
        tool=facts["tool"],
        key=get("key"),
        tenant=get("tenant"),
        run=tuple(facts["run"]),
        distinct=tuple(get("distinct", ())),
        fingerprint=facts["fingerprint"],
        guarantee=facts["guarantee"],
    )
    record = Record(
        identity=identity,
        state=_STATES[facts["state"]],
        fence=facts["fence"],
        owner=get("owner"),
        over=get("over", False),
        created=facts["created"],
        first=get("first"),
        started=get("started"),
        changed=facts["changed"],
        result=result,
        error=get("error"),
        doubt=get("doubt"),
        repeats=get("repeats", False),
        approval=get("approval"),
        trace=get("trace"),
        resources=tuple(get("resources", ())),
        late=tuple(get("late", ())),
        notes=tuple(get("notes", ())),
    )
    for name, kinds in _KINDS:
        if type(get(name)) not in kinds:
            raise TypeError(f"{name} is {get(name)!r}")
    return record


# What the rules and the errors rely on.
_KINDS = (
    ("id", (str,)),
    ("fingerprint", (str,)),
    ("guarantee", (str,)),
    ("fence", (int,)),
    ("created", (float,)),
    ("changed", (float,)),
    ("owner", (str, type(None))),
    ("over", (bool, type(None))),
    ("first", (float, type(None))),
    ("error", (dict, type(None))),
)

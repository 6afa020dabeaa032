"""Records as bytes: one line of JSON, and if there is a result a second line with its JSON text.

The second line keeps a large result out of everything that only looks at the
state. The first line starts with the version of the format; a reader refuses
versions it does not know, since it cannot tell what they forbid.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as _text
from typing import TYPE_CHECKING, Any

from patterns.errors import StoreUnavailable
from patterns.ledger.record import Identity, Record, State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from patterns.kernel.storage import Cell

__all__ = ["VERSION", "read_record", "write_record"]

VERSION = 1

_STATES = {state.value: state for state in State}
_OPTIONAL = {"first": float, "started": float, "error": dict, "owner": str, "doubt": str, "approval": str, "trace": str}
_json = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode


def write_record(record: Record) -> bytes:
    """Return *record* as bytes."""
    which = record.identity
    line = (
        f'{{"v":{VERSION},"id":{_text(which.id)},"tool":{_text(which.tool)},"state":"{record.state.value}"'
        f',"fingerprint":{_text(which.fingerprint)},"guarantee":{_text(which.guarantee)}'
        f',"run":{_texts(which.run)},"fence":{record.fence},"created":{record.created!r},"changed":{record.changed!r}'
        f"{_if_text('tenant', which.tenant)}{_if_text('key', which.key)}{_if_text('owner', record.owner)}"
        f"{_if_text('doubt', record.doubt)}{_if_text('approval', record.approval)}{_if_text('trace', record.trace)}"
        f"{_rest(record)}}}"
    )
    if record.result is not None:
        line = f"{line}\n{record.result}"
    return line.encode()


def _texts(texts: Iterable[str]) -> str:
    return f"[{','.join(map(_text, texts))}]"


def _if_text(name: str, value: str | None) -> str:
    return "" if value is None else f',"{name}":{_text(value)}'


def _rest(record: Record) -> str:
    parts = []
    if record.first is not None:
        parts.append(f',"first":{record.first!r}')
    if record.started is not None:
        parts.append(f',"started":{record.started!r}')
    if record.over:
        parts.append(',"over":true')
    if record.repeats:
        parts.append(',"repeats":true')
    if record.identity.distinct:
        parts.append(f',"distinct":{_texts(record.identity.distinct)}')
    if record.resources:
        parts.append(f',"resources":{_texts(record.resources)}')
    if record.error is not None:
        parts.append(f',"error":{_json(record.error)}')
    if record.late:
        parts.append(f',"late":{_json(record.late)}')
    if record.notes:
        parts.append(f',"notes":{_json(record.notes)}')
    return "".join(parts)


def read_record(cell: Cell) -> Record:
    """Return the record that *cell* holds.

    Raises:
        StoreUnavailable: It is damaged or was written by a newer version, so nobody can tell whether to run the effect.

    """
    try:
        line, separator, result = cell.value.decode().partition("\n")
        facts = json.loads(line)
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
    return Record(
        identity=Identity(
            id=_a(str, facts["id"]),
            tool=_a(str, facts["tool"]),
            key=get("key"),
            tenant=get("tenant"),
            run=tuple(facts["run"]),
            distinct=tuple(get("distinct", ())),
            fingerprint=_a(str, facts["fingerprint"]),
            guarantee=_a(str, facts["guarantee"]),
        ),
        state=_STATES[facts["state"]],
        fence=_a(int, facts["fence"]),
        created=_a(float, facts["created"]),
        changed=_a(float, facts["changed"]),
        over=get("over") is True,
        repeats=get("repeats") is True,
        result=result,
        resources=tuple(get("resources", ())),
        late=tuple(get("late", ())),
        notes=tuple(get("notes", ())),
        **{name: _a(kind, facts[name]) for name, kind in _OPTIONAL.items() if name in facts},
    )


def _a(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is not of type {kind.__name__}")
    return value

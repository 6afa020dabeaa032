"""What the ledger knows of one effect: who asked for it, how far it came, and what came of it."""

from __future__ import annotations

import json
from enum import Enum
from functools import cached_property
from json.encoder import encode_basestring_ascii as _text
from typing import TYPE_CHECKING, Any

from attrs import asdict, field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["OPEN", "SETTLED", "Guarantee", "Identity", "Record", "State", "member", "texts"]


class State(Enum):
    """How far an effect came; the moves between the states are in `patterns.ledger.machine`."""

    PENDING = "pending"
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"
    VOID = "void"


SETTLED = frozenset({State.DONE, State.FAILED, State.VOID})
"""States in which nothing more will happen."""

OPEN = frozenset({State.PENDING, State.RUNNING, State.IN_DOUBT})
"""States in which the effect may be about to happen or may have happened without anyone knowing."""


@frozen
class Guarantee:
    """What is promised of an effect whose outcome nobody knows.

    Args:
        kind: ``at_most_once``: it is never run again by itself; ``keyed``: a provider tells repetitions by the
            key that is sent along, so it may be sent again; ``repeatable``: repeating it does no harm.
        window: For how many seconds after the first attempt the provider remembers the key.

    """

    kind: str = "at_most_once"
    window: float | None = None

    @property
    def text(self) -> str:
        """The form that is stamped on records, such as ``keyed:86400``."""
        return self.kind if self.window is None else f"{self.kind}:{self.window:g}"

    @classmethod
    def of(cls, text: str) -> Guarantee:
        """Read the stamped form."""
        kind, _, window = text.partition(":")
        return cls(kind, float(window) if window else None)

    def repeats(self, since: float | None) -> bool:
        """Whether an attempt of unknown outcome may be followed by another, *since* seconds after the first."""
        if self.kind == "repeatable":
            return True
        return self.kind == "keyed" and self.window is not None and since is not None and 0 <= since < self.window


# Without slots, which makes them cheaper to build and to copy; every call builds some.


@frozen(kw_only=True, slots=False)
class Identity:
    """Which effect it is; never changes once the effect has begun.

    Attributes:
        id: Names the effect for people; unique in its store, and the same for equal calls.
        tool: Qualified name of the function, or ``step:`` and the step's name.
        key: The explicit key as people see it, or None if the arguments are the key.
        tenant: Whose effect it is.
        run: Ids of the runs it belongs to, the outermost first; empty if it belongs to none.
        distinct: Labels of the deliberate repetitions it is part of.
        fingerprint: Digest of the arguments.
        guarantee: What was promised when it was recorded.

    """

    id: str
    tool: str
    key: str | None
    tenant: str | None
    run: tuple[str, ...]
    distinct: tuple[str, ...]
    fingerprint: str
    guarantee: str

    @cached_property
    def json(self) -> str:
        """Its facts as members of a JSON object; made once, written with every change of the record."""
        return (
            f'"id":{_text(self.id)},"tool":{_text(self.tool)},"fingerprint":{_text(self.fingerprint)}'
            f',"guarantee":{_text(self.guarantee)},"run":{texts(self.run)}'
            f"{member('tenant', self.tenant)}{member('key', self.key)}"
            + (f',"distinct":{texts(self.distinct)}' if self.distinct else "")
        )


def texts(values: Iterable[str]) -> str:
    """Return *values* as a JSON array."""
    return f"[{','.join(map(_text, values))}]"


def member(name: str, value: str | None) -> str:
    """Return a further member of a JSON object, or nothing."""
    return "" if value is None else f',"{name}":{_text(value)}'


@frozen(kw_only=True, slots=False)
class Record:
    """One effect as it is kept in the store.

    Attributes:
        identity: Which effect.
        state: How far it came.
        fence: Number of the latest attempt; grows with each and never falls.
        owner: Who runs, or ran, the latest attempt.
        over: Whether the latest attempt is known to have ended.
        created: When it was first recorded, as all times in seconds since 1970-01-01 UTC.
        first: When the first attempt began that may have had an effect.
        started: When the latest attempt began.
        changed: When the state last changed.
        result: JSON text of what was returned, see `patterns.ledger.values`.
        error: What was raised, see `patterns.ledger.raised`.
        doubt: Why the outcome is unknown.
        repeats: Whether the outcome of an earlier attempt is unknown.
        approval: Which approval it needs or has.
        trace: W3C traceparent of the call that ran it.
        resources: Keys of the resources it holds while it is open.
        late: Outcomes that attempts reported after the effect had moved on without them.
        notes: What people decided about it, and why.

    """

    identity: Identity
    state: State
    fence: int = 1
    owner: str | None = None
    over: bool = False
    created: float
    first: float | None = None
    started: float | None = None
    changed: float
    result: str | None = field(default=None, repr=False)
    error: Mapping[str, Any] | None = None
    doubt: str | None = None
    repeats: bool = False
    approval: str | None = None
    trace: str | None = None
    resources: tuple[str, ...] = ()
    late: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[Mapping[str, Any], ...] = ()

    @property
    def id(self) -> str:
        """The effect's id."""
        return self.identity.id

    @property
    def tool(self) -> str:
        """The tool's qualified name."""
        return self.identity.tool

    def changed_to(self, **fields: Any) -> Record:
        """Return it with other *fields*; as `attrs.evolve`, at a quarter of its price and without its checks."""
        record = object.__new__(Record)
        record.__dict__.update(self.__dict__, **fields)
        return record

    @property
    def is_settled(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in SETTLED

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, fit for JSON; the result is what the stored text says."""
        facts = asdict(self, recurse=False)
        identity = asdict(facts.pop("identity"), recurse=False)
        facts["state"] = self.state.value
        facts["result"] = None if self.result is None else json.loads(self.result)
        plain = {**identity, **facts}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}

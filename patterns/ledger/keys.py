"""Which calls are one effect: the same tool, scope and key, or arguments."""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import frozen

from patterns.errors import Misuse, ScopeRequired, misuse
from patterns.kernel.canonical import encode, fingerprint
from patterns.kernel.template import Template, template
from patterns.ledger.record import Identity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from patterns.kernel.call import Call
    from patterns.kernel.run import Run
    from patterns.kernel.target import Target

    Select = Callable[[Mapping[str, Any]], Any]

__all__ = ["Effect", "Keys", "effects_prefix", "key_label", "resources_prefix", "scope_prefix", "select_for"]

_UNREADABLE = re.compile(r"[^\w.:-]+", re.ASCII)
_LONGEST_TOOL, _LONGEST_KEY = 80, 1000


def effects_prefix(ledger: str) -> str:
    """Return what the store keys of all effects of a ledger begin with."""
    return f"ledger/{ledger}/effect/"


def resources_prefix(ledger: str) -> str:
    """Return what the store keys of all resources in use begin with."""
    return f"ledger/{ledger}/resource/"


def scope_prefix(ledger: str, tenant: str | None, run: tuple[str, ...]) -> str:
    """Return what the store keys of one run's effects begin with."""
    return effects_prefix(ledger) + _scope(tenant, run, (), "")[0]


@lru_cache(maxsize=1024)
def _scope(tenant: str | None, run: tuple[str, ...], distinct: tuple[str, ...], tool: str) -> tuple[str, Any]:
    """Return the beginning of the ids of a tool's effects in a scope, and the hash they all share."""
    place = sha256(encode([tenant, run], path="the run")).hexdigest()[:16]
    readable = _UNREADABLE.sub("-", tool)[:_LONGEST_TOOL]
    # Only the hash tells effects apart; the rest is there to find them and to be read.
    return (
        f"{place}/{readable}/" if tool else f"{place}/",
        sha256(encode([tenant, run, distinct, tool], path="the run")),
    )


class _Key(NamedTuple):
    spelled: bytes
    label: str


def key_label(key: Any) -> str:
    """Return an explicit key as people see it and ask for it: a text as itself, all else in k1."""
    return key if isinstance(key, str) else encode(key, path="key").decode()


@frozen(slots=False)
class Effect:
    """One call's effect.

    Attributes:
        id: Names it for people.
        cell: The store key of its record.
        fingerprint: Digest of the arguments.
        downstream: The key that tells a provider that two requests are one.
        resources: Store keys of what it must have for itself while it is open.

    """

    id: str
    cell: str
    fingerprint: str
    downstream: str
    resources: tuple[str, ...]
    _keys: Keys
    _run: Run | None
    _key: str | None

    @property
    def hash(self) -> str:
        """What telemetry may know of the key."""
        return self.id[-32:-16]

    def identity(self) -> Identity:
        """Return what a new record of it begins with."""
        run, keys = self._run, self._keys
        return Identity(
            id=self.id,
            tool=keys.tool,
            key=self._key,
            tenant=None if run is None else run.tenant,
            run=() if run is None or keys.across_runs else run.path,
            distinct=() if run is None else run.distinct,
            fingerprint=self.fingerprint,
            guarantee=keys.guarantee,
        )


@frozen(kw_only=True, slots=False)
class Keys:
    """How the effects of one target are told apart; made once per target by `of`.

    Attributes:
        ledger: The ledger's name.
        tool: Name of the target in keys.
        guarantee: What is stamped on new records.
        select: Makes the key of the arguments; None if they are the key themselves.
        fixed: The key itself, for blocks.
        exclude: Parameters that do not matter.
        across_runs: Whether equal calls of different runs are one effect.
        conflict_on: Parameters that name what an effect must have for itself.

    """

    ledger: str
    tool: str
    guarantee: str
    select: Select | None = None
    fixed: Any = None
    exclude: frozenset[str] = frozenset()
    across_runs: bool = False
    conflict_on: tuple[str, ...] = ()

    def effect_of(self, call: Call) -> Effect:
        """Return the effect that *call* is.

        Raises:
            ScopeRequired: It belongs to no run and has no key.
            Misuse: Something it is told apart by has no spelling.

        """
        run = call.run
        has_key = self.select is not None or self.fixed is not None
        if run is None and not has_key:
            raise _scope_required(call)
        arguments = call.arguments
        if not call.target.is_block:
            arguments = call.target.binder.spellable(arguments)
        if has_key:
            key, prints = self._key_of(arguments), _tolerant_fingerprint(arguments, self.exclude)
        else:
            key, prints = None, fingerprint(arguments, exclude=self.exclude)
        return self._effect(run, key, prints, arguments)

    def _effect(self, run: Run | None, key: _Key | None, prints: str, arguments: Mapping[str, Any]) -> Effect:
        tenant, path, distinct = (None, (), ()) if run is None else (run.tenant, run.path, run.distinct)
        if self.across_runs:
            path = ()
        place, shared = _scope(tenant, path, distinct, self.tool)
        hashed = shared.copy()
        hashed.update(prints.encode() if key is None else b"key:" + key.spelled)
        digest = hashed.hexdigest()
        name = place + digest[:32]
        # Other arguments under a freed key are another request to the provider.
        downstream = digest if key is None else sha256(f"{digest}{prints}".encode()).hexdigest()
        resources = self._resources(tenant, arguments) if self.conflict_on else ()
        label = None if key is None else key.label
        return Effect(name, self._prefix + name, prints, downstream[:32], resources, self, run, label)

    @cached_property
    def _prefix(self) -> str:
        return effects_prefix(self.ledger)

    def _key_of(self, arguments: Mapping[str, Any]) -> _Key:
        value = self.fixed if self.select is None else self.select(arguments)
        if value is None or value == "":
            misuse(
                f"the key of {self.tool} is {value!r}, which would make all its calls one effect",
                wrong=f"key={value!r}",
                right="key=lambda order_id, **_: order_id, where order_id is never empty",
            )
        label = self.select.label(arguments) if isinstance(self.select, Template) else key_label(value)
        return _Key(encode(value, path="key"), label[:_LONGEST_KEY])

    def _resources(self, tenant: str | None, arguments: Mapping[str, Any]) -> tuple[str, ...]:
        wanted = [[name, arguments.get(name)] for name in self.conflict_on]
        digest = sha256(encode([tenant, wanted], path="conflict_on")).hexdigest()
        return (resources_prefix(self.ledger) + digest[:32],)


def _tolerant_fingerprint(arguments: Mapping[str, Any], exclude: frozenset[str]) -> str:
    """Return a digest of the arguments that have a spelling; with a key of its own a call may have others too."""
    try:
        return fingerprint(arguments, exclude=exclude)
    except Misuse:
        return fingerprint({name: value for name, value in arguments.items() if _has_spelling(value)}, exclude=exclude)


def _has_spelling(value: Any) -> bool:
    try:
        encode(value)
    except Misuse:
        return False
    return True


def _scope_required(call: Call) -> Misuse:
    name = call.target.name
    if call.target.is_block:
        return ScopeRequired.shown(
            f"the step {name!r} belongs to no run and has no key, so tomorrow's would be one with today's",
            wrong=f"with ledger.step({name!r}) as step: ...",
            right=f"with ledger.step({name!r}, key=mail_id) as step: ...\n"
            f'    or:    with patterns.run("ticket-4711"), ledger.step({name!r}) as step: ...',
        )
    return ScopeRequired.shown(
        f"{name} belongs to no run and has no key, so an equal call next month would be one with this",
        wrong=f"{name}(...)",
        right=f'with patterns.run("ticket-4711"): {name}(...)\n'
        "    or:    @ledger.once(key=lambda order_id, **_: order_id)",
    )


def select_for(target: Target, key: Any, include: tuple[str, ...]) -> Select | None:
    """Return what makes the key of a target's arguments, or None if they are the key.

    Args:
        target: A function.
        key: A function of its parameters, or a template such as ``order-{order_id}``; or None.
        include: Parameters that are the key; or none.

    Raises:
        Misuse: Both are given, or one does not fit the function.

    """
    if key is not None and include:
        misuse(
            "key= and include= both say what the key is",
            wrong="@ledger.once(key=..., include=...)",
            right='@ledger.once(include=("order_id",))',
        )
    if include:
        names = target.binder.require(include, option="include")
        chosen = tuple(name for name in target.binder.names if name in names)
        return lambda arguments: {name: arguments.get(name) for name in chosen}
    if isinstance(key, str):
        if "{" not in key:
            misuse(
                f"key={key!r} names no parameter, so all calls of {target.name} would be one effect",
                wrong=f"key={key!r}",
                right=f'key="{key}-{{{(*target.binder.names, "order_id")[0]}}}"',
            )
        return template(key, target.binder.names)
    return None if key is None else target.binder.selector(key)

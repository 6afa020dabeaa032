"""The user's undo and resolve functions: they take what they need of the call, by name."""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from attrs import frozen

from patterns.errors import Misuse
from patterns.kernel.binding import Binder

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.kernel.binding import Selector
    from patterns.rollback.machine import Action, Policies

__all__ = ["Handler", "Hook", "binder_of_facts", "kept"]

_KEY, _RESULT = "idempotency_key", "result"


@frozen
class Hook:
    """A user's function of an action: of its arguments, its ``idempotency_key``, and its ``result`` if there is one.

    Args:
        option: What it was given as, for errors.
        with_result: Called when the action returned.
        without_result: Called when it did not; None if the function cannot do without.

    """

    option: str
    with_result: Selector
    without_result: Selector | None

    @classmethod
    def of(cls, function: Callable[..., Any], binder: Binder, option: str) -> Hook:
        """Read what *function* takes.

        Raises:
            Misuse: It is no function, or asks for what a call does not have.

        """
        key = () if _KEY in binder.names else (_KEY,)
        with_result = binder.selector(function, option=option, extra=(_RESULT, *key))
        try:
            without_result = binder.selector(function, option=option, extra=key)
        except Misuse:
            without_result = None
        return cls(option, with_result, without_result)

    @property
    def needs_result(self) -> bool:
        """Whether it cannot be called without the action's result."""
        return self.without_result is None

    @property
    def takes(self) -> frozenset[str] | None:
        """The names it asks for; None means all."""
        selector = self.with_result
        return None if selector.takes_rest else frozenset((*selector.positional, *selector.named))

    def __call__(self, action: Action) -> Any:
        """Call the function with what it takes of *action*."""
        facts = {_KEY: action.idempotency_key, **action.arguments}
        if action.has_result or self.without_result is None:
            return self.with_result({**facts, _RESULT: action.result})
        return self.without_result(facts)


@frozen(kw_only=True)
class Handler:
    """How one kind of action is undone.

    Args:
        name: By which a durable undo log finds it again.
        undo: Takes the effect back; None if there is nothing to take back.
        resolve: Tells whether an action in doubt happened.
        retry: A ``tenacity.Retrying`` for the undo, or None.
        policies: What is undone at all.

    """

    name: str
    undo: Hook | None
    resolve: Hook | None
    retry: Any
    policies: Policies

    @property
    def takes(self) -> frozenset[str] | None:
        """The names its functions ask for; None means all."""
        asked = [hook.takes for hook in (self.undo, self.resolve) if hook is not None]
        return None if None in asked else frozenset().union(*(names for names in asked if names is not None))


@lru_cache(maxsize=256)
def binder_of_facts(name: str, facts: tuple[str, ...]) -> Binder:
    """Return what binds the facts of a block called *name*, which has no parameters."""

    def block() -> None:
        """Have the signature of the block's facts."""

    parameters = [inspect.Parameter(fact, inspect.Parameter.KEYWORD_ONLY) for fact in facts]
    block.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    block.__name__ = name
    return Binder(block)


def kept(value: Any) -> Any:
    """Return *value* as it is now: plain containers are copied, whatever else they hold is shared."""
    try:
        return _copied(value)
    except RecursionError:
        return value  # it contains itself


def _copied(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {key: _copied(one) for key, one in value.items()}
    if kind in (list, tuple, set):
        return kind(map(_copied, value))
    return value

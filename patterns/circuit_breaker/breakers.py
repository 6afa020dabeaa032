"""One breaker per key: per tenant, model, account or host."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar

from patterns.circuit_breaker.breaker import CircuitBreaker
from patterns.circuit_breaker.machine import State
from patterns.circuit_breaker.rules import whole
from patterns.errors import misuse
from patterns.kernel.guard import Block, Guard, attach

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.circuit_breaker.snapshot import Snapshot
    from patterns.kernel.binding import Selector
    from patterns.kernel.call import Call, Proceed
    from patterns.kernel.target import Target

__all__ = ["Breakers"]

F = TypeVar("F", bound="Callable[..., Any]")


class Breakers:
    """Makes a breaker for each key when it is first needed, and forgets those that nobody needs.

    Args:
        make: Builds the breaker of a key.
        limit: How many are kept. Beyond that the closed one that was not used for longest is forgotten with
            its counts; one that is open never is.

    Raises:
        Misuse: *make* is not callable, or *limit* is no positive whole number.

    """

    def __init__(self, make: Callable[[str], CircuitBreaker], *, limit: int = 1000) -> None:
        if not callable(make):
            misuse(
                f"make is a function of a key, not {make!r}",
                wrong='Breakers(CircuitBreaker("llm"))',
                right='Breakers(lambda model: CircuitBreaker(f"llm {model}"))',
            )
        self._make = make
        self._limit = whole(limit, name="limit")
        self._lock = threading.Lock()
        self._kept: dict[str, CircuitBreaker] = {}

    def __getitem__(self, key: str) -> CircuitBreaker:
        with self._lock:
            breaker = self._kept.pop(key, None)
            if breaker is not None:
                self._kept[key] = breaker  # the last one is the one used last
                return breaker
        return self._add(key, self._made(key))

    def _made(self, key: str) -> CircuitBreaker:
        if not isinstance(key, str):
            misuse(f"a key is a text, not {key!r}", wrong=f"breakers[{key!r}]", right=f'breakers["{key}"]')
        breaker = self._make(key)
        if not isinstance(breaker, CircuitBreaker):
            misuse(
                f"make made no breaker of {key!r} but {breaker!r}",
                wrong="Breakers(lambda key: None)",
                right="Breakers(lambda key: CircuitBreaker(key))",
            )
        return breaker

    def _add(self, key: str, breaker: CircuitBreaker) -> CircuitBreaker:
        with self._lock:
            kept = self._kept.setdefault(key, breaker)
            if len(self._kept) > self._limit:
                self._forget_one(key)
        return kept

    def _forget_one(self, but: str) -> None:
        for key, breaker in self._kept.items():
            if key != but and breaker.state is State.CLOSED:
                del self._kept[key]
                return

    def __len__(self) -> int:
        return len(self._kept)

    def snapshots(self) -> dict[str, Snapshot]:
        """Return every breaker as it is now, by key, the one used last at the end."""
        with self._lock:
            kept = dict(self._kept)
        return {key: breaker.snapshot() for key, breaker in kept.items()}

    def protect(self, *, key: Callable[..., str]) -> Callable[[F], F]:
        """Guard a function with the breaker of each call's own key.

        Args:
            key: Takes the function's own parameters, or some of them, and returns the key.

        Returns:
            The decorator.

        Raises:
            Misuse: The key does not fit the function, or the function cannot be guarded.

        """
        return lambda function: attach(function, _KeyedGuard(self, key))

    def step(self, name: str, /, *, key: str, **facts: Any) -> Block:
        """Guard a ``with`` or ``async with`` block with the breaker of *key*."""
        return self[key].step(name, **facts)


class _KeyedGuard(Guard):
    """Finds the breaker first; it needs the arguments, so there is no fast lane."""

    name = "breaker.protect"

    def __init__(self, breakers: Breakers, key: Callable[..., str]) -> None:
        self._breakers = breakers
        self._key = key

    def bind(self, target: Target) -> Guard:
        return _BoundGuard(self._breakers, target.binder.selector(self._key))


class _BoundGuard(Guard):
    name = _KeyedGuard.name

    def __init__(self, breakers: Breakers, selector: Selector) -> None:
        self._breakers = breakers
        self._selector = selector

    async def around(self, call: Call, proceed: Proceed) -> Any:
        target = call.target
        breaker = self._breakers[target.binder.call_with(self._selector, call.args, call.kwargs)]
        return await breaker.guard_of(target).around(call, proceed)

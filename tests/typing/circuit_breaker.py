"""How the circuit breaker is used, for type checkers; nothing here is executed."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from patterns.circuit_breaker import (
    FAILURE,
    IGNORE,
    Breakers,
    CircuitBreaker,
    Permit,
    Snapshot,
    State,
    StateChanged,
    Switch,
    Verdict,
    calls,
    growing,
    rate,
    slow,
    streak,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from datetime import timedelta

breaker = CircuitBreaker("billing-api", failure_threshold=3, cool_down=30)


@breaker.protect
def refund(order: str, *, amount: int = 1) -> str:
    """Keep its signature."""
    return f"{order} {amount}"


@breaker.protect()
async def charge(order: str) -> int:
    """Keep being a coroutine function."""
    return len(order)


@breaker.protect
def items(count: int) -> Iterator[int]:
    """Keep yielding."""
    yield count


@breaker.protect
async def more(count: int) -> AsyncIterator[int]:
    """Keep yielding."""
    yield count


class Client:
    """Guards methods."""

    @breaker.protect
    def get(self, path: str) -> bytes:
        """Keep its receiver."""
        return path.encode()


async def use() -> None:
    """What is guarded is what it was."""
    assert_type(refund("A1", amount=2), str)
    assert_type(await charge("A1"), int)
    assert_type(items(1), "Iterator[int]")
    assert_type(Client().get("/"), bytes)
    assert_type(breaker.state, State)
    assert_type(breaker.snapshot(), Snapshot)
    assert_type(breaker.acquire(), Permit)
    assert_type(breaker.try_acquire(), Permit | None)
    assert_type(breaker.acquire().failure(OSError()), bool)
    with breaker.step("sync") as step:
        step.result = 1


def options(minute: timedelta) -> None:
    """Every option in every form it takes."""

    def verdict(error: Exception) -> Verdict | bool:
        return IGNORE if isinstance(error, KeyError) else FAILURE.because("no", weight=2)

    def changed(change: StateChanged) -> None:
        assert_type(change.new, State)

    rule = streak(5) | rate(0.5, window=calls(50)) & slow(0.5, over=minute)
    CircuitBreaker(
        "a", trip=rule, cool_down=growing(minute), failures=verdict, on_transition=changed, switch=Switch("s")
    )
    CircuitBreaker("b", failures=(OSError, TimeoutError), ignore=KeyError, failed_results=bool)
    breakers = Breakers(CircuitBreaker, limit=10)
    assert_type(breakers["a"], CircuitBreaker)
    assert_type(breakers.protect(key=lambda order, **_: order)(refund)("A1"), str)


def wrong() -> None:
    """Mistakes that a checker finds."""
    refund(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    CircuitBreaker("x", 5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    CircuitBreaker("x", cool_down="30s")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    breaker.force_open()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

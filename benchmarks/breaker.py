"""What a circuit breaker costs per call: closed, open, as a block, with eight threads, by the size of its window."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.harness import Case, Table
from benchmarks.peers.breaker import PEERS
from patterns.circuit_breaker import CircuitBreaker, CircuitOpen, calls, rate, slow, streak

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.peers.breaker import Peer
    from patterns.circuit_breaker import Rule

    Function = Callable[[], Any]

IN_A_ROW, IN_TIME, SLOW, ALL = (
    "patterns (in a row)",
    "patterns (in a row, last 60 s)",
    "patterns (in a row, last 60 s, slow calls)",
    "patterns (in a row, last 60 s, slow calls, results)",
)
OPTIONS: dict[str, dict[str, Any]] = {
    IN_A_ROW: {},
    IN_TIME: {"error_rate_threshold": 0.5},
    SLOW: {"trip": streak(5) | rate(0.5) | slow(0.5, over=2.0)},
    ALL: {"trip": streak(5) | rate(0.5) | slow(0.5, over=2.0), "failed_results": lambda result: result is None},
}
THREADS, EACH = 8, 1000


def tool() -> int:
    """Work."""
    return 1


async def async_tool() -> int:
    """Work without waiting."""
    return 1


def failing() -> None:
    """Do not work."""
    raise ConnectionError


def closure(function: Function) -> Function:
    """Wrap as cheaply as a decorator can."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


def async_closure(function: Function) -> Function:
    """Do the same for a coroutine function."""

    async def call(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return call


def ours(options: dict[str, Any], function: Function) -> Function:
    """Guard with a new breaker of ours."""
    return CircuitBreaker("b", **options).protect(function)


def of_peer(make: Callable[[Peer], Function | None], peer: type[Peer]) -> Function | None:
    """Return what *make* makes of the peer, or None if it is not installed or cannot."""
    with suppress(ImportError):
        return make(peer())
    return None


def beside(
    make_ours: Callable[[dict[str, Any]], Function],
    make: Callable[[Peer], Function | None],
    *,
    asynchronous: bool = False,
) -> list[Case]:
    """Return a case per breaker of ours and of others."""
    mine = [
        Case(name=name, make=partial(make_ours, options), asynchronous=asynchronous)
        for name, options in OPTIONS.items()
    ]
    return mine + [
        Case(name=name, make=partial(of_peer, make, peer), asynchronous=asynchronous, ours=False)
        for name, peer in PEERS.items()
    ]


def closed() -> list[Case]:
    """Succeed."""
    bare = Case(name="bare function", make=lambda: tool, ours=False)
    around = Case(name="closure", make=lambda: closure(tool), ours=False)
    return [bare, around, *beside(lambda options: ours(options, tool), lambda peer: peer.protected(tool))]


def closed_async() -> list[Case]:
    """Succeed in a coroutine."""
    bare = Case(name="bare function", make=lambda: async_tool, asynchronous=True, ours=False)
    around = Case(name="closure", make=lambda: async_closure(async_tool), asynchronous=True, ours=False)
    cases = beside(
        lambda options: ours(options, async_tool), lambda peer: peer.async_protected(async_tool), asynchronous=True
    )
    return [bare, around, *cases]


def refused(guarded: Function, error: type[Exception]) -> Function:
    """Return a function that is refused, once *guarded* has failed often enough."""
    for _ in range(50):
        with suppress(ConnectionError, error):
            guarded()

    def call() -> None:
        try:
            guarded()
        except error:
            return
        raise AssertionError("it was not refused")

    return call


def opened() -> list[Case]:
    """Be refused."""
    cases = beside(
        lambda options: refused(ours(options, failing), CircuitOpen),
        lambda peer: refused(peer.protected(failing), peer.error),
    )
    return [*cases, Case(name="patterns, try_acquire", make=asked)]


def asked() -> Function:
    """Return the way to ask without an exception."""
    breaker = CircuitBreaker("b")
    breaker.force_open("benchmark")
    return breaker.try_acquire


def block(options: dict[str, Any]) -> Function:
    """Return an empty step."""
    breaker = CircuitBreaker("b", **options)

    def run() -> None:
        with breaker.step("tool"):
            pass

    return run


def permit(options: dict[str, Any]) -> Function:
    """Return an empty block of a permit."""
    breaker = CircuitBreaker("b", **options)

    def run() -> None:
        with breaker.acquire():
            pass

    return run


def blocks() -> list[Case]:
    """Succeed in a block."""
    cases = beside(permit, lambda peer: peer.block())
    return [*cases, Case(name="patterns, step", make=lambda: block({}))]


def in_threads(guarded: Function | None) -> Function | None:
    """Call from eight threads at once."""
    if guarded is None:
        return None

    def work() -> None:
        for _ in range(EACH):
            guarded()

    def run() -> None:
        threads = [threading.Thread(target=work) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return run


def alone(guarded: Function) -> Function:
    """Make as many calls in one thread."""

    def run() -> None:
        for _ in range(THREADS * EACH):
            guarded()

    return run


def threads() -> list[Case]:
    """Succeed 8000 times."""
    single = Case(name=f"{IN_TIME}, one thread", make=lambda: alone(ours(OPTIONS[IN_TIME], tool)))
    cases = beside(
        lambda options: in_threads(ours(options, tool)) or tool, lambda peer: in_threads(peer.protected(tool))
    )
    return [single, *cases]


def held(rule: Rule, count: int) -> Function:
    """Return a guarded function that was called *count* times."""
    guarded = CircuitBreaker("b", trip=rule).protect(tool)
    for _ in range(count):
        guarded()
    return guarded


def windows() -> Iterable[Case]:
    """Succeed, with windows of all sizes."""
    for size in (10, 1000, 1_000_000):
        rule = rate(0.5, min_calls=5, window=calls(size))
        yield Case(name=f"last {size:_} calls, full", make=partial(held, rule, size))
    for length in (10, 60, 3600):
        yield Case(name=f"last {length} s", make=partial(held, rate(0.5, window=float(length)), 1))
    yield Case(name="last 3600 s, 1_000_000 calls held", make=partial(held, rate(0.5, window=3600.0), 1_000_000))


def tables() -> list[Table]:
    """Return the tables."""
    fastest = "circuitbreaker 2.1 (in a row)"
    words = "in a row: opens after failures in a row; last ...: opens on a rate over that window."
    return [
        Table(name="breaker", title="Circuit breaker, closed", cases=closed(), baseline=fastest, notes=words),
        Table(name="breaker-async", title="Circuit breaker, closed, async", cases=closed_async(), baseline=fastest),
        Table(name="breaker-open", title="Circuit breaker, open: a refused call", cases=opened(), baseline=fastest),
        Table(
            name="breaker-block",
            title="Circuit breaker, closed, with block",
            cases=blocks(),
            baseline="interlock-cb 2.8 (last 60 s)",
            notes="Ours: `with breaker.acquire():`, and the step, a whole call. That of circuitbreaker does not guard.",
        ),
        Table(
            name="breaker-threads",
            title="Circuit breaker, 8000 calls from eight threads",
            cases=threads(),
            baseline=f"{IN_TIME}, one thread",
        ),
        Table(
            name="breaker-windows",
            title="Circuit breaker, by the size of its window",
            cases=list(windows()),
            baseline="last 10 s",
        ),
    ]

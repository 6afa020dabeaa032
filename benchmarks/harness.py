"""Runs cases interleaved in one process, so that a machine that slows down slows all of them.

Each round runs every case once; a case is repeated within a round until it
takes long enough to be timed. The garbage collector stays on, as in life.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Case", "Result", "Table", "measure"]

ROUNDS = 7
_ROUND_SECONDS = 0.02


@frozen(kw_only=True)
class Case:
    """One thing to time.

    Args:
        name: What it is, with the peer's name and version where it is one.
        make: Builds the function of no arguments that is timed; called once. None from it skips the case,
            which is then reported as not installed.
        asynchronous: The function is a coroutine function.
        ours: Whether it is this library's.

    """

    name: str
    make: Callable[[], Callable[[], Any] | None]
    asynchronous: bool = False
    ours: bool = True


@frozen(kw_only=True)
class Table:
    """Cases that belong side by side; ratios are to *baseline*."""

    name: str
    title: str
    cases: Sequence[Case]
    baseline: str
    notes: str = ""


@frozen(kw_only=True)
class Result:
    """Seconds per call of one case over all rounds, the quickest first."""

    case: Case
    seconds: Sequence[float]

    @property
    def median(self) -> float:
        """Seconds per call in the middle round."""
        return statistics.median(self.seconds)


@frozen
class _Ready:
    case: Case
    run: Callable[[int], float]
    loops: int


def _sync_runner(function: Callable[[], Any]) -> Callable[[int], float]:
    def run(loops: int) -> float:
        started = time.perf_counter()
        for _ in range(loops):
            function()
        return time.perf_counter() - started

    return run


def _async_runner(function: Callable[[], Any]) -> Callable[[int], float]:
    async def loop(loops: int) -> float:
        started = time.perf_counter()
        for _ in range(loops):
            await function()
        return time.perf_counter() - started

    return lambda loops: asyncio.run(loop(loops))


def _prepare(case: Case) -> _Ready | None:
    function = case.make()
    if function is None:
        return None
    run = (_async_runner if case.asynchronous else _sync_runner)(function)
    loops = 1
    while (taken := run(loops)) < _ROUND_SECONDS / 4:
        loops *= 2
    return _Ready(case, run, max(1, round(loops * _ROUND_SECONDS / taken)))


def measure(table: Table, *, rounds: int = ROUNDS) -> list[Result]:
    """Time every case of *table* that can be built, interleaved."""
    ready = [made for made in map(_prepare, table.cases) if made is not None]
    taken: dict[str, list[float]] = {one.case.name: [] for one in ready}
    for _ in range(rounds):
        for one in ready:
            taken[one.case.name].append(one.run(one.loops) / one.loops)
    return [Result(case=one.case, seconds=sorted(taken[one.case.name])) for one in ready]

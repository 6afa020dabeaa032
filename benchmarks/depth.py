"""What a stack costs by its depth: one fused wrapper against wrappers around wrappers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import wrapt

from benchmarks.harness import Case, Table
from patterns.circuit_breaker import CircuitBreaker
from patterns.kernel.guard import Bracket, Guard, attach

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.kernel.call import Call, Proceed

DEPTHS = (1, 3, 6, 12)


class Around(Guard):
    """A guard that settles and does nothing else."""

    name = "around"

    async def around(self, call: Call, proceed: Proceed) -> Any:
        """Attempt and unwrap, as every pattern does."""
        return (await call.attempt(proceed)).unwrap()


class Fast(Bracket):
    """A guard of the fast lane that does nothing."""

    name = "fast"

    def admit(self) -> None:
        """Admit."""

    def returned(self, permit: Any, value: Any) -> None:
        """Do nothing."""

    def raised(self, permit: Any, error: BaseException) -> None:
        """Do nothing."""

    abandoned = raised

    def released(self, permit: Any) -> None:
        """Do nothing."""


def tool(order: int = 1) -> int:
    """Be cheap."""
    return order


def _stacked(decorate: Callable[[Any], Any], depth: int) -> Callable[[], Any]:
    function: Any = tool
    for _ in range(depth):
        function = decorate(function)
    made: Callable[[], Any] = function
    return made


def _closure(function: Any) -> Any:
    def around(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        finally:
            pass

    return around


@wrapt.decorator
def _wrapt(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
    return wrapped(*args, **kwargs)


def _case(name: str, decorate: Callable[[Any], Any], depth: int, *, ours: bool) -> Case:
    return Case(name=f"{name}, {depth} deep", make=lambda: _stacked(decorate, depth), ours=ours)


def tables() -> list[Table]:
    """Return the table of depths, telemetry without an SDK."""
    around, fast = Around(), Fast()
    cases = [_case("bare closure", _closure, depth, ours=False) for depth in DEPTHS]
    cases += [_case("wrapt on wrapt", _wrapt, depth, ours=False) for depth in DEPTHS]
    cases += [_case("fast lane", lambda function: attach(function, fast), depth, ours=True) for depth in DEPTHS]
    cases += [_case("guards", lambda function: attach(function, around), depth, ours=True) for depth in DEPTHS]
    cases += [_case("breakers", CircuitBreaker("b").protect, depth, ours=True) for depth in DEPTHS]
    return [Table(name="depth", title="Wrapper depth", cases=cases, baseline="bare closure, 1 deep")]

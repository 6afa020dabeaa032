"""One body, every shape: runs the same work as a def, a coroutine, a generator, a block and their kin."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from patterns.kernel.block import Block

__all__ = ["ASYNC_SHAPES", "BLOCK_SHAPES", "FUNCTION_SHAPES", "SHAPES", "Guarding", "Shape"]


@frozen
class Guarding:
    """A pattern as the laws use it: how it decorates and how it makes a block."""

    name: str
    decorate: Callable[[Any], Any]
    step: Callable[[str], Block]


@frozen
class Shape:
    """One way to run a body under guards; ``run(guardings, body)`` returns or raises what the caller sees."""

    name: str
    run: Callable[[Sequence[Guarding], Callable[[], Any]], Any]

    def __str__(self) -> str:
        return self.name


def decorated(guardings: Sequence[Guarding], function: Any) -> Any:
    """Return *function* under the decorators, outermost first."""
    for guarding in reversed(guardings):
        function = guarding.decorate(function)
    return function


def _run_async(make: Callable[[], Any]) -> Any:
    import asyncio  # noqa: PLC0415 - sync shapes never need it

    async def main() -> Any:
        return await make()

    return asyncio.run(main())


def _def(guardings: Sequence[Guarding], body: Callable[[], Any]) -> Any:
    def tool() -> Any:
        return body()

    return decorated(guardings, tool)()


def _coroutine(guardings: Sequence[Guarding], body: Callable[[], Any]) -> Any:
    async def tool() -> Any:
        return body()

    return _run_async(decorated(guardings, tool))


def _generator(guardings: Sequence[Guarding], body: Callable[[], Any]) -> Any:
    def tool() -> Iterator[Any]:
        yield body()

    return next(iter(list(decorated(guardings, tool)())))


def _async_generator(guardings: Sequence[Guarding], body: Callable[[], Any]) -> Any:
    async def tool() -> AsyncIterator[Any]:
        yield body()

    guarded = decorated(guardings, tool)

    async def consume() -> Any:
        return [item async for item in guarded()][0]  # noqa: RUF015 - the generator must be exhausted

    return _run_async(consume)


def _with(guardings: Sequence[Guarding], body: Callable[[], Any]) -> Any:
    with contextlib.ExitStack() as stack:
        steps = [stack.enter_context(guarding.step("tool")) for guarding in guardings]
        result = body()
        for step in steps:
            step.result = result
    return result


def _async_with(guardings: Sequence[Guarding], body: Callable[[], Any]) -> Any:
    async def main() -> Any:
        async with contextlib.AsyncExitStack() as stack:
            steps = [await stack.enter_async_context(guarding.step("tool")) for guarding in guardings]
            result = body()
            for step in steps:
                step.result = result
        return result

    return _run_async(main)


SHAPES = (
    Shape("def", _def),
    Shape("async def", _coroutine),
    Shape("generator", _generator),
    Shape("async generator", _async_generator),
    Shape("with", _with),
    Shape("async with", _async_with),
)
FUNCTION_SHAPES = SHAPES[:2]
BLOCK_SHAPES = SHAPES[4:]
ASYNC_SHAPES = (SHAPES[1], SHAPES[3], SHAPES[5])

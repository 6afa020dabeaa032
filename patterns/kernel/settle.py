"""Settlement that cancellation cannot interrupt, and hooks of either colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from patterns.errors import misuse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine

    from patterns.kernel.call import Call

__all__ = ["hook_result", "shielded"]

T = TypeVar("T")


async def shielded(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* to its end whatever cancels the caller; the cancellation is raised afterwards.

    A task of its own holds the work, so neither several ``Task.cancel`` nor an
    anyio cancel scope (which cancels again and again) can stop it.
    """
    import asyncio

    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled() and (failure := task.exception()) is not None:
            raise cancelled from failure
        raise cancelled
    return task.result()


async def hook_result(value: Awaitable[T] | T, call: Call, hook: str) -> T:
    """Return what a user's hook returned, awaiting it if need be.

    Raises:
        Misuse: The hook is async and the guarded function is not.

    """
    awaitable: Any = value
    if not hasattr(type(value), "__await__"):
        return awaitable  # type: ignore[no-any-return]
    if call.target.asynchronous:
        return await awaitable  # type: ignore[no-any-return]
    if hasattr(awaitable, "close"):
        awaitable.close()
    return misuse(
        f"{hook} is async but {call.target.name} is not, so nothing can await it",
        wrong=f"{hook}=async_function on a def",
        right=f"{hook}=plain_function, or make {call.target.name} an async def",
    )

"""Runs a piece of work under a tenacity policy, in both colours and on the injected clock."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from patterns.rollback.mode import Mode

__all__ = ["retried"]


async def retried(
    policy: Any, work: Callable[[], Awaitable[Any]], mode: Mode, *, never: tuple[type[Exception], ...] = ()
) -> Any:
    """Await ``work()`` until it returns or *policy* gives up; then the last error itself is raised.

    Args:
        policy: A ``tenacity.Retrying``, or None for one attempt.
        work: Makes one attempt.
        mode: How to wait between attempts.
        never: Errors after which there is no further attempt whatever the policy says.

    """
    if policy is None:
        return await work()
    import tenacity  # noqa: PLC0415 - those who never retry do not pay for it

    # A copy of its own: the policy object keeps state per thread, and tasks share a thread.
    own = policy.copy(reraise=True)
    own.begin()
    state = tenacity.RetryCallState(own, fn=None, args=(), kwargs={})
    state.start_time = mode.clock.now()
    while True:
        todo = own.iter(retry_state=state)
        if isinstance(todo, tenacity.DoAttempt):
            await _attempt(state, work, never)
            state.outcome_timestamp = mode.clock.now()
        elif isinstance(todo, tenacity.DoSleep):
            state.prepare_for_next_attempt()
            await mode.sleep(float(todo))
        else:
            return todo


async def _attempt(state: Any, work: Callable[[], Awaitable[Any]], never: tuple[type[Exception], ...]) -> None:
    try:
        value = await work()
    except never:
        raise
    except Exception:  # noqa: BLE001 - the policy decides what becomes of it
        state.set_exception(sys.exc_info())
    else:
        state.set_result(value)

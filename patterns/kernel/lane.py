"""The fast lane: guards that neither wait nor need the arguments run as plain brackets around the function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from patterns.kernel.bracket import Bracket, async_brackets, sync_brackets
from patterns.kernel.target import Kind
from patterns.kernel.timed import TimedTurnstile, async_timed, sync_timed
from patterns.kernel.turnstile import (
    Turnstile,
    async_turnstile,
    async_turnstiles,
    sync_turnstile,
    sync_turnstiles,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.kernel.stack import Stack

__all__ = ["lane_for"]


def lane_for(stack: Stack) -> Callable[..., Any] | None:
    """Return the fast form of *stack*, or None if one of its guards needs the whole machinery."""
    brackets = [guard for guard in stack.guards if isinstance(guard, Bracket)]
    if len(brackets) != len(stack.guards):
        return None
    turnstiles = [one for one in brackets if isinstance(one, Turnstile)]
    free = turnstiles if len(turnstiles) == len(brackets) else []
    if stack.target.kind is Kind.FUNCTION:
        return _sync(stack, brackets, free)
    return _async(stack, brackets, free) if stack.target.kind is Kind.COROUTINE else None


def _sync(stack: Stack, brackets: list[Bracket], turnstiles: list[Turnstile]) -> Callable[..., Any]:
    if len(turnstiles) == 1:
        return sync_turnstile(stack, turnstiles[0])
    if len(brackets) == 1 and isinstance(brackets[0], TimedTurnstile):
        return sync_timed(stack, brackets[0])
    asking = sync_brackets(stack, brackets)
    return sync_turnstiles(stack, turnstiles, asking) if turnstiles else asking


def _async(stack: Stack, brackets: list[Bracket], turnstiles: list[Turnstile]) -> Callable[..., Any]:
    if len(turnstiles) == 1:
        return async_turnstile(stack, turnstiles[0])
    if len(brackets) == 1 and isinstance(brackets[0], TimedTurnstile):
        return async_timed(stack, brackets[0])
    asking = async_brackets(stack, brackets)
    return async_turnstiles(stack, turnstiles, asking) if turnstiles else asking

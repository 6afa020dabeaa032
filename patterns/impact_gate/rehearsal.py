"""Tries an action on a twin and takes it back."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import frozen

from patterns.errors import Misuse
from patterns.impact_gate.world import Unmeasurable
from patterns.kernel import telemetry
from patterns.kernel.rehearsal import rehearsing
from patterns.kernel.settle import hook_result, shielded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from patterns.impact_gate.effect import Effect
    from patterns.impact_gate.world import Twin, World
    from patterns.kernel.call import Call

__all__ = ["Rehearsal", "own_copy", "rehearse", "spread"]

T = TypeVar("T")

_LONGEST = 200


@frozen(kw_only=True)
class Rehearsal:
    """What came of it.

    Args:
        effect: What the action did to the twin.
        returned: What it returned.
        residual: Which part of the changed rows the undo did not restore; None if there is no undo.
        notes: What else is worth saying.

    """

    effect: Effect
    returned: Any = None
    residual: float | None = None
    notes: tuple[str, ...] = ()


@contextmanager
def _on(twin: Twin, action: str) -> Iterator[None]:
    with rehearsing(action), twin.visible():
        yield


async def aside(call: Call, work: Callable[[], T]) -> T:
    """Do *work* that may block: in a thread if an event loop must go on, and to its end whatever is cancelled."""
    if not call.target.asynchronous:
        return work()
    import asyncio

    return await shielded(asyncio.to_thread(work))


async def rehearse(
    call: Call,
    world: World,
    act: Callable[[], Any],
    *,
    undo: Callable[[], Any] | None = None,
    expected: tuple[type[Exception], ...] = (),
) -> Rehearsal:
    """Return what *act* does on a twin of *world*; nothing of it remains, whatever happens.

    Args:
        call: Whose action it is.
        world: Where it is tried.
        act: The action, sync or async like the call.
        undo: Tried on the same twin afterwards.
        expected: What the action may raise on purpose.

    Raises:
        Unmeasurable: It cannot be told what the action does.

    """
    twin = world.twin()
    residual: float | None = None
    with telemetry.span(f"rehearse {call.name}"):
        try:
            await aside(call, twin.open)
            returned, notes = await _tried(call, twin, act, expected)
            effect = await aside(call, twin.effect)
            if undo is not None and effect.changes:
                residual, failed = await _undone(call, twin, undo, effect)
                notes += failed
        finally:
            await aside(call, twin.close)
    return Rehearsal(effect=effect, returned=returned, residual=residual, notes=notes)


async def _tried(
    call: Call, twin: Twin, act: Callable[[], Any], expected: tuple[type[Exception], ...]
) -> tuple[Any, tuple[str, ...]]:
    try:
        with _on(twin, call.name):
            returned = await hook_result(act(), call, "the rehearsed function")
    except expected as error:
        return None, (f"it raises {_told(error)}",)
    except Misuse:
        raise
    except Exception as error:
        await aside(call, twin.effect)  # knows better if the twin itself was the reason
        raise Unmeasurable(f"its rehearsal raised {_told(error)}") from error
    if not twin.used:
        raise Unmeasurable(
            "it never came near the world, so what it does is done elsewhere; simulate= can stand in for it"
        )
    return returned, ()


async def _undone(call: Call, twin: Twin, undo: Callable[[], Any], effect: Effect) -> tuple[float, tuple[str, ...]]:
    try:
        with _on(twin, call.name):
            await hook_result(undo(), call, "undo")
        left = await aside(call, twin.effect)
    except Misuse:
        raise
    except Exception as error:  # noqa: BLE001 - an undo that fails earns no credit, and is no reason to know less
        return 1.0, (f"its undo failed: {_told(error)}",)
    if left.schema or left.uncovered:
        return 1.0, ()
    return min(1.0, len(left.changes) / len(effect.changes)), ()


def _told(error: Exception) -> str:
    return repr(error)[:_LONGEST]


def own_copy(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments whose lists, dicts and sets a rehearsal may change without the real call noticing.

    Other objects are passed as they are: changing them is an effect outside of the world.

    Raises:
        Unmeasurable: One is an iterator, which the rehearsal would use up.

    """
    return {name: _copied(value, name, {}) for name, value in arguments.items()}


def spread(
    function: Callable[..., Any], known: Mapping[str, Any], arguments: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return *arguments*, given by name, as a call of *function* takes them.

    Raises:
        ValueError: One of them is not *known*.

    """
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        raise ValueError(f"the baseline has an argument {unknown[0]!r}, which the function does not take")
    signature = inspect.signature(function)
    # What a bound method or a partial carries along is in the arguments, but not for the caller to pass.
    passed = OrderedDict((name, arguments[name]) for name in signature.parameters if name in arguments)
    bound = inspect.BoundArguments(signature, passed)
    return bound.args, bound.kwargs


def _copied(value: Any, name: str, seen: dict[int, Any]) -> Any:
    if id(value) in seen:
        return seen[id(value)]
    kind = type(value)
    if kind is list:
        made: list[Any] = []
        seen[id(value)] = made
        made.extend(_copied(one, name, seen) for one in value)
        return made
    if kind is dict:
        copied: dict[Any, Any] = {}
        seen[id(value)] = copied
        copied.update((key, _copied(one, name, seen)) for key, one in value.items())
        return copied
    if kind in {set, bytearray}:
        return kind(value)
    if kind is tuple:
        return tuple(_copied(one, name, seen) for one in value)
    if hasattr(kind, "__next__") or inspect.isasyncgen(value) or hasattr(kind, "__anext__"):
        raise Unmeasurable(f"its argument {name} is an iterator, which a rehearsal would use up; pass a list")
    return value

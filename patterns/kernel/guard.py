"""Puts guards on functions: one wrapper however many decorators; the only door to wrapt."""

from __future__ import annotations

import contextlib
import functools
import types
from typing import TYPE_CHECKING, Any, TypeVar, cast

from patterns.errors import misuse
from patterns.kernel.block import Block, Step
from patterns.kernel.bracket import Bracket
from patterns.kernel.lane import lane_for
from patterns.kernel.shapes import SHAPES
from patterns.kernel.stack import Guard, Stack
from patterns.kernel.target import Target
from patterns.kernel.turnstile import Turnstile

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Block", "Bracket", "Guard", "Step", "Turnstile", "attach", "is_tool_object", "layers", "on_import"]

F = TypeVar("F", bound="Callable[..., Any]")

_RECORD = "_self_patterns_stack"  # wrapt keeps names that start so on the proxy itself


class _Record:
    """What a wrapper of ours remembers; it names its wrapper, for strangers' ``functools.wraps`` copies it."""

    __slots__ = ("function", "guards", "wrapper")

    def __init__(self, function: Callable[..., Any], guards: tuple[Guard, ...], wrapper: Any) -> None:
        self.function = function
        self.guards = guards
        self.wrapper = wrapper


def _record_of(function: Any) -> _Record | None:
    record = getattr(function, _RECORD, None)
    return record if isinstance(record, _Record) and record.wrapper is function else None


def layers(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the guards around *function*, outermost first; empty if there are none."""
    record = _record_of(function) or _record_of(getattr(function, "__func__", None))
    return () if record is None else tuple(guard.name for guard in record.guards)


def attach(function: F, guard: Guard) -> F:
    """Return *function* with *guard* as its outermost layer, fused into one wrapper.

    Args:
        function: A function, coroutine function, generator function, method, classmethod, staticmethod or
            other callable.
        guard: The new layer.

    Raises:
        Misuse: *function* is a class, a property, a framework's tool object or not callable at all,
            or the guard cannot guard it.

    """
    if isinstance(function, (classmethod, staticmethod)):
        return cast("F", type(function)(attach(function.__func__, guard)))
    refuse_unguardable(function, guard.name)
    record = _record_of(function)
    plain, inner = (function, ()) if record is None else (record.function, record.guards)
    target = Target.of(plain)
    stack = Stack(target, (guard.bind(target), *inner))
    wrapper: Any = _closure(plain, stack) if isinstance(plain, types.FunctionType) else _proxy(plain, stack)
    setattr(wrapper, _RECORD, _Record(plain, stack.guards, wrapper))
    return cast("F", wrapper)


def _closure(function: types.FunctionType, stack: Stack) -> Any:
    """Wrap a function in a function: cheap, picklable by name, and what frameworks expect to find."""
    return functools.wraps(function)(lane_for(stack) or SHAPES[stack.target.kind](stack))


def _proxy(function: Any, stack: Stack) -> Any:
    guarded = lane_for(stack) or SHAPES[stack.target.kind](stack)

    def call(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # Looked up on an object, *wrapped* is bound to it; a method that was bound before has its object already.
        return guarded(*args, **kwargs) if wrapped is function else guarded(instance, *args, **kwargs)

    return _proxy_type()(function, call)


@functools.cache
def _proxy_type() -> Any:
    import wrapt

    class GuardedCallable(wrapt.FunctionWrapper):  # type: ignore[type-arg]
        """Stands in for a callable that is not a plain function."""

        def __copy__(self) -> Any:
            return self

        def __deepcopy__(self, memo: dict[int, Any]) -> Any:
            import copy  # noqa: PLC0415 - loaded when needed

            return _reguard(copy.deepcopy(self.__wrapped__, memo), getattr(self, _RECORD).guards)

        def __reduce_ex__(self, protocol: Any) -> Any:
            return _reguard, (self.__wrapped__, getattr(self, _RECORD).guards)

    return GuardedCallable


def _reguard(function: Any, guards: tuple[Guard, ...]) -> Any:
    for guard in reversed(guards):
        function = attach(function, guard)
    return function


_TOOL_PARTS = ("func", "fn", "function", "coroutine", "_run", "run", "invoke", "on_invoke_tool", "run_async", "forward")


def refuse_unguardable(function: Any, decorator: str) -> None:
    """Refuse what a decorator would not guard, although it looks as if it did.

    Raises:
        Misuse: *function* is a class, a property, a framework's tool object or not callable.

    """
    name = getattr(function, "__name__", None) or type(function).__name__
    if isinstance(function, type):
        misuse(
            f"{name} is a class; a guard stands around a call",
            wrong=f"@{decorator}\n           class {name}: ...",
            right=f"class {name}:\n               @{decorator}\n               def method(self): ...",
        )
    if isinstance(function, (property, functools.cached_property, functools.partialmethod)):
        kind = type(function).__name__
        misuse(
            f"a {kind} is not a function; guard what is inside",
            wrong=f"@{decorator}\n           @{kind}\n           def value(self): ...",
            right=f"@{kind}\n           @{decorator}\n           def value(self): ...",
        )
    if getattr(getattr(function, "__code__", None), "co_filename", None) == contextlib.__file__:
        misuse(
            f"{name} makes a context manager; a guard around it would end before the with block begins",
            wrong=f"@{decorator}\n           @contextmanager\n           def {name}(): ...",
            right=f"@contextmanager\n           @{decorator}\n           def {name}(): ...",
        )
    if is_tool_object(function):
        misuse(
            f"{name} is a tool object of {type(function).__module__}; the framework would call what is inside it "
            "and never the guard",
            wrong=f"@{decorator}\n           @tool\n           def refund(...): ...",
            right=f"@tool\n           @{decorator}\n           def refund(...): ...\n"
            f"    or:    patterns.guard_tools([{name}], {decorator})",
        )
    if not callable(function):
        misuse(
            f"{function!r} is not callable",
            wrong=f"{decorator}(fetch())",
            right=f"{decorator}(fetch)",
        )


def is_tool_object(function: Any) -> bool:
    """Whether *function* is a framework's object that holds the real function inside it."""
    if isinstance(function, (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial)):
        return False
    named = isinstance(getattr(function, "name", None), str) and hasattr(function, "description")
    return named and any(callable(getattr(function, part, None)) for part in _TOOL_PARTS)


def on_import(module: str, hook: Callable[[Any], None]) -> None:
    """Call *hook* with the module once it is imported."""
    import wrapt

    wrapt.register_post_import_hook(hook, module)

"""What is known of a guarded function before it is ever called."""

from __future__ import annotations

import functools
import inspect
import types
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.kernel.binding import Binder

__all__ = ["Kind", "Target", "kind_of"]

_ITERABLE_COROUTINE = inspect.CO_ITERABLE_COROUTINE


class Kind(Enum):
    """The shape of what is guarded."""

    FUNCTION = "function"
    COROUTINE = "coroutine function"
    GENERATOR = "generator function"
    ASYNC_GENERATOR = "async generator function"
    BLOCK = "with block"
    ASYNC_BLOCK = "async with block"


_ASYNC = frozenset({Kind.COROUTINE, Kind.ASYNC_GENERATOR, Kind.ASYNC_BLOCK})
_ONE_SHOT = frozenset({Kind.GENERATOR, Kind.ASYNC_GENERATOR, Kind.BLOCK, Kind.ASYNC_BLOCK})
_BLOCKS = frozenset({Kind.BLOCK, Kind.ASYNC_BLOCK})


class Target:
    """The function (or block) a stack of guards stands around.

    Args:
        function: What runs; None for a block.
        kind: Its shape.
        name: Low-cardinality name, used for spans: the function's or the step's.
        qualified_name: Module and qualified name, used for keys.

    Attributes:
        receiver: The object of a bound method, which takes part in keys; else None.
        asynchronous: Whether an event loop drives it.
        one_shot: Whether its body can run only once per call (generators and blocks).
        current: Whether its calls are the current call of what runs in them; not so in the fast lane.
        python: Whether the function is written in Python, so that a traceback tells if it was entered.

    """

    def __init__(self, function: Callable[..., Any] | None, kind: Kind, name: str, qualified_name: str) -> None:
        self.function: Callable[..., Any] = function if function is not None else _no_function
        self.kind = kind
        self.name = name
        self.qualified_name = qualified_name
        self.asynchronous = kind in _ASYNC
        self.one_shot = kind in _ONE_SHOT
        self.is_block = kind in _BLOCKS
        self.python = hasattr(function, "__code__")
        self.current = True
        self.receiver = getattr(function, "__self__", None) if isinstance(function, types.MethodType) else None

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Target:
        """Describe *function*."""
        plain = _plain(function)
        name = getattr(plain, "__name__", None) or type(plain).__name__
        qualified = getattr(plain, "__qualname__", None) or type(plain).__qualname__
        module = getattr(plain, "__module__", None) or type(plain).__module__
        return cls(function, kind_of(function), name, f"{module}.{qualified}")

    @functools.cached_property
    def binder(self) -> Binder:
        """Binds arguments to the function's parameters; made when first needed."""
        from patterns.kernel.binding import Binder  # noqa: PLC0415 - the breaker's fast lane never binds

        return Binder(self.function)

    def __repr__(self) -> str:
        return f"<{self.kind.value} {self.qualified_name}>"


def _no_function(*_: Any, **__: Any) -> Any:
    raise AssertionError("a block has no function")


def _plain(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def kind_of(function: Callable[..., Any]) -> Kind:
    """Return the shape of *function*, seen through partials, ``__call__`` and coroutine markers."""
    plain = _plain(function)
    if not (inspect.isroutine(plain) or isinstance(plain, type)):
        plain = type(plain).__call__ if not _marked(plain) else plain
    if inspect.isasyncgenfunction(plain):
        return Kind.ASYNC_GENERATOR
    if inspect.iscoroutinefunction(plain) or _marked(plain):
        return Kind.COROUTINE
    if inspect.isgeneratorfunction(plain):
        return Kind.GENERATOR
    return Kind.FUNCTION


def _marked(function: Any) -> bool:
    """Whether a plain function was marked as a coroutine function."""
    if (
        getattr(function, "_is_coroutine", None) is not None
        or getattr(function, "_is_coroutine_mark", None) is not None
    ):
        return True
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & _ITERABLE_COROUTINE)

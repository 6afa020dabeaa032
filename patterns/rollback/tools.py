"""The tools of a saga by name, for plans that name them."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

from patterns.errors import Misuse, misuse
from patterns.kernel.guard import layers
from patterns.kernel.target import Kind, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["GUARD", "Tools", "check_call"]

GUARD = "saga.tool"


class Tools:
    """What `Saga.tool` decorated, by function name.

    Args:
        saga: The saga's name, for errors.

    """

    def __init__(self, saga: str) -> None:
        self._saga = saga
        self._tools: dict[str, Callable[..., Any]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def add(self, decorated: Any) -> None:
        """Learn a tool.

        Raises:
            Misuse: Another function has the name.

        """
        tool = getattr(decorated, "__func__", decorated)
        name = getattr(tool, "__name__", type(tool).__name__)
        known = self._tools.get(name)
        if known is not None and _home(known) != _home(tool):
            misuse(
                f"the saga {self._saga} has a tool {name} already: {'.'.join(_home(known))}",
                wrong=f"@saga.tool(...)\n           def {name}(...)   # in {_home(tool)[0]}",
                right=f"@saga.tool(...)\n           def {name}_again(...)",
            )
        self._tools[name] = tool

    def find(self, wanted: str | Callable[..., Any]) -> Callable[..., Any]:
        """Return the tool, with all guards it has where it is defined.

        Raises:
            Misuse: The saga has no such tool, or a function was given that is none.

        """
        if isinstance(wanted, str):
            if wanted in self._tools:
                return _outermost(self._tools[wanted])
            known = ", ".join(sorted(self._tools)) or "none"
            misuse(
                f"the saga {self._saga} has no tool {wanted!r}; it has {known}",
                wrong=f"Step({wanted!r})",
                right=f"Step({next(iter(self._tools), 'reserve')!r})",
            )
        if GUARD not in layers(wanted):
            name = getattr(wanted, "__name__", repr(wanted))
            misuse(
                f"{name} is not a tool of a saga, so it would not be compensated",
                wrong=f"Step({name})",
                right=f"@saga.tool(compensate=...)\n           def {name}(...): ...",
            )
        return wanted


def check_call(tool: Callable[..., Any], arguments: Mapping[str, Any], *, asynchronous: bool) -> None:
    """Refuse a step that could not even be called, before any step is.

    Raises:
        Misuse: The arguments do not fit, or the tool is async or a generator where it cannot be.

    """
    name = getattr(tool, "__name__", type(tool).__name__)
    try:
        inspect.signature(tool).bind(**arguments)
    except TypeError as error:
        shown = ", ".join(f"{key}=..." for key in arguments)
        raise Misuse.shown(
            f"{name} cannot be called so: {error}",
            wrong=f"Step({name!r}, {shown})",
            right=f"Step({name!r}, ...) with the parameters {inspect.signature(tool)}",
        ) from None
    kind = kind_of(tool)
    if kind in {Kind.GENERATOR, Kind.ASYNC_GENERATOR}:
        misuse(
            f"{name} is a {kind.value}, which an executor cannot call",
            wrong=f"Step({name!r})",
            right=f"with saga.transaction(): list({name}(...))",
        )
    if kind is Kind.COROUTINE and not asynchronous:
        misuse(f"{name} is async", wrong="saga.execute([...])", right="await saga.aexecute([...])")


def _home(tool: Any) -> tuple[str, str]:
    return getattr(tool, "__module__", ""), getattr(tool, "__qualname__", "")


def _outermost(tool: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands where *tool* is defined if that is the same tool under more decorators."""
    module, name = _home(tool)
    found = getattr(sys.modules.get(module), name, None)
    return found if callable(found) and GUARD in layers(found) and _home(found) == (module, name) else tool

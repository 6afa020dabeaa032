"""Guards on functions you do not own: third-party ones by their import path, and lists of agent tools."""

from __future__ import annotations

import copy
import importlib
import sys
from typing import TYPE_CHECKING, Any, TypeVar, overload

from patterns.errors import Misuse, misuse
from patterns.kernel.guard import is_tool_object, on_import

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["GuardedImport", "guard_import", "guard_tools"]

T = TypeVar("T")

_INNER_FUNCTIONS = ("func", "fn", "function", "coroutine")


def _decorate(function: Any, decorators: Iterable[Callable[[Any], Any]]) -> Any:
    for decorator in reversed(tuple(decorators)):
        function = decorator(function)
    return function


class GuardedImport:
    """A guard on a function of somebody else's module, in force once that module is imported."""

    def __init__(self, module: str, path: tuple[str, ...], decorators: tuple[Callable[[Any], Any], ...]) -> None:
        self.module = module
        self.path = path
        self._decorators = decorators
        self._undo: Callable[[], None] | None = None
        self._cancelled = False

    def await_import(self) -> None:
        """Guard the function when its module is imported; an import in which it is missing fails, every time."""

        def imported(module: Any) -> None:
            try:
                self.apply(module)
            except Misuse:
                sys.modules.pop(self.module, None)  # or the next import would find it, unguarded
                self.await_import()
                raise

        on_import(self.module, imported)

    @property
    def in_force(self) -> bool:
        """Whether the function is guarded at this moment."""
        return self._undo is not None

    def apply(self, module: Any) -> None:
        """Guard the function inside the imported *module*.

        Raises:
            Misuse: The module has no such attribute.

        """
        if self._cancelled:
            return
        holder = module
        for name in self.path[:-1]:
            holder = self._part(holder, name)
        last = self.path[-1]
        self._part(holder, last)
        # What the class or module itself holds, so that classmethods and staticmethods stay what they are.
        own = last in vars(holder)
        original = vars(holder)[last] if own else getattr(holder, last)
        guarded = _decorate(original, self._decorators)
        setattr(holder, last, guarded)

        def undo() -> None:
            if vars(holder).get(last) is not guarded:
                misuse(
                    f"{self.module}:{'.'.join(self.path)} was guarded or patched again since",
                    wrong="first.undo(); second.undo()",
                    right="second.undo(); first.undo()",
                )
            if own:
                setattr(holder, last, original)
            else:
                delattr(holder, last)

        self._undo = undo

    def _part(self, holder: Any, name: str) -> Any:
        if not hasattr(holder, name):
            known = ", ".join(sorted(part for part in dir(holder) if not part.startswith("_"))[:8])
            misuse(
                f"{self.module} has no {'.'.join(self.path)}: {name!r} is missing",
                wrong=f'guard_import("{self.module}:{".".join(self.path)}")',
                right=f'guard_import("{self.module}:NAME") with one of {known} ...',
            )
        return getattr(holder, name)

    def undo(self) -> None:
        """Put the original back, or never guard it if the module was not imported yet.

        Raises:
            Misuse: Somebody guarded or patched it again since; theirs is to be undone first.

        """
        if self._undo is not None:
            self._undo()
            self._undo = None
        self._cancelled = True


def guard_import(path: str, *decorators: Callable[[Any], Any]) -> GuardedImport:
    """Guard a function you do not own, now or as soon as its module is imported.

    Code that did ``from module import function`` before keeps the unguarded one.

    Args:
        path: ``"module:function"`` or ``"module:Class.method"``.
        decorators: Outermost first, as they would be written above the function.

    Returns:
        A handle whose ``undo()`` puts the original back.

    Raises:
        Misuse: The path has another form, there is no decorator, or the module has no such attribute.

    """
    module, separator, attributes = path.partition(":")
    if not (module and separator and attributes and all(attributes.split("."))):
        misuse(
            f"not an import path: {path!r}",
            wrong=f"guard_import({path!r}, ...)",
            right='guard_import("stripe:Charge.create", breaker.protect)',
        )
    if not decorators:
        misuse(
            "there is no decorator", wrong=f"guard_import({path!r})", right=f"guard_import({path!r}, breaker.protect)"
        )
    guarded = GuardedImport(module, tuple(attributes.split(".")), decorators)
    if module in sys.modules:
        guarded.apply(importlib.import_module(module))
    else:
        guarded.await_import()
    return guarded


@overload
def guard_tools(  # type: ignore[overload-overlap]  # a mapping is an iterable too; the first wins
    tools: Mapping[str, T], *decorators: Callable[[Any], Any]
) -> dict[str, T]: ...
@overload
def guard_tools(tools: Iterable[T], *decorators: Callable[[Any], Any]) -> list[T]: ...
def guard_tools(tools: Any, *decorators: Callable[[Any], Any]) -> Any:
    """Guard every tool of an agent, on the inside where a framework's tool object holds the real function.

    Args:
        tools: Functions, or tool objects with the function in ``func``, ``fn``, ``function`` or ``coroutine``;
            a list of them, or a mapping by name.
        decorators: Outermost first.

    Returns:
        New tools in the same order, or a dict with the same names; the given ones are not changed.

    Raises:
        Misuse: There is no decorator, or a tool object hides its function.

    """
    if not decorators:
        misuse("there is no decorator", wrong="guard_tools(tools)", right="guard_tools(tools, breaker.protect)")
    if hasattr(tools, "items"):
        return {name: _guard_tool(tool, decorators) for name, tool in tools.items()}
    return [_guard_tool(tool, decorators) for tool in tools]


def _guard_tool(tool: Any, decorators: tuple[Callable[[Any], Any], ...]) -> Any:
    if not is_tool_object(tool):
        return _decorate(tool, decorators)
    inner = [name for name in _INNER_FUNCTIONS if callable(getattr(tool, name, None))]
    if not inner:
        misuse(
            f"the tool object {getattr(tool, 'name', tool)!r} of {type(tool).__module__} hides its function",
            wrong="guard_tools([tool], ...)",
            right="guard the function before the framework makes a tool of it",
        )
    guarded = copy.copy(tool)
    for name in inner:
        function = getattr(tool, name)
        replacement = _decorate(function, decorators)
        setattr(guarded, name, replacement)
        _replace_deeper(guarded, function, replacement)
    return guarded


def _replace_deeper(tool: Any, function: Any, replacement: Any) -> None:
    """Replace *function* also in the parts of *tool*: some frameworks keep it twice and call the other one."""
    for name, part in list(getattr(tool, "__dict__", {}).items()):
        held = [key for key, value in getattr(part, "__dict__", {}).items() if value is function]
        if held and not isinstance(part, type):
            copied = copy.copy(part)
            for key in held:
                setattr(copied, key, replacement)
            setattr(tool, name, copied)

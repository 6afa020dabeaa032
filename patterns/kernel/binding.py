"""Arguments by parameter name, as the call itself would bind them, and functions of them."""

from __future__ import annotations

import functools
import inspect
import keyword
import sys
import types
from typing import TYPE_CHECKING, Any

from attrs import frozen

from patterns.errors import Misuse, misuse
from patterns.kernel.canonical import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

__all__ = ["Binder", "Selector"]

_POSITIONAL_ONLY = inspect.Parameter.POSITIONAL_ONLY
_POSITIONAL = inspect.Parameter.POSITIONAL_OR_KEYWORD
_VAR_POSITIONAL = inspect.Parameter.VAR_POSITIONAL
_KEYWORD_ONLY = inspect.Parameter.KEYWORD_ONLY
_VAR_KEYWORD = inspect.Parameter.VAR_KEYWORD


class Binder:
    """Binds arguments to the parameters of one function; built once, when the function is decorated.

    What a bound method, a partial or a callable object carries along takes part
    like any other argument: ``a.charge(10)`` and ``b.charge(10)`` differ in ``self``.

    Args:
        function: What is called. A builtin without a signature is only refused when its arguments are asked for.

    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function, self._args, self._kwargs = _opened(function)
        self._parameters = _parameters(self._function)
        self._bind = None if self._parameters is None else _binding(self._function, self._parameters)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names in order.

        Raises:
            Misuse: The function has no signature.

        """
        return tuple(self._known())

    def arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments by name in the order of the parameters, defaults applied.

        ``*args`` is a tuple under its name and ``**kwargs`` a dict under its name.

        Args:
            args: Positional arguments of the call.
            kwargs: Keyword arguments of the call.

        Raises:
            TypeError: The function does not take these arguments; the very error that the call would raise.
            Misuse: The function has no signature.

        """
        bind = self._bind
        if bind is None:
            raise _no_signature(self._function)
        if self._args or self._kwargs:
            args, kwargs = self._args + args, {**self._kwargs, **kwargs}
        bound: dict[str, Any] = bind(*args, **kwargs)
        return bound

    def require(self, names: Collection[str], *, option: str = "exclude") -> frozenset[str]:
        """Return *names* as a set.

        Args:
            names: What the user gave for an option that names parameters.
            option: Its name, shown in the error.

        Raises:
            Misuse: One of them is no parameter, or the function has no signature.

        """
        known = self.names
        for name in [names] if isinstance(names, str) else names:
            if name not in known or isinstance(names, str):
                misuse(
                    f"{option}= names parameters of {_name(self._function)}({', '.join(known)})",
                    wrong=f"{option}={names!r}",
                    right=f"{option}=({known[-1] if known else 'name'!r},)",
                )
        return frozenset(names)

    def spellable(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return *arguments* without those left at a default that k1 cannot spell.

        A marker such as ``NOT_GIVEN = object()`` means that the argument is not there, so it is left out.
        """
        markers = self._markers
        if not markers:
            return arguments
        return {name: value for name, value in arguments.items() if name not in markers or value is not markers[name]}

    @functools.cached_property
    def _markers(self) -> dict[str, Any]:
        defaults = {name: one.default for name, one in self._known().items() if one.default is not one.empty}
        return {name: default for name, default in defaults.items() if not _is_spellable(default)}

    def selector(self, function: Callable[..., Any], *, option: str = "key", extra: Collection[str] = ()) -> Selector:
        """Return *function*, an option that takes the function's own parameters, ready to be called with them.

        Args:
            function: Takes any of the parameters by name, and ``**_`` for the rest.
            option: The name it was given under, shown in the error.
            extra: Names of further facts it may take, such as ``result``.

        Raises:
            Misuse: It demands a parameter that is not there, or has no signature, or *extra* hides a parameter.

        """
        known = self._known()
        for name in extra:
            if name in known and name in (_parameters(function) or ()):
                misuse(
                    f"{name} of {option}= could be the parameter of {_name(self._function)} or the {name} of the call",
                    wrong=f"def {_name(self._function)}(..., {name})",
                    right=f"def {_name(self._function)}(..., {name}_)",
                )
        return _selector(function, (*known, *extra), f"{_name(self._function)}({', '.join(known)})", option)

    def call_with(self, selector: Selector, args: tuple[Any, ...], kwargs: Mapping[str, Any], /, **extra: Any) -> Any:
        """Return what *selector* makes of the arguments of a call.

        Args:
            selector: Made by `selector`.
            args: Positional arguments of the call.
            kwargs: Keyword arguments of the call.
            extra: The further facts, by name.

        Raises:
            TypeError: As `arguments`.

        """
        return selector(self.arguments(args, kwargs) | extra)

    def _known(self) -> dict[str, inspect.Parameter]:
        if self._parameters is None:
            raise _no_signature(self._function)
        return self._parameters


def _is_spellable(value: object) -> bool:
    try:
        encode(value)
    except Misuse:
        return False
    return True


# Signatures


def _opened(function: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Return the function inside, with the arguments that come with it."""
    if isinstance(function, (classmethod, staticmethod)):
        return _opened(function.__func__)
    if type(function) is types.MethodType:
        inner, args, kwargs = _opened(function.__func__)
        return inner, (*args, function.__self__), kwargs
    if type(function) is functools.partial:
        inner, args, kwargs = _opened(function.func)
        return inner, args + function.args, {**kwargs, **function.keywords}
    if type(function) is types.BuiltinMethodType:
        method = getattr(type(function.__self__), function.__name__, None)
        return (method, (function.__self__,), {}) if type(method) is types.MethodDescriptorType else (function, (), {})
    called = inspect.getattr_static(type(function), "__call__", None)
    if type(called) is types.FunctionType and not isinstance(function, type) and not hasattr(function, "__wrapped__"):
        return called, (function,), {}
    return function, (), {}


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter] | None:
    try:
        return dict(_signature(function).parameters)
    except (ValueError, TypeError):
        return None


if sys.version_info >= (3, 14):  # annotations are evaluated late there, and may name what only a type checker imports
    from annotationlib import Format

    _signature = functools.partial(inspect.signature, annotation_format=Format.FORWARDREF)
else:
    _signature = inspect.signature


def _name(function: Any) -> str:
    return getattr(function, "__name__", None) or type(function).__name__


def _no_signature(function: Any) -> Misuse:
    name = _name(function)
    return Misuse.shown(
        f"{name} does not tell its parameters, so its arguments have no names",
        wrong=f"guarding {name} itself",
        right=f"def {name}_guarded(first, second): return {name}(first, second)",
    )


def _binding(function: Any, parameters: dict[str, inspect.Parameter]) -> Callable[..., dict[str, Any]]:
    """Return a function that takes what *function* takes and returns it by name.

    The interpreter itself then binds: several times as fast as
    `inspect.Signature.bind`, and with its own errors for wrong arguments.
    """
    ordered = list(parameters.values())
    entries = ", ".join(f"{one.name!r}: {_local(one)}" for one in ordered)
    source = f"def bind({', '.join(_declared(ordered))}): return {{{entries}}}"
    namespace: dict[str, Any] = {}
    exec(source, {"__builtins__": {}}, namespace)  # noqa: S102 - names of parameters and nothing else
    bind: Any = namespace["bind"]
    optional = [one for one in ordered if one.default is not one.empty]
    bind.__defaults__ = tuple(one.default for one in optional if one.kind is not _KEYWORD_ONLY)
    bind.__kwdefaults__ = {one.name: one.default for one in optional if one.kind is _KEYWORD_ONLY}
    bind.__qualname__ = getattr(function, "__qualname__", None) or _name(function)
    return bind  # type: ignore[no-any-return]


def _declared(parameters: list[inspect.Parameter]) -> list[str]:
    """Return the parameters as they stand in a ``def``, with the slash and the star between them."""
    texts: list[str] = []
    before: Any = None
    for one in parameters:
        if before is _POSITIONAL_ONLY and one.kind is not _POSITIONAL_ONLY:
            texts.append("/")
        if one.kind is _KEYWORD_ONLY and before not in {_KEYWORD_ONLY, _VAR_POSITIONAL}:
            texts.append("*")
        star = "*" if one.kind is _VAR_POSITIONAL else "**" if one.kind is _VAR_KEYWORD else ""
        texts.append(f"{star}{_local(one)}{'' if one.default is one.empty else '=None'}")
        before = one.kind
    return [*texts, "/"] if before is _POSITIONAL_ONLY else texts


def _local(parameter: inspect.Parameter) -> str:
    """Return its name; some builtins take a parameter called ``from``, by position."""
    return f"{parameter.name}_" if keyword.iskeyword(parameter.name) else parameter.name


# Functions of the arguments


@frozen
class Selector:
    """A user's function of a call's arguments; called with them by name, it passes on those it takes.

    Attributes:
        function: The user's function.
        positional: Parameters it takes by position only.
        named: Parameters it takes by name.
        takes_rest: Whether it takes all others as well.

    """

    function: Callable[..., Any]
    positional: tuple[str, ...]
    named: tuple[str, ...]
    takes_rest: bool

    def __call__(self, arguments: Mapping[str, Any]) -> Any:
        """Return the function's answer for *arguments*, given by parameter name."""
        first = [arguments[name] for name in self.positional]
        if self.takes_rest:
            return self.function(*first, **{name: arguments[name] for name in arguments if name not in self.positional})
        return self.function(*first, **{name: arguments[name] for name in self.named})


def _selector(function: Callable[..., Any], known: tuple[str, ...], signature: str, option: str) -> Selector:
    parameters = _parameters(function) if callable(function) else None
    if parameters is None:
        misuse(
            f"{option}= needs a function with a signature, not {function!r}",
            wrong=f"{option}={_name(function)}",
            right=_right(option, known),
        )
    for one in parameters.values():
        required = one.default is one.empty and one.kind not in {_VAR_POSITIONAL, _VAR_KEYWORD}
        if required and one.name not in known:
            misuse(
                f"{option}= demands {one.name}, which {signature} does not have",
                wrong=f"{option}=lambda {', '.join(_declared(list(parameters.values())))}: ...",
                right=_right(option, known),
            )
    taken = [one for one in parameters.values() if one.name in known]
    return Selector(
        function,
        tuple(one.name for one in taken if one.kind is _POSITIONAL_ONLY),
        tuple(one.name for one in taken if one.kind in {_POSITIONAL, _KEYWORD_ONLY}),
        any(one.kind is _VAR_KEYWORD for one in parameters.values()),
    )


def _right(option: str, known: tuple[str, ...]) -> str:
    first = known[0] if known else "_"
    return f"{option}=lambda {first}, **_: {first}" if known else f"{option}=lambda: ..."

"""A text with parameters in it, as a key: ``key="order-{order_id}"``."""

from __future__ import annotations

from string import Formatter
from typing import TYPE_CHECKING, Any, Self

from attrs import frozen

from patterns.errors import misuse
from patterns.kernel.canonical import encode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

__all__ = ["Field", "Template", "template"]


@frozen
class Template:
    """A text with parameters in it, such as ``order-{order_id}``; made by `template`.

    Called with arguments by name it returns its parts, text and values apart, to
    be encoded as they are: ``{a}|{b}`` of ``x|y, z`` and of ``x, y|z`` read the
    same, yet their parts differ.

    Attributes:
        text: As written.
        parts: Literal text, and the fields that stand between.

    """

    text: str
    parts: tuple[str | Field, ...]

    @property
    def names(self) -> frozenset[str]:
        """The parameters it uses."""
        return frozenset(part.name for part in self.parts if isinstance(part, Field))

    def __call__(self, arguments: Mapping[str, Any]) -> list[Any]:
        """Return literal text and values in order, to be encoded."""
        return [part if isinstance(part, str) else part.of(arguments) for part in self.parts]

    def label(self, arguments: Mapping[str, Any]) -> str:
        """Return the text with the values in it, for people: a str as itself, all else in k1."""
        return "".join(_shown(part) for part in self(arguments))


@frozen
class Field:
    """A place in a `Template`: a parameter, and what to take of it.

    Attributes:
        name: The parameter.
        place: As written, such as ``order.items[0]``.

    """

    name: str
    place: str

    def of(self, arguments: Mapping[str, Any]) -> Any:
        """Return its value among *arguments*."""
        if self.place == self.name:
            return arguments[self.name]
        return _FORMATTER.get_field(self.place, (), arguments)[0]


_FORMATTER = Formatter()


class _Anything:
    """Has every attribute and item, so that a place can be tried before there is a value."""

    def __getattr__(self, name: str) -> Self:
        return self

    def __getitem__(self, item: object) -> Self:
        return self


def template(text: str, names: Collection[str], *, option: str = "key") -> Template:
    """Return *text* as a template over parameters.

    Args:
        text: Literal text and ``{parameter}``, ``{parameter.attribute}``, ``{parameter[item]}``; ``{{`` is a brace.
        names: The parameters there are.
        option: The name it was given under, shown in the error.

    Raises:
        Misuse: It is malformed, or uses something else than the parameters.

    """
    try:
        return Template(text, tuple(_parts(text, dict.fromkeys(names, _Anything()))))
    except ValueError as error:
        first = next(iter(names), "name")
        misuse(f"{option}={text!r}: {error}", wrong=f"{option}={text!r}", right=f'{option}="order-{{{first}}}"')


def _parts(text: str, anything: Mapping[str, Any]) -> Iterator[str | Field]:
    for literal, place, form, conversion in _FORMATTER.parse(text):
        if literal:
            yield literal
        if place is None:
            continue
        if form or conversion:
            raise ValueError("a value is taken as it is; to change it, use a function")
        try:
            _, name = _FORMATTER.get_field(place, (), anything)
        except (LookupError, AttributeError):
            raise ValueError(f"there is no parameter for {{{place}}} among {', '.join(anything)}") from None
        yield Field(str(name), place)


def _shown(part: Any) -> str:
    return part if isinstance(part, str) else encode(part, path="key").decode()

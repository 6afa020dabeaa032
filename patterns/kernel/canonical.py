"""Arguments as bytes: the same for equal arguments, different for different ones, on every machine and for ever.

The format is called k1 and specified, with test vectors, in docs/encoding.md.
A later format gets another name; the bytes of this one never change.

Most arguments are what JSON can say, and are written by orjson if it is there,
else by the standard library, once a look at every value has shown that both
write the very bytes of k1. Anything else is written by `canonical_writer`.
"""

from __future__ import annotations

from hashlib import sha256
from json import JSONEncoder
from math import copysign
from typing import TYPE_CHECKING, Any, NamedTuple

from patterns.errors import Misuse
from patterns.kernel.canonical_types import Unspellable
from patterns.kernel.canonical_writer import DEPTH, SIGIL, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

__all__ = ["VERSION", "digest", "encode", "fingerprint"]

VERSION = "k1"
"""Name of the format; every digest starts with it."""

_TEXT_ONLY = frozenset({str})
_SIGIL = ord(SIGIL)
_SMALLEST, _LARGEST = 1e-4, 1e16  # between them nobody writes a float with an exponent


def encode(value: object, *, path: str = "arguments") -> bytes:
    """Return the k1 bytes of *value*.

    Args:
        value: Arguments, or anything made of text, numbers, containers, times, records and the like.
        path: What to call it in an error.

    Raises:
        Misuse: A part of it has no spelling (a client, a lambda, NaN); the text names the part and the remedy.

    """
    quick = _quick or _choose()
    if _is_plain((value,), DEPTH, quick.checks_keys):
        try:
            spelled = quick.dumps(value)
        except (TypeError, ValueError):  # the slow way spells it, or says what is wrong and where
            pass
        else:
            if not (_SIGIL in spelled and (b'{"$' in spelled or b',"$' in spelled)):
                return spelled
    try:
        return text_of(value, path=path).encode()
    except Unspellable as refusal:
        raise _misuse(refusal) from refusal.__cause__


def digest(value: object, *, path: str = "arguments") -> str:
    """Return ``k1:`` and the SHA-256 of the k1 bytes of *value* in 64 hexadecimal digits.

    Args:
        value: As for `encode`.
        path: What to call it in an error.

    Raises:
        Misuse: As for `encode`.

    """
    return f"k1:{sha256(encode(value, path=path)).hexdigest()}"


def fingerprint(arguments: Mapping[str, object], *, exclude: Collection[str] = ()) -> str:
    """Return the digest of *arguments* without those that do not matter.

    Args:
        arguments: By parameter name.
        exclude: Names of parameters that may differ between two calls that are one.

    Raises:
        Misuse: As for `encode`.

    """
    return digest({name: value for name, value in arguments.items() if name not in exclude} if exclude else arguments)


def _misuse(refusal: Unspellable) -> Misuse:
    first = refusal.steps[-1] if refusal.steps else ""
    less = f"exclude=({first[1:]!r},), " if first.startswith(".") else ""
    return Misuse.shown(
        f"no key can be made of {refusal.reason}",
        wrong="a key made of this and all other arguments",
        right=f"key=lambda order_id, **_: order_id, {less}or def __idempotency_key__(self): return self.id",
    )


# The quick way, for what JSON can say


def _is_plain(items: Iterable[Any], room: int, check_keys: bool) -> bool:  # noqa: C901, FBT001 - runs per container
    """Whether every encoder writes these items alike, *room* being how many containers may lie in one another."""
    for item in items:
        kind = type(item)
        if kind is str or kind is int:
            continue
        if kind is dict:
            if check_keys and not _TEXT_ONLY.issuperset(map(type, item)):
                return False
            if not room or not _is_plain(item.values(), room - 1, check_keys):
                return False
        elif kind is list or kind is tuple:
            if not room or not _is_plain(item, room - 1, check_keys):
                return False
        elif kind is float:
            if not (_SMALLEST <= item < _LARGEST or _is_plain_float(item)):
                return False
        elif kind is not bool and item is not None:
            return False
    return True


def _is_plain_float(number: float) -> bool:
    """Whether all write it alike: without exponent, which versions of encoders spell differently, and not -0.0."""
    return _SMALLEST <= abs(number) < _LARGEST or (number == 0 and copysign(1, number) > 0)


class _Quick(NamedTuple):
    dumps: Callable[[object], bytes]
    checks_keys: bool
    """Whether somebody else has to see to it that keys are text."""


def _by_orjson() -> _Quick:
    from orjson import OPT_PASSTHROUGH_SUBCLASS, OPT_SORT_KEYS, dumps

    options = OPT_SORT_KEYS | OPT_PASSTHROUGH_SUBCLASS
    return _Quick(lambda value: dumps(value, None, options), checks_keys=False)


def _by_json() -> _Quick:
    options: Any = {"check_circular": False, "allow_nan": False, "sort_keys": True, "separators": (",", ":")}
    encode = JSONEncoder(ensure_ascii=False, **options).encode
    return _Quick(lambda value: encode(value).encode(), checks_keys=True)


_quick: _Quick | None = None


def _choose() -> _Quick:
    """Choose at the first use, since few programs that import this module make a key at once."""
    global _quick  # noqa: PLW0603 - chosen once
    try:
        _quick = _by_orjson()
    except ImportError:
        _quick = _by_json()
    return _quick

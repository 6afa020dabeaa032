"""What every store here asks of keys and changes, and the range of keys that share a prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from patterns.errors import misuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from patterns.kernel.storage import Change

__all__ = ["check_changes", "check_key", "key_range"]

_BEFORE_SURROGATES, _AFTER_SURROGATES = "\ud7ff", "\ue000"
_LAST = "\U0010ffff"


def check_changes(changes: Sequence[Change]) -> None:
    """Refuse changes no store could keep.

    Raises:
        Misuse: A key is empty, not text, or changed twice; or a value is not bytes.

    """
    for change in changes:
        key, value = change.key, change.value
        if type(key) is not str or not key or not key.isascii():
            check_key(key)
        if value is not None and type(value) is not bytes:
            misuse(
                f"the value of {key!r} is {type(value).__name__}, and a store keeps bytes",
                wrong="Change(key, seen, text)",
                right="Change(key, seen, text.encode())",
            )
    if len(changes) > 1 and len({change.key for change in changes}) < len(changes):
        misuse(
            "one swap changes a key twice",
            wrong="swap([Change(key, 1, a), Change(key, 1, b)])",
            right="swap([Change(key, 1, b)])",
        )


def check_key(key: str) -> None:
    """Refuse a key that is not text, is empty, or cannot be written as UTF-8.

    Raises:
        Misuse: The key is one of these.

    """
    if not isinstance(key, str) or not key:
        misuse(f"a key is text and not empty, not {key!r}", wrong=f"read({key!r})", right='read("effect/1")')
    if not key.isascii():
        try:
            key.encode()
        except UnicodeEncodeError:
            misuse(
                f"the key {key!r} holds half a surrogate pair, which no file can keep",
                wrong=f"read({key!r})",
                right=f"read({key.encode(errors='replace').decode()!r})",
            )


def key_range(prefix: str, after: str) -> tuple[str, str | None]:
    """Return the least key to look at and the key to stop before (None: no end).

    By code point, which is the byte order of UTF-8 as well; the next key
    after any key is that key and a NUL.
    """
    first = after + "\0" if after >= prefix and after else prefix
    return first, _end_of(prefix)


def _end_of(prefix: str) -> str | None:
    kept = prefix.rstrip(_LAST)
    if not kept:
        return None
    last = kept[-1]
    return kept[:-1] + (_AFTER_SURROGATES if last == _BEFORE_SURROGATES else chr(ord(last) + 1))

"""Single values JSON lacks, each as a short text.

Their types are known by name, so that no module is imported for a type a
program does not use; reading one imports its module, from this list alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SCALARS", "Scalar", "Unrecordable", "label", "restore_scalar"]


class Unrecordable(Exception):
    """A value cannot be recorded, or a recorded one cannot be rebuilt."""


def label(kind: type) -> str:
    """Return the name of a class for a person."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


class Scalar(NamedTuple):
    """How a type is written (the path is for errors) and read."""

    tag: str
    write: Callable[[Any, str], Any]
    read: Callable[[Any], Any]


def _write_bytes(value: Any, _: str) -> str:
    from binascii import b2a_base64  # noqa: PLC0415 - few results are bytes

    return b2a_base64(value, newline=False).decode()


def _read_bytes(text: str) -> bytes:
    from binascii import a2b_base64  # noqa: PLC0415 - loaded when needed

    return a2b_base64(text, strict_mode=True)


def _write_datetime(value: Any, path: str) -> Any:
    """Write the zone's name too, for an offset alone forgets when the clocks change."""
    zone = value.tzinfo
    if zone is None or (type(zone).__module__, type(zone).__qualname__) == ("datetime", "timezone"):
        return [value.isoformat(), None, value.fold]
    if type(zone).__module__.partition(".")[0] == "zoneinfo" and getattr(zone, "key", None):
        return [value.replace(tzinfo=None).isoformat(), zone.key, value.fold]
    raise Unrecordable(f"{path} has the time zone {zone!r}, which has no name to record it by")


def _read_datetime(parts: Any) -> Any:
    from datetime import datetime  # noqa: PLC0415 - loaded when needed

    text, zone, fold = parts
    value = datetime.fromisoformat(text).replace(fold=fold)
    if zone is None:
        return value
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - loaded when needed

    return value.replace(tzinfo=ZoneInfo(zone))


def _write_time(value: Any, path: str) -> Any:
    zone = value.tzinfo
    if zone is not None and (type(zone).__module__, type(zone).__qualname__) != ("datetime", "timezone"):
        raise Unrecordable(f"{path} is a time of the zone {zone!r}, which only a datetime can record")
    return [value.isoformat(), value.fold]


def _read_time(parts: Any) -> Any:
    from datetime import time  # noqa: PLC0415 - loaded when needed

    text, fold = parts
    return time.fromisoformat(text).replace(fold=fold)


def _read_date(text: str) -> Any:
    from datetime import date  # noqa: PLC0415 - loaded when needed

    return date.fromisoformat(text)


def _read_timedelta(parts: Any) -> Any:
    from datetime import timedelta  # noqa: PLC0415 - loaded when needed

    return timedelta(*parts)


def _read_decimal(text: str) -> Any:
    from decimal import Decimal  # noqa: PLC0415 - loaded when needed

    return Decimal(text)


def _read_uuid(text: str) -> Any:
    from uuid import UUID  # noqa: PLC0415, TID251 - a result, not an identifier of ours

    return UUID(text)


def _read_fraction(parts: Any) -> Any:
    from fractions import Fraction  # noqa: PLC0415 - loaded when needed

    return Fraction(*(int(part) for part in parts))


def _read_path(text: str) -> Any:
    from pathlib import Path  # noqa: PLC0415 - loaded when needed

    return Path(text)


def _read_pure_path(text: str) -> Any:
    from pathlib import PurePosixPath  # noqa: PLC0415 - loaded when needed

    return PurePosixPath(text)


def _as_text(value: Any, _: str) -> str:
    return str(value)


def _iso(value: Any, _: str) -> str:
    text: str = value.isoformat()
    return text


_PATH = Scalar("$path", _as_text, _read_path)

SCALARS: dict[tuple[str, str], Scalar] = {
    ("builtins", "bytes"): Scalar("$bytes", _write_bytes, _read_bytes),
    ("builtins", "bytearray"): Scalar("$bytearray", _write_bytes, lambda text: bytearray(_read_bytes(text))),
    ("builtins", "complex"): Scalar(
        "$complex",
        lambda value, _: [repr(value.real), repr(value.imag)],
        lambda parts: complex(*map(float, parts)),
    ),
    ("datetime", "datetime"): Scalar("$datetime", _write_datetime, _read_datetime),
    ("datetime", "date"): Scalar("$date", _iso, _read_date),
    ("datetime", "time"): Scalar("$time", _write_time, _read_time),
    ("datetime", "timedelta"): Scalar(
        "$timedelta", lambda value, _: [value.days, value.seconds, value.microseconds], _read_timedelta
    ),
    ("decimal", "Decimal"): Scalar("$decimal", _as_text, _read_decimal),
    ("fractions", "Fraction"): Scalar(
        "$fraction", lambda value, _: [str(value.numerator), str(value.denominator)], _read_fraction
    ),
    ("uuid", "UUID"): Scalar("$uuid", _as_text, _read_uuid),
    ("pathlib", "PosixPath"): _PATH,
    ("pathlib._local", "PosixPath"): _PATH,
    ("pathlib", "PurePosixPath"): Scalar("$purepath", _as_text, _read_pure_path),
    ("pathlib._local", "PurePosixPath"): Scalar("$purepath", _as_text, _read_pure_path),
}
"""By module and name of the type; the type itself, not what inherits from it."""

_READERS = {scalar.tag: scalar.read for scalar in SCALARS.values()}


def restore_scalar(tag: str, content: Any) -> Any:
    """Return the value that was written as *content*.

    Raises:
        Unrecordable: There is no such tag.

    """
    read = _READERS.get(tag)
    if read is None:
        raise Unrecordable(f"it holds {tag}, which this version of the library does not know")
    return read(content)

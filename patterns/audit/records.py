"""What a line of the log says: one JSON object, written once and never re-serialised to be checked.

===========  ================================================================
``v``        version of this schema, 1
``id``       unique, sorts by time; in the records of a guarded call it begins with the call's
``time``     RFC 3339, UTC, microseconds; evidence of order is the index, never the time
``phase``    what happened, see `Phase`
``action``   tool, function or step
``agent``    who acts; likewise ``user``, ``tenant``, ``run`` (the innermost) and ``within`` (the runs around it)
``call``     the guarded call; ``parent`` is the call it was made from
``cause``    ids of the records this one follows from
``arguments``  digest of the arguments (`patterns.kernel.canonical`), or the arguments themselves on request
``unspelled``  names of arguments that are no data, such as a client, and are not in the digest
``result``   digest of the result
``error``    type of the error; its text only if it is an error of this library
``reason``   in words
``trace``    W3C traceparent
``facts``    anything else
===========  ================================================================
"""

from __future__ import annotations

import hmac
import math
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from attrs import frozen

from patterns.audit.files import LONGEST_LINE
from patterns.errors import AuditError, Misuse, PatternsError
from patterns.kernel import canonical
from patterns.kernel.clock import SYSTEM_CLOCK
from patterns.kernel.ids import SYSTEM_IDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from patterns.kernel.call import Call
    from patterns.kernel.clock import Clock
    from patterns.kernel.ids import Ids
    from patterns.kernel.run import Run

    Redact = Callable[[dict[str, Any]], dict[str, Any]]

__all__ = ["REDACTED", "Phase", "Scribe", "encode", "plain"]

REDACTED = "[redacted]"
_DEEPEST = 16
_LARGEST_EXACT = 2**53
_SECRET_WORDS = ("password", "passwd", "secret", "apikey", "authorization", "credential", "privatekey", "cookie")


class Phase(StrEnum):
    """What happened to an action."""

    PROPOSED = "proposed"
    EXECUTED = "executed"
    FAILED = "failed"
    BLOCKED = "blocked"
    REPLAYED = "replayed"
    ABANDONED = "abandoned"
    IN_DOUBT = "in_doubt"
    VIOLATION = "policy_violation"
    DECISION = "decision"
    RECOVERED = "log_recovered"


@frozen(kw_only=True)
class Scribe:
    """Makes records.

    Args:
        agent: Who acts if the run does not say.
        clock: For the time of a record.
        ids: For its id.
        redact: Gets every record before it is encoded, hence before it is hashed, and returns what is written.
        digest_key: Makes digests keyed (HMAC), so that short arguments cannot be guessed from them.

    """

    agent: str | None = None
    clock: Clock = SYSTEM_CLOCK
    ids: Ids = SYSTEM_IDS
    redact: Redact | None = None
    digest_key: bytes | None = None

    def record(
        self, phase: str, action: str, *, who: Mapping[str, Any], own_id: str | None = None, **parts: Any
    ) -> dict[str, Any]:
        """Return a record.

        Args:
            phase: What happened.
            action: To what.
            who: Who did it, where and for whom (see `who`).
            own_id: Its id; a new one if missing.
            parts: Anything else of a record; what is None is left out.

        """
        record = {
            "v": 1,
            "id": own_id or self.ids.new(),
            "time": timestamp(self.clock.wall()),
            "phase": str(phase),
            "action": action,
            **who,
        }
        for name, part in parts.items():
            if part is not None:
                record[name] = part  # noqa: PERF403 - twice as fast as building another dictionary
        return record

    def who(self, call: Call | None, run: Run | None) -> dict[str, Any]:
        """Return the parts of a record that tell which call it speaks of, and for whom that was made."""
        parts: dict[str, Any] = {} if self.agent is None else {"agent": self.agent}
        if run is not None:
            told = (("agent", run.agent), ("user", run.user), ("tenant", run.tenant), ("run", run.id))
            parts.update((name, part) for name, part in told if part is not None)
            if len(run.path) > 1:
                parts["within"] = run.path[:-1]
        if call is not None:
            parts["call"] = call.id
            if call.parent is not None:
                parts["parent"] = call.parent.id
            if call.trace is not None:
                parts["trace"] = call.traceparent
        return parts

    def line(self, record: dict[str, Any]) -> bytes:
        """Return the line of *record*.

        Raises:
            AuditError: The redaction hook raised or returned no record; nothing unredacted is written.

        """
        if self.redact is not None:
            try:
                record = self.redact(record)
            except Exception as error:
                raise AuditError(f"the redaction hook failed: {error!r}") from error
            if not isinstance(record, dict):
                raise AuditError(f"the redaction hook returned {type(record).__name__}, not a record")
            record = plain(record)
        return encode(record)

    def digest(self, value: Any) -> str | None:
        """Return the digest of *value*, or None if it is no data."""
        try:
            spelled = canonical.encode(value)
        except Misuse:
            return None
        if self.digest_key is None:
            return f"{canonical.VERSION}:{sha256(spelled).hexdigest()}"
        return f"hmac-{canonical.VERSION}:{hmac.digest(self.digest_key, spelled, 'sha256').hex()}"

    def arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parts of a record that speak of *arguments*."""
        whole = self.digest(dict(arguments))
        if whole is not None:
            return {"arguments": whole}
        told = {name: value for name, value in arguments.items() if self.digest(value) is not None}
        return {"arguments": self.digest(told), "unspelled": [name for name in arguments if name not in told]}


def error_parts(error: BaseException) -> dict[str, str]:
    """Return what is told of an error: the text of a stranger's error may quote what must not be written."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return {"type": name, "text": error.text} if isinstance(error, PatternsError) else {"type": name}


def plain(value: Any, *, depth: int = 0) -> Any:  # noqa: PLR0911 - one for each kind of value
    """Return *value* as JSON can say it, without secrets; never raises.

    Whole numbers JavaScript would round and numbers JSON lacks become texts,
    what is no data becomes the name of its type, values of parameters named
    like secrets are left out.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if -_LARGEST_EXACT < value < _LARGEST_EXACT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth == _DEEPEST:
        return {"$too_deep": type(value).__name__}
    if isinstance(value, dict):
        return {
            name: REDACTED if is_secret(name) else plain(inner, depth=depth + 1)
            for name, inner in ((_name(name), inner) for name, inner in value.items())
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(inner, depth=depth + 1) for inner in value]
    if isinstance(value, (bytes, bytearray)):
        return {"$bytes": len(value), "sha256": sha256(value).hexdigest()}
    return _named(value)


def _name(key: Any) -> str:
    return key if isinstance(key, str) else str(key) if isinstance(key, (int, float)) else f"${type(key).__name__}"


@lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Tell whether a field of this name holds a secret."""
    bare = name.lower().replace("_", "").replace("-", "")
    # Not "tokens": how many a model used is no secret.
    return bare.endswith("token") or any(word in bare for word in _SECRET_WORDS)


def encode(record: dict[str, Any]) -> bytes:
    """Return *record* as one line of JSON without its newline, short enough for an entry of a tiled log."""
    line = _dumps(record)
    if len(line) > LONGEST_LINE:
        for name in ("facts", "arguments", "reason"):
            if name in record:
                part = _dumps(record[name])
                record = record | {name: {"$too_long": len(part), "sha256": sha256(part).hexdigest()}}
                line = _dumps(record)
                if len(line) <= LONGEST_LINE:
                    return line
        raise AuditError(f"a record of {len(line)} bytes does not fit a line of {LONGEST_LINE}")
    return line


def timestamp(wall: float) -> str:
    """Return seconds since 1970 as RFC 3339 in UTC with microseconds."""
    whole, micro = divmod(round(wall * 1_000_000), 1_000_000)
    return f"{_to_second(whole)}.{micro:06d}Z"


def _to_second(whole: int) -> str:
    global _second  # noqa: PLW0603 - records come many a second
    if _second[0] != whole:
        from datetime import UTC, datetime  # noqa: PLC0415 - needed once a second

        _second = (whole, datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    return _second[1]


_second: tuple[int, str] = (-1, "")


def _named(value: Any) -> Any:
    for base in type(value).__mro__:
        if f"{base.__module__.partition('.')[0]}.{base.__qualname__}" in _SPELLED_AS_TEXT:
            return str(value)
    return {"$type": f"{type(value).__module__}.{type(value).__qualname__}"}


_SPELLED_AS_TEXT = frozenset({
    "datetime.date", "datetime.time", "datetime.timedelta", "decimal.Decimal", "pathlib.PurePath", "uuid.UUID",
})  # fmt: skip


def _dumps(value: Any) -> bytes:
    dump = _dump or _choose()
    try:
        line = dump(value)
    except TypeError:  # a lone surrogate
        line = _standard()(value)
    # The encoder's own buffer may be several times as large as the line in it, and lines are kept for a while.
    return bytes(memoryview(line))


_dump: Callable[[Any], bytes] | None = None


def _choose() -> Callable[[Any], bytes]:
    """Choose the encoder at first use; which one it is does not matter, since nothing is ever encoded again."""
    global _dump  # noqa: PLW0603 - chosen once
    try:
        import orjson

        _dump = orjson.dumps
    except ImportError:
        _dump = _standard()
    return _dump


def _standard() -> Callable[[Any], bytes]:
    from json import JSONEncoder  # noqa: PLC0415 - not needed where orjson is

    text = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
    ascii_text = JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode

    def dumps(value: Any) -> bytes:
        try:
            return text(value).encode()
        except UnicodeEncodeError:  # a lone surrogate, which UTF-8 lacks and JSON can escape
            return ascii_text(value).encode()

    return dumps

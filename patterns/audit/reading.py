"""Reads the acknowledged entries of a log; whether they are genuine is for `patterns.audit.verify` to say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from attrs import frozen

from patterns.audit.records import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from patterns.audit.sinks import Reader

__all__ = ["Entry", "entries_of", "unsettled"]

_OUTCOMES = frozenset({
    Phase.EXECUTED, Phase.FAILED, Phase.BLOCKED, Phase.REPLAYED, Phase.ABANDONED, Phase.IN_DOUBT,
})  # fmt: skip


@frozen
class Entry:
    """One acknowledged line: its index in the log and its bytes, without the newline."""

    index: int
    line: bytes

    @property
    def record(self) -> dict[str, Any]:
        """What it says (see `patterns.audit.records`)."""
        record: dict[str, Any] = json.loads(self.line)
        return record


def entries_of(reader: Reader, start: int = 0) -> Iterator[Entry]:
    """Yield the acknowledged entries from index *start* on; lines behind the checkpoint are none."""
    head = reader.head()
    size, index = 0 if head is None else head.tree.size, 0
    for batch in reader.batches():
        for line in batch.lines[: max(0, size - index)]:
            if index >= start:
                yield Entry(index, line)
            index += 1
        if index >= size:
            return


def unsettled(reader: Reader) -> tuple[Entry, ...]:
    """Return the proposals that have no outcome: they may have happened, as after a crash in the middle."""
    waiting: dict[str, Entry] = {}
    for entry in entries_of(reader):
        record = entry.record
        if record.get("phase") == Phase.PROPOSED:
            waiting[record["id"]] = entry
        elif record.get("phase") in _OUTCOMES:
            for cause in record.get("cause", ()):
                waiting.pop(cause, None)
    return tuple(waiting.values())

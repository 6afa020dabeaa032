"""The latest explanations, bounded in number, and files for those who need them all."""

from __future__ import annotations

import json
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from patterns.explainability.explanation import Explanation

__all__ = ["JsonLines", "Memory", "Sink"]


class Sink(Protocol):
    """Where explanations go besides memory; one that raises is reported and does not affect the call.

    A sink that sets ``blocks = False`` is written to on the event loop; any
    other one in a thread, if the call is async.
    """

    def write(self, explanation: Explanation, /) -> None:
        """Keep *explanation*."""
        ...


class Memory:
    """A ring of the latest *limit* explanations."""

    def __init__(self, limit: int) -> None:
        self._lock = threading.Lock()
        self._latest: deque[Explanation] = deque(maxlen=limit)

    def write(self, explanation: Explanation, /) -> None:
        """Keep it, forgetting the oldest if there is no room."""
        with self._lock:
            self._latest.append(explanation)

    def __iter__(self) -> Iterator[Explanation]:
        with self._lock:
            return iter(tuple(self._latest))


class JsonLines:
    """Appends every explanation as one JSON line to a file, which several processes may share.

    It is not the audit log: nothing is signed, and a line is not waited for at power loss.

    Args:
        path: The file; made with the first line.

    """

    blocks = True

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()

    def write(self, explanation: Explanation, /) -> None:
        """Append it in one write."""
        line = json.dumps(explanation.to_dict(), default=str) + "\n"
        with self._lock, self._path.open("ab", buffering=0) as file:
            file.write(line.encode())

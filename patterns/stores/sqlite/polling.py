"""Noticing what other processes change: one thread looks at the file as long as anybody waits."""

from __future__ import annotations

from functools import partial
from sqlite3 import Error  # noqa: TID253 - this package is itself imported when used
from threading import Event, Thread
from typing import TYPE_CHECKING

from patterns.errors import StoreUnavailable
from patterns.kernel.storage import ABSENT
from patterns.stores.signals import Watchers, wake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from sqlite3 import Connection

    from patterns.stores.signals import Watcher

    Read = Callable[[Callable[[Connection], list[Watcher]]], list[Watcher]]

__all__ = ["PollingWatchers", "version_of"]

_FIRST_PAUSE, _LAST_PAUSE = 0.0005, 0.010
_LINGER = 2.0  # seconds the thread stays when nobody waits any more

_VERSION = "SELECT version FROM patterns_cells WHERE key = ?"


def version_of(key: str, connection: Connection) -> int:
    """Return the version of *key*."""
    row = connection.execute(_VERSION, (key,)).fetchone()
    return ABSENT if row is None else int(row[0])


class PollingWatchers(Watchers):
    """All who wait; changes of this process come by `notify`, those of others are looked for.

    Looking costs one pragma while nothing changed, however many wait.

    Args:
        read: Runs a function with a connection that reads.

    """

    _thread: Thread | None
    _newcomer: Event

    def __init__(self, read: Read) -> None:
        self._read = read
        self._last: tuple[Connection, int] | None = None
        super().__init__()

    def add(self, watcher: Watcher) -> None:
        """Wake *watcher* at every change of its key from now on, whoever makes it."""
        super().add(watcher)
        self._newcomer.set()
        with self._lock:
            if self._thread is not None:
                return
            thread = self._thread = Thread(target=self._serve, name="patterns-watcher", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread to be had: changes of this process are still noticed, others when it reads
            self._thread = None

    def _begin_afresh(self) -> None:
        super()._begin_afresh()
        self._newcomer = Event()
        self._thread = None

    def _serve(self) -> None:
        newcomer = self._newcomer
        pause = _FIRST_PAUSE
        while True:
            waiting = bool(self.anybody)
            if newcomer.wait(pause if waiting else _LINGER):
                newcomer.clear()
                pause = _FIRST_PAUSE
            elif not waiting and self._may_end():
                return
            moved = self._look(self.all())
            wake(watcher.signal for watcher in moved)
            pause = _FIRST_PAUSE if moved else min(pause * 2, _LAST_PAUSE)

    def _may_end(self) -> bool:
        with self._lock:
            if self.anybody or self._newcomer.is_set():
                return False
            self._thread = None
            return True

    def _look(self, watchers: Sequence[Watcher]) -> Sequence[Watcher]:
        if not watchers:
            return ()
        try:
            return self._read(partial(self._moved, watchers))
        except (Error, StoreUnavailable):
            return watchers  # each finds out for itself when it reads

    def _moved(self, watchers: Sequence[Watcher], connection: Connection) -> list[Watcher]:
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        now = (connection, version)
        if now == self._last:
            return []
        self._last = now
        return [watcher for watcher in watchers if version_of(watcher.key, connection) != watcher.seen]

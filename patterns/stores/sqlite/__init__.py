"""The store of one host: one SQLite file for any number of processes, threads and event loops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from patterns.errors import misuse
from patterns.kernel.clock import SYSTEM_CLOCK, seconds
from patterns.stores.keys import check_key
from patterns.stores.sqlite.cells import AsyncSqliteCells, SqliteCells, SqliteLog
from patterns.stores.sqlite.engine import Engine
from patterns.stores.sqlite.file import DatabaseFile
from patterns.stores.sqlite.filesystem import network_type
from patterns.stores.sqlite.owners import flock_owners

if TYPE_CHECKING:
    from patterns.kernel.clock import Clock, Duration
    from patterns.kernel.storage import AsyncCells, Cells, Log, Owners

__all__ = ["SqliteStore", "open_url"]

_SCHEME = "sqlite://"


def open_url(
    rest: str,
    /,
    *,
    clock: Clock = SYSTEM_CLOCK,
    busy_timeout: Duration = 10.0,
    allow_network_file_system: bool = False,
) -> SqliteStore:
    """Open ``sqlite:///relative.db`` or ``sqlite:////absolute/path.db``, creating the file if need be.

    Args:
        rest: What follows ``sqlite://``: a slash and the path.
        clock: Gives the store's time, which all processes of the host share.
        busy_timeout: Seconds (or a timedelta) to go on trying while another process writes.
        allow_network_file_system: Trust the locks of a network file system.

    Raises:
        Misuse: The path is missing, or is on a network file system.
        StoreUnavailable: The file cannot be used; the text says why and what helps.

    """
    url = _SCHEME + rest
    path = rest.removeprefix("/")
    if path == rest or not path or path == ":memory:":
        misuse(
            f"{url} names no file",
            wrong=f'open_store("{url}")',
            right=f'open_store("{_SCHEME}/{rest if path == rest and rest else "agent.db"}")',
        )
    return SqliteStore(
        path, clock=clock, busy_timeout=busy_timeout, allow_network_file_system=allow_network_file_system
    )


class SqliteStore:
    """A store in one SQLite file with a write-ahead log.

    A durable swap is on disk before it returns; those who write at the same
    time share one transaction. Processes may share the file, and a forked
    child may go on with the object it inherited.

    Args:
        path: The file; created if it does not exist, its directory is not.
        clock: Gives the store's time; waiting happens in real time all the same.
        busy_timeout: Seconds (or a timedelta) to go on trying while another process writes.
        allow_network_file_system: Trust the locks of a network file system.

    Raises:
        Misuse: The file is on a network file system, whose locks SQLite cannot rely on.
        StoreUnavailable: The file cannot be used; the text says why and what helps.

    """

    def __init__(
        self,
        path: str,
        *,
        clock: Clock = SYSTEM_CLOCK,
        busy_timeout: Duration = 10.0,
        allow_network_file_system: bool = False,
    ) -> None:
        self.url = f"{_SCHEME}/{path}"
        file = DatabaseFile(path, patience=seconds(busy_timeout, name="busy_timeout"))
        kind = None if allow_network_file_system else network_type(file.path)
        if kind is not None:
            misuse(
                f"{file.path} is on a network file system ({kind}), whose locks cannot be relied on",
                wrong=f'open_store("{self.url}")',
                right=f'open_store("{self.url}", allow_network_file_system=True), or better a path on a local disk',
            )
        file.prepare()
        self._engine = Engine(file)
        self.cells: Cells = SqliteCells(self._engine, clock.wall)
        self.async_cells: AsyncCells = AsyncSqliteCells(self._engine, clock.wall)
        self.owners: Owners | None = flock_owners(file.path)

    def log(self, name: str, /) -> Log:
        """Return the log called *name*, made on first append."""
        check_key(name)
        return SqliteLog(self._engine, name)

    def close(self) -> None:
        """Finish what is queued and close the file; further use raises `StoreUnavailable`."""
        self._engine.close()

"""Whether the process that holds a record is alive: exactly, because its lock on a file dies with it and never before.

Every process keeps one file in ``<database>.owners/`` locked with flock(2).
The kernel drops the lock when the process is gone, however it went, and
keeps it while the process is merely stopped or slow. Nothing is written while
it runs, and no clock is asked.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from threading import RLock
from typing import TYPE_CHECKING

from patterns.errors import StoreUnavailable
from patterns.kernel.ids import SYSTEM_IDS
from patterns.stores import forking

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FlockOwners", "flock_owners"]

_OWNER = re.compile("[0-9a-z]{26}")
_UNBORN = "."  # begins the name of a file that is not locked yet


def flock_owners(database: Path) -> FlockOwners | None:
    """Return the owners of *database*, or None where the system has no flock, so that nobody can be proven dead."""
    return None if sys.platform == "win32" else FlockOwners(database.with_name(database.name + ".owners"))


class FlockOwners:
    """`Owners` of one database on one host.

    Args:
        directory: Where each process keeps its locked file.

    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def me(self) -> str:
        """Return this process's owner id, the same for all stores on this file; a new one after a fork.

        It counts as alive until the process ends, even after the store is
        closed: what it began may still be running.

        Raises:
            StoreUnavailable: The lock cannot be taken.

        """
        try:
            return _mine.owner_in(self._directory)
        except OSError as problem:
            raise StoreUnavailable(
                f"{self._directory} cannot be used ({problem.strerror}); let this process create and lock files there",
                path=str(self._directory),
            ) from problem

    def alive(self, owner: str, /) -> bool | None:
        """Return True, False if *owner* is proven dead, or None if it cannot be told."""
        if not _OWNER.fullmatch(owner):
            return None
        if owner in _mine.names:
            return True
        path = f"{self._directory}/{owner}"
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            # Only the files of the dead are removed, unless somebody removed all.
            return False if self._directory.is_dir() else None
        except OSError:
            return None
        try:
            locked = _is_locked(descriptor)
        finally:
            os.close(descriptor)
        if locked is False:
            with suppress(FileNotFoundError):  # somebody else has found out as well
                os.unlink(path)
        return locked


class _Mine:
    """The locked files of this process; held until it ends."""

    def __init__(self) -> None:
        self._lock = RLock()  # making an owner looks at the others, which asks whether they are ours
        self._held = False
        self._files: dict[Path, tuple[str, int]] = {}
        self.names: frozenset[str] = frozenset()
        forking.watch(self)

    def owner_in(self, directory: Path) -> str:
        with self._lock:
            owner, _descriptor = self._files.get(directory, ("", -1))
            if not owner:
                _remove_dead(directory)
                owner = SYSTEM_IDS.new()
            if not (directory / owner).exists():  # new, or swept away by a cleaner of old files
                self._files[directory] = owner, _lock_file(directory, owner)
                self.names |= {owner}
            return owner

    def before_fork(self) -> None:
        self._held = self._lock.acquire(timeout=forking.PATIENCE)

    def after_fork_in_parent(self) -> None:
        if self._held:
            self._lock.release()

    def after_fork_in_child(self) -> None:
        # Closed, not unlocked: the lock belongs to the open file, which the parent still has.
        for _owner, descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()
        self.names = frozenset()
        self._lock = RLock()


_mine = _Mine()


def _lock_file(directory: Path, owner: str) -> int:
    """Create the file of *owner* and return its descriptor; under its name it is never seen unlocked."""
    directory.mkdir(exist_ok=True)
    unborn = directory / (_UNBORN + owner)
    descriptor = os.open(unborn, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unborn.rename(directory / owner)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _is_locked(descriptor: int) -> bool | None:
    # A shared lock, so that two who look at once do not take each other for the owner.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def _remove_dead(directory: Path) -> None:
    """Remove what processes that are gone have left."""
    owners = FlockOwners(directory)
    with suppress(FileNotFoundError):  # no directory yet
        for name in os.listdir(directory):
            owners.alive(name)

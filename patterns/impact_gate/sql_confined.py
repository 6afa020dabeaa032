"""Stand-ins for connections of a twin: what they do stays in the twin, and is seen."""

from __future__ import annotations

import re
import sqlite3  # noqa: TID253 - this module is itself imported when a SqlWorld is made
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

__all__ = ["ConfinedConnection", "TwinConnection", "Work"]

_TRANSACTION_WORD = re.compile(
    r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*(?P<word>BEGIN|COMMIT|END|ROLLBACK)\b(?![^;]*\bTO\b)", re.IGNORECASE | re.DOTALL
)

_FORBIDDEN = frozenset(
    ("blobopen", "deserialize", "enable_load_extension", "load_extension", "set_authorizer", "set_progress_handler")
)
"""They change rows or rules without anybody noticing."""


class Work(Protocol):
    """What a stand-in needs from its twin."""

    def forbid(self, what: str) -> None:
        """Remember that the function tried *what*, so nothing can be said about it; raise."""

    def end_work(self, *, keep: bool) -> None:
        """End the function's transaction, as far as the twin is concerned, and begin the next."""

    def check(self) -> None:
        """Raise if the transaction that everything must stay in is gone."""


class TwinConnection:
    """A connection that keeps nobody from noticing what it does."""

    def __init__(self, work: Work, connection: sqlite3.Connection) -> None:
        self.__dict__.update(_work=work, _connection=connection)

    def __getattr__(self, name: str) -> Any:
        if name in _FORBIDDEN:
            self._work.forbid(f"{name}()")
        return getattr(self._connection, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._connection, name, value)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.commit()
        else:
            self.rollback()

    def close(self) -> None:
        """Take back what was not committed; the rehearsal goes on."""
        self.rollback()


class ConfinedConnection(TwinConnection):
    """A connection whose transactions do not really end."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in {"isolation_level", "autocommit"}:  # there is one transaction, and it is not the function's
            super().__setattr__(name, value)

    def commit(self) -> None:
        """Keep what was done so far, within the rehearsal."""
        self._work.end_work(keep=True)

    def rollback(self) -> None:
        """Take back what was done since the last commit."""
        self._work.end_work(keep=False)

    def cursor(self, factory: Any = None) -> sqlite3.Cursor:
        """Return a cursor that does not really end transactions either."""
        made = self._connection.cursor(ConfinedCursor if factory is None else factory)
        if isinstance(made, ConfinedCursor):
            made.owner = self
            made.work = self._work
        return cast("sqlite3.Cursor", made)

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        """Do as a cursor does."""
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any]) -> sqlite3.Cursor:
        """Do as a cursor does."""
        return self.cursor().executemany(sql, parameters)

    def executescript(self, script: str) -> sqlite3.Cursor:
        """Do as a cursor does."""
        return self.cursor().executescript(script)


class ConfinedCursor(sqlite3.Cursor):
    """A cursor for which the words of transactions mean savepoints."""

    owner: ConfinedConnection
    work: Work

    @property
    def connection(self) -> Any:
        """The connection it was made by, not the one behind it."""
        return self.owner

    def execute(self, sql: str, parameters: Any = (), /) -> ConfinedCursor:
        """Run a statement."""
        found = _TRANSACTION_WORD.match(sql)
        if found is None:
            self.work.check()
            super().execute(sql, parameters)
        elif found["word"].upper() != "BEGIN":
            self.work.end_work(keep=found["word"].upper() != "ROLLBACK")
        return self

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> ConfinedCursor:
        """Run a statement many times."""
        self.work.check()
        super().executemany(sql, parameters)
        return self

    def executescript(self, script: str, /) -> ConfinedCursor:
        """Run statements; like the real one it commits first."""
        self.work.end_work(keep=True)
        statement = ""
        for piece in re.split(r"(?<=;)", script):
            statement += piece
            if sqlite3.complete_statement(statement):
                self.execute(statement)
                statement = ""
        if statement.strip():
            self.execute(statement)
        return self

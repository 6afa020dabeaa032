"""What people and programs may ask of a ledger, and decide, from outside a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from patterns.errors import misuse
from patterns.kernel.clock import seconds
from patterns.ledger.query import UNSET, Query
from patterns.ledger.record import SETTLED, State

if TYPE_CHECKING:
    from patterns.kernel.clock import Duration
    from patterns.kernel.run import Run
    from patterns.ledger.books import Books
    from patterns.ledger.record import Record

__all__ = ["Inspection", "StateName"]

StateName = Literal["pending", "ready", "running", "done", "failed", "in_doubt", "void"]


class Inspection:
    """The side of a ledger that looks and decides; it blocks, so from a coroutine use ``asyncio.to_thread``.

    Args:
        books: The ledger's records.
        largest_result: Characters of JSON text a recorded result may have.

    """

    def __init__(self, books: Books, largest_result: int) -> None:
        self._books = books
        self._query = Query(books, largest_result)

    def effects(
        self,
        *,
        state: StateName | State | None = None,
        tool: str | None = None,
        run: Run | str | None = None,
        since: float | None = None,
        limit: int = 100,
    ) -> list[Record]:
        """Return recorded effects, those whose state changed last first.

        Args:
            state: Only those in this state.
            tool: Only those of this tool: its qualified name, the function's name, or a step's name.
            run: Only those of this run and the runs nested in it, if a text; of exactly this run, if a `Run`.
            since: Only those whose state changed at this time or later, seconds since 1970-01-01 UTC.
            limit: At most so many.

        Raises:
            Misuse: There is no such state.
            StoreUnavailable: The store cannot be read.

        """
        return self._query.select(state=_state(state), tool=tool, run=run, since=since, limit=limit)

    def effect(self, id_or_key: Any) -> Record | None:
        """Return one recorded effect, or None.

        Args:
            id_or_key: Its id, or the first four or more characters of the id or of its last part, or an explicit key
                (looked for in the current run first).

        Raises:
            Misuse: Several effects fit.
            StoreUnavailable: The store cannot be read.

        """
        return self._query.find(id_or_key)

    def resolve(
        self,
        id_or_key: Any,
        *,
        succeeded: Any = UNSET,
        failed: Any = UNSET,
        retry: bool = False,
        give_up: bool = False,
        note: str = "",
        by: str | None = None,
        force: bool = False,
    ) -> Record:
        """Say what became of an effect in doubt.

        Args:
            id_or_key: As for `effect`.
            succeeded: It happened, and this is its result.
            failed: It failed for good: a text, or the exception to be raised again.
            retry: It did not happen; the next call runs it.
            give_up: It is not wanted any more; later calls get `EffectFailed`.
            note: Why; kept on the record.
            by: Who says so; kept on the record.
            force: Decide although its owner may be alive. With *retry* it may then happen twice.

        Returns:
            The record as it is now.

        Raises:
            Misuse: There is no such effect, or not exactly one of the four was given.
            Refused: It is not in doubt, or its owner is not known to be dead.
            StoreUnavailable: The store cannot be used.

        """
        decide = self._query.decision(succeeded, failed, retry=retry, give_up=give_up, by=by, note=note, force=force)
        return self._query.resolve(id_or_key, decide)

    def cancel(self, id_or_key: Any, *, note: str = "", by: str | None = None) -> Record:
        """Say that an effect that did not begin yet is not wanted; later calls get `EffectFailed`.

        Args:
            id_or_key: As for `effect`.
            note: Why; kept on the record.
            by: Who says so; kept on the record.

        Raises:
            Misuse: There is no such effect.
            Refused: It has begun.

        """
        return self._query.cancel(id_or_key, by, note)

    def recover(self) -> list[Record]:
        """Find effects whose owners died while running them, and put them in doubt; return them.

        Calls do the same for the effect they ask for. Outcomes this process
        could not write are written. Nothing is run.
        """
        return self._query.recover()

    def purge(self, *, older_than: Duration) -> int:
        """Forget settled effects; a later equal call runs again.

        Effects that wait, run or are in doubt are never forgotten.

        Args:
            older_than: Seconds (or a timedelta) since they were settled. At least as long as any caller may repeat
                a call.

        Returns:
            How many were forgotten.

        """
        before = self._books.now() - seconds(older_than, name="older_than", positive=False)
        return self._query.purge(before, SETTLED)


def _state(state: StateName | State | None) -> State | None:
    if state is None or isinstance(state, State):
        return state
    try:
        return State(state)
    except ValueError:
        known = ", ".join(one.value for one in State)
        misuse(f"there is no state {state!r}; there are {known}", wrong=f"state={state!r}", right='state="in_doubt"')

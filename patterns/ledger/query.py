"""Looking at a ledger from outside a call: finding effects, and deciding what became of those in doubt."""

from __future__ import annotations

from heapq import nlargest
from typing import TYPE_CHECKING, Any

from patterns.errors import Misuse, Refused, misuse
from patterns.kernel.drive import finish_at_once
from patterns.kernel.run import Run, current_run
from patterns.kernel.storage import Blocking, Change
from patterns.ledger import announcements
from patterns.ledger.keys import effects_prefix, key_label, resources_prefix, scope_prefix
from patterns.ledger.operations import Cancel, Decide, Gone, Moved, Reason, Verdict
from patterns.ledger.raised import describe
from patterns.ledger.record import Record, State
from patterns.ledger.record_format import read_record
from patterns.ledger.results import is_lost, result_text
from patterns.ledger.value_classes import Classes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from patterns.kernel.storage import Cell
    from patterns.ledger.books import Books
    from patterns.ledger.operations import Operation

__all__ = ["UNSET", "Query"]

_PAGE = 500


class _Unset:
    def __repr__(self) -> str:
        return "not given"


UNSET: Any = _Unset()
"""Stands for an argument that was not given, where None means something."""


class Query:
    """Finds and resolves effects of one ledger; blocking, so not for the thread of an event loop.

    Args:
        books: The ledger's records.
        largest: Characters of JSON text a recorded result may have.

    """

    def __init__(self, books: Books, largest: int) -> None:
        self._books = books
        self._largest = largest
        self._cells = Blocking(books.store.cells)

    # Finding

    def select(
        self, *, state: State | None, tool: str | None, run: Run | str | None, since: float | None, limit: int
    ) -> list[Record]:
        """Return the newest *limit* records that fit, see `Ledger.effects`."""
        prefix = effects_prefix(self._books.name)
        if isinstance(run, Run):
            prefix = scope_prefix(self._books.name, run.tenant, run.path)
        path = run if isinstance(run, str) else None
        found = (record for record in self._all(prefix) if _fits(record, state, tool, path, since))
        return nlargest(limit, found, key=lambda record: record.changed)

    def _all(self, prefix: str) -> Iterator[Record]:
        return (read_record(cell) for cell in self._cells_below(prefix))

    def _cells_below(self, prefix: str) -> Iterator[Cell]:
        after = ""
        while page := self._books.store.cells.scan(prefix, after=after, limit=_PAGE):
            yield from page
            after = page[-1].key

    def find(self, id_or_key: Any) -> Record | None:
        """Return the record of an effect id, of an unmistakable part of one, or of an explicit key.

        Raises:
            Misuse: Several effects fit.

        """
        prefix = effects_prefix(self._books.name)
        if isinstance(id_or_key, str):
            cell = self._books.store.cells.read(prefix + id_or_key) if id_or_key else None
            if cell is not None:
                return read_record(cell)
        found = self._by_key(id_or_key) or self._by_part(id_or_key)
        if len(found) > 1:
            misuse(
                f"{id_or_key!r} fits {len(found)} effects: {', '.join(record.id for record in found[:5])}",
                wrong=f"ledger.effect({id_or_key!r})",
                right=f"ledger.effect({found[0].id!r})",
            )
        return found[0] if found else None

    def _by_key(self, key: Any) -> list[Record]:
        text = key_label(key)
        found = [record for record in self._all(effects_prefix(self._books.name)) if record.identity.key == text]
        run = current_run()
        here = [
            one
            for one in found
            if run is not None and (one.identity.tenant, one.identity.run) == (run.tenant, run.path)
        ]
        return here or found

    def _by_part(self, part: Any) -> list[Record]:
        if not isinstance(part, str) or len(part) < 4:  # noqa: PLR2004 - shorter ones are typed by mistake
            return []
        return [record for record in self._all(effects_prefix(self._books.name)) if _has_part(record.id, part)]

    # Deciding

    def resolve(self, id_or_key: Any, decide: Decide) -> Record:
        """Do what a person decided, see `Ledger.resolve`."""
        record = self._found(id_or_key)
        self._bury(record)
        answer = self._move(record, decide)
        if not isinstance(answer, Moved) or answer.record is None:
            raise self._refusal(record, answer.reason if not isinstance(answer, Moved) else Reason.UNKNOWN)
        announcements.resolved(self._books, answer.record, decide.by, decide.note)
        return answer.record

    def cancel(self, id_or_key: Any, by: str | None, note: str) -> Record:
        """Do what a person decided, see `Ledger.cancel`."""
        record = self._found(id_or_key)
        answer = self._move(record, Cancel(by=by, note=note))
        if not isinstance(answer, Moved) or answer.record is None:
            raise self._refusal(record, answer.reason if not isinstance(answer, Moved) else Reason.UNKNOWN)
        announcements.resolved(self._books, answer.record, by, note)
        return answer.record

    def _found(self, id_or_key: Any) -> Record:
        record = self.find(id_or_key)
        if record is None:
            raise Misuse.shown(
                f"the ledger {self._books.name!r} has no effect {id_or_key!r}",
                wrong=f"ledger.resolve({id_or_key!r}, ...)",
                right="ledger.resolve(effect.id, ...) for an effect in ledger.effects(state='in_doubt')",
            )
        return record

    def _refusal(self, record: Record, reason: Reason) -> Refused:
        now = self.find(record.id) or record
        advice = {
            Reason.SETTLED: f"it is {now.state.value} already",
            Reason.NOT_OVER: f"its owner {now.owner} is alive or not known to be dead; wait for it, or use force=True"
            " if you know that it will do nothing more",
        }.get(reason, f"it is {now.state.value}, which leaves nothing to resolve")
        return Refused(
            f"{record.id} stays as it is: {advice}", call=record.tool, effect_id=record.id, state=now.state.value
        )

    def _move(self, record: Record, operation: Operation) -> Any:
        key = effects_prefix(self._books.name) + record.id
        return finish_at_once(self._books.move(self._cells, key, operation))

    def _bury(self, record: Record) -> Record | None:
        """Put an effect whose owner is dead in doubt, and return its record then."""
        if record.state is State.RUNNING or (record.state is State.IN_DOUBT and not record.over):
            alive = finish_at_once(self._books.alive(record.owner, asynchronous=False))
            if alive is False:
                answer = self._move(record, Gone(owner=record.owner or ""))
                if isinstance(answer, Moved) and answer.record is not None:
                    announcements.recorded(self._books, answer.record)
                    return answer.record
        return None

    def recover(self) -> list[Record]:
        """Do `Ledger.recover`."""
        for key, report in list(self._books.unsettled.items()):
            finish_at_once(self._books.move(self._cells, key, report))
            self._books.unsettled.pop(key, None)
        candidates = [record for record in self._all(effects_prefix(self._books.name)) if record.state is State.RUNNING]
        return [after for record in candidates if (after := self._bury(record)) is not None]

    # Forgetting

    def purge(self, before: float, states: frozenset[State]) -> int:
        """Do `Ledger.purge`."""
        forgotten = 0
        for cell in self._cells_below(effects_prefix(self._books.name)):
            record = read_record(cell)
            if record.state in states and record.changed <= before:
                forgotten += self._delete(cell)
        for cell in self._cells_below(resources_prefix(self._books.name)):
            if cell.value == b"":
                self._delete(cell)
        self._books.forget()
        return forgotten

    def _delete(self, cell: Cell) -> bool:
        return self._books.store.cells.swap([Change(cell.key, cell.version, None)]) is None

    def decision(
        self, succeeded: Any, failed: Any, *, retry: bool, give_up: bool, by: str | None, note: str, force: bool
    ) -> Decide:
        """Return what a person decided.

        Raises:
            Misuse: Nothing or more than one thing was decided, or the result cannot be recorded.

        """
        given = [succeeded is not UNSET, failed is not UNSET, retry, give_up]
        if sum(given) != 1:
            misuse(
                f"one thing became of an effect, not {sum(given)}",
                wrong="ledger.resolve(id, succeeded=result, retry=True)",
                right='ledger.resolve(id, succeeded=result, note="seen in the bank\'s list", by="ann")',
            )
        if given[0]:
            text = result_text(succeeded, Classes(), self._largest)
            if is_lost(text):
                misuse(f"this result cannot be recorded: {text}", wrong="succeeded=object()", right="succeeded=None")
            return Decide(verdict=Verdict.HAPPENED, by=by, note=note, result=text, force=force)
        if given[1]:
            error = describe(failed, Classes())
            return Decide(verdict=Verdict.FAILED, by=by, note=note, error=error, force=force)
        verdict = Verdict.DID_NOT_HAPPEN if retry else Verdict.GIVEN_UP
        return Decide(verdict=verdict, by=by, note=note, force=force)


def _fits(record: Record, state: State | None, tool: str | None, run: str | None, since: float | None) -> bool:
    if state is not None and record.state is not state:
        return False
    if tool is not None and tool not in (record.tool, record.tool.rpartition(".")[2], record.tool.partition(":")[2]):
        return False
    if since is not None and record.changed < since:
        return False
    return run is None or run in record.identity.run


def _has_part(effect_id: str, part: str) -> bool:
    return effect_id.startswith(part) or effect_id.rpartition("/")[2].startswith(part)

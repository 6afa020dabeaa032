"""An effect made small: exact counts, and a few rows to show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from patterns.impact_gate.effect import Change, Effect, Lens, Row

__all__ = ["KINDS", "Diff", "RowDiff", "TableDiff", "summarise"]

KINDS = ("deleted", "updated", "inserted")
"""What can happen to a row."""

_ROWS_SHOWN = 20
_LONGEST_VALUE = 120
_HIDDEN = "(hidden)"


@frozen(kw_only=True)
class TableDiff:
    """What happened to one table, in exact counts.

    Args:
        inserted: Rows that are new.
        updated: Rows whose values changed.
        deleted: Rows that are gone.
        population: Rows it had before; a lower bound if not *counted*.
        counted: Whether *population* is exact.
        columns: Names of the columns that changed in updated rows.
        moved: For each column that holds numbers, by how much its values changed in all, signs apart; a value
            that came or went counts in full.
        owners: How many owners the touched rows have; None if nobody said which column tells.

    """

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    population: int = 0
    counted: bool = True
    columns: tuple[str, ...] = ()
    moved: Mapping[str, float] = field(factory=dict)
    owners: int | None = None

    @property
    def rows(self) -> int:
        """Rows touched in any way."""
        return self.inserted + self.updated + self.deleted

    @property
    def lost_or_changed(self) -> int:
        """Rows that existed before and are not what they were."""
        return self.updated + self.deleted

    @property
    def fraction(self) -> float:
        """Which part of the rows that existed before was changed or deleted, 0 to 1 (an upper bound if not counted)."""
        return min(1.0, self.lost_or_changed / self.population) if self.population else 0.0

    def sentence(self, name: str, kind: str) -> str:
        """Return what happened to the table called *name*: one *kind* of `KINDS`."""
        count = getattr(self, kind)
        if kind == "inserted":
            return f"inserts {count} {name}"
        verb = "deletes" if kind == "deleted" else "updates"
        return f"{verb} {count} of {'' if self.counted else 'over '}{self.population} {name}"


@frozen
class RowDiff:
    """One changed row as it is shown: values shortened, hidden columns hidden."""

    table: str
    kind: str
    key: tuple[str, ...]
    values: Mapping[str, tuple[str | None, str | None]]


@frozen(kw_only=True, repr=False)
class Diff:
    """What an action does to the world: exact counts per table, and at most some rows in full.

    Args:
        tables: Counts by table name.
        sample: The first rows, at most 20.
        schema: Changes of structure.
        uncovered: What was touched but could not be looked into.

    """

    tables: Mapping[str, TableDiff] = field(factory=dict)
    sample: tuple[RowDiff, ...] = ()
    schema: tuple[str, ...] = ()
    uncovered: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Diff {self}>"  # ends up in logs, where rows have no business

    def __str__(self) -> str:
        return "; ".join(self.sentences()) or "nothing"

    @property
    def rows(self) -> int:
        """Rows touched in all tables."""
        return sum(table.rows for table in self.tables.values())

    def sentences(self) -> tuple[str, ...]:
        """Return the diff as short sentences, the largest first."""
        tables = sorted(self.tables.items(), key=lambda item: -item[1].rows)
        rows = [one.sentence(name, kind) for name, one in tables for kind in KINDS if getattr(one, kind)]
        return (*self.schema, *rows, *(f"could not look into {one}" for one in self.uncovered))


def summarise(effect: Effect, lens: Lens) -> Diff:
    """Return *effect* in exact counts, with a few rows to show."""
    by_table: dict[str, list[Change]] = {}
    for change in effect.changes:
        by_table.setdefault(change.table, []).append(change)
    return Diff(
        tables={name: _table(name, changes, effect, lens) for name, changes in by_table.items()},
        sample=tuple(_shown(change, lens) for change in effect.changes[:_ROWS_SHOWN]),
        schema=effect.schema,
        uncovered=effect.uncovered,
    )


def _table(name: str, changes: Sequence[Change], effect: Effect, lens: Lens) -> TableDiff:
    kinds = [change.kind for change in changes]
    population = effect.populations.get(name)
    touched = (column for change in changes if change.kind == "updated" for column in change.changed)
    return TableDiff(
        inserted=kinds.count("inserted"),
        updated=kinds.count("updated"),
        deleted=kinds.count("deleted"),
        population=population.rows if population else 0,
        counted=population.exact if population else False,
        columns=tuple(dict.fromkeys(touched)),
        moved=_moved(changes),
        owners=_owners(name, changes, lens),
    )


def _number(row: Row | None, place: int) -> float:
    value = row[place] if row is not None else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0.0
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _distance(one: float, other: float) -> float:
    # inf - inf is no number, yet such a value must not count as nothing
    return abs(one - other) if math.isfinite(one) and math.isfinite(other) else math.inf


def _moved(changes: Iterable[Change]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for change in changes:
        for name in change.changed:
            place = change.columns.index(name)
            by = _distance(_number(change.after, place), _number(change.before, place))
            if by:
                sums[name] = sums.get(name, 0.0) + by
    return sums


def _owners(table: str, changes: Iterable[Change], lens: Lens) -> int | None:
    column = lens.owners.get(table)
    if column is None:
        return None
    found = set()
    for change in changes:
        if column in change.columns:
            place = change.columns.index(column)
            found |= {repr(row[place]) for row in (change.before, change.after) if row is not None}
    return len(found)


def _shown(change: Change, lens: Lens) -> RowDiff:
    values = {
        name: (_text(change, change.before, name, lens), _text(change, change.after, name, lens))
        for name in change.changed
    }
    secret = _hidden_values(change, lens)
    key = tuple(_HIDDEN if repr(one) in secret else _short(one) for one in change.key)
    return RowDiff(change.table, change.kind, key, values)


def _hidden_values(change: Change, lens: Lens) -> set[str]:
    """Return what must not show up in the key either."""
    places = [place for place, name in enumerate(change.columns) if lens.hides(change.table, name)]
    rows = [row for row in (change.before, change.after) if row is not None]
    return {repr(row[place]) for row in rows for place in places}


def _text(change: Change, row: Row | None, column: str, lens: Lens) -> str | None:
    if row is None:
        return None
    if lens.hides(change.table, column):
        return _HIDDEN
    return _short(row[change.columns.index(column)])


def _short(value: Any) -> str:
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    text = "NULL" if value is None else str(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"

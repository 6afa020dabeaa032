"""What an action did to a world, row by row, and how two such effects are added, subtracted and compared.

An `Effect` is the exact difference between two states of one world. With
``W0`` the state of now and ``W(x)`` the state after an action *x*:

=====================  ==============================================
``effect of x``        ``W0 -> W(x)``, as a twin recorded it
``then(x, y)``         ``W0 -> W(x, y)``, both effects in one
``between(b, a)``      ``W(b) -> W(a)``, how the worlds diverge
=====================  ==============================================

All of it is pure; nothing here knows where the rows came from.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["NO_EFFECT", "Change", "Effect", "Lens", "Population", "between", "digest", "disagreements", "then"]

Row = tuple[Any, ...]


@frozen
class Change:
    """One row that is not what it was.

    Args:
        table: Where it is.
        key: What identifies it there.
        columns: Names of the values in *before* and *after*.
        before: Its values before; None if it did not exist.
        after: Its values after; None if it no longer exists.

    """

    table: str
    key: Row
    columns: tuple[str, ...]
    before: Row | None
    after: Row | None

    @property
    def kind(self) -> str:
        """One of ``inserted``, ``updated`` and ``deleted``."""
        if self.before is None:
            return "inserted"
        return "deleted" if self.after is None else "updated"

    @property
    def changed(self) -> tuple[str, ...]:
        """Names of the columns whose values differ; all of them for a row that came or went."""
        if self.before is None or self.after is None:
            return self.columns
        pairs = zip(self.columns, self.before, self.after, strict=True)
        return tuple(name for name, old, new in pairs if not same_value(old, new))


@frozen
class Population:
    """How many rows a table had: *rows*, or at least that many if it was not counted to the end."""

    rows: int
    exact: bool = True


@frozen(kw_only=True)
class Effect:
    """Everything that differs between two states of a world.

    Args:
        changes: The rows, each at most once.
        populations: How many rows each touched table had before.
        schema: Changes of structure, such as ``drop table orders``; they are named, not counted in rows.
        uncovered: What was touched but could not be looked into.
        written: Tables that statements wrote to, also where they met no row.

    """

    changes: tuple[Change, ...] = ()
    populations: Mapping[str, Population] = field(factory=dict)
    schema: tuple[str, ...] = ()
    uncovered: tuple[str, ...] = ()
    written: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes or self.schema or self.uncovered)


NO_EFFECT = Effect()


def _column_set(columns: Iterable[str]) -> frozenset[str]:
    return frozenset([columns] if isinstance(columns, str) else columns)


@frozen(kw_only=True)
class Lens:
    """How rows are looked at; columns are spelled ``"table.column"``, or ``"*.column"`` for every table.

    Args:
        hidden: Columns whose values no assessment shows.
        volatile: Columns that come out differently each time, such as time stamps; not compared.
        owners: For each table the column that says whose row it is.

    """

    hidden: frozenset[str] = field(default=frozenset(), converter=_column_set)
    volatile: frozenset[str] = field(default=frozenset(), converter=_column_set)
    owners: Mapping[str, str] = field(factory=dict)

    def hides(self, table: str, column: str) -> bool:
        """Whether values of this column are not shown."""
        return bool(self.hidden & {f"{table}.{column}", f"*.{column}"})

    def compares(self, table: str, column: str) -> bool:
        """Whether values of this column are compared."""
        return not self.volatile & {f"{table}.{column}", f"*.{column}"}


def same_value(one: Any, other: Any) -> bool:
    """Whether two stored values are the same; 1 and 1.0 are not, for a database tells them apart."""
    return type(one) is type(other) and bool(one == other)


def same_row(one: Row | None, other: Row | None) -> bool:
    """Whether two rows, each possibly missing, are the same."""
    if one is None or other is None:
        return one is other
    return len(one) == len(other) and all(map(same_value, one, other))


def _by_key(effect: Effect) -> dict[tuple[str, Row], Change]:
    return {(change.table, change.key): change for change in effect.changes}


def _without_nothing(changes: Iterable[Change]) -> tuple[Change, ...]:
    return tuple(change for change in changes if not same_row(change.before, change.after))


def _union(first: tuple[str, ...], then: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(first + then))


def then(first: Effect, second: Effect) -> Effect:
    """Return the effect of *first* followed by *second*, as one; what the second takes back is gone."""
    found = _by_key(first)
    for change in second.changes:
        place = change.table, change.key
        earlier = found.get(place)
        before = change.before if earlier is None else earlier.before
        found[place] = Change(change.table, change.key, change.columns, before, change.after)
    return Effect(
        changes=_without_nothing(found.values()),
        populations={**second.populations, **first.populations},
        schema=_union(first.schema, second.schema),
        uncovered=_union(first.uncovered, second.uncovered),
        written=_union(first.written, second.written),
    )


def inverse(effect: Effect) -> Effect:
    """Return the effect that leads back: every row as it was before."""
    back = tuple(Change(one.table, one.key, one.columns, one.after, one.before) for one in effect.changes)
    return evolve(effect, changes=back)


def between(base: Effect, other: Effect) -> Effect:
    """Return what leads from the world after *base* to the world after *other*, both from the same start.

    Zero only if both did the very same; two payments of one amount to two
    people differ, although each alone has the same size.
    """
    walked = then(inverse(base), other)
    shared = set(base.schema) & set(other.schema)
    return evolve(walked, schema=tuple(one for one in walked.schema if one not in shared))


def _compared(change: Change, row: Row | None, lens: Lens) -> Row | None:
    if row is None:
        return None
    pairs = zip(change.columns, row, strict=True)
    return tuple(value for name, value in pairs if lens.compares(change.table, name))


def digest(effect: Effect, lens: Lens) -> str:
    """Return 64 hexadecimal digits that are equal exactly for equal effects, volatile columns apart (SHA-256)."""
    rows = sorted(
        repr((one.table, one.key, one.columns, _compared(one, one.before, lens), _compared(one, one.after, lens)))
        for one in effect.changes
        if not same_row(_compared(one, one.before, lens), _compared(one, one.after, lens))
    )
    text = repr((rows, sorted(effect.schema), sorted(effect.uncovered)))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def disagreements(expected: Effect, actual: Effect, lens: Lens) -> tuple[str, ...]:
    """Return where two effects differ, as ``table.column`` or ``table`` for rows that only one of them has."""
    found: dict[str, None] = {}
    left, right = _by_key(expected), _by_key(actual)
    for place in {**left, **right}:
        one, other = left.get(place), right.get(place)
        if one is None or other is None:
            found[place[0]] = None
        else:
            found.update(dict.fromkeys(_differing_columns(one, other, lens)))
    others = set(expected.schema) ^ set(actual.schema) | set(expected.uncovered) ^ set(actual.uncovered)
    return (*sorted(found), *sorted(others))


def _differing_columns(one: Change, other: Change, lens: Lens) -> list[str]:
    if one.after is None or other.after is None or one.columns != other.columns:
        return [] if same_row(one.after, other.after) else [one.table]
    pairs = zip(one.columns, one.after, other.after, strict=True)
    return [f"{one.table}.{name}" for name, a, b in pairs if lens.compares(one.table, name) and not same_value(a, b)]

"""Outside data: gold actions of a retail desk, with every record before and after."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from patterns.impact_gate import ImpactGate, Scope, SqlWorld

if TYPE_CHECKING:
    from pathlib import Path

KEYS = {"orders": "order_id", "users": "user_id"}


@pytest.fixture(scope="module")
def actions(shared: Path) -> list[dict[str, Any]]:
    """Return the recorded actions."""
    file = shared / "data" / "tau2_retail_actions.jsonl"
    if not file.exists():
        pytest.skip(f"no {file}")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def cells(record: dict[str, Any]) -> dict[str, str]:
    """Return a record as a row: nested values as JSON."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in record.items()}


@pytest.fixture(scope="module")
def desk(actions: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database of all records, each as it was before it was first touched, and 200 bystanders."""
    path = tmp_path_factory.mktemp("desk") / "retail.db"
    touched = [one for action in actions for one in action["touched"]]
    with closing(sqlite3.connect(path)) as db:
        for table, key in KEYS.items():
            records = {one["id"]: cells(one["before"]) for one in reversed(touched) if one["table"] == table}
            columns = sorted({name for record in records.values() for name in record})
            db.execute(f"CREATE TABLE {table} ({', '.join(columns)}, PRIMARY KEY ({key}))")
            rows = [tuple(record.get(name) for name in columns) for record in records.values()]
            rows += [tuple(f"bystander {number}" for _ in columns) for number in range(200)]
            db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", rows)  # noqa: S608 - a test
        db.commit()
    return path


def write(world: SqlWorld, records: list[dict[str, Any]]) -> None:
    """Do what the recorded tool did."""
    with world.connection() as db:
        for one in records:
            for name, value in cells(one["after"]).items():
                key = KEYS[one["table"]]
                db.execute(f"UPDATE {one['table']} SET {name} = ? WHERE {key} = ?", (value, one["id"]))  # noqa: S608


def read(world: SqlWorld, records: list[dict[str, Any]]) -> None:
    """Put every record as it was before the action, for real."""
    write(world, [{**one, "after": one["before"]} for one in records])


def test_the_measured_effect_is_the_recorded_one(actions: list[dict[str, Any]], desk: Path):
    """For each of the 173 mutating actions: the records, their columns, and one customer as the scope."""
    owners = {"orders": "user_id", "users": "user_id"}
    with closing(SqlWorld(desk, owners=owners)) as world:
        gate = ImpactGate(world=world)
        mutating = [action["touched"] for action in actions if action["touched"]]
        assert 173 == len(mutating)
        for records in mutating:
            read(world, records)
            found = gate.assess(lambda records: write(world, records), records)
            expected = {
                (one["table"], one["id"]): {
                    name for name, value in cells(one["after"]).items() if value != cells(one["before"]).get(name)
                }
                for one in records
            }
            measured = {(row.table, row.key[0]): set(row.values) for row in found.diff.sample}
            assert {place: names for place, names in expected.items() if names} == measured
            assert Scope.USER is found.scope


def test_routine_work_proceeds_and_all_of_it_at_once_does_not(actions: list[dict[str, Any]], desk: Path):
    """No gold action of one customer needs a review with the default scales; the same in bulk is blocked."""
    with closing(SqlWorld(desk, max_changes=100_000)) as world:
        gate = ImpactGate(world=world)
        mutating = [action["touched"] for action in actions if action["touched"]]
        everything = [one for records in mutating for one in records]
        read(world, list(reversed(everything)))
        found = [gate.assess(lambda records: write(world, records), records) for records in mutating]
        assert {"proceed"} == {str(one.decision) for one in found}
        bulk = gate.assess(lambda records: write(world, records), everything)
        assert ("block", "CRITICAL") == (str(bulk.decision), str(bulk.level))


def test_reading_has_no_impact(actions: list[dict[str, Any]], desk: Path):
    """An action that only looks has an impact of exactly 0."""
    with closing(SqlWorld(desk)) as world:
        gate = ImpactGate(world=world)

        def look(order: str) -> None:
            with world.connection() as db:
                db.execute("SELECT * FROM orders WHERE order_id = ?", (order,)).fetchall()

        reads = [action["args"]["order_id"] for action in actions if action["tool"] == "get_order_details"]
        assert {0.0} == {gate.assess(look, order).impact for order in reads}
        assert Scope.NONE is gate.assess(look, reads[0]).scope

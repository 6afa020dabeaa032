"""An agent tidies up a customer database: the gate tries every action on a twin before it is done.

Run it: it makes a small shop in the current directory, and prints what
proceeds, what is reviewed, what is blocked, and why.
"""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from patterns.errors import ActionBlocked
from patterns.impact_gate import ImpactGate, RowImpact, SqlWorld

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.impact_gate import Assessment

SHOP = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT UNIQUE, seen INTEGER, credit REAL DEFAULT 0);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers ON DELETE CASCADE, total REAL);
CREATE TABLE invoices (orders INTEGER REFERENCES orders ON DELETE CASCADE, number TEXT);
"""


def fill(world: SqlWorld) -> None:
    """Put in 200 customers with 3 orders and invoices each."""
    with world.connection() as db:
        db.executescript(SHOP)
        for customer in range(1, 201):
            db.execute(
                "INSERT INTO customers VALUES (?, ?, ?, 0)", (customer, f"{customer}@example.org", 1900 + customer)
            )
            for order in range(3):
                number = customer * 10 + order
                db.execute("INSERT INTO orders VALUES (?, ?, 50)", (number, customer))
                db.execute("INSERT INTO invoices VALUES (?, ?)", (number, f"I{number}"))


def person(assessment: Assessment) -> bool:
    """Decide as a careful colleague would; a real one would be asked by mail or chat."""
    yes = assessment.scope == "user"
    print(f"    a person is asked: {assessment}")
    print(f"    and says {'yes' if yes else 'no'}")
    return yes


def attempt(action: Callable[..., object], *args: object) -> None:
    """Call a guarded tool as an agent would, and show what came of it."""
    name = getattr(action, "__name__", repr(action))
    print(f"{name}{args}")
    try:
        print(f"    done: {action(*args)!r}")
    except ActionBlocked as blocked:
        print(f"    refused: {blocked.for_model()}")


def main() -> None:
    """Run the agent."""
    with (
        tempfile.TemporaryDirectory() as place,
        closing(SqlWorld(Path(place) / "shop.db", hidden={"*.email"})) as world,
    ):
        fill(world)
        model = RowImpact(money={"customers.credit": 200})
        gate = ImpactGate(world=world, model=model, reviewer=person)

        @gate.check
        def give_credit(customer: int, amount: float) -> int:
            with world.connection() as db:
                return db.execute("UPDATE customers SET credit = credit + ? WHERE id = ?", (amount, customer)).rowcount

        @gate.check
        def delete_customers(seen_before: int) -> int:
            with world.connection() as db:
                return db.execute("DELETE FROM customers WHERE seen < ?", (seen_before,)).rowcount

        @gate.check
        def merge(customer: int, email: str) -> int:
            with world.connection() as db:
                # Looks like one row, and removes whoever has that address.
                return db.execute("UPDATE OR REPLACE customers SET email = ? WHERE id = ?", (email, customer)).rowcount

        attempt(give_credit, 7, 20)
        attempt(give_credit, 7, 150)
        attempt(give_credit, 7, 2000)
        attempt(delete_customers, 1902)
        attempt(delete_customers, 2050)
        attempt(merge, 10, "11@example.org")

        with world.connection() as db:
            customers, credit = db.execute("SELECT count(*), sum(credit) FROM customers").fetchone()
        print(f"in the end: {customers} of 200 customers, {credit:g} of credit")


if __name__ == "__main__":
    main()

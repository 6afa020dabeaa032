"""A process is killed between payment and record; the next one pays nothing twice and forgets nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import patterns
from patterns import Ledger
from patterns.errors import InDoubt

STATEMENT = Path("statement.txt")


def pay(order_id: str, amount: int) -> str:
    """Pay at a bank that writes every payment to disk before it answers; then die, the first time."""
    with STATEMENT.open("a", encoding="utf-8") as book:
        book.write(f"{order_id} {amount}\n")
        book.flush()
        os.fsync(book.fileno())
    if os.environ.get("DIE"):
        os.kill(os.getpid(), signal.SIGKILL)
    return f"paid {amount} for {order_id}"


def agent() -> None:
    """Do what an agent does: call its tool."""
    ledger = Ledger(patterns.open_store("sqlite:///agent.db"))
    with patterns.run("ticket-4711"):
        print("agent:", ledger.once(name="pay")(pay)("A1", 20))


def in_a_process(**environment: str) -> int:
    """Run the agent in a process of its own and return how it ended."""
    return subprocess.run([sys.executable, __file__, "agent"], env=os.environ | environment, check=False).returncode


def main() -> None:
    """Kill the agent, look, and go on."""
    print("the agent was killed by signal", -in_a_process(DIE="yes"))
    print("payments at the bank:", STATEMENT.read_text(encoding="utf-8").splitlines())

    ledger = Ledger(patterns.open_store("sqlite:///agent.db"))
    with patterns.run("ticket-4711"):
        try:
            ledger.once(name="pay")(pay)("A1", 20)
        except InDoubt as doubt:
            print("the next call:", doubt.for_model())

    (record,) = ledger.effects(state="in_doubt")
    print("why:", record.doubt)
    ledger.resolve(record.id, succeeded="paid 20 for A1", by="ann", note="it is in the statement")

    in_a_process()
    payments = STATEMENT.read_text(encoding="utf-8").splitlines()
    print("payments at the bank:", payments)
    if payments != ["A1 20"]:
        raise SystemExit("paid twice")


if __name__ == "__main__":
    agent() if "agent" in sys.argv else main()

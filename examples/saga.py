"""A trip as a saga: book in order and in parallel, take everything back when a step fails, survive a crash.

Run it as it is. It starts itself a second time as the process that dies in the
middle of a trip, and then finishes what that process left.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import tenacity

import patterns
from patterns import Saga
from patterns.rollback import Step

place = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
store = patterns.open_store(f"sqlite:///{place}/trips.db")
trips = Saga(
    "trip",
    store=store,
    compensation_retry=tenacity.Retrying(stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_random(0, 0.01)),
)


def tell(line: str) -> None:
    """Write into the world: a file, since processes come and go."""
    with (place / "world.txt").open("a") as world:
        world.write(line + "\n")
    print("  ", line)


def cancel_flight(flight: str) -> None:
    """Take a booking back."""
    tell(f"flight {flight} cancelled")


@trips.tool(compensate=cancel_flight)
async def book_flight(flight: str) -> str:
    """Book a flight."""
    tell(f"flight {flight} booked")
    return flight


attempts = 0


def cancel_hotel(nights: int) -> None:
    """Take a booking back, at the second attempt."""
    global attempts  # noqa: PLW0603 - it stands for a network that stumbles once
    attempts += 1
    if attempts == 1:
        raise OSError("the hotel does not answer")
    tell(f"hotel for {nights} nights cancelled")


@trips.tool(compensate=cancel_hotel)
async def book_hotel(nights: int) -> int:
    """Book a hotel."""
    tell(f"hotel for {nights} nights booked")
    return nights


@trips.tool
async def pay(amount: int) -> None:
    """Pay, as long as there is money."""
    if amount > 1000:
        raise ValueError("card declined")
    if amount == 0:
        os.kill(os.getpid(), signal.SIGKILL)  # the power goes
    tell(f"{amount} paid")


def plan(amount: int) -> list[Step | list[Step]]:
    """Flight and hotel at the same time, then the money."""
    return [[Step("book_flight", flight="LH1"), Step("book_hotel", nights=3)], Step("pay", amount=amount)]


def main() -> None:
    """A trip that works, one that fails, and one whose process dies."""
    print("A trip that works")
    print(asyncio.run(trips.aexecute(plan(800), id="trip-1")))
    print("A trip that cannot be paid")
    print(asyncio.run(trips.aexecute(plan(8000), id="trip-2")))
    print("A trip whose process is killed in the middle")
    subprocess.run([sys.executable, __file__, str(place), "die"], check=False)
    print("Another process finds it")
    for report in trips.recover():
        print(report)
    print("left:", trips.recover())
    store.close()


if __name__ == "__main__":
    if sys.argv[2:] == ["die"]:
        asyncio.run(trips.aexecute(plan(0), id="trip-3"))
    else:
        main()

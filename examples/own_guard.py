"""Two guards of your own: one that limits how many calls run at once, one that spends an allowance durably.

The first is a `Bracket`: it neither waits nor looks at arguments, so it runs
in the fast lane. The second is a `Guard` with a claim: what it takes is taken
in the same step in which the call begins, or not at all.
"""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import patterns
from patterns.errors import Refused
from patterns.kernel.commit import Claim, ClaimLost, cells_of
from patterns.kernel.guard import Block, Bracket, Guard, attach
from patterns.kernel.outcome import Refused as WasRefused
from patterns.kernel.storage import ABSENT, Change

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.kernel.call import Call, Proceed
    from patterns.kernel.storage import Store

    F = TypeVar("F", bound=Callable[..., Any])


class Busy(Refused):
    """All places are taken."""

    advice = "The action was not performed. Go on with something else and call again later."


class _Places(Bracket):
    name = "bulkhead.limit"

    def __init__(self, places: int) -> None:
        self._places = threading.Semaphore(places)

    def admit(self) -> None:
        if not self._places.acquire(blocking=False):
            raise Busy("all places are taken")

    def released(self, permit: None) -> None:
        del permit
        self._places.release()

    # However the call ended, its place is free again.
    def returned(self, permit: None, value: object) -> None:
        del value
        self.released(permit)

    def raised(self, permit: None, error: BaseException) -> None:
        del error
        self.released(permit)

    abandoned = raised


class Bulkhead:
    """Lets at most so many calls run at once; a noun, with a verb and a step like every pattern."""

    def __init__(self, places: int) -> None:
        self._guard = _Places(places)

    def limit(self, function: F) -> F:
        """Guard *function*."""
        return attach(function, self._guard)

    def step(self, name: str, **facts: object) -> Block:
        """Guard a block."""
        return Block(self._guard, name, facts)


class AllowanceSpent(Refused):
    """The run may not spend that much more."""

    advice = "The allowance of this task is spent. Finish with what you have and report it."


class _Spend(Guard):
    name = "allowance.spend"

    def __init__(self, store: Store, limit: int) -> None:
        self._store = store
        self._limit = limit

    async def around(self, call: Call, proceed: Proceed) -> Any:
        while True:
            claim = await self._claim(call)
            call.at_commit(claim)
            outcome = await call.attempt(proceed)
            call.withdraw(claim)
            if isinstance(outcome, WasRefused):
                if isinstance(outcome.error, ClaimLost) and outcome.error.claim is claim:
                    continue  # somebody else spent in between: look again
                if claim.committed:  # cancelled between the commit and the body: it did not run, so give it back
                    await call.shield(self._give_back(call))
            return outcome.unwrap()

    async def _claim(self, call: Call) -> Claim:
        run = call.run.id if call.run else "no run"
        cell = await cells_of(self._store, call).read(f"allowance/{run}")
        spent = int(cell.value) if cell else 0
        wanted = spent + call.arguments["amount"]
        if wanted > self._limit:
            raise AllowanceSpent(f"{wanted} would be more than the allowance of {self._limit}", call=call.name)
        call.note(allowance__left=self._limit - wanted)
        change = Change(f"allowance/{run}", cell.version if cell else ABSENT, str(wanted).encode())
        return Claim(self._store, [change])

    async def _give_back(self, call: Call) -> None:
        cells = cells_of(self._store, call)
        key = f"allowance/{call.run.id if call.run else 'no run'}"
        while cell := await cells.read(key):
            less = str(int(cell.value) - call.arguments["amount"]).encode()
            if await cells.swap([Change(key, cell.version, less)]) is None:
                return


def show_bulkhead() -> None:
    """Two places, three callers: the third is told at once."""
    bulkhead = Bulkhead(2)

    async def main() -> list[object]:
        arrived, go = asyncio.Semaphore(0), asyncio.Event()
        refused = "nobody was refused"

        @bulkhead.limit
        async def translate(text: str) -> str:
            arrived.release()
            await go.wait()
            return text.upper()

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(translate(text)) for text in ("one", "two")]
            for _ in tasks:
                await arrived.acquire()
            try:
                await translate("three")
            except Busy as busy:
                refused = busy.for_model()
            go.set()
        return [refused, *(task.result() for task in tasks)]

    for line in asyncio.run(main()):
        print(line)


def show_allowance() -> None:
    """A run may spend 100; a refusal by a guard further in spends nothing."""
    store = patterns.open_store("memory://")
    bulkhead = Bulkhead(1)

    @partial(attach, guard=_Spend(store, limit=100))
    @bulkhead.limit
    def refund(order_id: str, amount: int) -> str:
        return f"{amount} back for {order_id}"

    with patterns.run("ticket-4711"):
        print(refund("A1", 60), "and", refund("A2", 40))
        try:
            refund("A3", 1)
        except AllowanceSpent as spent:
            print(spent)
    with patterns.run("ticket-4712"), bulkhead.step("the only place"):
        try:
            refund("B1", 60)
        except Busy:
            print("refused further in; spent so far:", store.cells.read("allowance/ticket-4712"))
    print(patterns.layers(refund))
    store.close()


if __name__ == "__main__":
    show_bulkhead()
    show_allowance()

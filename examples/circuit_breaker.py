"""A service that goes down and comes back, seen from behind a circuit breaker.

Run it: it prints what the breaker does while the service fails, hangs and
recovers. Time is a manual clock's, so it takes no time.
"""

from __future__ import annotations

import asyncio

from patterns import CircuitBreaker
from patterns.circuit_breaker import State, StateChanged, growing, rate, streak
from patterns.errors import CircuitOpen
from patterns.testing import ManualClock

clock = ManualClock()


def told(change: StateChanged) -> None:
    """Print each change of state."""
    wait = "" if change.retry_after is None else f", for {change.retry_after:.0f} s"
    print(f"    {change.old.value} -> {change.new.value}: {change.reason}{wait}")


breaker = CircuitBreaker(
    "billing-api",
    trip=streak(3) | rate(0.5, min_calls=10),
    cool_down=growing(30, factor=2, longest=300, jitter=0),
    success_threshold=2,
    probe_timeout=20,
    on_transition=told,
    clock=clock,
)


class Billing:
    """The service."""

    def __init__(self) -> None:
        self.mood = "well"
        self.reached = 0

    @breaker.protect
    async def refund(self, order: str) -> str:
        """Refund an order, if the service is in the mood."""
        self.reached += 1
        if self.mood == "down":
            raise ConnectionError("connection refused")
        if self.mood == "hanging":
            await asyncio.Event().wait()
        await asyncio.sleep(0)  # as if it went over a wire
        return f"refunded {order}"


async def attempt(billing: Billing, order: str) -> str:
    """Call once, and do not wait for a service that hangs."""
    try:
        async with asyncio.timeout(0 if billing.mood == "hanging" else None):
            return await billing.refund(order)
    except CircuitOpen as refusal:
        return f"refused: {refusal.for_model()}"
    except TimeoutError:
        return "gave up waiting; nobody knows what came of it"
    except ConnectionError as error:
        return f"failed: {error}"


async def main() -> None:
    """Play the scenes in order."""
    billing = Billing()
    for mood, wait, calls in (
        ("well", 0, 1),
        ("down", 0, 5),
        ("down", 30, 2),
        ("hanging", 60, 2),
        ("well", 0, 3),
    ):
        clock.advance(wait)
        billing.mood = mood
        print(f"\nthe service is {mood}" + (f", {wait} s later" if wait else ""))
        for number in range(calls):
            print(f"  {await attempt(billing, f'A{number}')}")

    print("\nfifty callers at the moment of recovery")
    breaker.reset()
    for _ in range(3):
        breaker.acquire().failure("a drill")
    clock.advance(30)
    before = billing.reached
    answers = await asyncio.gather(*(attempt(billing, "A9") for _ in range(50)))
    refused = sum(answer.startswith("refused") for answer in answers)
    print(f"  {billing.reached - before} reached the service, {refused} were refused")

    print(f"  one more: {await attempt(billing, 'A9')}")

    seen = breaker.snapshot()
    print(f"\n{breaker.name} is {seen.state.value}; {seen.refused} calls were refused")
    if seen.state is not State.CLOSED:
        raise SystemExit("the circuit should have recovered")


asyncio.run(main())

"""Settlement under cancellation, and what listeners may not do."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from patterns.errors import Misuse
from patterns.kernel.events import Event, ListenerFailed, Listeners
from patterns.kernel.guard import Guard, attach
from patterns.kernel.settle import hook_result


class Settling(Guard):
    """Settles in several steps, each of which waits."""

    name = "settling"

    def __init__(self):
        self.settled = []

    async def around(self, call, proceed):
        outcome = await call.attempt(proceed)
        await call.shield(self._settle(type(outcome).__name__))
        return outcome.unwrap()

    async def _settle(self, how):
        for _ in range(5):
            await asyncio.sleep(0)
        self.settled.append(how)


@pytest.mark.parametrize("cancels", [1, 4])
def test_settlement_survives_any_number_of_cancellations(cancels):
    """Once: a task that is cancelled again and again settles every layer exactly once."""
    guard = Settling()

    async def main():
        started = asyncio.Event()

        async def tool():
            started.set()
            await asyncio.Event().wait()

        task = asyncio.ensure_future(attach(attach(tool, guard), guard)())
        await started.wait()
        for _ in range(cancels):
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait({task})
        return task.cancelled()

    assert asyncio.run(main())
    assert ["Abandoned", "Abandoned"] == guard.settled


def test_settlement_survives_a_cancel_scope():
    """Once: an anyio scope, as in Starlette and FastAPI, cancels at every await and still cannot stop it."""
    guard = Settling()

    async def main():
        async def tool():
            await anyio.sleep(60)

        with anyio.move_on_after(0.01) as scope:
            await attach(attach(tool, guard), guard)()
        return scope.cancelled_caught

    assert asyncio.run(main())
    assert ["Abandoned", "Abandoned"] == guard.settled


def test_a_settlement_that_fails_is_not_hidden_by_a_cancellation():
    """The cancellation reaches the caller and carries the failure as its cause."""

    class Failing(Settling):
        async def _settle(self, how):
            await asyncio.sleep(0)
            raise OSError("disk full")

    async def main():
        started = asyncio.Event()

        async def tool():
            started.set()
            return 1

        task = asyncio.ensure_future(attach(tool, Failing())())
        await started.wait()
        await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as cancelled:
            return cancelled.__cause__

    assert "disk full" in repr(asyncio.run(main()))


def test_an_async_hook_under_a_def_is_refused():
    """Nothing could await it."""

    class Hooked(Guard):
        name = "hooked"

        async def around(self, call, proceed):
            async def hook():
                return 1

            await hook_result(hook(), call, "notify")
            return await proceed()

    with pytest.raises(Misuse, match="notify is async"):
        attach(lambda: 1, Hooked())()


def test_listeners_hear_in_order_and_cannot_break_anything(caplog):
    """Silent: a listener that raises is logged and told to the others."""
    heard = []

    def broken(event):
        raise ValueError("listener")

    listeners = Listeners(broken, heard.append)
    unsubscribe = listeners.subscribe(heard.append)
    unsubscribe()
    unsubscribe()
    event = Event(source="b", at=1.0)
    listeners.publish(event)

    assert event in heard
    assert ["ValueError('listener')"] == [e.error for e in heard if isinstance(e, ListenerFailed)]
    assert "listener" in caplog.text


def test_async_listeners_are_refused():
    """An event is told at once; a coroutine would never run."""

    async def listener(event):
        return event

    for wrong in (listener, 3):
        with pytest.raises(Misuse, match="a listener is a plain function"):
            Listeners().subscribe(wrong)

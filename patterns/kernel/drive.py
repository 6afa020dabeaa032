"""Drives the guards' coroutines around functions and coroutine functions, and step by step around other bodies.

Every guard is written once, as a coroutine around the call. For an
``async def`` the event loop drives it; for a ``def`` one ``send(None)`` does,
since none of it may suspend; for generators the coroutine is suspended at one
known place, `HANDOVER`, while the body runs.
"""

from __future__ import annotations

import types
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from patterns.errors import Misuse, misuse
from patterns.kernel import faults
from patterns.kernel.call import Call, observed
from patterns.kernel.commit import commit
from patterns.kernel.outcome import CarriedExit, CarriedStop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from patterns.kernel.stack import Stack
    from patterns.kernel.target import Target

__all__ = [
    "HANDOVER",
    "Awaited",
    "Steps",
    "at_once",
    "finish_at_once",
    "guarded_coroutine",
    "guarded_function",
    "hand_over",
    "never_entered",
    "refuse_awaitable",
]


class _Handover:
    """The one thing a one-shot body yields: from here on the user's code runs."""

    def __repr__(self) -> str:
        return "HANDOVER"


HANDOVER = _Handover()


@types.coroutine
def _wait_for_body() -> Generator[_Handover, Any, Any]:
    return (yield HANDOVER)


async def _function_body(call: Call) -> Any:
    if call.intents or call.claims:
        await commit(call)
    faults.reach("call.body.before")
    call.entries += 1
    try:
        value = call.target.function(*call.args, **call.kwargs)
    except StopIteration as stop:
        raise CarriedStop(stop) from None
    except TypeError as error:
        if never_entered(call.target, error):
            call.entries -= 1
        raise
    if hasattr(type(value), "__await__"):
        refuse_awaitable(call.target, value)
    faults.reach("call.body.after")
    return value


async def _coroutine_body(call: Call) -> Any:
    if call.intents or call.claims:
        await commit(call)
    faults.reach("call.body.before")
    call.entries += 1
    try:
        coroutine = call.target.function(*call.args, **call.kwargs)
    except TypeError as error:
        if never_entered(call.target, error):
            call.entries -= 1
        raise
    value = await coroutine
    faults.reach("call.body.after")
    return value


async def hand_over(call: Call) -> Any:
    """Be the body of a generator or block: suspend until the driver says how the user's code ended."""
    if call.entries:
        raise Misuse.shown(
            f"{call.target.name} is a {call.target.kind.value}, which cannot run a second time",
            wrong="a retrying guard on a generator or a with block",
            right="a retrying guard on a function",
        )
    if call.intents or call.claims:
        await commit(call)
    faults.reach("call.body.before")
    call.entries += 1
    return await _wait_for_body()


def refuse_awaitable(target: Target, value: Any) -> NoReturn:
    """Close and refuse what a plain ``def`` returned although it must be awaited.

    Raises:
        Misuse: Always.

    """
    for end in ("close", "cancel"):  # a coroutine is closed, a task or future cancelled
        if hasattr(value, end):
            getattr(value, end)()
            break
    misuse(
        f"{target.name} is a plain def but returned an awaitable, so its real outcome would be missed",
        wrong=f"def {target.name}(...): return some_coroutine()",
        right=f"async def {target.name}(...): return await some_coroutine()",
    )


def never_entered(target: Target, error: TypeError) -> bool:
    """Whether *error*, caught by the caller of the target's function, is about the arguments of that very call.

    A function in Python that was entered has a frame in the traceback below the caller's; of others nothing is known.
    """
    trace = error.__traceback__
    return target.python and trace is not None and trace.tb_next is None


def finish_at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never suspends.

    Raises:
        RuntimeError: It suspended; a guard used something async in a sync call.

    """
    try:
        suspended_on = coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise RuntimeError(f"a guard of a sync call waited for {suspended_on!r}; guards of a def must not suspend")


def guarded_function(stack: Stack) -> Callable[..., Any]:
    """Return the function that stands in for a ``def``."""
    target, names, start = stack.target, stack.names, stack.start

    def guarded(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        call = Call(target, args, kwargs)
        if observed():
            call.open(names)
        token = call.activate()
        try:
            value = finish_at_once(start(call, partial(_function_body, call)))
        except BaseException as error:
            stop = error.error if isinstance(error, CarriedStop) else None
            if call.open_ended:
                call.close(stop or error)
            if stop is None:
                raise
        else:
            if call.open_ended:
                call.close()
            return value
        finally:
            call.over = True
            call.deactivate(token)
        raise stop

    return guarded


def guarded_coroutine(stack: Stack) -> Callable[..., Any]:
    """Return the function that stands in for an ``async def``."""
    target, names, start = stack.target, stack.names, stack.start

    async def guarded(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        call = Call(target, args, kwargs)
        if observed():
            call.open(names)
        token = call.activate()
        try:
            value = await start(call, partial(_coroutine_body, call))
        except BaseException as error:
            if call.open_ended:
                call.close(error)
            raise
        else:
            if call.open_ended:
                call.close()
            return value
        finally:
            call.over = True
            call.deactivate(token)

    return guarded


class Steps:
    """A guards' coroutine, driven from handover to end; real suspensions pass through to the event loop."""

    def __init__(self, stack: Stack, call: Call) -> None:
        if observed():
            call.open(stack.names)
        self.call = call
        self._coroutine: Any = stack.start(call, partial(hand_over, call))

    def begin(self) -> Generator[Any, Any, bool]:
        """Run up to the body; True if it is to run, False if the guards ended without it."""
        return self._run(self._coroutine.send, None)

    def returned(self, value: Any) -> Generator[Any, Any, bool]:
        """Tell the guards that the body returned *value*."""
        return self._run(self._coroutine.send, value)

    def raised(self, error: BaseException) -> Generator[Any, Any, bool]:
        """Tell the guards that the body raised *error*."""
        return self._run(self._coroutine.throw, _carried(error))

    value: Any = None
    """What the guards returned, once they ended."""

    ended = False
    """Whether they did."""

    def _run(self, step: Callable[[Any], Any], argument: Any) -> Generator[Any, Any, bool]:
        token = self.call.activate()
        try:
            while True:
                try:
                    yielded = step(argument)
                except StopIteration as done:
                    self.value, self.ended = done.value, True
                    self._close()
                    return False
                if yielded is HANDOVER:
                    return True
                try:
                    argument, step = (yield yielded), self._coroutine.send
                except BaseException as error:  # noqa: BLE001 - the loop's cancellation belongs to the guards
                    argument, step = error, self._coroutine.throw
        except (CarriedStop, CarriedExit) as carried:
            self.kept = carried.error
        except BaseException as error:
            self._close(error)
            raise
        finally:
            self.call.deactivate(token)
        self._close(self.kept)
        return False

    def _close(self, error: BaseException | None = None) -> None:
        self.call.over = True
        if self.call.open_ended:
            self.call.close(error)

    kept: BaseException | None = None
    """The error the guards let pass, where it cannot leave a generator as itself (StopIteration, GeneratorExit)."""


def _carried(error: BaseException) -> BaseException:
    if isinstance(error, StopIteration):
        return CarriedStop(error)
    return CarriedExit(error) if isinstance(error, GeneratorExit) else error


def at_once(steps: Generator[Any, Any, bool]) -> bool:
    """Run *steps* of a sync shape, which must not suspend."""
    try:
        suspended_on = next(steps)
    except StopIteration as done:
        return bool(done.value)
    steps.close()
    raise RuntimeError(f"a guard of a sync call waited for {suspended_on!r}; guards of a def must not suspend")


class Awaited:
    """Makes *steps* awaitable."""

    def __init__(self, steps: Generator[Any, Any, bool]) -> None:
        self._steps = steps

    def __await__(self) -> Generator[Any, Any, bool]:
        return self._steps

"""Guards around generators and async generators: one call from the first item to the end."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from patterns.errors import Misuse
from patterns.kernel.call import Call
from patterns.kernel.drive import Awaited, Steps, at_once

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from patterns.kernel.stack import Stack

__all__ = ["guarded_async_generator", "guarded_generator"]


def _no_replay(call: Call) -> Misuse:
    return Misuse.shown(
        f"a guard of {call.target.name} ended without running it, which a {call.target.kind.value} cannot express",
        wrong="a replaying guard on a generator",
        right="a replaying guard on a function that returns a list",
    )


def guarded_generator(stack: Stack) -> Callable[..., Any]:
    """Iterate a guarded generator function; the guards see one call from first item to end.

    Call and span are current only while the body runs: what is set across a
    ``yield`` would leak into the consumer.
    """

    def guarded(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        steps = Steps(stack, Call(stack.target, args, kwargs))
        if not at_once(steps.begin()):
            raise _no_replay(steps.call)
        body = stack.target.function(*args, **kwargs)
        resume: Callable[[Any], Any] = body.send
        argument: Any = None
        while True:
            token = steps.call.activate()
            try:
                item = resume(argument)
            except StopIteration as done:
                result = done.value
                break
            except BaseException as error:  # noqa: BLE001 - handed to the guards, which raise it again
                _body_raised(steps, error)
                return steps.value
            finally:
                steps.call.deactivate(token)
            try:
                argument, resume = (yield item), body.send
            except GeneratorExit as closing:
                _body_closed(steps, body, closing)
                raise
            except BaseException as error:  # noqa: BLE001 - thrown in by the consumer: the body's business
                argument, resume = error, body.throw
        at_once(steps.returned(result))
        return steps.value

    return guarded


def _body_raised(steps: Steps, error: BaseException) -> None:
    trace = error.__traceback__
    try:
        at_once(steps.raised(error))
    except BaseException as raised:
        if raised is error:
            raised.__traceback__ = trace
        raise
    if steps.kept is not None:
        raise steps.kept


def _body_closed(steps: Steps, body: Generator[Any, Any, Any], closing: GeneratorExit) -> None:
    try:
        _inside(steps, body.close)
    except BaseException as error:
        at_once(steps.raised(error))
        raise
    with contextlib.suppress(GeneratorExit):
        at_once(steps.raised(closing))


def _inside(steps: Steps, close: Callable[[], Any]) -> None:
    token = steps.call.activate()
    try:
        close()
    finally:
        steps.call.deactivate(token)


def guarded_async_generator(stack: Stack) -> Callable[..., Any]:
    """Iterate a guarded async generator function, as `guarded_generator` does."""

    async def guarded(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        steps = Steps(stack, Call(stack.target, args, kwargs))
        if not await Awaited(steps.begin()):
            raise _no_replay(steps.call)
        body = stack.target.function(*args, **kwargs)
        resume: Callable[[Any], Awaitable[Any]] = body.asend
        argument: Any = None
        while True:
            token = steps.call.activate()
            try:
                item = await resume(argument)
            except StopAsyncIteration:
                break
            except BaseException as error:  # noqa: BLE001 - handed to the guards, which raise it again
                await _async_body_raised(steps, error)
                return
            finally:
                steps.call.deactivate(token)
            try:
                argument, resume = (yield item), body.asend
            except GeneratorExit as closing:
                await _async_body_closed(steps, body, closing)
                raise
            except BaseException as error:  # noqa: BLE001 - thrown in by the consumer: the body's business
                argument, resume = error, body.athrow
        await Awaited(steps.returned(None))

    return guarded


async def _async_body_raised(steps: Steps, error: BaseException) -> None:
    trace = error.__traceback__
    try:
        await Awaited(steps.raised(error))
    except BaseException as raised:
        if raised is error:
            raised.__traceback__ = trace
        raise
    if steps.kept is not None:
        raise steps.kept


async def _async_body_closed(steps: Steps, body: AsyncGenerator[Any, Any], closing: GeneratorExit) -> None:
    try:
        await _inside_async(steps, body.aclose)
    except BaseException as error:
        await Awaited(steps.raised(error))
        raise
    with contextlib.suppress(GeneratorExit):
        await Awaited(steps.raised(closing))


async def _inside_async(steps: Steps, close: Callable[[], Awaitable[Any]]) -> None:
    token = steps.call.activate()
    try:
        await close()
    finally:
        steps.call.deactivate(token)

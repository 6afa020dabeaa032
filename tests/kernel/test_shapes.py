"""The drivers: one guard, every shape, every ending."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import itertools

import pytest

from patterns.errors import CircuitOpen, Misuse, Refused
from patterns.kernel.block import Block
from patterns.kernel.guard import Guard, attach
from patterns.testing.shapes import ASYNC_SHAPES, SHAPES, Guarding, Shape, decorated

ENDINGS = {
    "Raised": [ValueError("no"), Refused("nested refusal"), StopAsyncIteration()],
    "Abandoned": [KeyboardInterrupt(), SystemExit(2), GeneratorExit()],
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_value_passes_through_untouched(shape, witness, story):
    """Transparent: the caller gets the very object the body made."""
    value = object()

    assert value is shape.run([witness("a"), witness("b")], lambda: value)
    assert 4 == len(story)


@pytest.mark.parametrize(
    ("shape", "ending", "error"),
    [
        (shape, ending, error)
        for shape in SHAPES
        for ending, errors in ENDINGS.items()
        for error in errors
        # Python itself turns this one into a RuntimeError in an async body.
        if not (isinstance(error, StopAsyncIteration) and shape.name in {"async def", "async generator"})
    ],
    ids=str,
)
def test_an_error_passes_through_untouched(shape, ending, error, witness, story):
    """Transparent and once: the caller gets the very error, every guard is told its kind exactly once."""
    error.__cause__ = error.__context__ = None

    def body():
        raise error

    with pytest.raises(type(error)) as caught:
        shape.run([witness("a"), witness("b")], body)

    assert caught.value is error
    assert (None, None) == (error.__cause__, error.__context__)
    assert [("a", "in"), ("b", "in"), ("b", ending), ("a", ending)] == story


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape.name in {"def", "with", "async with"}], ids=str)
def test_a_stop_iteration_passes_through(shape, witness, story):
    """Transparent: PEP 479 does not turn a StopIteration into a RuntimeError on its way through coroutines."""

    def body():
        raise StopIteration(42)

    with pytest.raises((StopIteration, RuntimeError)) as caught:
        shape.run([witness("a"), witness("b")], body)

    if shape.name != "async with":  # its body is inside a coroutine of the test itself
        assert 42 == caught.value.value
    assert ("a", "Raised") == story[-1]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_guards_enter_outside_in_and_leave_inside_out(shape, witness, story):
    """Order: the order written is the order kept."""
    shape.run([witness(name) for name in "abc"], lambda: 1)

    assert ["a", "b", "c", "c", "b", "a"] == [name for name, _ in story]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_refusal_further_in_is_refused_for_the_guards_outside(shape, witness, story):
    """A call that was refused before the body did not run, whatever the error's type."""

    class Refusing(Guard):
        name = "no"

        async def around(self, call, proceed):
            raise CircuitOpen("cut off", retry_after=4.0)

    refusing = Refusing()
    guarding = Guarding("no", lambda f: attach(f, refusing), lambda name: Block(refusing, name, {}))

    with pytest.raises(CircuitOpen):
        shape.run([witness("a"), guarding], lambda: story.append(("body", "ran")))

    # Blocks are nested calls of their own: for the outer block its body did run.
    ending = "Raised" if "with" in shape.name else "Refused"
    assert [("a", "in"), ("a", ending)] == story


@pytest.mark.parametrize("shape", ASYNC_SHAPES, ids=str)
def test_async_and_sync_tell_the_same_story(shape, witness, story):
    """Two colours, one story."""
    shape.run([witness("a"), witness("b")], lambda: 1)
    told = list(story)
    story.clear()
    SHAPES[SHAPES.index(shape) - 1].run([witness("a"), witness("b")], lambda: 1)

    assert told == story


@pytest.mark.parametrize("names", [names for length in (1, 2, 3) for names in itertools.permutations("abc", length)])
def test_the_fast_lane_tells_the_same_story(names, bracket, witness, story):
    """Brackets alone and brackets inside the whole machinery report alike."""
    guardings = [bracket(name) for name in names]
    for shape, error in itertools.product(SHAPES[:2], (None, ValueError(), KeyboardInterrupt())):

        def body(error=error):
            if error is not None:
                raise error

        stories = []
        for extra in ([], [witness("slow")]):
            story.clear()
            try:
                shape.run([*guardings, *extra], body)
            except BaseException as caught:  # noqa: BLE001
                assert caught is error  # noqa: PT017
            stories.append([entry for entry in story if entry[0] != "slow"])
        assert stories[0] == stories[1]
        assert 2 * len(names) == len(stories[0])


def test_the_fast_lane_releases_what_it_admitted_before_a_refusal(bracket, story):
    """Nothing before the commit point: an inner bracket that refuses leaves the outer ones released."""
    from patterns.kernel.guard import Bracket

    class Refusing(Bracket):
        name = "no"

        def admit(self):
            raise CircuitOpen("cut off")

    tool = decorated([bracket("a"), bracket("b")], attach(lambda: story.append(("body", "ran")), Refusing()))

    with pytest.raises(CircuitOpen):
        tool()

    assert [("a", "in"), ("b", "in"), ("b", "Released"), ("a", "Released")] == story


def test_a_cancelled_call_is_abandoned(witness, story):
    """Abandoned is neither success nor failure, for a task and for its guards."""

    async def main():
        started = asyncio.Event()

        async def tool():
            started.set()
            await asyncio.Event().wait()

        task = asyncio.ensure_future(decorated([witness("a")], tool)())
        await started.wait()
        task.cancel()
        await asyncio.wait({task})
        return task.cancelled()

    assert asyncio.run(main())
    assert [("a", "in"), ("a", "Abandoned")] == story


def test_a_generator_passes_send_throw_and_return(witness, story):
    """Transparent: a guarded generator speaks the whole generator protocol."""

    def tool():
        heard = []
        while True:
            try:
                got = yield list(heard)
            except KeyError as error:
                heard.append(repr(error))
            else:
                if got is None:
                    return heard
                heard.append(got)

    generator = decorated([witness("a")], tool)()

    assert [] == next(generator)
    assert ["x"] == generator.send("x")
    assert ["x", "KeyError('k')"] == generator.throw(KeyError("k"))
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert ["x", "KeyError('k')"] == stop.value.value
    assert [("a", "in"), ("a", "Returned")] == story


def test_an_async_generator_passes_asend_and_athrow(witness, story):
    """Transparent: so does a guarded async generator."""

    async def tool():
        heard = []
        while len(heard) < 2:
            try:
                heard.append((yield list(heard)))
            except KeyError as error:
                heard.append(repr(error))

    async def main():
        generator = decorated([witness("a")], tool)()
        first = await anext(generator)
        second = await generator.asend("x")
        with pytest.raises(StopAsyncIteration):
            await generator.athrow(KeyError("k"))
        return first, second

    assert ([], ["x"]) == asyncio.run(main())
    assert [("a", "in"), ("a", "Returned")] == story


def test_a_generator_that_is_closed_early_is_abandoned(witness, story):
    """Closing early is neither success nor failure, and the body's finally runs."""

    def tool():
        try:
            yield 1
        finally:
            story.append(("body", "finally"))

    generator = decorated([witness("a")], tool)()
    next(generator)
    generator.close()

    assert [("a", "in"), ("body", "finally"), ("a", "Abandoned")] == story


def test_a_generator_that_nobody_holds_is_settled(witness, story):
    """A dropped generator settles when it is collected."""

    def tool():
        yield 1

    generator = decorated([witness("a")], tool)()
    next(generator)
    del generator
    gc.collect()

    assert [("a", "in"), ("a", "Abandoned")] == story


def test_a_block_cannot_be_entered_twice(witness):
    """A step is one use."""
    step = witness("a").step("sync")
    with step:
        pass

    with pytest.raises(Misuse, match="entered before"), step:
        pass


@pytest.mark.leaves_calls_open
def test_a_block_that_is_never_left_is_noticed(witness):
    """An abandoned block is not silent."""
    step = witness("a").step("sync")
    contextvars.Context().run(step.__enter__)  # a context of its own, in which the step stays the current call

    with pytest.warns(ResourceWarning, match="never left"):
        del step


def test_a_guard_may_repeat_a_function_but_not_a_block(story):
    """A body that can run once is not repeated silently."""

    class Twice(Guard):
        name = "twice"

        async def around(self, call, proceed):
            await call.attempt(proceed)
            return await proceed()

    twice = Twice()
    guarding = Guarding("twice", lambda f: attach(f, twice), lambda name: Block(twice, name, {}))
    for shape in SHAPES:
        story.clear()
        if shape.name in {"def", "async def"}:
            shape.run([guarding], lambda: story.append(("body", "ran")))
            assert 2 == len(story)
            continue
        with pytest.raises(Misuse, match="second time"):
            shape.run([guarding], lambda: story.append(("body", "ran")))
        assert 1 == len(story)


@pytest.mark.parametrize("kind", ["bracket", "guard"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["def", "async def"])
def test_a_call_with_wrong_arguments_did_not_run(kind, asynchronous, witness, bracket, story):
    """A model that misspells a parameter has not made the dependency fail."""

    def tool(order):
        return tool("inside", "wrong") if order == "deeper" else order

    async def atool(order):
        return tool(order)

    guarded = decorated([witness() if kind == "guard" else bracket()], atool if asynchronous else tool)
    run = (lambda *a, **k: asyncio.run(guarded(*a, **k))) if asynchronous else guarded
    with pytest.raises(TypeError, match="odrer"):
        run(odrer="A1")
    with pytest.raises(TypeError, match="positional"):
        run("deeper")

    neither = "Refused" if kind == "guard" else "Released"
    assert [neither, "Raised"] == [what for _, what in story if what != "in"]


def test_a_replay_is_forgotten_by_the_next_attempt(story):
    """A retry that is refused after a replay is refused, not replayed again."""

    class Replaying(Guard):
        name = "replaying"

        def __init__(self):
            self.calls = 0

        async def around(self, call, proceed):
            self.calls += 1
            if self.calls > 1:
                raise CircuitOpen("cut off")
            call.is_replay = True
            return "recorded"

    class Twice(Guard):
        name = "twice"

        async def around(self, call, proceed):
            story.extend([type(await call.attempt(proceed)).__name__ for _ in range(2)])
            return "done"

    assert "done" == attach(attach(lambda: pytest.fail("ran"), Replaying()), Twice())()
    assert ["Replayed", "Refused"] == story


def test_async_in_disguise_is_refused(witness, story):
    """A def that returns an awaitable is not counted as a success."""

    async def real():
        return 1

    def tool():
        return real()

    with pytest.raises(Misuse, match="returned an awaitable"):
        decorated([witness("a")], tool)()
    assert [("a", "in"), ("a", "Raised")] == story


def test_a_suspending_guard_in_a_sync_call_is_an_error(witness):
    """A guard of a def that waits is found at once instead of hanging."""

    class Waiting(Guard):
        name = "waiting"

        async def around(self, call, proceed):
            await asyncio.sleep(0)
            return await proceed()

    with pytest.raises(RuntimeError, match="must not suspend"):
        attach(lambda: 1, Waiting())()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_traceback_ends_in_the_body(shape, witness):
    """Transparent: the last line of the traceback is the line that raised."""

    def body():
        raise ValueError("here")

    with pytest.raises(ValueError, match="here") as caught:
        Shape("x", shape.run).run([witness("a"), witness("b")], body)

    assert "body" == caught.traceback[-1].name

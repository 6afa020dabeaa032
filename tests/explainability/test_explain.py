"""What is told about a call: before it, after it, on its error; in every shape."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json

import pytest

import patterns
from patterns.errors import Misuse, Refused
from patterns.explainability import Ending, ExplainabilityHooks, Explained, Limits, Phase
from patterns.kernel.guard import layers
from patterns.testing.shapes import SHAPES, Guarding


def guarding(hooks, **why) -> Guarding:
    """Return the hooks as the shapes use them."""
    return Guarding("hooks", hooks.explain(**why), lambda name: hooks.step(name, **why))


def endings(hooks) -> list[tuple[str, str | None]]:
    """Return phase and ending of each explanation."""
    return [(one.phase.value, one.ending and one.ending.value) for one in hooks.explanations()]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_call_is_explained_before_and_after(shape, hooks, clock):
    """Two explanations of one call, in every shape."""

    def body():
        assert [("pre-action", None)] == endings(hooks)
        clock.advance(2)
        return 42

    assert 42 == shape.run([guarding(hooks, reasoning="it is due", confidence=0.9, alternatives=["wait"])], body)
    before, after = hooks.explanations()
    assert (Phase.PRE, Phase.POST, Ending.EXECUTED) == (before.phase, after.phase, after.ending)
    assert ("it is due", 0.9, ("wait",), "tool") == (after.reasoning, after.confidence, after.alternatives, after.tool)
    assert (before.call_id, 2.0, None) == (after.call_id, after.duration, before.duration)
    assert (1_700_000_000.0, 1_700_000_002.0, "support-bot") == (before.at, after.at, after.agent)
    if "generator" not in shape.name:
        assert 42 == after.output


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    ("error", "ending"),
    [(ValueError("no"), Ending.FAILED), (Refused("nested"), Ending.FAILED), (KeyboardInterrupt(), Ending.ABANDONED)],
    ids=repr,
)
def test_an_error_is_explained_and_passes_unchanged(shape, hooks, error, ending):
    """A refusal from a nested call is a failure of this one; an interruption may have happened."""

    def body():
        raise error

    with pytest.raises(type(error)) as caught:
        shape.run([guarding(hooks)], body)
    assert error is caught.value
    last = hooks.explanations(Phase.ERROR)[0]
    text = f"{type(error).__name__}: {error}".removesuffix(": ")
    assert (ending, text, None) == (last.ending, last.error, last.output)


@pytest.mark.parametrize("shape", SHAPES[:2], ids=str)
def test_decisions_of_other_patterns_are_part_of_the_story(shape, hooks, decide):
    """Refused, replayed, allowed: who said so, and with which facts."""
    for verdict in ("refuse", "replay", "allow"):
        inner = Guarding("test", decide(verdict), lambda name: None)
        with contextlib.suppress(Refused):
            shape.run([guarding(hooks, reasoning=verdict), inner], lambda: 1)
    ends = [one for one in hooks.explanations() if one.ending is not None]
    assert [("refuse", Ending.REFUSED), ("replay", Ending.REPLAYED), ("allow", Ending.EXECUTED)] == [
        (one.reasoning, one.ending) for one in ends
    ]
    assert [("gatekeeper", "Decided", {"verdict": "refuse", "card": "4111"})] == [
        (decision.source, decision.event, decision.facts) for decision in ends[0].decisions
    ]


def test_reasons_can_be_functions_of_the_parameters(hooks):
    """They take what they want, by name, defaults applied."""

    @hooks.explain(
        reasoning=lambda order_id, **_: f"{order_id} was lost",
        confidence=lambda amount: 1 - amount / 100,
        alternatives=lambda: ["apologise"],
    )
    def refund(order_id, amount=20):
        return None

    refund("A1")
    one = hooks.explanations(Phase.POST)[0]
    assert ("A1 was lost", 0.8, ("apologise",)) == (one.reasoning, one.confidence, one.alternatives)
    assert {"order_id": "A1", "amount": 20} == one.inputs


def test_an_async_function_may_have_an_async_reason(hooks):
    """A plain one may not: that is told as trouble, and the call goes on."""

    async def why(order_id):
        await asyncio.sleep(0)
        return f"asked about {order_id}"

    @hooks.explain(reasoning=why)
    async def later(order_id):
        return 1

    @hooks.explain(reasoning=why)
    def now(order_id):
        return 2

    assert (1, 2) == (asyncio.run(later("A1")), now("A2"))
    first, second = hooks.explanations(Phase.POST)
    assert ("asked about A1", None) == (first.reasoning, second.reasoning)
    assert "reasoning is async but now is not" in second.trouble[0]


def test_steps_explain_their_facts(hooks):
    """Reasons may be functions of all the facts."""
    with hooks.step(
        "send mail", reasoning=lambda to, **_: f"{to} asked", confidence=lambda **_: 1, to="a@b", n=1
    ) as step:
        step.result = "sent"
    one = hooks.explanations(Phase.POST)[0]
    assert ("send mail", "a@b asked", 1, {"to": "a@b", "n": 1}, "sent") == (
        one.tool,
        one.reasoning,
        one.confidence,
        one.inputs,
        one.output,
    )


def test_methods_generators_and_the_bare_decorator(hooks):
    """Whatever can be called can be explained."""

    class Desk:
        def __repr__(self):
            return "<Desk>"

        @hooks.explain(reasoning=lambda self, n: f"{self!r} {n}")
        def work(self, n):
            return n

        @hooks.explain
        @staticmethod
        def items(n):
            yield from range(n)

    assert (3, [0, 1]) == (Desk().work(3), list(Desk.items(2)))
    first, second = hooks.explanations(Phase.POST)
    assert ("<Desk> 3", {"self": "<Desk>", "n": 3}) == (first.reasoning, first.inputs)
    assert ("items", {"n": 2}, None) == (second.tool, second.inputs, second.reasoning)


def test_the_run_is_part_of_the_explanation(hooks):
    """Run, tenant, agent and user; calls within calls know their parent."""

    @hooks.explain
    def inner():
        return 1

    @hooks.explain
    def outer():
        return inner()

    with patterns.run("ticket-1", tenant="acme", agent="other-bot", user="u-17"), patterns.run("part"):
        outer()
    inside, outside = hooks.explanations(Phase.POST)
    assert (("ticket-1", "part"), "acme", "other-bot", "u-17") == (
        outside.run,
        outside.tenant,
        outside.agent,
        outside.user,
    )
    assert (outside.call_id, None) == (inside.parent_id, outside.parent_id)


def test_explanations_name_the_span_of_the_call(hooks, spans):
    """And the span carries the confidence, but no words."""
    hooks.explain(reasoning="private words", confidence=0.5)(lambda: 1)()
    call, own = spans.one("execute_tool <lambda>"), spans.one("hooks.explain")
    one = hooks.explanations(Phase.POST)[0]
    assert f"{call.context.trace_id:032x}-{call.context.span_id:016x}" in one.traceparent
    assert (one.call_id, 0.5) == (call.attributes["patterns.call.id"], own.attributes["patterns.explain.confidence"])
    assert "private words" not in json.dumps([dict(span.attributes) for span in spans.finished()], default=str)


def test_retrieval_by_phase_run_and_tool(hooks):
    """Any of them, together, and a run holds the runs inside it."""
    tool, other = hooks.explain(lambda: 1), hooks.step

    with patterns.run("a"):
        tool()
        with patterns.run("b"), other("block"):
            pass
    tool()
    assert 6 == len(hooks.explanations())
    assert 3 == len(hooks.explanations("post-action"))
    assert (4, 2) == (len(hooks.explanations(run="a")), len(hooks.explanations(run="b")))
    assert ["block"] == [one.tool for one in hooks.explanations(Phase.POST, run="a", tool="block")]
    with pytest.raises(Misuse, match="pre-action"):
        hooks.explanations("after")


def test_memory_is_bounded(clock):
    """The oldest go."""
    hooks = ExplainabilityHooks("bot", limit=5, clock=clock)
    tool = hooks.explain(lambda n: n)
    for number in range(10):
        tool(number)
    assert [7, 8, 8, 9, 9] == [one.inputs["n"] for one in hooks.explanations()]


def test_what_is_kept_is_a_small_copy(clock):
    """Bounded in text, items and depth, and later changes do not reach it."""
    hooks = ExplainabilityHooks("bot", limits=Limits(text=5, items=2, depth=3), clock=clock)

    @hooks.explain
    def tool(text, many, deep, data, number, big):
        many.append("later")
        return {"x": 1.5}

    tool("abcdefgh", [1, 2, 3], {"a": {"b": {"c": 1}}}, b"x" * 99, float("inf"), 10**30)
    before, after = hooks.explanations()
    assert (
        {
            "text": "abcde…",
            "many": [1, 2, "…"],
            "deep": {"a": {"b": "…"}},
            "data": "<99 bytes>",
            "number": "inf",
            "big": "10000…",
        }
        == before.inputs
        == after.inputs
    )
    assert {"x": 1.5} == after.output
    assert "…" in json.dumps(after.to_dict(), ensure_ascii=False)


def test_enums_are_kept_by_their_values(hooks):
    """A state reads as what it is called."""
    hooks.explain(lambda phase: Ending.REFUSED)(Phase.PRE)
    one = hooks.explanations()[1]
    assert ("pre-action", "refused") == (one.inputs["phase"], one.output)


def test_values_that_hit_back_are_named(hooks):
    """A repr that raises, a value that contains itself, half a surrogate pair."""

    class Angry:
        def __repr__(self):
            raise RuntimeError("no")

    endless: list[object] = []
    endless.append(endless)
    hooks.explain(lambda a, b, c: None)(Angry(), endless, "\ud800")
    assert {"a": "<Angry whose repr raised RuntimeError>", "b": [[["…"]]], "c": "\\ud800"} == (
        hooks.explanations()[0].inputs
    )


def test_an_interrupted_async_call_is_abandoned(hooks):
    """Cancelled, or its coroutine closed by force."""

    @hooks.explain
    async def tool():
        await asyncio.Event().wait()

    async def cancelled():
        task = asyncio.create_task(tool())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    coroutine = tool()

    async def begin():
        coroutine.send(None)
        coroutine.close()

    asyncio.run(begin())
    assert [Ending.ABANDONED, Ending.ABANDONED] == [one.ending for one in hooks.explanations(Phase.ERROR)]


def test_listeners_hear_every_explanation(hooks):
    """Until they end their subscription."""
    heard = []
    end = hooks.subscribe(heard.append)
    tool = hooks.explain(lambda: 1)
    tool()
    end()
    tool()
    assert [Explained, Explained] == [type(event) for event in heard]
    assert heard[1].explanation is hooks.explanations()[1]
    assert ("support-bot", heard[0].explanation.at) == (heard[0].source, heard[0].at)


def test_the_decorated_function_stays_itself(hooks):
    """Name, docstring, layers; wrong arguments raise what they always raised, and are explained."""

    @hooks.explain
    def tool(a: int) -> int:
        """Do it."""
        return a

    assert ("tool", "Do it.", ("hooks.explain",)) == (tool.__name__, tool.__doc__, layers(tool))
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        tool()
    one = hooks.explanations(Phase.ERROR)[0]
    assert "the arguments cannot be shown" in one.trouble[0]


def test_a_forgotten_generator_is_explained_when_it_is_collected(hooks):
    """Its call ends then."""

    @hooks.explain
    def items():
        yield 1
        yield 2

    next(items())
    gc.collect()
    assert [Ending.ABANDONED] == [one.ending for one in hooks.explanations(Phase.ERROR)]


@pytest.mark.parametrize(
    ("why", "problem"),
    [
        ({"reasoning": 3}, "reasoning is a text"),
        ({"confidence": 1.5}, "from 0 to 1"),
        ({"confidence": True}, "from 0 to 1"),
        ({"confidence": "high"}, "from 0 to 1"),
        ({"alternatives": "one"}, "several texts"),
        ({"alternatives": [1]}, "several texts"),
        ({"alternatives": None}, "several texts"),
    ],
)
def test_wrong_reasons_are_found_at_decoration(why, problem, hooks):
    """And when a step is made; a function that asks for what is not there, too."""
    with pytest.raises(Misuse, match=problem):
        hooks.explain(**why)
    with pytest.raises(Misuse, match=problem):
        hooks.step("block", **why)
    with pytest.raises(Misuse, match="demands nobody"):
        hooks.explain(reasoning=lambda nobody: "")(lambda order_id: None)


@pytest.mark.parametrize(
    "options",
    [{"limit": 0}, {"limit": 2.5}, {"redact": 3}, {"sinks": [print]}, {"limits": {"text": 3}}],
    ids=str,
)
def test_wrong_options_are_found_when_it_is_built(options):
    """The error shows the wrong line and the right one."""
    with pytest.raises(Misuse, match=r"wrong: [\s\S]*right: "):
        ExplainabilityHooks("bot", **options)
    with pytest.raises(Misuse, match="name an agent"):
        ExplainabilityHooks("")
    with pytest.raises(Misuse, match="from 1 on"):
        Limits(depth=0)

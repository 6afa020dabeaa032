"""Nothing that explains can change, break or delay a call beyond what was asked for."""

from __future__ import annotations

import asyncio
import json
import threading

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patterns.explainability import Ending, ExplainabilityHooks, JsonLines, Limits, Phase, SinkFailed
from patterns.explainability.shorten import shorten
from patterns.testing import ManualClock
from patterns.testing.shapes import SHAPES, Guarding


def broken(*_, **__):
    """Raise, whatever is asked."""
    raise RuntimeError("broken")


class Collecting:
    """A sink that keeps what it is given, and remembers on which thread."""

    def __init__(self) -> None:
        self.kept = []
        self.threads = []

    def write(self, explanation) -> None:
        self.kept.append(explanation)
        self.threads.append(threading.current_thread())


class Quick(Collecting):
    blocks = False


class Speechless(Exception):
    """An error whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_whatever_fails_is_told_as_trouble(shape, clock):
    """Reasons and redaction; nothing that should have been redacted is kept."""
    hooks = ExplainabilityHooks("bot", redact=broken, clock=clock)
    guarding = Guarding("hooks", hooks.explain(reasoning=broken, confidence=broken), lambda name: hooks.step(name, x=1))
    assert 42 == shape.run([guarding], lambda: 42)
    one = hooks.explanations(Phase.POST)[0]
    assert (None, {}, None) == (one.reasoning, one.inputs, one.output)
    assert any("the output cannot be shown: RuntimeError: broken" in trouble for trouble in one.trouble)
    if "with" not in shape.name:
        assert "reasoning raised RuntimeError: broken" == one.trouble[0]


def test_what_a_reason_function_returns_is_checked(hooks):
    """A confidence of 7 is no confidence."""
    hooks.explain(reasoning=lambda: 3, confidence=lambda: 7, alternatives=lambda: "one")(lambda: None)()
    one = hooks.explanations()[0]
    assert (None, None, ()) == (one.reasoning, one.confidence, one.alternatives)
    assert 3 == len(one.trouble)


def test_errors_without_words_are_explained(hooks):
    """By their type."""
    with pytest.raises(Speechless):
        hooks.explain(lambda: (_ for _ in ()).throw(Speechless()))()
    assert "Speechless, whose text cannot be had" == hooks.explanations(Phase.ERROR)[0].error


def test_redaction_sees_everything_that_is_kept(clock, decide):
    """Arguments, reasons, result, error and the facts of decisions."""
    seen = []

    def redact(values):
        seen.append(set(values))
        return {
            name: "[hidden]" if name in {"card", "output", "error", "reasoning"} else value
            for name, value in values.items()
        }

    hooks = ExplainabilityHooks("bot", redact=redact, clock=clock)
    pay = hooks.explain(reasoning="secret", alternatives=["cash"])(decide("allow")(lambda card, amount: "secret"))
    pay("4111", 20)
    with pytest.raises(ValueError, match="secret"):
        hooks.explain(lambda: (_ for _ in ()).throw(ValueError("secret")))()
    told = json.dumps([one.to_dict() for one in hooks.explanations()])
    assert ("secret" not in told, "4111" not in told, "20" in told, "cash" in told) == (True, True, True, True)
    assert {"card", "amount"} in seen
    assert {"reasoning", "alternatives"} in seen
    assert {"verdict", "card"} in seen


def test_redaction_works_on_a_copy(clock):
    """It may change what it gets without changing the call."""

    def redact(values):
        values["order"]["card"] = "[hidden]"
        return values

    hooks = ExplainabilityHooks("bot", redact=redact, clock=clock)
    pay = hooks.explain(lambda order: order["card"])
    assert "4111" == pay({"card": "4111"})
    assert {"order": {"card": "[hidden]"}} == hooks.explanations()[0].inputs


def test_redaction_of_endless_values_is_no_problem(clock):
    """What contains itself is handed over as it is."""
    hooks = ExplainabilityHooks("bot", redact=lambda values: values, clock=clock)
    endless: list[object] = []
    endless.append(endless)
    hooks.explain(lambda items: None)(endless)
    assert {"items": [[["…"]]]} == hooks.explanations()[0].inputs


def test_a_broken_listener_and_a_broken_sink_are_reported(clock, caplog):
    """To the log, and to the listeners that work."""
    heard = []

    class Broken:
        write = staticmethod(broken)

    hooks = ExplainabilityHooks("bot", sinks=[Broken(), good := Collecting()], clock=clock)
    hooks.subscribe(broken)
    hooks.subscribe(heard.append)
    assert 1 == hooks.explain(lambda: 1)()
    assert ["Broken", "Broken"] == [event.sink for event in heard if isinstance(event, SinkFailed)]
    assert 2 == len(good.kept)
    assert "lost an explanation" in caplog.text


def test_json_lines_hold_one_explanation_each(clock, tmp_path):
    """Several writers, one file; whole lines, JSON throughout."""
    path = tmp_path / "why.jsonl"
    first = ExplainabilityHooks("one", sinks=[JsonLines(path)], clock=clock)
    second = ExplainabilityHooks("two", sinks=[JsonLines(str(path))], clock=clock)
    tools = [hooks.explain(reasoning="because")(lambda n: {"n": n, 1: b"\xff"}) for hooks in (first, second)]

    def work(tool):
        for number in range(20):
            tool(number)

    threads = [threading.Thread(target=work, args=(tool,)) for tool in tools]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert (80, {"one", "two"}) == (len(lines), {line["agent"] for line in lines})
    assert {"n": 0, "1": "<1 bytes>"} == next(line["output"] for line in lines if line["phase"] == "post-action")


def test_an_async_call_waits_for_its_sinks_without_blocking_the_loop(clock, tmp_path):
    """A file is written in a thread; a sink that says it does not block is called at once."""
    slow, quick = Collecting(), Quick()
    hooks = ExplainabilityHooks("bot", sinks=[JsonLines(tmp_path / "why.jsonl"), slow, quick], clock=clock)

    @hooks.explain
    async def tool():
        return len(slow.kept), len(quick.kept)

    assert (1, 1) == asyncio.run(tool())
    assert 2 == len((tmp_path / "why.jsonl").read_text().splitlines())
    main = threading.main_thread()
    assert (2, 2, [main, main], False) == (len(slow.kept), len(quick.kept), quick.threads, main in slow.threads)


def test_a_call_that_is_cancelled_before_it_began_is_told(clock):
    """Its first explanation was written when the cancellation came; it did not run."""
    gate, written = threading.Event(), []

    class Slow:
        def write(self, explanation):
            written.append(explanation.ending)
            gate.wait(10)

    hooks = ExplainabilityHooks("bot", sinks=[Slow()], clock=clock)
    tool = hooks.explain(_never_begun)

    async def main():
        task = asyncio.create_task(tool())
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert [None, Ending.REFUSED] == written == [one.ending for one in hooks.explanations()]


async def _never_begun():
    raise AssertionError("it ran")


def test_cancellation_does_not_lose_the_last_explanation(clock):
    """It is shielded, under asyncio and in an anyio scope."""
    sink, begun = Collecting(), []
    hooks = ExplainabilityHooks("bot", sinks=[sink], clock=clock)

    @hooks.explain
    async def tool():
        for event in begun:
            event.set()
        await asyncio.Event().wait()

    async def by_asyncio():
        begun.append(asyncio.Event())
        task = asyncio.create_task(tool())
        await begun[0].wait()
        begun.clear()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def by_anyio():
        with anyio.move_on_after(0.05):
            await tool()

    asyncio.run(by_asyncio())
    anyio.run(by_anyio)
    assert [Ending.ABANDONED, Ending.ABANDONED] == [one.ending for one in sink.kept if one.phase is Phase.ERROR]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=30,
)


@given(anything, st.integers(1, 20), st.integers(1, 5), st.integers(1, 4))
def test_whatever_is_kept_is_json_and_small(value, text, items, depth):
    """Within the limits at every level."""
    limits = Limits(text=text, items=items, depth=depth)
    kept = json.loads(json.dumps(shorten(value, limits), allow_nan=False))

    def check(one, level):
        assert depth >= level
        if isinstance(one, str):
            assert 6 * (text + 1) >= len(one)  # a surrogate is spelled in six characters
        elif isinstance(one, (list, dict)):
            assert items + 1 >= len(one)
            for part in one.values() if isinstance(one, dict) else one:
                check(part, level + (isinstance(part, (list, dict))))

    check(kept, int(isinstance(kept, (list, dict))))


@given(anything, st.sampled_from(["returns", "raises"]))
def test_the_call_is_what_it_is_without_hooks(value, outcome):
    """Same result, same error, same arguments."""
    hooks = ExplainabilityHooks("bot", clock=ManualClock())

    def tool(argument):
        if outcome == "raises":
            raise ValueError(argument)
        return argument

    explained = hooks.explain(reasoning=lambda argument: f"{argument}")(tool)
    if outcome == "raises":
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - any value
            explained(value)
        assert value is caught.value.args[0]
    else:
        assert value is explained(value)
    assert [Phase.PRE, Phase.POST if outcome == "returns" else Phase.ERROR] == [
        one.phase for one in hooks.explanations()
    ]

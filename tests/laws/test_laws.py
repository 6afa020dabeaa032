"""The laws that hold for all patterns, in all shapes and in every order of the stack."""

from __future__ import annotations

import asyncio
import inspect

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import patterns
from patterns.errors import CircuitOpen, Refused
from patterns.kernel.guard import Guard, attach
from patterns.testing.shapes import FUNCTION_SHAPES, SHAPES, Guarding, decorated
from tests.laws.conftest import PATTERNS, STREAMING, Bench, orders

EVERY = [
    (shape, order)
    for shape in SHAPES
    for order in orders(STREAMING if "generator" in shape.name else PATTERNS, longest=2)
]


def names(value):
    """Spell a case for the test's id."""
    return str(value) if not isinstance(value, tuple) else "-".join(value)


@pytest.mark.parametrize(("shape", "order"), EVERY, ids=names)
def test_transparent_and_once(shape, order, bench):
    """A permitted call returns exactly what the function does, and each pattern settles it once."""
    value = {"paid": 20}
    runs = []

    def body():
        runs.append("ran")
        return value

    assert value == shape.run(bench.guardings(order), body)
    assert ["ran"] == runs
    assert bench.phases() == (["proposed", "executed"] if "audit" in order else [])
    if "hooks" in order:
        assert ["executed"] == [one.ending for one in bench.hooks.explanations("post-action")]
    if "ledger" in order:
        assert ["done"] == [record.state.value for record in bench.ledger.effects()]


@pytest.mark.parametrize(("shape", "order"), EVERY, ids=names)
@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()], ids=["raises", "is interrupted"])
def test_errors_are_transparent_and_read_by_everyone_alike(shape, order, error, bench):
    """The caller sees the very error; abandoned is neither success nor failure."""
    failed = isinstance(error, Exception)

    def body():
        raise error

    for _ in range(1 if "ledger" in order else 3):
        with pytest.raises(type(error)) as caught:
            shape.run(bench.guardings(order), body)
        assert caught.value is error

    if "breaker" in order and "ledger" not in order:
        assert ("open" if failed else "closed") == bench.breaker.state.value
    if "audit" in order:
        assert ["proposed", "failed" if failed else "abandoned"] == bench.phases()[:2]
    if "hooks" in order:
        assert ("failed" if failed else "abandoned") == bench.hooks.explanations("on-error")[0].ending
    if "ledger" in order:
        assert [("failed" if failed else "in_doubt")] == [record.state.value for record in bench.ledger.effects()]


class Refusing(Guard):
    """Refuses whatever it guards."""

    name = "refusing"

    async def around(self, call, proceed):
        raise CircuitOpen("cut off", call=call.name)


@pytest.mark.parametrize("shape", FUNCTION_SHAPES, ids=str)
@pytest.mark.parametrize("order", orders(), ids=names)
def test_nothing_before_the_commit_point(shape, order, bench):
    """A refused call claims no key, proposes nothing, registers no undo and counts nowhere."""
    refusing = Guarding("no", lambda function: attach(function, Refusing()), lambda name: None)

    for _ in range(3):
        with pytest.raises(CircuitOpen):
            shape.run([*bench.guardings(order), refusing], lambda: pytest.fail("it ran"))

    assert "closed" == bench.breaker.state.value
    assert [] == bench.ledger.effects()
    assert {"blocked"} >= set(bench.phases())
    bench.undo.rollback_all()
    assert [] == bench.undone
    assert all(one.ending == "refused" for one in bench.hooks.explanations("on-error"))


@pytest.mark.parametrize("shape", FUNCTION_SHAPES, ids=str)
@pytest.mark.parametrize("order", [order for order in orders() if "ledger" in order], ids=names)
def test_a_replay_is_neutral(shape, order, bench):
    """What did not run now is counted by nobody: neither success, nor a second undo, nor a second effect."""
    runs = []

    def tool():
        runs.append("ran")
        return len(runs)

    async def atool():
        return tool()

    guarded = decorated(bench.guardings(order), tool if shape.name == "def" else atool)
    results = [guarded() if shape.name == "def" else asyncio.run(guarded()) for _ in range(3)]

    assert [1, 1, 1] == results
    assert ["ran"] == runs
    if "audit" in order and order.index("audit") < order.index("ledger"):
        assert ["proposed", "executed", "replayed", "replayed"] == bench.phases()
    if "undo" in order:
        bench.undo.rollback_all()
        assert ["undone"] == bench.undone


@pytest.mark.parametrize("order", orders(), ids=names)
def test_signature_and_kind_stay(order, bench):
    """Transparent: what a framework reads off the function is the same for every stack."""

    def tool(order_id: str, amount: int = 3, *, note: str | None = None) -> str:
        """Pay."""
        return f"{order_id}{amount}{note}"

    async def atool(order_id: str) -> str:
        """Pay later."""
        return order_id

    def undo(**_):
        """Take it back."""

    bench._undo = lambda: Guarding("undo", bench.undo.undoable(undo=undo), None)
    guarded = decorated(bench.guardings(order), tool)
    aguarded = decorated(bench.guardings(order), atool)

    assert inspect.signature(tool) == inspect.signature(guarded)
    assert ("tool", "Pay.") == (guarded.__name__, guarded.__doc__)
    assert inspect.iscoroutinefunction(aguarded)
    assert "A13None" == guarded("A1")
    assert len(order) == len(patterns.layers(guarded))


@given(
    order=st.permutations(PATTERNS).flatmap(lambda names: st.integers(1, len(names)).map(lambda n: tuple(names[:n]))),
    script=st.lists(st.sampled_from(["return", "raise", "interrupt", "refuse"]), min_size=1, max_size=6),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_two_colours_one_story(order, script):
    """The same inputs give the same results and the same records in sync and async."""
    assert _story(order, script, FUNCTION_SHAPES[0]) == _story(order, script, FUNCTION_SHAPES[1])


def _story(order, script, shape):
    with patterns.run("laws"):
        bench = Bench()
        told = []
        for number, word in enumerate(script):
            with patterns.distinct(str(number // 2)):
                told.append(_act(bench, order, shape, word))
        endings = [one.ending for one in bench.hooks.explanations() if one.ending is not None]
        states = sorted(record.state.value for record in bench.ledger.effects())
        told += [bench.phases(), endings, states, bench.breaker.state.value]
        bench.store.close()
        return told


def _act(bench, order, shape, word):
    def body():
        if word == "raise":
            raise ValueError(word)
        if word == "interrupt":
            raise KeyboardInterrupt
        if word == "refuse":
            raise Refused("by a nested call")
        return word

    try:
        return shape.run(bench.guardings(order), body)
    except BaseException as error:  # noqa: BLE001 - the story holds its type
        return type(error).__name__


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_silent(shape, bench, caplog):
    """A failing listener, sink, reasoning or redaction changes no result."""

    def broken(*_, **__):
        raise RuntimeError("broken hook")

    class BrokenSink:
        write = staticmethod(broken)

    hooks = patterns.ExplainabilityHooks("laws", redact=broken, sinks=[BrokenSink()])
    for pattern in (hooks, bench.breaker, bench.gate, bench.ledger, bench.undo):
        pattern.subscribe(broken)
    names = STREAMING if "generator" in shape.name else PATTERNS
    guardings = [Guarding("why", hooks.explain(reasoning=broken), hooks.step), *bench.guardings(names)]

    assert 42 == shape.run(guardings, lambda: 42)
    assert "broken hook" in caplog.text


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", PATTERNS)
def test_each_pattern_has_its_span(shape, name, bench, spans):
    """Every pattern shows in the trace, alone, in every shape."""
    if name == "ledger" and "generator" in shape.name:
        with pytest.raises(patterns.PatternsError, match="generator"):
            shape.run(bench.guardings([name]), lambda: 1)
        return
    shape.run(bench.guardings([name]), lambda: 1)

    call = next(span for span in spans.finished() if span.parent is None)
    assert "executed" == call.attributes["patterns.outcome"]
    assert list(call.attributes["patterns.guards"]) == [
        span.name
        for span in spans.finished()
        if span.parent is not None and span.parent.span_id == call.context.span_id
    ]

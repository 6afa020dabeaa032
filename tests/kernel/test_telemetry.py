"""Telemetry: one call span, a thin span per pattern, and never a changed result."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

import patterns
from patterns import telemetry
from patterns.errors import ActionBlocked, ApprovalPending, CircuitOpen, InDoubt, Misuse
from patterns.kernel import telemetry as port
from patterns.kernel.guard import Guard, attach
from patterns.testing.shapes import SHAPES


class Noting(Guard):
    """Notes a fact and passes."""

    name = "breaker.protect"

    async def around(self, call, proceed):
        call.note(breaker__state="closed")
        return await proceed()


class Raising(Guard):
    """Refuses with a given error."""

    name = "gate.check"

    def __init__(self, error):
        self.error = error

    async def around(self, call, proceed):
        raise self.error


def test_one_call_span_and_a_thin_span_for_each_pattern(spans):
    """The stack shares one call span; each pattern has its own below it."""

    def refund(order):
        trace.get_tracer("tool").start_span("POST /refund").end()
        return order

    tool = attach(attach(refund, Noting()), Noting())
    with patterns.run("ticket-1", tenant="acme", agent="bot"):
        tool("A1")

    call = spans.one("execute_tool refund")
    assert ["breaker.protect", "breaker.protect", "execute_tool refund"] == sorted(spans.names())
    assert {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "refund",
        "gen_ai.agent.name": "bot",
        "patterns.run.id": "ticket-1",
        "patterns.tenant": "acme",
        "patterns.guards": ("breaker.protect", "breaker.protect"),
        "patterns.outcome": "executed",
    } == {name: value for name, value in call.attributes.items() if name != "patterns.call.id"}
    assert (SpanKind.INTERNAL, StatusCode.UNSET) == (call.kind, call.status.status_code)
    for span in spans.finished():
        if span.name == "breaker.protect":
            assert span.parent.span_id == call.context.span_id
            assert {"patterns.breaker.state": "closed", "patterns.outcome": "executed"} == dict(span.attributes)


def test_the_tools_own_spans_are_children_of_the_call_span(spans):
    """What the tool's instrumentation emits belongs below the call."""

    def refund():
        return trace.get_current_span().get_span_context().span_id

    assert attach(refund, Noting())() == spans.one("execute_tool refund").context.span_id
    assert not trace.get_current_span().get_span_context().is_valid


def test_detail_call_folds_patterns_into_attributes(spans):
    """One span per call, with what the patterns noted."""
    with telemetry.configured(detail="call"):
        attach(lambda: 1, Noting())()

    assert 1 == len(spans.finished())
    assert "closed" == spans.finished()[0].attributes["patterns.breaker.state"]


def test_the_global_provider_can_come_back(spans):
    """None is the global provider again, which here is none."""
    with telemetry.configured(tracer_provider=None):
        attach(lambda: 1, Noting())()

    assert [] == spans.finished()


def test_detail_off_emits_nothing(spans):
    """Off is off."""
    with telemetry.configured(detail="off"):
        attach(lambda: 1, Noting())()

    assert [] == spans.finished()
    with pytest.raises(Misuse, match="no such detail"):
        telemetry.configure(detail="loud")


@pytest.mark.parametrize(
    ("error", "outcome", "status"),
    [
        (ActionBlocked("no"), "blocked", StatusCode.ERROR),
        (ApprovalPending("wait"), "approval_pending", StatusCode.UNSET),
        (CircuitOpen("cut"), "rejected", StatusCode.ERROR),
        (InDoubt("who knows"), "in_doubt", StatusCode.ERROR),
        (asyncio.CancelledError(), "cancelled", StatusCode.UNSET),
    ],
    ids=lambda value: getattr(value, "name", None) or repr(value),
)
def test_what_a_refusal_looks_like(spans, error, outcome, status):
    """Each refusal has its outcome; only a failure for the caller is an error."""
    with pytest.raises(type(error)):
        attach(lambda: 1, Raising(error))()

    for span in spans.finished():
        assert (outcome, status) == (span.attributes["patterns.outcome"], span.status.status_code)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    ("error", "outcome"), [(None, "executed"), (ValueError("secret"), "failed"), (KeyboardInterrupt(), "cancelled")]
)
def test_every_shape_ends_its_spans(spans, shape, error, outcome):
    """Each shape and ending gives the same two spans, none left open, no message copied."""
    from patterns.kernel.block import Block
    from patterns.testing.shapes import Guarding

    guard = Noting()

    def body():
        if error is not None:
            raise error

    try:
        shape.run([Guarding("n", lambda f: attach(f, guard), lambda name: Block(guard, name, {}))], body)
    except BaseException as caught:  # noqa: BLE001
        assert caught is error  # noqa: PT017
    call = next(span for span in spans.finished() if span.name != "breaker.protect")

    assert 2 == len(spans.finished())
    assert outcome == call.attributes["patterns.outcome"]
    assert ("patterns.step tool" if "with" in shape.name else "execute_tool tool") == call.name
    assert "secret" not in str(call.to_json())


def test_a_framework_that_made_the_tool_span_is_not_counted_twice(spans):
    """Ours is then a guard span without the operation name."""
    attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "refund"}
    tracer = port._tracer()
    with tracer.start_as_current_span("execute_tool refund", attributes=attributes):

        def refund():
            return 1

        attach(refund, Noting())()

    assert "gen_ai.operation.name" not in spans.one("patterns.guard refund").attributes


def test_a_generators_span_is_not_current_in_its_consumer(spans):
    """Attached while the body runs, detached at each item."""
    current = lambda: trace.get_current_span().get_span_context().is_valid  # noqa: E731
    seen = []

    def items():
        seen.append(current())
        yield 1
        seen.append(current())

    seen.extend(current() for _ in attach(items, Noting())())

    assert [True, False, True] == seen
    assert 1 == spans.names().count("execute_tool items")


def test_an_async_generator_closed_in_another_context_ends_its_span(spans):
    """Python may finish an async generator elsewhere; the span ends all the same."""

    async def items():
        yield 1

    async def main():
        generator = attach(items, Noting())()
        await anext(generator)
        await asyncio.get_running_loop().create_task(generator.aclose(), context=contextvars.Context())

    asyncio.run(main())

    assert "cancelled" == spans.one("execute_tool items").attributes["patterns.outcome"]


def test_suppression_silences_spans_and_never_guards(spans):
    """The suppression key is honoured for spans only."""
    token = context.attach(context.set_value("suppress_instrumentation", "yes"))
    try:
        with pytest.raises(ActionBlocked):
            attach(lambda: 1, Raising(ActionBlocked("no")))()
    finally:
        context.detach(token)

    assert [] == spans.finished()


def test_a_sampled_out_call_keeps_its_children_sampled_out():
    """A span that is not recording is still the parent, or children would decide by themselves."""
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    with telemetry.configured(tracer_provider=provider):
        seen = attach(lambda: trace.get_current_span().get_span_context(), Noting())()

    assert seen.is_valid
    assert not seen.trace_flags.sampled


class Broken:
    """A provider whose every method raises."""

    def __getattr__(self, name):
        raise RuntimeError("broken telemetry")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_broken_telemetry_changes_nothing(shape, monkeypatch, caplog):
    """Telemetry that raises is logged and counted; the call is not affected."""
    from patterns.kernel.block import Block
    from patterns.testing.shapes import Guarding

    guard = Noting()
    guarding = Guarding("n", lambda f: attach(f, guard), lambda name: Block(guard, name, {}))
    monkeypatch.setattr(port, "failures", 0)
    with telemetry.configured(tracer_provider=Broken()):
        assert 42 == shape.run([guarding], lambda: 42)

    assert port.failures >= 1
    assert "the guarded call is not affected" in caplog.text


class BrokenSpan:
    """A span that starts and then raises in every method."""

    def get_span_context(self):
        return trace.SpanContext(1, 1, is_remote=False)

    def is_recording(self):
        return True

    def __getattr__(self, name):
        raise RuntimeError("broken span")


def test_a_span_that_breaks_later_changes_nothing():
    """The same holds for a span that breaks at its end."""

    class Provider:
        def get_tracer(self, *args, **kwargs):
            return self

        def start_span(self, *args, **kwargs):
            return BrokenSpan()

    with telemetry.configured(tracer_provider=Provider()):
        assert 42 == attach(lambda: 42, Noting())()


@given(
    st.text()
    | st.just("\ud800")
    | st.integers()
    | st.floats()
    | st.lists(st.text())
    | st.dictionaries(st.text(), st.text())
)
def test_hostile_values_fit_a_span(value):
    """Nothing a tool is given can lose an export batch: no lone surrogates, no huge numbers, bounded length."""
    cleaned = port.clean(value)

    if isinstance(cleaned, str):
        cleaned.encode()
        assert len(cleaned) <= 8 * 1024
    if isinstance(cleaned, int):
        assert -(2**63) <= cleaned < 2**63


def test_without_an_sdk_nothing_is_imported():
    """No provider, no import: the core pays nothing for telemetry that nobody set up."""
    code = (
        "import sys; from patterns.kernel.guard import attach, Guard\n"
        "class G(Guard):\n"
        "    async def around(self, call, proceed): return await proceed()\n"
        "assert attach(lambda: 1, G())() == 1\n"
        "loaded = [m for m in sys.modules if m.startswith(('opentelemetry', 'asyncio', 'wrapt', 'logging'))]\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_provider_set_later_is_found():
    """An application may set its provider after the tools were decorated and called."""
    code = (
        "from patterns.kernel.guard import attach, Guard\n"
        "class G(Guard):\n"
        "    async def around(self, call, proceed): return await proceed()\n"
        "tool = attach(lambda: 1, G()); tool()\n"
        "from opentelemetry import trace\n"
        "tool()\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import SimpleSpanProcessor\n"
        "from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter\n"
        "exporter = InMemorySpanExporter(); provider = TracerProvider()\n"
        "provider.add_span_processor(SimpleSpanProcessor(exporter)); trace.set_tracer_provider(provider)\n"
        "tool()\n"
        "assert len(exporter.get_finished_spans()) == 2, exporter.get_finished_spans()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_dropped_generator_ends_its_span(spans):
    """Collected is ended."""

    def items():
        yield 1

    generator = attach(items, Noting())()
    next(generator)
    del generator
    gc.collect()

    assert "cancelled" == spans.one("execute_tool items").attributes["patterns.outcome"]


def test_a_replay_links_to_the_original(spans):
    """A link and, since some back ends drop links, the same ids as attributes."""
    original = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    class Replaying(Guard):
        name = "ledger.once"

        async def around(self, call, proceed):
            call.is_replay = True
            if call.trace is not None:
                call.trace.link(original, "replay_of")
                call.trace.link("not a traceparent", "replay_of")
            return 7

    assert 7 == attach(lambda: 1, Replaying())()
    span = spans.one("execute_tool <lambda>")

    assert "replayed" == span.attributes["patterns.outcome"]
    assert ["b7ad6b7169203331"] == [f"{link.context.span_id:016x}" for link in span.links]
    assert "0af7651916cd43dd8448eb211c80319c" == span.attributes["patterns.replay_of.trace_id"]


def test_a_patterns_own_work_has_a_span(spans):
    """Such as a compensation; spans of what it calls are its children."""
    with port.span("compensate reserve", saga__name="order"):
        attach(lambda: 1, Noting())()
    with pytest.raises(ValueError, match="x"), port.span("compensate charge"):
        raise ValueError("x")

    own = spans.one("compensate reserve")
    assert "order" == own.attributes["patterns.saga.name"]
    assert own.context.span_id == spans.one("execute_tool <lambda>").parent.span_id
    assert StatusCode.ERROR == spans.one("compensate charge").status.status_code

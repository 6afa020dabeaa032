"""What telemetry costs: without an SDK, and recording, against hand-made spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks.depth import Around, tool
from benchmarks.harness import Case, Table
from patterns import telemetry
from patterns.kernel.guard import attach

if TYPE_CHECKING:
    from collections.abc import Callable

NAIVE_SPANS = 3


class _Drop(SpanExporter):
    def export(self, spans: Any) -> SpanExportResult:
        del spans
        return SpanExportResult.SUCCESS


def _provider() -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(_Drop()))
    return provider


PROVIDER = _provider()


def _guarded() -> Callable[[], Any]:
    guard, function = Around(), tool
    for _ in range(NAIVE_SPANS):
        function = attach(function, guard)
    return function


def _recorded(detail: Literal["pattern", "call"]) -> Callable[[], Any]:
    guarded = _guarded()

    def call() -> Any:
        with telemetry.configured(detail=detail, tracer_provider=PROVIDER):
            return guarded()

    return call


def _naive() -> Callable[[], Any]:
    tracer = PROVIDER.get_tracer("naive")

    def call() -> Any:
        with tracer.start_as_current_span("one"), tracer.start_as_current_span("two") as span:
            span.set_attribute("outcome", "executed")
            with tracer.start_as_current_span("three"):
                return tool()

    return call


def tables() -> list[Table]:
    """Return the table of three stacked guards in four moods."""
    naive = "three spans by hand, SDK with batch export"
    cases = [
        Case(name="three guards, no SDK", make=_guarded),
        Case(name='three guards, SDK, detail="pattern"', make=lambda: _recorded("pattern")),
        Case(name='three guards, SDK, detail="call"', make=lambda: _recorded("call")),
        Case(name=naive, make=_naive, ours=False),
    ]
    return [Table(name="telemetry", title="Telemetry", cases=cases, baseline=naive)]

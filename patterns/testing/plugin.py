"""A pytest plugin that fails what a green test can hide: a blocked event loop, an unsettled call, an open span.

Switch it on with ``pytest -p patterns.testing.plugin`` or in a ``conftest.py``::

    pytest_plugins = ["patterns.testing.plugin"]

Markers: ``@pytest.mark.may_block`` allows blocking the event loop in one test,
``@pytest.mark.leaves_calls_open`` allows calls that are never settled.
Fixtures: ``manual_clock``, ``sequencer`` and ``spans`` (what was exported, with
a tracer provider of its own).
"""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest

from patterns.kernel import call as kernel_call
from patterns.kernel import telemetry
from patterns.testing.clock import ManualClock
from patterns.testing.sequencer import Sequencer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from patterns.kernel.call import Call

__all__ = ["Spans", "manual_clock", "sequencer", "spans"]


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    config.addinivalue_line("markers", "may_block: this test may block its event loop")
    config.addinivalue_line("markers", "leaves_calls_open: this test may leave guarded calls unsettled")


class _OpenCalls:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[int, Call] = {}

    def opened(self, call: Call) -> None:
        with self._lock:
            self._open[id(call)] = call

    def closed(self, call: Call) -> None:
        with self._lock:
            if self._open.pop(id(call), None) is None:
                raise AssertionError(f"{call!r} was settled twice")

    def names(self) -> list[str]:
        with self._lock:
            return [repr(call.target) for call in self._open.values()]


@pytest.fixture(autouse=True)
def _settled_calls(request: pytest.FixtureRequest) -> Iterator[None]:
    watcher = _OpenCalls()
    before, kernel_call.watcher = kernel_call.watcher, watcher
    try:
        yield
    finally:
        kernel_call.watcher = before
    if request.node.get_closest_marker("leaves_calls_open") is None and watcher.names():
        gc.collect()  # a generator nobody holds any more is closed, and settled, by the collector
        assert watcher.names() == [], "guarded calls that were begun and never settled"


@pytest.fixture(autouse=True)
def _responsive_event_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    watch = None if request.node.get_closest_marker("may_block") else _blockbuster()
    if watch is None:
        yield
        return
    watch.activate()
    try:
        yield
    finally:
        watch.deactivate()


def _blockbuster() -> Any:
    """Watch files, sockets, databases and sleeps; locks are held for microseconds, so waiting for one is no fault."""
    try:
        from blockbuster import BlockBuster  # noqa: PLC0415 - only with the extra "test"
    except ImportError:
        return None
    watch = BlockBuster()
    for name in [name for name in watch.functions if name.startswith("threading.Lock")]:
        del watch.functions[name]
    for function in watch.functions.values():  # one record out of SQLite takes less time than handing it to a thread
        function.can_block_in("patterns/stores/sqlite/engine.py", "read_async")
    return watch


class Spans:
    """What the guarded calls of a test told OpenTelemetry."""

    def __init__(self, exporter: Any) -> None:
        self._exporter = exporter

    def finished(self) -> list[Any]:
        """Return the ended spans in the order they ended."""
        return list(self._exporter.get_finished_spans())

    def names(self) -> list[str]:
        """Return their names."""
        return [span.name for span in self.finished()]

    def one(self, name: str) -> Any:
        """Return the only span called *name*."""
        found = [span for span in self.finished() if span.name == name]
        assert len(found) == 1, f"{name!r} is not in {self.names()} exactly once"
        return found[0]


@pytest.fixture
def spans() -> Iterator[Spans]:
    """Record the spans of this test, and fail it if one stays open."""
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider  # noqa: PLC0415 - only tests that ask for it
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415 - loaded when needed
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: PLC0415 - loaded when needed

    started: dict[int, str] = {}

    class Balance(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            del parent_context
            started[span.context.span_id] = span.name

        def on_end(self, span: Any) -> None:
            started.pop(span.context.span_id, None)

    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.add_span_processor(Balance())
    with telemetry.configured(tracer_provider=provider):
        yield Spans(exporter)
    assert started == {}, "spans that were started and never ended"


@pytest.fixture
def manual_clock() -> ManualClock:
    """A clock whose waits jump."""
    return ManualClock()


@pytest.fixture
def sequencer() -> Sequencer:
    """Numbered turns for threads and tasks."""
    return Sequencer()

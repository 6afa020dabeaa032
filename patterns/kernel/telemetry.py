"""The only door to OpenTelemetry: the call span, the pattern spans, and nothing when nobody records.

Only the API is used. Whatever goes wrong in here is logged and counted, and
changes neither a decision nor a result.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from attrs import evolve, frozen

from patterns import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from opentelemetry.trace import Span, Tracer, TracerProvider

    from patterns.kernel.call import Call, Proceed
    from patterns.kernel.stack import Guard

__all__ = ["Detail", "Settings", "Trace", "active", "begin", "configure", "settings", "span", "traced"]

T = TypeVar("T")
Detail = Literal["pattern", "call", "off"]

_LONGEST_TEXT = 1024
_INT64 = 2**63


@frozen(kw_only=True)
class Settings:
    """How much is told, and to whom.

    Args:
        detail: ``"pattern"`` gives each pattern a thin span below the call span, ``"call"`` folds them
            into the call span's attributes, ``"off"`` emits nothing.
        tracer_provider: Used instead of the global one.

    """

    detail: Detail = "pattern"
    tracer_provider: TracerProvider | None = None


settings = Settings()
failures = 0
"""How often telemetry itself failed since the process started."""

_tracers: tuple[object, Tracer] | None = None
_api: Any = None
_modules = sys.modules
_environment_asks = bool(os.environ.get("OTEL_PYTHON_TRACER_PROVIDER"))
"""Read once, as OpenTelemetry does: a look at the environment costs more than a guarded call."""


class _Unset:
    """Stands for an option that is not given, where None means something."""


_UNSET = _Unset()


def configure(*, detail: Detail | None = None, tracer_provider: TracerProvider | _Unset | None = _UNSET) -> Settings:
    """Change what is told from now on; return the settings of before.

    Args:
        detail: How much; unchanged if missing.
        tracer_provider: To whom; None is the global one again; unchanged if missing.

    Raises:
        Misuse: *detail* is not one of the three words.

    """
    global settings  # noqa: PLW0603 - telemetry belongs to the process, as in OpenTelemetry itself
    before = settings
    if detail is not None:
        if detail not in ("pattern", "call", "off"):
            errors.misuse(f"no such detail: {detail!r}", wrong=f"detail={detail!r}", right='detail="call"')
        settings = evolve(settings, detail=detail)
    if not isinstance(tracer_provider, _Unset):
        if tracer_provider is not None and isinstance(tracer_provider, (str, int, type)):
            errors.misuse(
                f"{tracer_provider!r} is no tracer provider",
                wrong=f"tracer_provider={tracer_provider!r}",
                right="tracer_provider=TracerProvider()",
            )
        settings = evolve(settings, tracer_provider=tracer_provider)
    return before


@contextmanager
def configured(
    *, detail: Detail | None = None, tracer_provider: TracerProvider | _Unset | None = _UNSET
) -> Iterator[None]:
    """Do the same for the length of a ``with`` block."""
    global settings  # noqa: PLW0603 - see configure
    before = configure(detail=detail, tracer_provider=tracer_provider)
    try:
        yield
    finally:
        settings = before


def active() -> bool:
    """Whether a tracer provider exists, asked on every call and therefore cheap.

    Without one the API is not even imported. Where the API does not show its
    provider the answer is yes, which costs time but never a span.
    """
    if settings.tracer_provider is not None:
        return settings.detail != "off"
    api = _api
    if api is None:
        if "opentelemetry.trace" not in _modules and not _environment_asks:
            return False
        api = _find_api()
    return getattr(api, "_TRACER_PROVIDER", api) is not None and settings.detail != "off"


def _find_api() -> Any:
    global _api  # noqa: PLW0603 - a cache
    if _environment_asks:
        from opentelemetry import trace

        trace.get_tracer_provider()
    _api = sys.modules.get("opentelemetry.trace")
    if _api is not None and not hasattr(_api, "get_tracer_provider"):
        _api = None  # still being imported
    return _api


def _tracer() -> Tracer:
    global _tracers  # noqa: PLW0603 - a cache, replaced as one value
    from opentelemetry import trace

    provider = settings.tracer_provider or trace.get_tracer_provider()
    cached = _tracers
    if cached is None or cached[0] is not provider:
        from patterns._version import __version__  # noqa: PLC0415 - loaded when needed

        cached = _tracers = (provider, trace.get_tracer("patterns", __version__, provider))
    return cached[1]


def clean(value: Any) -> Any:
    """Make *value* fit for a span: one lone surrogate would lose the whole export batch."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _clean_text(value)
    if isinstance(value, int):
        return value if -_INT64 <= value < _INT64 else _clean_text(str(value)[:_LONGEST_TEXT])
    if isinstance(value, float):
        return value
    if isinstance(value, (list, tuple)):
        return [_clean_text(str(one)) for one in value[:_LONGEST_TEXT]]
    return _clean_text(str(value))


def _clean_text(text: str) -> str:
    text = text[:_LONGEST_TEXT]
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _report(error: Exception) -> None:
    global failures  # noqa: PLW0603 - a tally
    failures += 1
    import logging

    log = logging.getLogger("patterns").warning if failures == 1 else logging.getLogger("patterns").debug
    log("telemetry failed (%d so far); the guarded call is not affected", failures, exc_info=error)


_OUTCOMES: dict[type[BaseException], str] = {
    errors.ActionBlocked: "blocked",
    errors.ApprovalPending: "approval_pending",
    errors.ApprovalDenied: "denied",
    errors.ApprovalExpired: "denied",
    errors.KeyConflict: "conflict",
    errors.InFlight: "in_flight",
    errors.InDoubt: "in_doubt",
    errors.Refused: "rejected",
}


def outcome_name(error: BaseException | None, *, entered: bool, replayed: bool) -> str:
    """Return the value of ``patterns.outcome`` for a call that ended with *error* or returned."""
    if replayed and not entered:
        return "replayed"
    if error is None:
        return "executed" if entered else "replayed"
    if isinstance(error, errors.InDoubt):
        return "in_doubt"
    if entered:
        return "failed" if isinstance(error, Exception) else "cancelled"
    if not isinstance(error, Exception):
        return "cancelled"
    return next((_OUTCOMES[kind] for kind in type(error).__mro__ if kind in _OUTCOMES), "rejected")


_NOT_A_FAILURE = frozenset({"approval_pending", "cancelled", "executed"})


def _error_type(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _end(span: Span, attributes: dict[str, Any], error: BaseException | None, outcome: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    attributes["patterns.outcome"] = outcome
    if error is not None and outcome not in _NOT_A_FAILURE:
        attributes["error.type"] = _error_type(error)
        span.set_status(Status(StatusCode.ERROR, _clean_text(_error_type(error))))
    span.set_attributes(attributes)
    span.end()


def begin(call: Call, guards: Sequence[str]) -> Trace | None:
    """Start the span of *call*, or return None if nobody could see it."""
    return _guarded(lambda: _begin(call, guards))


def _begin(call: Call, guards: Sequence[str]) -> Trace | None:
    from opentelemetry import trace

    if _suppressed():
        return None
    tool = _clean_text(call.target.name)
    attributes: dict[str, Any] = {"patterns.guards": [_clean_text(guard) for guard in guards]}
    if call.target.is_block:
        name = f"patterns.step {tool}"
    elif _framework_covers(trace.get_current_span(), call.target.name):
        name = f"patterns.guard {tool}"
    else:
        name = f"execute_tool {tool}"
        attributes |= {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool}
    if call.run is not None:
        attributes |= _run_attributes(call)
    started = _tracer().start_span(name, attributes=attributes)
    if not started.get_span_context().is_valid:
        return None
    return Trace(started, settings.detail)


def _run_attributes(call: Call) -> dict[str, Any]:
    run = call.run
    if run is None:
        return {}
    found = {"patterns.run.id": run.id, "patterns.tenant": run.tenant, "gen_ai.agent.name": run.agent}
    return {name: _clean_text(value) for name, value in found.items() if value is not None}


def _framework_covers(span: Span, tool: str) -> bool:
    """Whether a framework already made an ``execute_tool`` span for this very tool, so ours must not count twice."""
    seen: Mapping[str, Any] | None = getattr(span, "attributes", None)
    if not seen or "patterns.guards" in seen:
        return False
    return seen.get("gen_ai.operation.name") == "execute_tool" and seen.get("gen_ai.tool.name") == tool


def _detach(token: Any) -> None:
    variable = getattr(token, "var", None)
    if variable is None:
        from opentelemetry import context

        context.detach(token)
        return
    try:
        # context.detach would log an error where a block or generator ends in another context.
        variable.reset(token)
    except ValueError:
        return


class Trace:
    """The spans of one call."""

    __slots__ = ("_attached", "_call_context", "_detail", "_open", "recording", "span")

    def __init__(self, started: Span, detail: Detail) -> None:
        self.span = started
        self.recording = started.is_recording()
        self._detail = detail
        # Notes of the call, then of each guard at work, outermost first: guards nest, so the last one is speaking.
        self._open: list[dict[str, Any]] = [{}]
        self._call_context: Any = None
        self._attached: list[Any] = []  # activations nest where a body fails inside its driver

    @property
    def traceparent(self) -> str:
        """The W3C traceparent of the call span."""
        seen = self.span.get_span_context()
        return f"00-{seen.trace_id:032x}-{seen.span_id:016x}-{int(seen.trace_flags):02x}"

    def attach(self) -> None:
        """Make the call span current; a sampled-out span too, or children would decide by themselves."""
        from opentelemetry import context

        self._attached.append(_guarded(lambda: context.attach(self._context())))

    def detach(self) -> None:
        """Undo `attach`."""
        token = self._attached.pop()
        if token is not None:
            _guarded(lambda: _detach(token))

    def _context(self) -> Any:
        from opentelemetry import trace

        if self._call_context is None:
            self._call_context = trace.set_span_in_context(self.span)
        return self._call_context

    def note(self, facts: Mapping[str, Any]) -> None:
        """Keep *facts* for the span of the guard at work; names are the keywords with ``__`` for a dot."""
        if self.recording:
            noted = {"patterns." + name.replace("__", "."): clean(value) for name, value in facts.items()}
            self._open[-1].update(noted)

    def link(self, traceparent: str | None, kind: str) -> None:
        """Link the call span to the span *traceparent* names; a malformed one is reported, not raised."""
        if traceparent is None:
            return
        _guarded(lambda: self._link(traceparent, kind))

    def _link(self, traceparent: str, kind: str) -> None:
        context = parse_traceparent(traceparent)
        self.span.add_link(context, {"patterns.link.type": kind})
        self.span.set_attribute(f"patterns.{kind}.trace_id", f"{context.trace_id:032x}")
        self.span.set_attribute(f"patterns.{kind}.span_id", f"{context.span_id:016x}")

    def start_pattern(self, guard: str) -> Span | None:
        """Start the thin span of *guard* below the call span."""
        if not self.recording or self._detail != "pattern":
            return None
        started = _guarded(lambda: _tracer().start_span(_clean_text(guard), context=self._context()))
        if started is not None:
            self._open.append({})
        return started

    def end_pattern(self, started: Span | None, error: BaseException | None, outcome: str) -> None:
        """End it with what the guard noted."""
        if started is not None:
            noted = self._open.pop()
            _guarded(lambda: _end(started, noted, error, outcome))

    def finish(self, call: Call, error: BaseException | None) -> None:
        """End the call span."""
        attributes = self._open[0]
        if self.recording:
            attributes["patterns.call.id"] = call.id
        name = outcome_name(error, entered=call.entries > 0, replayed=call.is_replay)
        _guarded(lambda: _end(self.span, attributes, error, name))


async def traced(guard: Guard, call: Call, proceed: Proceed) -> Any:
    """Await the guard inside its own thin span."""
    trace = call.trace
    if trace is None:
        return await guard.around(call, proceed)
    started, before = trace.start_pattern(guard.name), call.entries
    try:
        value = await guard.around(call, proceed)
    except BaseException as error:
        name = outcome_name(error, entered=call.entries != before, replayed=call.is_replay)
        trace.end_pattern(started, error, name)
        raise
    name = outcome_name(None, entered=call.entries != before, replayed=call.is_replay)
    trace.end_pattern(started, None, name)
    return value


def parse_traceparent(text: str) -> Any:
    """Return the span context that a W3C traceparent names.

    Raises:
        ValueError: It is malformed.

    """
    from opentelemetry.trace import SpanContext, TraceFlags

    _, trace_id, span_id, flags = text.split("-")
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))


class _OwnSpan:
    """A span of a pattern's own work, current while the work goes on."""

    def __init__(self, name: str, facts: Mapping[str, Any]) -> None:
        from opentelemetry import context, trace

        attributes = {"patterns." + key.replace("__", "."): clean(value) for key, value in facts.items()}
        self.span = _tracer().start_span(_clean_text(name), attributes=attributes)
        self.token = context.attach(trace.set_span_in_context(self.span))

    def finish(self, error: BaseException | None) -> None:
        _detach(self.token)
        _end(self.span, {}, error, outcome_name(error, entered=True, replayed=False))


@contextmanager
def span(name: str, **facts: Any) -> Iterator[None]:
    """Emit a span of a pattern's own work, such as a compensation, around a block; free when nobody records."""
    own = _guarded(lambda: _OwnSpan(name, facts)) if active() and not _suppressed() else None
    try:
        yield
    except BaseException as failure:
        _finish_own(own, failure)
        raise
    _finish_own(own, None)


def _finish_own(own: _OwnSpan | None, failure: BaseException | None) -> None:
    if own is not None:
        _guarded(lambda: own.finish(failure))


def _suppressed() -> bool:
    from opentelemetry import context

    return bool(context.get_value("suppress_instrumentation"))


def _guarded(work: Callable[[], T]) -> T | None:
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - telemetry must not break a call
        _report(error)
        return None

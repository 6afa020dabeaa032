"""Keeps the agent's spans in a file that survives its death, and draws them as a tree."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["file_provider", "tree"]


class _FileExporter(SpanExporter):
    def __init__(self, path: Path) -> None:
        self._path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._path.open("a", encoding="utf-8") as file:
            for span in spans:
                file.write(json.dumps(_plain(span)) + "\n")
        return SpanExportResult.SUCCESS


def _plain(span: ReadableSpan) -> dict[str, Any]:
    context = span.get_span_context()
    return {
        "id": f"{context.span_id:016x}" if context else "",
        "parent": f"{span.parent.span_id:016x}" if span.parent else None,
        "name": span.name,
        "start": span.start_time,
        "milliseconds": ((span.end_time or 0) - (span.start_time or 0)) / 1e6,
        "attributes": dict(span.attributes or {}),
        "links": [f"{link.context.span_id:016x}" for link in span.links],
    }


def file_provider(path: Path) -> TracerProvider:
    """Return a provider that appends every ended span to *path*."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(_FileExporter(path)))
    return provider


def tree(path: Path, outcomes: Sequence[str]) -> list[str]:
    """Return the first trace in *path* of each of *outcomes*, as indented trees in the order they began."""
    spans = sorted(map(json.loads, path.read_text(encoding="utf-8").splitlines()), key=lambda span: span["start"])
    known = {span["id"] for span in spans}
    roots: dict[str, dict[str, Any]] = {}
    for span in spans:
        if span["parent"] not in known:
            roots.setdefault(span["attributes"].get("patterns.outcome", ""), span)
    return list(_branch(spans, [root for outcome, root in roots.items() if outcome in outcomes], 0))


def _branch(spans: list[dict[str, Any]], level: Iterable[dict[str, Any]], depth: int) -> Iterator[str]:
    for span in level:
        outcome = span["attributes"].get("patterns.outcome", "")
        link = f"  links to {span['links'][0][:8]}" if span["links"] else ""
        name = f"{'  ' * depth}{span['name']}"
        yield f"{name:<42} {outcome:<12} {span['milliseconds']:>8.1f} ms  {span['id'][:8]}{link}"
        yield from _branch(spans, [child for child in spans if child["parent"] == span["id"]], depth + 1)

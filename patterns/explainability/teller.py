"""Redacts, keeps and tells explanations; whatever fails on the way is reported and never reaches the call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from patterns.explainability.shorten import Limits, shorten
from patterns.kernel.events import Event, Listeners

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from patterns.explainability.explanation import Explanation
    from patterns.explainability.memory import Memory, Sink
    from patterns.kernel.clock import Clock

    Redact = Callable[[dict[str, Any]], dict[str, Any]]

__all__ = ["Explained", "SinkFailed", "Teller"]


@frozen(kw_only=True)
class Explained(Event):
    """An explanation was made."""

    explanation: Explanation


@frozen(kw_only=True)
class SinkFailed(Event):
    """A sink did not keep an explanation."""

    sink: str
    error: str


class Teller:
    """What the guards of one `ExplainabilityHooks` share."""

    def __init__(
        self,
        agent: str,
        *,
        memory: Memory,
        sinks: Sequence[Sink],
        redact: Redact | None,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self.agent = agent
        self.memory = memory
        self.limits = limits
        self.clock = clock
        self.listeners = Listeners()
        self._sinks = tuple(sinks)
        self._redact = redact

    def small(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return *values* redacted, then shortened."""
        if self._redact is not None:
            values = self._redact(values)
        return {name: shorten(value, self.limits, depth=1) for name, value in values.items()}

    def tell(self, explanation: Explanation) -> None:
        """Keep it and tell everybody."""
        self.memory.write(explanation)
        for sink in self._sinks:
            try:
                sink.write(explanation)
            except Exception as error:  # noqa: BLE001 - explaining must not break a call
                self._sink_failed(sink, explanation, error)
        if self.listeners:
            self.listeners.publish(Explained(source=self.agent, at=explanation.at, explanation=explanation))

    def _sink_failed(self, sink: Sink, explanation: Explanation, error: Exception) -> None:
        import logging

        logging.getLogger("patterns").error("the sink %r lost an explanation", sink, exc_info=error)
        name = type(sink).__qualname__
        self.listeners.publish(SinkFailed(source=self.agent, at=explanation.at, sink=name, error=repr(error)))

"""Redacts, keeps and tells explanations; whatever fails on the way is reported and never reaches the call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import frozen

from patterns.explainability.shorten import Limits, plain_copy, shorten
from patterns.kernel.events import Event, Listeners

if TYPE_CHECKING:
    from collections.abc import Sequence

    from patterns.explainability.explanation import Explanation
    from patterns.explainability.memory import Memory, Sink
    from patterns.kernel.call import Call
    from patterns.kernel.clock import Clock

__all__ = ["Explained", "Redact", "SinkFailed", "Teller"]

Redact = Callable[[dict[str, Any]], Mapping[str, Any]]


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

    def small(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return a copy of *values*, redacted, then shortened."""
        if self._redact is not None:
            values = self._redact(plain_copy(dict(values)))
        return {name: shorten(value, self.limits, depth=1) for name, value in values.items()}

    def keep(self, explanation: Explanation) -> None:
        """Keep it in memory and tell the listeners."""
        self.memory.write(explanation)
        if self.listeners:
            self.listeners.publish(Explained(source=self.agent, at=explanation.at, explanation=explanation))

    async def tell(self, explanation: Explanation, call: Call) -> None:
        """Keep it, tell the listeners, and wait until the sinks have it; no cancellation interrupts that."""
        self.keep(explanation)
        for sink in self._sinks:
            if call.target.asynchronous and getattr(sink, "blocks", True):
                await call.shield(self._write_in_thread(sink, explanation))
            else:
                self._write(sink, explanation)

    async def _write_in_thread(self, sink: Sink, explanation: Explanation) -> None:
        import asyncio

        await asyncio.to_thread(self._write, sink, explanation)

    def _write(self, sink: Sink, explanation: Explanation) -> None:
        try:
            sink.write(explanation)
        except Exception as error:  # noqa: BLE001 - explaining must not break a call
            self._sink_failed(sink, explanation, error)

    def _sink_failed(self, sink: Sink, explanation: Explanation, error: Exception) -> None:
        import logging

        logging.getLogger("patterns").error("the sink %r lost an explanation", sink, exc_info=error)
        name = type(sink).__name__
        self.listeners.publish(SinkFailed(source=self.agent, at=explanation.at, sink=name, error=repr(error)))

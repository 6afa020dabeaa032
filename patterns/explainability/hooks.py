"""Why an agent does what it does, asked before every action and kept with what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from patterns.errors import misuse
from patterns.explainability.explanation import Explanation, Phase
from patterns.explainability.guard import ExplainGuard, Why
from patterns.explainability.memory import Memory
from patterns.explainability.shorten import Limits
from patterns.explainability.story import story
from patterns.explainability.teller import Teller
from patterns.kernel.clock import SYSTEM_CLOCK
from patterns.kernel.guard import Block, attach

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from patterns.explainability.memory import Sink
    from patterns.explainability.teller import Redact
    from patterns.kernel.clock import Clock
    from patterns.kernel.events import Event

__all__ = ["ExplainabilityHooks"]

F = TypeVar("F", bound="Callable[..., Any]")


class ExplainabilityHooks:
    """Keeps, for every action, why it was wanted, what went in, what came out and what the other patterns said.

    Nothing in here can change or break a call: a reasoning function, redaction,
    sink or callback that raises is recorded or reported, and the call goes on.

    Args:
        agent: Who acts, where the run does not say.
        limit: How many explanations are kept in memory; the oldest are forgotten.
        redact: Gets the arguments (or ``{"output": value}``) by name and returns what may be kept; if it raises,
            nothing of them is kept.
        sinks: Where explanations go besides memory, such as `JsonLines`.
        limits: How much of a value is kept.
        clock: Where time comes from.

    Raises:
        Misuse: *limit* is below 1, *agent* is empty, or a sink cannot write.

    """

    def __init__(
        self,
        agent: str,
        *,
        limit: int = 1000,
        redact: Redact | None = None,
        sinks: Sequence[Sink] = (),
        limits: Limits | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if not isinstance(agent, str) or not agent:
            misuse(
                f"explanations name an agent, not {agent!r}",
                wrong=f"ExplainabilityHooks({agent!r})",
                right='ExplainabilityHooks("support-bot")',
            )
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            misuse(f"at least one explanation is kept, not {limit!r}", wrong=f"limit={limit!r}", right="limit=1000")
        for sink in sinks:
            if not callable(getattr(sink, "write", None)):
                misuse(
                    f"{sink!r} has no write(explanation)",
                    wrong=f"sinks=[{sink!r}]",
                    right='sinks=[JsonLines("why.jsonl")]',
                )
        self._teller = Teller(
            agent, memory=Memory(limit), sinks=sinks, redact=redact, limits=limits or Limits(), clock=clock
        )

    @property
    def agent(self) -> str:
        """Who acts."""
        return self._teller.agent

    @overload
    def explain(self, function: F, /) -> F: ...
    @overload
    def explain(
        self,
        /,
        *,
        reasoning: str | Callable[..., str] | None = None,
        confidence: float | Callable[..., float] | None = None,
        alternatives: Sequence[str] | Callable[..., Sequence[str]] = (),
    ) -> Callable[[F], F]: ...
    def explain(
        self,
        function: Any = None,
        /,
        *,
        reasoning: str | Callable[..., str] | None = None,
        confidence: float | Callable[..., float] | None = None,
        alternatives: Sequence[str] | Callable[..., Sequence[str]] = (),
    ) -> Any:
        """Explain every call of a function, coroutine function, generator function or method.

        Args:
            function: What is called.
            reasoning: Why, or a function of its parameters that returns why.
            confidence: From 0 to 1, or a function of its parameters.
            alternatives: What else was considered, or a function of its parameters.

        Raises:
            Misuse: A value has the wrong form, or a function among them asks for a parameter that is not there.

        """
        guard = ExplainGuard(self._teller, _why(reasoning, confidence, alternatives))
        return (lambda guarded: attach(guarded, guard)) if function is None else attach(function, guard)

    def step(
        self,
        name: str,
        /,
        *,
        reasoning: str | None = None,
        confidence: float | None = None,
        alternatives: Sequence[str] = (),
        **facts: Any,
    ) -> Block:
        """Explain a ``with`` or ``async with`` block.

        Args:
            name: What the block does.
            reasoning: Why.
            confidence: From 0 to 1.
            alternatives: What else was considered.
            facts: What goes in.

        """
        return Block(ExplainGuard(self._teller, _why(reasoning, confidence, alternatives)), name, facts)

    def explanations(
        self, phase: Phase | str | None = None, *, run: str | None = None, tool: str | None = None
    ) -> tuple[Explanation, ...]:
        """Return what is kept in memory, oldest first.

        Args:
            phase: Only of this phase.
            run: Only of this run, or of runs inside it.
            tool: Only of this function or step.

        Raises:
            ValueError: There is no such phase.

        """
        wanted = None if phase is None else Phase(phase)
        return tuple(
            one
            for one in self._teller.memory
            if wanted in (None, one.phase) and tool in (None, one.tool) and (run is None or run in one.run)
        )

    def story(self, run: str | None = None) -> str:
        """Return what happened and why, for a person: every call of *run*, or all."""
        return story(self.explanations(run=run))

    def subscribe(self, listener: Callable[[Event], object], /) -> Callable[[], None]:
        """Call *listener* with every `Explained`; it cannot break a call.

        Returns:
            A function that ends the subscription.

        Raises:
            Misuse: *listener* is not callable or is async.

        """
        return self._teller.listeners.subscribe(listener)

    def __repr__(self) -> str:
        return f"<ExplainabilityHooks {self.agent!r}>"


def _why(reasoning: Any, confidence: Any, alternatives: Any) -> Why:
    if reasoning is not None and not isinstance(reasoning, str) and not callable(reasoning):
        misuse(
            f"reasoning is a text, not {reasoning!r}", wrong=f"reasoning={reasoning!r}", right='reasoning="it is due"'
        )
    if confidence is not None and not callable(confidence) and not _is_share(confidence):
        misuse(
            f"confidence is from 0 to 1, not {confidence!r}", wrong=f"confidence={confidence!r}", right="confidence=0.8"
        )
    if isinstance(alternatives, str):
        misuse(
            "alternatives are several",
            wrong=f"alternatives={alternatives!r}",
            right=f"alternatives=({alternatives!r},)",
        )
    given: dict[str, Any] = {"reasoning": reasoning, "confidence": confidence, "alternatives": alternatives}
    if not callable(alternatives):
        given["alternatives"] = tuple(alternatives)
    return Why(**given)


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1

"""Why an agent does what it does, asked before every action and kept with what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from patterns.errors import misuse
from patterns.explainability.explanation import Explanation, Phase
from patterns.explainability.guard import ExplainGuard
from patterns.explainability.memory import Memory
from patterns.explainability.reasons import why
from patterns.explainability.shorten import Limits
from patterns.explainability.story import story
from patterns.explainability.teller import Teller
from patterns.kernel.clock import SYSTEM_CLOCK
from patterns.kernel.guard import Block, attach

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from patterns.explainability.memory import Sink
    from patterns.explainability.reasons import Alternatives, Confidence, Reasoning
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
        redact: Gets a copy of the arguments by name and returns what may be kept; then the same for
            ``{"output": value}``, ``{"error": text}``, ``{"reasoning": text, "alternatives": [...]}`` and the facts
            of each decision. If it raises, nothing of them is kept.
        sinks: Where explanations go besides memory, such as `JsonLines`; each explanation waits for them.
        limits: How much of a value is kept.
        clock: Where time comes from.

    Raises:
        Misuse: *limit* is below 1, *agent* is empty, *redact* is no function, or a sink cannot write.

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
        if redact is not None and not callable(redact):
            misuse(
                f"redact is a function, not {redact!r}",
                wrong=f"redact={redact!r}",
                right='redact=lambda values: {name: value for name, value in values.items() if name != "card"}',
            )
        if limits is not None and not isinstance(limits, Limits):
            misuse(f"limits are Limits, not {limits!r}", wrong=f"limits={limits!r}", right="limits=Limits(text=200)")
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
        reasoning: Reasoning = None,
        confidence: Confidence = None,
        alternatives: Alternatives = (),
    ) -> Callable[[F], F]: ...
    def explain(
        self,
        function: Any = None,
        /,
        *,
        reasoning: Reasoning = None,
        confidence: Confidence = None,
        alternatives: Alternatives = (),
    ) -> Any:
        """Explain every call of a function, coroutine function, generator function or method.

        Args:
            function: What is called.
            reasoning: Why, or a function of its parameters that returns why; an async one for an async function.
            confidence: From 0 to 1, or a function of its parameters.
            alternatives: What else was considered, or a function of its parameters.

        Raises:
            Misuse: A value has the wrong form, or a function among them asks for a parameter that is not there.

        """
        guard = ExplainGuard(self._teller, why(reasoning, confidence, alternatives))
        return (lambda guarded: attach(guarded, guard)) if function is None else attach(function, guard)

    def step(
        self,
        name: str,
        /,
        *,
        reasoning: Reasoning = None,
        confidence: Confidence = None,
        alternatives: Alternatives = (),
        **facts: Any,
    ) -> Block:
        """Explain a ``with`` or ``async with`` block.

        Args:
            name: What the block does, low in cardinality.
            reasoning: Why, or a function of all the facts that returns why.
            confidence: From 0 to 1, or a function of all the facts.
            alternatives: What else was considered, or a function of all the facts.
            facts: What goes in.

        Raises:
            Misuse: A value has the wrong form.

        """
        return Block(ExplainGuard(self._teller, why(reasoning, confidence, alternatives)), name, facts)

    def explanations(
        self, phase: Phase | str | None = None, *, run: str | None = None, tool: str | None = None
    ) -> tuple[Explanation, ...]:
        """Return what is kept in memory, oldest first.

        Args:
            phase: Only of this phase.
            run: Only of this run, or of runs inside it.
            tool: Only of this function or step.

        Raises:
            Misuse: There is no such phase.

        """
        wanted = None if phase is None else _phase(phase)
        return tuple(
            one
            for one in self._teller.memory
            if wanted in (None, one.phase) and tool in (None, one.tool) and (run is None or run in one.run)
        )

    def story(self, run: str | None = None) -> str:
        """Return what happened and why, for a person: every call of *run* that is kept in memory, or all of them."""
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


def _phase(phase: Phase | str) -> Phase:
    try:
        return Phase(phase)
    except ValueError:
        known = ", ".join(f'"{one}"' for one in Phase)
        misuse(f"the phases are {known}", wrong=f"explanations({phase!r})", right="explanations(Phase.ERROR)")

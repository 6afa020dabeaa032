"""Tells what happened and why as one readable text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from patterns.explainability.explanation import Ending, Explanation, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["story"]

_VERBS = {
    Ending.EXECUTED: "was done",
    Ending.FAILED: "failed",
    Ending.REFUSED: "was refused and did not run",
    Ending.REPLAYED: "was not done again: the recorded outcome was handed out",
    Ending.ABANDONED: "was cut short and may have run",
}


def story(explanations: Iterable[Explanation]) -> str:
    """Return one paragraph per call, in the order the calls ended; a call that has not ended says so."""
    ended: dict[str, Explanation] = {}
    begun: dict[str, Explanation] = {}
    for one in explanations:
        (begun if one.phase is Phase.PRE else ended)[one.call_id] = one
    open_calls = [one for call, one in begun.items() if call not in ended]
    return "\n".join("\n".join(_paragraph(one)) for one in [*ended.values(), *open_calls])


def _paragraph(one: Explanation) -> Iterator[str]:
    arguments = ", ".join(f"{name}={value!r}" for name, value in one.inputs.items())
    verb = "was begun and has not ended" if one.ending is None else _VERBS[one.ending]
    yield f"{one.tool}({arguments}) {verb}."
    if one.reasoning is not None:
        sure = "" if one.confidence is None else f" (confidence {one.confidence:.0%})"
        yield f"  Why: {one.reasoning}{sure}"
    if one.alternatives:
        yield f"  Instead of: {', '.join(one.alternatives)}"
    if one.error is not None:
        yield f"  Because: {one.error}"
    for decision in one.decisions:
        facts = ", ".join(f"{name} {value}" for name, value in decision.facts.items())
        yield f"  {decision.source}: {decision.event} ({facts})"

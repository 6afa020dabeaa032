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
_DEEPEST = 8  # further indentation would leave no room to read


def story(explanations: Iterable[Explanation]) -> str:
    """Return one paragraph per call in the order in which they began, those made within another one indented.

    A call that has not ended says so.
    """
    calls: dict[str, Explanation] = {}
    for one in explanations:
        if one.phase is not Phase.PRE or one.call_id not in calls:
            calls[one.call_id] = one  # at the place where it began
    return "\n".join(f"{_margin(one, calls)}{line}" for one in calls.values() for line in _paragraph(one))


def _margin(one: Explanation, calls: dict[str, Explanation]) -> str:
    depth, parent = 0, calls.get(one.parent_id or "")
    while parent is not None and depth < _DEEPEST:
        depth, parent = depth + 1, calls.get(parent.parent_id or "")
    return "    " * depth


def _paragraph(one: Explanation) -> Iterator[str]:
    arguments = ", ".join(f"{name}={value!r}" for name, value in one.inputs.items())
    verb = "was begun and has not ended" if one.ending is None else _VERBS[one.ending]
    yield f"{one.tool}({arguments}) {verb}."
    if one.reasoning is not None:
        sure = "" if one.confidence is None else f" (confidence {one.confidence:.0%})"
        yield f"  Why: {one.reasoning}{sure}"
    elif one.confidence is not None:
        yield f"  Confidence: {one.confidence:.0%}"
    if one.alternatives:
        yield f"  Instead of: {', '.join(one.alternatives)}"
    if one.error is not None:
        yield f"  Because: {one.error}"
    elif one.output is not None:
        yield f"  Result: {one.output!r}"
    for decision in one.decisions:
        facts = ", ".join(f"{name} {value}" for name, value in decision.facts.items())
        yield f"  {decision.source}: {decision.event} ({facts})"
    for trouble in one.trouble:
        yield f"  Not explained: {trouble}"

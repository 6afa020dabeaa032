"""The reasons a programmer gives for a call: values, or functions of the call's own parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen

from patterns.errors import misuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from patterns.kernel.binding import Selector
    from patterns.kernel.target import Target

__all__ = ["Alternatives", "Confidence", "Reasoning", "Why", "checked", "why"]

Reasoning = str | Callable[..., Any] | None
Confidence = float | Callable[..., Any] | None
Alternatives = Sequence[str] | Callable[..., Any]


@frozen(kw_only=True)
class Why:
    """What was given, as it was given."""

    reasoning: Reasoning = None
    confidence: Confidence = None
    alternatives: Alternatives = ()

    def selectors(self, target: Target) -> Mapping[str, Selector]:
        """Read the functions among the reasons.

        Raises:
            Misuse: One asks for a parameter that *target* does not have.

        """
        given = {"reasoning": self.reasoning, "confidence": self.confidence, "alternatives": self.alternatives}
        return {name: target.binder.selector(one, option=name) for name, one in given.items() if callable(one)}


def why(reasoning: Reasoning, confidence: Confidence, alternatives: Alternatives) -> Why:
    """Return the reasons.

    Raises:
        Misuse: One of them is neither a function nor what it should be.

    """
    given = {"reasoning": reasoning, "confidence": confidence, "alternatives": alternatives}
    for name, value in given.items():
        problem = None if callable(value) else _wrong(name, value)
        if problem is not None:
            misuse(problem, wrong=f"{name}={value!r}", right=f"{name}={_RIGHT[name]}")
    return Why(
        reasoning=reasoning,
        confidence=confidence,
        alternatives=alternatives if callable(alternatives) else tuple(alternatives),
    )


_RIGHT = {"reasoning": '"the parcel was lost"', "confidence": "0.8", "alternatives": '("a voucher", "an apology")'}


def _wrong(name: str, value: Any) -> str | None:
    """Return what is wrong with the value of a reason, or None."""
    if name == "reasoning":
        return None if value is None or isinstance(value, str) else f"reasoning is a text, not {value!r}"
    if name == "confidence":
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = value is None or (is_number and 0 <= value <= 1)
        return None if fits else f"confidence is a number from 0 to 1, not {value!r}"
    several = isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value)
    return None if several else f"alternatives are several texts, not {value!r}"


def checked(name: str, value: Any) -> Any:
    """Return what a reason's function returned.

    Raises:
        ValueError: It is not what the reason should be.

    """
    problem = _wrong(name, value)
    if problem is not None:
        raise ValueError(problem)
    return value

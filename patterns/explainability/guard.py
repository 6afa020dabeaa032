"""The guard that asks why before the action and writes down what became of it; it never changes the call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve, fields, frozen

from patterns.explainability.explanation import Decision, Ending, Explanation, Phase
from patterns.explainability.shorten import shorten
from patterns.kernel.outcome import Abandoned, Raised, Refused, Replayed, Returned
from patterns.kernel.stack import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from patterns.explainability.teller import Teller
    from patterns.kernel.binding import Selector
    from patterns.kernel.call import Call, Proceed
    from patterns.kernel.events import Event
    from patterns.kernel.outcome import Outcome
    from patterns.kernel.target import Target

__all__ = ["ExplainGuard", "Why"]


@frozen(kw_only=True)
class Why:
    """What the programmer gave as reasons: values, or functions of the guarded function's own parameters."""

    reasoning: str | Callable[..., str] | None = None
    confidence: float | Callable[..., float] | None = None
    alternatives: tuple[str, ...] | Callable[..., tuple[str, ...]] = ()


class ExplainGuard(Guard):
    """Makes one explanation before the call and one after it."""

    name = "hooks.explain"

    def __init__(self, teller: Teller, why: Why, selectors: Mapping[str, Selector] | None = None) -> None:
        self._teller = teller
        self._why = why
        self._selectors = selectors or {}

    def bind(self, target: Target) -> ExplainGuard:
        """Check now that the functions among the reasons take the function's own parameters."""
        if target.is_block:
            return self
        given = {field.name: getattr(self._why, field.name) for field in fields(Why)}
        chosen = {name: target.binder.selector(one, option=name) for name, one in given.items() if callable(one)}
        return ExplainGuard(self._teller, self._why, chosen)

    async def around(self, call: Call, proceed: Proceed) -> Any:
        """See `Guard.around`."""
        before = self._begin(call)
        started = self._teller.clock.now()
        outcome = await call.attempt(proceed)
        self._end(call, outcome, before, self._teller.clock.now() - started)
        return outcome.unwrap()

    def _begin(self, call: Call) -> Explanation:
        trouble: list[str] = []
        run = call.run
        explanation = Explanation(
            phase=Phase.PRE,
            at=self._teller.clock.wall(),
            agent=(run.agent if run and run.agent else self._teller.agent),
            tool=call.name,
            call_id=call.id,
            parent_id=call.parent.id if call.parent is not None else None,
            run=run.path if run else (),
            tenant=run.tenant if run else None,
            user=run.user if run else None,
            reasoning=self._reason("reasoning", call, trouble),
            confidence=self._reason("confidence", call, trouble),
            alternatives=tuple(self._reason("alternatives", call, trouble) or ()),
            inputs=self._inputs(call, trouble),
            trouble=tuple(trouble),
        )
        self._teller.tell(explanation)
        if explanation.confidence is not None:
            call.note(explain__confidence=explanation.confidence)
        return explanation

    def _reason(self, name: str, call: Call, trouble: list[str]) -> Any:
        given = getattr(self._why, name)
        if not callable(given):
            return given
        try:
            if name in self._selectors:
                return call.target.binder.call_with(self._selectors[name], call.args, call.kwargs)
            return given(**call.arguments)
        except Exception as error:  # noqa: BLE001 - explaining must not break a call
            trouble.append(f"{name} raised {type(error).__name__}: {error}")
            return None

    def _inputs(self, call: Call, trouble: list[str]) -> dict[str, Any]:
        try:
            return self._teller.small(dict(call.arguments))
        except Exception as error:  # noqa: BLE001 - explaining must not break a call
            trouble.append(f"the arguments cannot be shown: {type(error).__name__}: {error}")
            return {}

    def _end(self, call: Call, outcome: Outcome, before: Explanation, duration: float) -> None:
        ending, value, error = _told(outcome)
        trouble: list[str] = []
        self._teller.tell(
            evolve(
                before,
                phase=Phase.POST if error is None else Phase.ERROR,
                at=self._teller.clock.wall(),
                ending=ending,
                output=self._output(value, trouble),
                error=None if error is None else shorten(f"{type(error).__name__}: {error}", self._teller.limits),
                decisions=tuple(self._decision(event) for event in call.events),
                duration=duration,
                trouble=(*before.trouble, *trouble),
            )
        )

    def _output(self, value: Any, trouble: list[str]) -> Any:
        try:
            return self._teller.small({"output": value}).get("output")
        except Exception as error:  # noqa: BLE001 - explaining must not break a call
            trouble.append(f"the output cannot be shown: {type(error).__name__}: {error}")
            return None

    def _decision(self, event: Event) -> Decision:
        names = [field.name for field in fields(type(event)) if field.name not in {"source", "at"}]
        shown = {name: str(shorten(getattr(event, name), self._teller.limits, depth=3)) for name in names}
        return Decision(source=event.source, event=type(event).__name__, facts=shown)


def _told(outcome: Outcome) -> tuple[Ending, Any, BaseException | None]:
    match outcome:
        case Returned(value):
            return Ending.EXECUTED, value, None
        case Replayed(value, error):
            return Ending.REPLAYED, value, error
        case Raised(error):
            return Ending.FAILED, None, error
        case Refused(error):
            return Ending.REFUSED, None, error
        case Abandoned(error):
            return Ending.ABANDONED, None, error

"""The guard that asks why before the action and tells what became of it; it never changes the call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve, fields

from patterns.explainability.explanation import Decision, Ending, Explanation, Phase
from patterns.explainability.reasons import Why, checked
from patterns.explainability.shorten import said
from patterns.kernel.outcome import Abandoned, Raised, Refused, Replayed, Returned
from patterns.kernel.settle import hook_result
from patterns.kernel.stack import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from patterns.explainability.teller import Teller
    from patterns.kernel.binding import Selector
    from patterns.kernel.call import Call, Proceed
    from patterns.kernel.events import Event
    from patterns.kernel.outcome import Outcome
    from patterns.kernel.target import Target

__all__ = ["ExplainGuard"]


class ExplainGuard(Guard):
    """Tells one explanation before the call and one after it.

    Args:
        teller: Whom to tell.
        why: The reasons.
        selectors: The functions among them, read against the target.

    """

    name = "hooks.explain"

    def __init__(self, teller: Teller, why: Why, selectors: Mapping[str, Selector] | None = None) -> None:
        self._teller = teller
        self._why = why
        self._selectors = selectors or {}

    def bind(self, target: Target) -> ExplainGuard:
        """Check now that the functions among the reasons take the function's own parameters."""
        return self if target.is_block else ExplainGuard(self._teller, self._why, self._why.selectors(target))

    async def around(self, call: Call, proceed: Proceed) -> Any:
        """Tell why, let the call run, and tell what became of it."""
        started = self._teller.clock.now()
        before = await _Witness(self._teller, call).before(self._why, self._selectors)
        try:
            outcome = await self._attempt(before, call, proceed)
        except GeneratorExit as error:  # the coroutine is closed by force: nothing can be awaited any more
            self._teller.keep(self._after(call, before, Abandoned(error), started))
            raise
        await self._teller.tell(self._after(call, before, outcome, started), call)
        return outcome.unwrap()

    async def _attempt(self, before: Explanation, call: Call, proceed: Proceed) -> Outcome:
        try:
            await self._teller.tell(before, call)
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - cancelled while a sink was written to; told as an end, raised by unwrap()
            return Refused(error)
        return await call.attempt(proceed)

    def _after(self, call: Call, before: Explanation, outcome: Outcome, started: float) -> Explanation:
        return _Witness(self._teller, call, before.trouble).after(before, outcome, self._teller.clock.now() - started)


class _Witness:
    """Looks at one moment of one call; whatever it cannot see it notes as trouble."""

    def __init__(self, teller: Teller, call: Call, trouble: tuple[str, ...] = ()) -> None:
        self._teller = teller
        self._call = call
        self._trouble = list(trouble)

    async def before(self, why: Why, selectors: Mapping[str, Selector]) -> Explanation:
        """Return the explanation before the action."""
        call, run = self._call, self._call.run
        reasons = {}
        for reason in fields(Why):
            given = getattr(why, reason.name)
            reasons[reason.name] = await self._asked(reason.name, given, selectors) if callable(given) else given
        inputs = self._seen("the arguments", lambda: self._teller.small(call.arguments))
        words = {name: reasons[name] for name in ("reasoning", "alternatives") if reasons[name]}
        shown = (self._seen("the reasons", lambda: self._teller.small(words)) if words else None) or {}
        if reasons["confidence"] is not None:
            call.note(explain__confidence=reasons["confidence"])
        return Explanation(
            phase=Phase.PRE,
            at=self._teller.clock.wall(),
            agent=(run.agent if run and run.agent else self._teller.agent),
            tool=call.name,
            call_id=call.id,
            parent_id=call.parent.id if call.parent is not None else None,
            traceparent=call.traceparent,
            run=run.path if run else (),
            tenant=run.tenant if run else None,
            user=run.user if run else None,
            reasoning=shown.get("reasoning"),
            confidence=reasons["confidence"],
            alternatives=tuple(shown.get("alternatives") or ()),
            inputs=inputs or {},
            trouble=tuple(self._trouble),
        )

    async def _asked(self, name: str, given: Callable[..., Any], selectors: Mapping[str, Selector]) -> Any:
        call = self._call
        try:
            if name in selectors:
                answer = call.target.binder.call_with(selectors[name], call.args, call.kwargs)
            else:
                answer = given(**call.arguments)
            return checked(name, await hook_result(answer, call, name))
        except Exception as error:  # noqa: BLE001 - explaining must not break a call
            self._trouble.append(f"{name} raised {said(error)}")
            return () if name == "alternatives" else None

    def after(self, before: Explanation, outcome: Outcome, duration: float) -> Explanation:
        """Return the explanation after the action."""
        ending, value, error = _told(outcome)
        return evolve(
            before,
            phase=Phase.POST if error is None else Phase.ERROR,
            at=self._teller.clock.wall(),
            ending=ending,
            output=self._one("the output", "output", value),
            error=None if error is None else self._one("the error", "error", said(error)),
            decisions=tuple(self._decision(event) for event in self._call.events),
            duration=duration,
            trouble=tuple(self._trouble),
        )

    def _decision(self, event: Event) -> Decision:
        facts = self._seen(f"the facts of {type(event).__name__}", lambda: self._teller.small(_facts(event)))
        return Decision(source=event.source, event=type(event).__name__, facts=facts or {})

    def _one(self, what: str, name: str, value: Any) -> Any:
        shown = self._seen(what, lambda: self._teller.small({name: value}))
        return None if shown is None else shown.get(name)

    def _seen(self, what: str, look: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        try:
            return look()
        except Exception as error:  # noqa: BLE001 - explaining must not break a call
            self._trouble.append(f"{what} cannot be shown: {said(error)}")
            return None


def _facts(event: Event) -> dict[str, Any]:
    names = [one.name for one in fields(type(event)) if one.name not in {"source", "at"}]
    return {name: getattr(event, name) for name in names}


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

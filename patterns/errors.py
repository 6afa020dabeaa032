"""Every error the library raises, as one tree.

::

    PatternsError
    ├─ Refused                  the call did not run; nothing happened
    │  ├─ CircuitOpen           the dependency is cut off; ``retry_after``
    │  ├─ ActionBlocked         the measured impact is too high; ``assessment``
    │  ├─ ApprovalPending       a person has not decided yet
    │  ├─ ApprovalDenied        a person said no
    │  ├─ ApprovalExpired       the decision came too late or ran out
    │  ├─ NotFinal              no consensus yet; ``case``, ``state``
    │  ├─ InFlight              somebody else runs this very effect; ``holder``, ``until``
    │  ├─ KeyConflict           same key, other arguments
    │  ├─ LoopDetected          the agent repeats itself
    │  ├─ BudgetExceeded        no money, tokens, steps or time left
    │  ├─ RateLimited           too many calls; ``retry_after``
    │  └─ StoreUnavailable      the store cannot decide, so the call is not made
    ├─ EffectFailed             a recorded failure, replayed
    ├─ ResultUnavailable        it succeeded before, but its result could not be recorded
    ├─ NotPerformed             raised by a tool: nothing happened, the call may be made again
    ├─ InDoubt                  it may have run; carries the effect and how to resolve it
    ├─ RollbackIncomplete       which undos failed
    ├─ AuditError               the audit log cannot be written or read
    │  └─ LogTampered           the audit log does not verify
    └─ Misuse (TypeError)       wrong use; shows the wrong and the right line
       └─ ScopeRequired         once without a run or a key

Each error keeps its facts as attributes (its keyword arguments), is one line
of text for a person, and offers ``for_model()``, a short text for a model.
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn, Self

__all__ = [
    "ActionBlocked",
    "ApprovalDenied",
    "ApprovalExpired",
    "ApprovalPending",
    "AuditError",
    "BudgetExceeded",
    "CircuitOpen",
    "EffectFailed",
    "InDoubt",
    "InFlight",
    "KeyConflict",
    "LogTampered",
    "LoopDetected",
    "Misuse",
    "NotFinal",
    "NotPerformed",
    "PatternsError",
    "RateLimited",
    "Refused",
    "ResultUnavailable",
    "RollbackIncomplete",
    "ScopeRequired",
    "StoreUnavailable",
]


class PatternsError(Exception):
    """Root of all errors of this library.

    Args:
        text: One line for a person.
        call: Name of the guarded call the error speaks of, if known.
        facts: Kept as attributes of the same names.

    """

    advice: ClassVar[str] = "Report this to a person."

    def __init__(self, text: str, /, *, call: str | None = None, **facts: Any) -> None:
        super().__init__(text)
        self.text = text
        self.call = call
        self._names = tuple(facts)
        self.__dict__.update(facts)

    @property
    def facts(self) -> dict[str, Any]:
        """The keyword arguments it was made with, by name."""
        return {name: self.__dict__[name] for name in self._names}

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.text, self.call, self.facts)

    def __str__(self) -> str:
        return self.text

    def for_model(self) -> str:
        """Return a short text that tells a model what happened and what to do."""
        return f"{_sentence(self.text)} {self.advice}"


def _sentence(text: str) -> str:
    """Return *text* with one full stop at its end; dots that stand for something are kept."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _rebuild(kind: type[PatternsError], text: str, call: str | None, facts: dict[str, Any]) -> PatternsError:
    return kind(text, call=call, **facts)


_new = BaseException.__new__


class Refused(PatternsError):
    """The call did not run and nothing happened."""

    advice = "The action was not performed. Do not repeat the same call; choose another way or ask a person."
    retry_after: float | None = None

    def again(self, call: str | None, retry_after: float | None) -> Self:
        """Return a new refusal with the same text and facts, at a third of the price of building one.

        Args:
            call: Name of the call that is refused now.
            retry_after: Seconds until it may be worth calling again; this one must have been made with some or None.

        """
        error = _new(self.__class__, self.text)
        facts = error.__dict__ = self.__dict__.copy()
        facts["call"] = call
        facts["retry_after"] = retry_after
        return error


_SOON = 10.0


class _RefusedForNow(Refused):
    def for_model(self) -> str:
        if self.retry_after is None:
            return super().for_model()
        name = self.call or "the tool"
        reason = self.text.removesuffix(".")
        wait = f"{self.retry_after:.0f}" if self.retry_after >= _SOON else f"{self.retry_after:.1f}"
        return f"{name} is unavailable for {wait} s because {reason}. Do not call it again before."


class CircuitOpen(_RefusedForNow):
    """The circuit breaker is open; ``retry_after`` says in how many seconds it may let a probe through."""

    breaker: str
    state: str


class ActionBlocked(Refused):
    """The impact gate blocked the call; ``assessment`` holds what was measured."""

    assessment: Any
    advice = "The action was not performed. Propose a smaller or reversible action, or ask a person."


class ApprovalPending(Refused):
    """The call waits for a person; call again with the same arguments after the decision."""

    approval_id: str
    advice = "The action waits for a person. Go on with other work and call again with the same arguments later."


class ApprovalDenied(Refused):
    """A person rejected the call; ``reason`` holds their words."""

    approval_id: str
    reason: str
    advice = "A person rejected this action. Do not try it again; ask what they would accept."


class ApprovalExpired(Refused):
    """The approval, or the time to give it, ran out."""

    approval_id: str
    advice = "The approval ran out before the action was performed. Ask again if it is still needed."


class NotFinal(Refused):
    """The case is not final, so nothing may be executed; ``case`` and ``state`` say where it stands."""

    case: str
    state: str
    advice = "The sources do not agree yet. Wait for more signals."


class InFlight(Refused):
    """Another caller runs this very effect at this moment; ``holder`` and ``until`` say who and how long."""

    holder: str
    until: float | None
    advice = "The same action is being performed at this moment. Wait for its result; do not start it again."


class KeyConflict(Refused):
    """The idempotency key was used before with other arguments."""

    key: str
    advice = "The action was not performed: its key belongs to a different action. Only a new action gets a new key."


class LoopDetected(Refused):
    """The agent makes the same steps again without progress."""

    advice = "You are repeating yourself without progress. Change the approach or ask a person."


class BudgetExceeded(Refused):
    """The budget for money, tokens, steps, calls or time is used up."""

    advice = "The budget is used up. Finish with what you have and report it."


class RateLimited(_RefusedForNow):
    """Too many calls in the period; ``retry_after`` is in seconds."""


class StoreUnavailable(Refused):
    """The store cannot be read or written, so the guard cannot decide and the call is not made."""

    advice = "The safety store is unavailable, so the action was not performed. Report this to a person."


class EffectFailed(PatternsError):
    """A recorded failure of an earlier run, handed out again; the original type could not be rebuilt."""

    effect_id: str
    error_type: str
    advice = "The action failed before and was not tried again. Effects before the error may have happened."


class ResultUnavailable(PatternsError):
    """The effect succeeded before and is not repeated, but its result cannot be handed out; ``reason`` says why."""

    effect_id: str
    reason: str
    advice = "The action was performed successfully before. Do not repeat it; only its result is lost."


class NotPerformed(PatternsError):
    """For a tool to raise: nothing happened and nothing will, so the call may be made again."""

    advice = "The action was not performed. It may be tried again."


class InDoubt(PatternsError):
    """The effect may or may not have happened; it is not run again until that is resolved."""

    effect_id: str
    key: str
    advice = "It is unknown whether the action was performed. Do not repeat it; a person must find out."


class RollbackIncomplete(PatternsError):
    """Some undo hooks failed; ``failures`` maps each action to its error."""

    failures: tuple[tuple[str, BaseException], ...]
    advice = "Not everything could be undone. A person must finish it."


class AuditError(PatternsError):
    """The audit log cannot be written or read, so the guarded call is not made."""

    advice = "What cannot be recorded is not performed. Report this to a person."


class LogTampered(AuditError):
    """The audit log does not verify; ``index`` is the first bad entry if known."""

    index: int | None


class Misuse(PatternsError, TypeError):
    """Wrong use of the library; the text shows the wrong line and the right one."""

    advice = "This is a mistake in the program, not in the request."

    def for_model(self) -> str:
        """Return the problem alone; the wrong and the right line are for the programmer."""
        return f"{_sentence(str(self.facts.get('problem', self.text)))} {self.advice}"

    @classmethod
    def shown(cls, problem: str, *, wrong: str, right: str) -> Misuse:
        """Build the error from the problem, the wrong line and the right line."""
        return cls(f"{problem}\n    wrong: {wrong}\n    right: {right}", problem=problem, wrong=wrong, right=right)


class ScopeRequired(Misuse):
    """An effect without a key needs a run, or identical calls of different days would be one effect."""


def misuse(problem: str, *, wrong: str, right: str) -> NoReturn:
    """Raise `Misuse` with the wrong and the right line."""
    raise Misuse.shown(problem, wrong=wrong, right=right)

"""What may happen to an action that can be undone, and what undoing means; pure.

Theory of operation
-------------------
An action is written down **before** it runs, so that nothing which happened
can be missing from the log, and it is told how it ended:

==========  ============================================  =========================
state       what is known of the effect                   what a rollback does
==========  ============================================  =========================
PENDING     a planned step of a saga, not begun           nothing
RUNNING     it is under way                               leaves it, and says so
DONE        it happened                                   compensates
FAILED      it ran and raised; parts may have happened    by policy `raised`
IN_DOUBT    cut short or timed out: it may have happened  asks `resolve` if there is
                                                          one, then by `in_doubt`
REFUSED     it did not run                                nothing
REPLAYED    it did not run now; the run that did run it   nothing
            wrote it down
UNDOING     a rollback is at it, and no other may be      leaves it, and says so
UNDONE      its undo returned                             nothing
SKIPPED     there was nothing to undo                     nothing
PARKED      its undo failed or must not be tried blindly  tries again, unless that undo
                                                          may have happened
DISMISSED   a person took care of it                      nothing
==========  ============================================  =========================

An undo that needs the result of its action cannot be called without one. For
an action that raised an ordinary error that means there is nothing to undo;
for one in doubt it means that a person has to look, so it is parked.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

from attrs import evolve, frozen

from patterns.errors import InDoubt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "FORGETTABLE",
    "MOVES",
    "OPEN",
    "Action",
    "ActionState",
    "Happened",
    "IllegalMove",
    "Policies",
    "Policy",
    "SagaStatus",
    "Verdict",
    "after_attempts",
    "answered",
    "can_be_taken",
    "is_ambiguous",
    "judge",
    "moved",
    "plan",
    "resolved",
    "saga_status",
]

Policy = Literal["compensate", "park", "skip"]


class ActionState(Enum):
    """Where an action stands; the table is in the module's text."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"
    REFUSED = "refused"
    REPLAYED = "replayed"
    UNDOING = "undoing"
    UNDONE = "undone"
    SKIPPED = "skipped"
    PARKED = "parked"
    DISMISSED = "dismissed"


_S = ActionState

MOVES: Mapping[ActionState, frozenset[ActionState]] = {
    _S.PENDING: frozenset({_S.RUNNING}),
    _S.RUNNING: frozenset({_S.DONE, _S.FAILED, _S.IN_DOUBT, _S.REFUSED, _S.REPLAYED}),
    _S.DONE: frozenset({_S.UNDOING, _S.DISMISSED}),
    _S.FAILED: frozenset({_S.UNDOING, _S.DISMISSED}),
    _S.IN_DOUBT: frozenset({_S.UNDOING, _S.DISMISSED}),
    _S.PARKED: frozenset({_S.UNDOING, _S.DISMISSED}),
    _S.UNDOING: frozenset({_S.UNDONE, _S.SKIPPED, _S.PARKED}),
    _S.REFUSED: frozenset(),
    _S.REPLAYED: frozenset(),
    _S.UNDONE: frozenset(),
    _S.SKIPPED: frozenset(),
    _S.DISMISSED: frozenset(),
}
"""Every legal move; whatever is not here is a mistake in this library."""

OPEN = frozenset({_S.RUNNING, _S.DONE, _S.FAILED, _S.IN_DOUBT, _S.UNDOING, _S.PARKED})
"""States in which a rollback still has something to do or to wait for."""


FORGETTABLE = frozenset({_S.DONE, _S.FAILED, _S.IN_DOUBT, _S.SKIPPED})
"""States in which an action may become final; what is under way or parked is never forgotten."""


class IllegalMove(Exception):
    """An action was moved where it cannot go: a mistake in this library, never of its user."""


@frozen(kw_only=True)
class Policies:
    """What a rollback does with an action that did not simply return.

    Args:
        raised: For one that ran and raised.
        in_doubt: For one that was cancelled, interrupted, closed early or timed out.
        needs_result: Whether the undo cannot be called without the action's result.
        has_undo: Whether there is an undo at all.
        repeatable: Whether an undo that may have happened can simply be run again.

    """

    raised: Policy = "compensate"
    in_doubt: Policy = "compensate"
    needs_result: bool = False
    has_undo: bool = True
    repeatable: bool = False


@frozen(kw_only=True)
class Action:
    """One entry of the undo log.

    Args:
        id: Unique; stable over restarts where the log is durable.
        name: The function's or step's name.
        position: Its place in the log; undone in falling order.
        arguments: The call's arguments by name, as they were when it began.
        policies: How it is undone.
        state: Where it stands.
        ended: How it ended before anything was undone; None while it runs.
        result: What it returned; None if it did not, see `has_result`.
        has_result: Whether it returned.
        error: What it raised.
        undo_error: Why it is parked.
        undo_in_doubt: Whether its failed undo may have happened all the same.
        attempts: How often it was tried.
        idempotency_key: The key its effect was made under; its undo gets it.
        group: Actions of one parallel group share a number; undone together.
        started: When it began, seconds since 1970-01-01 UTC.
        duration: Seconds it took.

    """

    id: str
    name: str
    position: int
    arguments: Mapping[str, Any]
    policies: Policies
    state: ActionState = ActionState.RUNNING
    ended: ActionState | None = None
    result: Any = None
    has_result: bool = False
    error: BaseException | None = None
    undo_error: BaseException | None = None
    undo_in_doubt: bool = False
    attempts: int = 0
    idempotency_key: str
    group: int
    started: float
    duration: float | None = None


def moved(action: Action, to: ActionState, **facts: Any) -> Action:
    """Return *action* in the state *to*, with *facts* changed.

    Raises:
        IllegalMove: The table has no such move.

    """
    if to not in MOVES[action.state]:
        raise IllegalMove(f"{action.name} cannot go from {action.state.value} to {to.value}")
    ended = to if action.state is ActionState.RUNNING else action.ended
    return evolve(action, state=to, ended=ended, **facts)


def is_ambiguous(error: BaseException) -> bool:
    """Whether what raised *error* may have happened all the same: time-outs, lost connections, interruptions."""
    return isinstance(error, (TimeoutError, ConnectionError, InDoubt)) or not isinstance(error, Exception)


def after_attempts(before: ActionState | None, last: ActionState) -> ActionState:
    """Return how an action ended that was tried again: what an earlier attempt may have left is not forgotten."""
    if last in {ActionState.REFUSED, ActionState.REPLAYED} and before is not None:
        return before
    if last is ActionState.FAILED and before is ActionState.IN_DOUBT:
        return before
    return last


class Verdict(Enum):
    """What a rollback is to do with an action it has taken."""

    COMPENSATE = "compensate"
    ASK = "ask"
    SKIP = "skip"
    PARK = "park"


@frozen
class Happened:
    """What a ``resolve`` function returns when the action did happen and its result is known."""

    result: Any


def can_be_taken(action: Action) -> bool:
    """Whether a rollback may take *action*: there is something to do, and nobody is at it."""
    return ActionState.UNDOING in MOVES[action.state]


def judge(action: Action, *, can_ask: bool) -> Verdict:
    """Return what a rollback does with *action*; *can_ask* says whether it has a ``resolve`` function."""
    if not action.policies.has_undo:
        return Verdict.SKIP
    if action.undo_in_doubt and not action.policies.repeatable:
        return Verdict.PARK
    if action.has_result:
        return Verdict.COMPENSATE
    if action.ended is ActionState.IN_DOUBT:
        return Verdict.ASK if can_ask else _without_result(action, action.policies.in_doubt, unknown=Verdict.PARK)
    if action.ended is ActionState.DONE:
        return _without_result(action, "compensate", unknown=Verdict.PARK)
    return _without_result(action, action.policies.raised, unknown=Verdict.SKIP)


def _without_result(action: Action, policy: Policy, *, unknown: Verdict) -> Verdict:
    if policy == "compensate" and action.policies.needs_result:
        return unknown
    return Verdict(policy)


def answered(action: Action, answer: object) -> Verdict:
    """Return what to do once ``resolve`` gave *answer*: False, True, None (not known) or `Happened`."""
    if answer is False:
        return Verdict.SKIP
    if isinstance(answer, Happened):
        return Verdict.COMPENSATE
    if answer is True:
        return _without_result(action, "compensate", unknown=Verdict.PARK)
    return Verdict.PARK


def resolved(action: Action, answer: object) -> Action:
    """Return *action* with what *answer* tells of its result."""
    if isinstance(answer, Happened):
        return evolve(action, ended=ActionState.DONE, result=answer.result, has_result=True)
    return action


def plan(actions: Iterable[Action]) -> tuple[tuple[Action, ...], ...]:
    """Return the open ones among *actions*, last first; those of one parallel group stand together."""
    groups: dict[int, list[Action]] = {}
    for action in sorted(actions, key=lambda one: one.position, reverse=True):
        if action.state in OPEN:
            groups.setdefault(action.group, []).append(action)
    return tuple(tuple(group) for group in groups.values())


class SagaStatus(Enum):
    """How a saga stands."""

    RUNNING = "running"
    SUCCESS = "success"
    COMPENSATED = "compensated"
    COMPENSATION_FAILED = "compensation_failed"


def saga_status(actions: Sequence[Action], *, over: bool, failed: bool) -> SagaStatus:
    """Return how a saga stands whose block is *over* and *failed* or not."""
    if not over:
        return SagaStatus.RUNNING
    if not failed:
        return SagaStatus.SUCCESS
    left = any(action.state in OPEN for action in actions)
    return SagaStatus.COMPENSATION_FAILED if left else SagaStatus.COMPENSATED

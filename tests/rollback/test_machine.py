"""The rules of undoing, without anything that is undone."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patterns.errors import InDoubt, Refused
from patterns.rollback.machine import (
    FORGETTABLE,
    MOVES,
    OPEN,
    Action,
    ActionState,
    Happened,
    IllegalMove,
    Policies,
    SagaStatus,
    Verdict,
    after_attempts,
    answered,
    can_be_taken,
    is_ambiguous,
    judge,
    moved,
    plan,
    resolved,
    saga_status,
)

S = ActionState


def action(position: int = 0, *, group: int | None = None, state: ActionState = S.RUNNING, **facts) -> Action:
    """Return an action."""
    return Action(
        id=f"act_{position}",
        name="charge",
        position=position,
        arguments={},
        policies=facts.pop("policies", Policies()),
        idempotency_key=f"act_{position}",
        group=position if group is None else group,
        started=0.0,
        state=state,
        **facts,
    )


def ended(state: ActionState, **policies) -> Action:
    """Return an action that ended in *state*."""
    facts = {"result": 1, "has_result": True} if state is S.DONE else {"error": ValueError("no")}
    return moved(action(policies=Policies(**policies)), state, **facts)


@given(st.sampled_from(list(S)), st.sampled_from(list(S)))
def test_only_the_moves_of_the_table_are_possible(before, after):
    """Every other move is refused."""
    one = action(state=before)
    if after in MOVES[before]:
        assert after is moved(one, after).state
    else:
        with pytest.raises(IllegalMove, match=f"from {before.value} to {after.value}"):
            moved(one, after)


def test_every_state_is_in_the_table():
    """The table is total, and every state but the first can be reached from it."""
    assert set(S) == set(MOVES)
    reached, new = {S.PENDING}, {S.PENDING}
    while new := {after for before in new for after in MOVES[before]} - reached:
        reached |= new
    assert set(S) == reached


def test_what_is_open_can_still_move_and_the_rest_cannot():
    """A state is open exactly if a rollback has something to do, or somebody is at work; nothing closed moves."""
    assert {S.REFUSED, S.REPLAYED, S.UNDONE, S.SKIPPED, S.DISMISSED} == {state for state in S if not MOVES[state]}
    assert {state for state in S if MOVES[state]} - {S.PENDING} == OPEN
    assert {S.DONE, S.FAILED, S.IN_DOUBT, S.PARKED} == {state for state in S if can_be_taken(action(state=state))}
    assert not FORGETTABLE & {S.RUNNING, S.UNDOING, S.PARKED}


def test_a_returned_action_is_compensated():
    """Whatever the policies say of other ends."""
    assert Verdict.COMPENSATE is judge(ended(S.DONE, raised="park", in_doubt="skip", needs_result=True), can_ask=True)


@pytest.mark.parametrize("policy", ["compensate", "park", "skip"])
def test_policies_decide_about_what_raised_or_is_in_doubt(policy):
    """`raised` speaks of the one, `in_doubt` of the other."""
    assert Verdict(policy) is judge(ended(S.FAILED, raised=policy, in_doubt="skip"), can_ask=False)
    assert Verdict(policy) is judge(ended(S.IN_DOUBT, in_doubt=policy, raised="skip"), can_ask=False)


def test_an_undo_that_needs_a_result_is_not_called_without_one():
    """After an ordinary error there is nothing to undo; in doubt a person has to look."""
    assert Verdict.SKIP is judge(ended(S.FAILED, needs_result=True), can_ask=False)
    assert Verdict.PARK is judge(ended(S.IN_DOUBT, needs_result=True), can_ask=False)


def test_doubt_is_resolved_before_it_is_compensated():
    """A resolve function is asked first, whatever the policy."""
    for policy in ("compensate", "park", "skip"):
        assert Verdict.ASK is judge(ended(S.IN_DOUBT, in_doubt=policy), can_ask=True)
    assert Verdict.COMPENSATE is judge(ended(S.FAILED), can_ask=True)


@pytest.mark.parametrize(
    ("answer", "needs_result", "verdict"),
    [
        (False, False, Verdict.SKIP),
        (True, False, Verdict.COMPENSATE),
        (True, True, Verdict.PARK),
        (Happened(7), True, Verdict.COMPENSATE),
        (None, False, Verdict.PARK),
        ("yes", False, Verdict.PARK),
    ],
)
def test_an_answer_decides(answer, needs_result, verdict):
    """Only a clear answer does; a truthy one that is none is no answer."""
    one = ended(S.IN_DOUBT, needs_result=needs_result)
    assert verdict is answered(one, answer)
    assert (isinstance(answer, Happened), 7 if isinstance(answer, Happened) else None) == (
        resolved(one, answer).has_result,
        resolved(one, answer).result,
    )


def test_an_undo_in_doubt_is_repeated_only_if_it_may_be():
    """Refunding twice is worse than asking a person."""
    once = ended(S.DONE)
    parked = moved(moved(once, S.UNDOING), S.PARKED, undo_in_doubt=True)
    assert Verdict.PARK is judge(parked, can_ask=False)
    again = ended(S.DONE, repeatable=True)
    assert Verdict.COMPENSATE is judge(moved(moved(again, S.UNDOING), S.PARKED, undo_in_doubt=True), can_ask=False)


def test_no_undo_is_no_problem():
    """What has no undo is skipped, however it ended."""
    for state in (S.DONE, S.FAILED, S.IN_DOUBT):
        assert Verdict.SKIP is judge(ended(state, has_undo=False), can_ask=False)


@pytest.mark.parametrize(
    ("error", "ambiguous"),
    [
        (TimeoutError(), True),
        (ConnectionResetError(), True),
        (InDoubt("?"), True),
        (KeyboardInterrupt(), True),
        (ValueError(), False),
        (Refused("no"), False),
    ],
)
def test_some_errors_leave_doubt(error, ambiguous):
    """Time-outs, lost connections and interruptions may hide an effect."""
    assert ambiguous is is_ambiguous(error)


def test_a_later_attempt_does_not_hide_an_earlier_one():
    """What may have happened in the first attempt is not undone by a second that was refused or merely failed."""
    ends = (S.DONE, S.FAILED, S.IN_DOUBT, S.REFUSED, S.REPLAYED)
    for before, last in itertools.product((None, S.FAILED, S.IN_DOUBT), ends):
        now = after_attempts(before, last)
        if last is S.DONE or before is None:
            assert last is now
        elif before is S.IN_DOUBT:
            assert S.IN_DOUBT is now
        else:
            assert (S.IN_DOUBT if last is S.IN_DOUBT else S.FAILED) is now


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([S.DONE, S.UNDONE, S.FAILED])), max_size=12))
def test_a_plan_is_the_open_actions_backwards(made):
    """Each open action once, last first; a group stands together."""
    actions, position = [], 0
    for size, state in made:
        actions += [action(position + index, group=position, state=state) for index in range(size)]
        position += size
    planned = [one.position for group in plan(actions) for one in group]
    assert [one.position for one in reversed(actions) if one.state in OPEN] == planned
    assert all(len({one.group for one in group}) == 1 for group in plan(actions))


def test_the_status_of_a_saga():
    """Running, then done, compensated, or not quite."""
    undone, parked = action(state=S.UNDONE), action(1, state=S.PARKED)
    assert SagaStatus.RUNNING is saga_status([undone], over=False, failed=True)
    assert SagaStatus.SUCCESS is saga_status([action(state=S.DONE)], over=True, failed=False)
    assert SagaStatus.COMPENSATED is saga_status([undone], over=True, failed=True)
    assert SagaStatus.COMPENSATION_FAILED is saga_status([undone, parked], over=True, failed=True)

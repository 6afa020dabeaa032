"""The rules one by one; what they mean together is explored in test_model.py."""

from __future__ import annotations

import itertools

import pytest
from attrs import evolve, fields

from patterns.ledger.machine import step
from patterns.ledger.operations import (
    OPERATIONS,
    Approve,
    Ask,
    Cancel,
    Claim,
    Decide,
    Doubt,
    Fail,
    Free,
    Gone,
    Moved,
    News,
    Reason,
    Refusal,
    Settle,
    TakeBack,
    Verdict,
)
from patterns.ledger.record import Guarantee, Identity, Record, State

WHICH = Identity(
    id="place/pay/1",
    tool="shop.pay",
    key=None,
    tenant="acme",
    run=("r",),
    distinct=(),
    fingerprint="k1:a",
    guarantee="at_most_once",
)
OTHER = evolve(WHICH, fingerprint="k1:b")
MINE = {"fence": 1, "owner": "me"}

CLAIM = Claim(identity=WHICH, owner="me", trace="00-1-2-01")
SETTLE = Settle(**MINE, result="1")
FAIL = Fail(**MINE, error={"text": "no"})
FREE = Free(**MINE, error={"text": "not now"})
DOUBT = Doubt(**MINE, why="time-out")
BACK = TakeBack(**MINE)
GONE = Gone(owner="me")


def decide(verdict: Verdict, *, force: bool = False) -> Decide:
    """Return a decision."""
    return Decide(verdict=verdict, by="ann", note="looked", result="2", error={"text": "no"}, force=force)


HAPPENED, FAILED, RETRY, GIVEN_UP = (decide(verdict) for verdict in Verdict)
EVERY = [
    Ask(identity=WHICH, approval="a"),
    Approve(approval="a"),
    Cancel(by="ann", note="not wanted"),
    CLAIM,
    BACK,
    SETTLE,
    FAIL,
    FREE,
    DOUBT,
    GONE,
    HAPPENED,
]


def after(*operations, start: Record | None = None) -> Record | None:
    """Return the record after *operations*, none of which is refused."""
    record = start
    for now, operation in enumerate(operations, start=1):
        answer = step(record, operation, float(now))
        assert isinstance(answer, Moved), (operation, answer)
        record = answer.record
    return record


STATES: dict[State | None, Record | None] = {
    None: None,
    State.PENDING: after(EVERY[0]),
    State.READY: after(CLAIM, FREE),
    State.RUNNING: after(CLAIM),
    State.DONE: after(CLAIM, SETTLE),
    State.FAILED: after(CLAIM, FAIL),
    State.IN_DOUBT: after(CLAIM, DOUBT),
    State.VOID: after(EVERY[0], EVERY[2]),
}


def test_the_table_is_total():
    """Every operation has an answer in every state, and no answer leaves the seven states."""
    assert set(OPERATIONS) == {type(operation) for operation in EVERY}
    for record, operation in itertools.product(STATES.values(), EVERY):
        answer = step(record, operation, 9.0)
        if isinstance(answer, Moved):
            assert answer.record is None or isinstance(answer.record.state, State)
        else:
            assert isinstance(answer.reason, Reason)


def test_each_state_is_reached():
    """The operations lead everywhere."""
    assert {name: name for name in STATES} == {
        name: None if record is None else record.state for name, record in STATES.items()
    }


TABLE = {
    None: (State.RUNNING, Reason.UNKNOWN, Reason.UNKNOWN, Reason.UNKNOWN, Reason.UNKNOWN, Reason.UNKNOWN),
    State.PENDING: (Reason.PENDING, News.LATE, News.LATE, News.LATE, Reason.ILLEGAL, Reason.ILLEGAL),
    State.READY: (State.RUNNING, News.LATE, News.LATE, News.LATE, Reason.ILLEGAL, Reason.ILLEGAL),
    State.RUNNING: (Reason.RUNNING, State.DONE, State.FAILED, State.IN_DOUBT, State.IN_DOUBT, Reason.NOT_OVER),
    State.DONE: (Reason.SETTLED, News.LATE, News.LATE, News.LATE, Reason.ILLEGAL, Reason.SETTLED),
    State.FAILED: (Reason.SETTLED, News.LATE, News.LATE, News.LATE, Reason.ILLEGAL, Reason.SETTLED),
    State.IN_DOUBT: (Reason.IN_DOUBT, State.DONE, State.FAILED, State.IN_DOUBT, Reason.ILLEGAL, State.DONE),
    State.VOID: (Reason.SETTLED, News.LATE, News.LATE, News.LATE, Reason.ILLEGAL, Reason.SETTLED),
}


@pytest.mark.parametrize("state", STATES)
def test_the_table_says_what_the_docstring_says(state):
    """Claim, Settle, Fail, Doubt, Gone and a decision, in every state."""
    answers = [step(STATES[state], operation, 9.0) for operation in (CLAIM, SETTLE, FAIL, DOUBT, GONE, HAPPENED)]
    found = [
        answer.reason
        if isinstance(answer, Refusal)
        else answer.news
        if answer.news is News.LATE
        else answer.record.state
        for answer in answers
    ]
    assert list(TABLE[state]) == found


@pytest.mark.parametrize("state", [state for state in STATES if state not in {None, State.READY}])
def test_other_arguments_are_a_conflict(state):
    """A key never stands for two calls."""
    answer = step(STATES[state], Claim(identity=OTHER, owner="you"), 9.0)
    assert Refusal(Reason.CONFLICT) == answer


def test_a_free_key_takes_other_arguments_but_an_approval_does_not():
    """Nothing happened under a free key; an approval is for one call."""
    claim = Claim(identity=OTHER, owner="you")
    assert OTHER == after(claim, start=STATES[State.READY]).identity
    approved = after(EVERY[0], EVERY[1])
    assert Refusal(Reason.CONFLICT) == step(approved, claim, 9.0)
    assert State.RUNNING is after(CLAIM, start=approved).state


def test_every_attempt_has_a_higher_fence():
    """A fence is never used twice, so nobody can be taken for somebody else."""
    record = after(CLAIM, FREE, CLAIM)
    assert (2, State.RUNNING) == (record.fence, record.state)
    late = step(record, SETTLE, 9.0)
    assert (News.LATE, State.RUNNING) == (late.news, late.record.state)
    assert {"at": 9.0, "fence": 1, "owner": "me", "outcome": "done", "result": "1"} == late.record.late[0]


@pytest.mark.parametrize("report", [SETTLE, FAIL, FREE, DOUBT])
def test_late_reports_are_kept_and_change_nothing_else(report):
    """Evidence is neither dropped nor believed."""
    done = after(CLAIM, SETTLE)
    answer = step(done, report, 9.0)
    assert News.LATE is answer.news
    assert done == evolve(answer.record, late=())
    assert 1 == len(answer.record.late)


def test_evidence_does_not_grow_without_end():
    """The first reports tell what went wrong."""
    record = after(CLAIM, SETTLE, *[FAIL] * 50)
    assert (20, "failed") == (len(record.late), record.late[0]["outcome"])


def test_a_slow_owner_that_was_given_up_for_dead_is_believed():
    """The same attempt's own report is the truth."""
    suspected = after(CLAIM, Gone(owner="me", proven=False))
    assert (State.IN_DOUBT, False) == (suspected.state, suspected.over)
    assert State.DONE is after(SETTLE, start=suspected).state
    assert State.READY is after(FREE, start=suspected).state


def test_a_retry_needs_proof_that_the_attempt_is_over():
    """A suspicion is none; proof may come later; a person may insist."""
    suspected = after(CLAIM, Gone(owner="me", proven=False))
    assert Refusal(Reason.NOT_OVER) == step(suspected, RETRY, 9.0)
    assert State.READY is after(GONE, RETRY, start=suspected).state
    forced = after(decide(Verdict.DID_NOT_HAPPEN, force=True), start=suspected)
    assert (State.READY, "did_not_happen (forced)") == (forced.state, forced.notes[0]["what"])


def test_what_a_forced_retry_overtook_is_believed_until_the_next_attempt():
    """Then the effect happened once, and is not run again."""
    forced = after(CLAIM, decide(Verdict.DID_NOT_HAPPEN, force=True))
    assert State.DONE is after(SETTLE, start=forced).state
    assert State.FAILED is after(FAIL, start=forced).state
    again = after(Claim(identity=WHICH, owner="you"), start=forced)
    assert News.LATE is step(again, SETTLE, 9.0).news


def test_decisions_are_noted():
    """Who decided what, when and why."""
    record = after(CLAIM, DOUBT, HAPPENED)
    note = {"at": 3.0, "what": "happened", "by": "ann", "note": "looked"}
    assert (State.DONE, "2", (note,)) == (record.state, record.result, record.notes)
    assert State.FAILED is after(CLAIM, DOUBT, FAILED).state
    assert State.VOID is after(CLAIM, DOUBT, GIVEN_UP).state


def test_a_claim_that_was_not_used_leaves_nothing():
    """Unless there was something before it."""
    assert after(CLAIM, BACK) is None
    again = after(CLAIM, FREE, CLAIM, TakeBack(fence=2, owner="me"))
    assert (State.READY, 2, None) == (again.state, again.fence, again.owner)
    approved = after(*EVERY[:2], CLAIM, BACK)
    assert (State.READY, "a") == (approved.state, approved.approval)
    assert Refusal(Reason.ILLEGAL) == step(after(CLAIM, SETTLE), BACK, 9.0)


KEYED = evolve(WHICH, guarantee="keyed:10")
REPEATABLE = evolve(WHICH, guarantee="repeatable")


def test_a_keyed_effect_is_repeated_within_its_window():
    """The provider tells repetitions, as long as it remembers the key, counted from the first attempt."""
    doubtful = after(Claim(identity=KEYED, owner="me"), DOUBT)
    again = Claim(identity=KEYED, owner="you")
    repeated = step(doubtful, again, 10.9).record
    assert (State.RUNNING, 2, True, 1.0) == (repeated.state, repeated.fence, repeated.repeats, repeated.first)
    assert Refusal(Reason.IN_DOUBT) == step(doubtful, again, 11.0)
    assert Refusal(Reason.IN_DOUBT) == step(doubtful, again, 0.5)


def test_a_repetition_says_nothing_of_the_attempt_before_it():
    """If it did not happen, the effect is as doubtful as it was."""
    doubtful = after(Claim(identity=REPEATABLE, owner="me"), DOUBT)
    repeated = after(Claim(identity=REPEATABLE, owner="you"), start=doubtful)
    for report in (Free(fence=2, owner="you", error={}), TakeBack(fence=2, owner="you")):
        assert State.IN_DOUBT is after(report, start=repeated).state
    assert State.DONE is after(Settle(fence=2, owner="you", result="1"), start=repeated).state


def test_a_repetition_needs_both_promises_and_an_end():
    """What was begun without a key cannot be repeated with one, and not while it runs."""
    for first, second in [(WHICH, KEYED), (KEYED, WHICH), (REPEATABLE, KEYED)]:
        doubtful = after(Claim(identity=first, owner="me"), DOUBT)
        assert Refusal(Reason.IN_DOUBT) == step(doubtful, Claim(identity=second, owner="you"), 3.0)
    suspected = after(Claim(identity=KEYED, owner="me"), Gone(owner="me", proven=False))
    assert Refusal(Reason.IN_DOUBT) == step(suspected, Claim(identity=KEYED, owner="you"), 3.0)


@pytest.mark.parametrize("text", ["at_most_once", "repeatable", "keyed:86400", "keyed:0.5"])
def test_a_guarantee_survives_being_stamped(text):
    """Its text means itself."""
    assert text == Guarantee.of(text).text


def test_approvals_bind():
    """Only the approval that was asked for makes an effect ready, and a cancelled one never is."""
    pending = after(EVERY[0])
    assert Refusal(Reason.ILLEGAL) == step(pending, Approve(approval="b"), 9.0)
    assert Refusal(Reason.PENDING) == step(pending, EVERY[0], 9.0)
    void = after(EVERY[2], start=after(EVERY[1], start=pending))
    assert (State.VOID, "cancelled") == (void.state, void.notes[0]["what"])
    assert Refusal(Reason.ILLEGAL) == step(void, EVERY[1], 9.0)


def test_records_are_values():
    """Nothing a rule does changes what it was given."""
    for record in STATES.values():
        before = repr(record)
        for operation in EVERY:
            step(record, operation, 9.0)
        assert before == repr(record)
    assert "result" in {field.name for field in fields(Record)}

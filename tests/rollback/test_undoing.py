"""Undoing when it is not easy: failures, retries, doubt, competition."""

from __future__ import annotations

import asyncio
import threading

import pytest
import tenacity

from patterns.errors import InDoubt, InFlight, Misuse, Refused, RollbackIncomplete
from patterns.rollback import ActionDecided, ActionParked, ActionState, ActionUndone, RollbackManager, RolledBack


@pytest.fixture
def undo(clock) -> RollbackManager:
    """Return a manager on the manual clock."""
    return RollbackManager("bot", clock=clock)


def do(undo: RollbackManager, name: str, take_back, **options):
    """Do an action called *name* that *take_back* undoes."""
    with undo.step(name, undo=take_back, **options):
        pass


def states(undo: RollbackManager) -> dict[str, ActionState]:
    """Return the states by name."""
    return {action.name: action.state for action in undo.actions()}


class Flaky:
    """An undo that fails some times."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)


def test_the_others_go_on_where_one_fails(undo, world):
    """The failed one stays in the log and is named; the next rollback tries it again."""
    flaky = Flaky(ValueError("no"))
    do(undo, "first", lambda: world.story.append("first"))
    do(undo, "second", flaky)
    do(undo, "third", lambda: world.story.append("third"))
    with pytest.raises(RollbackIncomplete, match="could not undo 1 action: second: ValueError: no") as caught:
        undo.rollback_all()
    assert [("second", "no")] == [(name, str(error)) for name, error in caught.value.failures]
    assert ["third", "first"] == [action.name for action in caught.value.rollback.undone]
    assert {"second": ActionState.PARKED} == states(undo)
    undo.rollback_all()
    assert (2, {}, ["third", "first"]) == (flaky.calls, states(undo), world.story)


def test_a_failing_undo_is_retried_by_policy(clock):
    """On the injected clock, as often as the policy says, and then the last error is told."""
    policy = tenacity.Retrying(stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_fixed(10))
    undo = RollbackManager("bot", retry=policy, clock=clock)
    good = Flaky(OSError("1"), OSError("2"))
    do(undo, "good", good)
    undo.rollback_all()
    assert (3, [10, 10]) == (good.calls, clock.slept)
    bad = Flaky(OSError("1"), OSError("2"), OSError("3"), OSError("4"))
    do(undo, "bad", bad)
    with pytest.raises(RollbackIncomplete, match="OSError: 3"):
        undo.rollback_all()
    assert 3 == bad.calls


def test_an_action_may_have_a_policy_of_its_own(undo, clock):
    """Also one that stops after a time, and one for async undos."""
    flaky = Flaky(*[OSError(str(number)) for number in range(9)])

    async def take_back():
        flaky()

    policy = tenacity.Retrying(stop=tenacity.stop_after_delay(25), wait=tenacity.wait_fixed(10))
    do(undo, "slow", take_back, retry=policy)
    with pytest.raises(RollbackIncomplete):
        asyncio.run(undo.arollback_all())
    assert ([10, 10, 10], 4) == (clock.slept, flaky.calls)


def test_an_undo_in_doubt_is_not_repeated(undo):
    """It may have happened; a person decides, and then it goes on."""
    flaky = Flaky(TimeoutError("lost"))
    do(undo, "refund", flaky)
    for _ in range(3):
        with pytest.raises(RollbackIncomplete):
            undo.rollback_all()
    assert 1 == flaky.calls
    undo.reopen(undo.actions()[0].id, reason="the provider knows nothing of it")
    undo.rollback_all()
    assert (2, {}) == (flaky.calls, states(undo))


def test_a_repeatable_undo_in_doubt_is_repeated(undo):
    """The author says that it does no harm."""
    flaky = Flaky(TimeoutError("lost"))
    do(undo, "refund", flaky, repeatable=True)
    with pytest.raises(RollbackIncomplete):
        undo.rollback_all()
    undo.rollback_all()
    assert 2 == flaky.calls


def test_a_doubtful_undo_is_not_retried_by_policy_either(clock):
    """`InDoubt` says that it must not be; other errors are the policy's business."""
    undo = RollbackManager("bot", retry=tenacity.Retrying(stop=tenacity.stop_after_attempt(5)), clock=clock)
    flaky = Flaky(Refused("circuit open"), InDoubt("who knows"))
    do(undo, "refund", flaky)
    with pytest.raises(RollbackIncomplete, match="who knows"):
        undo.rollback_all()
    assert 2 == flaky.calls


def test_a_person_can_take_over(undo):
    """A dismissed action is left alone, and who listens hears why."""
    flaky, heard = Flaky(ValueError("no")), []
    undo.subscribe(heard.append)
    do(undo, "refund", flaky)
    with pytest.raises(RollbackIncomplete):
        undo.rollback_all()
    (action,) = undo.actions()
    undo.dismiss(action.id, reason="refunded by hand")
    undo.rollback_all()
    assert (1, {}) == (flaky.calls, states(undo))
    decided = [one for one in heard if isinstance(one, ActionDecided)]
    assert [("refund", "dismissed", "refunded by hand")] == [(d.action, d.decision, d.reason) for d in decided]


def test_decisions_need_a_reason_and_something_to_decide(undo):
    """The errors say what is possible."""
    do(undo, "refund", Flaky())
    (action,) = undo.actions()
    with pytest.raises(Misuse, match="needs a reason"):
        undo.dismiss(action.id, reason=" ")
    with pytest.raises(Misuse, match="no action 'act_x'"):
        undo.dismiss("act_x", reason="why not")
    with pytest.raises(Misuse, match="done, not parked"):
        undo.reopen(action.id, reason="why not")
    undo.dismiss(action.id, reason="it should stay")
    assert {} == states(undo)


def test_async_decisions_are_the_same(undo):
    """`adismiss` and `areopen`."""
    do(undo, "a", Flaky(TimeoutError()))
    do(undo, "b", Flaky(TimeoutError()))

    async def main():
        with pytest.raises(RollbackIncomplete):
            await undo.arollback_all()
        for action in await undo.aactions():
            await (undo.adismiss if action.name == "a" else undo.areopen)(action.id, reason="looked it up")
        await undo.arollback_all()
        return await undo.aactions()

    assert () == asyncio.run(main())


def test_events_tell_what_happened(undo):
    """Undone, parked, and the sum."""
    heard = []
    undo.subscribe(heard.append)
    do(undo, "good", Flaky())
    do(undo, "bad", Flaky(ValueError("no")))
    with pytest.raises(RollbackIncomplete):
        undo.rollback_all()
    assert [ActionParked, ActionUndone, RolledBack] == [type(event) for event in heard]
    assert ("bad", "ValueError: no") == (heard[0].action, heard[0].error)
    assert (1, 1) == (heard[2].undone, heard[2].failed)


def test_a_listener_cannot_break_a_rollback(undo, world, caplog):
    """Its error is logged, the undo counts."""
    undo.subscribe(lambda event: 1 / 0)
    do(undo, "good", lambda: world.story.append("undone"))
    undo.rollback_all()
    assert ["undone"] == world.story
    assert "ZeroDivisionError" in caplog.text


def test_an_async_undo_cannot_run_in_a_sync_rollback(undo, world):
    """It is parked untouched, with the way out; the async rollback then runs it."""

    async def take_back():
        world.story.append("undone")

    do(undo, "mail", take_back)
    with pytest.raises(RollbackIncomplete, match="arollback_to"):
        undo.rollback_all()
    assert [] == world.story
    asyncio.run(undo.arollback_all())
    assert ["undone"] == world.story


def test_an_interrupted_rollback_loses_nothing(undo, world):
    """The interrupt passes; what was not undone stays in the log, the interrupted undo in doubt."""
    do(undo, "first", lambda: world.story.append("first"))
    do(undo, "second", Flaky(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        undo.rollback_all()
    assert {"first": ActionState.DONE, "second": ActionState.PARKED} == states(undo)
    with pytest.raises(RollbackIncomplete):
        undo.rollback_all()
    assert ["first"] == world.story


def test_a_running_action_is_left_and_told(undo):
    """A rollback from within does not undo what has not ended."""
    with undo.step("outer", undo=Flaky()):
        with pytest.raises(RollbackIncomplete) as caught:
            undo.rollback_all()
        assert isinstance(caught.value.failures[0][1], InFlight)
    undo.rollback_all()
    assert {} == states(undo)


def test_two_rollbacks_at_once_undo_each_action_once(undo, sequencer):
    """The one that comes second leaves the action to the first and says so."""
    calls = []

    def slow():
        with sequencer(0):
            calls.append(1)
            started.set()
        with sequencer(2):
            calls.append(2)

    started = threading.Event()
    do(undo, "slow", slow)
    outcome = []

    def second():
        started.wait(10)
        with sequencer(1):
            try:
                undo.rollback_all()
            except RollbackIncomplete as error:
                outcome.append(error.failures[0][1])

    threads = [threading.Thread(target=undo.rollback_all), threading.Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [1, 2] == calls
    assert "slow is still undoing" == str(outcome[0])
    assert {} == states(undo)


def test_many_threads_undo_each_action_once(undo):
    """Whoever takes an action has it."""
    calls = []
    for number in range(50):
        do(undo, f"a{number}", lambda number=number: calls.append(number))

    busy = []

    def roll_back():
        try:
            undo.rollback_all()
        except RollbackIncomplete as error:
            busy.extend(one for _, one in error.failures)

    threads = [threading.Thread(target=roll_back) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(calls) == list(range(50))
    assert all(isinstance(one, InFlight) for one in busy)


def test_what_is_parked_by_policy_is_told(undo):
    """With the error that put it there."""
    with pytest.raises(ValueError, match="no"), undo.step("a", undo=Flaky(), raised="park"):
        raise ValueError("no")
    with pytest.raises(TimeoutError), undo.step("b", undo=Flaky(), in_doubt="park"):
        raise TimeoutError
    with pytest.raises(TimeoutError), undo.step("c", undo=lambda result: None):
        raise TimeoutError
    with pytest.raises(RollbackIncomplete) as caught:
        undo.rollback_all()
    told = {name: str(error) for name, error in caught.value.failures}
    assert {
        "a": "no",
        "b": "it is not known whether b happened; a person must find out",
        "c": "c may have happened, and without its result there is no way to undo it",
    } == told


def test_a_failing_resolve_leaves_the_doubt(undo):
    """The undo is not run, and the question is asked again."""
    answers = [OSError("provider down"), False]

    def ask():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    undone = Flaky()
    with pytest.raises(TimeoutError), undo.step("charge", undo=undone, resolve=ask):
        raise TimeoutError
    with pytest.raises(RollbackIncomplete, match="provider down"):
        undo.rollback_all()
    undo.rollback_all()
    assert (0, {}) == (undone.calls, states(undo))


def test_spans_tell_of_the_rollback_and_each_undo(undo, spans):
    """Names are low in cardinality; the ids are attributes."""
    do(undo, "good", Flaky())
    do(undo, "bad", Flaky(ValueError("no")))
    with pytest.raises(RollbackIncomplete):
        undo.rollback_all()
    assert ["undo bad", "undo good", "rollback"] == [name for name in spans.names() if "step" not in name]
    good, bad, whole = spans.one("undo good"), spans.one("undo bad"), spans.one("rollback")
    assert whole.context.span_id == good.parent.span_id == bad.parent.span_id
    assert "bot" == good.attributes["patterns.rollback.name"]
    assert good.attributes["patterns.rollback.action.id"].startswith("act_")
    assert ("UNSET", "ERROR", "ValueError") == (
        good.status.status_code.name,
        bad.status.status_code.name,
        bad.attributes["error.type"],
    )

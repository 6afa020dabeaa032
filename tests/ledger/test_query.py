"""Finding effects and deciding what became of them."""

from __future__ import annotations

import pytest

import patterns
from patterns.errors import EffectFailed, InDoubt, Misuse, Refused
from patterns.ledger import EffectResolved, Ledger, State
from patterns.testing.clock import ManualClock
from patterns.testing.store_helpers import in_threads


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still."""
    return ManualClock(wall=1000.0)


@pytest.fixture
def memory(clock):
    """Return a store on that clock."""
    return patterns.open_store("memory://", clock=clock)


@pytest.fixture
def ledger(memory, clock) -> Ledger:
    """Return a ledger on that clock."""
    return Ledger(memory, wait=0, clock=clock, retry_on=NotImplementedError)


def doubtful(amount: int) -> None:
    """Fail ambiguously."""
    raise TimeoutError("no answer")


def failing(amount: int) -> None:
    """Fail for good."""
    raise ValueError("no money")


def freed(amount: int) -> None:
    """Prove that nothing happened."""
    raise NotImplementedError


def paying(till):
    """Return a tool that pays; as a plain function, so that its only argument is the amount."""

    def pay(amount: int) -> int:
        return till.pay(amount)

    return pay


@pytest.fixture
def book(ledger, clock):
    """Fill the ledger with effects in several states, runs and tenants."""
    tools = {
        "done": ledger.once(name="shop.pay")(lambda amount: amount),
        "in_doubt": ledger.once(name="shop.refund")(doubtful),
        "failed": ledger.once(name="shop.cancel")(failing),
        "ready": ledger.once(name="shop.ship")(freed),
    }
    for tenant in ("acme", "other"):
        for run in ("r-1", "r-2"):
            with patterns.run(run, tenant=tenant):
                for tool in tools.values():
                    try:
                        tool(1)
                    except (TimeoutError, ValueError, NotImplementedError):
                        clock.advance(1)
    with patterns.run("r-1", tenant="acme"), patterns.run("inner"):
        tools["done"](1)
    with ledger.step("mail", key="m-1") as step:
        step.result = "sent" if step.fresh else step.result
    return tools


def count(ledger, **which) -> int:
    """Return how many effects fit."""
    return len(ledger.effects(**which))


def test_effects_are_found_by_what_is_known_of_them(ledger, book):
    """By state, tool, run, time, and all together."""
    assert 18 == count(ledger)
    assert (4, 4, 4, 6) == tuple(count(ledger, state=state) for state in ("in_doubt", "failed", "ready", "done"))
    assert (5, 5, 1) == tuple(count(ledger, tool=tool) for tool in ("shop.pay", "pay", "mail"))
    assert (9, 8, 0) == tuple(count(ledger, run=run) for run in ("r-1", "r-2", "r"))
    with patterns.run("r-1", tenant="acme") as run:
        assert 4 == count(ledger, run=run)
        assert 1 == count(ledger, run=run, tool="pay", state=State.DONE)
    assert (18, 4, 0) == tuple(count(ledger, since=since) for since in (0, 1010.0, 1013.0))
    assert 3 == count(ledger, limit=3)
    times = [record.changed for record in ledger.effects()]
    assert sorted(times, reverse=True) == times
    assert all(record.is_settled for record in ledger.effects(state="done"))


def test_an_unknown_state_is_refused(ledger):
    """With the ones there are."""
    with pytest.raises(Misuse, match="pending, ready, running, done, failed, in_doubt, void"):
        ledger.effects(state="paid")


def test_one_effect_is_found_by_id_part_of_it_or_key(ledger, book):
    """As a person types it."""
    for record in ledger.effects():
        assert record == ledger.effect(record.id) == ledger.effect(record.id.rpartition("/")[2][:12])
    assert "step:mail" == ledger.effect("m-1").tool
    assert None is ledger.effect("nothing") is ledger.effect("") is ledger.effect(5)


def test_what_fits_several_effects_is_refused(ledger, book):
    """A decision must not hit the wrong one."""
    part = ledger.effects(run="r-2")[0].id.partition("/")[0]
    with pytest.raises(Misuse, match=r"fits \d effects"):
        ledger.effect(part)


def test_a_key_is_looked_for_in_the_current_run_first(ledger):
    """The same key means another effect in another run."""
    for run in ("r-1", "r-2"):
        with patterns.run(run), ledger.step("mail", key="m-1") as step:
            step.result = run if step.fresh else None
    with patterns.run("r-2"):
        assert ("r-2",) == ledger.effect("m-1").identity.run
    with pytest.raises(Misuse, match="fits 2 effects"):
        ledger.effect("m-1")


def one_in_doubt(ledger):
    """Return an effect in doubt of the first run."""
    with patterns.run("r-1", tenant="acme") as run:
        return ledger.effects(state="in_doubt", run=run)[0]


def test_resolved_as_succeeded(ledger, book):
    """The given result is handed out from now on, typed, and the decision is on the record."""
    told = []
    ledger.subscribe(told.append)
    before = one_in_doubt(ledger)
    after = ledger.resolve(before.id, succeeded=("r-9", 5), note="seen in the bank's list", by="ann")
    assert (State.DONE, "happened", "ann") == (after.state, after.notes[0]["what"], after.notes[0]["by"])
    with patterns.run("r-1", tenant="acme"):
        assert ("r-9", 5) == book["in_doubt"](1)
    assert [EffectResolved, "done", "ann", "seen in the bank's list"] == [
        type(told[0]),
        told[0].state,
        told[0].by,
        told[0].note,
    ]


@pytest.mark.parametrize(
    ("failed", "expected", "text"),
    [
        ("the bank refused", EffectFailed, "the bank refused"),
        (PermissionError(13, "closed"), PermissionError, "closed"),
    ],
)
def test_resolved_as_failed(failed, expected, text, ledger, book):
    """A person's words, or the exception to raise."""
    ledger.resolve(one_in_doubt(ledger).id, failed=failed)
    with patterns.run("r-1", tenant="acme"), pytest.raises(expected, match=text):
        book["in_doubt"](1)


def test_resolved_as_to_be_tried_again(ledger, book, till):
    """The next call runs it, under a higher fence."""
    record = one_in_doubt(ledger)
    assert State.READY is ledger.resolve(record.id, retry=True).state
    with patterns.run("r-1", tenant="acme"):
        assert 1 == ledger.once(name="shop.refund")(paying(till))(1)
    assert (2, "done") == (ledger.effect(record.id).fence, ledger.effect(record.id).state.value)


def test_given_up(ledger, book):
    """Later calls are told so, with the reason."""
    ledger.resolve(one_in_doubt(ledger).id, give_up=True, note="the customer left", by="ann")
    with patterns.run("r-1", tenant="acme"), pytest.raises(EffectFailed, match="given up: the customer left"):
        book["in_doubt"](1)


def test_cancelled_before_it_began(ledger, book):
    """What is free is not run any more; what has begun cannot be cancelled."""
    with patterns.run("r-1", tenant="acme") as run:
        (ready,) = ledger.effects(state="ready", run=run)
        assert State.VOID is ledger.cancel(ready.id, note="sold out").state
        with pytest.raises(EffectFailed, match="sold out"):
            book["ready"](1)
    with pytest.raises(Refused, match="it is in_doubt"):
        ledger.cancel(one_in_doubt(ledger).id)


def test_settled_effects_stay_settled(ledger, book):
    """Nobody decides twice, and the error says what it is already."""
    record = one_in_doubt(ledger)
    ledger.resolve(record.id, succeeded=1)
    for again in ({"succeeded": 2}, {"failed": "x"}, {"retry": True}, {"retry": True, "force": True}):
        with pytest.raises(Refused, match="it is done already"):
            ledger.resolve(record.id, **again)
    assert "1" == ledger.effect(record.id).result


def test_one_of_many_who_decide_wins(store):
    """Eight people at once: one decision holds, seven are told."""
    ledger = Ledger(store, wait=0)
    with patterns.run("r"), pytest.raises(TimeoutError):
        ledger.once(name="pay")(doubtful)(1)
    (record,) = ledger.effects()

    def decide(number: int) -> int | None:
        try:
            return int(ledger.resolve(record.id, succeeded=number).result)
        except Refused:
            return None

    answers = [answer for answer in in_threads(8, decide) if answer is not None]
    assert [int(ledger.effect(record.id).result)] == answers


def test_a_running_effect_is_not_resolved_while_its_owner_lives(memory, till):
    """Unless a person insists."""
    ledger = Ledger(memory, wait=0)
    seen = []

    @ledger.once(name="pay")
    def pay(amount: int) -> int:
        (record,) = ledger.effects()
        for decision in ({"retry": True}, {"succeeded": 1}, {"give_up": True}):
            with pytest.raises(Refused, match="alive or not known to be dead"):
                ledger.resolve(record.id, **decision)
        seen.append(ledger.resolve(record.id, succeeded="by hand", force=True).state)
        return till.pay(amount)

    with patterns.run("r"):
        assert 5 == pay(5)
        assert "by hand" == pay(5)
    assert ([State.DONE], 1) == (seen, len(ledger.effects()[0].late))


@pytest.mark.parametrize(
    "decision",
    [{}, {"retry": True, "give_up": True}, {"succeeded": None, "failed": "x"}, {"succeeded": object()}],
    ids=["nothing", "two words", "two outcomes", "what cannot be recorded"],
)
def test_one_thing_became_of_an_effect(decision, ledger, book):
    """Nothing, two things, or what cannot be recorded is refused."""
    record = one_in_doubt(ledger)
    with pytest.raises(Misuse):
        ledger.resolve(record.id, **decision)
    assert record == ledger.effect(record.id)


def test_an_effect_that_is_not_there_cannot_be_resolved(ledger):
    """The error says how to find one."""
    with pytest.raises(Misuse, match=r"ledger\.effects"):
        ledger.resolve("nothing", retry=True)


class Mortal:
    """Owners of whom the named are dead."""

    def __init__(self, *dead: str) -> None:
        self.dead = dead

    def me(self) -> str:
        return "me"

    def alive(self, owner: str) -> bool | None:
        return owner not in self.dead


def test_recover_finds_what_the_dead_left(memory, till):
    """Only theirs, once, and runs nothing."""
    ledger, found = Ledger(memory, wait=0), []
    memory.owners = Mortal()

    @ledger.once(name="pay")
    def pay(amount: int) -> int:
        assert [] == ledger.recover()
        memory.owners = Mortal("me")
        Ledger(memory).recover()
        found.extend(Ledger(memory, name="other").recover())
        found.extend(record.state for record in Ledger(memory).effects())
        return till.pay(amount)

    with patterns.run("r"):
        assert 5 == pay(5)
    assert [State.IN_DOUBT] == found
    assert "done" == ledger.effects()[0].state.value


def test_resolving_finds_out_that_the_owner_is_dead(memory):
    """A person need not wait for a caller to notice."""
    ledger = Ledger(memory, wait=0)
    memory.owners = Mortal()

    @ledger.once(name="pay")
    def pay(amount: int) -> int:
        memory.owners = Mortal("me")
        other = Ledger(memory)
        other.resolve(other.effects()[0].id, retry=True)
        return amount

    with patterns.run("r"):
        pay(5)
    assert "done" == ledger.effects()[0].state.value


def test_purge_forgets_what_is_settled_and_old_and_nothing_else(ledger, book, clock):
    """What waits, runs or is in doubt is never forgotten."""
    assert 0 == ledger.purge(older_than=3600)
    clock.advance(3601)
    with patterns.run("r-3"):
        book["done"](1)
    assert 10 == ledger.purge(older_than=3600)
    assert {"in_doubt", "ready", "done"} == {record.state.value for record in ledger.effects()}
    assert (9, 1) == (count(ledger), count(ledger, state="done"))
    with patterns.run("r-1", tenant="acme"):
        assert 1 == book["done"](1)
        with pytest.raises(InDoubt):
            book["in_doubt"](1)

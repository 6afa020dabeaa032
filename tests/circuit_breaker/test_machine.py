"""The rules of the circuit, as pure functions: the whole table, and every path of a small world."""

from __future__ import annotations

from collections import deque
from math import inf

import pytest

from patterns.circuit_breaker.machine import (
    ADMITS_ALL,
    MOVES,
    Answer,
    Circuit,
    Judged,
    Lease,
    Move,
    State,
    ask,
    move,
    probed,
    remaining,
    shut_until,
    trip,
)
from patterns.circuit_breaker.options import growing, policy
from patterns.circuit_breaker.rules import streak


def told(**options):
    """Return a policy."""
    defaults = {
        "trip": streak(1),
        "cool_down": 10.0,
        "half_open_probes": 1,
        "ramp": 1.0,
        "success_threshold": 1,
        "probe_timeout": 5.0,
    }
    return policy(**defaults | options)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("how", Move)
def test_every_move_from_every_state(state, how):
    """A move leads where the table says, into a new era; a move the table does not know changes nothing."""
    before = Circuit(state=state, since=1.0, era=7)
    after = move(before, how, 2.0, reason="because")
    if (state, how) in MOVES:
        assert (MOVES[state, how], 8, 2.0, "because") == (after.state, after.era, after.since, after.reason)
    else:
        assert before is after


def test_the_table_is_the_one_in_the_documentation():
    """People can force every state; the circuit itself knows four moves."""
    by_hand = {Move.RESET: State.CLOSED, Move.FORCE_OPEN: State.FORCED_OPEN, Move.DISABLE: State.DISABLED}
    assert 4 + 3 * len(State) == len(MOVES)
    for state in State:
        assert by_hand == {how: MOVES[state, how] for how in by_hand}


def test_nobody_needs_to_ask_while_it_is_shut():
    """Open until the wait is over, half open until the first lease runs out, by hand for ever."""
    two = told(half_open_probes=2)
    leases = (Lease(0, 8.0), Lease(1, 7.0))
    assert 30.0 == shut_until(Circuit(state=State.OPEN, since=0.0, retry_at=30.0), two)
    assert 7.0 == shut_until(Circuit(state=State.HALF_OPEN, since=0.0, leases=leases), two)
    assert 0.0 > shut_until(Circuit(state=State.HALF_OPEN, since=0.0, leases=leases[:1]), two)
    assert inf == shut_until(Circuit(state=State.FORCED_OPEN, since=0.0), two)
    for state in ADMITS_ALL:
        assert 0.0 > shut_until(Circuit(state=state, since=0.0), two)


def test_the_wait_is_over_at_its_end():
    """Until then a call is refused and told how long; at that very moment it is a probe."""
    opened = trip(Circuit(since=0.0), 100.0, told(), reason="broken", chance=0.5)
    assert (State.OPEN, 110.0, 1) == (opened.state, opened.retry_at, opened.openings)
    assert (opened, Answer.REFUSED) == ask(opened, 109.5, told())
    assert 0.5 == remaining(opened, 109.5)
    assert 0.0 == remaining(opened, 111.0)
    circuit, lease = ask(opened, 110.0, told())
    assert (State.HALF_OPEN, Lease(0, 115.0)) == (circuit.state, lease)


def test_a_failed_probe_prolongs_the_wait_and_a_recovery_forgets_it():
    """10, 20, 40, never over 60 seconds; from the start after a recovery."""
    waits = told(cool_down=growing(10, factor=2, longest=60, jitter=0))
    circuit, now, seen = trip(Circuit(since=0.0), 0.0, waits, reason="", chance=0.5), 0.0, []
    for _ in range(5):
        seen.append(circuit.retry_at - now)
        now = circuit.retry_at
        circuit, lease = ask(circuit, now, waits)
        last, circuit = circuit, probed(circuit, lease, Judged.FAILURE, now, waits, reason="", chance=0.5)
    assert [10, 20, 40, 60, 60] == seen
    recovered = probed(last, lease, Judged.SUCCESS, now, waits, reason="", chance=0.5)
    assert (State.CLOSED, 0) == (recovered.state, recovered.openings)


def test_what_the_dependency_asks_for_is_the_least_wait():
    """The longer of the two counts."""
    circuit = Circuit(since=0.0)
    assert 30 == trip(circuit, 0.0, told(), reason="", chance=0.5, at_least=30).retry_at
    assert 10 == trip(circuit, 0.0, told(), reason="", chance=0.5, at_least=3).retry_at


@pytest.mark.parametrize("openings", [0, 1, 5, 100, 100_000])
@pytest.mark.parametrize("chance", [0.0, 0.25, 1.0])
def test_jitter_stays_within_its_share(openings, chance):
    """However often it opened, the wait is finite and within the share around the grown one."""
    waits = growing(10, factor=3, longest=100, jitter=0.2)
    exact = growing(10, factor=3, longest=100, jitter=0).wait(openings, 0.5)
    assert exact <= 100
    assert pytest.approx(exact * (0.8 + 0.4 * chance)) == waits.wait(openings, chance)


def test_a_ramp_lets_more_probes_through_with_each_success():
    """1, 2, 4, 8 at once, until enough succeeded."""
    ramped = told(ramp=2.0, success_threshold=4)
    assert [1, 2, 4, 8] == [ramped.places(successes) for successes in range(4)]
    assert 2**31 == told(ramp=10.0, success_threshold=10**6).places(10**6)


def test_other_states_are_not_changed_by_what_they_do_not_know():
    """The functions are total: a circuit that is not half open ignores probes, one that is open cannot trip."""
    for state in set(State) - {State.HALF_OPEN}:
        circuit = Circuit(state=state, since=0.0)
        assert circuit is probed(circuit, Lease(0, 1.0), Judged.FAILURE, 0.0, told(), reason="", chance=0.5)
    for state in set(State) - {State.HALF_OPEN, State.CLOSED}:
        circuit = Circuit(state=state, since=0.0)
        assert circuit is trip(circuit, 0.0, told(), reason="", chance=0.5)


def test_nobody_knows_when_a_circuit_opened_by_hand_closes():
    """The others know, or are open to all."""
    assert remaining(Circuit(state=State.FORCED_OPEN, since=0.0), 5.0) is None
    assert 0.0 == remaining(Circuit(state=State.CLOSED, since=0.0), 5.0)
    half_open = Circuit(state=State.HALF_OPEN, since=0.0, leases=(Lease(0, 8.0), Lease(1, 7.0)))
    assert 2.0 == remaining(half_open, 5.0)


def moments(world, rules):
    """Yield all that can happen next in a small world: calls, ends of calls, time, people."""
    circuit, now, out = world
    asked, answer = ask(circuit, now, rules)
    admitted = (*out, (asked.era, answer)) if answer is not Answer.REFUSED else out
    yield "ask", asked, now, admitted
    for place, permit in enumerate(out):
        others = out[:place] + out[place + 1 :]
        for judged in Judged:
            yield judged, ended(circuit, permit, judged, now, rules), now, others
    assert answer is Answer.REFUSED or now >= shut_until(circuit, rules)
    yield "time", circuit, now + 4, out
    yield "force", move(circuit, Move.FORCE_OPEN, now, reason=""), now, out
    yield "reset", move(circuit, Move.RESET, now, reason=""), now, out


def ended(circuit, permit, judged, now, rules):
    """Settle as the engine does: late news of another era is none."""
    era, answer = permit
    if era != circuit.era:
        return circuit
    if isinstance(answer, Lease):
        return probed(circuit, answer, judged, now, rules, reason="", chance=0.5)
    return trip(circuit, now, rules, reason="", chance=0.5) if judged is Judged.FAILURE else circuit


def normal(circuit, now, out):
    """Return what two moments have in common if all that follows is the same."""
    mine = [answer for era, answer in out if era == circuit.era]
    numbers = sorted({lease.number for lease in (*mine, *circuit.leases) if isinstance(lease, Lease)})
    rank = {number: place for place, number in enumerate(numbers)}
    held = tuple((rank[lease.number], max(0.0, lease.until - now)) for lease in circuit.leases)
    permits = sorted(rank[answer.number] if isinstance(answer, Lease) else -1 for answer in mine)
    wait = max(0.0, circuit.retry_at - now)
    return circuit.state, circuit.successes, wait, held, tuple(permits), len(out) - len(mine)


@pytest.mark.parametrize(("probes", "successes"), [(1, 1), (1, 2), (2, 2)])
def test_every_path_of_a_small_world(probes, successes):
    """Six calls in flight, all orders of their ends, time and people: the laws hold on each path."""
    rules = told(half_open_probes=probes, success_threshold=successes)
    start = (Circuit(since=0.0), 0.0, ())
    seen, queue, states = {normal(*start)}, deque([start]), set()
    while queue:
        circuit, now, out = queue.popleft()
        states.add(circuit.state)
        for what, after, then, waiting in moments((circuit, now, out), rules):
            obeys(what, circuit, after, now, rules)
            if len(waiting) <= 6 and (key := normal(after, then, waiting)) not in seen:
                seen.add(key)
                queue.append((after, then, waiting))
    assert set(State) - {State.DISABLED} == states
    assert len(seen) > 100


def obeys(what, before, after, now, rules):
    """Check the laws on one step."""
    running = [lease for lease in after.leases if lease.until > now]
    assert after.era - before.era in {0, 1}
    assert len(running) <= rules.places(after.successes)
    if before.state is not after.state:
        assert 1 == after.era - before.era
        assert () == after.leases or State.HALF_OPEN is after.state
    if before.state is State.FORCED_OPEN:
        assert after.state is State.FORCED_OPEN or what == "reset"
    if (before.state, after.state) == (State.OPEN, State.HALF_OPEN):
        assert what == "ask"
        assert now >= before.retry_at
    if (before.state, after.state) == (State.HALF_OPEN, State.CLOSED):
        assert what == "reset" or before.successes + 1 == rules.success_threshold
    if before.state is State.OPEN is after.state:
        assert before.retry_at == after.retry_at
    if after.state is State.HALF_OPEN:
        unheld = rules.places(after.successes) - len(running)
        assert unheld > 0 or min(lease.until for lease in running) <= now + rules.probe_timeout

"""Every schedule of a few workers, crashes and power losses, explored breadth first over the real rules.

The world outside the rules: a disk and a page cache, workers that die at any
moment, requests that arrive after their sender's death, a query downstream, and
a person who decides by what the query says. What is checked in every state that
can be reached:

- the effect happens at most once,
- it happens only after the approval, where one is needed,
- a record says DONE only if it happened, and
- nothing is stuck: from every state some settled state can be reached.

The same explorer then breaks one rule at a time, and must find the double effect.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import NamedTuple

import pytest
from attrs import evolve, frozen

from patterns.ledger.machine import step
from patterns.ledger.operations import Approve, Ask, Claim, Decide, Doubt, Free, Gone, Moved, Settle, Verdict
from patterns.ledger.record import Identity, Record, State

WHICH = {
    guarantee: Identity(
        id="e",
        tool="pay",
        key=None,
        tenant=None,
        run=("r",),
        distinct=(),
        fingerprint="f",
        guarantee=guarantee,
    )
    for guarantee in ("at_most_once", "keyed:10", "repeatable")
}


@frozen(kw_only=True)
class Rules:
    """What is allowed; the defaults are ours, every other value breaks something."""

    durable_claim: bool = True
    proof_of_death: bool = True
    """Owners are declared dead only when they are."""
    takes_over: bool = False
    """A timer lets the next caller run what is still running."""
    reruns_the_dead: bool = False
    """An effect whose owner died is free again."""
    drains: bool = True
    """The query is believed only when no request is under way any more."""
    asks_first: bool = True
    """PENDING is written before anything else."""
    approval: bool = False
    guarantee: str = "at_most_once"
    downstream_dedups: bool = False
    suspects: bool = False
    """Live owners may be suspected, as leases do."""


class Worker(NamedTuple):
    """A process: what it does, under which name, and the fence of its attempt."""

    doing: str = "idle"
    life: int = 0
    fence: int = 0


class World(NamedTuple):
    """Everything there is."""

    disk: Record | None
    cache: Record | None
    workers: tuple[Worker, ...]
    effects: int = 0
    wire: int = 0
    approved: bool = False
    crashes: int = 0
    losses: int = 0


CRASHES, LOSSES, ATTEMPTS = 2, 1, 3


def owner(number: int, worker: Worker) -> str:
    """Return the name of a worker in its present life."""
    return f"{number}.{worker.life}"


def alive(world: World, name: str) -> bool:
    """Tell whether the owner *name* lives."""
    return any(name == owner(number, worker) for number, worker in enumerate(world.workers))


def with_worker(world: World, number: int, worker: Worker) -> World:
    """Return the world with another worker in that place."""
    return world._replace(workers=(*world.workers[:number], worker, *world.workers[number + 1 :]))


def happens(world: World, rules: Rules) -> World:
    """Let the effect happen, unless the provider knows it already."""
    again = world.effects and rules.downstream_dedups
    return world._replace(effects=world.effects + (0 if again else 1))


def written(world: World, record: Record | None, *, durable: bool) -> World:
    """Return the world after a write."""
    if record is not None:  # what is only there to be read changes no rule, and would make worlds endless
        record = evolve(record, late=(), notes=(), error=None, doubt=None)
    return world._replace(cache=record, disk=record if durable else world.disk)


def moves(world: World, rules: Rules):
    """Yield every world that may come next."""
    for number, worker in enumerate(world.workers):
        yield from of_worker(world, rules, number, worker)
        if worker.doing != "idle" and world.crashes < CRASHES:
            yield from crashed(world, number, worker)
    yield from of_others(world, rules)
    if world.cache != world.disk:
        yield world._replace(disk=world.cache)
    if world.losses < LOSSES:
        reborn = tuple(Worker(life=worker.life + 1) for worker in world.workers)
        yield world._replace(cache=world.disk, workers=reborn, losses=world.losses + 1)
    if world.wire:
        yield happens(world._replace(wire=world.wire - 1), rules)
        yield world._replace(wire=world.wire - 1)


def crashed(world: World, number: int, worker: Worker):
    """Yield the worlds after a worker dies."""
    after = with_worker(world, number, Worker(life=worker.life + 1))._replace(crashes=world.crashes + 1)
    yield after
    if worker.doing == "claimed":  # the request was sent, and is still under way when its sender is dead
        yield after._replace(wire=after.wire + 1)


def of_worker(world: World, rules: Rules, number: int, worker: Worker):
    """Yield what a worker may do next."""
    me, (doing, _, fence) = owner(number, worker), worker
    tell = partial(report, world, number, worker)
    match doing:
        case "idle":
            yield from claims(world, rules, number, worker)
        case "asking":  # only where the approval is asked for too late
            pending = evolve(world.cache, state=State.PENDING, approval="a")
            yield with_worker(written(world, pending, durable=True), number, worker._replace(doing="idle"))
        case "claimed":
            yield with_worker(happens(world, rules), number, worker._replace(doing="ran"))
            yield from tell(Free(fence=fence, owner=me, error={}))
            yield from tell(Doubt(fence=fence, owner=me, why="time-out"))
        case "ran":
            yield from tell(Settle(fence=fence, owner=me, result="1"))
            yield from tell(Doubt(fence=fence, owner=me, why="time-out"))


def report(world: World, number: int, worker: Worker, operation):
    """Yield the world after a report, which need not reach the disk."""
    answer = step(world.cache, operation, 0.0)
    if isinstance(answer, Moved):
        yield with_worker(written(world, answer.record, durable=False), number, worker._replace(doing="idle", fence=0))


def claims(world: World, rules: Rules, number: int, worker: Worker):
    """Yield what an idle worker may do."""
    before = world.cache
    if before is not None and before.fence >= ATTEMPTS:
        return
    if rules.takes_over and before is not None and before.state is State.RUNNING:
        before = evolve(before, state=State.READY)
    if rules.approval and rules.asks_first and before is None:
        asked = step(None, Ask(identity=WHICH[rules.guarantee], approval="a"), 0.0)
        yield written(world, asked.record, durable=True)
        return
    answer = step(before, Claim(identity=WHICH[rules.guarantee], owner=owner(number, worker)), 0.0)
    if isinstance(answer, Moved):
        doing = "asking" if rules.approval and before is None else "claimed"
        after = with_worker(world, number, worker._replace(doing=doing, fence=answer.record.fence))
        yield written(after, answer.record, durable=rules.durable_claim)


def of_others(world: World, rules: Rules):
    """Yield what people, queries and observers may do."""
    record = world.cache
    if record is None:
        return
    if record.state is State.PENDING:
        approved = step(record, Approve(approval="a"), 0.0)
        yield written(world, approved.record, durable=True)._replace(approved=True)
    if record.state in (State.RUNNING, State.IN_DOUBT):
        yield from gone(world, rules, record)
    if record.state is State.IN_DOUBT and not (rules.drains and world.wire):
        verdict = Verdict.HAPPENED if world.effects else Verdict.DID_NOT_HAPPEN
        answer = step(record, Decide(verdict=verdict, by="ann", note="", result="1"), 0.0)
        if isinstance(answer, Moved):
            yield written(world, answer.record, durable=True)


def gone(world: World, rules: Rules, record: Record):
    """Yield what an observer of the owner may find."""
    dead = not alive(world, record.owner)
    if dead or not rules.proof_of_death:
        answer = step(record, Gone(owner=record.owner), 0.0)
        if isinstance(answer, Moved):
            after = evolve(answer.record, state=State.READY) if rules.reruns_the_dead else answer.record
            yield written(world, after, durable=True)
    elif rules.suspects:
        answer = step(record, Gone(owner=record.owner, proven=False), 0.0)
        if isinstance(answer, Moved):
            yield written(world, answer.record, durable=True)


def wrong(world: World, rules: Rules) -> str | None:
    """Return what must never be, if it is."""
    if world.effects > 1:
        return "it happened twice"
    if rules.approval and world.effects and not world.approved:
        return "it happened without approval"
    if world.cache is not None and world.cache.state is State.DONE and not world.effects:
        return "it is DONE and never happened"
    return None


class Explored(NamedTuple):
    """What was found: how many worlds, the first wrong one, and how many can never be settled."""

    worlds: int
    problem: str | None
    steps: int
    stuck: int


def explore(rules: Rules, workers: int = 2) -> Explored:
    """Walk through every world that can be reached."""
    start = World(None, None, (Worker(),) * workers)
    seen = {start}
    before: dict[World, list[World]] = {}
    queue = deque([(start, 0)])
    while queue:
        world, steps = queue.popleft()
        problem = wrong(world, rules)
        if problem:
            return Explored(len(seen), problem, steps, 0)
        for after in moves(world, rules):
            before.setdefault(after, []).append(world)
            if after not in seen:
                seen.add(after)
                queue.append((after, steps + 1))
    return Explored(len(seen), None, 0, len(seen) - len(can_settle(seen, before)))


def can_settle(seen: set[World], before: dict[World, list[World]]) -> set[World]:
    """Return the worlds from which a settled one can be reached."""
    found = {world for world in seen if world.cache is not None and (world.cache.is_settled or may_run(world.cache))}
    queue = deque(found)
    while queue:
        for world in before.get(queue.popleft(), ()):
            if world not in found:
                found.add(world)
                queue.append(world)
    return found


def may_run(record: Record) -> bool:
    """Tell whether only the end of the exploration keeps it from running."""
    return record.state is State.READY and record.fence >= ATTEMPTS  # where the exploration stops, not the rules


SOUND = {
    "two workers": Rules(),
    "owners that may be suspected": Rules(suspects=True),
    "an approval": Rules(approval=True),
    "a provider that tells repetitions": Rules(guarantee="keyed:10", downstream_dedups=True),
}


@pytest.mark.parametrize("rules", SOUND.values(), ids=SOUND)
def test_the_effect_happens_at_most_once_and_nothing_is_stuck(rules: Rules):
    """Whatever the schedule, the crashes and the power losses."""
    found = explore(rules)
    assert (None, 0) == (found.problem, found.stuck)
    assert found.worlds > 500


def test_three_workers_are_no_worse_than_two():
    """The rules do not depend on how many ask."""
    found = explore(Rules(), workers=3)
    assert (None, 0) == (found.problem, found.stuck)


BROKEN = {
    "the claim is not on disk before the effect": Rules(durable_claim=False),
    "a lease that ran out counts as death": Rules(proof_of_death=False),
    "a timer takes over": Rules(takes_over=True),
    "what the dead left is run again": Rules(reruns_the_dead=True),
    "the query is believed while a request is under way": Rules(drains=False),
    "harmful effects are declared repeatable": Rules(guarantee="repeatable"),
    "a provider that forgets": Rules(guarantee="keyed:10"),
}


@pytest.mark.parametrize("rules", BROKEN.values(), ids=BROKEN)
def test_each_broken_rule_is_seen_to_be_broken(rules: Rules):
    """The explorer can fail: without this rule the effect happens twice."""
    assert "it happened twice" == explore(rules).problem


def test_asking_after_the_claim_lets_unapproved_effects_through():
    """A crash between claim and question leaves an effect that nobody approved."""
    found = explore(Rules(approval=True, asks_first=False))
    assert "it happened without approval" == found.problem

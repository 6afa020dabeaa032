"""Laws of undoing, for any sequence of steps with failures at any place."""

from __future__ import annotations

import asyncio
import contextlib

from hypothesis import given
from hypothesis import strategies as st

from patterns.errors import Refused, RollbackIncomplete
from patterns.kernel.guard import Guard, attach
from patterns.rollback import RollbackManager, Saga, SagaStatus, Step
from patterns.testing import ManualClock

OUTCOMES = ("returns", "raises", "refused", "replayed", "times out")
steps = st.lists(st.sampled_from(OUTCOMES), max_size=8)


class Deciding(Guard):
    """Refuses or replays where the step's script says so."""

    name = "test.deciding"

    async def around(self, call, proceed):
        match call.arguments["outcome"]:
            case "refused":
                raise Refused("no", call=call.name)
            case "replayed":
                call.is_replay = True
                return None
            case _:
                return await proceed()


def act(outcome: str) -> None:
    """End as the script says."""
    if outcome == "raises":
        raise ValueError(outcome)
    if outcome == "times out":
        raise TimeoutError(outcome)


def scripted(raised: str = "compensate", in_doubt: str = "compensate", broken: frozenset[int] = frozenset()):
    """Return a saga with one tool of each colour, and the list of what was compensated."""
    saga, undone = Saga("order", clock=ManualClock()), []

    def take_back(number):
        undone.append(number)
        if number in broken:
            raise OSError(number)

    async def atake_back(number):
        await asyncio.sleep(0)
        take_back(number)

    def plain(number, outcome):
        act(outcome)

    async def later(number, outcome):
        await asyncio.sleep(0)
        act(outcome)

    options = {"raised": raised, "in_doubt": in_doubt}
    saga.plain = saga.tool(compensate=take_back, **options)(attach(plain, Deciding()))
    saga.later = saga.tool(compensate=atake_back, **options)(attach(later, Deciding()))
    return saga, undone


def first_failure(outcomes: list[str]) -> int | None:
    """Return where the script first fails."""
    return next((index for index, one in enumerate(outcomes) if one not in {"returns", "replayed"}), None)


def expected(outcomes: list[str], raised: str, in_doubt: str) -> list[int]:
    """Say what is compensated, by the table alone."""
    failed = first_failure(outcomes)
    if failed is None:
        return []
    policy = {"raises": raised, "times out": in_doubt}.get(outcomes[failed], "skip")
    last = [failed] if policy == "compensate" else []
    return last + [index for index in range(failed - 1, -1, -1) if outcomes[index] == "returns"]


@given(steps, st.sampled_from(["compensate", "skip"]), st.sampled_from(["compensate", "skip"]))
def test_compensations_are_the_completed_steps_backwards(outcomes, raised, in_doubt):
    """Exactly they, and the failed one by its policy; in both colours, as a block and as a plan."""
    wanted, plan = expected(outcomes, raised, in_doubt), [{"number": n, "outcome": o} for n, o in enumerate(outcomes)]
    status = SagaStatus.SUCCESS if first_failure(outcomes) is None else SagaStatus.COMPENSATED

    saga, undone = scripted(raised, in_doubt)
    with contextlib.suppress(ValueError, TimeoutError, Refused), saga.transaction() as tx:
        for one in plan:
            saga.plain(**one)
    assert (wanted, status) == (undone, tx.status)

    saga, undone = scripted(raised, in_doubt)
    assert (status, wanted) == (saga.execute([Step("plain", **one) for one in plan]).status, undone)

    async def block():
        async with saga.transaction() as tx:
            for one in plan:
                await saga.later(**one)
        return tx

    saga, undone = scripted(raised, in_doubt)
    with contextlib.suppress(ValueError, TimeoutError, Refused):
        asyncio.run(block())
    assert wanted == undone

    saga, undone = scripted(raised, in_doubt)
    report = asyncio.run(saga.aexecute([Step("later", **one) for one in plan]))
    assert (status, wanted) == (report.status, undone)
    assert len(outcomes) == len(report.steps)


@given(st.lists(st.sampled_from(["returns", "raises"]), min_size=1, max_size=6), st.sets(st.integers(0, 5)))
def test_each_compensation_is_tried_once_and_none_is_lost(outcomes, broken):
    """Whichever of them fail: the others go on, the failed ones stay, and recovery tries these alone."""
    saga, undone = scripted(broken=frozenset(broken))
    plan = [Step("plain", number=number, outcome=outcome) for number, outcome in enumerate(outcomes)]
    report = saga.execute(plan)
    wanted = expected(outcomes, "compensate", "compensate")
    left = [number for number in wanted if number in broken]
    assert wanted == undone
    assert (SagaStatus.COMPENSATION_FAILED if left else report.status) is report.status
    assert bool(left) is bool(saga.unfinished())
    undone.clear()
    saga.recover()
    assert left == undone


@given(st.lists(st.one_of(st.integers(0, 99), st.just("checkpoint")), max_size=20), st.data())
def test_a_rollback_restores_the_world_of_its_checkpoint(script, data):
    """To any checkpoint, in any order of going back."""
    undo, world, worlds = RollbackManager("bot", clock=ManualClock()), [], {}

    @undo.undoable(undo=lambda: world.pop())  # noqa: PLW0108 - the name of its parameter is what is read
    def add(thing):
        world.append(thing)

    for entry in script:
        if entry == "checkpoint":
            worlds[undo.checkpoint("c", state=world).id] = list(world)
        else:
            add(entry)
    while undo.checkpoints:
        wanted = data.draw(st.sampled_from(undo.checkpoints))
        assert worlds[wanted.id] == undo.rollback_to(wanted).state == world
        if wanted is undo.checkpoints[0]:
            break
    undo.rollback_all()
    assert ([], ()) == (world, undo.actions())


@given(st.lists(st.booleans(), min_size=1, max_size=8))
def test_every_undo_succeeds_once_however_often_it_is_asked_for(failures):
    """An undo that failed is tried again by the next rollback; one that returned never is."""
    undo, succeeded = RollbackManager("bot", clock=ManualClock()), []
    todo = {number: int(fails) for number, fails in enumerate(failures)}

    def take_back(number):
        todo[number] -= 1
        if todo[number] >= 0:
            raise OSError(number)
        succeeded.append(number)

    for number in todo:
        with undo.step("act", undo=take_back, number=number):
            pass
    for _ in range(3):
        with contextlib.suppress(RollbackIncomplete):
            undo.rollback_all()
    assert sorted(todo) == sorted(succeeded)
    assert [number for number, fails in enumerate(failures) if not fails][::-1] == succeeded[: failures.count(False)]


@given(st.recursive(st.sampled_from(["step", "fail"]), lambda inner: st.lists(inner, max_size=4), max_leaves=12))
def test_nested_runs_take_back_what_is_inside_of_them(tree):
    """A run that fails leaves the world as it found it; one that succeeds leaves what it did."""
    saga, world = Saga("order", clock=ManualClock()), []

    @saga.tool(compensate=lambda: world.pop())  # noqa: PLW0108 - the name of its parameter is what is read
    def add(thing):
        world.append(thing)

    def go(node) -> bool:
        """Return whether *node* succeeded; a list is a nested run."""
        if node == "step":
            add(len(world))
            return True
        if node == "fail":
            return False
        before = list(world)
        try:
            with saga.transaction():
                if not all(go(child) for child in node):
                    raise ValueError  # noqa: TRY301 - the block has to raise
        except ValueError:
            assert before == world
            return False
        return True

    with saga.transaction():
        go(tree)

"""What is written down about a call, in every shape and for every outcome."""

from __future__ import annotations

import asyncio

import pytest

import patterns
from patterns.errors import InDoubt, Misuse, Refused
from patterns.kernel.guard import layers
from patterns.rollback import ActionState, Happened, RollbackManager
from patterns.testing.shapes import BLOCK_SHAPES, SHAPES, Guarding


@pytest.fixture
def undo(clock) -> RollbackManager:
    """Return a manager on the manual clock."""
    return RollbackManager("bot", clock=clock)


@pytest.fixture
def guarding(undo, world):
    """The manager as the shapes use it; every undo is told to the world."""

    def take_back(idempotency_key):
        world.story.append(("undo", idempotency_key))

    return Guarding(
        "rollback.undoable",
        undo.undoable(undo=take_back),
        lambda name: undo.step(name, undo=take_back),
    )


def only(undo: RollbackManager):
    """Return the one action in the log."""
    (action,) = undo.actions()
    return action


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_call_that_returned_is_undone_once(shape, guarding, undo, world):
    """In every shape; the second rollback finds nothing to do."""
    assert 7 == shape.run([guarding], lambda: 7)
    assert ActionState.DONE is only(undo).state
    done = undo.rollback_all()
    undo.rollback_all()
    assert [action.idempotency_key for action in done.undone] == world.undone
    assert (1, ()) == (len(world.undone), undo.actions())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_call_that_raised_is_undone(shape, guarding, undo, world):
    """Effects before the error may have happened; the error itself passes unchanged."""
    error = ValueError("half-way")

    def body():
        raise error

    with pytest.raises(ValueError, match="half-way") as caught:
        shape.run([guarding], body)
    assert error is caught.value
    assert (ActionState.FAILED, error) == (only(undo).state, only(undo).error)
    undo.rollback_all()
    assert 1 == len(world.undone)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), TimeoutError(), InDoubt("who knows")], ids=repr)
def test_a_call_that_may_have_happened_is_in_doubt(shape, guarding, undo, error):
    """Interruptions, time-outs and doubt from within."""

    def body():
        raise error

    with pytest.raises(type(error)):
        shape.run([guarding], body)
    assert ActionState.IN_DOUBT is only(undo).state


@pytest.mark.parametrize("shape", SHAPES[:4], ids=str)
def test_a_refused_call_leaves_nothing(shape, guarding, undo, refusing):
    """A guard further in refused it, so it did not run."""
    inner = Guarding("test.refusing", refusing, lambda name: None)
    with pytest.raises(Refused, match="not today"):
        shape.run([guarding, inner], lambda: 7)
    assert () == undo.actions()


@pytest.mark.parametrize("shape", SHAPES[:2], ids=str)
def test_a_replayed_call_is_not_written_down_again(shape, guarding, undo, replaying):
    """The run that really ran wrote it down."""
    inner = Guarding("test.replaying", replaying, lambda name: None)
    assert "recorded" == shape.run([guarding, inner], lambda: 7)
    assert () == undo.actions()


def test_a_refusal_from_a_nested_call_is_a_failure_of_this_one(undo, refusing):
    """This call did run."""
    nested = refusing(lambda: None)

    @undo.undoable(undo=lambda: None)
    def outer():
        nested()

    with pytest.raises(Refused):
        outer()
    assert ActionState.FAILED is only(undo).state


def test_a_generator_that_is_closed_early_is_in_doubt(undo, world):
    """Part of its work was done."""

    @undo.undoable(undo=lambda n: world.story.append(("undo", n)))
    def tool(n):
        yield 1
        yield 2

    items = tool(3)
    next(items)
    assert ActionState.RUNNING is only(undo).state
    items.close()
    assert ActionState.IN_DOUBT is only(undo).state
    undo.rollback_all()
    assert [3] == world.undone


def test_an_undo_gets_what_it_asks_for(undo, world, keying):
    """Parameters by name with defaults, the result, the key of the effect, or everything."""

    def tool(a, b=2, *rest, c=3, **more):
        return a + b

    seen = []
    for take_back in (
        lambda a, result: seen.append((a, result)),
        lambda idempotency_key, c: seen.append((idempotency_key, c)),
        lambda **all_of_it: seen.append(all_of_it),
        lambda: seen.append("nothing"),
    ):
        undo.undoable(undo=take_back)(keying(tool))(1, d=4)
        undo.rollback_all()
    key = "key-of-tool"
    assert [
        (1, 3),
        (key, 3),
        {"a": 1, "b": 2, "rest": (), "c": 3, "more": {"d": 4}, "idempotency_key": key, "result": 3},
        "nothing",
    ] == seen


def test_a_tool_may_have_a_key_of_its_own(undo):
    """Then that is the one the undo gets."""
    seen = []

    @undo.undoable(undo=lambda idempotency_key: seen.append(idempotency_key))  # noqa: PLW0108 - the name of its parameter is what is read
    def charge(idempotency_key):
        return 1

    charge("order-17")
    undo.rollback_all()
    assert ["order-17"] == seen


def test_an_undo_sees_arguments_and_results_as_they_were(undo):
    """Whatever the tool or the caller does to them later."""
    seen = []

    @undo.undoable(undo=lambda items, result: seen.append((items, result)))
    def tool(items):
        items.append("changed by the tool")
        return {"made": [1]}

    given = ["a", ("b", {"c"})]
    result = tool(given)
    result["made"].append(2)
    undo.rollback_all()
    assert [(["a", ("b", {"c"})], {"made": [1]})] == seen


def test_arguments_that_contain_themselves_are_no_problem(undo):
    """They are kept as they are."""
    seen = []
    endless: list[object] = []
    endless.append(endless)
    undo.undoable(undo=lambda items: seen.append(items))(lambda items: None)(endless)  # noqa: PLW0108 - the name of its parameter is what is read
    undo.rollback_all()
    assert endless is seen[0]


def test_methods_hand_over_their_object(undo, world):
    """Instance, class and static methods."""

    class Account:
        def __init__(self):
            self.balance = 0

        @undo.undoable(undo=lambda self, amount: self.take(amount))
        def put(self, amount):
            self.balance += amount

        def take(self, amount):
            self.balance -= amount

        @undo.undoable(undo=lambda cls, name: setattr(cls, name, None))
        @classmethod
        def label(cls, name):
            setattr(cls, name, 1)

        @staticmethod
        @undo.undoable(undo=lambda world, thing: world.remove(thing))
        def fill(world, thing):
            world.add(thing)

    first, second = Account(), Account()
    first.put(3)
    second.put(5)
    Account.label("x")
    Account.fill(world, 1)
    assert (3, 5, 1, [1]) == (first.balance, second.balance, Account.x, world.there)
    undo.rollback_all()
    assert (0, 0, None, []) == (first.balance, second.balance, Account.x, world.there)


def test_a_bound_method_can_be_decorated_later(undo, world):
    """It has no ``self`` to hand over, but the rest."""
    add = undo.undoable(undo=world.remove)(world.add)
    add("a")
    undo.rollback_all()
    assert [] == world.there


def test_a_step_hands_over_facts_and_result(undo):
    """The block has no parameters; its facts are they."""
    seen = []
    with undo.step("send mail", undo=lambda to, result: seen.append((to, result)), to="a@b") as step:
        step.result = "mail-1"
    undo.rollback_all()
    assert [("a@b", "mail-1")] == seen


@pytest.mark.parametrize("shape", BLOCK_SHAPES, ids=str)
def test_a_step_without_undo_is_no_problem(shape, undo):
    """There is nothing to take back, and the log says so."""
    shape.run([Guarding("step", None, lambda name: undo.step(name))], lambda: 7)  # noqa: PLW0108 - the name of its parameter is what is read
    assert ActionState.DONE is only(undo).state
    undo.rollback_all()
    assert () == undo.actions()


def test_the_bare_decorator_writes_down_without_undo(undo):
    """`@undo.undoable` alone."""

    @undo.undoable
    def look(n):
        return n

    assert 3 == look(3)
    assert ("look", False) == (only(undo).name, only(undo).policies.has_undo)


def test_what_an_undo_does_is_not_written_down(undo, world):
    """Or the next rollback would undo the undo."""

    @undo.undoable(undo=lambda thing: remove(thing))  # noqa: PLW0108 - the name of its parameter is what is read
    def add(thing):
        return world.add(thing)

    @undo.undoable(undo=lambda thing: add(thing))  # noqa: PLW0108 - the name of its parameter is what is read
    def remove(thing):
        world.remove(thing)

    add(1)
    undo.rollback_all()
    assert ([], ()) == (world.there, undo.actions())
    undo.rollback_all()
    assert [] == world.there


def test_resolve_decides_about_doubt(undo, world):
    """No effect: nothing to undo; an effect: undone with the result that was found."""
    found = {}

    @undo.undoable(undo=lambda result: world.story.append(("undo", result)), resolve=lambda order: found[order])
    def charge(order):
        raise TimeoutError

    for order, answer in (("absent", False), ("there", Happened("ch_1"))):
        found[order] = answer
        with pytest.raises(TimeoutError):
            charge(order)
        undo.rollback_all()
    assert ["ch_1"] == world.undone


def test_resolve_may_be_async_and_gets_the_key(undo, world, keying):
    """It usually asks the provider about the idempotency key."""
    asked = []

    async def look_up(idempotency_key):
        asked.append(idempotency_key)
        return True

    @undo.undoable(undo=lambda order: world.story.append(("undo", order)), resolve=look_up)
    @keying
    async def charge(order):
        raise ConnectionResetError

    async def main():
        with pytest.raises(ConnectionResetError):
            await charge(1)
        await undo.arollback_all()

    asyncio.run(main())
    assert (["key-of-charge"], [1]) == (asked, world.undone)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"undo": lambda nobody: None}, "demands nobody"),
        ({"undo": 3}, "needs a function"),
        ({"undo": lambda: None, "resolve": lambda result: True}, "without a result"),
        ({"resolve": lambda: True}, "without a result"),
        ({"undo": lambda: None, "raised": "retry"}, "'compensate', 'park', 'skip'"),
        ({"undo": lambda: None, "in_doubt": None}, "'compensate', 'park', 'skip'"),
        ({"undo": lambda: None, "retry": 3}, "tenacity.Retrying"),
    ],
)
def test_wrong_options_are_found_at_decoration(options, problem, undo):
    """Not when something has to be undone."""
    with pytest.raises(Misuse, match=problem):
        undo.undoable(**options)(lambda order: None)


def test_an_undo_cannot_guess_which_result_is_meant(undo):
    """A parameter called result and the result of the call."""
    with pytest.raises(Misuse, match="result"):
        undo.undoable(undo=lambda result: None)(lambda result: None)


def test_the_decorated_function_stays_itself(undo):
    """Name, docstring, signature, layers; and current run and call inside."""

    @undo.undoable(undo=lambda a: None)
    def tool(a: int) -> int:
        """Do it."""
        assert "tool" == patterns.current_call().name
        return a

    assert ("tool", "Do it.", ("rollback.undoable",)) == (tool.__name__, tool.__doc__, layers(tool))
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        tool()
    assert () == undo.actions()

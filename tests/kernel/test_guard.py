"""Putting guards on things: what is fused, what is kept, what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import inspect
import pickle
import sys
import types

import pytest

from patterns import guard_import, guard_tools, layers
from patterns.errors import Misuse
from patterns.kernel.block import Block
from patterns.kernel.guard import Guard, attach
from patterns.testing.shapes import decorated


class Passing(Guard):
    """Lets everything pass and counts."""

    def __init__(self, name="pass"):
        self.name = name
        self.seen = 0

    async def around(self, call, proceed):
        self.seen += 1
        return await proceed()


def passing(function):
    """Guard with a fresh guard; usable as a decorator at module level."""
    return attach(function, Passing())


@passing
@passing
def at_module_level(order: str, amount: int = 3, *, note: str | None = None) -> str:
    """Pay."""
    return f"{order} {amount} {note}"


@passing
async def async_at_module_level() -> int:
    """Wait."""
    return 1


def test_signature_kind_hints_and_names_stay():
    """Transparent: what a framework reads off a function is unchanged."""
    plain = at_module_level.__wrapped__

    assert inspect.signature(plain) == inspect.signature(at_module_level)
    assert inspect.get_annotations(plain) == inspect.get_annotations(at_module_level)
    assert ("at_module_level", "Pay.", __name__) == (
        at_module_level.__name__,
        at_module_level.__doc__,
        at_module_level.__module__,
    )
    assert isinstance(at_module_level, types.FunctionType)


@pytest.mark.parametrize(
    ("make", "check"),
    [
        (lambda: at_module_level, inspect.isfunction),
        (lambda: async_at_module_level, inspect.iscoroutinefunction),
        (lambda: async_at_module_level, asyncio.iscoroutinefunction),
        (lambda: passing(_generator), inspect.isgeneratorfunction),
        (lambda: passing(_async_generator), inspect.isasyncgenfunction),
    ],
)
@pytest.mark.filterwarnings("ignore:.*iscoroutinefunction.*:DeprecationWarning")
def test_the_kind_stays(make, check):
    """Transparent: inspect sees the same kind of function."""
    assert check(make())


def _generator():
    yield 1


async def _async_generator():
    yield 1


def test_pickle_and_copies_keep_working():
    """A guarded function goes to a process pool and through deepcopy."""
    assert pickle.loads(pickle.dumps(at_module_level)) is at_module_level  # noqa: S301 - our own bytes
    assert copy.deepcopy(at_module_level) is at_module_level
    assert copy.copy(at_module_level) is at_module_level


def test_a_guarded_callable_object_is_copied_with_its_guards():
    """Deepcopy of a guarded partial is a guarded partial."""
    guarded = passing(functools.partial(at_module_level.__wrapped__, "A1"))

    assert "A1 3 None" == copy.deepcopy(guarded)()
    assert ("pass",) == layers(copy.deepcopy(guarded))
    assert copy.copy(guarded) is guarded


def test_stacked_guards_are_one_wrapper():
    """One wrapper per stack, however many decorators."""
    assert ("pass", "pass") == layers(at_module_level)
    assert not hasattr(at_module_level.__wrapped__, "__wrapped__")


def test_a_strangers_decorator_is_not_fused_through():
    """functools.wraps copies our record onto the stranger, whose own work must still run."""
    calls = []

    def stranger(function):
        @functools.wraps(function)
        def around(*args, **kwargs):
            calls.append("stranger")
            return function(*args, **kwargs)

        return around

    guarded = attach(stranger(attach(lambda: "ran", Passing("inner"))), Passing("outer"))

    assert "ran" == guarded()
    assert ["stranger"] == calls
    assert ("outer",) == layers(guarded)
    assert () == layers(stranger(guarded))


class Shop:
    """Every kind of method."""

    @passing
    def method(self, amount):
        """Return who and what."""
        return self, amount

    @passing
    @classmethod
    def above_classmethod(cls, amount):
        """Return who and what."""
        return cls, amount

    @classmethod
    @passing
    def below_classmethod(cls, amount):
        """Return who and what."""
        return cls, amount

    @passing
    @passing
    @staticmethod
    def above_staticmethod(amount):
        """Return what."""
        return amount

    @property
    @passing
    def value(self):
        """Return 7."""
        return 7


def test_methods_of_every_kind():
    """Methods, classmethods, staticmethods and properties bind as before."""
    shop = Shop()

    assert (shop, 1) == shop.method(1)
    assert (Shop, 2) == Shop.above_classmethod(2) == shop.above_classmethod(2)
    assert (Shop, 3) == shop.below_classmethod(3)
    assert 4 == shop.above_staticmethod(4) == Shop.above_staticmethod(4)
    assert 7 == shop.value
    assert ("pass", "pass") == layers(Shop.above_staticmethod)
    assert ("pass",) == layers(shop.method)


def test_bound_methods_builtins_partials_and_callables():
    """Whatever can be called can be guarded."""

    class Doubler:
        def __call__(self, number):
            return number * 2

    class AsyncDoubler:
        async def __call__(self, number):
            return number * 2

    assert 3 == passing(len)([1, 2, 3])
    assert 6 == passing(Doubler().__call__)(3)
    assert "a" == passing("a".strip)()
    assert 8 == passing(Doubler())(4)
    assert 8 == asyncio.run(passing(AsyncDoubler())(4))
    assert "A1 5 None" == passing(functools.partial(at_module_level.__wrapped__, amount=5))("A1")
    assert ("pass", "pass") == layers(passing(passing(Doubler())))


class ToolOfAFramework:
    """Looks like the tool objects of agent frameworks."""

    def __init__(self, function):
        self.name = function.__name__
        self.description = function.__doc__
        self.func = function

    def __call__(self, *args):
        """Run it."""
        return self.func(*args)


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (Shop, "is a class"),
        (property(lambda self: 1), "a property is not a function"),
        (functools.cached_property(lambda self: 1), "a cached_property"),
        (functools.partialmethod(lambda self: 1), "a partialmethod"),
        (ToolOfAFramework(at_module_level), "is a tool object"),
        (contextlib.contextmanager(lambda: (yield)), "makes a context manager"),
        (contextlib.asynccontextmanager(_async_generator), "makes a context manager"),
        (42, "is not callable"),
        (None, "is not callable"),
        (_generator(), "is not callable"),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_what_cannot_be_guarded_is_refused_with_the_right_line(thing, words):
    """Wrong use is found at decoration and shows the wrong and the right line."""
    with pytest.raises(Misuse, match=words) as caught:
        passing(thing)

    assert "wrong: " in str(caught.value)
    assert "right: " in str(caught.value)
    assert isinstance(caught.value, TypeError)


def test_a_step_needs_a_name():
    """A block without a name is refused."""
    with pytest.raises(Misuse, match="needs a name"):
        Block(Passing(), "", {})


def test_guard_tools_guards_functions_and_the_inside_of_tool_objects():
    """A framework's tool object is guarded on the inside, where it is really called."""
    guard = Passing()
    tool = ToolOfAFramework(at_module_level.__wrapped__)

    first, second = guard_tools([at_module_level, tool], lambda f: attach(f, guard))
    named = guard_tools({"pay": len}, lambda f: attach(f, guard))

    assert "A1 1 None" == first("A1", 1)
    assert "A2 2 None" == second("A2", 2)
    assert 2 == named["pay"]("ab")
    assert 3 == guard.seen
    assert tool.func is at_module_level.__wrapped__


def test_guard_tools_guards_a_function_that_a_tool_holds_twice():
    """Some frameworks keep the function again in a schema and call that one."""
    guard = Passing()
    plain = at_module_level.__wrapped__
    schema = types.SimpleNamespace(function=plain)
    tool = types.SimpleNamespace(name="pay", description="pays", function=plain, function_schema=schema, run=lambda: 1)

    (guarded,) = guard_tools([tool], lambda f: attach(f, guard))

    assert "A1 1 None" == guarded.function_schema.function("A1", 1)
    assert 1 == guard.seen
    assert schema.function is plain


def test_guard_tools_refuses_what_hides_its_function():
    """A tool object whose function cannot be reached is not silently left unguarded."""
    hidden = types.SimpleNamespace(name="pay", description="pays", invoke=lambda: 1)

    with pytest.raises(Misuse, match="hides its function"):
        guard_tools([hidden], passing)
    with pytest.raises(Misuse, match="no decorator"):
        guard_tools([len])


@pytest.fixture
def strangers(tmp_path, monkeypatch):
    """A third-party module on the path, not yet imported."""
    (tmp_path / "strangers_sdk.py").write_text(
        "def pay(x):\n    return x\n\n"
        "class Charge:\n    @classmethod\n    def create(cls, x):\n        return cls.__name__, x\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "strangers_sdk", raising=False)
    yield "strangers_sdk"
    sys.modules.pop("strangers_sdk", None)


def test_a_function_you_do_not_own_is_guarded_before_it_is_imported(strangers):
    """guard_import works for modules that come later."""
    guard = Passing()
    handle = guard_import(f"{strangers}:Charge.create", lambda f: attach(f, guard))
    assert not handle.in_force

    import strangers_sdk

    assert ("Charge", 5) == strangers_sdk.Charge.create(5)
    assert handle.in_force
    assert 1 == guard.seen
    handle.undo()
    assert ("Charge", 6) == strangers_sdk.Charge.create(6)
    assert 1 == guard.seen


def test_a_function_you_do_not_own_is_guarded_after_it_was_imported(strangers):
    """guard_import works for modules that are there already."""
    import strangers_sdk

    guard = Passing()
    handle = guard_import(f"{strangers}:pay", lambda f: attach(f, guard))

    assert 5 == strangers_sdk.pay(5)
    assert 1 == guard.seen
    handle.undo()


def test_an_import_without_the_guarded_name_fails_every_time(strangers):
    """A renamed function of a third party is not silently left unguarded by a second import."""
    handle = guard_import(f"{strangers}:renamed", passing)

    for _ in range(2):
        with pytest.raises(Misuse, match="'renamed' is missing"):
            import strangers_sdk
    handle.undo()
    import strangers_sdk  # noqa: F401


def test_guards_are_undone_last_first(strangers):
    """Undoing in the order of guarding would bring the first guard back for ever."""
    import strangers_sdk

    first, second = guard_import(f"{strangers}:pay", passing), guard_import(f"{strangers}:pay", passing)

    with pytest.raises(Misuse, match="guarded or patched again"):
        first.undo()
    second.undo()
    first.undo()
    assert () == layers(strangers_sdk.pay)


@pytest.mark.parametrize(
    "path", ["strangers_sdk", "strangers_sdk:", ":pay", "strangers_sdk:missing", "strangers_sdk:Charge.x"]
)
def test_a_wrong_import_path_is_refused(strangers, path):
    """The error shows a path that works."""
    import strangers_sdk  # noqa: F401

    with pytest.raises(Misuse, match="right: guard_import"):
        guard_import(path, passing)


def test_decorators_are_applied_outermost_first():
    """The order written is the order kept, also where decorators are a list."""
    tool = guard_tools([lambda: 1], lambda f: attach(f, Passing("outer")), lambda f: attach(f, Passing("inner")))[0]

    assert ("outer", "inner") == layers(tool)
    assert 1 == decorated([], tool)()

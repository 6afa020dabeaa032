"""Binding: the same names as the interpreter's, whatever is called and however."""

from __future__ import annotations

import functools
import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patterns.errors import Misuse
from patterns.kernel.binding import Binder
from patterns.kernel.canonical import digest

NOT_GIVEN = object()


def refund(order_id, amount=20, *tags, note=None, **more):
    """Have a parameter of every usual kind."""


def strict(first, /, second, third=3, *, fourth, fifth=5):
    """Have what can go wrong."""


class Till:
    def charge(self, amount, currency="EUR"):
        """Be a method."""

    @classmethod
    def open(cls, place):
        """Be a classmethod."""

    @staticmethod
    def count(coins):
        """Be a staticmethod."""

    def __call__(self, amount):
        """Be a callable object."""


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (("A1",), {}),
        (("A1", 20), {}),
        (("A1",), {"amount": 20}),
        ((), {"order_id": "A1"}),
        ((), {"amount": 20, "order_id": "A1"}),
        ((), {"note": None, "order_id": "A1"}),
    ],
)
def test_position_keyword_and_default_are_one(args, kwargs):
    """However an argument comes, it stands under its name, and in the order of the parameters."""
    bound = Binder(refund).arguments(args, kwargs)
    assert {"order_id": "A1", "amount": 20, "tags": (), "note": None, "more": {}} == bound
    assert ["order_id", "amount", "tags", "note", "more"] == list(bound)


def test_the_rest_stands_under_its_name():
    """``*args`` is a tuple and ``**kwargs`` a dict, so what is in them collides with no parameter."""
    bound = Binder(refund).arguments(("A1", 5, "x", "y"), {"tags": 1, "args": 2})
    assert {"order_id": "A1", "amount": 5, "tags": ("x", "y"), "note": None, "more": {"tags": 1, "args": 2}} == bound


names = st.sampled_from(["first", "second", "third", "fourth", "fifth", "sixth"])


@given(st.lists(st.integers(), max_size=5), st.dictionaries(names, st.integers()))
def test_wrong_arguments_raise_what_the_call_raises(args, kwargs):
    """A guarded call with wrong arguments fails with the very words of the unguarded one."""

    def outcome(call):
        try:
            return call()
        except TypeError as error:
            return str(error)

    def told(*args, **kwargs):
        strict(*args, **kwargs)
        bound = inspect.signature(strict).bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments

    assert outcome(lambda: told(*args, **kwargs)) == outcome(lambda: Binder(strict).arguments(tuple(args), kwargs))


till = Till()


@pytest.mark.parametrize(
    ("expected", "function", "args", "kwargs"),
    [
        ({"self": till, "amount": 5, "currency": "EUR"}, till.charge, (5,), {}),
        ({"self": till, "amount": 5, "currency": "EUR"}, Till.charge, (till, 5), {}),
        ({"cls": Till, "place": "x"}, Till.open, ("x",), {}),
        ({"cls": Till, "place": "x"}, vars(Till)["open"], (Till, "x"), {}),
        ({"coins": 1}, till.count, (1,), {}),
        ({"coins": 1}, vars(Till)["count"], (1,), {}),
        ({"self": till, "amount": 5}, till, (5,), {}),
        ({"self": till, "amount": 5, "currency": "USD"}, functools.partial(till.charge, currency="USD"), (5,), {}),
        (
            {"self": till, "amount": 5, "currency": "CHF"},
            functools.partial(functools.partial(till.charge, currency="USD"), 5),
            (),
            {"currency": "CHF"},
        ),
        ({"self": [1], "object": 2}, [1].append, (2,), {}),
        ({"obj": "a"}, len, ("a",), {}),
        ({"amount": 5, "currency": "EUR"}, functools.wraps(lambda amount, currency="EUR": 0)(lambda *a: 0), (5,), {}),
        ({}, lambda: None, (), {}),
    ],
)
def test_what_comes_along_takes_part(expected, function, args, kwargs):
    """The object of a method and the arguments of a partial are arguments like any other."""
    assert expected == Binder(function).arguments(args, kwargs)


def test_two_receivers_are_two_calls():
    """``a.charge(10)`` and ``b.charge(10)`` have two keys, or none at all."""

    class Account(Till):
        def __init__(self, number):
            self.__idempotency_key__ = number

    first, second, again = (Binder(Account(number).charge).arguments((10,), {}) for number in (1, 2, 1))
    assert digest(first) != digest(second)
    assert digest(first) == digest(again)
    with pytest.raises(Misuse, match=r"made of arguments\.self: two objects of .*Till are equal only if"):
        digest(Binder(till.charge).arguments((10,), {}))


def test_the_body_never_runs():
    """Binding looks at the signature alone, of generators and coroutine functions too."""
    ran = []

    def body(x):
        ran.append(x)
        yield x

    async def task(x):
        ran.append(x)

    assert {"x": 1} == Binder(body).arguments((1,), {}) == Binder(task).arguments((), {"x": 1})
    assert [] == ran


def test_a_parameter_may_bear_any_name():
    """A builtin's ``from``, a non-ASCII name, and the names binding itself uses do no harm."""
    odd = inspect.Signature([inspect.Parameter("from", inspect.Parameter.POSITIONAL_ONLY)])

    def function(bind, dict, größe, self=0):  # noqa: A002, PLC2401 - what is tested
        """Have names that could be mistaken."""

    def builtin(x):
        """Pretend to be written in C."""

    builtin.__signature__ = odd
    assert {"bind": 1, "dict": 2, "größe": 3, "self": 0} == Binder(function).arguments((1, 2), {"größe": 3})
    assert {"from": 1} == Binder(builtin).arguments((1,), {})


def test_a_builtin_without_signature_is_refused_when_needed():
    """It may be guarded; only whoever asks for its arguments by name hears that they have none."""
    binder = Binder(min)
    for ask in (lambda: binder.names, lambda: binder.arguments((1, 2), {}), lambda: binder.selector(len)):
        with pytest.raises(Misuse, match="min does not tell its parameters") as refused:
            ask()
    assert "right: def min_guarded(first, second): return min(first, second)" in str(refused.value)


def test_a_marker_for_no_argument_is_left_out():
    """A default that has no spelling means that the argument is absent; given, it is refused like any other."""

    def search(text, limit=NOT_GIVEN, order="asc"):
        """Do as many client libraries do."""

    binder = Binder(search)
    absent = binder.arguments(("a",), {})
    assert {"text": "a", "limit": NOT_GIVEN, "order": "asc"} == absent
    assert {"text": "a", "order": "asc"} == binder.spellable(absent)
    given_one = binder.arguments(("a", 5), {})
    assert given_one == binder.spellable(given_one)
    with pytest.raises(Misuse, match=r"arguments\.limit"):
        digest(binder.spellable(binder.arguments(("a", object()), {})))


def test_names_are_required_to_be_parameters():
    """A misspelled name in an option is found at decoration."""
    binder = Binder(refund)
    assert frozenset({"note", "more"}) == binder.require(["note", "more"])
    with pytest.raises(
        Misuse, match=r"exclude= names parameters of refund\(order_id, amount, tags, note, more\)"
    ) as refused:
        binder.require(("notes",))
    assert "wrong: exclude=('notes',)\n    right: exclude=('more',)" in str(refused.value)
    with pytest.raises(Misuse, match="wrong: ignore='note'"):
        binder.require("note", option="ignore")


# Functions of the arguments


@pytest.mark.parametrize(
    ("expected", "function"),
    [
        ("A1", lambda order_id, **_: order_id),
        ("A1", lambda order_id: order_id),
        (("A1", 5), lambda order_id, /, amount: (order_id, amount)),
        (["amount", "more", "note", "tags"], lambda order_id, /, **rest: sorted(rest)),
        (("x",), lambda tags: tags),
        ({"k": 1}, lambda more: more),
        (9, lambda absent=9: absent),
        ((), lambda *rest: rest),
        (5, lambda *, amount, **_: amount),
        ("constant", lambda: "constant"),
        ("A1", functools.partial(lambda prefix, order_id: order_id, "p")),
    ],
)
def test_an_option_takes_the_parameters_it_names(expected, function):
    """``key=`` and its like are called with the function's own parameters, by name."""
    binder = Binder(refund)
    selector = binder.selector(function)
    assert expected == binder.call_with(selector, ("A1", 5, "x"), {"k": 1})


def test_a_method_is_a_parameter_to_its_options():
    """``self`` may be asked for like the others."""
    binder = Binder(till.charge)
    assert (till, 5) == binder.call_with(binder.selector(lambda self, amount: (self, amount)), (5,), {})


def test_an_option_may_take_further_facts():
    """An undo is told the result as well."""
    binder = Binder(refund)
    undo = binder.selector(lambda order_id, result: (order_id, result), option="undo", extra=("result",))
    assert ("A1", "r-1") == binder.call_with(undo, ("A1",), {}, result="r-1")


def test_a_fact_never_hides_a_parameter():
    """If a name could mean two things, the program says which."""
    binder = Binder(lambda result, amount: None)
    assert 2 == binder.call_with(binder.selector(lambda amount: amount, extra=("result",)), (1, 2), {}, result=3)
    with pytest.raises(Misuse, match="result of undo= could be the parameter of <lambda> or the result of the call"):
        binder.selector(lambda result: result, option="undo", extra=("result",))


@pytest.mark.parametrize(
    ("wrong", "function"),
    [
        ("key=lambda order: ...", lambda order: order),
        ("key=lambda order, /, *, x, y=None, **_: ...", lambda order, /, *, x, y=1, **_: order),
    ],
)
def test_an_option_that_demands_too_much_is_refused_at_decoration(wrong, function):
    """A misspelled parameter is found before the first call, and the right line is shown."""
    with pytest.raises(Misuse) as refused:
        Binder(refund).selector(function)
    text = str(refused.value)
    assert text.startswith("key= demands order, which refund(order_id, amount, tags, note, more) does not have")
    assert f"wrong: {wrong}\n    right: key=lambda order_id, **_: order_id" in text


@pytest.mark.parametrize("function", [3, min, "order_id"])
def test_an_option_is_a_function_with_a_signature(function):
    """Anything else is refused at decoration."""
    with pytest.raises(Misuse, match="reasoning= needs a function with a signature"):
        Binder(refund).selector(function, option="reasoning")

"""Which calls are one effect, and which are not."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import patterns
from patterns.errors import InFlight, KeyConflict, Misuse, ScopeRequired
from patterns.ledger import Ledger, idempotency_headers
from patterns.stores.memory import MemoryStore


@pytest.fixture
def pay(ledger, till):
    """Return a guarded function that pays."""

    @ledger.once
    def pay(order: str, amount: int = 1, *tags: str, note: str | None = None, **more: Any) -> int:
        till.pay((order, amount))
        return len(till.paid)

    return pay


def test_positional_keyword_and_default_mean_the_same(pay, till, run):
    """However the arguments are written, it is one call."""
    assert {1} == {pay("a"), pay("a", 1), pay(order="a"), pay(amount=1, order="a"), pay("a", note=None)}
    assert [2, 3, 4, 5] == [pay("b"), pay("a", 2), pay("a", 1, "x"), pay("a", x=1)]


def test_the_scope_is_never_guessed(pay, till):
    """A call outside any run is refused before anything happens."""
    with pytest.raises(ScopeRequired, match=r"right: with patterns.run\(") as caught:
        pay("a")
    assert [] == till.paid
    assert isinstance(caught.value, Misuse)


def test_a_step_without_key_needs_a_run_too(ledger):
    """The error shows the step."""
    with pytest.raises(ScopeRequired, match=r"ledger.step\('mail', key=mail_id\)"):
        ledger.step("mail").__enter__()
    with ledger.step("mail", key="m-1") as step:
        assert step.fresh


def test_runs_tenants_nesting_and_labels_separate_effects(pay, till):
    """Each is an effect of its own; the same again is not."""

    def all_of_them() -> list[int]:
        found = []
        for tenant in (None, "acme", "other"):
            with patterns.run("r-1", tenant=tenant):
                found.append(pay("a"))
                with patterns.run("r-2"):
                    found.append(pay("a"))
                with patterns.distinct("second gift"):
                    found.append(pay("a"))
        with patterns.run("r-2"):
            found.append(pay("a"))
        return found

    assert [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] == all_of_them()
    assert [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] == all_of_them()


def test_ledgers_and_tools_separate_effects(memory, till, run):
    """The same arguments of another tool, or in another ledger, are another effect."""
    for ledger in (Ledger(memory), Ledger(memory, name="other")):
        for name in ("pay", "refund"):
            ledger.once(name=name)(till.pay_order)("a")
    assert 4 == len(till.paid)


@given(st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), min_size=2, max_size=6, unique=True))
def test_no_two_calls_share_a_key(pairs):
    """No separator in an argument, a run or a tenant makes two calls one."""
    paid = []
    ledger = Ledger(MemoryStore())
    tool = ledger.once(name="tool")(lambda first, second: paid.append((first, second)))
    with patterns.run("r"):
        for pair in pairs:
            tool(*pair)
    assert pairs == paid


@pytest.mark.parametrize("other", [1.0, True, "1", [1], (1,), {"1": 1}, None, b"1"])
def test_values_of_other_types_are_other_arguments(other, ledger, run, till):
    """What Python calls equal may still be meant differently."""
    pay = ledger.once(name="pay")(till.pay)
    pay(1)
    pay(other)
    assert [1, other] == till.paid


def test_an_explicit_key_works_anywhere_and_is_kept_within_its_scope(ledger, till):
    """Outside runs it is global; inside a run it belongs to the run, unless it is meant across them."""
    in_run = ledger.once(key=lambda order, **_: order, name="in run")(till.pay_order)
    across = ledger.once(key="{order}", name="across", across_runs=True)(till.pay_order)
    for _ in range(2):
        in_run("a")
        for run in ("r-1", "r-2"):
            with patterns.run(run):
                in_run("a")
                across("a")
    assert 4 == len(till.paid)
    with patterns.run("r-1", tenant="acme"):
        across("a")
    assert 5 == len(till.paid)


KEYS = [
    {"key": lambda order, **_: order},
    {"key": "order-{order}"},
    {"include": ("order",)},
]


@pytest.mark.parametrize("options", KEYS, ids=["function", "template", "include"])
def test_the_same_key_with_other_arguments_is_a_conflict(options, ledger, till, run):
    """It is never a silent replay, also in sync and async, and says which key."""
    pay = ledger.once(**options)(pay_of(till))
    assert 5 == pay("a", 5) == pay(amount=5, order="a")
    with pytest.raises(KeyConflict) as caught:
        pay("a", 6)
    assert [5] == till.paid
    assert "a" in caught.value.key
    assert "other arguments" in caught.value.for_model()


def pay_of(till):
    """Return a tool of two parameters."""

    def pay(order: str, amount: int) -> int:
        return till.pay(amount)

    return pay


def test_excluded_parameters_do_not_matter(ledger, till, run):
    """Neither for the key nor for the conflict."""
    plain = ledger.once(exclude=("at",), name="plain")(lambda order, at: till.pay(at))
    keyed = ledger.once(exclude=("at",), include=("order",), name="keyed")(lambda order, at: till.pay(at))
    assert {1} == {plain("a", 1), plain("a", 2), keyed("a", 1), keyed("a", 2)}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"key": "order"}, "names no parameter"),
        ({"key": "order-{nothing}"}, "no parameter"),
        ({"key": lambda nothing: nothing}, "demands nothing"),
        ({"key": 5}, "needs a function"),
        ({"include": ("nothing",)}, "include="),
        ({"exclude": ("nothing",)}, "exclude="),
        ({"exclude": "order"}, "exclude="),
        ({"conflict_on": ("nothing",)}, "conflict_on="),
        ({"key": "{order}", "include": ("order",)}, "both say"),
    ],
)
def test_options_that_do_not_fit_are_refused_at_decoration(options, problem, ledger, till):
    """With the line to write instead."""
    with pytest.raises(Misuse, match=problem) as caught:
        ledger.once(**options)(pay_of(till))
    assert "right: " in str(caught.value)


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_key_is_refused(empty, ledger, till):
    """It would make all calls one effect."""
    pay = ledger.once(key=lambda order, **_: empty)(pay_of(till))
    with pytest.raises(Misuse, match="one effect"):
        pay("a", 1)
    assert [] == till.paid


class Client:
    def __init__(self, till, name: str) -> None:
        self.till, self.name = till, name

    def charge(self, amount: int) -> int:
        return self.till.pay((self.name, amount))


class Account(Client):
    def __idempotency_key__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Value:
    name: str


def test_self_takes_part(ledger, till, run):
    """Charges of two accounts are two effects, on whatever way the method is guarded."""

    class Guarded(Account):
        @ledger.once
        def charge(self, amount: int) -> int:
            return self.till.pay((self.name, amount))

    for _ in range(2):
        for name in ("a", "b"):
            Guarded(till, name).charge(10)
            ledger.once(name="bound")(Account(till, name).charge)(20)
            ledger.once(name="partial")(functools.partial(lambda account, amount: till.pay((account, amount)), name))(
                30
            )
    assert [("a", 10), ("a", 20), ("a", 30), ("b", 10), ("b", 20), ("b", 30)] == till.paid


def test_an_object_that_cannot_spell_itself_is_refused(ledger, till, run):
    """``a.charge(10)`` and ``b.charge(10)`` must never be one effect."""
    charge = ledger.once(name="charge")(Client(till, "a").charge)
    with pytest.raises(Misuse, match="__idempotency_key__"):
        charge(10)
    assert [] == till.paid


def test_with_a_key_arguments_need_no_spelling(ledger, till):
    """That is the remedy, and what can be compared still is."""

    @ledger.once(key=lambda client, order, **_: order)
    def charge(client: Client, order: str, amount: int) -> int:
        return till.pay(amount)

    assert 5 == charge(Client(till, "a"), "o", 5) == charge(Client(till, "b"), "o", 5)
    with pytest.raises(KeyConflict):
        charge(Client(till, "a"), "o", 6)


def test_what_has_no_name_or_runs_while_consumed_is_refused(ledger):
    """Lambdas would be one tool; generators have effects all along."""
    with pytest.raises(Misuse, match=r'name="refund"'):
        ledger.once(lambda order: order)

    with pytest.raises(Misuse, match="generator function"):

        @ledger.once
        def pages():
            yield 1

    with pytest.raises(Misuse, match="async generator function"):

        @ledger.once
        async def more_pages():
            yield 1


def test_a_call_that_contains_itself_is_refused_at_once(memory, till, run):
    """It would wait for itself, in sync code and in tasks."""
    ledger = Ledger(memory)

    @ledger.once
    def pay(order: str) -> int:
        till.pay(order)
        return pay(order)

    @ledger.once
    async def apay(order: str) -> int:
        till.pay(order)
        return await asyncio.create_task(apay(order))

    for call in (lambda: pay("a"), lambda: asyncio.run(apay("a"))):
        with pytest.raises(InFlight, match="calls itself"):
            call()
    assert ["a", "a"] == till.paid


def test_two_guards_of_one_ledger_are_refused(ledger, till, run):
    """The second would only be in the way."""
    twice = ledger.once(ledger.once(pay_of(till)))
    with pytest.raises(Misuse, match="guarded twice"):
        twice("a", 1)
    assert [] == till.paid


def test_wrong_arguments_are_the_functions_own_error(pay, run):
    """Nothing is claimed for a call that could not be made."""
    with pytest.raises(TypeError, match=r"pay\(\) missing 1 required positional argument: 'order'"):
        pay()


def test_the_downstream_key_is_stable_and_known_before_the_body(ledger, run):
    """The same for every attempt at the effect, another one for other arguments; so is the fence."""
    seen = []

    @ledger.once(retry_on=ValueError)
    def pay(amount: int) -> str:
        call = patterns.current_call()
        seen.append((call.idempotency_key, call.fence))
        if len(seen) < 3:
            raise ValueError("not yet")
        return call.idempotency_key

    for _ in range(2):
        with pytest.raises(ValueError, match="not yet"):
            pay(1)
    assert pay(1) == pay(1) != pay(2)
    keys = [key for key, _ in seen]
    assert [1, 2, 3, 1] == [fence for _, fence in seen]
    assert (keys[0],) * 3 == tuple(keys[:3]) != (keys[3],) * 3
    assert 32 == len(keys[0])


def test_the_key_is_sent_as_a_header(ledger, run):
    """From anywhere within the effect; outside there is none."""

    @ledger.once
    def pay(amount: int) -> str:
        return idempotency_headers()["Idempotency-Key"]

    assert pay(1) == pay(1) != pay(2)
    with pytest.raises(Misuse, match="runs in no effect"):
        idempotency_headers()


def test_a_mutated_argument_changes_the_running_call_not_its_key(ledger, till, run):
    """The key is made of what was passed."""

    @ledger.once
    def pay(amounts: list[int]) -> int:
        amounts.append(99)
        return till.pay(len(amounts))

    assert 2 == pay([1]) == pay([1])
    assert [2] == till.paid


@pytest.mark.parametrize(
    "options",
    [
        {"name": ""},
        {"name": "a/b"},
        {"wait": -1},
        {"durability": "none"},
        {"on_error": "ignore"},
        {"guarantee": "exactly_once"},
        {"guarantee": "keyed"},
        {"retry_on": ("ValueError",)},
        {"retry_on": KeyboardInterrupt},
        {"retry_on": ValueError, "terminal": ValueError},
        {"largest_result": 0},
        {"quiet": float("nan")},
    ],
    ids=str,
)
def test_malformed_options_are_refused(options, memory):
    """When the ledger is made, with the line to write instead."""
    with pytest.raises(Misuse, match="right: "):
        Ledger(memory, **options)


def test_a_store_is_needed():
    """A URL is none."""
    with pytest.raises(Misuse, match="open_store"):
        Ledger("sqlite:///agent.db")

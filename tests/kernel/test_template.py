"""Templates: keys in words that cannot be confused."""

from __future__ import annotations

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from patterns.errors import Misuse
from patterns.kernel.canonical import encode
from patterns.kernel.template import template

NAMES = ("order", "amount")


@frozen
class Order:
    id: str
    items: tuple


@pytest.mark.parametrize(
    ("parts", "label", "text"),
    [
        (["order-", "A1"], "order-A1", "order-{order}"),
        (["A1", "/", 20], "A1/20", "{order}/{amount}"),
        (["A1", "A1"], "A1A1", "{order}{order}"),
        (["{", "A1", "}"], "{A1}", "{{{order}}}"),
        (["daily"], "daily", "daily"),
        ([], "", ""),
    ],
)
def test_a_template_keeps_its_parts_apart(parts, label, text):
    """Literal text and values come in order; only the label joins them."""
    made = template(text, NAMES)
    assert parts == made({"order": "A1", "amount": 20})
    assert label == made.label({"order": "A1", "amount": 20})


def test_a_value_stays_what_it_is():
    """The text 20 and the number 20 are two keys, as they are two arguments; the label is for people."""
    made = template("{amount}", NAMES)
    assert encode(made({"amount": 20})) != encode(made({"amount": "20"}))
    assert '{"$set":[1,2]}' == made.label({"amount": {2, 1}})


def test_a_place_may_lead_into_a_value():
    """Attributes, items and indexes are followed as in any format string."""
    made = template("{order.id}:{order.items[1]}:{amount[currency]}", NAMES)
    assert ["A1", ":", "y", ":", "EUR"] == made({"order": Order("A1", ("x", "y")), "amount": {"currency": "EUR"}})
    assert frozenset({"order", "amount"}) == made.names


@given(st.lists(st.text('a|{}"\\,[]'), min_size=2, max_size=2), st.lists(st.text('a|{}"\\,[]'), min_size=2, max_size=2))
def test_no_separator_confuses_two_keys(first, second):
    """Two calls have one key if and only if all values are equal, whatever is written between them."""
    made = template("{order}|{amount}", NAMES)
    keys = [encode(made(dict(zip(NAMES, values, strict=True)))) for values in (first, second)]
    assert (first == second) == (keys[0] == keys[1])


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        ("there is no parameter for {orders} among order, amount", "order-{orders}"),
        ("there is no parameter for {} among order, amount", "order-{}"),
        ("there is no parameter for {0} among order, amount", "order-{0}"),
        ("there is no parameter for {orders.id} among order, amount", "{orders.id}"),
        ("a value is taken as it is; to change it, use a function", "{amount:.2f}"),
        ("a value is taken as it is; to change it, use a function", "{amount!r}"),
        ("expected '}' before end of string", "{order"),
        ("Single '}' encountered in format string", "order}"),
        ("Empty attribute in format string", "{order.}"),
    ],
)
def test_a_wrong_template_is_refused_at_decoration(problem, text):
    """A misspelled name is found before the first call, and a right line is shown."""
    with pytest.raises(Misuse) as refused:
        template(text, NAMES, option="group")
    assert f'group={text!r}: {problem}\n    wrong: group={text!r}\n    right: group="order-{{order}}"' == str(
        refused.value
    )


def test_a_value_that_lacks_the_place_is_an_error():
    """A key is not made up where there is none; the call does not go on."""
    made = template("{order.id}", NAMES)
    with pytest.raises(AttributeError):
        made({"order": "A1", "amount": 1})

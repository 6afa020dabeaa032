"""The algebra of effects: composed, subtracted, compared and summed up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from patterns.impact_gate import Change, Effect, Lens, Population
from patterns.impact_gate.diff import summarise
from patterns.impact_gate.effect import NO_EFFECT, between, digest, disagreements, inverse, then

COLUMNS = ("id", "value")
LENS = Lens()
values = st.none() | st.integers(0, 2) | st.sampled_from([1.0, "a", b"a"])
states = st.dictionaries(st.integers(0, 4), values, max_size=4)
State = dict[int, object]


def change(before: State, after: State) -> Effect:
    """Return the effect that leads from one state of a small table to another."""
    changes = []
    for key in before.keys() | after.keys():
        old = (key, before[key]) if key in before else None
        new = (key, after[key]) if key in after else None
        if repr(old) != repr(new):
            changes.append(Change("t", (key,), COLUMNS, old, new))
    return Effect(changes=tuple(changes), populations={"t": Population(len(before))})


def rows(effect: Effect) -> set[str]:
    """Return the changes as something to compare, in no order."""
    return {repr((one.key, one.before, one.after)) for one in effect.changes}


@given(states, states, states)
def test_one_effect_after_another_is_the_whole_way(a: State, b: State, c: State):
    """(a -> b) then (b -> c) is (a -> c), with rows that came back as they were left out."""
    assert rows(change(a, c)) == rows(then(change(a, b), change(b, c)))


@given(states, states)
def test_an_effect_and_its_inverse_are_nothing(a: State, b: State):
    """There and back leaves no change."""
    there = change(a, b)
    assert set() == rows(then(there, inverse(there)))


@given(states, states, states)
def test_the_difference_of_two_worlds_leads_from_one_to_the_other(start: State, one: State, other: State):
    """Between the effects of two actions from one start lies the difference of the ends, whatever the start."""
    assert rows(change(one, other)) == rows(between(change(start, one), change(start, other)))


@given(states, states)
def test_the_difference_from_inaction_is_the_effect_itself(a: State, b: State):
    """Inaction is a baseline like any other."""
    assert rows(change(a, b)) == rows(between(NO_EFFECT, change(a, b)))


@given(states, states, states, states)
def test_digests_are_equal_exactly_for_equal_effects(a: State, b: State, c: State, d: State):
    """Order does not matter; each value and its type does."""
    one, other = change(a, b), change(c, d)
    assert (rows(one) == rows(other)) == (digest(one, LENS) == digest(other, LENS))


@given(states, states, states, states)
def test_effects_that_agree_have_equal_digests(a: State, b: State, c: State, d: State):
    """What was found nothing to differ about starts from the same rows or not at all."""
    one, other = change(a, b), change(a, d)
    assert (() == disagreements(one, other, LENS)) == (digest(one, LENS) == digest(other, LENS))


def test_two_payments_of_one_size_diverge():
    """Paying somebody else has the same size and is another world."""
    friend = Effect(changes=(Change("paid", (1,), ("id", "to", "sum"), None, (1, "friend", 20)),))
    stranger = Effect(changes=(Change("paid", (1,), ("id", "to", "sum"), None, (1, "stranger", 20)),))
    found = between(friend, stranger)
    assert [("updated", ("to",))] == [(one.kind, one.changed) for one in found.changes]
    assert ("paid.to",) == disagreements(friend, stranger, LENS)


def test_volatile_columns_are_not_compared():
    """Time stamps differ from rehearsal to rehearsal and mean nothing."""
    early = Effect(changes=(Change("t", (1,), ("id", "at"), None, (1, "10:00")),))
    late = Effect(changes=(Change("t", (1,), ("id", "at"), None, (1, "10:01")),))
    lens = Lens(volatile={"t.at"})
    assert digest(early, lens) == digest(late, lens)
    assert () == disagreements(early, late, lens)
    assert ("t.at",) == disagreements(early, late, LENS)


def test_structure_that_both_change_alike_is_no_difference():
    """Only what one of them does diverges."""
    one = Effect(schema=("drop table a", "drop table b"))
    other = Effect(schema=("drop table b", "drop table c"))
    assert ("drop table a", "drop table c") == between(one, other).schema
    assert ("drop table a", "drop table c") == disagreements(one, other, LENS)


def test_a_summary_counts_exactly_and_shows_a_few():
    """Counts are of all rows, examples of the first 20."""
    gone = [Change("t", (key,), COLUMNS, (key, 5), None) for key in range(30)]
    changed = [Change("t", (key,), COLUMNS, (key, 5), (key, 8)) for key in range(30, 32)]
    diff = summarise(Effect(changes=(*gone, *changed), populations={"t": Population(64)}), LENS)
    table = diff.tables["t"]
    assert (30, 2, 0, 32) == (table.deleted, table.updated, table.inserted, table.rows)
    assert 0.5 == table.fraction
    assert ("value",) == table.columns
    assert {"id": float(sum(range(30))), "value": 30 * 5.0 + 2 * 3.0} == table.moved
    assert 20 == len(diff.sample)
    assert ("deletes 30 of 64 t", "updates 2 of 64 t") == diff.sentences()


def test_hidden_values_are_shown_nowhere():
    """Neither as a value nor as a part of the key."""
    lens = Lens(hidden={"people.mail"})
    one = Change("people", ("a@x", 1), ("mail", "id"), ("a@x", 1), ("b@x", 1))
    (row,) = summarise(Effect(changes=(one,)), lens).sample
    assert ("(hidden)", "1") == row.key
    assert {"mail": ("(hidden)", "(hidden)")} == row.values


def test_values_are_shown_short():
    """A megabyte of text or bytes does not end up in a log."""
    one = Change("t", (b"\x00" * 9,), ("a", "b"), None, ("x" * 5000, None))
    (row,) = summarise(Effect(changes=(one,)), LENS).sample
    assert ("(9 bytes)",) == row.key
    assert {"a": (None, "x" * 119 + "…"), "b": (None, "NULL")} == row.values


def test_owners_are_counted_where_somebody_said_which_column_tells():
    """Before and after count: an order that changes hands touches two."""
    one = Change("orders", (1,), ("id", "user"), (1, "ann"), (1, "bob"))
    assert 2 == summarise(Effect(changes=(one,)), Lens(owners={"orders": "user"})).tables["orders"].owners
    assert None is summarise(Effect(changes=(one,)), LENS).tables["orders"].owners

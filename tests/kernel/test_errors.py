"""The errors: one tree, facts as attributes, a text for people and one for models."""

from __future__ import annotations

import copy
import pickle

import pytest

from patterns import errors
from patterns.errors import CircuitOpen, Misuse, PatternsError, RateLimited, Refused

EVERY = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PatternsError)]


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_error_travels(kind):
    """Facts, text and type survive pickling and copying, as between processes of a pool."""
    error = kind("it went wrong", call="pay", reason="no")

    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - our own bytes
        assert (kind, "it went wrong", "pay", "no") == (type(twin), str(twin), twin.call, twin.reason)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_error_tells_a_model_what_to_do(kind):
    """One sentence of what happened, and one of what to do."""
    told = kind("it went wrong").for_model()

    assert told.startswith("it went wrong. ")
    assert len(told) > len("it went wrong. ")


def test_dots_that_mean_something_are_kept():
    """The right line of a Misuse may end in an ellipsis."""
    assert "wait... This is a mistake" in Misuse("wait...").for_model()


def test_a_model_is_not_shown_code():
    """The wrong and the right line are for the programmer."""
    told = Misuse.shown("a step needs a name", wrong="step()", right='step("a")').for_model()

    assert "a step needs a name. This is a mistake in the program, not in the request." == told


@pytest.mark.parametrize(("wait", "words"), [(0.2, "0.2 s"), (42.4, "42 s")])
@pytest.mark.parametrize("kind", [CircuitOpen, RateLimited])
def test_a_refusal_for_now_says_until_when(kind, wait, words):
    """The model learns for how long the tool is of no use."""
    error = kind("the circuit is open.", call="refund", retry_after=wait)

    assert (
        f"refund is unavailable for {words} because the circuit is open. Do not call it again before."
        == error.for_model()
    )
    assert kind("the circuit is open").for_model().startswith("the circuit is open. ")


def test_wrong_use_is_a_type_error_and_no_refusal():
    """Misuse is the programmer's, a refusal the agent's business."""
    assert issubclass(Misuse, TypeError)
    assert not issubclass(Misuse, Refused)

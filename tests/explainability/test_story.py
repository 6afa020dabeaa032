"""One readable text of what happened and why."""

from __future__ import annotations

import pytest

import patterns
from patterns.errors import Refused
from patterns.explainability import ExplainabilityHooks


def test_a_story_tells_every_call_once(hooks, decide):
    """In the order in which they began, the inner ones indented, with reasons, results and decisions."""

    @hooks.explain(reasoning=lambda order_id: f"{order_id} was lost", confidence=0.9, alternatives=("a voucher",))
    @decide("allow")
    def refund(order_id):
        return look_up(order_id)

    @hooks.explain(confidence=1)
    def look_up(order_id):
        return 20

    @hooks.explain(reasoning="cleaning up")
    @decide("refuse")
    def delete_all():
        return None

    @hooks.explain
    @decide("replay")
    def again():
        return 1

    with patterns.run("ticket-1"):
        refund("A1")
        with pytest.raises(Refused):
            delete_all()
        again()
    assert """\
refund(order_id='A1') was done.
  Why: A1 was lost (confidence 90%)
  Instead of: a voucher
  Result: 20
  gatekeeper: Decided (verdict allow, card 4111)
    look_up(order_id='A1') was done.
      Confidence: 100%
      Result: 20
delete_all() was refused and did not run.
  Why: cleaning up
  Because: Refused: not today
  gatekeeper: Decided (verdict refuse, card 4111)
again() was not done again: the recorded outcome was handed out.
  Result: 'recorded'
  gatekeeper: Decided (verdict replay, card 4111)""" == hooks.story("ticket-1")
    assert "" == hooks.story("ticket-2")


def test_a_story_of_what_is_not_over(hooks):
    """And of what failed, was cut short, or could not be explained."""
    with hooks.step("outer"):
        with pytest.raises(ValueError, match="no"), hooks.step("failing"):
            raise ValueError("no")
        with pytest.raises(KeyboardInterrupt), hooks.step("cut", reasoning=lambda: 1):
            raise KeyboardInterrupt
        told = hooks.story()
    assert (
        """\
outer() was begun and has not ended.
    failing() failed.
      Because: ValueError: no
    cut() was cut short and may have run.
      Because: KeyboardInterrupt
      Not explained: reasoning raised ValueError: reasoning is a text, not 1"""
        == told
    )


def test_a_call_whose_beginning_was_forgotten_is_told_by_its_end(clock):
    """The end holds all that the beginning said."""
    hooks = ExplainabilityHooks("bot", limit=1, clock=clock)
    hooks.explain(reasoning="because")(lambda n: n)(3)
    assert "<lambda>(n=3) was done.\n  Why: because\n  Result: 3" == hooks.story()

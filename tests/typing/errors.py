"""How the errors are used, for type checkers; nothing here is executed."""

# pyright: reportUnnecessaryTypeIgnoreComment=true
from __future__ import annotations

from typing import assert_type

from patterns import errors
from patterns.errors import CircuitOpen, InDoubt, InFlight, Misuse, NotFinal, PatternsError, Refused, misuse


def facts(error: CircuitOpen) -> None:
    """Facts are typed attributes, and every error has the two texts."""
    assert_type(error.retry_after, float | None)
    assert_type(error.breaker, str)
    assert_type(error.call, str | None)
    assert_type(error.for_model(), str)
    raise CircuitOpen("billing is cut off", call="refund", breaker="billing", state="open", retry_after=42.0)


def one_tree(error: Exception) -> str:
    """A refusal is told apart from a doubt by the type alone."""
    match error:
        case InFlight():
            assert_type(error.until, float | None)
            return error.holder
        case NotFinal():
            return error.case
        case Refused():
            assert_type(error.retry_after, float | None)
            return error.text
        case InDoubt():
            return error.effect_id
        case PatternsError():
            return error.advice
        case _:
            return "a stranger"


def misuse_never_returns(number: int | None) -> int:
    """What follows `misuse` knows that it was not called."""
    if number is None:
        misuse("a number is needed", wrong="f(None)", right="f(1)")
    return number


def wrong() -> None:
    """Mistakes that a checker finds."""
    PatternsError()  # type: ignore[call-arg]
    Misuse.shown("a number is needed")  # type: ignore[call-arg]
    errors.Refusal  # type: ignore[attr-defined]  # noqa: B018

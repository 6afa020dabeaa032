"""Every pattern passes the suite that is offered for guards of others, and the suite can fail."""

from __future__ import annotations

from typing import Any

import pytest

from patterns.kernel.block import Block
from patterns.kernel.guard import Guard, attach
from patterns.testing.guard_conformance import GuardConformance
from patterns.testing.shapes import Guarding
from tests.laws.conftest import Bench


def of(name: str) -> Guarding:
    """Return one pattern over memory."""
    (guarding,) = Bench().guardings([name])
    return guarding


class TestBreaker(GuardConformance):
    """The circuit breaker."""

    def make(self):
        return of("breaker")


class TestLedger(GuardConformance):
    """The ledger, which refuses streams."""

    streams = False

    def make(self):
        return of("ledger")


class TestGate(GuardConformance):
    """The impact gate."""

    def make(self):
        return of("gate")


class TestAudit(GuardConformance):
    """The audit log."""

    def make(self):
        return of("audit")


class TestUndo(GuardConformance):
    """The rollback manager."""

    def make(self):
        bench = Bench()

        def undo(**_: Any) -> None:
            """Take it back."""

        return Guarding("undo", bench.undo.undoable(undo=undo), lambda name: bench.undo.step(name, undo=undo))


class TestHooks(GuardConformance):
    """The explainability hooks."""

    def make(self):
        return of("hooks")


class Swallowing(Guard):
    """A guard with a bug: it turns failures into None."""

    name = "swallowing"

    async def around(self, call: Any, proceed: Any) -> Any:
        try:
            return await proceed()
        except ValueError:
            return None


class Repeating(Guard):
    """A guard with a bug: it runs everything twice."""

    name = "repeating"

    async def around(self, call: Any, proceed: Any) -> Any:
        await call.attempt(proceed)
        return await proceed()


@pytest.mark.parametrize(
    ("guard", "law"),
    [(Swallowing(), "test_errors_pass_untouched"), (Repeating(), "test_the_function_runs_once")],
    ids=["swallowing", "repeating"],
)
def test_the_suite_finds_what_is_broken(guard, law):
    """A guard that breaks a law fails its test."""

    class Suite(GuardConformance):
        streams = blocks = False

        def make(self):
            return Guarding("broken", lambda function: attach(function, guard), lambda name: Block(guard, name, {}))

    words = [ValueError("lost")] if law == "test_errors_pass_untouched" else []
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(Suite(), law)(*words)

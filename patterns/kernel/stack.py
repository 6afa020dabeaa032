"""The one abstraction, a guard around a call, and the stack that several of them form."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from patterns.kernel import telemetry

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from patterns.kernel.call import Call, Proceed
    from patterns.kernel.target import Target

__all__ = ["Guard", "Stack"]


class Guard:
    """One layer around a call.

    A guard awaits *proceed* no, one or several times. Not awaiting and
    returning is a replay, raising is a refusal, awaiting again is a retry.
    It uses nothing that waits in a call of a ``def`` (see `commit.cells_of`).
    """

    name: str = "guard"
    """Low-cardinality name of its span, such as ``ledger.once``."""

    is_bracket = False
    """Whether it can run in the fast lane; see `patterns.kernel.bracket.Bracket`."""

    def bind(self, target: Target) -> Guard:
        """Return the guard to use around *target*; asked once, at decoration.

        Raises:
            Misuse: It cannot guard this target.

        """
        del target
        return self

    async def around(self, call: Call, proceed: Proceed) -> Any:
        """Do the guard's work around one call."""
        raise NotImplementedError


class Stack:
    """The guards around one target, outermost first, and the coroutine they make of a call."""

    def __init__(self, target: Target, guards: tuple[Guard, ...]) -> None:
        self.target = target
        self.guards = guards
        self.names = tuple(guard.name for guard in guards)
        self._inside_out = tuple(reversed(guards))
        # Without a provider such a stack has no call at all; with one, the code inside must not see a difference.
        target.current = target.is_block or target.one_shot or not all(guard.is_bracket for guard in guards)
        self._arounds = tuple(guard.around for guard in self._inside_out)

    def start(self, call: Call, body: Proceed) -> Coroutine[Any, Any, Any]:
        """Return the coroutine that is the whole call."""
        proceed: Any = body
        if call.trace is None:
            for around in self._arounds:
                proceed = partial(around, call, proceed)
        else:
            for guard in self._inside_out:
                proceed = partial(telemetry.traced, guard, call, proceed)
        coroutine: Coroutine[Any, Any, Any] = proceed()
        return coroutine

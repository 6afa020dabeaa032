"""What the gate needs from a world: a twin in which an action can be tried without anything remaining of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from patterns.errors import PatternsError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from patterns.impact_gate.effect import Effect, Lens

__all__ = ["Observable", "Observed", "Twin", "Unmeasurable", "World"]


class Unmeasurable(PatternsError):
    """The effect of an action cannot be measured in this world."""

    advice = "The effect of this action cannot be foreseen. Ask a person."


class Twin(Protocol):
    """A copy of the world, or the world itself in a state that will be taken back.

    The gate calls `open` once, then acts inside `visible`, then asks for
    `effect`, and calls `close` whatever happened in between, also if `open`
    failed. In a call of an ``async def`` all but `visible` happen in a worker
    thread.
    """

    @property
    def used(self) -> bool:
        """Whether anything was done in it, be it only looked at; what never came near the twin was done elsewhere."""
        ...

    def open(self) -> None:
        """Make the twin.

        Raises:
            Unmeasurable: It cannot be made.

        """

    def visible(self) -> AbstractContextManager[object]:
        """Return a context in which the function, however deep, acts on the twin."""
        ...

    def effect(self) -> Effect:
        """Return what differs between the world and the twin so far.

        Raises:
            Unmeasurable: The twin missed something, so its answer would be too small.

        """
        ...

    def close(self) -> None:
        """Forget the twin and all that was done to it; never raises for a twin that was not opened."""


class World(Protocol):
    """Makes twins.

    One whose twins get in each other's way may have ``turns``, a `turns.Turns`.
    """

    lens: Lens
    sync_only: bool
    """True if only a ``def`` can be tried in it, for instance since other tasks would get into the twin."""

    def twin(self) -> Twin:
        """Return a new twin, not yet opened."""
        ...


class Observed(Protocol):
    """Collects what really happens."""

    def effect(self) -> Effect | None:
        """Return what happened in the world since, through its own door; None if that was not used."""
        ...


class Observable(Protocol):
    """A world that can also tell what a call really did, to be compared with what was expected."""

    def observe(self, expected: Effect) -> AbstractContextManager[Observed]:
        """Return a context; what the code inside does to the world is collected, without disturbing it."""
        ...

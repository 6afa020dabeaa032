"""The single commit point: what guards want to be true becomes true just before the body starts, or nothing does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from patterns.errors import Refused
from patterns.kernel import faults
from patterns.kernel.rehearsal import rehearsed_action
from patterns.kernel.storage import Blocking

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from patterns.kernel.call import Call
    from patterns.kernel.storage import AsyncCells, Change, Store

__all__ = ["Claim", "ClaimLost", "Intent", "cells_of", "commit"]


class Intent:
    """Something durable and harmless that must be written first, such as an audit record of the intention."""

    def __init__(self, write: Callable[[], Awaitable[None]]) -> None:
        self.write = write
        self.done = False


class Claim:
    """Changes to one store that must all hold before the body may start.

    Args:
        store: Where.
        changes: What; all claims on one store are swapped together.
        effect: True for the claim of the effect itself, whose store is swapped last.
        revert: Takes the changes back if a later store refuses; needed only with several stores.

    """

    def __init__(
        self,
        store: Store,
        changes: Sequence[Change],
        *,
        effect: bool = False,
        revert: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.store = store
        self.changes = tuple(changes)
        self.effect = effect
        self.revert = revert
        self.committed = False


class ClaimLost(Refused):
    """Somebody else changed a claimed record first; only the guard that made *claim* acts on it."""

    claim: Claim

    def __init__(self, text: str, /, **facts: Any) -> None:
        super().__init__(text, **facts)


def cells_of(store: Store, call: Call) -> AsyncCells:
    """Return the store's records in the colour of *call*: for a sync call nothing ever suspends."""
    return store.async_cells if call.target.asynchronous else Blocking(store.cells)


async def commit(call: Call) -> None:
    """Write the intents, then swap each store's claims at once, the effect's own store last.

    Raises:
        ClaimLost: A record had moved on; what other stores had swapped is reverted.
        Refused: The call is made from within an action that is only tried.

    """
    tried = rehearsed_action()
    if tried is not None:
        raise Refused(
            f"{call.name} would really happen while {tried} is only tried; a simulate= of {tried} can leave it out",
            call=call.name,
        )
    faults.reach("call.commit.before")
    for intent in call.intents:
        if not intent.done:
            await intent.write()
            intent.done = True
    if call.claims:
        suspends = any(claim.store.async_cells.suspends for claim in call.claims)
        await call.shield(_swap_all(call), suspends=suspends)
    faults.reach("call.commit.after")


async def _swap_all(call: Call) -> None:
    won: list[Claim] = []
    for claims in _by_store([claim for claim in call.claims if not claim.committed]):
        changes = [change for claim in claims for change in claim.changes]
        try:
            lost = await cells_of(claims[0].store, call).swap(changes)
        except BaseException:
            await _revert(won)
            raise
        if lost is not None:
            await _revert(won)
            loser = next(claim for claim in claims if any(change.key == lost.key for change in claim.changes))
            raise ClaimLost(f"{call.target.name} was claimed by another caller", call=call.target.name, claim=loser)
        won.extend(claims)
    for claim in won:
        claim.committed = True
    call.claims = ()


async def _revert(won: list[Claim]) -> None:
    for claim in reversed(won):
        if claim.revert is not None:
            await claim.revert()


def _by_store(claims: Sequence[Claim]) -> list[list[Claim]]:
    groups: dict[int, list[Claim]] = {}
    for claim in claims:
        groups.setdefault(id(claim.store), []).append(claim)
    return sorted(groups.values(), key=lambda group: any(claim.effect for claim in group))

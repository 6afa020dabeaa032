"""How a tool's effects are told apart, as its user wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from patterns.errors import misuse
from patterns.ledger.keys import Keys, select_for

if TYPE_CHECKING:
    from patterns.kernel.target import Target

__all__ = ["Telling"]


@frozen(kw_only=True)
class Telling:
    """Options that need the function to be checked.

    Attributes:
        key: A function of the parameters or a template; for a block, the key itself.
        include: Parameters that are the key.
        exclude: Parameters that do not matter.
        name: The tool's name in keys instead of the function's qualified name.
        across_runs: Whether equal calls of different runs are one effect.
        conflict_on: Parameters that name what an effect must have for itself.

    """

    key: Any = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    name: str | None = None
    across_runs: bool = False
    conflict_on: tuple[str, ...] = ()

    def keys_of(self, target: Target, ledger: str, guarantee: str) -> Keys:
        """Return how the effects of *target* are told apart.

        Raises:
            Misuse: The options do not fit the function, or it has no name to tell it from others.

        """
        if target.is_block:
            return Keys(ledger=ledger, tool=target.qualified_name, guarantee=guarantee, fixed=self.key)
        if self.name is None and target.name == "<lambda>":
            misuse(
                "a lambda has no name, so it would be one tool with every other lambda of its module",
                wrong="ledger.once(lambda order_id: ...)",
                right='ledger.once(name="refund")(lambda order_id: ...)',
            )
        binder = target.binder
        return Keys(
            ledger=ledger,
            tool=self.name or target.qualified_name,
            guarantee=guarantee,
            select=select_for(target, self.key, self.include),
            exclude=binder.require(self.exclude) if self.exclude else frozenset(),
            across_runs=self.across_runs,
            conflict_on=tuple(sorted(binder.require(self.conflict_on, option="conflict_on")))
            if self.conflict_on
            else (),
        )

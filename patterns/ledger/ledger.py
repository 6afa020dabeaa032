"""The ledger: every effect at most once, and none forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from patterns.errors import misuse
from patterns.kernel.block import Block
from patterns.kernel.clock import SYSTEM_CLOCK, seconds
from patterns.kernel.drive import finish_at_once
from patterns.kernel.guard import attach
from patterns.kernel.ids import SYSTEM_IDS
from patterns.ledger.books import Books, Handling
from patterns.ledger.guard import OnceGuard
from patterns.ledger.inspection import Inspection
from patterns.ledger.manual import begin
from patterns.ledger.policy import Policy, failures_of, guarantee_of, positive
from patterns.ledger.telling import Telling
from patterns.ledger.value_classes import Classes

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.kernel.clock import Clock, Duration
    from patterns.kernel.events import Event
    from patterns.kernel.ids import Ids
    from patterns.kernel.storage import Store
    from patterns.ledger.manual import AsyncBegun, Begun
    from patterns.ledger.policy import AnyGuarantee, ErrorTypes

__all__ = ["Ledger"]

F = TypeVar("F", bound="Callable[..., Any]")


class Ledger(Inspection):
    """Makes effects happen at most once, and hands out their recorded results afterwards.

    An effect is one tool, called with the same arguments (or the same key) in
    the same run. Whoever calls first runs it; who calls meanwhile waits for the
    result; who calls later gets the recorded one, or the recorded failure. An
    effect of which nobody knows whether it happened is in doubt until that is
    found out, and is not run meanwhile.

    Args:
        store: Where effects are recorded: ``patterns.open_store(url)``.
        name: Ledgers of different names on one store know nothing of each other.
        guarantee: What is promised where an outcome is unknown: ``"at_most_once"``, ``"repeatable"`` or
            `keyed(window=...)`. This and all that follow up to ``quiet`` may be given per tool as well.
        wait: Seconds (or a timedelta) to wait for another caller's result; 0 does not wait.
        on_error: ``"record"`` records an error that is not ambiguous as the effect's failure; ``"doubt"`` does so
            only with those of ``terminal``, and leaves the effect in doubt after any other: the choice for money.
        retry_on: Exception classes that prove that nothing happened, so the call may be made again.
        terminal: Exception classes that are failures for good, even where they look ambiguous.
        quiet: Seconds (or a timedelta) an effect must be in doubt before ``reconcile=`` is believed that it did
            not happen; a request may still be on its way.
        durability: ``"claim"`` waits for the disk before the effect only: a settlement lost with the power leaves
            the effect in doubt; ``"both"`` waits after it too.
        largest_result: Characters of JSON text a recorded result may have; a larger one is not handed out again.
        cached: How many settled effects are remembered in this process, to be replayed without asking the store.
        clock: Times on records, and how long to wait.
        ids: Names this process where the store does not.

    Raises:
        Misuse: An option is malformed.

    """

    def __init__(
        self,
        store: Store,
        *,
        name: str = "ledger",
        guarantee: AnyGuarantee = "at_most_once",
        wait: Duration = 30.0,
        on_error: Literal["record", "doubt"] = "record",
        retry_on: ErrorTypes = (),
        terminal: ErrorTypes = (),
        quiet: Duration = 10.0,
        durability: Literal["claim", "both"] = "claim",
        largest_result: int = 1_000_000,
        cached: int = 0,
        clock: Clock = SYSTEM_CLOCK,
        ids: Ids = SYSTEM_IDS,
    ) -> None:
        if not isinstance(name, str) or not name or "/" in name:
            misuse(
                f"a ledger's name is a text without slashes, not {name!r}", wrong=f"name={name!r}", right='name="pay"'
            )
        if durability not in ("claim", "both"):
            misuse(f"durability={durability!r}", wrong=f"durability={durability!r}", right='durability="both"')
        if not (hasattr(store, "cells") and hasattr(store, "async_cells")):
            misuse(
                f"{store!r} is no store",
                wrong=f"Ledger({store!r})",
                right='Ledger(patterns.open_store("sqlite:///agent.db"))',
            )
        self._policy = Policy(
            guarantee=guarantee_of(guarantee),
            failures=failures_of(retry_on, terminal, on_error),
            wait=seconds(wait, name="wait", positive=False),
            reconcile=None,
            quiet=seconds(quiet, name="quiet", positive=False),
            largest_result=positive(largest_result, "largest_result"),
        )
        self._defaults: dict[str, Any] = {"retry_on": retry_on, "terminal": terminal, "on_error": on_error}
        books = Books(store, name, clock=clock, ids=ids, settle_durably=durability == "both", cached=cached)
        super().__init__(books, self._policy.largest_result)
        self.name = name

    def __repr__(self) -> str:
        return f"<Ledger {self.name!r} in {self._books.store.url}>"

    def subscribe(self, listener: Callable[[Event], object], /) -> Callable[[], None]:
        """Call *listener* with every event of this ledger in this process, see `patterns.ledger.events`.

        Returns:
            A function that ends the subscription.

        Raises:
            Misuse: *listener* is not a plain function of one event.

        """
        return self._books.listeners.subscribe(listener)

    # Guarding

    @overload
    def once(self, function: F, /) -> F: ...

    @overload
    def once(
        self,
        /,
        *,
        key: Callable[..., Any] | str | None = None,
        include: tuple[str, ...] = (),
        exclude: tuple[str, ...] = (),
        name: str | None = None,
        across_runs: bool = False,
        conflict_on: tuple[str, ...] = (),
        guarantee: AnyGuarantee | None = None,
        wait: Duration | None = None,
        on_error: Literal["record", "doubt"] | None = None,
        retry_on: ErrorTypes | None = None,
        terminal: ErrorTypes | None = None,
        reconcile: Callable[..., Any] | None = None,
        quiet: Duration | None = None,
    ) -> Callable[[F], F]: ...

    def once(
        self,
        function: Any = None,
        /,
        *,
        key: Callable[..., Any] | str | None = None,
        include: tuple[str, ...] = (),
        exclude: tuple[str, ...] = (),
        name: str | None = None,
        across_runs: bool = False,
        conflict_on: tuple[str, ...] = (),
        guarantee: AnyGuarantee | None = None,
        wait: Duration | None = None,
        on_error: Literal["record", "doubt"] | None = None,
        retry_on: ErrorTypes | None = None,
        terminal: ErrorTypes | None = None,
        reconcile: Callable[..., Any] | None = None,
        quiet: Duration | None = None,
    ) -> Any:
        """Make every call of a function at most one effect.

        Args:
            function: A function, coroutine function or method.
            key: What tells effects apart instead of all arguments: a function of the parameters, or a template such
                as ``"order-{order_id}"``. The same key with other arguments is refused.
            include: Parameters that are the key.
            exclude: Parameters that do not matter, such as a request's time.
            name: The tool's name in keys instead of the function's; survives renaming.
            across_runs: Make equal calls of all of a tenant's runs one effect.
            conflict_on: Parameters that name what the effect must have for itself: while it is running or in doubt,
                other effects on the same thing wait or are refused, whatever tool and arguments they have.
            guarantee: As for the ledger.
            wait: As for the ledger.
            on_error: As for the ledger.
            retry_on: As for the ledger.
            terminal: As for the ledger.
            reconcile: A function of the parameters that asks downstream what became of an effect in doubt. It
                returns `Happened(result)`, `DidNotHappen()`, or None if it cannot tell.
            quiet: As for the ledger.

        Returns:
            The guarded function. Its calls raise what the function raises, and besides

            - `ScopeRequired` without key outside any run, `Misuse` if an argument has no spelling for the key;
            - `KeyConflict` if the key was used with other arguments;
            - `InFlight` if another caller runs the effect for longer than ``wait``;
            - `InDoubt` if nobody knows whether it happened;
            - `EffectFailed` for a recorded failure whose exception cannot be rebuilt;
            - `ResultUnavailable` for a recorded success whose result could not be recorded;
            - `StoreUnavailable` if the store cannot decide; the effect is not run then.

        Raises:
            Misuse: The function cannot be guarded, or an option does not fit it.

        """
        telling = Telling(
            key=key,
            include=include,
            exclude=exclude,
            name=name,
            across_runs=across_runs,
            conflict_on=conflict_on,
        )
        policy = self._with(
            guarantee=guarantee,
            wait=wait,
            on_error=on_error,
            retry_on=retry_on,
            terminal=terminal,
            reconcile=reconcile,
            quiet=quiet,
        )
        guard = OnceGuard(Handling(self._books, policy, Classes()), telling)
        if function is not None:
            return attach(function, guard)
        return lambda function: attach(function, guard)

    def _with(self, **given: Any) -> Policy:
        from attrs import evolve  # noqa: PLC0415 - loaded when needed

        changes: dict[str, Any] = {}
        chosen = {name: value for name, value in given.items() if value is not None}
        if "guarantee" in chosen:
            changes["guarantee"] = guarantee_of(chosen["guarantee"])
        for name in ("wait", "quiet"):
            if name in chosen:
                changes[name] = seconds(chosen[name], name=name, positive=False)
        if chosen.keys() & self._defaults.keys():
            errors = {name: chosen.get(name, default) for name, default in self._defaults.items()}
            changes["failures"] = failures_of(**errors)
        return evolve(self._policy, reconcile=chosen.get("reconcile"), **changes)

    def step(self, name: str, /, *, key: Any = None, **facts: Any) -> Block:
        """Make a ``with`` or ``async with`` block at most one effect.

        The block asks whether it is to do its work, since it cannot be skipped::

            with ledger.step("send mail", key=mail_id, to=address) as step:
                if step.fresh:
                    step.result = send(mail_id, address)
            use(step.result)

        Args:
            name: Tells it from other steps.
            key: What tells two effects of this step apart; without it the facts do.
            facts: Its arguments; the same key with other facts is refused.

        Returns:
            The block; entering and leaving it raises what calls of a function guarded with `once` raise.

        Raises:
            Misuse: The name is empty.

        """
        return Block(self._step_guard(key), name, facts)

    def begin(self, name: str, /, *, key: Any = None, **facts: Any) -> Begun:
        """Begin an effect by hand, and settle it later in this process.

        ::

            effect = ledger.begin("charge", key=order_id, amount=5)
            if effect.fresh:
                effect.commit(charge(order_id, 5, effect.idempotency_key))
            use(effect.result)

        Equal effects of `step` and `begin` are one. If this process dies
        before it is settled, it is in doubt; prefer `once` and `step`, which
        settle whatever happens.

        Args:
            name: As for `step`.
            key: As for `step`.
            facts: As for `step`.

        Returns:
            The effect, claimed for the caller if it is ``fresh``.

        Raises:
            PatternsError: As calls of a function guarded with `once`.

        """
        _named(name)
        begun: Begun = finish_at_once(begin(self._step_guard(key), name, facts, asynchronous=False))
        return begun

    async def abegin(self, name: str, /, *, key: Any = None, **facts: Any) -> AsyncBegun:
        """Do the same as `begin` for coroutines."""
        _named(name)
        begun: AsyncBegun = await begin(self._step_guard(key), name, facts, asynchronous=True)
        return begun

    def _step_guard(self, key: Any) -> OnceGuard:
        return OnceGuard(Handling(self._books, self._policy, Classes()), Telling(key=key))


def _named(name: object) -> None:
    if not isinstance(name, str) or not name:
        misuse(f"an effect needs a name, not {name!r}", wrong="ledger.begin()", right='ledger.begin("charge")')

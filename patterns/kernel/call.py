"""One guarded call: what is called, for whom, what must become true, and how it ended."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any, Protocol

from patterns.kernel import telemetry
from patterns.kernel.ids import SYSTEM_IDS
from patterns.kernel.outcome import Abandoned, CarriedExit, CarriedStop, Raised, Refused, Replayed, Returned
from patterns.kernel.run import current_run
from patterns.kernel.settle import shielded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from patterns.kernel.commit import Claim, Intent
    from patterns.kernel.events import Event
    from patterns.kernel.outcome import Outcome
    from patterns.kernel.run import Run
    from patterns.kernel.target import Target
    from patterns.kernel.telemetry import Trace

    Proceed = Callable[[], Awaitable[Any]]

__all__ = ["Call", "Watcher", "current_call", "observed"]

watcher: Watcher | None = None
"""Set by the testing kit to see calls that are never settled."""

_current: contextvars.ContextVar[Call | None] = contextvars.ContextVar("patterns_call", default=None)


class Watcher(Protocol):
    """Sees every call that goes through the whole machinery begin and end."""

    def opened(self, call: Call) -> None:
        """*call* begins."""

    def closed(self, call: Call) -> None:
        """*call* is settled by all its guards."""


def current_call() -> Call | None:
    """Return the innermost guarded call this code runs in, or None."""
    return _current.get()


class Call:
    """One call of a guarded function or one run of a guarded block.

    Attributes:
        target: The function or block.
        args: Positional arguments as given.
        kwargs: Keyword arguments as given; a block's facts.
        run: The run it belongs to, or None.
        parent: The guarded call it is made from, or None.
        entries: How often the body was entered so far.
        idempotency_key: Set by the ledger, for tools that send it downstream.
        fence: Set by the ledger; grows with every attempt at the same effect.

    """

    entries = 0
    idempotency_key: str | None = None
    fence: int | None = None
    connection: Any = None
    replayed_from: str | None = None
    is_replay = False
    over = False
    """Whether it has ended; a task it started may go on and still have it as its parent."""
    trace: Trace | None = None
    step: Any = None
    _id: str | None = None
    _arguments: Mapping[str, Any] | None = None
    _events: list[Event] | None = None
    intents: tuple[Intent, ...] = ()
    claims: tuple[Claim, ...] = ()

    def __init__(self, target: Target, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.target = target
        self.args = args
        self.kwargs = kwargs
        self.run: Run | None = current_run()
        self.parent = _current.get()

    def __repr__(self) -> str:
        return f"<Call {self.id} of {self.target.qualified_name}>"

    @property
    def id(self) -> str:
        """A sortable identifier, made when first asked for."""
        if self._id is None:
            self._id = SYSTEM_IDS.new("call_")
        return self._id

    @property
    def name(self) -> str:
        """The function's or step's name."""
        return self.target.name

    @property
    def events(self) -> list[Event]:
        """What guards reported during this call, in order; append to it."""
        if self._events is None:
            self._events = []
        return self._events

    @property
    def arguments(self) -> Mapping[str, Any]:
        """Arguments by parameter name, defaults applied; a block's facts."""
        if self._arguments is None:
            bound = self.kwargs if self.target.is_block else self.target.binder.arguments(self.args, self.kwargs)
            self._arguments = bound
        return self._arguments

    @property
    def traceparent(self) -> str | None:
        """W3C traceparent of the call's span, or None if it is not traced."""
        return None if self.trace is None else self.trace.traceparent

    def at_commit(self, what: Claim | Intent) -> None:
        """Hand over what must be written when every guard has admitted the call."""
        from patterns.kernel.commit import Intent  # noqa: PLC0415 - stacks without a store never need it

        if isinstance(what, Intent):
            self.intents = (*self.intents, what)
        else:
            self.claims = (*self.claims, what)

    def withdraw(self, what: Claim | Intent) -> None:
        """Take back what was handed over, if it is still there."""
        self.intents = tuple(one for one in self.intents if one is not what)
        self.claims = tuple(one for one in self.claims if one is not what)

    async def attempt(self, proceed: Proceed) -> Outcome:
        """Await *proceed* and tell how it ended; does not raise.

        There is one exception, made by Python: where a suspended coroutine is
        closed by force (``coroutine.close()``, a dying event loop), every
        ``await`` in it raises GeneratorExit, this one too. A guard that must
        give something back then catches that and does it without awaiting.

        What guards further in have handed over for the commit is forgotten if
        the body was not entered, since they will hand it over again.
        """
        before, intents, claims = self.entries, self.intents, self.claims
        self.is_replay = False
        try:
            value = await proceed()
        except BaseException as error:  # noqa: BLE001 - the outcome carries it, unwrap() raises it
            outcome = self.ended(error, before)
        else:
            outcome = Returned(value) if self.entries != before else Replayed(value)
        if self.entries == before:
            self.intents, self.claims = intents, claims
        return outcome

    def ended(self, error: BaseException, before: int) -> Outcome:
        """Tell what *error* means, *before* being `entries` when it was still ahead."""
        if isinstance(error, (CarriedStop, CarriedExit)):
            error = error.error
        if self.entries == before:
            return Replayed(error=error) if self.is_replay else Refused(error)
        return Raised(error) if isinstance(error, Exception) else Abandoned(error)

    async def shield(self, work: Coroutine[Any, Any, Any], *, suspends: bool = True) -> Any:
        """Await *work* so that no cancellation can interrupt it.

        Args:
            work: A settlement.
            suspends: False if it is known never to wait, which saves a task.

        """
        if suspends and self.target.asynchronous:
            return await shielded(work)
        return await work

    def note(self, **facts: Any) -> None:
        """Put *facts* on the span of the guard at work; free when nobody records."""
        if self.trace is not None:
            self.trace.note(facts)

    # The life of a call, used by the drivers only.

    open_ended = False
    """Whether somebody looks on, who must be told when the call ends."""

    def open(self, guards: tuple[str, ...]) -> None:
        """Begin the call's span and tell the watcher; to be called if `observed`."""
        self.open_ended = True
        if watcher is not None:
            watcher.opened(self)
        if telemetry.active():
            self.trace = telemetry.begin(self, guards)

    def activate(self) -> contextvars.Token[Call | None]:
        """Make this the current call and its span the current span."""
        if self.trace is not None:
            self.trace.attach()
        return _current.set(self if self.target.current else self.parent)

    def deactivate(self, token: contextvars.Token[Call | None]) -> None:
        """Undo `activate`."""
        try:
            _current.reset(token)
        except ValueError:  # a block or generator may be finished from another context
            _current.set(self.parent)
        if self.trace is not None:
            self.trace.detach()

    def close(self, error: BaseException | None = None) -> None:
        """End what `open` began."""
        if watcher is not None:
            watcher.closed(self)
        if self.trace is not None:
            self.trace.finish(self, error)


def observed() -> bool:
    """Whether somebody looks on: a tracer provider or the testing kit."""
    return watcher is not None or telemetry.active()

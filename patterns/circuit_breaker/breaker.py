"""The circuit breaker: stops calling what keeps failing, and finds out when it works again."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeVar, overload

from patterns.circuit_breaker.engine import Engine
from patterns.circuit_breaker.events import StateChanged
from patterns.circuit_breaker.guard import ProtectGuard, guard_for
from patterns.circuit_breaker.machine import Move, State
from patterns.circuit_breaker.options import DEFAULT_FAILURE_THRESHOLD, policy, trip_rule
from patterns.circuit_breaker.permit import Permit
from patterns.circuit_breaker.rules import DEFAULT_MIN_CALLS, DEFAULT_WINDOW
from patterns.circuit_breaker.switch import said
from patterns.circuit_breaker.verdict import Judge
from patterns.errors import misuse
from patterns.kernel.clock import SYSTEM_CLOCK
from patterns.kernel.guard import Block, attach
from patterns.kernel.ids import SYSTEM_RANDOMNESS

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.circuit_breaker.options import Growing
    from patterns.circuit_breaker.rules import LastCalls, Rule
    from patterns.circuit_breaker.snapshot import Snapshot
    from patterns.circuit_breaker.switch import Switch
    from patterns.circuit_breaker.verdict import Errors, Opinion
    from patterns.kernel.clock import Clock, Duration
    from patterns.kernel.events import Event
    from patterns.kernel.guard import Guard
    from patterns.kernel.ids import Randomness
    from patterns.kernel.target import Target

__all__ = ["CircuitBreaker"]

F = TypeVar("F", bound="Callable[..., Any]")


class CircuitBreaker:
    """Stops calling what keeps failing, and finds out when it works again.

    CLOSED, it lets all calls through and watches how they end. When the rule
    breaks it is OPEN and refuses with `CircuitOpen`. After the cool-down it is
    HALF_OPEN: a few probes pass; a success closes it, a failure opens it again.
    What is cancelled, interrupted, refused further in, or replayed says
    nothing, and so does the late end of a call admitted before the last
    change of state.

    Args:
        name: What is protected, such as a service's name; low in cardinality.
        failure_threshold: Opens after so many failures in a row; None if it should not.
        error_rate_threshold: Opens when this share of the calls in *window* failed, above 0 and at most 1.
        window: Seconds to look back for the rate, or `calls` to look back so many calls.
        min_calls: With fewer calls than that in the window there is no rate.
        trip: The rule instead of these four, composed of `streak`, `rate` and `slow` with ``|`` and ``&``.
        cool_down: Seconds it stays open, or `growing`.
        half_open_probes: Calls let through at once while half open.
        ramp: Each success multiplies the probes let through at once.
        success_threshold: Successful probes it takes to close.
        probe_timeout: Seconds after which a probe that did not end frees its place; by default the cool-down
            (the first one), or the limit of a slow call if that is longer.
        failures: Types of errors that are failures, or a function of the error that returns whether it is
            one, or a `Verdict`. Other errors say nothing.
        ignore: Types of errors that say nothing although *failures* includes them. A refusal or a misuse
            of this library never is a failure, unless *failures* names it.
        failed_results: A function of the result that returns whether it is a failure, why, or a `Verdict`.
        on_transition: Called with each `StateChanged`; it may be slow or raise without harm to a call.
        switch: The kill switch it hangs on.
        enforce: False to watch only: refused calls are counted as refused, and made all the same.
        clock: Where time comes from.
        randomness: Where jitter comes from.

    Raises:
        Misuse: An option is out of its bounds or contradicts another one.

    """

    __slots__ = ("__weakref__", "_engine", "_guard", "_judge")

    def __init__(
        self,
        name: str,
        *,
        failure_threshold: int | None = DEFAULT_FAILURE_THRESHOLD,
        error_rate_threshold: float | None = None,
        window: Duration | LastCalls = DEFAULT_WINDOW,
        min_calls: int = DEFAULT_MIN_CALLS,
        trip: Rule | None = None,
        cool_down: Duration | Growing = 30.0,
        half_open_probes: int = 1,
        ramp: float = 1.0,
        success_threshold: int = 1,
        probe_timeout: Duration | None = None,
        failures: Errors | Callable[[Exception], Opinion] = Exception,
        ignore: Errors = (),
        failed_results: Callable[[Any], Opinion] | None = None,
        on_transition: Callable[[StateChanged], object] | None = None,
        switch: Switch | None = None,
        enforce: bool = True,
        clock: Clock = SYSTEM_CLOCK,
        randomness: Randomness = SYSTEM_RANDOMNESS,
    ) -> None:
        if not isinstance(name, str) or not name:
            misuse(
                f"a breaker is called after what it protects, not {name!r}",
                wrong=f"CircuitBreaker({name!r})",
                right='CircuitBreaker("billing-api")',
            )
        rule = trip_rule(
            trip=trip,
            failure_threshold=failure_threshold,
            error_rate_threshold=error_rate_threshold,
            window=window,
            min_calls=min_calls,
        )
        told = policy(
            trip=rule,
            cool_down=cool_down,
            half_open_probes=half_open_probes,
            ramp=ramp,
            success_threshold=success_threshold,
            probe_timeout=probe_timeout,
        )
        self._judge = Judge(failures=failures, ignore=ignore, failed_results=failed_results)
        self._engine = Engine(name, told, clock, randomness, enforce=enforce)
        self._guard = ProtectGuard(self._engine, self._judge)
        if on_transition is not None:
            self.subscribe(_only_changes(on_transition))
        if switch is not None:
            switch.attach(self._engine)

    @property
    def name(self) -> str:
        """What is protected."""
        return self._engine.name

    @property
    def state(self) -> State:
        """Where the circuit stands; it stays OPEN after the cool-down until somebody calls."""
        return self._engine.era.circuit.state

    @overload
    def protect(self, function: F, /) -> F: ...
    @overload
    def protect(self, /) -> Callable[[F], F]: ...
    def protect(self, function: Any = None, /) -> Any:
        """Guard a function, coroutine function, generator function, async generator function or method.

        A generator is admitted at its first item and settled at its end.

        Returns:
            The guarded function, which raises `CircuitOpen` instead of running while the circuit is open.

        Raises:
            Misuse: It cannot be guarded; the text says what can.

        """
        if function is None:
            return self.protect
        return attach(function, self._guard)

    def step(self, name: str, /, **facts: Any) -> Block:
        """Guard a ``with`` or ``async with`` block.

        Args:
            name: What the block does; low in cardinality.
            facts: What is known of it; told to the other patterns and to nobody else.

        Returns:
            The block, to be entered once; entering raises `CircuitOpen` while the circuit is open.

        """
        return Block(self._guard, name, facts)

    def guard_of(self, target: Target) -> Guard:
        """Return what stands around calls of *target*, for guards that choose a breaker per call."""
        return guard_for(self._engine, self._judge, target)

    def acquire(self) -> Permit:
        """Ask for one call that cannot be wrapped, and settle it later.

        Raises:
            CircuitOpen: The call may not be made now.

        """
        return Permit(self._engine, self._judge, self._engine.admit(None))

    def try_acquire(self) -> Permit | None:
        """Do the same, but return None if the call may not be made now."""
        admitted = self._engine.ask()
        return None if admitted is None else Permit(self._engine, self._judge, admitted)

    def snapshot(self) -> Snapshot:
        """Return state, counts and waiting time as they are now."""
        return self._engine.snapshot()

    def subscribe(self, listener: Callable[[Event], object], /) -> Callable[[], None]:
        """Call *listener* with every event of this breaker, in order and never while a lock is held.

        Returns:
            A function that ends the subscription.

        Raises:
            Misuse: *listener* is not callable or is async.

        """
        return self._engine.listeners.subscribe(listener)

    def reset(self, reason: str = "reset by hand") -> None:
        """Close the circuit and forget what was counted; it stays open while a switch holds it."""
        self._engine.move(Move.RESET, reason)

    def force_open(self, reason: str) -> None:
        """Refuse every call until `reset`."""
        self._engine.force_open(said(reason, "breaker.force_open"))

    def disable(self, reason: str) -> None:
        """Let every call through and count nothing until `reset`; it stays open while a switch holds it."""
        self._engine.move(Move.DISABLE, said(reason, "breaker.disable"))

    def __repr__(self) -> str:
        told = self._engine.policy
        return f"<CircuitBreaker {self.name!r} {self.state.value}: opens on {told.rule}, for {told.cool_down}>"


def _only_changes(listener: Callable[[StateChanged], object]) -> Callable[[Event], object]:
    if not callable(listener) or iscoroutinefunction(listener):
        misuse(
            f"on_transition is a plain function of one event, not {listener!r}",
            wrong=f"on_transition={listener!r}",
            right="on_transition=lambda change: print(change.old, change.new)",
        )

    def told(event: Event) -> None:
        if isinstance(event, StateChanged):
            listener(event)

    return told

"""Circuit breakers of others, each the way its documentation shows it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PEERS", "Peer"]

Guarded = Any


class Peer:
    """One library; its methods raise ImportError where it is not installed."""

    module: str
    refusal: str

    def __init__(self) -> None:
        self.library = import_module(self.module)
        self.error: type[Exception] = getattr(self.library, self.refusal)

    def protected(self, function: Callable[[], Any]) -> Guarded:
        """Guard a function with a new breaker that opens after five failures in a row, or after 20 of 40 calls."""
        raise NotImplementedError

    def async_protected(self, function: Callable[[], Any]) -> Guarded:
        """Do the same for a coroutine function."""
        return self.protected(function)

    def block(self) -> Callable[[], Any] | None:
        """Return a function that runs an empty guarded block, if the library has blocks that guard."""


class Circuitbreaker(Peer):
    """It has a ``with`` block that does not guard."""

    module, refusal = "circuitbreaker", "CircuitBreakerError"

    def protected(self, function: Callable[[], Any]) -> Guarded:
        """See `Peer.protected`."""
        return self.library.CircuitBreaker()(function)


class Pybreaker(Peer):
    """Synchronous functions only."""

    module, refusal = "pybreaker", "CircuitBreakerError"

    def protected(self, function: Callable[[], Any]) -> Guarded:
        """See `Peer.protected`."""
        return self.library.CircuitBreaker()(function)

    def async_protected(self, function: Callable[[], Any]) -> Guarded:
        """See `Peer.async_protected`."""
        raise ImportError(f"pybreaker would not guard {function}, a coroutine function")

    def block(self) -> Callable[[], Any]:
        """See `Peer.block`."""
        breaker = self.library.CircuitBreaker()

        def run() -> None:
            with breaker.calling():
                pass

        return run


class Aiobreaker(Peer):
    """Both kinds of functions, no blocks."""

    module, refusal = "aiobreaker", "CircuitBreakerError"

    def protected(self, function: Callable[[], Any]) -> Guarded:
        """See `Peer.protected`."""
        return self.library.CircuitBreaker()(function)


class Purgatory(Peer):
    """A factory for each kind of function."""

    module, refusal = "purgatory.domain.model", "OpenedState"

    def protected(self, function: Callable[[], Any]) -> Guarded:
        """See `Peer.protected`."""
        return import_module("purgatory").SyncCircuitBreakerFactory()("b")(function)

    def async_protected(self, function: Callable[[], Any]) -> Guarded:
        """See `Peer.async_protected`."""
        return import_module("purgatory").AsyncCircuitBreakerFactory()("b")(function)

    def block(self) -> Callable[[], Any]:
        """See `Peer.block`."""
        factory = import_module("purgatory").SyncCircuitBreakerFactory()
        breaker = factory.get_breaker("b")

        def run() -> None:
            with breaker:
                pass

        return run


class Interlock(Peer):
    """A rate over the last 100 calls."""

    module, refusal = "interlock", "CircuitOpenError"
    window = "COUNT_BASED"
    size = 100

    def breaker(self) -> Any:
        """Return a new breaker."""
        library = self.library
        window = getattr(library.WindowType, self.window)
        config = library.Config(window_type=window, window_size=self.size, minimum_number_of_calls=5)
        return library.CircuitBreaker(name="b", config=config)

    def protected(self, function: Callable[[], Any]) -> Guarded:
        """See `Peer.protected`."""
        return self.breaker()(function)

    def block(self) -> Callable[[], Any]:
        """See `Peer.block`."""
        breaker = self.breaker()

        def run() -> None:
            with breaker:
                pass

        return run


class InterlockInTime(Interlock):
    """A rate over the last 60 seconds."""

    window = "TIME_BASED"
    size = 60


PEERS: dict[str, type[Peer]] = {
    "circuitbreaker 2.1 (in a row)": Circuitbreaker,
    "purgatory 3.0 (in a row)": Purgatory,
    "aiobreaker 1.2 (in a row)": Aiobreaker,
    "pybreaker 1.4 (in a row)": Pybreaker,
    "interlock-cb 2.8 (last 100 calls)": Interlock,
    "interlock-cb 2.8 (last 60 s)": InterlockInTime,
}

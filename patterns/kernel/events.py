"""Typed facts that people and patterns can listen to without being able to break a call."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from attrs import field, frozen

from patterns.errors import misuse

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Event", "ListenerFailed", "Listeners"]


@frozen(kw_only=True)
class Event:
    """Something a pattern did; subclasses add what and why.

    Args:
        source: Name of the pattern object, such as a breaker's name.
        at: Seconds since 1970-01-01 UTC.

    """

    source: str
    at: float


@frozen(kw_only=True)
class ListenerFailed(Event):
    """A listener raised; the call it listened to was not affected."""

    listener: str
    error: str = field()


class Listeners:
    """An ordered set of callbacks; one that raises is reported to the log and to the others' `ListenerFailed`."""

    def __init__(self, *listeners: Callable[[Event], object]) -> None:
        self._listeners: tuple[Callable[[Event], object], ...] = ()
        for listener in listeners:
            self.subscribe(listener)

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def subscribe(self, listener: Callable[[Event], object], /) -> Callable[[], None]:
        """Call *listener* with every event from now on.

        Returns:
            A function that ends the subscription; calling it twice is harmless.

        Raises:
            Misuse: *listener* is not callable or is async (events are told at once, not scheduled).

        """
        if not callable(listener) or inspect.iscoroutinefunction(listener):
            misuse(
                f"a listener is a plain function of one event, not {listener!r}",
                wrong="subscribe(async_function)",
                right="subscribe(lambda event: queue.put_nowait(event))",
            )
        self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            self._listeners = tuple(one for one in self._listeners if one is not listener)

        return unsubscribe

    def publish(self, event: Event) -> None:
        """Tell every listener; never raises an `Exception`."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception as error:  # noqa: BLE001 - a listener must not break a call
                self._report(listener, event, error)

    def _report(self, listener: Callable[[Event], object], event: Event, error: Exception) -> None:
        import logging

        logging.getLogger("patterns").error("listener %r failed on %r", listener, event, exc_info=error)
        if isinstance(event, ListenerFailed):
            return  # a listener that fails on failures is only logged, or this would never end
        name = getattr(listener, "__qualname__", type(listener).__qualname__)
        self.publish(ListenerFailed(source=event.source, at=event.at, listener=name, error=repr(error)))

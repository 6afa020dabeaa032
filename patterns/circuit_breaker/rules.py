"""What opens a circuit, as values that compose: ``streak(5) | rate(0.5, min_calls=20) & slow(0.3, over=2.0)``.

A rule is looked at when a call failed or was slow; a success never opens a
circuit (Polly's rule). ``|`` opens on either, ``&`` on both.
"""

from __future__ import annotations

from datetime import timedelta
from math import inf
from typing import Protocol

from attrs import frozen

from patterns.errors import misuse
from patterns.kernel.clock import Duration, seconds

__all__ = ["AllOf", "AnyOf", "Counts", "LastCalls", "LastSeconds", "Rate", "Rule", "Seen", "Slow", "Streak", "Window"]
__all__ += ["calls", "finite", "rate", "slow", "streak", "whole", "windows_of"]

DEFAULT_WINDOW = 60.0
DEFAULT_MIN_CALLS = 20


@frozen
class LastSeconds:
    """The calls that ended in the last *length* seconds."""

    length: float

    def __str__(self) -> str:
        return f"in {self.length:g} s"


@frozen
class LastCalls:
    """The last *size* calls that ended."""

    size: int

    def __str__(self) -> str:
        return f"among the last {self.size}"


Window = LastSeconds | LastCalls


@frozen
class Counts:
    """How the calls of a window ended; those that say nothing are not among them."""

    calls: int = 0
    failures: int = 0
    slow: int = 0

    @property
    def error_rate(self) -> float:
        """Failed calls / calls, 0 without calls."""
        return self.failures / self.calls if self.calls else 0.0

    @property
    def slow_rate(self) -> float:
        """Slow calls / calls, 0 without calls."""
        return self.slow / self.calls if self.calls else 0.0


class Seen(Protocol):
    """What a rule may look at."""

    @property
    def streak(self) -> int:
        """How many of the last calls failed without a success between them."""
        ...

    def counts(self, window: Window, /) -> Counts:
        """Return how the calls of *window* ended."""
        ...


class Rule:
    """Says whether what was seen is enough to open the circuit."""

    def broken(self, seen: Seen) -> str | None:
        """Return why it is, in words, or None."""
        raise NotImplementedError

    @property
    def parts(self) -> tuple[Rule, ...]:
        """The rules it is composed of, itself if of none."""
        return (self,)

    def __or__(self, other: Rule) -> AnyOf:
        return AnyOf((self, _rule(other)))

    def __and__(self, other: Rule) -> AllOf:
        return AllOf((self, _rule(other)))


def _in_a_row(failures: int) -> str:
    return f"{failures} failures in a row" if failures > 1 else "a failure"


def _rule(other: object) -> Rule:
    if not isinstance(other, Rule):
        misuse(
            f"rules compose with rules, not with {other!r}",
            wrong=f"rate(0.5) | {other!r}",
            right="rate(0.5) | streak(5)",
        )
    return other


@frozen
class Streak(Rule):
    """So many failures in a row."""

    failures: int

    def broken(self, seen: Seen) -> str | None:
        """See `Rule.broken`."""
        return _in_a_row(seen.streak) if seen.streak >= self.failures else None

    def __str__(self) -> str:
        return _in_a_row(self.failures)


@frozen
class Rate(Rule):
    """A share of failed calls, once there are enough calls to speak of a share."""

    share: float
    min_calls: int
    window: Window

    def broken(self, seen: Seen) -> str | None:
        """See `Rule.broken`."""
        counts = seen.counts(self.window)
        if counts.calls < self.min_calls or counts.error_rate < self.share:
            return None
        return f"{counts.failures} of {counts.calls} calls failed {self.window}"

    def __str__(self) -> str:
        return f"{self.share:.0%} of at least {self.min_calls} calls failing {self.window}"


@frozen
class Slow(Rule):
    """A share of calls that took too long, whether they failed or not."""

    share: float
    over: float
    min_calls: int
    window: Window

    def broken(self, seen: Seen) -> str | None:
        """See `Rule.broken`."""
        counts = seen.counts(self.window)
        if counts.calls < self.min_calls or counts.slow_rate < self.share:
            return None
        return f"{counts.slow} of {counts.calls} calls took over {self.over:g} s {self.window}"

    def __str__(self) -> str:
        return f"{self.share:.0%} of at least {self.min_calls} calls over {self.over:g} s {self.window}"


@frozen
class AnyOf(Rule):
    """Broken when one of them is."""

    rules: tuple[Rule, ...]

    def broken(self, seen: Seen) -> str | None:
        """See `Rule.broken`."""
        return next((why for rule in self.rules if (why := rule.broken(seen))), None)

    @property
    def parts(self) -> tuple[Rule, ...]:
        """See `Rule.parts`."""
        return tuple(part for rule in self.rules for part in rule.parts)

    def __str__(self) -> str:
        return " or ".join(map(str, self.rules))


@frozen
class AllOf(Rule):
    """Broken when all of them are."""

    rules: tuple[Rule, ...]

    def broken(self, seen: Seen) -> str | None:
        """See `Rule.broken`."""
        reasons = [rule.broken(seen) for rule in self.rules]
        return None if None in reasons else " and ".join(filter(None, reasons))

    @property
    def parts(self) -> tuple[Rule, ...]:
        """See `Rule.parts`."""
        return tuple(part for rule in self.rules for part in rule.parts)

    def __str__(self) -> str:
        return " and ".join(f"({rule})" if isinstance(rule, AnyOf) else str(rule) for rule in self.rules)


def streak(failures: int, /) -> Streak:
    """Open after so many failures in a row.

    Raises:
        Misuse: It is not a positive whole number.

    """
    return Streak(whole(failures, name="failures"))


def rate(share: float, /, *, min_calls: int = DEFAULT_MIN_CALLS, window: Duration | LastCalls = DEFAULT_WINDOW) -> Rate:
    """Open when a share of the calls failed.

    Args:
        share: Failed calls / calls, above 0 and at most 1.
        min_calls: Fewer calls than that say nothing.
        window: Seconds to look back, or `calls`.

    Raises:
        Misuse: The share is no share, or the window never holds *min_calls*.

    """
    return Rate(_share(share), *_reach(min_calls, window))


def slow(
    share: float,
    /,
    *,
    over: Duration,
    min_calls: int = DEFAULT_MIN_CALLS,
    window: Duration | LastCalls = DEFAULT_WINDOW,
) -> Slow:
    """Open when a share of the calls took too long.

    Args:
        share: Slow calls / calls, above 0 and at most 1.
        over: A call that takes longer than so many seconds is slow.
        min_calls: Fewer calls than that say nothing.
        window: Seconds to look back, or `calls`.

    Raises:
        Misuse: The share is no share, a duration is not positive, or the window never holds *min_calls*.

    """
    return Slow(_share(share), finite(over, name="over"), *_reach(min_calls, window))


def calls(size: int, /) -> LastCalls:
    """Look back so many calls, however long ago they were.

    Raises:
        Misuse: It is not a positive whole number.

    """
    return LastCalls(whole(size, name="calls"))


def whole(value: int, *, name: str) -> int:
    """Return *value* if it is a positive whole number.

    Raises:
        Misuse: It is not.

    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        misuse(f"{name} must be a whole number above 0, not {value!r}", wrong=f"{name}={value!r}", right=f"{name}=5")
    return value


def finite(duration: Duration, *, name: str) -> float:
    """Return *duration* as float seconds.

    Raises:
        Misuse: It is not a positive, finite number of seconds.

    """
    value = seconds(duration, name=name)
    if value == inf:
        misuse(f"{name} must end some day", wrong=f"{name}=inf", right=f"{name}=30")
    return value


def _share(value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
        misuse(f"a share is above 0 and at most 1, not {value!r}", wrong=f"rate({value!r})", right="rate(0.5)")
    return float(value)


def _reach(min_calls: int, window: Duration | LastCalls) -> tuple[int, Window]:
    whole(min_calls, name="min_calls")
    if not isinstance(window, LastCalls):
        if not isinstance(window, (int, float, timedelta)):
            misuse(
                f"a window is seconds or calls(...), not {window!r}", wrong=f"window={window!r}", right="window=60.0"
            )
        return min_calls, LastSeconds(finite(window, name="window"))
    if min_calls > window.size:
        misuse(
            f"a window of {window.size} calls never holds {min_calls}, so the rule could never open the circuit",
            wrong=f"min_calls={min_calls}, window=calls({window.size})",
            right=f"min_calls={window.size}, window=calls({window.size})",
        )
    return min_calls, window


def windows_of(rule: Rule) -> tuple[Window, ...]:
    """Return the windows *rule* looks back on, each once, in the order written."""
    windows = (part.window for part in rule.parts if isinstance(part, (Rate, Slow)))
    return tuple(dict.fromkeys(windows))

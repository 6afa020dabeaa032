"""Faults at named points: raise, pause or kill the process exactly where it hurts."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from patterns.errors import misuse
from patterns.kernel import faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Fault", "arm_from_environment", "inject"]

ENVIRONMENT = "PATTERNS_FAULT"


class Fault:
    """What happens when the point *label* is reached for the *nth* time.

    Args:
        label: The point's name, such as ``call.commit.after``; a trailing ``*`` matches any ending.
        act: Called there; may raise.
        nth: Counted from 1, over all threads.

    """

    def __init__(self, label: str, act: Callable[[], object], *, nth: int = 1) -> None:
        if nth < 1:
            misuse(f"nth counts from 1, not {nth}", wrong=f"nth={nth}", right="nth=1")
        self.label = label
        self.act = act
        self.nth = nth
        self.reached = 0
        self._lock = threading.Lock()

    def __call__(self, label: str) -> None:
        """Act if it is the point and the time."""
        if label != self.label and not (self.label.endswith("*") and label.startswith(self.label[:-1])):
            return
        with self._lock:
            self.reached += 1
            due = self.reached == self.nth
        if due:
            self.act()


@contextmanager
def inject(*armed: Fault | Callable[[str], object]) -> Iterator[None]:
    """Arm faults (or any function of a label) in this process for the length of a ``with`` block."""

    def reached(label: str) -> None:
        for fault in armed:
            fault(label)

    before = faults.arm(reached)
    if before is not None:
        armed = (*armed, before)
    try:
        yield
    finally:
        faults.arm(before)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _raise() -> None:
    raise OSError(f"injected by {ENVIRONMENT}")


_ACTIONS: dict[str, Callable[[], None]] = {"kill": _kill, "stop": _stop, "raise": _raise}


def arm_from_environment() -> Fault | None:
    """Arm the fault that ``PATTERNS_FAULT=label:nth:action`` names, for child processes of a crash test.

    Returns:
        The fault, or None if the variable is not set.

    Raises:
        Misuse: The variable has another form or names no known action (kill, stop, raise).

    """
    text = os.environ.get(ENVIRONMENT)
    if not text:
        return None
    label, _, rest = text.partition(":")
    nth, _, action = rest.partition(":")
    if not label or not nth.isdigit() or action not in _ACTIONS:
        misuse(
            f"{ENVIRONMENT} is label:nth:action with the actions {', '.join(_ACTIONS)}",
            wrong=f"{ENVIRONMENT}={text}",
            right=f"{ENVIRONMENT}=call.commit.after:1:kill",
        )
    fault = Fault(label, _ACTIONS[action], nth=int(nth))
    faults.arm(fault)
    return fault

"""Holds the circuit and lets threads and tasks at it.

The object the breaker is in, its `Era`, is read and replaced as one value.
While it admits everybody, a call touches no lock. Whatever changes the circuit
is done by one thread at a time; no lock is held while a user's function, a
predicate or a listener runs.

The lock may be asked for by the very thread that holds it: the garbage
collector may close a guarded generator at any moment, and so may a signal
handler. Such a settlement is put off until the work it interrupted is done.
"""

from __future__ import annotations

import os
import threading
from functools import partial
from itertools import count
from math import inf
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakSet

from patterns.circuit_breaker import machine
from patterns.circuit_breaker.era import Era, Probe, refusal_in
from patterns.circuit_breaker.events import ProbeExpired, StateChanged, VerdictRevised
from patterns.circuit_breaker.machine import Answer, Circuit, Judged, Move, State
from patterns.circuit_breaker.snapshot import Snapshot
from patterns.kernel.events import Listeners

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.circuit_breaker.options import Policy
    from patterns.circuit_breaker.switch import Switch
    from patterns.circuit_breaker.verdict import Ending
    from patterns.errors import CircuitOpen
    from patterns.kernel.clock import Clock
    from patterns.kernel.events import Event
    from patterns.kernel.ids import Randomness

    Permit = Era | Probe

__all__ = ["Engine"]

T = TypeVar("T")
_HAND = "a person"


class Engine:
    """A circuit that many calls share.

    Args:
        name: The breaker's.
        policy: When it opens and how it comes back.
        clock: Where time comes from.
        randomness: Where jitter comes from.
        enforce: False to let refused calls through uncounted.

    Attributes:
        era: What is admitted now is admitted in this era.
        now: Monotonic seconds.

    """

    __slots__ = (
        "__weakref__",
        "_aside",
        "_busy",
        "_holds",
        "_last_failure",
        "_late",
        "_lock",
        "_looks",
        "_outbox",
        "_randomness",
        "_refusals",
        "_refused",
        "_telling",
        "era",
        "listeners",
        "name",
        "now",
        "policy",
        "wall",
    )

    def __init__(self, name: str, policy: Policy, clock: Clock, randomness: Randomness, *, enforce: bool) -> None:
        self.name = name
        self.policy = policy
        self.now = clock.now
        self.listeners = Listeners()
        self.wall = clock.wall
        self._randomness = randomness
        self._last_failure: str | None = None
        self._refusals = count()
        self._looks = 0
        self._refused = 0
        self._holds: dict[object, str] = {}
        self._outbox: list[Event] = []  # lists, not deques: they are nearly always empty, and a deque never is small
        self.era = self._era_of(Circuit(since=self.now()))
        # The permit of what passes although it should not: an era that is never the circuit's, so nothing counts.
        self._aside = None if enforce else Era(Circuit(since=self.now()), (), name)
        self.renew_locks()
        _engines.add(self)

    def renew_locks(self) -> None:
        """Forget who holds the locks; in a forked child nobody does."""
        self._lock = threading.RLock()
        self._telling = threading.Lock()
        self._busy = False
        self._late: list[Callable[[float], object]] = []

    # What every call needs.

    def ask(self) -> Permit | None:
        """Return a permit, or None if the call may not be made."""
        era = self.era
        if era.free:
            return era
        if self.now() < era.shut_until:
            next(self._refusals)
            return self._aside
        refused: Permit | None = self._aside
        return self._alone(self._ask, instead=refused)

    def admit(self, call: str | None) -> Permit:
        """Return a permit.

        Raises:
            CircuitOpen: The call may not be made.

        """
        era = self.era
        if era.free:
            return era
        wait = era.shut_until - self.now()
        if 0.0 < wait < inf and self._aside is None and era.refusal is not None:
            next(self._refusals)
            raise era.refusal.again(call, wait)
        permit = self.ask()
        if permit is None:
            raise self._refusal(call)
        return permit

    def _refusal(self, call: str | None) -> CircuitOpen:
        era = self.era
        return refusal_in(era.circuit, self.name).again(call, machine.remaining(era.circuit, self.now()))

    def settle(self, permit: Permit, ending: Ending) -> int:
        """Count how a call ended.

        Returns:
            Its number in its era, 0 if that era is over.

        """
        if permit.__class__ is Era and ending.verdict.judged is Judged.IGNORE:
            return int(permit is self.era)
        return self._alone(partial(self._settle, permit, ending), instead=1, put_off=True)

    def revise(self, permit: Permit, number: int, ended: float, ending: Ending) -> bool:
        """Make a failure of what was settled as a success.

        Args:
            permit: What it was admitted with.
            number: What `settle` returned.
            ended: Monotonic second at which it was settled.
            ending: The failure.

        Returns:
            Whether it mattered.

        """
        return self._alone(partial(self._revise, permit, number, ended, ending), instead=True, put_off=True)

    # One at a time.

    def _alone(self, work: Callable[[float], T], *, instead: T, put_off: bool = False) -> T:
        """Do *work* while nobody else does any; return *instead* if it interrupted such work on this very thread."""
        now = self.now()
        with self._lock:
            if self._busy:
                if put_off:
                    self._late.append(work)
                return instead
            self._busy = True
            try:
                result = work(now)
                while self._late:
                    self._late.pop(0)(now)
            finally:
                self._busy = False
        if self._outbox:
            self._tell()
        return result

    def _tell(self) -> None:
        """Publish what happened, in order: one thread tells at a time, what others add is told by it."""
        while self._outbox and self._telling.acquire(blocking=False):
            try:
                while self._outbox:
                    self.listeners.publish(self._outbox.pop(0))
            finally:
                self._telling.release()

    def _ask(self, now: float) -> Permit | None:
        before = self.era.circuit
        circuit, answer = machine.ask(before, now, self.policy)
        if circuit.era == before.era:
            self._report_expired(before, circuit)
        self._become(circuit, now)
        if answer is Answer.FREE:
            return self.era
        if answer is Answer.REFUSED:
            next(self._refusals)
            return self._aside
        return Probe(self.era, answer)

    def _report_expired(self, before: Circuit, after: Circuit) -> None:
        if before.leases is not after.leases:
            kept = {lease.number for lease in after.leases}
            for lease in before.leases:
                if lease.number not in kept:
                    expired = ProbeExpired(source=self.name, at=self.wall(), era=before.era, lease=lease.number)
                    self._outbox.append(expired)

    def _settle(self, permit: Permit, ending: Ending, now: float) -> int:
        era = permit if isinstance(permit, Era) else permit.era
        if era is not self.era:
            return 0
        if ending.failure is not None:
            self._last_failure = ending.failure
        number = 1
        if isinstance(permit, Probe):
            self._become(self._after_probe(permit, ending, now), now)
        elif era.circuit.state is State.CLOSED:
            verdict, failed = ending.verdict, ending.verdict.judged is Judged.FAILURE
            number = era.add(now, failed=failed, slow=ending.slow, weight=verdict.weight)
            if failed or ending.slow:
                self._become(self._judged(era, ending, now), now)
        return number

    def _revise(self, permit: Permit, number: int, ended: float, ending: Ending, now: float) -> bool:
        era = permit if isinstance(permit, Era) else permit.era
        counted = era is self.era
        self._outbox.append(VerdictRevised(source=self.name, at=self.wall(), reason=ending.why, counted=counted))
        if not counted:
            return False
        self._last_failure = ending.failure
        if isinstance(permit, Probe):
            self._become(self._after_probe(permit, ending, now), now)
        elif era.circuit.state is State.CLOSED:
            era.amend(number, ended, now)
            self._become(self._judged(era, ending, now), now)
        return True

    def _judged(self, era: Era, ending: Ending, now: float) -> Circuit:
        """Return the circuit after a failure or a slow call was counted."""
        asked = ending.verdict.retry_after
        reason = self.policy.rule.broken(era) if asked is None else f"the dependency asked for {asked:g} s"
        if reason is None:
            return era.circuit
        reason = f"{reason}, the last: {ending.why}" if ending.why else reason
        return machine.trip(era.circuit, now, self.policy, reason=reason, chance=self._chance(), at_least=asked or 0.0)

    def _after_probe(self, probe: Probe, ending: Ending, now: float) -> Circuit:
        return machine.probed(
            probe.era.circuit,
            probe.lease,
            ending.of_probe,
            now,
            self.policy,
            reason=ending.reason,
            chance=self._chance(),
            at_least=ending.verdict.retry_after or 0.0,
        )

    def _chance(self) -> float:
        return self._randomness.uniform(0.0, 1.0) if self.policy.cool_down.jitter else 0.5

    def _become(self, circuit: Circuit, now: float) -> None:
        """Take over what the machine says; a new era is one store, so no interruption can leave half of it."""
        before = self.era.circuit
        if circuit is before:
            return
        shut_until = machine.shut_until(circuit, self.policy)
        if circuit.era == before.era:
            self.era.circuit, self.era.shut_until = circuit, shut_until
            return
        era = self._era_of(circuit)
        era.shut_until = shut_until
        if circuit.state is not before.state:
            era.began = self._change(before, circuit, now)
            self._outbox.append(era.began)
        self.era = era

    def _change(self, before: Circuit, after: Circuit, now: float) -> StateChanged:
        return StateChanged(
            source=self.name,
            at=self.wall(),
            old=before.state,
            new=after.state,
            era=after.era,
            reason="the wait is over" if after.state is State.HALF_OPEN else after.reason,
            retry_after=after.retry_at - now if after.state is State.OPEN else None,
        )

    def _era_of(self, circuit: Circuit) -> Era:
        windows = self.policy.windows if circuit.state is State.CLOSED else ()
        return Era(circuit, windows, self.name)

    # What people do.

    def force_open(self, reason: str) -> None:
        """Refuse all calls until the circuit is moved by hand."""
        self._alone(partial(self._hold, _HAND, reason), instead=None, put_off=True)

    def move(self, how: Move, reason: str) -> None:
        """Move the circuit by hand, unless a switch holds it open."""
        self._alone(partial(self._move, how, reason), instead=None, put_off=True)

    def obey(self, switch: Switch) -> None:
        """Do what *switch* says at this moment."""
        self._alone(partial(self._obey, switch), instead=None, put_off=True)

    def _obey(self, switch: Switch, now: float) -> None:
        if switch.reason is not None:
            self._hold(switch, switch.reason, now)
        elif self._holds.pop(switch, None) is not None:
            self._let_go(Move.RESET, f"{switch.name}: closed", now)

    def _hold(self, who: object, reason: str, now: float) -> None:
        self._holds[who] = reason
        self._become(machine.move(self.era.circuit, Move.FORCE_OPEN, now, reason=reason), now)

    def _move(self, how: Move, reason: str, now: float) -> None:
        self._holds.pop(_HAND, None)
        self._let_go(how, reason, now)

    def _let_go(self, how: Move, reason: str, now: float) -> None:
        if self._holds:
            how, reason = Move.FORCE_OPEN, next(reversed(self._holds.values()))
        self._become(machine.move(self.era.circuit, how, now, reason=reason), now)

    def snapshot(self) -> Snapshot:
        """Return what is known now."""
        self._alone(self._look, instead=None)
        return self._picture(self.era, self.now())

    def _look(self, now: float) -> None:
        self.era.look(now)
        self._refused = next(self._refusals) - self._looks
        self._looks += 1

    def _picture(self, era: Era, now: float) -> Snapshot:
        circuit = era.circuit
        return Snapshot(
            name=self.name,
            state=circuit.state,
            since=self.wall() - (now - circuit.since),
            reason=circuit.reason,
            retry_after=machine.remaining(circuit, now),
            counts=era.seen,
            streak=era.streak,
            refused=self._refused,
            openings=circuit.openings,
            probes=len(circuit.leases),
            successes=circuit.successes,
            last_failure=self._last_failure,
            enforced=self._aside is None,
        )


_engines: WeakSet[Engine] = WeakSet()


def _renew_all_locks() -> None:
    for engine in list(_engines):
        engine.renew_locks()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all_locks)

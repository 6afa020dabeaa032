"""The rules of the circuit: which state follows which, who may pass, and what an outcome changes.

==============  ===========  ==================================================
state           move         next state
==============  ===========  ==================================================
CLOSED          TRIP         OPEN, until the wait is over
OPEN            PROBE        HALF_OPEN: the wait is over and somebody asks
HALF_OPEN       RECOVER      CLOSED: enough probes succeeded
HALF_OPEN       RELAPSE      OPEN: a probe failed; the next wait may be longer
any             RESET        CLOSED
any             FORCE_OPEN   FORCED_OPEN: nobody passes until RESET
any             DISABLE      DISABLED: everybody passes, nothing is counted
==============  ===========  ==================================================

Every move begins a new *era*. A call belongs to the era it was admitted in,
and what it ends with matters in that era alone: a success of yesterday cannot
close the circuit of today, a straggler's failure cannot restart its wait.

While HALF_OPEN, each call that passes holds a *lease* with a deadline. At the
deadline the lease frees its place, so a probe that hangs or is forgotten
cannot hold up recovery; its result, should it come within the era, still
counts, or a dependency slower than the deadline could never recover.

Nobody wakes an OPEN circuit: the first call after the wait does. What is
counted while CLOSED, and what breaks the rule, is not known here; see `rules`.
"""

from __future__ import annotations

from enum import Enum
from math import inf
from typing import TYPE_CHECKING

from attrs import evolve, frozen

if TYPE_CHECKING:
    from patterns.circuit_breaker.options import Policy

__all__ = ["ADMITS_ALL", "MOVES", "Answer", "Circuit", "Judged", "Lease", "Move", "State", "ask", "move", "probed"]
__all__ += ["remaining", "shut_until", "trip"]


class State(Enum):
    """Where a circuit stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"
    DISABLED = "disabled"


class Move(Enum):
    """What takes a circuit from one state to another."""

    TRIP = "trip"
    PROBE = "probe"
    RECOVER = "recover"
    RELAPSE = "relapse"
    RESET = "reset"
    FORCE_OPEN = "force_open"
    DISABLE = "disable"


class Judged(Enum):
    """What an outcome says about the dependency."""

    SUCCESS = "success"
    FAILURE = "failure"
    IGNORE = "ignore"


MOVES: dict[tuple[State, Move], State] = {
    (State.CLOSED, Move.TRIP): State.OPEN,
    (State.OPEN, Move.PROBE): State.HALF_OPEN,
    (State.HALF_OPEN, Move.RECOVER): State.CLOSED,
    (State.HALF_OPEN, Move.RELAPSE): State.OPEN,
    **{(state, Move.RESET): State.CLOSED for state in State},
    **{(state, Move.FORCE_OPEN): State.FORCED_OPEN for state in State},
    **{(state, Move.DISABLE): State.DISABLED for state in State},
}

ADMITS_ALL = frozenset({State.CLOSED, State.DISABLED})


@frozen
class Lease:
    """A probe's place.

    Args:
        number: Unique within the era.
        until: Monotonic second at which the place is free again, come what may.

    """

    number: int
    until: float


class Answer(Enum):
    """What a call is told that asks to pass and gets no lease."""

    FREE = "free"
    REFUSED = "refused"


@frozen(kw_only=True)
class Circuit:
    """All that is known of a circuit, except for what is counted while it is closed.

    Args:
        state: Where it stands.
        era: Grows by one with every move.
        since: Monotonic second of the last move.
        reason: Why it moved.
        retry_at: Monotonic second from which on a probe may pass; infinite unless OPEN.
        openings: How often it opened since it last recovered; the wait may grow with it.
        successes: Successful probes of this era.
        issued: Leases given out in this era.
        leases: Those that are held.

    """

    state: State = State.CLOSED
    era: int = 0
    since: float
    reason: str = ""
    retry_at: float = inf
    openings: int = 0
    successes: int = 0
    issued: int = 0
    leases: tuple[Lease, ...] = ()


def move(circuit: Circuit, how: Move, now: float, *, reason: str, retry_at: float = inf) -> Circuit:
    """Return the circuit after a move, or unchanged if its state does not know that move."""
    state = MOVES.get((circuit.state, how))
    if state is None:
        return circuit
    openings = circuit.openings + 1 if state is State.OPEN else circuit.openings if state is State.HALF_OPEN else 0
    return Circuit(state=state, era=circuit.era + 1, since=now, reason=reason, retry_at=retry_at, openings=openings)


def trip(circuit: Circuit, now: float, policy: Policy, *, reason: str, chance: float, at_least: float = 0.0) -> Circuit:
    """Open the circuit for as long as the policy says, but *at_least* so many seconds.

    Args:
        circuit: CLOSED or HALF_OPEN; any other is returned unchanged.
        now: Monotonic seconds.
        policy: How long to wait.
        reason: What broke, in words.
        chance: Between 0 and 1, for jitter.
        at_least: What the dependency itself asked for.

    """
    how = Move.RELAPSE if circuit.state is State.HALF_OPEN else Move.TRIP
    wait = max(policy.wait(circuit.openings, chance), at_least)
    return move(circuit, how, now, reason=reason, retry_at=now + wait)


def ask(circuit: Circuit, now: float, policy: Policy) -> tuple[Circuit, Lease | Answer]:
    """Say whether a call may pass: freely, as a probe with a lease, or not."""
    if circuit.state in ADMITS_ALL:
        return circuit, Answer.FREE
    if circuit.state is State.FORCED_OPEN or (circuit.state is State.OPEN and now < circuit.retry_at):
        return circuit, Answer.REFUSED
    if circuit.state is State.OPEN:
        circuit = move(circuit, Move.PROBE, now, reason=circuit.reason)
    return _lease(circuit, now, policy)


def _lease(circuit: Circuit, now: float, policy: Policy) -> tuple[Circuit, Lease | Answer]:
    held = tuple(lease for lease in circuit.leases if now < lease.until)
    if len(held) >= policy.places(circuit.successes):
        return evolve(circuit, leases=held), Answer.REFUSED
    lease = Lease(circuit.issued, now + policy.probe_timeout)
    return evolve(circuit, leases=(*held, lease), issued=circuit.issued + 1), lease


def shut_until(circuit: Circuit, policy: Policy) -> float:
    """Return the monotonic second before which `ask` refuses everybody, unless something else happens first."""
    if circuit.state is State.FORCED_OPEN:
        return inf
    if circuit.state is State.HALF_OPEN and len(circuit.leases) >= policy.places(circuit.successes):
        return min(lease.until for lease in circuit.leases)
    return circuit.retry_at if circuit.state is State.OPEN else -inf


def remaining(circuit: Circuit, now: float) -> float | None:
    """Return the seconds after which asking again may help: 0 for at once, None if nobody can know."""
    if circuit.state is State.FORCED_OPEN:
        return None
    if circuit.state is State.HALF_OPEN:
        return max(0.0, min((lease.until for lease in circuit.leases), default=now) - now)
    return max(0.0, circuit.retry_at - now) if circuit.state is State.OPEN else 0.0


def probed(
    circuit: Circuit,
    lease: Lease,
    judged: Judged,
    now: float,
    policy: Policy,
    *,
    reason: str,
    chance: float,
    at_least: float = 0.0,
) -> Circuit:
    """Return what a probe of this very era changes: its place is free, and its outcome may end the era.

    Args:
        circuit: HALF_OPEN; any other is returned unchanged.
        lease: The probe's; may have run out.
        judged: What the outcome says.
        now: Monotonic seconds.
        policy: How many successes it takes.
        reason: What failed, in words.
        chance: Between 0 and 1, for jitter.
        at_least: Seconds the dependency itself asked to wait.

    """
    if circuit.state is not State.HALF_OPEN:
        return circuit
    if judged is Judged.FAILURE:
        return trip(circuit, now, policy, reason=reason, chance=chance, at_least=at_least)
    leases = tuple(held for held in circuit.leases if held.number != lease.number)
    successes = circuit.successes + (judged is Judged.SUCCESS)
    if successes >= policy.success_threshold:
        return move(circuit, Move.RECOVER, now, reason="a probe succeeded" if successes == 1 else "probes succeeded")
    return evolve(circuit, leases=leases, successes=successes)

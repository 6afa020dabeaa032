"""Circuit breaker: stops calling what keeps failing, and finds out when it works again."""

from __future__ import annotations

from patterns.circuit_breaker.breaker import CircuitBreaker
from patterns.circuit_breaker.breakers import Breakers
from patterns.circuit_breaker.events import CallRefused, ProbeExpired, StateChanged, VerdictRevised
from patterns.circuit_breaker.machine import State
from patterns.circuit_breaker.options import growing
from patterns.circuit_breaker.permit import Permit
from patterns.circuit_breaker.rules import Counts, Rule, calls, rate, slow, streak
from patterns.circuit_breaker.snapshot import Snapshot
from patterns.circuit_breaker.switch import Switch
from patterns.circuit_breaker.verdict import FAILURE, IGNORE, SUCCESS, Verdict, reported_error
from patterns.errors import CircuitOpen

__all__ = [
    "FAILURE",
    "IGNORE",
    "SUCCESS",
    "Breakers",
    "CallRefused",
    "CircuitBreaker",
    "CircuitOpen",
    "Counts",
    "Permit",
    "ProbeExpired",
    "Rule",
    "Snapshot",
    "State",
    "StateChanged",
    "Switch",
    "Verdict",
    "VerdictRevised",
    "calls",
    "growing",
    "rate",
    "reported_error",
    "slow",
    "streak",
]

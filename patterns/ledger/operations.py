"""What may be asked of an effect's record, and the answers; what they mean is in `patterns.ledger.machine`."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from patterns.ledger.record import Identity, Record

__all__ = [
    "OPERATIONS",
    "Approve",
    "Ask",
    "Cancel",
    "Claim",
    "Decide",
    "Doubt",
    "Fail",
    "Free",
    "Gone",
    "Moved",
    "News",
    "Operation",
    "Reason",
    "Refusal",
    "Report",
    "Settle",
    "TakeBack",
    "Verdict",
]


class News(Enum):
    """What a move means to those who listen."""

    ASKED = "asked"
    APPROVED = "approved"
    CLAIMED = "claimed"
    DONE = "done"
    FAILED = "failed"
    FREED = "freed"
    IN_DOUBT = "in_doubt"
    LATE = "late"
    RESOLVED = "resolved"
    TAKEN_BACK = "taken_back"
    VOID = "void"


class Reason(Enum):
    """Why a move is refused."""

    UNKNOWN = "there is no such effect"
    CONFLICT = "the key belongs to a call with other arguments"
    PENDING = "a person has not decided yet"
    RUNNING = "it is running"
    IN_DOUBT = "nobody knows whether it happened"
    SETTLED = "it is settled"
    NOT_OVER = "the attempt may still be running"
    ILLEGAL = "there is no such move from this state"


class Verdict(Enum):
    """What a person, or a query downstream, found out."""

    HAPPENED = "happened"
    FAILED = "failed"
    DID_NOT_HAPPEN = "did_not_happen"
    GIVEN_UP = "given_up"


# The operations and answers are named tuples, which cost a tenth of a class with checks when the module is loaded.


class Ask(NamedTuple):
    """Somebody wants the effect, and a person is to decide first."""

    identity: Identity
    approval: str


class Approve(NamedTuple):
    """The person agreed."""

    approval: str


class Cancel(NamedTuple):
    """The effect is not wanted any more, or was denied."""

    by: str | None
    note: str


class Claim(NamedTuple):
    """*owner* is about to run the effect."""

    identity: Identity
    owner: str
    trace: str | None = None
    resources: tuple[str, ...] = ()


class TakeBack(NamedTuple):
    """The body was never entered."""

    fence: int
    owner: str


class Settle(NamedTuple):
    """It ran and returned."""

    fence: int
    owner: str
    result: str


class Fail(NamedTuple):
    """It ran and failed for good."""

    fence: int
    owner: str
    error: Mapping[str, Any]


class Free(NamedTuple):
    """It ran and is known to have had no effect."""

    fence: int
    owner: str
    error: Mapping[str, Any]


class Doubt(NamedTuple):
    """It ran, is over, and may or may not have had its effect."""

    fence: int
    owner: str
    why: str


class Gone(NamedTuple):
    """*owner* is dead, or, if that is not *proven*, is believed to be."""

    owner: str
    proven: bool = True


class Decide(NamedTuple):
    """A person or a query found out what became of it."""

    verdict: Verdict
    by: str | None
    note: str
    result: str | None = None
    error: Mapping[str, Any] | None = None
    force: bool = False


Report = Settle | Fail | Free | Doubt
Operation = Ask | Approve | Cancel | Claim | TakeBack | Settle | Fail | Free | Doubt | Gone | Decide
OPERATIONS: tuple[type[Operation], ...] = (
    Ask,
    Approve,
    Cancel,
    Claim,
    TakeBack,
    Settle,
    Fail,
    Free,
    Doubt,
    Gone,
    Decide,
)


class Moved(NamedTuple):
    """The record as it is to be; None if it is to be forgotten."""

    record: Record | None
    news: News


class Refusal(NamedTuple):
    """The move is not made."""

    reason: Reason

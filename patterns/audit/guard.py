"""The guard that writes down what is about to happen, and then what happened."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Literal, get_args

from patterns.audit.records import Phase, error_parts, plain
from patterns.errors import AuditError, InDoubt, misuse
from patterns.kernel.commit import Intent
from patterns.kernel.outcome import Abandoned, Raised, Refused, Replayed, Returned
from patterns.kernel.stack import Guard

if TYPE_CHECKING:
    from patterns.audit.journal import Journal
    from patterns.kernel.call import Call, Proceed
    from patterns.kernel.outcome import Outcome

__all__ = ["ArgumentsMode", "RecordGuard"]

ArgumentsMode = Literal["digest", "plain", "none"]


_numbers = count(1)
"""Makes the records of one call different, also if an outer guard makes the call again."""


class RecordGuard(Guard):
    """Writes the intention at the commit point and the outcome at settlement.

    A call that never reaches the commit point, because it was refused or its
    result was recorded before, leaves one record; any other leaves two.

    Args:
        journal: Where to.
        action: Name in the log; the function's or step's own if missing.
        arguments: What is written of them.

    Raises:
        Misuse: *arguments* is none of the three words.

    """

    name = "audit.record"

    def __init__(self, journal: Journal, *, action: str | None = None, arguments: ArgumentsMode = "digest") -> None:
        if arguments not in get_args(ArgumentsMode):
            misuse(f"arguments={arguments!r}", wrong=f"arguments={arguments!r}", right='arguments="digest"')
        self.journal = journal
        self.action = action
        self.arguments = arguments

    async def around(self, call: Call, proceed: Proceed) -> Any:
        """See `Guard.around`."""
        pair = _Pair(self, call)
        intent = Intent(pair.propose)
        call.at_commit(intent)
        try:
            outcome = await call.attempt(proceed)
        except GeneratorExit as closing:  # the coroutine is closed by force and can wait for nothing any more
            pair.abandon(closing)
            raise
        if not intent.done:
            call.withdraw(intent)
        await call.shield(pair.settle(outcome), suspends=self.journal.waits)
        return outcome.unwrap()


class _Pair:
    """The records of one call."""

    __slots__ = ("_call", "_guard", "_intent", "_journal", "_suspends", "_unproposed", "_who")

    def __init__(self, guard: RecordGuard, call: Call) -> None:
        self._guard = guard
        self._journal = guard.journal
        self._call = call
        self._suspends = guard.journal.waits and call.target.asynchronous
        self._intent: str | None = None
        self._unproposed: AuditError | None = None
        self._who: dict[str, Any] | None = None

    async def propose(self) -> None:
        """Write the intention; durable when this returns.

        Raises:
            AuditError: It cannot be written, so the function must not run.

        """
        journal = self._journal
        record = self._record(Phase.PROPOSED, self._arguments())
        self._intent = record["id"]
        line = journal.line(record)
        try:
            index = await journal.aappend(line) if self._suspends else journal.append(line)
        except AuditError as error:
            if journal.closed:
                self._unproposed = error
                raise
            journal.leave_late(line, error)
        else:
            self._call.note(audit__id=self._intent, audit__index=index)

    async def settle(self, outcome: Outcome) -> None:
        """Write the outcome; what cannot be written now is written with the next record that can."""
        journal = self._journal
        try:
            line = journal.line(self._record(*self._told(outcome)))
        except AuditError as error:  # the redaction hook failed, and nothing unredacted is written
            journal.report(error)
            return
        if self._unproposed is not None:
            journal.leave_late(line, self._unproposed)
            return
        try:
            await journal.aappend(line) if self._suspends else journal.append(line)
        except AuditError as error:
            journal.leave_late(line, error)

    def abandon(self, error: BaseException) -> None:
        """Leave the outcome of a call that was closed by force to the next commit."""
        try:
            self._journal.leave(self._journal.line(self._record(*self._told(Abandoned(error)))))
        except AuditError as failure:
            self._journal.report(failure)

    def _record(self, phase: Phase, parts: dict[str, Any]) -> dict[str, Any]:
        call, scribe = self._call, self._journal.scribe
        who = self._who
        if who is None:
            who = self._who = scribe.who(call, call.run)
        if self._intent is not None:
            parts["cause"] = [self._intent]
        # A new identifier for each record would cost more than the rest of the record.
        own_id = f"{who['call'][5:]}-{next(_numbers)}"
        return scribe.record(phase, self._guard.action or call.name, who=who, own_id=own_id, **parts)

    def _arguments(self) -> dict[str, Any]:
        mode = self._guard.arguments
        if mode == "none":
            return {}
        try:
            arguments = self._call.arguments
        except TypeError:  # they do not fit the parameters, as the function itself will say
            return {}
        if mode == "plain":
            return {"facts" if self._call.target.is_block else "arguments": plain(dict(arguments))}
        return self._journal.scribe.arguments(arguments)

    def _told(self, outcome: Outcome) -> tuple[Phase, dict[str, Any]]:
        parts = {} if self._intent is not None else self._arguments()
        match outcome:
            case Returned(value):
                return Phase.EXECUTED, self._result(value)
            case Replayed(value, error):
                parts |= {"original": self._call.replayed_from}
                return Phase.REPLAYED, parts | (self._result(value) if error is None else {"error": error_parts(error)})
            case Refused(error):
                return Phase.BLOCKED, parts | {"error": error_parts(error)}
            case Raised(error):
                phase = Phase.IN_DOUBT if isinstance(error, InDoubt) else Phase.FAILED
                return phase, {"error": error_parts(error)}
            case Abandoned(error):
                return Phase.ABANDONED, {"error": error_parts(error)}

    def _result(self, value: Any) -> dict[str, Any]:
        return {} if value is None else {"result": self._journal.scribe.digest(value)}

"""The audit log as a user holds it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, get_args, overload

from attrs import frozen

from patterns.audit.file_sink import FileSink
from patterns.audit.guard import RecordGuard
from patterns.audit.journal import Journal
from patterns.audit.keys import VerifyingKey, given_keys, signer_of
from patterns.audit.proof import prove
from patterns.audit.reading import entries_of, unsettled
from patterns.audit.records import Phase, Scribe, plain
from patterns.audit.sinks import MemorySink
from patterns.audit.verify import verify
from patterns.audit.writer import Writer
from patterns.errors import AuditError, misuse
from patterns.kernel.block import Block
from patterns.kernel.call import current_call
from patterns.kernel.clock import SYSTEM_CLOCK
from patterns.kernel.guard import attach
from patterns.kernel.ids import SYSTEM_IDS
from patterns.kernel.run import current_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    from patterns.audit.findings import Verification
    from patterns.audit.guard import ArgumentsMode
    from patterns.audit.keys import Key, Signer
    from patterns.audit.proof import Proof
    from patterns.audit.reading import Entry
    from patterns.audit.records import Redact
    from patterns.audit.sinks import Reader, Recovered, Sink
    from patterns.audit.verify import Remembered
    from patterns.kernel.clock import Clock
    from patterns.kernel.ids import Ids

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["AuditLogger", "Receipt"]

OnFailure = Literal["refuse", "continue"]

_UNSIGNED_ORIGIN = "unsigned-audit-log"


@frozen
class Receipt:
    """An acknowledged record: its id, to name as a cause, and its index in the log, -1 if it was not waited for."""

    id: str
    index: int


class AuditLogger:
    """A log of what agents wanted to do and did, in which nothing can be changed, removed or put back unnoticed.

    What a call returns for is on disk and under a durable, signed checkpoint.

    Args:
        target: A directory of its own, ``"memory"``, or a `Sink`.
        key: Signs the checkpoints: a path (a new key is made if there is none), a private key's text, 32 secret
            bytes (with *origin*), a `Signer`, or several of these. If missing, the environment variable
            PATTERNS_AUDIT_KEY; without that the log is unsigned, and whoever can write to it can rewrite it.
        trusted: Verifying keys of earlier signers, after a change of keys.
        origin: Unique name of the log, such as ``example.org/audit/payments``; if missing, the key's.
        agent: Who acts where the run does not say.
        clock: For the time in the records.
        ids: For their ids.
        redact: Gets every record before it is written and returns what is written.
        digest_key: Makes the digests of arguments keyed, so that short ones cannot be guessed.
        on_failure: ``"refuse"``: what cannot be recorded first does not run. ``"continue"``: it does, and the
            record is written with the next one that can be.

    Raises:
        Misuse: An option is wrong, or the key lies inside the log's own directory.
        AuditError: The log cannot be opened.
        LogTampered: It is not as it was left.

    """

    def __init__(
        self,
        target: str | os.PathLike[str] | Sink,
        *,
        key: Key | Iterable[Key] | None = None,
        trusted: Iterable[str | VerifyingKey] = (),
        origin: str | None = None,
        agent: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
        ids: Ids = SYSTEM_IDS,
        redact: Redact | None = None,
        digest_key: bytes | None = None,
        on_failure: OnFailure = "refuse",
    ) -> None:
        if on_failure not in get_args(OnFailure):
            misuse(f"on_failure={on_failure!r}", wrong=f"on_failure={on_failure!r}", right='on_failure="refuse"')
        keys = given_keys(key)
        _refuse_key_inside(target, keys)
        self._sink = _sink_of(target)
        signers = tuple(signer_of(one, origin=origin) for one in keys)
        self.origin = origin or _name_of(signers)
        self.on_failure: OnFailure = on_failure
        self._scribe = Scribe(agent=agent, clock=clock, ids=ids, redact=redact, digest_key=digest_key)
        self._writer = Writer(
            self._sink,
            origin=self.origin,
            signers=signers,
            trusted=[VerifyingKey.parse(one) for one in trusted],
            describe=self._describe,
        )
        self._vkeys = tuple(signer.vkey for signer in signers)
        self._journal = Journal(self._scribe, self._writer, closed=on_failure == "refuse")
        self._writer.open()

    def __repr__(self) -> str:
        signed = ", ".join(self.vkeys) or "UNSIGNED: rewriting cannot be detected"
        return f"<AuditLogger {self.origin} in {self._sink!r}, {signed}>"

    # Recording

    def log(
        self,
        phase: str,
        action: str,
        *,
        arguments: Mapping[str, Any] | None = None,
        cause: str | Receipt | Iterable[str | Receipt] = (),
        reason: str | None = None,
        wait: bool = True,
        **facts: Any,
    ) -> Receipt:
        """Record something; use `alog` in a task.

        Args:
            phase: What happened, a `Phase` or a word of your own.
            action: To which tool, function or step.
            arguments: Only their digest is written.
            cause: Records this one follows from.
            reason: In words.
            wait: False leaves the line to the next commit and acknowledges nothing.
            facts: Anything else; written as it is, without values named like secrets.

        Returns:
            The record's id and index.

        Raises:
            AuditError: It is not acknowledged.

        """
        record = self._made(phase, action, arguments=arguments, cause=cause, reason=reason, facts=facts)
        line = self._journal.line(record)
        if not wait:
            self._journal.leave(line)
            return Receipt(record["id"], -1)
        return Receipt(record["id"], self._journal.append(line))

    async def alog(
        self,
        phase: str,
        action: str,
        *,
        arguments: Mapping[str, Any] | None = None,
        cause: str | Receipt | Iterable[str | Receipt] = (),
        reason: str | None = None,
        **facts: Any,
    ) -> Receipt:
        """Do what `log` does without blocking the event loop."""
        record = self._made(phase, action, arguments=arguments, cause=cause, reason=reason, facts=facts)
        return Receipt(record["id"], await self._journal.aappend(self._journal.line(record)))

    def log_action_proposed(
        self, action: str, arguments: Mapping[str, Any] | None = None, *, reason: str | None = None, **facts: Any
    ) -> Receipt:
        """Record that an action is wanted; name the receipt as the ``cause`` of what becomes of it."""
        return self.log(Phase.PROPOSED, action, arguments=arguments, reason=reason, **facts)

    def log_action_executed(
        self, action: str, *, cause: str | Receipt | Iterable[str | Receipt] = (), result: Any = None, **facts: Any
    ) -> Receipt:
        """Record that an action was done; of *result* only the digest is written."""
        digest = None if result is None else self._scribe.digest(result)
        record = self._made(Phase.EXECUTED, action, cause=cause, result=digest, facts=facts)
        return Receipt(record["id"], self._journal.append(self._journal.line(record)))

    def log_action_blocked(
        self, action: str, reason: str, *, cause: str | Receipt | Iterable[str | Receipt] = (), **facts: Any
    ) -> Receipt:
        """Record that an action was not allowed, and why."""
        return self.log(Phase.BLOCKED, action, reason=reason, cause=cause, **facts)

    def log_policy_violation(
        self, action: str, policy: str, *, cause: str | Receipt | Iterable[str | Receipt] = (), **facts: Any
    ) -> Receipt:
        """Record that an action was against a policy."""
        return self.log(Phase.VIOLATION, action, reason=policy, cause=cause, **facts)

    def flush(self) -> None:
        """Commit what nobody waited for.

        Raises:
            AuditError: It could not be committed.

        """
        self._journal.flush()

    @property
    def unwritten(self) -> int:
        """How many records are not committed yet."""
        return self._journal.waiting

    # Guarding

    @overload
    def record(self, function: F, /) -> F: ...

    @overload
    def record(self, /, *, action: str | None = None, arguments: ArgumentsMode = "digest") -> Callable[[F], F]: ...

    def record(
        self, function: F | None = None, /, *, action: str | None = None, arguments: ArgumentsMode = "digest"
    ) -> F | Callable[[F], F]:
        """Record every call: the intention before it runs, and the outcome.

        The intention is on disk before the function is entered; if it cannot
        be written, the function is not called. Refusals by guards further in
        are recorded as blocked.

        Args:
            function: What to guard.
            action: Its name in the log, if not its own.
            arguments: ``"digest"`` of them, ``"plain"`` (without values named like secrets), or ``"none"``.

        Raises:
            Misuse: *function* cannot be guarded.

        """
        guard = RecordGuard(self._journal, action=action, arguments=arguments)
        return (lambda guarded: attach(guarded, guard)) if function is None else attach(function, guard)

    def step(self, name: str, **facts: Any) -> Block:
        """Record a ``with`` or ``async with`` block in the same way."""
        return Block(RecordGuard(self._journal, arguments="plain"), name, facts)

    # Reading and checking

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """Yield the acknowledged entries from index *start* on.

        Raises:
            AuditError: The log cannot be read.

        """
        return entries_of(self._reader(), start)

    def unsettled(self) -> tuple[Entry, ...]:
        """Return the proposals that have no outcome: they may have happened, as after a crash in the middle."""
        return unsettled(self._reader())

    @property
    def checkpoint(self) -> str:
        """The newest checkpoint; keep copies where the writer of the log cannot reach them."""
        head = self._reader().head()
        if head is None:
            raise AuditError("the log has no checkpoint")
        return head.note

    @property
    def vkeys(self) -> tuple[str, ...]:
        """The keys that sign; give them to everyone who is to check the log."""
        return self._vkeys

    def verify(self, *, against: Remembered | Iterable[Remembered] = ()) -> Verification:
        """Check the whole log, with this process's own memory of it as a remembered checkpoint.

        Args:
            against: Checkpoints remembered elsewhere.

        """
        self._writer.seal()
        own = [] if self._writer.head is None else [self._writer.head.note]
        kept = [against] if isinstance(against, (str, os.PathLike)) else list(against)
        return verify(
            self._reader(),
            vkeys=self._writer.keys,
            origin=self.origin,
            against=[*own, *kept],
            unsigned=not self._vkeys,
        )

    def prove(self, index: int) -> Proof:
        """Return the proof that entry *index* is in the log, which can be checked without the log.

        Raises:
            IndexError: There is no such acknowledged entry.
            AuditError: The stored hashes are damaged.

        """
        return prove(self._reader(), index)

    def close(self) -> None:
        """Commit what nobody waited for, and release the files; the logger may be used again.

        Raises:
            AuditError: It could not be committed.

        """
        try:
            self._journal.close()
        finally:
            self._sink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _reader(self) -> Reader:
        self._writer.seal()
        return self._sink.reader()

    def _made(self, phase: str, action: str, *, facts: Mapping[str, Any], **parts: Any) -> dict[str, Any]:
        if not isinstance(action, str) or not action:
            misuse(f"an action needs a name, not {action!r}", wrong=f"action={action!r}", right='action="refund"')
        who = self._scribe.who(current_call(), current_run())
        cause = parts.pop("cause", ())
        arguments = parts.pop("arguments", None)
        if arguments is not None:
            parts |= self._scribe.arguments(arguments)
        return self._scribe.record(
            phase, action, who=who, cause=_ids(cause), **parts, facts=plain(dict(facts)) if facts else None
        )

    def _describe(self, recovered: Recovered) -> bytes:
        facts = {"bytes": recovered.bytes, "sha256": recovered.sha256, "kept_in": recovered.kept_in}
        return self._scribe.line(self._scribe.record(Phase.RECOVERED, "log", who={}, facts=facts))


def _ids(cause: str | Receipt | Iterable[str | Receipt]) -> list[str] | None:
    causes = [cause] if isinstance(cause, (str, Receipt)) else list(cause)
    return [one.id if isinstance(one, Receipt) else one for one in causes] or None


def _sink_of(target: str | os.PathLike[str] | Sink) -> Sink:
    if target == "memory":
        return MemorySink()
    if target in (None, ""):
        misuse("a log needs a place", wrong=f"AuditLogger({target!r})", right='AuditLogger("audit/", key="audit.key")')
    return FileSink(target) if isinstance(target, (str, os.PathLike)) else target


def _name_of(signers: tuple[Signer, ...]) -> str:
    return VerifyingKey.parse(signers[0].vkey).name if signers else _UNSIGNED_ORIGIN


def _refuse_key_inside(target: object, keys: Iterable[Key]) -> None:
    if not isinstance(target, (str, os.PathLike)):
        return
    inside = os.path.realpath(target)
    for one in keys:
        if isinstance(one, (str, os.PathLike)) and os.path.commonpath([inside, os.path.realpath(one)]) == inside:
            misuse(
                "the key lies in the log's own directory: whoever can change the log could sign it, too",
                wrong=f"AuditLogger({os.fspath(target)!r}, key={os.fspath(one)!r})",
                right=f"AuditLogger({os.fspath(target)!r}, key='/etc/audit.key')",
            )

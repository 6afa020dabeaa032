"""What the command line does with a log, as functions that return data and print nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from patterns.audit.files import LogFiles
from patterns.audit.proof import Proof, prove
from patterns.audit.reading import Entry, entries_of, unsettled
from patterns.audit.repair import repair
from patterns.audit.verify import verify
from patterns.audit.witness import remember
from patterns.errors import AuditError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    from patterns.audit.findings import Verification

    Place = str | os.PathLike[str]

__all__ = [
    "check_proof",
    "prove_entry",
    "remember_checkpoint",
    "repair_log",
    "show_checkpoint",
    "show_entries",
    "show_unsettled",
    "verify_log",
]


def verify_log(
    log: Place,
    *,
    vkeys: Iterable[str] = (),
    origin: str | None = None,
    against: Iterable[Place] = (),
    unsigned: bool = False,
) -> Verification:
    """Verify the log in directory *log*; ``int(result.verdict)`` is the exit code, ``result.as_dict()`` the JSON.

    Args:
        log: The directory.
        vkeys: Verifying keys, spelled out or as paths of files with one (such as ``audit.key.pub``).
        origin: Name the log must have.
        against: Files with checkpoints remembered elsewhere.
        unsigned: Accept a log without signatures.

    Raises:
        Misuse: A key is no key.
        AuditError: A file cannot be read.

    """
    try:
        return verify(log, vkeys=_keys(vkeys), origin=origin, against=map(Path, against), unsigned=unsigned)
    except OSError as error:
        raise AuditError(f"cannot be read: {error}", errno=error.errno) from error


def show_entries(log: Place, *, start: int = 0, where: Mapping[str, Any] | None = None) -> Iterator[Entry]:
    """Return the acknowledged entries from *start* on whose records have the values of *where*, such as a run.

    Raises:
        AuditError: There is no log.

    """
    entries, wanted = entries_of(_files(log), start), dict(where or {})
    if not wanted:
        return entries
    return (entry for entry in entries if wanted.items() <= entry.record.items())


def show_unsettled(log: Place) -> tuple[Entry, ...]:
    """Return the proposals without an outcome.

    Raises:
        AuditError: There is no log.

    """
    return unsettled(_files(log))


def show_checkpoint(log: Place) -> str:
    """Return the newest checkpoint, to be kept where the log's writer cannot reach it.

    Raises:
        AuditError: There is none.

    """
    head = _files(log).head()
    if head is None:
        raise AuditError("the log has no checkpoint")
    return head.note


def prove_entry(log: Place, index: int) -> tuple[Entry, Proof]:
    """Return entry *index* and its proof (``str(proof)`` is a ``.tlog-proof`` file).

    Raises:
        IndexError: There is no such acknowledged entry.
        AuditError: The stored hashes are damaged.

    """
    files = _files(log)
    proof = prove(files, index)
    return next(entries_of(files, index)), proof


def check_proof(proof: str, entry: bytes, *, vkeys: Iterable[str]) -> None:
    """Check a proof without the log.

    Args:
        proof: Text of a ``.tlog-proof`` file.
        entry: The line without its newline.
        vkeys: As for `verify_log`.

    Raises:
        LogTampered: It does not show that the entry is in the log.
        AuditError: Its checkpoint is not signed by one of *vkeys*.

    """
    Proof.parse(proof).check(entry, _keys(vkeys))


def remember_checkpoint(log: Place, kept: Place, *, vkeys: Iterable[str]) -> str:
    """Make sure that the log goes on from the checkpoint in the file *kept*, and keep its newest one there instead.

    Returns:
        The checkpoint's text.

    Raises:
        LogTampered: It does not go on; the file stays as it is.
        AuditError: The checkpoint is not signed by one of *vkeys*, or a file cannot be read or written.

    """
    return remember(_files(log).directory, kept, vkeys=_keys(vkeys)).text


def repair_log(
    log: Place, *, vkeys: Iterable[str] = (), against: Iterable[Place] = (), unsigned: bool = False
) -> tuple[str, ...]:
    """Write what can be derived anew; see `patterns.audit.repair.repair`."""
    return repair(log, vkeys=_keys(vkeys), against=[Path(one) for one in against], unsigned=unsigned)


def _files(log: Place) -> LogFiles:
    if not Path(log).is_dir():
        raise AuditError(f"there is no log in {log}")
    return LogFiles(log)


def _keys(given: Iterable[str]) -> list[str]:
    return [Path(one).read_text(encoding="utf-8") if Path(one).is_file() else one for one in given]

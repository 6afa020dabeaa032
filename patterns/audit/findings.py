"""What a verification says: a verdict, what is wrong, and what should be known."""

from __future__ import annotations

from enum import IntEnum

from attrs import frozen

from patterns.errors import AuditError, LogTampered

__all__ = ["Problem", "Verdict", "Verification"]


class Verdict(IntEnum):
    """What can be said; the number is the exit code of ``patterns audit verify``."""

    OK = 0
    """Everything that was asked is proven."""
    TAMPERED = 1
    """The evidence contradicts itself or what is remembered."""
    CANNOT_SAY = 3
    """Something needed to decide is missing: a key, a signature, the log itself."""


@frozen(kw_only=True)
class Problem:
    """One thing that is wrong.

    Args:
        kind: One word for programs: ``rewritten``, ``missing``, ``inserted``, ``truncated``, ``rolled_back``,
            ``forked``, ``signature``, ``checkpoint``, ``head``, ``unsigned``, ``unknown_key``, ``no_log``.
        text: One line for a person.
        index: First entry concerned, if known.
        file: In which file.
        offset: At which byte of it that entry begins.

    """

    kind: str
    text: str
    index: int | None = None
    file: str | None = None
    offset: int | None = None


@frozen(kw_only=True)
class Verification:
    """What a verification found.

    Args:
        origin: Name of the log, as its checkpoint says.
        size: Number of entries under the checkpoint.
        root: Their root hash.
        signed_by: Verifying keys whose signatures were checked.
        problems: What is wrong; empty if nothing is.
        warnings: What is not wrong, but should be known.
        unacknowledged: Complete lines behind the checkpoint: written, but never acknowledged to anybody.
        torn: Bytes of a last line without a newline, left by a crash.
        against: Sizes of the remembered checkpoints that were found to be where the log once was.

    """

    origin: str | None = None
    size: int = 0
    root: bytes = b""
    signed_by: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    unacknowledged: int = 0
    torn: int = 0
    against: tuple[int, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """What can be said."""
        if not self.problems:
            return Verdict.OK
        doubtful = {"unsigned", "unknown_key", "no_log"}
        return Verdict.CANNOT_SAY if {one.kind for one in self.problems} <= doubtful else Verdict.TAMPERED

    @property
    def ok(self) -> bool:
        """Whether everything that was asked is proven."""
        return self.verdict is Verdict.OK

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        found = [f"{self.verdict.name.lower().replace('_', ' ')}: {self.size} entries of {self.origin or 'no log'}"]
        found += [problem.text for problem in self.problems]
        found += self.warnings
        if self.signed_by:
            found.append(f"signed by {', '.join(self.signed_by)}")
        if self.unacknowledged or self.torn:
            found.append(
                f"behind the checkpoint: {self.unacknowledged} lines and {self.torn} torn bytes, never acknowledged"
            )
        return "\n".join(found)

    def as_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        return {
            "verdict": self.verdict.name.lower(),
            "origin": self.origin,
            "size": self.size,
            "root": self.root.hex(),
            "signed_by": list(self.signed_by),
            "problems": [
                {"kind": one.kind, "text": one.text, "index": one.index, "file": one.file, "offset": one.offset}
                for one in self.problems
            ],
            "warnings": list(self.warnings),
            "unacknowledged": self.unacknowledged,
            "torn": self.torn,
            "against": list(self.against),
        }

    def raise_for_tampering(self) -> None:
        """Do nothing if all is well.

        Raises:
            LogTampered: The verdict is `Verdict.TAMPERED`.
            AuditError: The verdict is `Verdict.CANNOT_SAY`.

        """
        if self.problems:
            index = next((one.index for one in self.problems if one.index is not None), None)
            error = LogTampered if self.verdict is Verdict.TAMPERED else AuditError
            raise error("; ".join(one.text for one in self.problems), index=index)

"""A log of what agents wanted to do and did, in which nothing can be changed unnoticed."""

from __future__ import annotations

from patterns.audit.checkpoint import Checkpoint
from patterns.audit.file_sink import FileSink
from patterns.audit.findings import Problem, Verdict, Verification
from patterns.audit.keys import Signer, SigningKey, VerifyingKey
from patterns.audit.logger import AuditLogger, Receipt
from patterns.audit.proof import Proof
from patterns.audit.reading import Entry
from patterns.audit.records import Phase
from patterns.audit.sinks import MemorySink, Sink
from patterns.audit.verify import verify

__all__ = [
    "AuditLogger",
    "Checkpoint",
    "Entry",
    "FileSink",
    "MemorySink",
    "Phase",
    "Problem",
    "Proof",
    "Receipt",
    "Signer",
    "SigningKey",
    "Sink",
    "Verdict",
    "Verification",
    "VerifyingKey",
    "verify",
]

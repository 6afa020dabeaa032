"""Tools that nobody here wrote check a log of ours."""

from __future__ import annotations

import base64
import shutil
import subprocess
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from patterns.audit import AuditLogger, SigningKey

if TYPE_CHECKING:
    from pathlib import Path

DER_PREFIX = bytes.fromhex("302a300506032b6570032100")  # SubjectPublicKeyInfo of an Ed25519 key, RFC 8410


def test_openssl_verifies_the_checkpoint(tmp_path: Path, key: SigningKey):
    """The signature is plain Ed25519 over the first three lines, and any other text is refused."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here")
    AuditLogger(tmp_path / "log", key=key).log("note", "a")
    text, _, signatures = (tmp_path / "log" / "checkpoint").read_text().partition("\n\n")
    signature = base64.b64decode(signatures.split()[2])[4:]
    (tmp_path / "signature").write_bytes(signature)
    (tmp_path / "public").write_bytes(DER_PREFIX + key.verifying_key.public)
    for message, verdict in [(f"{text}\n", 0), (f"{text}\n ", 1)]:
        (tmp_path / "message").write_text(message)
        command = [openssl, "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", "public"]
        command += ["-in", "message", "-sigfile", "signature"]
        assert verdict == subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode


def test_twenty_lines_of_the_rfc_give_the_root(tmp_path: Path, key: SigningKey):
    """A reader who knows RFC 6962 and nothing of this library gets the signed root from the lines."""

    def root(leaves: list[bytes]) -> bytes:
        if len(leaves) == 1:
            return leaves[0]
        split = 1 << (len(leaves) - 1).bit_length() - 1
        return sha256(b"\1" + root(leaves[:split]) + root(leaves[split:])).digest()

    audit = AuditLogger(tmp_path / "log", key=key)
    for number in range(77):
        audit.log("note", str(number), wait=False)
    audit.flush()
    lines = next((tmp_path / "log").glob("events-*")).read_bytes().splitlines()
    name, size, signed = (tmp_path / "log" / "checkpoint").read_text().splitlines()[:3]
    assert (key.name, "77") == (name, size)
    assert signed == base64.b64encode(root([sha256(b"\0" + line).digest() for line in lines])).decode()

"""Keys have one spelling, their files are private, and what is no key is never half accepted."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from patterns.audit import AuditLogger, SigningKey, VerifyingKey
from patterns.audit.keys import KEY_VARIABLE, sign, signer_of, verified_by
from patterns.audit.note import Note
from patterns.errors import AuditError, LogTampered, Misuse

if TYPE_CHECKING:
    from pathlib import Path

SEED = bytes(range(32))


def test_a_key_is_read_as_it_was_written(key: SigningKey):
    """Both spellings go there and back."""
    assert SEED == SigningKey.parse(key.spelled())._seed
    assert key.verifying_key == VerifyingKey.parse(key.vkey) == VerifyingKey.parse(f" {key.vkey}\n")


def test_every_changed_character_of_a_key_is_noticed(key: SigningKey):
    """The id in a key's spelling covers name, type and public key; the spelling is canonical."""
    for spelled, parse in [(key.vkey, VerifyingKey.parse), (key.spelled(), SigningKey.parse)]:
        for at, char in enumerate(spelled):
            for other in {"A", "b", "+", "0", "/"} - {char}:
                with pytest.raises(Misuse):
                    parse(spelled[:at] + other + spelled[at + 1 :])
        for cut in range(1, len(spelled)):
            with pytest.raises(Misuse):
                parse(spelled[:-cut])


def test_the_secret_is_not_shown(key: SigningKey):
    """Neither the key's text nor an error about a wrong one holds the secret."""
    with pytest.raises(Misuse) as caught:
        SigningKey.parse(key.spelled() + "x")
    secret = key.spelled().rpartition("+")[2]
    assert secret not in str(caught.value)
    assert secret not in repr(key)


def test_a_key_file_is_for_its_owner_alone(tmp_path: Path, key: SigningKey):
    """The private part is 0600, the public part lies beside it, and neither is ever overwritten."""
    path = tmp_path / "audit.key"
    key.save(path)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert key.vkey == (tmp_path / "audit.key.pub").read_text().strip()
    assert key.vkey == SigningKey.load(path).vkey
    with pytest.raises(AuditError):
        SigningKey.generate().save(path)
    assert key.vkey == SigningKey.load(path).vkey


def test_a_missing_key_file_is_made_once(tmp_path: Path):
    """The first logger makes the key, later ones find it."""
    path = tmp_path / "audit.key"
    first = AuditLogger(tmp_path / "audit", key=path)
    second = AuditLogger(tmp_path / "audit", key=path)
    assert first.vkeys == second.vkeys == (SigningKey.load(path).vkey,)


def test_a_key_beside_the_log_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whoever can write the log's directory could sign, too."""
    for inside in [tmp_path / "audit" / "key", tmp_path / "audit" / "a" / ".." / "key"]:
        with pytest.raises(Misuse, match="own directory"):
            AuditLogger(tmp_path / "audit", key=inside)
    monkeypatch.setenv(KEY_VARIABLE, os.fspath(tmp_path / "audit" / "key"))
    with pytest.raises(Misuse, match="own directory"):
        AuditLogger(tmp_path / "audit")


def test_the_key_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, key: SigningKey, tmp_path: Path):
    """The variable holds the key itself or the path of its file; without it nobody signs."""
    monkeypatch.setenv(KEY_VARIABLE, key.spelled())
    assert (key.vkey,) == AuditLogger("memory").vkeys
    key.save(tmp_path / "audit.key")
    monkeypatch.setenv(KEY_VARIABLE, os.fspath(tmp_path / "audit.key"))
    assert (key.vkey,) == AuditLogger("memory").vkeys
    monkeypatch.delenv(KEY_VARIABLE)
    assert () == AuditLogger("memory").vkeys


def test_bare_bytes_need_a_name(key: SigningKey):
    """A seed signs under the origin it is given."""
    signer = signer_of(SEED, origin=key.name)
    assert key.vkey == signer.vkey
    with pytest.raises(Misuse, match="origin"):
        signer_of(SEED)


@pytest.mark.parametrize("wrong", [42, "PRIVATE+KEY+x", b"short", object()])
def test_what_is_no_key_is_refused(wrong: object):
    """At construction, with the right line shown."""
    with pytest.raises(Misuse, match="right:"):
        AuditLogger("memory", key=wrong, origin="example.org/audit")


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u2003b"])
def test_a_key_name_has_no_spaces_and_no_plus(name: str):
    """It could not be written into a note."""
    with pytest.raises(Misuse):
        SigningKey(name, SEED)


def test_signatures_of_strangers_are_passed_over_and_forged_ones_are_not(key: SigningKey):
    """Unknown keys may sign along; a known name and id with a wrong signature damns the note."""
    other = SigningKey.generate("example.org/other")
    note = Note.parse(sign("text\n", [(key.verifying_key, key), (other.verifying_key, other)]))
    assert (key.verifying_key,) == verified_by(note, [key.verifying_key])
    assert () == verified_by(note, [SigningKey.generate(key.name).verifying_key])
    forged = Note("other text\n", note.signatures)
    with pytest.raises(LogTampered, match="not genuine"):
        verified_by(forged, [key.verifying_key])


def test_a_signer_that_fails_is_an_audit_error(tmp_path: Path):
    """A key service that is down acknowledges nothing, and the next commit is tried again."""

    class Service:
        vkey = SigningKey("example.org/audit", SEED).vkey
        up = True

        def sign(self, message: bytes, /) -> bytes:
            if not self.up:
                raise ConnectionError("no route")
            return SigningKey("example.org/audit", SEED).sign(message)

    service = Service()
    logger = AuditLogger(tmp_path / "log", key=service)
    logger.log("note", "first")
    service.up = False
    with pytest.raises(AuditError, match="no route"):
        logger.log("note", "second")
    service.up = True
    logger.log("note", "third")
    assert ["first", "third"] == [entry.record["action"] for entry in logger.entries()]
    assert logger.verify().ok

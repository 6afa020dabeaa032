"""Keys that sign and verify checkpoints: Ed25519, spelled as the Go checksum database spells them.

A verifying key is ``name+id+base64(type || public key)``, a signing key
``PRIVATE+KEY+name+id+base64(type || seed)``; the id is the start of
``SHA-256(name || newline || type || public key)``.

Source: c2sp.org/signed-note@v1.0.0 and golang.org/x/mod/sumdb/note.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterable
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from attrs import frozen

from patterns.audit.merkle import tampered
from patterns.audit.note import Note, Signature, canonical_base64, is_key_name
from patterns.errors import AuditError, misuse
from patterns.kernel.ids import SYSTEM_IDS

__all__ = ["KEY_VARIABLE", "Signer", "SigningKey", "VerifyingKey", "given_keys", "sign", "signer_of", "verified_by"]

KEY_VARIABLE = "PATTERNS_AUDIT_KEY"
"""Environment variable that holds a signing key or the path of its file."""

_ED25519 = b"\x01"
_SEED_SIZE = 32
_PRIVATE = "PRIVATE+KEY+"


@runtime_checkable
class Signer(Protocol):
    """Whoever can sign: a `SigningKey`, or an adapter to an agent, an HSM or a key service."""

    @property
    def vkey(self) -> str:
        """The verifying key, spelled out."""
        raise NotImplementedError

    def sign(self, message: bytes, /) -> bytes:
        """Return the Ed25519 signature of *message*."""
        raise NotImplementedError


@frozen
class VerifyingKey:
    """A public key and the name it signs under.

    Args:
        name: Whose key it is, by custom the origin of the log; no spaces, no plus.
        public: 32 bytes.

    """

    name: str
    public: bytes

    @cached_property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64encode(_ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, vkey: str | VerifyingKey) -> VerifyingKey:
        """Read a verifying key.

        Raises:
            Misuse: It is not one, or not in its canonical spelling, or not of type Ed25519.

        """
        if isinstance(vkey, VerifyingKey):
            return vkey
        spelled = vkey.strip()
        if spelled.upper().startswith("PRIVATE"):
            misuse(
                "this is a signing key, which must stay secret; the verifying key lies beside it",
                wrong="vkeys=[<the contents of audit.key>]",
                right="vkeys=[<the contents of audit.key.pub>]",
            )
        name, _, rest = spelled.partition("+")
        encoded = canonical_base64(rest.partition("+")[2]) or b""
        key = cls(name, encoded[1:])
        if not is_key_name(name) or encoded[:1] != _ED25519 or len(key.public) != _SEED_SIZE or str(key) != spelled:
            misuse(
                f"{vkey!r} is no Ed25519 verifying key",
                wrong=f"vkeys=[{vkey!r}]",
                right='vkeys=["example.org/log+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"]',
            )
        return key

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Tell whether *signature* is this key's signature of *message*."""
        ed25519, invalid = _ed25519()
        try:
            ed25519.Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (invalid, ValueError):
            return False
        return True


class SigningKey:
    """A private Ed25519 key; keep it where the agent and its tools cannot write, never beside the log.

    Args:
        name: What it signs as; by custom the origin of the log, such as ``example.org/audit/payments``.
        seed: 32 secret bytes.

    """

    def __init__(self, name: str, seed: bytes) -> None:
        if not is_key_name(name):
            misuse(f"{name!r} cannot name a key", wrong=f"SigningKey({name!r}, seed)", right='"example.org/audit"')
        if not isinstance(seed, bytes) or len(seed) != _SEED_SIZE:
            misuse("a seed has 32 bytes", wrong="key=b'secret'", right="key=SigningKey.generate('example.org/audit')")
        self.name = name
        self._seed = seed
        self._key = _ed25519()[0].Ed25519PrivateKey.from_private_bytes(seed)
        self.verifying_key = VerifyingKey(name, self._key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"<SigningKey {self.vkey}>"

    @property
    def vkey(self) -> str:
        """The verifying key, spelled out; give it to everyone who is to check the log."""
        return str(self.verifying_key)

    def sign(self, message: bytes, /) -> bytes:
        """Return the signature of *message*."""
        signature: bytes = self._key.sign(message)
        return signature

    @classmethod
    def generate(cls, name: str | None = None) -> SigningKey:
        """Return a new key.

        Args:
            name: What it signs as; a unique name is made up if missing.

        """
        private = _ed25519()[0].Ed25519PrivateKey.generate()
        return cls(name or f"agent-audit/{SYSTEM_IDS.new()}", private.private_bytes_raw())

    @classmethod
    def parse(cls, spelled: str) -> SigningKey:
        """Read a private key.

        Raises:
            Misuse: It is not one; the text is never shown.

        """
        name, key_id, encoded = [*spelled.strip().removeprefix(_PRIVATE).split("+", 2), "", ""][:3]
        secret = canonical_base64(encoded) or b""
        if is_key_name(name) and secret[:1] == _ED25519 and len(secret) == 1 + _SEED_SIZE:
            key = cls(name, secret[1:])
            if key.verifying_key.key_id.hex() == key_id and key.spelled() == spelled.strip():
                return key
        misuse("that is no Ed25519 signing key", wrong="key='...'", right="key='PRIVATE+KEY+name+id+base64'")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SigningKey:
        """Read a key file.

        Raises:
            AuditError: It cannot be read.

        """
        try:
            return cls.parse(Path(path).read_text())
        except OSError as error:
            raise AuditError(f"the signing key cannot be read: {error}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the key to a new file only its owner may read, and the verifying key beside it with ``.pub`` added.

        Raises:
            AuditError: The file exists or cannot be written.

        """
        try:
            _write_new(Path(path), self.spelled() + "\n", mode=0o600)
            _write_new(Path(f"{os.fspath(path)}.pub"), self.vkey + "\n", mode=0o644)
        except OSError as error:
            raise AuditError(f"the signing key cannot be written: {error}") from error

    def spelled(self) -> str:
        """Return the private key as text: a secret."""
        encoded = b64encode(_ED25519 + self._seed).decode()
        return f"{_PRIVATE}{self.name}+{self.verifying_key.key_id.hex()}+{encoded}"


Key = str | bytes | os.PathLike[str] | Signer
"""A key as users give it: a signer, a private key's text, 32 secret bytes, or a path (made if nothing is there)."""


def given_keys(key: Key | Iterable[Key] | None) -> tuple[Key, ...]:
    """Return the keys in *key*, one or several; None takes the environment variable `KEY_VARIABLE` if it is set."""
    if key is None:
        key = os.environ.get(KEY_VARIABLE)
    if key is None:
        return ()
    if isinstance(key, (str, bytes, os.PathLike)) or not isinstance(key, Iterable):
        return (key,)
    return tuple(key)


def signer_of(key: Key, *, origin: str | None = None) -> Signer:
    """Return who signs with *key*.

    Args:
        key: As users give it.
        origin: Names a bare seed or a key made here.

    Raises:
        Misuse: It is no key.
        AuditError: Its file cannot be read or made.

    """
    if isinstance(key, bytes):
        if origin is None:
            misuse("a bare seed has no name", wrong="key=seed", right='key=seed, origin="example.org/audit"')
        return SigningKey(origin, key)
    if isinstance(key, str) and key.startswith(_PRIVATE):
        return SigningKey.parse(key)
    if isinstance(key, (str, os.PathLike)):
        if not Path(key).exists():
            SigningKey.generate(origin).save(key)
        return SigningKey.load(key)
    if not isinstance(key, Signer):
        misuse(f"{key!r} is no key", wrong=f"key={key!r}", right='key="audit.key"')
    return key


def sign(text: str, signers: Iterable[tuple[VerifyingKey, Signer]]) -> str:
    """Return the note of *text* signed by everyone of *signers*, or *text* if there is nobody.

    Raises:
        AuditError: Somebody cannot sign.

    """
    message = text.encode()
    try:
        lines = [str(Signature(key.name, key.key_id, signer.sign(message))) for key, signer in signers]
    except Exception as error:
        raise AuditError(f"the checkpoint cannot be signed: {error!r}") from error
    return "\n".join((text, "".join(lines))) if lines else text


def verified_by(note: Note, keys: Iterable[VerifyingKey]) -> tuple[VerifyingKey, ...]:
    """Return those of *keys* that signed *note*; signatures of other keys are passed over.

    Raises:
        LogTampered: A signature that claims to be by one of *keys* is not.

    """
    known = {(key.name, key.key_id): key for key in keys}
    message = note.text.encode()
    good: dict[VerifyingKey, None] = {}
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is None:
            continue
        if not key.verifies(message, signature.value):
            tampered(f"the signature of {key.name} is not genuine")
        good[key] = None
    return tuple(good)


def _write_new(path: Path, text: str, *, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def _ed25519() -> tuple[Any, type[Exception]]:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise AuditError(
            "signatures need the package cryptography: pip install 'agent-safety-patterns[audit]'"
        ) from error
    return ed25519, InvalidSignature

"""Notes and checkpoints have one spelling; nothing else is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patterns.audit.checkpoint import Checkpoint
from patterns.audit.keys import SigningKey, VerifyingKey, sign, verified_by
from patterns.audit.merkle import Tree, leaf_hash
from patterns.audit.note import Note
from patterns.errors import LogTampered

if TYPE_CHECKING:
    from pathlib import Path

TESSERA = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
KEY = SigningKey("example.org/log", bytes(32))
TEXT = Checkpoint("example.org/log", 5, leaf_hash(b"x")).text
NOTE = sign(TEXT, [(KEY.verifying_key, KEY)])


def test_the_collected_notes_verify_and_are_written_alike(shared: Path):
    """Notes of the Go checksum database, C2SP, sigsum and a witness verify; with their keys we write the same bytes."""
    for one in json.loads((shared / "vectors/notes/notes.json").read_text())["notes"]:
        note, key = Note.parse(one["note"]), VerifyingKey.parse(one["vkey"])
        assert (key,) == verified_by(note, [key])
        assert one["note"] == str(note)
        if one["skey"]:
            own = SigningKey.parse(one["skey"])
            assert one["vkey"] == own.vkey
            assert one["note"] == sign(note.text, [(own.verifying_key, own)])
        if one["kind"] == "checkpoint":
            assert note.text == Checkpoint.read(one["note"]).text


def test_a_log_of_another_implementation_has_the_roots_we_compute(shared: Path):
    """The sixteen checkpoints of a Tessera log verify, and its entries give their roots."""
    log = shared / "vectors/tessera-log/testdata/log"
    bundle = (log / "tile/entries/000.p/15").read_bytes()
    entries = []
    while bundle:
        end = 2 + int.from_bytes(bundle[:2])
        entries.append(bundle[2:end])
        bundle = bundle[end:]
    for size in range(16):
        note = Note.parse((log / f"checkpoint.{size}").read_bytes())
        assert verified_by(note, [VerifyingKey.parse(TESSERA)])
        tree = Tree().extended([leaf_hash(entry) for entry in entries[:size]])
        assert note.text == Checkpoint.of(tree, "example.com/log/testdata").text
        if size:
            tile = (log / f"tile/0/000.p/{size}").read_bytes()
            assert b"".join(leaf_hash(entry) for entry in entries[:size]) == tile


def test_no_byte_of_a_signed_note_can_be_changed():
    """Every single-byte change, prefix and suffix of a note is no note, or not signed by the key."""
    whole = NOTE.encode()
    changed = [
        whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :] for at in range(len(whole)) for bit in (1, 32, 128)
    ]
    cut = [whole[:at] for at in range(len(whole))] + [whole[at:] for at in range(1, len(whole))]
    for mangled in [*changed, *cut, whole + b"\n", b"\n" + whole, whole + b"x"]:
        try:
            signers = verified_by(Note.parse(mangled), [KEY.verifying_key])
        except LogTampered:
            continue
        assert () == signers, mangled


@pytest.mark.parametrize(
    "spelled",
    [
        "no signature\n",
        "text\n\n",
        "text\n\n— name\n",
        "text\n\n— name AAAAAA==",
        "text\n\n- name AAAAAAE=\n",
        "text\n\n— na+me AAAAAAE=\n",
        "text\n\n— na\u00a0me AAAAAAE=\n",
        "text\n\n—  AAAAAAE=\n",
        "text\n\n— name AAAAAA==\n",  # four bytes: a key id and no signature
        "text\n\n— name AAAAAAF=\n",  # bits that say nothing are not zero
        "text\n\n— name AAAAAAE\n",
        "text\n\n— name AAAA AAE=\n",
        "text\n\n— name AAAAAAE=\r\n",
        "te\0xt\n\n— name AAAAAAE=\n",
        "te\txt\n\n— name AAAAAAE=\n",
        b"te\xffxt\n\n\xe2\x80\x94 name AAAAAAE=\n",
        "text\n\n" + "— name AAAAAAE=\n" * 101,
        "x" * 1_000_001,
    ],
)
def test_what_is_no_note_is_refused(spelled: str | bytes):
    """Each rule of c2sp.org/signed-note on its own."""
    with pytest.raises(LogTampered):
        Note.parse(spelled)


def test_a_text_may_have_empty_lines():
    """The signatures begin behind the last empty line."""
    note = Note.parse("one\n\ntwo\n\n— name AAAAAAE=\n")
    assert "one\n\ntwo\n" == note.text
    assert ["name"] == [signature.name for signature in note.signatures]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o\n1\n",
        "o\n1\n2222\n",
        "\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "o\n01\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "o\n+1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "o\n-1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "o\n 1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "o\n1_0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "o\n\u0661\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "o\n" + "9" * 20 + "\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "o\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n",
        "o\n1\n47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "o\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU\n",
        "o\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuA==\n",
        "o\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n",
        "o\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str):
    """Each rule of c2sp.org/tlog-checkpoint on its own, non-canonical spellings above all."""
    with pytest.raises(LogTampered):
        Checkpoint.parse(text)


@given(
    size=st.integers(0, 2**63 - 1),
    root=st.binary(min_size=32, max_size=32),
    origin=st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1),
    extensions=st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1), max_size=2),
)
def test_a_checkpoint_is_read_as_it_was_written(size: int, root: bytes, origin: str, extensions: list[str]):
    """Writing and reading are inverse, for all origins and extension lines."""
    checkpoint = Checkpoint(origin, size, root, tuple(extensions))
    assert checkpoint == Checkpoint.parse(checkpoint.text)
    assert checkpoint == Checkpoint.read(sign(checkpoint.text, [(KEY.verifying_key, KEY)]))


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_garbage_is_refused_and_never_crashes(garbage: bytes | str):
    """The parsers of outside input raise one error, whatever they are given."""
    for read in (Note.parse, Checkpoint.read):
        with pytest.raises(LogTampered):
            read(garbage)

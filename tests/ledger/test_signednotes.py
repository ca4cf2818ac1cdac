"""Signed notes: against the reference implementation's notes, against OpenSSL, and byte by byte."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoint_errors import BadKey, BadNote, UntrustedNote
from ledger.signednotes import (
    Note,
    PublicKey,
    SigningKey,
    encode_note,
    find_signer,
    is_key_name,
    parse_note,
    parse_public_key,
)

# The example in the documentation of golang.org/x/mod/sumdb/note.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()

# Notes that golang.org/x/mod/sumdb/note signed with two keys whose seeds are the bytes 0 to 31 and 32 to 63.
CHECKPOINT = (
    b"ledger/1 chain 030ca83d95bd312a434a430d13978fdabee780466ba7437d223718fcb4d36efe\n5\n"
    b"P7MAasYCNqfkpH5e/F/F3zTlQU/Xd4p6pyG01BrGDik=\n"
)
PROSE = "a line\n\nand — ünïcode + after an empty one\n".encode()
AUDIT, SECOND = "example.com/audit", "example.com/second"
SIGNED_BY_GO = {
    (
        AUDIT,
        CHECKPOINT,
    ): "Kbh7/KDtfR0GYOzEFYo7FBwzB5/lzuSZBx0vKKgyyCaNxeiV0WofEZXxAu2u44FJr/eIl8APzIa+JHU6pGTJq8e/Cgg=",
    (
        SECOND,
        CHECKPOINT,
    ): "00vjJc3r0UAioF1oEGEOa/ztL+tdjeCHzfqd8+OUP+0uAwMZhJTXu5lwgwsQnYfy9w+NuVayYG/wDR3576m6r42kQQ4=",
    (
        AUDIT,
        PROSE,
    ): "Kbh7/Pd3KLMV6ASwrvYrytfS/tVRST1xa/rQJxzVuRW/B/0vKiQu+OkGNtIjNpREnSdB1jwOMdzwWqDTsjKQhr9LXgE=",
    (
        SECOND,
        PROSE,
    ): "00vjJVN8DsB0ufyO54vtFaC1bY2co0VrAGisJRDysAXTrBa1Q5qNi5MIrnzfeugfBNfjrKqXojKSROT/EtyYkPVAIQ4=",
}
KEYS = {
    name: SigningKey(name, Ed25519PrivateKey.from_private_bytes(bytes(range(first, first + 32))))
    for name, first in ((AUDIT, 0), (SECOND, 32))
}


def by_go(text: bytes, *names: str) -> bytes:
    return text + "".join(["\n", *(f"— {name} {SIGNED_BY_GO[name, text]}\n" for name in names)]).encode()


@pytest.mark.parametrize(("name", "text"), SIGNED_BY_GO)
def test_notes_are_the_bytes_that_the_reference_signs(name: str, text: bytes) -> None:
    """The same key and text give, byte for byte, the note that Go's implementation gives."""
    assert encode_note(KEYS[name].sign(text)) == by_go(text, name)
    assert find_signer(parse_note(by_go(text, name)), [KEYS[name].public]) == KEYS[name].public


def test_the_references_example_is_accepted() -> None:
    """The key and the note in Go's documentation: key id, text and signature are read as it reads them."""
    key = parse_public_key(GO_KEY)
    assert key.text == GO_KEY
    note = parse_note(GO_NOTE)
    assert note.text.endswith(b"your problem is.\n")
    assert find_signer(note, [key]).name == "PeterNeumann"
    assert encode_note(note) == GO_NOTE


def test_one_known_signature_of_several_is_enough() -> None:
    """Signatures of unknown keys are ignored, whatever their bytes; a known key's must be its own."""
    both = parse_note(by_go(CHECKPOINT, AUDIT, SECOND))
    first, second = both.signatures
    assert [each.name for each in both.signatures] == [AUDIT, SECOND]
    audit, other = KEYS[AUDIT].public, KEYS[SECOND].public
    assert find_signer(both, [other]) == other
    assert find_signer(both, [other, audit]) == audit
    garbage = Note(both.text, (type(first)(first.name, b"\0\0\0\0", b"x" * 64), second))
    assert find_signer(garbage, [audit, other]) == other
    forged = Note(both.text, (type(first)(first.name, first.key_id, b"x" * 64), second))
    with pytest.raises(UntrustedNote, match=f"the signature of {AUDIT} is not of this text"):
        find_signer(forged, [audit, other])


def test_a_stranger_is_no_signer() -> None:
    """It is said who signed, and who was asked for."""
    note = parse_note(by_go(CHECKPOINT, SECOND))
    with pytest.raises(
        UntrustedNote, match=r"^signed by example\.com/second\+d34be325, not by example\.com/audit\+29b"
    ):
        find_signer(note, [KEYS[AUDIT].public])
    with pytest.raises(UntrustedNote, match=r"^signed by nobody, "):
        find_signer(Note(CHECKPOINT), [KEYS[AUDIT].public])


def test_no_changed_byte_is_accepted() -> None:
    """Each byte of a signed note, changed in turn: it is no note, or nobody signed it."""
    note = by_go(CHECKPOINT, AUDIT)
    for index in range(len(note)):
        for change in (1, 0x20, 0x80):
            damaged = bytearray(note)
            damaged[index] ^= change
            with pytest.raises((BadNote, UntrustedNote)):
                find_signer(parse_note(bytes(damaged)), [KEYS[AUDIT].public])


NAMES = st.text(min_size=1, max_size=30).filter(is_key_name)
TEXTS = st.text(st.characters(min_codepoint=32, codec="utf-8") | st.just("\n"), max_size=200)


@given(TEXTS, st.lists(NAMES, min_size=1, max_size=3, unique=True))
def test_what_is_signed_is_read_back(text: str, names: list[str]) -> None:
    """Any text and any names: the same text, the same signatures, and each key finds its own."""
    keys = [SigningKey(name, Ed25519PrivateKey.generate()) for name in names]
    stored = f"{text}\n".encode()
    note = Note(stored, tuple(each for key in keys for each in key.sign(stored).signatures))
    read = parse_note(encode_note(note))
    assert read == note
    assert [find_signer(read, [key.public]).name for key in keys] == names
    assert [parse_public_key(key.public.text) for key in keys] == [key.public for key in keys]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"text\n\nno signature\n", "not a signature line"),
        (b"text\n\n", "no signature follows"),
        ("text\n\n— name\n".encode(), "not a signature line"),
        ("text\n\n— name AAAA\n".encode(), "not a signature line"),
        ("text\n\n— na+me AAAAAAAA\n".encode(), "not a signature line"),
        ("text\n\n—  AAAAAAAA\n".encode(), "not a signature line"),
        ("text\n\n— na\u00a0me AAAAAAAA\n".encode(), "not a signature line"),
        ("text\n\n— name AAAAAAB=\n".encode(), "not a signature line"),
        ("text\n\n— name AAAAAAAA".encode(), "its last line does not end"),
        (b"text\r\n", "a control character"),
        (b"te\0xt\n", "a control character"),
        (b"\xff\n", "not UTF-8"),
        (b"text\n\n" + "— name AAAAAAAA\n".encode() * 101, "more than 100 signatures"),
    ],
)
def test_what_is_no_note(data: bytes, reason: str) -> None:
    """What the specification forbids is refused, with the reason."""
    with pytest.raises(BadNote, match=reason):
        parse_note(data)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a public key"),
        ("name", "not a public key"),
        (GO_KEY.replace("c74f20a3", "c74f20a4"), "its key id is c74f20a3"),
        (GO_KEY.replace("ARpc", "AhpC"), "not an Ed25519 key"),
        (GO_KEY[:-4], "not an Ed25519 key|not a public key"),
        (GO_KEY.replace("PeterNeumann", ""), "a key's name"),
        (GO_KEY.replace("PeterNeumann", "Peter Neumann"), "a key's name"),
    ],
)
def test_what_is_no_public_key(text: str, reason: str) -> None:
    """A text that was cut, mistyped or is of another kind of key is refused, with the reason."""
    with pytest.raises(BadKey, match=reason):
        parse_public_key(text)


@pytest.mark.needs("openssl")
def test_openssl_verifies_the_raw_signature(tmp_path: Path) -> None:
    """The 64 bytes behind the key id are an Ed25519 signature of the text, and of no other."""
    note = KEYS[AUDIT].sign(CHECKPOINT)
    public = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()
    (tmp_path / "pub.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "signature").write_bytes(note.signatures[0].data)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "pub.pem", "-rawin", "-in", "text"]
    outcomes: list[int] = []
    for text in (CHECKPOINT, CHECKPOINT.replace(b"\n5\n", b"\n6\n")):
        (tmp_path / "text").write_bytes(text)
        done = subprocess.run(
            [*command, "-sigfile", "signature"], cwd=tmp_path, capture_output=True, check=False
        )
        outcomes.append(done.returncode)
    assert outcomes == [0, 1]


def test_the_key_id_covers_the_name() -> None:
    """One key under two names has two ids: a signature under the one is no signature under the other."""
    raw = KEYS[AUDIT].public.raw
    assert PublicKey("a", raw).key_id != PublicKey("b", raw).key_id
    with pytest.raises(UntrustedNote):
        find_signer(KEYS[AUDIT].sign(PROSE), [PublicKey("example.com/other", raw)])

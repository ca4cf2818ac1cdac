"""Key files: what OpenSSL makes and reads, for the owner alone, and never overwritten."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ledger.checkpoint_errors import BadKey, KeyExists
from ledger.keys import read_public_key, read_signing_key, write_signing_key
from ledger.signednotes import find_signer


def openssl(*words: str | Path) -> bytes:
    return subprocess.run(["openssl", *map(str, words)], capture_output=True, check=True).stdout


def test_a_new_key_is_its_owners_alone(tmp_path: Path) -> None:
    """The private file is readable by nobody else, and what it signs the public one accepts."""
    file = tmp_path / "audit.pem"
    public = write_signing_key(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert public == read_public_key(tmp_path / "audit.pem.pub") == read_public_key(public.text)
    note = read_signing_key(file).sign(b"text\n")
    assert find_signer(note, [public]).name == "audit"


@pytest.mark.parametrize("name", ["audit.pem", "audit.pem.pub"])
def test_a_key_is_never_overwritten(tmp_path: Path, name: str) -> None:
    """Where one of the two files exists, neither is touched, and no half of a pair is left."""
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(KeyExists, match=name):
        write_signing_key(tmp_path / "audit.pem")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir() if path.is_file()] == [
        (name, b"mine")
    ]


def test_the_name_is_the_public_files(tmp_path: Path) -> None:
    """A private file has no name in it: the public one's is taken, else what is said, else the file's."""
    file = tmp_path / "audit.pem"
    write_signing_key(file, "example.com/audit")
    assert read_signing_key(file).public.name == "example.com/audit"
    assert read_signing_key(file, "other").public.name == "other"
    (tmp_path / "audit.pem.pub").unlink()
    assert read_signing_key(file).public.name == "audit"
    with pytest.raises(BadKey, match="a key's name"):
        write_signing_key(tmp_path / "b.pem", "two words")
    assert not (tmp_path / "b.pem").exists()


def test_another_keys_public_file_is_refused(tmp_path: Path) -> None:
    """Else what is signed could be verified by nobody who was given that file."""
    write_signing_key(tmp_path / "a.pem")
    write_signing_key(tmp_path / "b.pem")
    (tmp_path / "b.pem.pub").rename(tmp_path / "a.pem.pub")
    with pytest.raises(BadKey, match="it is not the public key of"):
        read_signing_key(tmp_path / "a.pem")


@pytest.mark.needs("openssl")
def test_openssls_keys_work_both_ways(tmp_path: Path) -> None:
    """A key that OpenSSL made signs, and OpenSSL reads the key that was made here."""
    file = tmp_path / "theirs.pem"
    openssl("genpkey", "-algorithm", "ed25519", "-out", file)
    key = read_signing_key(file)
    assert key.public.name == "theirs"
    assert openssl("pkey", "-in", file, "-pubout", "-outform", "DER").endswith(key.public.raw)
    ours = write_signing_key(tmp_path / "ours.pem")
    assert openssl("pkey", "-in", tmp_path / "ours.pem", "-pubout", "-outform", "DER").endswith(ours.raw)


@pytest.mark.needs("openssl")
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("-algorithm", "ed25519", "-aes256", "-pass", "pass:x"), "it is encrypted"),
        (("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"), "not an Ed25519 key"),
        (("-algorithm", "ed448"), "not an Ed25519 key"),
    ],
)
def test_other_keys_are_refused_by_what_they_are(tmp_path: Path, words: tuple[str, ...], reason: str) -> None:
    """An encrypted key, and one of another kind, is named as such."""
    openssl("genpkey", *words, "-out", tmp_path / "key.pem")
    with pytest.raises(BadKey, match=reason):
        read_signing_key(tmp_path / "key.pem")


def test_what_is_no_key_file(tmp_path: Path) -> None:
    """Text, bytes and the wrong half of the pair are refused with the file's name; a missing file is the system's error."""
    file = tmp_path / "key.pem"
    write_signing_key(file)
    with pytest.raises(BadKey, match=r"key\.pem\.pub: not a private key in PEM"):
        read_signing_key(tmp_path / "key.pem.pub")
    with pytest.raises(BadKey, match=r"key\.pem: not a public key"):
        read_public_key(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(BadKey, match=r"key\.pem: not a public key"):
        read_public_key(str(file))
    with pytest.raises(BadKey, match=r"not a private key in PEM"):
        read_signing_key(file)
    with pytest.raises(FileNotFoundError):
        read_public_key(str(tmp_path / "nowhere"))

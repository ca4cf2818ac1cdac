"""Key files: a private key as PKCS#8 PEM, as OpenSSL writes it, and the public one as text beside it.

The private file knows no name, so the name stands in the public one, ``FILE.pub``.
"""

from __future__ import annotations

import os
from pathlib import Path

from ledger.checkpoint_errors import BadKey, KeyExists
from ledger.signednotes import PublicKey, SigningKey, parse_public_key
from ledger.store.disk import sync_data, write_all

_MOST_BYTES = 1 << 16


def write_signing_key(path: Path, name: str = "") -> PublicKey:
    """Make a key: the private one in ``path``, readable by its owner alone, the public one beside it.

    Args:
        path: Where. Its directory must exist.
        name: Whom signatures name; by default the file's name without its suffix.

    Raises:
        KeyExists: One of the two files exists. Nothing was written.
        BadKey: The name is none. Nothing was written.
        OSError: The disk is full or failing. No private key is left.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private = Ed25519PrivateKey.generate()
    key = SigningKey(name or path.stem, private)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = _public_path(path)
    _write_new(public, f"{key.public.text}\n".encode(), 0o644)
    try:
        _write_new(path, pem, 0o600)
    except (KeyExists, OSError):
        public.unlink()
        raise
    return key.public


def read_signing_key(path: Path, name: str = "") -> SigningKey:
    """Return the private key in a PEM file.

    Args:
        path: A file as this module writes it, or ``openssl genpkey -algorithm ed25519``.
        name: Whom its signatures name; by default what ``FILE.pub`` says, else the file's name.

    Raises:
        BadKey: It is no such file, or ``FILE.pub`` is another key's.
        OSError: It cannot be read.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(_read_small(path), None)
    except TypeError as error:
        raise BadKey(
            str(path), "it is encrypted; keep an unencrypted copy where only you can read it"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadKey(str(path), "not a private key in PEM") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise BadKey(str(path), "not an Ed25519 key")
    beside = _public_path(path)
    said = read_public_key(beside) if beside.exists() else None
    key = SigningKey(name or (path.stem if said is None else said.name), private)
    if said is not None and said.raw != key.public.raw:
        raise BadKey(str(beside), f"it is not the public key of {path}")
    return key


def read_public_key(source: str | Path) -> PublicKey:
    """Return the public key that a text is, or a file holds.

    Raises:
        BadKey: It is none.
        OSError: The file cannot be read.
    """
    if isinstance(source, str) and "+" in source and not Path(source).exists():
        return parse_public_key(source)
    path = Path(source)
    try:
        return parse_public_key(_read_small(path).decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadKey(str(path), "not a public key") from error
    except BadKey as error:
        raise BadKey(str(path), error.reason) from error


def _public_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.pub")


def _read_small(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that must not exist, synced; a failure leaves none."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError as error:
        raise KeyExists(path) from error
    try:
        write_all(fd, data)
        sync_data(fd)
    except OSError:
        path.unlink()
        raise
    finally:
        os.close(fd)

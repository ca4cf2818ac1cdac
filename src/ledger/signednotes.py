"""Signed notes: text signed with Ed25519, in the form that transparency logs use.

A note is a text that ends in a line feed, an empty line, and one line for each signature:
``— <key's name> <base64 of key id and signature>``. Nothing here reads or writes a file.

See: c2sp.org/signed-note v1.0.0, "Format", "Signatures" and "Ed25519 signatures".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING

from msgspec import Struct

from ledger.checkpoint_errors import BadKey, BadNote, UntrustedNote

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_ED25519 = b"\x01"
_KEY_ID_SIZE_BYTES = 4
_SIGNATURE_LINE = re.compile(r"— ([^ ]+) ([A-Za-z0-9+/]+={0,2})")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_MOST_SIGNATURES = 100


class Signature(Struct, frozen=True):
    """One signature line: whose it claims to be, and its bytes."""

    name: str
    key_id: bytes
    data: bytes


class Note(Struct, frozen=True):
    """A text, its final line feed included, and its signatures, none of them checked yet."""

    text: bytes
    signatures: tuple[Signature, ...] = ()


class PublicKey(Struct, frozen=True):
    """A verifier's key: its name and the 32 bytes of RFC 8032."""

    name: str
    raw: bytes

    @property
    def key_id(self) -> bytes:
        """What a signature line names the key by, beside its name."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.raw).digest()[:_KEY_ID_SIZE_BYTES]

    @property
    def text(self) -> str:
        """The key as text: name, key id and bytes, joined with ``+``."""
        return f"{self.name}+{self.key_id.hex()}+{_encode(_ED25519 + self.raw)}"

    def accepts(self, signature: bytes, text: bytes) -> bool:
        """Return whether this key made the signature of ``text``."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, text)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """A private key and the name that it signs under.

    Raises:
        BadKey: The name is none.
    """

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = PublicKey(_checked_name(name, name), private.public_key().public_bytes_raw())

    def sign(self, text: bytes) -> Note:
        """Return ``text`` as a note with this key's signature; the same text gives the same note."""
        public = self.public
        return Note(text, (Signature(public.name, public.key_id, self._private.sign(text)),))


def encode_note(note: Note) -> bytes:
    """Return a note's bytes; without a signature that is its text alone."""
    lines = [f"— {each.name} {_encode(each.key_id + each.data)}\n" for each in note.signatures]
    return note.text + ("\n" + "".join(lines)).encode() if lines else note.text


def parse_note(data: bytes) -> Note:
    """Return the note that ``data`` holds, no signature checked; text without an empty line has none.

    Raises:
        BadNote: It is not UTF-8, has control characters, or what follows the last empty line is no signature.
    """
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadNote("it is not UTF-8") from error
    if _CONTROL.search(whole):
        raise BadNote("it holds a control character, for example a carriage return")
    if not whole.endswith("\n"):
        raise BadNote("its last line does not end")
    text, separator, lines = whole.rpartition("\n\n")
    if not separator:
        return Note(data)
    if not lines:
        raise BadNote("no signature follows its last empty line")
    if lines.count("\n") > _MOST_SIGNATURES:
        raise BadNote(f"more than {_MOST_SIGNATURES} signatures")
    return Note(f"{text}\n".encode(), tuple(_signature(line) for line in lines.split("\n")[:-1]))


def _signature(line: str) -> Signature:
    match = _SIGNATURE_LINE.fullmatch(line)
    data = None if match is None else _decode(match[2])
    if match is None or data is None or len(data) <= _KEY_ID_SIZE_BYTES or not is_key_name(match[1]):
        raise BadNote(f"not a signature line: {line[:60]!r}")
    return Signature(match[1], data[:_KEY_ID_SIZE_BYTES], data[_KEY_ID_SIZE_BYTES:])


def find_signer(note: Note, keys: Iterable[PublicKey]) -> PublicKey:
    """Return the first of ``keys`` that signed the note. Signatures of other keys do not count.

    Raises:
        UntrustedNote: None of them did, or a signature that names one of them is not its.
    """
    known = {(key.name, key.key_id): key for key in keys}
    signer: PublicKey | None = None
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is None:
            continue
        if not key.accepts(signature.data, note.text):
            raise UntrustedNote(f"the signature of {key.name} is not of this text")
        signer = signer or key
    if signer is None:
        signed = ", ".join(f"{each.name}+{each.key_id.hex()}" for each in note.signatures)
        asked = ", ".join(f"{name}+{key_id.hex()}" for name, key_id in known)
        raise UntrustedNote(f"signed by {signed or 'nobody'}, not by {asked}")
    return signer


def parse_public_key(text: str) -> PublicKey:
    """Return the key that a verifier's text names, ``<name>+<key id>+<base64>``.

    Raises:
        BadKey: It is no such text, of another kind than Ed25519, or its key id is not its own.
    """
    name, _, rest = text.strip().partition("+")
    digits, _, encoded = rest.partition("+")
    data = _decode(encoded)
    if data is None or not re.fullmatch("[0-9a-f]{8}", digits):
        raise BadKey(text[:60], "not a public key: `<name>+<8 hexadecimal digits>+<base64>`")
    if data[:1] != _ED25519 or len(data) != 1 + 32:
        raise BadKey(text[:60], "not an Ed25519 key")
    key = PublicKey(_checked_name(name, text[:60]), data[1:])
    if key.key_id.hex() != digits:
        raise BadKey(text[:60], f"its key id is {key.key_id.hex()}: a character was changed")
    return key


def is_key_name(name: str) -> bool:
    """Return whether a key can be called so: not empty, no white space, no ``+``."""
    return bool(name) and "+" not in name and name.isprintable() and not re.search(r"\s", name)


def _checked_name(name: str, place: str) -> str:
    if not is_key_name(name):
        raise BadKey(place, "a key's name is not empty, and has no white space and no `+`")
    return name


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode(text: str) -> bytes | None:
    """Return what base64 text holds, None where it is not the one way to write it."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if data and _encode(data) == text else None

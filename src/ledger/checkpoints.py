"""Checkpoints: how long a ledger was and what its last hash was then, as the text of a signed note.

Three lines: ``ledger/1 chain <hash of the ledger's first frame>``, the number of events, and the base64 of
the last frame's hash. The first line has white space, so it can be no key's name and no origin of a
transparency log: nobody takes the third one for the root of a Merkle tree.

See: ``docs/format.md``, "Checkpoints"; c2sp.org/tlog-checkpoint, "Note text".
"""

from __future__ import annotations

import base64
import binascii
import re

from msgspec import Struct

from ledger.checkpoint_errors import BadNote
from ledger.signednotes import Note, parse_note

_ORIGIN = "ledger/1 chain "
_FIRST_LINE = re.compile(_ORIGIN + "([0-9a-f]{64})")
_SIZE = re.compile("[1-9][0-9]{0,19}")
_NEXT_NOTE = re.compile(b"^(?=%b)" % re.escape(_ORIGIN.encode()), re.MULTILINE)


class Checkpoint(Struct, frozen=True):
    """What a ledger was at one moment.

    ``ledger`` is the hash of its first frame, ``size`` how many events it had, and ``head`` the hash of
    the frame at that position, which covers every frame before it.
    """

    ledger: str
    size: int
    head: str


class SignedCheckpoint(Struct, frozen=True):
    """A checkpoint and the note whose text it is."""

    checkpoint: Checkpoint
    note: Note


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """Return a checkpoint as the text of a note."""
    head = base64.b64encode(bytes.fromhex(checkpoint.head)).decode("ascii")
    return f"{_ORIGIN}{checkpoint.ledger}\n{checkpoint.size}\n{head}\n".encode("ascii")


def parse_checkpoint(text: bytes) -> Checkpoint:
    """Return the checkpoint that a note's text is. Lines past the third are extensions, and ignored.

    Raises:
        BadNote: It is none.
    """
    lines = text.decode("utf-8").split("\n")[:-1]
    origin = _FIRST_LINE.fullmatch(lines[0]) if lines else None
    if origin is None:
        raise BadNote(f"its first line is not `{_ORIGIN}…`")
    if len(lines) < 3 or not all(lines):
        raise BadNote("it has an empty line, or fewer than three")
    if not _SIZE.fullmatch(lines[1]):
        raise BadNote("its second line is not a number of events")
    return Checkpoint(origin[1], int(lines[1]), _hash(lines[2]))


def parse_checkpoints(data: bytes) -> tuple[SignedCheckpoint, ...]:
    """Return every checkpoint that a file, a Git note or a tag's message holds, one after the other.

    Empty lines after a note belong to nothing, so notes may be joined as ``git notes append`` does.

    Raises:
        BadNote: There is none, or something that is none.
    """
    parts = [part for part in _NEXT_NOTE.split(data) if part.strip()]
    if not parts:
        raise BadNote("it is empty")
    notes = [parse_note(part.rstrip(b"\n") + b"\n") for part in parts]
    return tuple(SignedCheckpoint(parse_checkpoint(note.text), note) for note in notes)


def _hash(line: str) -> str:
    try:
        digest = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 32 or base64.b64encode(digest).decode("ascii") != line:
        raise BadNote("its third line is not the base64 of a hash")
    return digest.hex()

"""Frames: the lines of the log, their hash chain, and the one parser that all readers use.

A frame is one line of JSON, ``{"h":"…","p":"…","s":42,"n":0,"w":40,"e":{…}}``. ``h`` is the
SHA-256 of ``ledger/1`` and a line feed, then every byte of the line after the comma that ends
``h``, its line feed left out. Stored bytes are hashed and compared as they are; nothing is
decoded and encoded again.

See: ``docs/format.md``, "Frames".
"""

from __future__ import annotations

from hashlib import sha256

import msgspec
from msgspec import Raw, Struct

from ledger.events import AnyEvent, parse_event

DOMAIN = b"ledger/1\n"
GENESIS = "0" * 64
"""``p`` of the first frame."""

_HEAD = b'{"h":"'
_BODY_AT = len(_HEAD) + 64 + 2


class BadFrame(Exception):
    """A line is not the frame that should stand there; whether that is damage the caller decides."""


class Frame(Struct, frozen=True, gc=False):
    """One frame: its hash, the hash before, position, frames left in its group, known durable, event."""

    h: str
    p: str
    s: int
    n: int
    w: int
    e: Raw

    @property
    def event(self) -> AnyEvent:
        """The event, decoded on every call.

        Raises:
            msgspec.DecodeError: The frame's ``e`` is no event.
        """
        return parse_event(self.e)


_decoder = msgspec.json.Decoder(Frame)


def encode_frame(event: bytes, prev: str, position: int, remaining: int, durable: int) -> tuple[bytes, str]:
    """Return a frame's line, line feed included, and its hash.

    Args:
        event: The event's canonical JSON.
        prev: Hash of the frame at ``position - 1``, `GENESIS` for position 1.
        position: Position in this ledger, from 1.
        remaining: How many frames of the same append still follow.
        durable: Highest position known to be synced when this is written.
    """
    body = b'"p":"%b","s":%d,"n":%d,"w":%d,"e":%b}' % (prev.encode(), position, remaining, durable, event)
    digest = sha256(DOMAIN + body).hexdigest()
    return b'{"h":"%b",%b\n' % (digest.encode(), body), digest


def parse_frame(line: bytes) -> Frame:
    """Return the frame of one line, given without its line feed.

    Raises:
        BadFrame: The hash does not cover the bytes, or they are no frame.
    """
    digest = sha256(DOMAIN)
    digest.update(memoryview(line)[_BODY_AT:])
    if line[:_BODY_AT] != b'{"h":"%b",' % digest.hexdigest().encode():
        raise BadFrame("its hash does not match its bytes")
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError as error:
        raise BadFrame(f"not a frame: {error}") from error


class Cursor(Struct, frozen=True):
    """A place between two frames: the position and hash of the one before."""

    position: int = 0
    hash: str = GENESIS

    def after(self, frame: Frame) -> Cursor:
        """Return the cursor past ``frame``.

        Raises:
            BadFrame: The frame does not follow this cursor.
        """
        if frame.s != self.position + 1:
            raise BadFrame(f"position {frame.s} follows {self.position}")
        if frame.p != self.hash:
            raise BadFrame(f"position {frame.s} does not name the hash of the frame before it")
        return Cursor(frame.s, frame.h)

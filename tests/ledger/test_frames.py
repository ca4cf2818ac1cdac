"""Frames: the bytes of the log, against a reader that is written from the format alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest

from ledger.events import RunStarted, encode_event
from ledger.frames import GENESIS, BadFrame, Cursor, encode_frame, parse_frame

Started = Callable[[str], RunStarted]


def test_the_hash_covers_the_line_after_its_own_comma(started: Started) -> None:
    """What docs/format.md says of `h` holds for the bytes, computed here from that text alone."""
    line, digest = encode_frame(encode_event(started("port")), GENESIS, 1, 0, 0)
    assert line.endswith(b"}\n")
    head, rest = line[:-1].split(b",", 1)
    assert json.loads(head + b"}") == {"h": digest}
    assert hashlib.sha256(b"ledger/1\n" + rest).hexdigest() == digest
    assert list(json.loads(line)) == ["h", "p", "s", "n", "w", "e"]


def test_every_flipped_bit_is_found(started: Started) -> None:
    """One bit flipped anywhere in a frame is never parsed, the case of a hexadecimal digit included."""
    line = encode_frame(encode_event(started("port")), GENESIS, 1, 0, 0)[0][:-1]
    assert parse_frame(line).s == 1
    for at in range(len(line)):
        for bit in range(8):
            damaged = bytearray(line)
            damaged[at] ^= 1 << bit
            with pytest.raises(BadFrame):
                parse_frame(bytes(damaged))


def test_a_truncated_frame_is_never_parsed(started: Started) -> None:
    """No prefix of a frame is a frame."""
    line = encode_frame(encode_event(started("port")), GENESIS, 1, 0, 0)[0][:-1]
    for size in range(len(line)):
        with pytest.raises(BadFrame):
            parse_frame(line[:size])


def test_the_chain_takes_only_the_next_frame(started: Started) -> None:
    """A frame with another position or another predecessor does not follow."""
    event = encode_event(started("port"))
    first = parse_frame(encode_frame(event, GENESIS, 1, 0, 0)[0][:-1])
    second = parse_frame(encode_frame(event, first.h, 2, 0, 1)[0][:-1])
    cursor = Cursor().after(first).after(second)
    assert cursor == Cursor(2, second.h)
    with pytest.raises(BadFrame, match="position 2 follows 0"):
        Cursor().after(second)
    other = parse_frame(encode_frame(event, GENESIS, 2, 0, 1)[0][:-1])
    with pytest.raises(BadFrame, match="does not name the hash"):
        Cursor().after(first).after(other)

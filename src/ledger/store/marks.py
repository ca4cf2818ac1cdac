"""Marks beside the log: how far it is known to be synced, and the cached head of every run.

Both can be lost without harm: a mark that is too low makes a reader sync or scan once more.
"""

from __future__ import annotations

import os
from pathlib import Path
from zlib import crc32

import msgspec
from msgspec import Struct

from ledger.frames import GENESIS, Cursor
from ledger.heads import RunHead
from ledger.store.disk import boot_id, write_cached
from ledger.store.segments import Place

_DURABLE_SIZE_BYTES = 128


def read_durable(path: Path) -> Cursor:
    """Return how far the log is known to be synced; the beginning where the mark says nothing."""
    try:
        line = path.read_bytes()
    except FileNotFoundError:
        return Cursor()
    fields = line.split()
    if len(fields) != 3 or fields[2] != b"%08x" % crc32(b"%b %b" % (fields[0], fields[1])):
        return Cursor()
    return Cursor(int(fields[0]), fields[1].decode("ascii"))


def write_durable(path: Path, cursor: Cursor) -> None:
    """Advance the mark in place, unsynced: one write inside one sector, never lowered knowingly."""
    if read_durable(path).position >= cursor.position:
        return
    text = b"%d %b" % (cursor.position, cursor.hash.encode("ascii"))
    line = (b"%b %08x" % (text, crc32(text))).ljust(_DURABLE_SIZE_BYTES - 1) + b"\n"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        os.pwrite(fd, line, 0)
    finally:
        os.close(fd)


class Heads(Struct):
    """The head of every run, folded up to a place in the log."""

    boot: str = ""
    segment: int = 1
    offset: int = 0
    position: int = 0
    hash: str = GENESIS
    runs: dict[str, RunHead] = {}

    @property
    def place(self) -> Place:
        """The place in the log that the heads were folded up to."""
        return Place(self.segment, self.offset, Cursor(self.position, self.hash))

    @place.setter
    def place(self, place: Place) -> None:
        self.segment, self.offset = place.segment, place.offset
        self.position, self.hash = place.cursor.position, place.cursor.hash


_heads = msgspec.json.Decoder(Heads)


def read_heads(path: Path) -> Heads:
    """Return the cached heads, or heads at the log's beginning where the cache cannot be trusted.

    A cache from before the system last started is not trusted: the log itself may have lost
    bytes that were never synced.
    """
    try:
        checksum, _, data = path.read_bytes().partition(b"\n")
        if checksum == b"%08x" % crc32(data):
            heads = _heads.decode(data)
            if heads.boot == boot_id() != "":
                return heads
    except (FileNotFoundError, msgspec.DecodeError):
        pass
    return Heads(boot=boot_id())


def last_boot(path: Path) -> str:
    """Return the boot in which the log was last appended to, "" where it is not known."""
    try:
        return _heads.decode(path.read_bytes().partition(b"\n")[2]).boot
    except (FileNotFoundError, msgspec.DecodeError):
        return ""


def write_heads(path: Path, heads: Heads) -> None:
    """Publish the heads by rename, unsynced. Called under the append lock."""
    data = msgspec.json.encode(heads)
    write_cached(path, b"%08x\n%b" % (crc32(data), data))

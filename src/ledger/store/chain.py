"""The chains of a log in one pass over its stored bytes: every hash, every position, each run's own chain.

The pass knows one way of writing a frame and the beginning of an event, ours, and only ever says that all
is well. Where it meets anything else it says nothing, and the scan that every reader uses decides.
"""

from __future__ import annotations

import os
import re
from binascii import hexlify
from collections.abc import Callable, Collection, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec
from msgspec import Struct

from ledger.events import NO_DIGEST
from ledger.frames import DOMAIN, GENESIS, Cursor
from ledger.store.disk import Descriptor
from ledger.store.sealed import Sealed

_BODY_AT = 72
_CHUNK_SIZE_BYTES = 128 << 10
_EVENT_DOMAIN = b"ledger-event/1\n"
_FRAME = re.compile(
    rb'\{"h":"(.{64})","p":"(.{64})","s":([1-9][0-9]*),"n":(0|[1-9][0-9]*),"w":(?:0|[1-9][0-9]*),"e":'
    rb'(?=\{"kind":"([^"\\]*)","id":"[0-9a-f-]{36}","run":"([a-z0-9.-]+)","v":([1-9][0-9]*),"prev":"(.{64})",)',
    re.DOTALL,
)

Chunks: TypeAlias = Callable[[], Iterator[bytes]]
"""Gives the lines of a segment, as often as it is asked: many at a time, each with its line feed."""


class Kept(NamedTuple):
    """An event that a pass keeps: its position and its stored bytes."""

    position: int
    data: bytes


class _Run(Struct, gc=False):
    """A run as far as the pass has come: number of events, digest of the last, last events of some kinds."""

    name: str
    count: int = 0
    digest: bytes = NO_DIGEST.encode()
    last: dict[bytes, Kept] = msgspec.field(default_factory=dict[bytes, Kept])


class ChainPass:
    """One pass over the segments of a log, in order. It can read them again, for `events`.

    ``offset`` is where it stands in the segment that it took last.

    Args:
        wanted: Positions whose hashes are wanted: in ``hashes`` once the pass is past them.
        superseded: Kinds of which `kept` has the last event of each run alone; None where none is asked for.
    """

    def __init__(self, wanted: Collection[int] = (), superseded: Collection[str] | None = None) -> None:
        self.cursor = Cursor()
        self.offset = 0
        self._superseded = None if superseded is None else frozenset(kind.encode() for kind in superseded)
        self._kept: list[Kept] = []
        self.hashes = {0: GENESIS}
        # The next one is the last of the list.
        self._wanted = sorted((position for position in wanted if position > 0), reverse=True)
        self._left = 0
        self._runs: dict[bytes, _Run] = {}
        self._order: list[_Run] = []
        self._segments: list[Chunks] = []

    def take(self, chunks: Chunks) -> bool:
        """Return whether a segment holds whole groups that go on from here, and so do their runs."""
        self._segments.append(chunks)
        self.offset = 0
        return all(self._take_lines(data) for data in chunks()) and not self._left

    def events(self) -> Iterator[tuple[str, bytes]]:
        """Yield the run and the stored bytes of every event in order, read again from what was checked.

        It ends early where a sealed segment has lost frames to a retention meanwhile.
        """
        runs = iter(self._order)
        for chunks in self._segments:
            for data in chunks():
                for line in data[:-1].split(b"\n"):
                    if not line:
                        return
                    yield next(runs).name, line[line.find(b"{", _BODY_AT) : -1]

    def kept(self) -> list[Kept]:
        """Return the last event of each superseded kind in each run, and all of other kinds, in order."""
        return sorted([*self._kept, *(last for run in self._runs.values() for last in run.last.values())])

    def _take_lines(self, data: bytes) -> bool:
        """Return whether each of the lines goes on from the one before."""
        # One loop, its calls bound before: with a call for each event the pass would be a third slower.
        position, last, left, at = self.cursor.position, self.cursor.hash.encode(), self._left, 0
        find, match, runs, wanted = data.find, _FRAME.match, self._runs, self._wanted
        order, mark = self._order.append, wanted[-1] if wanted else 0
        superseded, keep = self._superseded, self._kept.append
        while (end := find(b"\n", at)) >= 0:
            found = match(data, at)
            if found is None:
                return False
            own, before, number, remaining, kind, name, version, previous = found.groups()
            digest = hexlify(sha256(DOMAIN + data[at + _BODY_AT : end]).digest())
            position += 1
            if own != digest or before != last or int(number) != position:
                return False
            if left or remaining != b"0":
                if left and int(remaining) != left - 1:
                    return False
                left = int(remaining)
            run = runs.get(name) or self._begin(name)
            run.count += 1
            if previous != run.digest or int(version) != run.count:
                return False
            event = data[found.end() : end - 1]
            run.digest = hexlify(sha256(_EVENT_DOMAIN + event).digest())
            order(run)
            if superseded is not None:
                if kind in superseded:
                    run.last[kind] = Kept(position, event)
                else:
                    keep(Kept(position, event))
            if position == mark:
                self.hashes[wanted.pop()] = digest.decode()
                mark = wanted[-1] if wanted else 0
            last, at = digest, end + 1
        self.cursor, self._left, self.offset = Cursor(position, last.decode()), left, self.offset + at
        return at == len(data)

    def _begin(self, name: bytes) -> _Run:
        run = self._runs[name] = _Run(name.decode())
        return run


def chunks_of_file(path: Path) -> Chunks:
    """Return what reads a segment of the log; it stays open, and can be read when it was sealed meanwhile.

    Raises:
        FileNotFoundError: There is none, or no more.
    """
    segment = Descriptor(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def read() -> Iterator[bytes]:
        rest, at = b"", 0
        while chunk := os.pread(segment.fd, _CHUNK_SIZE_BYTES, at):
            at += len(chunk)
            whole, feed, rest = (rest + chunk).rpartition(b"\n")
            if feed:
                yield whole + feed
        if rest:
            yield rest

    return read


def chunks_of_sealed(sealed: Sealed, first: int) -> Chunks:
    """Return what reads a sealed segment. A frame that retention took is an empty line.

    What it gives raises `DamagedLedger` where the segment is not what was sealed.
    """

    def read() -> Iterator[bytes]:
        seal = sealed.seal(first)
        for rows in sealed.batches(seal, first - 1, seal.last):
            yield b"".join((row.line or b"") + b"\n" for row in rows)

    return read

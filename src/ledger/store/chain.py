"""The chains of a log in one pass over its stored bytes: every hash, every position, each run's own chain.

The pass knows one way of writing a frame and the beginning of an event, ours, and only ever says that all
is well. Where it meets anything else it says nothing, and the scan that every reader uses decides.
"""

from __future__ import annotations

import os
import re
from binascii import hexlify
from bisect import bisect_right
from collections.abc import Collection, Iterator
from hashlib import sha256
from pathlib import Path

from msgspec import Struct

from ledger.events import NO_DIGEST
from ledger.frames import DOMAIN, GENESIS, Cursor
from ledger.store.disk import Descriptor

_BODY_AT = 72
_CHUNK_SIZE_BYTES = 128 << 10
_LINE_SIZE_BYTES = 4096
_EVENT_DOMAIN = b"ledger-event/1\n"
_REST = re.compile(
    rb'"n":(0|[1-9][0-9]*),"w":(?:0|[1-9][0-9]*),"e":'
    rb'(\{)"kind":"[^"\\]*","id":"[0-9a-f-]{36}","run":"([a-z0-9.-]+)",'
)


class _Run(Struct, gc=False):
    """A run as far as the pass has come: its last event's digest, and where each of its lines begins."""

    digest: bytes
    lines: list[int]


class ChainPass:
    """One pass over the segments of a log, in order. It keeps them open, for `events`.

    Args:
        wanted: Positions whose hashes are wanted: in ``hashes`` once the pass is past them.
    """

    def __init__(self, wanted: Collection[int] = ()) -> None:
        self.cursor = Cursor()
        self.hashes = {0: GENESIS}
        # The next one is the last of the list.
        self._wanted = sorted((position for position in wanted if position > 0), reverse=True)
        self._left = 0
        self._runs: dict[bytes, _Run] = {}
        self._segments: list[Descriptor] = []
        self._begins: list[int] = [0]
        """Where each segment begins in all their bytes, and where the last one ends."""

    @property
    def runs(self) -> list[str]:
        """The names of the runs, in the order of their first events."""
        return [run.decode() for run in self._runs]

    def events(self, run: str) -> Iterator[bytes]:
        """Yield the stored bytes of a run's events in order, read again from the files that were checked."""
        for begin in self._runs[run.encode()].lines:
            segment = bisect_right(self._begins, begin) - 1
            fd, at, size = self._segments[segment].fd, begin - self._begins[segment], _LINE_SIZE_BYTES
            line = os.pread(fd, size, at)
            while (end := line.find(b"\n")) < 0 and len(line) == size:
                size *= 8
                line = os.pread(fd, size, at)
            yield line[line.find(b"{", _BODY_AT) : end - 1]

    def take(self, path: Path) -> bool:
        """Return whether a segment holds whole groups that go on from here, and so do their runs."""
        segment = Descriptor(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        self._segments.append(segment)
        begin, rest = self._begins[-1], b""
        while chunk := os.read(segment.fd, _CHUNK_SIZE_BYTES):
            data = rest + chunk
            end = self._take_lines(data, begin)
            if end < 0:
                return False
            begin, rest = begin + end, data[end:]
        self._begins.append(begin)
        return not rest and not self._left

    def _take_lines(self, data: bytes, begin: int) -> int:
        """Check the lines of ``data`` and return where the last one ends, -1 where one does not go on."""
        # One loop, its calls bound before: with a call for each event the pass would be a third slower.
        position, last, left, at = self.cursor.position, self.cursor.hash.encode(), self._left, 0
        find, runs, match, wanted = data.find, self._runs, _REST.match, self._wanted
        mark = wanted[-1] if wanted else 0
        while (end := find(b"\n", at)) >= 0:
            body = data[at + _BODY_AT : end]
            digest = hexlify(sha256(DOMAIN + body).digest())
            position += 1
            place = b'{"h":"%b","p":"%b","s":%d,' % (digest, last, position)
            rest = match(body, len(place) - _BODY_AT)
            if rest is None or not data.startswith(place, at):
                return -1
            remaining, name = rest.group(1, 3)
            if left or remaining != b"0":
                if left and int(remaining) != left - 1:
                    return -1
                left = int(remaining)
            run = runs.get(name) or self._begin(name)
            lines = run.lines
            if not body.startswith(b'"v":%d,"prev":"%b",' % (len(lines) + 1, run.digest), rest.end()):
                return -1
            lines.append(begin + at)
            run.digest = hexlify(sha256(_EVENT_DOMAIN + body[rest.start(2) : -1]).digest())
            if position == mark:
                self.hashes[wanted.pop()] = digest.decode()
                mark = wanted[-1] if wanted else 0
            last, at = digest, end + 1
        self.cursor, self._left = Cursor(position, last.decode()), left
        return at

    def _begin(self, name: bytes) -> _Run:
        run = self._runs[name] = _Run(NO_DIGEST.encode(), [])
        return run

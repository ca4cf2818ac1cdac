"""The catalogue, ``cache/catalogue/<first position>``: in which blocks of a segment the frames of a run lie.

With it a run costs what it has itself, however long the log is. It is a projection of a segment, made by
whoever reads a run and finds none, or one that lags behind. It is believed only where the segment has the
frame that it ends with; whoever reads through it counts the versions, so one that is wrong is found out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import msgspec
from msgspec import Struct

from ledger.store.disk import Descriptor, write_cached
from ledger.store.segments import Segments, is_frame, line_before

LAYOUT = 1
BLOCK_SIZE_BYTES = 64 << 10
"""A block ends with the first frame past this."""

LAG_SIZE_BYTES = 1 << 20
"""A segment that has grown by more than this since is catalogued anew."""


class Contents(Struct, array_like=True):
    """What a segment holds up to ``offset``, where the frame of ``hash`` ends.

    ``blocks`` are the offsets at which blocks begin; ``runs`` has for each run the numbers of the blocks with
    frames of it, and the first and last version in each.
    """

    layout: int = LAYOUT
    offset: int = 0
    hash: str = ""
    blocks: list[int] = []
    runs: dict[str, list[tuple[int, int, int]]] = {}


class _Named(Struct):
    run: str
    v: int


class _Framed(Struct):
    h: str
    s: int
    e: _Named


_framed = msgspec.json.Decoder(_Framed)
_contents = msgspec.msgpack.Decoder(Contents)


def encode_contents(contents: Contents) -> bytes:
    """Return the bytes of a catalogue: MessagePack behind its CRC-32."""
    data = msgspec.msgpack.encode(contents)
    return crc32(data).to_bytes(4, "big") + data


def parse_contents(data: bytes) -> Contents:
    """Return what a catalogue says.

    Raises:
        ValueError: It is not as it was written, or of another layout.
    """
    if crc32(data[4:]) != int.from_bytes(data[:4], "big"):
        raise ValueError("its checksum is another")
    contents = _contents.decode(data[4:])
    if contents.layout != LAYOUT:
        raise ValueError(f"layout {contents.layout}")
    return contents


class Catalogue:
    """The catalogue of one log, as one process knows it."""

    def __init__(self, root: Path, segments: Segments) -> None:
        self._root = root
        self._segments = segments
        self._known: dict[int, Contents] = {}

    def lines(
        self, first: int, run: str, last: int, after_v: int = 0, until_v: int | None = None
    ) -> Iterator[bytes]:
        """Yield lines of the segment that begins with position ``first``, in order.

        All frames of ``run`` past ``after_v`` up to ``until_v`` are among them, unless the catalogue is
        wrong, and frames that only name the run may be.

        Args:
            first: Names the segment.
            run: Whose frames.
            last: The last position that is confirmed: what is beyond is not catalogued.
            after_v: The version after which they begin.
            until_v: The last version; None for all.
        """
        return self._lines(first, run, last, after_v, until_v, step=1)

    def lines_backward(self, first: int, run: str, last: int, until_v: int | None = None) -> Iterator[bytes]:
        """Yield lines of a segment as `lines` does, the last first."""
        return self._lines(first, run, last, 0, until_v, step=-1)

    def _lines(
        self, first: int, run: str, last: int, after_v: int, until_v: int | None, *, step: int
    ) -> Iterator[bytes]:
        try:
            file = Descriptor(os.open(self._segments.path(first), os.O_RDONLY | os.O_CLOEXEC))
        except FileNotFoundError:
            yield from self._sealed_lines(first, run, step)
            return
        # Another writer's JSON may have white space, but a run's name stands in it as it is.
        named = b'"%b"' % run.encode()
        contents = self._contents_of(first, file.fd, last)
        for start, end in _spans(contents, file.fd, run, after_v, until_v)[::step]:
            for line in parse_lines(os.pread(file.fd, end - start, start))[::step]:
                if named in line:
                    yield line

    def _sealed_lines(self, first: int, run: str, step: int) -> Iterator[bytes]:
        contents = self._known.get(first) or self._read(first)
        if contents.hash == self._segments.sealed.seal(first).hash and run not in contents.runs:
            return
        rows = list(self._segments.sealed.backward(first, run))
        yield from (row.line for row in rows[::-step] if row.line is not None)

    def _contents_of(self, first: int, fd: int, last: int) -> Contents:
        """Return what there is of a segment, brought up to date where it lags behind."""
        contents = self._known.get(first)
        if contents is None:
            contents = self._read(first)
            if contents.offset and not is_frame(line_before(fd, contents.offset), contents.hash):
                contents = Contents()
        if os.fstat(fd).st_size - contents.offset > LAG_SIZE_BYTES:
            data = os.pread(fd, os.fstat(fd).st_size - contents.offset, contents.offset)
            if _extend(contents, data, last):
                write_cached(self._root / f"{first:020d}", encode_contents(contents))
        self._known[first] = contents
        return contents

    def _read(self, first: int) -> Contents:
        try:
            return parse_contents((self._root / f"{first:020d}").read_bytes())
        except (OSError, ValueError):
            return Contents()


def parse_lines(data: bytes) -> list[bytes]:
    """Return the lines of some bytes of a segment; the last is what follows the last line feed."""
    return data.split(b"\n")


def _extend(contents: Contents, data: bytes, last: int) -> bool:
    """Take in the lines that follow, as far as they are frames up to position ``last``; return if any is."""
    begun, at = contents.offset, contents.offset
    for line in parse_lines(data)[:-1]:
        try:
            frame = _framed.decode(line)
        except msgspec.DecodeError:
            break  # Whoever comes to these bytes says what they are.
        if frame.s > last:
            break
        if not contents.blocks or at - contents.blocks[-1] > BLOCK_SIZE_BYTES:
            contents.blocks.append(at)
        block, v = len(contents.blocks) - 1, frame.e.v
        spans = contents.runs.setdefault(frame.e.run, [])
        if spans and spans[-1][0] == block:
            spans[-1] = (block, min(spans[-1][1], v), max(spans[-1][2], v))
        else:
            spans.append((block, v, v))
        at += len(line) + 1
        contents.hash = frame.h
    contents.offset = at
    return at > begun


def _spans(contents: Contents, fd: int, run: str, after_v: int, until_v: int | None) -> list[tuple[int, int]]:
    """Return the byte ranges where a run's frames are or may be."""
    ends = [*contents.blocks[1:], contents.offset]
    spans = [
        (contents.blocks[block], ends[block])
        for block, first_v, last_v in contents.runs.get(run, ())
        if last_v > after_v and (until_v is None or first_v <= until_v)
    ]
    size = os.fstat(fd).st_size
    return [*spans, (contents.offset, size)] if size > contents.offset else spans

"""Segments: the files of the log, ``log/<first position>.jsonl``, and the one scan over them.

Readers, writers and recovery all read through `Segments.groups`; they differ only in what they
make of the place where it breaks off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from ledger.errors import DamagedLedger
from ledger.frames import BadFrame, Cursor, Frame, parse_frame
from ledger.store.disk import write_durably
from ledger.store.sealed import Sealed, SealedRow

SEGMENT_SIZE_BYTES = 64 << 20
"""A segment that has grown past this is closed before the next append."""


_CHUNK_SIZE_BYTES = 4096


class Place(NamedTuple):
    """A place between two groups: segment, byte offset in it, and the cursor there."""

    segment: int
    offset: int
    cursor: Cursor


class Link(NamedTuple):
    """One link of the chain: a position, the hash of its frame, and the hash before."""

    position: int
    hash: str
    before: str


class Located(NamedTuple):
    """A frame and where it lies: ``line`` without its line feed, ``end`` the offset after it."""

    frame: Frame
    line: bytes
    end: int


class Break(Exception):
    """The scan met bytes that do not go on from ``place``, the end of the last whole group.

    ``short`` says that they are the bytes of one append that did not reach the file whole: valid
    frames of a group whose rest is missing, and at most one last line without its line feed.
    ``witness`` is the highest position that a later intact frame knew to be durable.
    """

    def __init__(self, place: Place, reason: str, rest: bytes, *, short: bool, witness: int) -> None:
        self.place, self.reason, self.rest = place, reason, rest
        self.short, self.witness = short, witness
        super().__init__(reason)


class Segments:
    """The segments of one log directory, sealed or not."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sealed = Sealed(root.parent / "sealed")

    def firsts(self) -> list[int]:
        """Return the first position of every segment, in order."""
        # In this order: a segment that is being sealed has its seal before its file here goes.
        return sorted({*self.logged(), *self.sealed.firsts()})

    def logged(self) -> list[int]:
        """Return the first position of every segment that has its file in the log, the open one last."""
        names = (name for name in os.listdir(self.root) if name.endswith(".jsonl"))
        return sorted(int(name[:-6]) for name in names if name[:-6].isdecimal())

    def path(self, first: int) -> Path:
        """Return the file of the segment whose first position is ``first``."""
        return self.root / f"{first:020d}.jsonl"

    def groups(self, place: Place) -> Iterator[tuple[list[Located], Place]]:
        """Yield every whole group after ``place`` with the place behind it.

        A segment ends where the next one begins: bytes that it holds beyond are those that a
        failed sync left in doubt, and that `rewrite` has written anew.

        Raises:
            Break: Bytes do not go on from there; all groups before were yielded.
        """
        place = self._moved(place)
        firsts = [first for first in self.firsts() if first >= place.segment]
        for first, following in zip_longest(firsts, firsts[1:]):
            if first != place.segment:
                if first != place.cursor.position + 1:
                    reason = f"the segment of position {first} follows position {place.cursor.position}"
                    raise Break(place, reason, b"", short=False, witness=first - 1)
                place = Place(first, 0, place.cursor)
            if following == place.cursor.position + 1:
                continue
            try:
                for group, behind in self.groups_of(place, following):
                    place = behind
                    yield group, place
            except Break as broken:
                if following is None:
                    raise
                # The next segment was only begun when this one was synced to its end.
                witness = max(broken.witness, following - 1)
                raise Break(place, broken.reason, broken.rest, short=False, witness=witness) from broken

    def groups_of(self, start: Place, following: int | None) -> Iterator[tuple[list[Located], Place]]:
        """Yield the whole groups of one segment after ``start``, up to the position where the next begins.

        Of a sealed segment a group has the frames that retention left; it may be empty.

        Raises:
            Break: Bytes do not go on; all groups before were yielded.
            DamagedLedger: A sealed segment is not what was written.
        """
        try:
            with self.path(start.segment).open("rb") as file:
                file.seek(start.offset)
                data = file.read()
        except FileNotFoundError:
            yield from self._sealed_groups(start)
            return
        group: list[Located] = []
        place, cursor, at = start, start.cursor, 0
        while at < len(data) and cursor.position + 1 != following:
            end = data.find(b"\n", at)
            try:
                if end < 0:
                    raise BadFrame("the last line has no line feed")
                line = data[at:end]
                frame = parse_frame(line)
                cursor = cursor.after(frame)
                if group and frame.n != group[-1].frame.n - 1:
                    raise BadFrame(f"position {frame.s} is not the next of its group")
            except BadFrame as error:
                rest = data[place.offset - start.offset :]
                witness = _witness(data[at:])
                raise Break(place, str(error), rest, short=end < 0, witness=witness) from error
            at = end + 1
            group.append(Located(frame, line, start.offset + at))
            if frame.n == 0:
                place = Place(start.segment, start.offset + at, cursor)
                yield group, place
                group = []
        if group:
            rest = data[place.offset - start.offset :]
            raise Break(place, "the last group is not whole", rest, short=True, witness=0)

    def _sealed_groups(self, start: Place) -> Iterator[tuple[list[Located], Place]]:
        seal = self.sealed.seal(start.segment)
        cursor = start.cursor
        if start.offset == 0 and cursor.hash != seal.follows:
            raise DamagedLedger(f"sealed/{seal.parquet}", "it does not follow the segment before it")
        group: list[Located] = []
        for row in self.sealed.rows(start.segment, cursor.position):
            cursor, frame = self.sealed.follow(seal, cursor, row)
            if frame is not None and row.line is not None:
                group.append(Located(frame, row.line, row.ends_at))
            if row.n == 0:
                yield group, Place(start.segment, row.ends_at, cursor)
                group = []
        if cursor != Cursor(seal.last, seal.hash) or group:
            raise DamagedLedger(f"sealed/{seal.parquet}", f"it ends at position {cursor.position}")

    def end(self, place: Place) -> Place:
        """Return where the next group goes, given the place behind the last one.

        A segment may have been begun there: it is empty until its first group comes, so `groups` does not
        name it.
        """
        last = max(self.firsts(), default=place.segment)
        return Place(last, 0, place.cursor) if last == place.cursor.position + 1 else self._moved(place)

    def _moved(self, place: Place) -> Place:
        """Return where a place lies now that somebody remembers from before a `rewrite`."""
        passed = self._passed(place)
        if not passed:
            return place
        try:
            data = self.path(passed[-1]).read_bytes()
        except FileNotFoundError:
            row = next(self.sealed.rows(passed[-1], place.cursor.position - 1), None)
            found = row is not None and row.hash == place.cursor.hash
            return Place(passed[-1], row.ends_at, place.cursor) if row and found else place
        at = (b"\n" + data).find(b'\n{"h":"%b"' % place.cursor.hash.encode())
        return place if at < 0 else Place(passed[-1], data.find(b"\n", at) + 1, place.cursor)

    def _passed(self, place: Place) -> list[int]:
        """Return the segments after a place's own that begin by its position: none but after a `rewrite`."""
        return [first for first in self.firsts() if place.segment < first <= place.cursor.position]

    def rewrite(self, place: Place) -> None:
        """Write the whole groups past ``place`` into a segment of their own, which follows it.

        For bytes that a failed sync left in doubt: they are read back and written to a new file.
        It appears by rename, synced, under the name that makes it follow ``place``; a crash
        leaves the log as it was or rewritten.

        Raises:
            OSError: The disk still does not confirm. The log is as it was.
            Break: What breaks off there was acknowledged. The log is as it was.
        """
        lines: list[bytes] = []
        try:
            for group, _ in self.groups(place):
                lines += [located.line + b"\n" for located in group]
        except Break as broken:
            # What breaks off was never acknowledged: the rewritten log ends before it. Else it is damage.
            if broken.witness > broken.place.cursor.position:
                raise
        write_durably(self.path(place.cursor.position + 1), b"".join(lines))

    def holds(self, place: Place) -> bool:
        """Return whether the log has the frame that a place follows, just before its offset.

        Bytes of a segment that lie behind where the next one begins are not of the log.
        """
        if place.offset == 0:
            return place.cursor == Cursor()
        moved = self._moved(place)
        if moved == place and self._passed(place):
            return False
        try:
            with self.path(moved.segment).open("rb") as file:
                return is_frame(line_before(file.fileno(), moved.offset), moved.cursor.hash)
        except FileNotFoundError:
            return self.sealed.holds(moved.segment, moved.offset, moved.cursor)

    def named(self, id_: str) -> Iterator[Frame]:
        """Yield the intact frames whose events may have an id, from the newest segment to the oldest."""
        text = b'"id":"%b"' % id_.encode()
        for first in reversed(self.firsts()):
            try:
                data = self.path(first).read_bytes()
            except FileNotFoundError:
                yield from self._sealed_named(first, id_, text)
                continue
            at = data.find(text)
            while at >= 0:
                end = data.find(b"\n", at)
                with suppress(BadFrame):
                    yield parse_frame(data[data.rfind(b"\n", 0, at) + 1 : end])
                at = data.find(text, max(end, at + 1))

    def _sealed_named(self, first: int, id_: str, text: bytes) -> Iterator[Frame]:
        seal = self.sealed.seal(first)
        if seal.min_id <= id_ <= seal.max_id:
            lines = (row.line for row in self.sealed.backward(first))
            yield from (parse_frame(line) for line in lines if line is not None and text in line)

    def backward(self) -> Iterator[Frame]:
        """Yield intact frames from the end of the log to its start, the chain unchecked."""
        following = 0
        for first in reversed(self.firsts()):
            for line in self._lines_backward(first):
                try:
                    frame = parse_frame(line)
                except BadFrame:
                    continue
                if not following or frame.s < following:
                    yield frame
            following = first

    def first_link(self) -> Link | None:
        """Return the first link of the chain, None in an empty log; its frame may be retired.

        Raises:
            DamagedLedger: The first segment does not begin with what was written.
        """
        first = min(self.firsts(), default=0)
        try:
            with self.path(first).open("rb") as file:
                line = file.readline().removesuffix(b"\n")
        except FileNotFoundError:
            row = next(self.sealed.rows(first, first - 1), None) if first else None
            return None if row is None else Link(row.position, row.hash, self.sealed.seal(first).follows)
        try:
            frame = parse_frame(line)
        except BadFrame as error:
            raise DamagedLedger(f"position {first}", str(error)) from error
        return Link(frame.s, frame.h, frame.p)

    def links_backward(self) -> Iterator[Link]:
        """Yield the links of the chain from the end of the log to its start, those of retired frames too.

        Raises:
            DamagedLedger: A sealed segment is not what was written.
        """
        following = 0
        for first in reversed(self.firsts()):
            try:
                lines = reversed(self.path(first).read_bytes().split(b"\n"))
            except FileNotFoundError:
                yield from self._sealed_links(first)
            else:
                for line in lines:
                    with suppress(BadFrame):
                        frame = parse_frame(line)
                        if not following or frame.s < following:
                            yield Link(frame.s, frame.h, frame.p)
            following = first

    def _sealed_links(self, first: int) -> Iterator[Link]:
        """Yield the links of a sealed segment, row after row: of a retired frame nothing else is there."""
        last: SealedRow | None = None
        for row in self.sealed.backward(first):
            if last is not None:
                yield Link(last.position, last.hash, row.hash)
            last = row
        if last is not None:
            yield Link(last.position, last.hash, self.sealed.seal(first).follows)

    def _lines_backward(self, first: int) -> Iterator[bytes]:
        try:
            yield from reversed(self.path(first).read_bytes().split(b"\n"))
        except FileNotFoundError:
            yield from (row.line for row in self.sealed.backward(first) if row.line is not None)


def line_before(fd: int, offset: int) -> bytes:
    """Return the line that ends at an offset of a segment, without its line feed; "" where none does."""
    size = _CHUNK_SIZE_BYTES
    while True:
        start = max(0, offset - size)
        data = os.pread(fd, offset - start, start)
        if len(data) < offset - start or not data.endswith(b"\n"):
            return b""
        begin = data.rfind(b"\n", 0, -1) + 1
        if begin or start == 0:
            return data[begin:-1]
        size *= 8


def is_frame(line: bytes, digest: str) -> bool:
    """Return whether a line is the intact frame of that hash."""
    try:
        return parse_frame(line).h == digest
    except BadFrame:
        return False


def _witness(rest: bytes) -> int:
    """Return the highest position that an intact frame in ``rest`` knew to be durable."""
    known = 0
    for line in rest.split(b"\n"):
        try:
            known = max(known, parse_frame(line).w)
        except BadFrame:
            continue
    return known

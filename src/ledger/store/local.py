"""The local store: a ledger in one directory, shared by any number of processes.

Append order: bodies are durable before an event names them; then lock, read what others
appended, check the version, write, unlock, sync, advance ``durable``, return. Syncing after the
unlock keeps the order and lets many writers share one sync. A crash before the return leaves
either nothing, or a whole group that the next reader syncs before it uses it, or a torn tail
that the next writer sets aside.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

from msgspec import UNSET, Raw
from msgspec.structs import replace

from ledger.errors import DamagedLedger, DroppedBody, LostRace, NewerFormat, NoLedger, RunName, UnsyncedLog
from ledger.events import (
    LEDGER_RUN,
    NO_DIGEST,
    Event,
    LedgerRecovered,
    RetiredRun,
    UnknownEvent,
    encode_event,
    event_digest,
    parse_event,
)
from ledger.frames import Cursor, Frame, encode_frame
from ledger.heads import RunHead, check_copies
from ledger.redaction import dropped
from ledger.stamps import Stamp
from ledger.store.archive import Archive
from ledger.store.bodies import Bodies
from ledger.store.disk import locked, sync_data, sync_directory, write_all, write_durably
from ledger.store.journal import Heads, last_boot
from ledger.store.reader import LogReader, check_mark, covered_break, damage_of, unlike_mark
from ledger.store.sealed import Seal
from ledger.store.segments import SEGMENT_SIZE_BYTES, Break, Place

FORMAT = b"ledger/1\n"
ARCHIVE_TIMEOUT_S = 30.0
_DIRECTORIES = ("log", "bodies", "cache", "quarantine", "locks")
_SETTLED_NS = 3_000_000_000
"""A directory whose time is older than this when it is read gets another time when it changes."""


class Stamped(NamedTuple):
    """An event as it goes into the log: its value, its stored bytes and their digest."""

    event: Event | UnknownEvent
    data: bytes
    digest: str


class LocalStore(LogReader):
    """A ledger's directory, ``<git common dir>/ledger``. One instance serves one thread."""

    def __init__(self, root: Path, stamp: Stamp) -> None:
        super().__init__(root)
        self.bodies = Bodies(root / "bodies")
        self._stamp = stamp
        self._fd = -1
        self._fd_segment = 0
        self._fd_process = 0
        self._lock_path = root / "locks" / "append"
        self._log_time_ns = 0
        self._dropped: tuple[int, Mapping[str, str]] = 0, {}

    @classmethod
    def open(cls, root: Path, stamp: Stamp, *, create: bool = False) -> Self:
        """Open a ledger's directory.

        Args:
            root: The directory.
            stamp: Source of ids and times for the store's own events.
            create: Make it where there is none. Its ``FORMAT`` is written last, so a crash
                leaves no ledger or a whole one.

        Raises:
            NoLedger: There is none and ``create`` is False.
            NewerFormat: It was written in a format that this version does not read.
        """
        try:
            found = (root / "FORMAT").read_bytes()
        except FileNotFoundError:
            if not create:
                raise NoLedger(root) from None
            for name in _DIRECTORIES:
                (root / name).mkdir(parents=True, exist_ok=True)
            # Whoever sees FORMAT relies on the directories: their names have to be on the disk before.
            sync_directory(root)
            sync_directory(root.parent)
            write_durably(root / "FORMAT", FORMAT)
            found = FORMAT
        if found != FORMAT:
            raise NewerFormat(root, found.decode("utf-8", "replace").strip(), FORMAT.decode().strip())
        return cls(root, stamp)

    def close(self) -> None:
        """Release what is open. Nothing is pending: every append was synced before it returned."""
        self._release_segment()
        self._durable.close()
        self._journal.close()

    def read_body(self, digest: str) -> bytes:
        """See `Store.read_body`."""
        try:
            return self.bodies.read(digest)
        except DamagedLedger:
            if self.bodies.path(digest).exists() or digest not in self.dropped():
                raise
        raise DroppedBody(digest, self.dropped()[digest])

    def dropped(self) -> Mapping[str, str]:
        """Return the digests of the bodies that are to be gone, each with the event that dropped it."""
        position = self.position()
        if self._dropped[0] != position:
            self._dropped = position, dropped(frame.event for frame in self.frames())
        return self._dropped[1]

    def write_body(self, data: bytes) -> str:
        """See `Store.write_body`."""
        return self.bodies.write(data)

    # Writing.

    def append(self, events: Sequence[Event], expected_v: int | None = None) -> tuple[Frame, ...]:
        """See `Store.append`."""
        with self._appending():
            head = self._heads.get(events[0].run)
            written = None if expected_v is None else self._retry(events, expected_v, head)
            if written is None:
                if head is not None and head.retired:
                    raise RunName(head.run, f"the run was retired by {head.retired}")
                self._refuse_taken(events)
                written = self._write(_stamped(events, head))
        self._sync(written[-1])
        return written

    def append_copies(self, copies: Sequence[bytes], events: Sequence[Event]) -> tuple[Frame, ...]:
        """See `Store.append_copies`."""
        with self._appending():
            run = parse_event(copies[0]).run
            head = self._heads.get(run)
            if head is not None and head.retired:
                raise RunName(run, f"the run was retired by {head.retired}")
            check_copies(copies, head)
            of_ledger = _stamped(events, self._heads.get(LEDGER_RUN))
            copied = [Stamped(parse_event(data), data, event_digest(data)) for data in copies]
            written = self._write([*copied, *of_ledger])
        self._sync(written[-1])
        return written

    @contextmanager
    def _appending(self) -> Generator[None]:
        """Hold the append lock at the log's end: doubts written anew, the events of others folded."""
        with locked(self._lock_path):
            if os.access(self._unsynced_path, os.F_OK):
                self._rewrite_unsynced()
            self._catch_up()
            yield

    def settle(self) -> None:
        """Write anew what a failed sync left in doubt, so that what is decided next knows of it.

        Raises:
            UnsyncedLog: The disk still does not confirm. The log is as it was.
        """
        if self._unsynced_path.exists():
            with locked(self._lock_path):
                if self._unsynced_path.exists():
                    self._rewrite_unsynced()

    def _rewrite_unsynced(self) -> None:
        """Write what a failed sync left in doubt into a new segment, then let appends go on."""
        # Segments before the last one were synced when it was begun, whatever the mark still says.
        begun = max(self.segments.logged(), default=1) - 1
        confirmed = max(self._durable.read().position, begun)
        place = self._beginning()
        try:
            if confirmed:
                groups = self.segments.groups(place)
                place = next(behind for _, behind in groups if behind.cursor.position == confirmed)
            self.segments.rewrite(place)
        except Break as broken:
            raise DamagedLedger(*covered_break(broken, max(confirmed, broken.witness))) from broken
        except StopIteration as error:
            raise DamagedLedger("log", f"position {confirmed} was acknowledged") from error
        except OSError as error:
            raise UnsyncedLog(self.segments.root, str(error)) from error
        self._forget()
        self._journal.discard()
        self._unsynced_path.unlink()
        sync_directory(self.root)

    def _catch_up(self) -> None:
        """Fold what others appended and set a torn tail aside. The append lock is held."""
        if not self._loaded:
            # Whether it is synced does not matter to a writer: its own sync will cover it.
            self._adopt()
            for mark in self.root.glob("unsynced.*"):
                if mark != self._unsynced_path:
                    mark.unlink(missing_ok=True)  # Of an earlier boot: it says nothing of this one.
        if self._at_end():
            return
        self._adopt_others()
        durable = self._durable.read()
        if not self._at_end():
            self._scan(durable)
        cursor = self._heads.place.cursor
        if cursor.position < durable.position:
            reason = f"the log ends at position {cursor.position}, {durable.position} was acknowledged"
            raise DamagedLedger("log", reason)
        if cursor.position == durable.position and cursor.hash != durable.hash:
            raise unlike_mark(durable)

    def _adopt_others(self) -> None:
        """Take over the heads that others left in the journal; begin anew where they do not fit the log."""
        before = self._heads.place
        self._journal.read(self._heads)
        if self._heads.place != before and not self.holds(self._heads.place):
            self._journal.close()
            self._heads = Heads(self._beginning())

    def _scan(self, durable: Cursor) -> None:
        """Fold the frames that no journal led past, and set a torn tail aside."""
        try:
            for group, place in self.segments.groups(self._heads.place):
                check_mark(durable, group)
                self._fold(group, place)
        except Break as broken:
            same_boot = last_boot(self._journal.path) == self._journal.boot != ""
            if reason := damage_of(broken, durable, same_boot=same_boot):
                raise DamagedLedger(*reason) from broken
            self._recover(broken)
        self._heads.place = self.segments.end(self._heads.place)

    def _at_end(self) -> bool:
        """Return whether the log ends where the heads were folded to."""
        segment, offset, _ = self._heads.place
        if self._has_other_names():
            return False
        if self._fd_segment == segment:
            facts = os.fstat(self._fd)
            if facts.st_nlink:
                return facts.st_size == offset
            # Others have written the whole segment anew: this is the file that was there before.
            self._release_segment()
        return self.segments.path(segment).stat().st_size == offset

    def _has_other_names(self) -> bool:
        """Return whether the last segment is another one; names are only read when they may have changed."""
        time_ns = self.segments.root.stat().st_mtime_ns
        if time_ns == self._log_time_ns:
            return False
        settled = time_ns + _SETTLED_NS < time.time_ns()
        if self.segments.logged()[-1:] != [self._heads.place.segment]:
            return True
        self._log_time_ns = time_ns if settled else 0
        return False

    def _recover(self, broken: Break) -> None:
        """Set aside the bytes of an append that was never acknowledged, then say so in the log."""
        at = broken.place
        name = f"{at.segment:020d}-{at.offset}-{len(broken.rest)}"
        write_durably(self.root / "quarantine" / name, broken.rest)
        # A crash here leaves the torn tail and a copy of it; the next writer does the same again.
        os.truncate(self.segments.path(at.segment), at.offset)
        at_ns = self._stamp.clock()
        event = LedgerRecovered(
            id=self._stamp.new_id(at_ns),
            run=LEDGER_RUN,
            at_ns=at_ns,
            actor=self._stamp.actor,
            position=at.cursor.position + 1,
            quarantine=name,
            size_bytes=len(broken.rest),
        )
        self._write(_stamped([event], self._heads.get(LEDGER_RUN)))

    def _retry(
        self, events: Sequence[Event], expected_v: int, head: RunHead | None
    ) -> tuple[Frame, ...] | None:
        """Return the frames that an earlier try of the same append wrote, None when it may append."""
        at = 0 if head is None else head.v
        if expected_v == at + 1:
            return None
        wanted = {expected_v + i: event for i, event in enumerate(events)}
        found: dict[int, Frame] = {}
        if expected_v <= at:
            for frame in self.segments.backward():
                event = frame.event
                if event.run == events[0].run:
                    if event.v in wanted and _same(wanted[event.v], frame):
                        found[event.v] = frame
                    if event.v <= expected_v:
                        break
        if len(found) != len(wanted):
            raise LostRace(events[0].run, expected_v, at)
        return tuple(found[v] for v in sorted(found))

    def _refuse_taken(self, events: Sequence[Event]) -> None:
        """Refuse a given id that another process was faster to use. The append lock is held."""
        for event in events:
            if event.request is not UNSET:
                for frame in self.segments.named(event.id):
                    if frame.event.id == event.id:
                        raise LostRace(frame.event.run, frame.event.v, frame.event.v)

    def _write(self, events: Sequence[Stamped]) -> tuple[Frame, ...]:
        """Write events as one group at the end of the log and fold it. The append lock is held."""
        if self._heads.place.offset >= SEGMENT_SIZE_BYTES:
            self._roll()
        fd = self._segment_fd()
        segment, offset, cursor = self._heads.place
        lines, frames = bytearray(), list[Frame]()
        position, last = cursor.position, cursor.hash
        durable = max(self._confirmed, self._durable.read().position)
        for remaining, event in zip(range(len(events) - 1, -1, -1), events, strict=True):
            position, before = position + 1, last
            line, last = encode_frame(event.data, before, position, remaining, durable)
            lines += line
            frames.append(Frame(last, before, position, remaining, durable, Raw(event.data)))
        try:
            write_all(fd, lines)
        except OSError:
            # Nobody has seen these bytes: take them back rather than leave a torn tail.
            os.ftruncate(fd, offset)
            raise
        for frame, (event, _, digest) in zip(frames, events, strict=True):
            self._advance(event, digest, frame.s)
        self._heads.place = Place(segment, offset + len(lines), Cursor(position, last))
        self._journal.write(self._heads)
        return tuple(frames)

    def _roll(self) -> None:
        """Close the last segment: its bytes and name are on the disk before the next one's first frame."""
        try:
            self._sync_segments()
        except OSError as error:
            raise self._unsynced(error) from error
        self._confirmed = self._heads.position
        self._heads.place = Place(self._heads.position + 1, 0, self._heads.place.cursor)

    def _segment_fd(self) -> int:
        segment = self._heads.place.segment
        # Another process may have written the segment anew, and renamed it over the file that is open here.
        # And a forked process needs an open file of its own: of a shared one, Linux tells a failed write to
        # one of the two alone, and the other would acknowledge what is lost.
        same = self._fd >= 0 and (self._fd_segment, self._fd_process) == (segment, os.getpid())
        if not same or os.fstat(self._fd).st_nlink == 0:
            self._release_segment()
            path = self.segments.path(segment)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            if self._heads.place.offset == 0:
                # Also where the file was there: whoever made it may have died before this.
                sync_directory(self.segments.root)
                if self._heads.position == 0:
                    sync_directory(self.root)
            self._fd_segment, self._fd_process = segment, os.getpid()
        return self._fd

    def _release_segment(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd, self._fd_segment = -1, 0

    def _sync(self, last: Frame) -> None:
        if last.s <= self._confirmed:
            return
        try:
            sync_data(self._segment_fd())
        except OSError as error:
            raise self._unsynced(error) from error
        self._confirmed = last.s
        with suppress(OSError):
            # The event is on the disk, and too low a mark is safe: the next append says it again.
            self._durable.advance(Cursor(last.s, last.h))

    def _forget(self) -> None:
        """Let go of what was folded and opened: it holds what is in doubt."""
        self.close()
        self._loaded = False

    def _unsynced(self, error: OSError) -> UnsyncedLog:
        """Mark the log as one that the disk did not confirm, and return the error that says so."""
        self._forget()
        self._mark_unsynced(error)
        return UnsyncedLog(self.segments.root, str(error))

    # Sealing.

    def archive(self) -> list[Seal]:
        """Close the open segment, and seal every closed one that is not sealed yet.

        Others append meanwhile: their next event begins a segment of its own.

        Raises:
            Busy: Another process is archiving.
            DamagedLedger: A segment, or its copy, is not what was written. What was sealed before stays
                so.
            UnsyncedLog: The disk did not confirm the open segment.
        """
        with locked(self._archive_lock, ARCHIVE_TIMEOUT_S):
            self._close_segment()
            return list(Archive(self.segments).seal_closed())

    def unsealed(self) -> list[tuple[int, int, int]]:
        """Return what an archive would seal: first position, number of events, and size in bytes."""
        logged, end = self.segments.logged(), self.position() + 1
        sizes = [self.segments.path(first).stat().st_size for first in logged]
        counts = [following - first for first, following in pairwise([*logged, end])]
        return [found for found in zip(logged, counts, sizes, strict=True) if found[1]]

    def retire(self) -> list[Seal]:
        """Take the frames of retired runs out of the sealed segments, as far as they are still there.

        Returns:
            The new seals; none where nothing was left to do.

        Raises:
            Busy: Another process is archiving.
            DamagedLedger: A segment is not what was written. What was done before stays done.
        """
        retired = [head for head in self.heads().values() if head.retired]
        runs = {head.run: RetiredRun(head.run, head.v, head.digest, head.at_ns) for head in retired}
        position = max((head.position for head in retired), default=0)
        with locked(self._archive_lock, ARCHIVE_TIMEOUT_S):
            archive = Archive(self.segments)
            archive.sweep()
            # In order: what is left of a run is always its end, by which the fold knows it.
            seals = (archive.retire(first, runs, position) for first in self.segments.sealed.firsts())
            return [seal for seal in seals if seal is not None] if runs else []

    def _close_segment(self) -> None:
        """Begin a new segment, so that what is written can be sealed; the last one may be empty already."""
        with self._appending():
            cursor = self._heads.place.cursor
            if self._heads.place.offset == 0:
                return
            self._roll()
            self._segment_fd()
        self._durable.advance(cursor)

    @property
    def _archive_lock(self) -> Path:
        return self.root / "locks" / "archive"


def _stamped(events: Sequence[Event], head: RunHead | None) -> list[Stamped]:
    """Return the events of one run with ``v`` and ``prev`` set, following ``head``."""
    v, prev = (0, NO_DIGEST) if head is None else (head.v, head.digest)
    stamped: list[Stamped] = []
    for event in events:
        v += 1
        done = replace(event, v=v, prev=prev)
        data = encode_event(done)
        prev = event_digest(data)
        stamped.append(Stamped(done, data, prev))
    return stamped


def _same(event: Event, frame: Frame) -> bool:
    """Return whether a stored event is the one that is being appended again."""
    stored = frame.event
    if not isinstance(stored, Event):
        return False
    return stored == replace(event, v=stored.v, prev=stored.prev, at_ns=stored.at_ns)

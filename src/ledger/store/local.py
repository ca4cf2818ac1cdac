"""The local store: a ledger in one directory, shared by any number of processes.

Append order: bodies are durable before an event names them; then lock, read what others
appended, check the version, write, unlock, sync, advance ``durable``, return. Syncing after the
unlock keeps the order and lets many writers share one sync (`ledger.store.writer`). A crash before the
return leaves either nothing, or a whole group that the next reader syncs before it uses it, or a torn
tail that the next writer sets aside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Self

from msgspec import UNSET

from ledger.errors import DamagedLedger, DroppedBody, LostRace, NewerFormat, NoLedger, RunName
from ledger.events import LEDGER_RUN, AnyEvent, Event, RetiredRun, event_digest, parse_event
from ledger.frames import Frame
from ledger.heads import RunHead, check_copies
from ledger.redaction import dropped
from ledger.stamps import Stamp
from ledger.store.archive import Archive
from ledger.store.bodies import Bodies
from ledger.store.disk import sync_directory, write_durably
from ledger.store.locks import locked
from ledger.store.sealed import Seal
from ledger.store.writer import LogWriter, Stamped, is_same_event, stamped

FORMAT = b"ledger/1\n"
ARCHIVE_TIMEOUT_S = 30.0
_DIRECTORIES = ("log", "bodies", "cache", "quarantine", "locks")


class LocalStore(LogWriter):
    """A ledger's directory, ``<git common dir>/ledger``. One instance serves one thread."""

    def __init__(self, root: Path, stamp: Stamp) -> None:
        super().__init__(root, stamp)
        self.bodies = Bodies(root / "bodies")
        self._dropped: tuple[int, Mapping[str, str]] = 0, {}
        self.observer: Callable[[Sequence[AnyEvent]], None] | None = None
        """Gets the events of each append, once the disk has confirmed them."""

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

    def as_of(self, position: int) -> Self:
        """Return the store as it was when the event at a position was the last; it is for reading alone.

        Its heads are folded from the beginning, once: that costs what the log has up to there.
        """
        past = type(self)(self.root, self._stamp)
        past.until = position
        return past

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
        with self._append_lock:
            self._catch_up()
            head = self._heads.get(events[0].run)
            written = None if expected_v is None else self._retry(events, expected_v, head)
            if written is None:
                if head is not None and head.retired:
                    raise RunName(head.run, f"the run was retired by {head.retired}")
                self._refuse_taken(events)
                written = self._write(stamped(events, head))
        self._sync(written[-1])
        self._observe(written)
        return written

    def append_copies(self, copies: Sequence[bytes], events: Sequence[Event]) -> tuple[Frame, ...]:
        """See `Store.append_copies`."""
        with self._append_lock:
            self._catch_up()
            run = parse_event(copies[0]).run
            head = self._heads.get(run)
            if head is not None and head.retired:
                raise RunName(run, f"the run was retired by {head.retired}")
            check_copies(copies, head)
            of_ledger = stamped(events, self._heads.get(LEDGER_RUN))
            copied = [Stamped(parse_event(data), data, event_digest(data)) for data in copies]
            written = self._write([*copied, *of_ledger])
        self._sync(written[-1])
        self._observe(written)
        return written

    def _observe(self, written: Sequence[Frame]) -> None:
        if self.observer is not None:
            self.observer([frame.event for frame in written])

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
                    if event.v in wanted and is_same_event(wanted[event.v], frame):
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

    def seal_closed(self) -> list[Seal]:
        """Seal what was closed at its full size; the open segment stays as it is.

        Returns:
            The new seals; none where nothing waits.

        Raises:
            Busy: Another process is archiving: it does the same.
            DamagedLedger: A segment, or its copy, is not what was written.
            OSError: There is no room for the copy, for example. The segment waits on.
        """
        if len(self.segments.logged()) < 2:
            return []
        with locked(self._archive_lock, 0):
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
        with self._append_lock:
            self._catch_up()
            cursor = self._heads.place.cursor
            if self._heads.place.offset == 0:
                return
            self._roll()
            self._segment_fd()
        self._durable.advance(cursor)

    @property
    def _archive_lock(self) -> Path:
        return self.root / "locks" / "archive"

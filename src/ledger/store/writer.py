"""The end of a log: where one process at a time writes, and the disk confirms for all of them at once.

Order is decided under ``locks/append``: read what others appended, set a torn tail aside, write. The sync
comes after the unlock. A writer that was overtaken by then takes turns with others at ``locks/sync``: who has
the turn syncs all that is written so far, and who waited finds in ``durable`` that it is done.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from msgspec import Raw
from msgspec.structs import replace

from ledger.errors import DamagedLedger, UnsyncedLog
from ledger.events import (
    LEDGER_RUN,
    NO_DIGEST,
    Event,
    LedgerRecovered,
    UnknownEvent,
    encode_event,
    event_digest,
)
from ledger.frames import Cursor, Frame, encode_frame
from ledger.heads import RunHead, Step
from ledger.stamps import Stamp
from ledger.store.disk import sync_data, sync_directory, write_all, write_durably
from ledger.store.journal import Heads, last_boot
from ledger.store.locks import Lock
from ledger.store.reader import LogReader, check_mark, covered_break, damage_of, unlike_mark
from ledger.store.segments import SEGMENT_SIZE_BYTES, Break, Place, line_before

SYNC_TURN_S = 0.25
"""How long a writer waits for its turn before it syncs for itself: the process that has it may be stopped."""
_SETTLED_NS = 3_000_000_000
"""A directory whose time is older than this when it is read gets another time when it changes."""


class Stamped(NamedTuple):
    """An event as it goes into the log: its value, its stored bytes and their digest."""

    event: Event | UnknownEvent
    data: bytes
    digest: str


class LogWriter(LogReader):
    """The log of a ledger's directory, for appending. One instance serves one thread."""

    def __init__(self, root: Path, stamp: Stamp) -> None:
        super().__init__(root)
        self._stamp = stamp
        self._fd = -1
        self._fd_segment = 0
        self._fd_process = 0
        self._append_lock = Lock(root / "locks" / "append")
        self._sync_lock = Lock(root / "locks" / "sync")
        # As strings: at every append the system is asked about both.
        self._log_name, self._unsynced_name = str(self.segments.root), str(self._unsynced_path)
        self._log_time_ns = -1
        self._last_name = 0
        self._shares = False

    def close(self) -> None:
        """Release what is open. Nothing is pending: every append was synced before it returned."""
        self._release()
        self._append_lock.close()
        self._sync_lock.close()

    def settle(self) -> None:
        """Write anew what a failed sync left in doubt, so that what is decided next knows of it.

        Raises:
            UnsyncedLog: The disk still does not confirm. The log is as it was.
        """
        if self._is_in_doubt():
            with self._append_lock:
                if self._is_in_doubt():
                    self._rewrite_unsynced()

    def _is_in_doubt(self) -> bool:
        """Return whether a sync failed since the log was last written anew."""
        return os.access(self._unsynced_name, os.F_OK)

    def _rewrite_unsynced(self) -> None:
        """Write what a failed sync left in doubt into a new segment, then let appends go on."""
        # Segments before the last one were synced when it was begun, whatever the mark still says.
        begun = max(self.segments.logged(), default=1) - 1
        confirmed = max(self._durable.read().position, begun)
        place = self.beginning()
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
        """Come to the log's end: doubts written anew, the events of others folded, a torn tail set aside.

        The append lock is held.
        """
        if self._is_in_doubt():
            self._rewrite_unsynced()
        if not self._loaded:
            # Whether it is synced does not matter to a writer: its own sync will cover it.
            self._adopt()
            for mark in self.root.glob("unsynced.*"):
                if mark != self._unsynced_path:
                    mark.unlink(missing_ok=True)  # Of an earlier boot: it says nothing of this one.
        self._shares = not self._at_end()
        if not self._shares:
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
        place = self._heads.place
        if place != before and not self._ends_group(place) and not self.holds(place):
            self._journal.close()
            self._heads = Heads(self.beginning())

    def _ends_group(self, place: Place) -> bool:
        """Return whether the segment that is open here has the frame before a place; `holds` asks the log."""
        if self._fd_segment != place.segment or self._last_segment() != place.segment:
            return False
        # What others wrote in this boot need not be hashed again to tell that it is what the journal names.
        return line_before(self._fd, place.offset).startswith(b'{"h":"%b"' % place.cursor.hash.encode())

    def _scan(self, durable: Cursor) -> None:
        """Fold the frames that no journal led past, and set a torn tail aside."""
        self._release_segment()
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
        if self._last_segment() != segment:
            return False
        if self._fd_segment == segment:
            facts = os.fstat(self._fd)
            if facts.st_nlink:
                return facts.st_size == offset
            # Others have written the whole segment anew: this is the file that was there before.
            self._release_segment()
        return self.segments.path(segment).stat().st_size == offset

    def _last_segment(self) -> int:
        """Return the last segment, 0 where there is none; names are only read when they may have changed."""
        time_ns = os.stat(self._log_name).st_mtime_ns  # noqa: PTH116 - asked at every append
        if time_ns != self._log_time_ns:
            settled = time_ns + _SETTLED_NS < time.time_ns()
            self._last_name = max(self.segments.logged(), default=0)
            self._log_time_ns = time_ns if settled else -1
        return self._last_name

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
        self._write(stamped([event], self._heads.get(LEDGER_RUN)))

    def _write(self, events: Sequence[Stamped]) -> tuple[Frame, ...]:
        """Write events as one group at the end of the log and fold it. The append lock is held."""
        if self._heads.place.offset >= SEGMENT_SIZE_BYTES:
            self._roll()
        fd = self._segment_fd()
        segment, offset, cursor = self._heads.place
        lines, frames = bytearray(), list[Frame]()
        position, last = cursor.position, cursor.hash
        durable = self._confirmed
        if durable < position:
            durable = max(durable, self._durable.read().position)
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
        first = cursor.position + 1
        self._advance([Step(event, digest, first + i) for i, (event, _, digest) in enumerate(events)])
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
        # A forked process needs an open file of its own: of a shared one, Linux tells a failed write to
        # one of the two alone, and the other would acknowledge what is lost.
        if self._fd < 0 or (self._fd_segment, self._fd_process) != (segment, os.getpid()):
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
        """Return once the log is on the disk up to ``last``, by a sync of this writer or of another.

        Raises:
            UnsyncedLog: The disk did not confirm it; every writer whose bytes that sync was to cover says so.
        """
        if last.s <= self._confirmed:
            return None
        mine, fd = self._heads.place, self._segment_fd()
        facts = os.fstat(fd)
        if not self._shares and facts.st_nlink and facts.st_size == mine.offset:
            # Nobody wrote since this one's last append, nor behind it: there is nobody to share a sync with.
            return self._confirm_on_disk(mine.cursor)
        with self._sync_lock.unless(lambda: self._durable.read().position >= last.s, SYNC_TURN_S) as needed:
            if needed:
                self._adopt_others()
            if self._is_in_doubt():
                raise self._in_doubt("another process was told that a sync failed")
            if self._last_segment() != mine.segment or os.fstat(fd).st_nlink == 0:
                # It was closed, or written anew after a failed sync: synced either way, if all is there.
                if not self.holds(mine):
                    raise self._in_doubt("the log was written anew without the event")
                self._confirmed = last.s
            elif needed:
                # What others have written by now is in the same file; the journal names no less.
                self._confirm_on_disk(max(mine, self._heads.place).cursor)
        return None

    def _confirm_on_disk(self, cursor: Cursor) -> None:
        """Sync the open segment, which has all up to ``cursor``, and let the others know."""
        try:
            sync_data(self._fd)
        except OSError as error:
            raise self._unsynced(error) from error
        self._confirmed = cursor.position
        with suppress(OSError):
            # The events are on the disk, and too low a mark is safe: the next append says it again.
            self._durable.advance(cursor)

    def _forget(self) -> None:
        """Let go of what was folded and opened: it holds what is in doubt."""
        self._release()
        self._loaded = False

    def _release(self) -> None:
        """Close what is open of the log. The locks stay: one of them may be held."""
        self._release_segment()
        self._durable.close()
        self._journal.close()

    def _unsynced(self, error: OSError) -> UnsyncedLog:
        """Mark the log as one that the disk did not confirm, and return the error that says so."""
        self._mark_unsynced(error)
        return self._in_doubt(str(error))

    def _in_doubt(self, reason: str) -> UnsyncedLog:
        """Forget what may have come to nothing, and return the error that says so."""
        self._forget()
        return UnsyncedLog(self.segments.root, reason)


def stamped(events: Sequence[Event], head: RunHead | None) -> list[Stamped]:
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


def is_same_event(event: Event, frame: Frame) -> bool:
    """Return whether a stored event is the one that is being appended again."""
    stored = frame.event
    if not isinstance(stored, Event):
        return False
    return stored == replace(event, v=stored.v, prev=stored.prev, at_ns=stored.at_ns)

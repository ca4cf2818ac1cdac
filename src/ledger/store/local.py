"""The local store: a ledger in one directory, shared by any number of processes.

Append order: bodies are durable before an event names them; then lock, read what others
appended, check the version, write, unlock, sync, advance ``durable``, return. Syncing after the
unlock keeps the order and lets many writers share one sync. A crash before the return leaves
either nothing, or a whole group that the next reader syncs before it uses it, or a torn tail
that the next writer sets aside.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec

from ledger.errors import DamagedLedger, LostRace, NewerFormat, NoLedger, UnsyncedLog
from ledger.events import (
    LEDGER_RUN,
    NO_DIGEST,
    Event,
    LedgerRecovered,
    Stamp,
    encode_event,
    event_digest,
)
from ledger.frames import Cursor, Frame, encode_frame, parse_frame
from ledger.heads import RunHead, advance
from ledger.store.bodies import Bodies
from ledger.store.disk import boot_id, locked, sync_data, sync_directory, write_all, write_durably
from ledger.store.marks import Heads, last_boot, read_durable, read_heads, write_durable, write_heads
from ledger.store.segments import SEGMENT_SIZE_BYTES, Break, Located, Place, Segments

FORMAT = b"ledger/1\n"
_DIRECTORIES = ("log", "bodies", "cache", "quarantine", "locks")


class LocalStore:
    """A ledger's directory, ``<git common dir>/ledger``. One instance serves one thread."""

    def __init__(self, root: Path, stamp: Stamp) -> None:
        self.root = root
        self.bodies = Bodies(root / "bodies")
        self.segments = Segments(root / "log")
        self._stamp = stamp
        self._heads = Heads(boot=boot_id())
        self._loaded = False
        self._confirmed = 0
        self._fd = -1
        self._fd_segment = 0

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
            write_durably(root / "FORMAT", FORMAT)
            sync_directory(root.parent)
            found = FORMAT
        if found != FORMAT:
            raise NewerFormat(root, found.decode("utf-8", "replace").strip(), FORMAT.decode().strip())
        return cls(root, stamp)

    def close(self) -> None:
        """Release the open segment. Nothing is pending: every append was synced before it returned."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def read_body(self, digest: str) -> bytes:
        """See `Store.read_body`."""
        return self.bodies.read(digest)

    def write_body(self, data: bytes) -> str:
        """See `Store.write_body`."""
        return self.bodies.write(data)

    # Reading: no lock, nothing written.

    def groups(self, after: Place | None = None) -> Iterator[tuple[list[Frame], Place]]:
        """See `Store.groups`."""
        for group, place in self._confirmed_groups(after or self._beginning()):
            yield [located.frame for located in group], place

    def frames(self) -> Iterator[Frame]:
        """See `Store.frames`."""
        for group, _ in self._confirmed_groups(self._beginning()):
            for located in group:
                yield located.frame

    def holds(self, place: Place) -> bool:
        """Return whether the log has the frame that a place follows, just before its offset."""
        if place.offset == 0:
            return place.cursor == Cursor()
        return self.segments.line_before(place).startswith(b'{"h":"%b"' % place.cursor.hash.encode())

    def located(self) -> Iterator[tuple[int, Located]]:
        """Yield every confirmed frame from the beginning with its segment, for verification.

        Raises:
            DamagedLedger: The chain breaks off at bytes that were acknowledged.
        """
        for group, place in self._confirmed_groups(self._beginning()):
            for located in group:
                yield place.segment, located

    def heads(self) -> Mapping[str, RunHead]:
        """See `Store.heads`."""
        self._load()
        for group, place in self._confirmed_groups(self._heads.place):
            self._fold(group, place)
        return self._heads.runs

    def position(self) -> int:
        """Return the position of the last confirmed event, 0 in an empty log."""
        self.heads()
        return self._heads.position

    def backward(self) -> Iterator[Frame]:
        """Yield confirmed frames from the newest to the oldest; each hash is checked, the chain is not."""
        last = self.position()
        for frame in self.segments.backward():
            if frame.s <= last:
                yield frame

    def _first(self) -> int:
        firsts = self.segments.firsts()
        return firsts[0] if firsts else 1

    def _beginning(self) -> Place:
        return Place(self._first(), 0, Cursor())

    def _load(self) -> None:
        """Adopt the cached heads once, after making sure that what they cover is on the disk."""
        if self._loaded:
            return
        self._adopt()
        if self._heads.position and not self._confirm(self._heads.position):
            self._heads = Heads(boot=boot_id(), segment=self._first())

    def _adopt(self) -> None:
        """Take over the cached heads, or begin at the log's beginning where they do not fit the log."""
        heads = read_heads(self._heads_path)
        if not heads.position or not self.holds(heads.place):
            heads = Heads(boot=boot_id(), segment=self._first())
        self._heads, self._loaded = heads, True

    def _confirmed_groups(self, start: Place) -> Iterator[tuple[list[Located], Place]]:
        durable = read_durable(self._durable_path)
        place = start
        try:
            for group, place in self.segments.groups(start):
                _check_mark(durable, group)
                if not self._confirm(place.cursor.position):
                    return
                yield group, place
        except Break as broken:
            if reason := _damage(broken, durable, same_boot=False):
                raise DamagedLedger(*reason) from broken
            return
        if place.cursor.position < durable.position:
            reason = f"the log ends at position {place.cursor.position}, {durable.position} was acknowledged"
            raise DamagedLedger("log", reason)

    def _confirm(self, position: int) -> bool:
        """Return whether the log is on the disk up to ``position``, syncing it if nobody has said so."""
        if position > self._confirmed:
            self._confirmed = max(self._confirmed, read_durable(self._durable_path).position)
        if position > self._confirmed:
            if self._unsynced_path.exists():
                return False
            try:
                self._sync_segments()
            except OSError:
                return False
            self._confirmed = position
        return True

    def _sync_segments(self) -> None:
        """Sync the last segment and the log's names; earlier segments were synced when they were closed."""
        fd = os.open(self.segments.path(self.segments.firsts()[-1]), os.O_RDONLY | os.O_CLOEXEC)
        try:
            sync_data(fd)
        finally:
            os.close(fd)
        sync_directory(self.segments.root)

    # Writing.

    def append(self, events: Sequence[Event], expected_v: int | None = None) -> tuple[Frame, ...]:
        """See `Store.append`."""
        with locked(self.root / "locks" / "append"):
            if self._unsynced_path.exists():
                self._rewrite_unsynced()
            self._catch_up()
            head = self._heads.runs.get(events[0].run)
            written = None if expected_v is None else self._retry(events, expected_v, head)
            if written is None:
                written = self._write(_stamped(events, head))
        self._sync(written[-1])
        return written

    def _rewrite_unsynced(self) -> None:
        """Write what a failed sync left in doubt into a new segment, then let appends go on."""
        # Segments before the last one were synced when it was begun, whatever the mark still says.
        begun = max(self.segments.firsts(), default=1) - 1
        confirmed = max(read_durable(self._durable_path).position, begun)
        place = self._beginning()
        try:
            if confirmed:
                groups = self.segments.groups(place)
                place = next(behind for _, behind in groups if behind.cursor.position == confirmed)
            self.segments.rewrite(place)
        except (Break, StopIteration) as error:
            raise DamagedLedger("log", f"position {confirmed} was acknowledged") from error
        except OSError as error:
            raise UnsyncedLog(self.segments.root, str(error)) from error
        self.close()
        self._heads_path.unlink(missing_ok=True)
        self._loaded = False
        self._unsynced_path.unlink()
        sync_directory(self.root)

    def _catch_up(self) -> None:
        """Fold what others appended and set a torn tail aside. The append lock is held."""
        if not self._loaded:
            # Whether it is synced does not matter to a writer: its own sync will cover it.
            self._adopt()
        path = self.segments.path(self._heads.segment)
        if path.exists() and path.stat().st_size == self._heads.offset and not self._has_newer_segment():
            return
        durable = read_durable(self._durable_path)
        try:
            for group, place in self.segments.groups(self._heads.place):
                _check_mark(durable, group)
                self._fold(group, place)
        except Break as broken:
            same_boot = last_boot(self._heads_path) == boot_id() != ""
            if reason := _damage(broken, durable, same_boot=same_boot):
                raise DamagedLedger(*reason) from broken
            self._recover(broken)
        if self._heads.position < durable.position:
            reason = f"the log ends at position {self._heads.position}, {durable.position} was acknowledged"
            raise DamagedLedger("log", reason)

    def _has_newer_segment(self) -> bool:
        firsts = self.segments.firsts()
        return bool(firsts) and firsts[-1] > self._heads.segment

    def _fold(self, group: list[Located], place: Place) -> None:
        for located in group:
            frame = located.frame
            try:
                event = frame.event
            except msgspec.DecodeError as error:
                raise DamagedLedger(f"position {frame.s}", f"not an event: {error}") from error
            head = self._heads.runs.get(event.run)
            self._heads.runs[event.run] = advance(head, event, event_digest(frame.e), frame.s)
        self._heads.place = place

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
        self._write(_stamped([event], self._heads.runs.get(LEDGER_RUN)))

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

    def _write(self, events: Sequence[Event]) -> tuple[Frame, ...]:
        """Write one group at the end of the log and fold it. The append lock is held."""
        if self._heads.offset >= SEGMENT_SIZE_BYTES:
            self._roll()
        fd = self._segment_fd()
        lines, cursor = bytearray(), self._heads.place.cursor
        group: list[Located] = []
        durable = max(self._confirmed, read_durable(self._durable_path).position)
        for remaining, event in zip(range(len(events) - 1, -1, -1), events, strict=True):
            line, digest = encode_frame(
                encode_event(event), cursor.hash, cursor.position + 1, remaining, durable
            )
            lines += line
            cursor = Cursor(cursor.position + 1, digest)
            group.append(Located(parse_frame(line[:-1]), line, self._heads.offset + len(lines)))
        try:
            write_all(fd, bytes(lines))
        except OSError:
            # Nobody has seen these bytes: take them back rather than leave a torn tail.
            os.ftruncate(fd, self._heads.offset)
            raise
        self._fold(group, Place(self._heads.segment, self._heads.offset + len(lines), cursor))
        self._heads.boot = boot_id()
        write_heads(self._heads_path, self._heads)
        return tuple(located.frame for located in group)

    def _roll(self) -> None:
        """Close the last segment: its bytes and name are on the disk before the next one's first frame."""
        self._sync_segments()
        self._heads.place = Place(self._heads.position + 1, 0, self._heads.place.cursor)

    def _segment_fd(self) -> int:
        segment = self._heads.segment
        if self._fd < 0 or self._fd_segment != segment:
            self.close()
            path = self.segments.path(segment)
            new = not path.exists()
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            self._fd_segment = segment
            if new:
                sync_directory(self.segments.root)
        return self._fd

    def _sync(self, last: Frame) -> None:
        if last.s <= self._confirmed:
            return
        try:
            sync_data(self._segment_fd())
        except OSError as error:
            # Linux tells a write error once and then shows the pages clean: every later opener
            # must know that the bytes past `durable` may not be on the disk.
            write_durably(self._unsynced_path, f"{error}\n".encode())
            raise UnsyncedLog(self.segments.root, str(error)) from error
        self._confirmed = last.s
        write_durable(self._durable_path, Cursor(last.s, last.h))

    @property
    def _durable_path(self) -> Path:
        return self.root / "durable"

    @property
    def _unsynced_path(self) -> Path:
        return self.root / "unsynced"

    @property
    def _heads_path(self) -> Path:
        return self.root / "cache" / "heads"


def _stamped(events: Sequence[Event], head: RunHead | None) -> list[Event]:
    """Return the events of one run with ``v`` and ``prev`` set, following ``head``."""
    v, prev = (0, NO_DIGEST) if head is None else (head.v, head.digest)
    stamped: list[Event] = []
    for event in events:
        v += 1
        done = msgspec.structs.replace(event, v=v, prev=prev)
        prev = event_digest(encode_event(done))
        stamped.append(done)
    return stamped


def _same(event: Event, frame: Frame) -> bool:
    """Return whether a stored event is the one that is being appended again."""
    stored = frame.event
    if not isinstance(stored, Event):
        return False
    return stored == msgspec.structs.replace(event, v=stored.v, prev=stored.prev, at_ns=stored.at_ns)


def _check_mark(durable: Cursor, group: list[Located]) -> None:
    """Check that the frame which ``durable`` names is the one that was acknowledged."""
    for located in group:
        if located.frame.s == durable.position and located.frame.h != durable.hash:
            reason = "the frame is not the one that was acknowledged"
            raise DamagedLedger(f"position {durable.position}", reason)


def _damage(broken: Break, durable: Cursor, *, same_boot: bool) -> tuple[str, str] | None:
    """Return where and why a break is damage, None where it is a torn tail.

    Only bytes past every confirmed position can be torn, and as long as the system has not
    restarted, only by an append that did not write all of its bytes.
    """
    position = broken.place.cursor.position + 1
    covered = max(durable.position, broken.witness)
    place = f"log/{broken.place.segment:020d}.jsonl, byte {broken.place.offset}, position {position}"
    if covered >= position:
        return place, f"{broken.reason}; positions to {covered} were acknowledged"
    if same_boot and not broken.short:
        return place, f"{broken.reason}; the system has not restarted since it was written"
    return None

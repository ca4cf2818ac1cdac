"""Reading a log: its confirmed groups and heads, without a lock and without healing anything.

What a reader finds past the last sync it syncs itself before it hands it on, so that nobody acts on
an event that a power failure takes back.

See: ``docs/format.md``, "What a reader may consume".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain as chained
from itertools import zip_longest
from pathlib import Path

import msgspec

from ledger.errors import DamagedLedger
from ledger.events import AnyEvent, RetentionApplied, RunImported, event_digest, parse_event
from ledger.frames import BadFrame, Cursor, Frame, parse_frame
from ledger.heads import SUPERSEDED, RunHead, Step, advance, from_elsewhere, retired_heads
from ledger.store.catalogue import Catalogue
from ledger.store.chain import ChainPass, Chunks, chunks_of_file, chunks_of_sealed
from ledger.store.disk import sync_directory, sync_file
from ledger.store.journal import Heads, Journal
from ledger.store.marks import DurableMark
from ledger.store.segments import Break, Located, Place, Segments


class _Naming(msgspec.Struct):
    """The place of an event in its run."""

    run: str
    v: int
    prev: str


_naming = msgspec.json.Decoder(_Naming)


class LogReader:
    """The log of a ledger's directory, for reading. One instance serves one thread.

    ``sync_failed`` says that the disk refused to confirm what lies past ``durable``: it is left out.
    ``until`` is the last position that is seen, None for all that is confirmed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.until: int | None = None
        self.segments = Segments(root / "log")
        self._catalogue = Catalogue(root / "cache" / "catalogue", self.segments)
        self._durable = DurableMark(root / "durable")
        self._journal = Journal(root / "cache" / "heads", self._durable)
        self._unsynced_path = root / f"unsynced.{self._journal.boot}"
        self._heads = Heads(Place(1, 0, Cursor()))
        self._loaded = False
        self._confirmed = 0
        self._checked: Place | None = None
        self.sync_failed = False

    def groups(self, after: Place | None = None) -> Iterator[tuple[list[Frame], Place]]:
        """See `Store.groups`."""
        for group, place in self._confirmed_groups(after or self.beginning()):
            yield [located.frame for located in group], place

    def frames(self) -> Iterator[Frame]:
        """See `Store.frames`."""
        for group, _ in self._confirmed_groups(self.beginning()):
            for located in group:
                yield located.frame

    def holds(self, place: Place) -> bool:
        """Return whether the log has the frame that a place follows, just before its offset."""
        return self.segments.holds(place)

    def located(self) -> Iterator[tuple[int, Located]]:
        """Yield every confirmed frame from the beginning with its segment, for verification.

        Raises:
            DamagedLedger: The chain breaks off at bytes that were acknowledged.
        """
        for group, place in self._confirmed_groups(self.beginning()):
            for located in group:
                yield place.segment, located

    def check_chains(
        self, wanted: Collection[int] = (), superseded: Collection[str] | None = None
    ) -> ChainPass | None:
        """Check the whole log in one pass over its stored bytes; return None where not all is plainly well.

        None does not say that anything is wrong, for which see `frames`: a torn tail, an append under way,
        a frame that retention took or the JSON of another writer is enough.

        Args:
            wanted: Positions whose hashes the pass shall note.
            superseded: Kinds of which the pass shall keep the last events alone.
        """
        durable = self._durable.read()
        chain = ChainPass({durable.position, *wanted}, superseded)
        try:
            for first in self.segments.firsts():
                if first != chain.cursor.position + 1 or not chain.take(self._chunks(first)):
                    return None
        except DamagedLedger:
            return None
        if chain.cursor.position < durable.position or chain.hashes.get(durable.position) != durable.hash:
            return None
        return chain if self._confirm(chain.cursor.position) else None

    def check_from(self, start: Place | None) -> tuple[Place, int]:
        """Check every confirmed frame past a place, and return the place behind the last and their number.

        Raises:
            DamagedLedger: One is not what was written.
        """
        checked = None
        if start is None:
            self.heads()
            place = self._heads.place
            checked, self._checked = self._checked, None
            if checked is not None:
                start = checked  # A moment ago, for the heads.
            else:
                chain = self.check_chains([place.cursor.position])
                if chain is not None and chain.hashes.get(place.cursor.position) == place.cursor.hash:
                    return place, place.cursor.position
        end, count = start or self.beginning(), 0 if checked is None else checked.cursor.position
        for group, place in self._confirmed_groups(end):
            end, count = place, count + len(group)
        return end, count

    def files(self, start: Place, end: Place) -> tuple[list[Path], list[Path]]:
        """Return the files that hold the frames between two places: of the log, and sealed ones, checked.

        Raises:
            DamagedLedger: A sealed one is not what was sealed.
        """
        firsts = [first for first in self.segments.firsts() if start.segment <= first <= end.segment]
        logged = [first for first in firsts if self.segments.path(first).exists()]
        sealed = self.segments.sealed
        checked = [sealed.check(sealed.seal(first)) for first in firsts if first not in logged]
        return [self.segments.path(first) for first in logged], checked

    def _chunks(self, first: int) -> Chunks:
        try:
            return chunks_of_file(self.segments.path(first))
        except FileNotFoundError:
            return chunks_of_sealed(self.segments.sealed, first)

    def heads(self) -> Mapping[str, RunHead]:
        """See `Store.heads`."""
        self._load()
        if self._heads.position == 0 and self.until is None:
            self._fold_whole()
        for group, place in self._confirmed_groups(self._heads.place):
            self._fold(group, place)
        return self._heads.every()

    def unconfirmed(self) -> int:
        """Return how many whole frames lie past what may be consumed: the disk has not confirmed them."""
        self.heads()
        count = 0
        try:
            for group, _ in self.segments.groups(self._heads.place):
                count += len(group)
        except Break:
            pass
        return count

    def position(self) -> int:
        """Return the position of the last confirmed event, 0 in an empty log."""
        self.heads()
        return self._heads.position

    def backward(self, run: str | None = None, until_v: int | None = None) -> Iterator[Frame]:
        """Yield confirmed frames from the newest to the oldest; each hash is checked, the chain is not.

        Args:
            run: Those of this run alone: none of its versions is left out, whatever the catalogue says.
            until_v: With ``run``: from this version on.
        """
        last = self.position()
        if run is None:
            yield from (frame for frame in self.segments.backward() if frame.s <= last)
            return
        head = self.heads().get(run)
        if head is None or head.retired:
            return
        wanted = head.v if until_v is None else min(until_v, head.v)
        for frame in chained(self._run_backward(run, last, wanted), self.segments.backward()):
            name = _naming.decode(frame.e) if wanted and frame.s <= last else None
            if name is not None and (name.run, name.v) == (run, wanted):
                yield frame
                wanted -= 1
            if not wanted:
                return

    def _run_backward(self, run: str, last: int, until_v: int) -> Iterator[Frame]:
        """Yield the intact frames that the catalogue leads to, the newest first, and maybe others."""
        following = last + 1
        for first in reversed(self.segments.firsts()):
            for line in self._catalogue.lines_backward(first, run, last, until_v):
                with suppress(BadFrame):
                    frame = parse_frame(line)
                    if frame.s < following:
                        yield frame
            following = min(first, following)

    def of_run(self, run: str, after_v: int = 0, until_v: int | None = None) -> Iterator[Frame]:
        """See `Store.of_run`."""
        head = self.heads().get(run)
        if head is None or head.retired:
            return
        end = head.v if until_v is None else min(until_v, head.v)
        v, before = after_v, ""
        for frame in self._catalogued(run, after_v, end):
            name = _naming.decode(frame.e)
            if name.run != run or not after_v < name.v <= end:
                continue
            if name.v != v + 1 or (before and name.prev != before):
                break
            v, before = name.v, event_digest(frame.e)
            yield frame
        if v < end or (v == head.v and before and before != head.digest):
            # The catalogue misses some, or a frame is not what it was: the log itself says which.
            yield from self._scanned(run, v, end)

    def _catalogued(self, run: str, after_v: int, until_v: int) -> Iterator[Frame]:
        """Yield the intact confirmed frames that the catalogue leads to; some may be of other runs."""
        last = self.position()
        firsts = self.segments.firsts()
        for first, following in zip_longest(firsts, firsts[1:], fillvalue=last + 1):
            for line in self._catalogue.lines(first, run, last, after_v, until_v):
                with suppress(BadFrame):
                    frame = parse_frame(line)
                    if frame.s < min(following, last + 1):
                        yield frame

    def _scanned(self, run: str, after_v: int, until_v: int) -> Iterator[Frame]:
        """Yield the frames of a run from a pass over the whole log.

        Raises:
            DamagedLedger: It is not what was written.
        """
        for frame in self.frames():
            name = _naming.decode(frame.e)
            if name.run == run and after_v < name.v <= until_v:
                yield frame

    def find(self, id_: str) -> AnyEvent | None:
        """Return the confirmed event of an id, None where no event has it."""
        last = self.position()
        for frame in self.segments.named(id_):
            event = frame.event
            if frame.s <= last and event.id == id_:
                return event
        return None

    def _first(self) -> int:
        firsts = self.segments.firsts()
        return firsts[0] if firsts else 1

    def beginning(self) -> Place:
        """Return the place before the first frame that there is."""
        return Place(self._first(), 0, Cursor())

    def _load(self) -> None:
        """Adopt the cached heads once, after making sure that what they cover is on the disk."""
        if self._loaded:
            return
        if self.until is not None:
            # What is cached is of the whole log.
            self._heads, self._loaded = Heads(self.beginning()), True
            return
        self._adopt()
        if self._heads.position and not self._confirm(self._heads.position):
            self._heads = Heads(self.beginning())

    def _adopt(self) -> None:
        """Take over the cached heads, or begin at the log's beginning where they do not fit the log."""
        self._heads, self._loaded = Heads(self.beginning()), True
        self._journal.close()
        self._journal.read(self._heads)
        if not self.holds(self._heads.place):
            self._journal.close()
            self._heads = Heads(self.beginning())

    def _confirmed_groups(self, start: Place) -> Iterator[tuple[list[Located], Place]]:
        durable = self._durable.read()
        place = start
        if self.until is not None and start.cursor.position >= self.until:
            return
        try:
            for group, place in self.segments.groups(start):
                check_mark(durable, group)
                if not self._confirm(place.cursor.position):
                    return
                if self.until is not None and place.cursor.position >= self.until:
                    yield _cut(group, place.segment, self.until)
                    return
                yield group, place
        except Break as broken:
            if reason := damage_of(broken, durable, same_boot=False):
                raise DamagedLedger(*reason) from broken
            return
        if place.cursor.position < durable.position:
            reason = f"the log ends at position {place.cursor.position}, {durable.position} was acknowledged"
            raise DamagedLedger("log", reason)

    def _confirm(self, position: int) -> bool:
        """Return whether the log is on the disk up to ``position``, syncing it if nobody has said so."""
        if position > self._confirmed:
            self._confirmed = max(self._confirmed, self._durable.read().position)
        if position > self._confirmed:
            if self.sync_failed or self._unsynced_path.exists():
                return False
            try:
                self._sync_segments()
            except OSError as error:
                # A later sync that succeeds proves nothing: the error is told once.
                self.sync_failed = True
                self._mark_unsynced(error)
                return False
            self._confirmed = position
        return True

    def _sync_segments(self) -> None:
        """Sync the last segment and the log's names; earlier segments were synced when they were closed."""
        sync_file(self.segments.path(self.segments.logged()[-1]))
        sync_directory(self.segments.root)

    def _fold(self, group: list[Located], place: Place) -> None:
        steps: list[Step] = []
        for frame in (located.frame for located in group):
            try:
                event = frame.event
            except msgspec.DecodeError as error:
                raise DamagedLedger(f"position {frame.s}", f"not an event: {error}") from error
            steps.append(Step(event, event_digest(frame.e), frame.s))
        self._advance(steps)
        self._heads.place = place

    def _fold_whole(self) -> None:
        """Fold the log from its beginning, in one pass over its bytes, where that is plainly well.

        A head is what the last events of some kinds say, and all of the others: the rest is not decoded.
        """
        logged = self.segments.logged()
        chain = self.check_chains(superseded=SUPERSEDED) if logged else None
        if chain is None or self.segments.firsts()[-1] != logged[-1]:
            return
        try:
            events = [(parse_event(kept.data), kept) for kept in chain.kept()]
        except msgspec.DecodeError:
            return  # Whoever comes to it says which it is.
        if any(isinstance(event, RetentionApplied) for event, _ in events):
            return  # What it took depends on how far a run had come.
        for event, kept in events:
            self._advance([Step(event, event_digest(kept.data), kept.position)])
        self._heads.place = self._checked = Place(logged[-1], chain.offset, chain.cursor)

    def _advance(self, group: Sequence[Step]) -> None:
        """Let the heads know of the events of one group."""
        heads, begin = self._heads, 0
        while begin < len(group):
            run, end = group[begin].event.run, begin + 1
            while end < len(group) and group[end].event.run == run:
                end += 1
            steps, begin = group[begin:end], end
            heads.put(advance(heads.get(run), steps))
            for event, _, position in steps:
                if isinstance(event, RetentionApplied):
                    for retired in retired_heads(event, heads.get, position):
                        heads.put(retired)
                if isinstance(event, RunImported) and (imported := heads.get(event.of)) is not None:
                    heads.put(from_elsewhere(imported))

    def _mark_unsynced(self, error: OSError) -> None:
        """Tell every later opener that the bytes past ``durable`` may not be on the disk.

        Linux tells a write error once and then shows the pages clean, so whoever hears of it has to say so, a
        reader too. It is nothing that has to outlive the system: after a restart what can be read comes from
        the disk. So the name says it, with the boot in it, from the moment that it is made. Where not even a
        name can be made, the next reader's own sync is what is left to ask.
        """
        with suppress(OSError):
            self._unsynced_path.write_bytes(f"{error}\n".encode())


def _cut(group: list[Located], segment: int, until: int) -> tuple[list[Located], Place]:
    """Return the part of a group up to a position, and the place behind it."""
    part = [located for located in group if located.frame.s <= until]
    return part, Place(segment, part[-1].end, Cursor(part[-1].frame.s, part[-1].frame.h))


def check_mark(durable: Cursor, group: list[Located]) -> None:
    """Check that the frame which ``durable`` names is the one that was acknowledged."""
    for located in group:
        if located.frame.s == durable.position and located.frame.h != durable.hash:
            raise unlike_mark(durable)


def unlike_mark(durable: Cursor) -> DamagedLedger:
    """Return the error that the frame which ``durable`` names is another one."""
    reason = "the frame is not the one that was acknowledged"
    return DamagedLedger(f"position {durable.position}", reason)


def damage_of(broken: Break, durable: Cursor, *, same_boot: bool) -> tuple[str, str] | None:
    """Return where and why a break is damage, None where it is a torn tail.

    Only bytes past every confirmed position can be torn, and as long as the system has not
    restarted, only by an append that did not write all of its bytes.
    """
    position = broken.place.cursor.position + 1
    covered = max(durable.position, broken.witness)
    if covered >= position:
        return covered_break(broken, covered)
    if same_boot and not broken.short:
        return _place(broken), f"{broken.reason}; the system has not restarted since it was written"
    return None


def covered_break(broken: Break, covered: int) -> tuple[str, str]:
    """Return where and why a break is damage that lies at or before a confirmed position."""
    return _place(broken), f"{broken.reason}; positions to {covered} were acknowledged"


def _place(broken: Break) -> str:
    segment, offset, cursor = broken.place
    return f"log/{segment:020d}.jsonl, byte {offset}, position {cursor.position + 1}"

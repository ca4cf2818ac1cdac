"""The shared store as a projection: a ledger's own runs, brought there byte for byte.

What the store has of a run is the cursor: bodies go first, then the events that name them, in groups that
are never cut. So a kill at any moment leaves a beginning of the run, and the next time goes on behind it. A
file in ``cache/shared/`` remembers up to which position all of it was there, for those that are not to ask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from ledger.bundles import named_bodies
from ledger.events import UnknownEvent, event_digest
from ledger.frames import Frame
from ledger.heads import RunHead
from ledger.sharing_errors import DivergedHome
from ledger.store.disk import write_cached
from ledger.store.local import LocalStore
from ledger.transfer_errors import DivergedRun

if TYPE_CHECKING:
    from ledger.store.postgres import PostgresStore

_FOLDER = "shared"
_BATCH_EVENTS = 500
_BATCH_BYTES = 4 << 20


class Cursor(Struct, frozen=True):
    """Up to which position all that is to be sent is in the store at ``url``, under which home."""

    url: str
    home: str
    position: int


class Sent(Struct, frozen=True):
    """What was sent of one run: the events past ``from_v`` up to ``until_v``, and how many bodies.

    ``there_v`` is where the store has come to. It is past ``until_v`` where this ledger is an old copy.
    """

    run: str
    from_v: int
    until_v: int
    there_v: int
    bodies: int


class SharedProjection:
    """The own runs of one ledger on their way to a shared store."""

    def __init__(
        self,
        store: LocalStore,
        shared: PostgresStore,
        home: str,
        *,
        go_on: Callable[[], bool] = lambda: True,
        dry_run: bool = False,
    ) -> None:
        """Take where from and where to.

        Args:
            store: The ledger.
            shared: Its runs in the shared store.
            home: What it is called there.
            go_on: Asked before each batch; where it says no, the rest stays for the next time.
            dry_run: Send nothing, only say what would be sent.
        """
        self._store, self._shared, self._home = store, shared, home
        self._go_on, self._dry_run = go_on, dry_run
        self.stopped = False
        """Whether ``go_on`` said no."""

    def send(self, run: str) -> Sent:
        """Send what the shared store has not of a run.

        Raises:
            DivergedHome: The store has other events of it. Nothing of it was sent.
            DamagedLedger: An event or a body here is not what was written. What came before it was sent.
        """
        try:
            return self._send(run)
        except DivergedRun as error:
            # To the store, what is there is "here".
            raise DivergedHome(self._home, run, error.v, error.there, error.here) from error

    def _send(self, run: str) -> Sent:
        head = self._store.heads()[run]
        from_v, digest = self._shared.head_of(run)
        if from_v:
            self._check(head, from_v, digest)
        sent_v, bodies = min(from_v, head.v), 0
        for batch in _batches(self._store.of_run(run, from_v, head.v)):
            if not self._go_on():
                self.stopped = True
                break
            bodies += self._send_bodies(batch)
            if not self._dry_run:
                self._shared.append_copies([bytes(frame.e) for frame in batch])
            sent_v = batch[-1].event.v
        return Sent(run, min(from_v, head.v), sent_v, max(from_v, sent_v), bodies)

    def _check(self, head: RunHead, there_v: int, there_digest: str) -> None:
        """Check that the store's events of a run and those here have one beginning.

        Raises:
            DivergedHome, DivergedRun: They have not.
        """
        if there_v > head.v:
            # What is there already is compared, and not appended.
            last = next(iter(self._store.of_run(head.run, head.v - 1, head.v)))
            self._shared.append_copies([bytes(last.e)])
            return
        frame = next(iter(self._store.of_run(head.run, there_v - 1, there_v)))
        here_digest = event_digest(frame.e)
        if here_digest != there_digest:
            raise DivergedHome(self._home, head.run, there_v, here_digest, there_digest)

    def _send_bodies(self, batch: Sequence[Frame]) -> int:
        """Send the bodies that some events name and the store has not; return how many.

        What was dropped is not sent. What an event of an unknown kind names may be no body.
        """
        required, named = dict[str, None](), dict[str, None]()
        for frame in batch:
            event = frame.event
            digests = named_bodies(event, bytes(frame.e))
            (named if isinstance(event, UnknownEvent) else required).update(dict.fromkeys(digests))
        wanted = [digest for digest in {**required, **named} if digest not in self._store.dropped()]
        missing = set(wanted) - self._shared.has_bodies(wanted) if wanted else set[str]()
        chunk: list[bytes] = []
        size_bytes = count = 0
        for digest in (each for each in wanted if each in missing):
            if digest not in required and not self._store.bodies.path(digest).is_file():
                continue
            data = self._store.read_body(digest)
            chunk.append(data)
            count, size_bytes = count + 1, size_bytes + len(data)
            if size_bytes >= _BATCH_BYTES:
                self._write(chunk)
                chunk, size_bytes = [], 0
        self._write(chunk)
        return count

    def _write(self, bodies: Sequence[bytes]) -> None:
        if bodies and not self._dry_run:
            self._shared.write_bodies(bodies)


def _batches(frames: Iterator[Frame]) -> Iterator[list[Frame]]:
    """Yield frames in batches that cut no group: what was appended at once is there at once."""
    batch: list[Frame] = []
    size_bytes = 0
    for frame in frames:
        batch.append(frame)
        size_bytes += len(frame.e)
        if frame.n == 0 and (len(batch) >= _BATCH_EVENTS or size_bytes >= _BATCH_BYTES):
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch


# The cursor


def own_runs(heads: Mapping[str, RunHead], after: int = 0) -> list[RunHead]:
    """Return the heads of the runs that are sent, the oldest change first: own ones, past a position.

    Run ``ledger`` is among them: it says what was dropped. Retired runs are not: they are gone here.
    """
    own = [head for head in heads.values() if not (head.imported or head.retired) and head.position > after]
    return sorted(own, key=lambda head: head.position)


def read_cursor(cache: Path, url: str) -> Cursor | None:
    """Return the cursor of a store, None where nothing is known of it."""
    try:
        return msgspec.json.decode(_path(cache, url).read_bytes(), type=Cursor)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write_cursor(cache: Path, cursor: Cursor) -> None:
    """Remember how far a store is. Without it, the next time asks the store about every run."""
    write_cached(_path(cache, cursor.url), msgspec.json.encode(cursor))


def cursors(cache: Path) -> Iterator[Cursor]:
    """Yield the cursor of every store that was ever sent something from here, as far as that is known."""
    for path in sorted((cache / _FOLDER).glob("*.json")):
        try:
            yield msgspec.json.decode(path.read_bytes(), type=Cursor)
        except (FileNotFoundError, msgspec.DecodeError):
            continue


def count_behind(store: LocalStore, position: int) -> int:
    """Return how many events of own runs lie past a position."""
    heads = own_runs(store.heads(), position)
    return sum(frame.s > position for head in heads for frame in store.of_run(head.run))


def _path(cache: Path, url: str) -> Path:
    return cache / _FOLDER / f"{sha256(url.encode()).hexdigest()[:16]}.json"

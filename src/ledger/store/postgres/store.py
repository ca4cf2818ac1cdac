"""The shared store: the runs of one home on a PostgreSQL server, beside those of others.

An append is one round trip: ``ledger.append`` takes the lock on the run's head, checks version and chain of
the stored bytes, and inserts. Returning means that the server has them on its disk. A call whose answer is
lost is made again with the same bytes; the server knows them by their digests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

import psycopg
from msgspec import UNSET, Raw
from msgspec.structs import replace

from ledger.errors import LostRace, NotACopy
from ledger.events import Event, body_digest, event_digest, parse_event
from ledger.frames import Frame
from ledger.heads import RunHead
from ledger.stamps import Stamp
from ledger.store.postgres.connection import PATIENCE_S, SharedConnection
from ledger.store.postgres.reader import HeadOf, SharedReader, stored_frame
from ledger.store.postgres.schema import check_version, migrate
from ledger.store.writer import Stamped, is_same_event, stamped
from ledger.transfer_errors import DivergedRun

_CHUNK_BYTES = 8 << 20
"""Bodies are sent in requests of about this size."""

_APPEND = "select state, head_v, head_digest, seqs from ledger.append(%s, %s, %s::bytea[])"
_APPEND_ONE = "select ledger.append_one(%s, %s, %s)"
_APPEND_MANY = "select ledger.append_many(%s, %s, %s, %s::bytea[])"
_NOT_A_COPY = "LG001"
_NOT_SHORTLY = "LG002"
_THERE = ("appended", "present")


class _Answer(NamedTuple):
    state: str
    head: HeadOf
    seqs: list[int] | None


class PostgresStore(SharedReader):
    """The runs of one home on a server. One instance serves one thread."""

    def __init__(self, connection: SharedConnection, home: str, label: str, stamp: Stamp) -> None:
        super().__init__(connection, home)
        self.label, self.stamp = label, stamp
        self._registered = False
        self._known: dict[str, HeadOf] = {}

    @classmethod
    def connect(
        cls, url: str, *, home: str, label: str = "", stamp: Stamp, patience_s: float = PATIENCE_S
    ) -> Self:
        """Connect to a shared ledger, once: a server that does not answer now is an error now.

        Args:
            url: What libpq reads: a URL or ``key=value`` words. Everything else is libpq's: TLS, passwords.
            home: The local ledger whose runs this store is about, as `ledger.store.homes.home_of` names it.
            label: What people call it.
            stamp: Source of ids and times.
            patience_s: How long a later call waits for a server that has gone, in seconds.

        Raises:
            InvalidStoreAddress: libpq does not read the address.
            StoreUnreachable: The server does not answer, or does not let this user in.
            NotMigrated: The database holds no shared ledger, or an older one.
            NewerStore: A later version of this program prepared it.
        """
        connection = SharedConnection(url, check_version, patience_s)
        connection.get()
        return cls(connection, home, label, stamp)

    @staticmethod
    def migrate(url: str) -> list[str]:
        """Bring the database's schema up to this version. See `ledger.store.postgres.schema.migrate`."""
        return migrate(url)

    def at_home(self, home: str) -> PostgresStore:
        """Return the store of another home's runs, over the same connection."""
        return PostgresStore(self._connection, home, "", self.stamp)

    def close(self) -> None:
        """Close the connection, that of `at_home` stores too."""
        self._connection.close()

    def append(self, events: Sequence[Event], expected_v: int | None = None) -> tuple[Frame, ...]:
        """See `Store.append`."""
        run = events[0].run
        self._refuse_taken(events)
        fresh = False
        while True:
            if run not in self._known:
                self._known[run], fresh = self.head_of(run), True
            head = self._known[run]
            if expected_v is not None and head.v != expected_v - 1:
                if fresh:
                    return self._retried(events, expected_v, head)
                del self._known[run]
                continue
            group = _stamped(events, head)
            try:
                answer = self._append(run, [each.data for each in group], head.v + 1)
            except psycopg.errors.UniqueViolation:
                del self._known[run]
                return self._retried(events, None, self.head_of(run))
            there = answer.state in _THERE
            self._known[run], fresh = (
                HeadOf(group[-1].event.v, group[-1].digest) if there else answer.head,
                True,
            )
            if there:
                seqs = self._seqs(run, head.v + 1, len(group), answer)
                return _frames([(each.data, each.digest) for each in group], head.digest, seqs)

    def append_copies(self, copies: Sequence[bytes], events: Sequence[Event] = ()) -> tuple[Frame, ...]:
        """Append stored events of one run byte for byte, then events of run ``ledger``, as one group.

        Copies that are here already are passed over: the same again changes nothing.

        Args:
            copies: Stored events of one run, at least one, each with its ``v`` and ``prev``.
            events: Events of run ``ledger`` without ``v`` and ``prev``.

        Raises:
            DivergedRun: Another event has the version of one of them. Nothing was appended.
            NotACopy: They do not follow one another, or what is here. Nothing was appended.
            StoreUnreachable: The server has not confirmed. The same again is safe.
        """
        run = parse_event(copies[0]).run
        self._known.pop(run, None)
        if not events:
            answer = self._append(run, copies, parse_event(copies[0]).v)
            self._check_copied(run, copies, answer)
            return self._copied(run, copies, answer)
        ledger_run = events[0].run
        while True:
            head = self.head_of(ledger_run)
            data = [each.data for each in _stamped(events, head)]
            answer, second = self._append_both(run, copies, ledger_run, data)
            if second is not None and second.state in _THERE:
                return self._copied(run, copies, answer) + self._copied(ledger_run, data, second)

    def write_body(self, data: bytes) -> str:
        """See `Store.write_body`."""
        self.write_bodies([data])
        return body_digest(data)

    def write_bodies(self, many: Iterable[bytes]) -> None:
        """Store bodies durably, many in one request; those that are here already stay as they are."""
        chunk: list[bytes] = []
        size = 0
        for data in many:
            if chunk and size + len(data) > _CHUNK_BYTES:
                self._put_bodies(chunk)
                chunk, size = [], 0
            chunk.append(data)
            size += len(data)
        if chunk:
            self._put_bodies(chunk)

    def _put_bodies(self, chunk: list[bytes]) -> None:
        self._rows("select ledger.put_bodies(%s::bytea[])", chunk)

    def _append(self, run: str, data: Sequence[bytes], first_v: int) -> _Answer:
        """Hand stored events to the server, the short way first where they may go on from its head.

        Raises:
            NotACopy: They do not follow one another.
        """
        self._register()

        def act(session: psycopg.Connection[Any]) -> _Answer:
            try:
                seqs = _ask_shortly(session, self.home, run, first_v, data) if first_v > 1 else None
            except psycopg.DatabaseError as error:
                if error.sqlstate != _NOT_SHORTLY:
                    raise
                seqs = None
            if seqs is not None:
                return _Answer("appended", HeadOf(first_v + len(data) - 1, ""), seqs)
            return _ask(session, self.home, run, data)

        try:
            return self._connection.call(act)
        except psycopg.DatabaseError as error:
            if error.sqlstate == _NOT_A_COPY:
                raise NotACopy(run, str(error.diag.message_primary)) from error
            raise

    def _append_both(
        self, run: str, copies: Sequence[bytes], ledger_run: str, data: Sequence[bytes]
    ) -> tuple[_Answer, _Answer | None]:
        """Append to two runs in one transaction; nothing where the second has moved."""
        self._register()

        def act(session: psycopg.Connection[Any]) -> tuple[_Answer, _Answer | None]:
            with session.transaction() as transaction:
                answer = _ask(session, self.home, run, copies)
                self._check_copied(run, copies, answer)
                second = _ask(session, self.home, ledger_run, data)
                if second.state not in _THERE:
                    raise psycopg.Rollback(transaction)
                return answer, second
            return answer, None

        try:
            return self._connection.call(act)
        except psycopg.DatabaseError as error:
            if error.sqlstate == _NOT_A_COPY:
                raise NotACopy(run, str(error.diag.message_primary)) from error
            raise

    def _register(self) -> None:
        if not self._registered:
            self._rows("select ledger.register(%s, %s)", self.home, self.label)
            self._registered = True

    def _check_copied(self, run: str, copies: Sequence[bytes], answer: _Answer) -> None:
        if answer.state == "moved":
            raise NotACopy(run, f"it ends at version {answer.head.v} here")
        if answer.state == "diverged":
            first = parse_event(copies[0]).v
            there = {v: digest.hex() for v, _, digest in self._digests(run, first, first + len(copies) - 1)}
            for v, data in enumerate(copies, first):
                if there.get(v, "") != event_digest(data):
                    raise DivergedRun(run, v, there.get(v, ""), event_digest(data))

    def _copied(self, run: str, data: Sequence[bytes], answer: _Answer) -> tuple[Frame, ...]:
        """Return the frames of stored events that are on the server."""
        first = parse_event(data[0])
        seqs = self._seqs(run, first.v, len(data), answer)
        return _frames([(each, event_digest(each)) for each in data], first.prev, seqs)

    def _seqs(self, run: str, first_v: int, count: int, answer: _Answer) -> list[int]:
        """Return the numbers of events that are there, asked for where some were there before."""
        if answer.seqs is not None and len(answer.seqs) == count:
            return answer.seqs
        return [seq for _, seq, _ in self._digests(run, first_v, first_v + count - 1)]

    def _retried(self, events: Sequence[Event], expected_v: int | None, head: HeadOf) -> tuple[Frame, ...]:
        """Return the frames that an earlier try of the same append wrote.

        Raises:
            LostRace: It was another append.
        """
        run = events[0].run
        ids = [event.id for event in events]
        rows = self._rows(
            "select seq, stored from ledger.events_of_ids(%s, %s, %s::uuid[])", self.home, run, ids
        )
        frames = [stored_frame(seq, stored) for seq, stored in rows]
        first = frames[0].event.v if frames else 0
        same = len(frames) == len(events) and all(
            frame.event.v == first + i and is_same_event(event, frame)
            for i, (event, frame) in enumerate(zip(events, frames, strict=True))
        )
        if not same or expected_v not in (None, first):
            raise LostRace(run, first if expected_v is None else expected_v, head.v)
        left = range(len(frames) - 1, -1, -1)
        return tuple(replace(frame, n=n) for frame, n in zip(frames, left, strict=True))

    def _refuse_taken(self, events: Sequence[Event]) -> None:
        """Refuse a given id that an event of another run of this home has."""
        for event in events:
            if event.request is not UNSET:
                rows = self._rows("select run, v from ledger.run_of_id(%s, %s::uuid)", self.home, event.id)
                for run, v in rows:
                    if run is not None and run != event.run:
                        raise LostRace(run, v, v)


def _ask(session: psycopg.Connection[Any], home: str, run: str, data: Sequence[bytes]) -> _Answer:
    """Hand stored events of one run to the server: one transaction where none was begun."""
    row = session.execute(_APPEND, [home, run, list(data)], prepare=True, binary=True).fetchone()
    assert row is not None
    state, v, digest, seqs = row
    return _Answer(state, HeadOf(v, digest.hex()), seqs)


def _ask_shortly(
    session: psycopg.Connection[Any], home: str, run: str, first_v: int, data: Sequence[bytes]
) -> list[int] | None:
    """Hand over events that go on from a run's head: one round trip; None where they do not, or may not."""
    if len(data) == 1:
        cursor = session.execute(_APPEND_ONE, [home, run, data[0]], prepare=True, binary=True)
    else:
        asked = [home, run, first_v, list(data)]
        cursor = session.execute(_APPEND_MANY, asked, prepare=True, binary=True)
    row = cursor.fetchone()
    assert row is not None
    return [row[0]] if isinstance(row[0], int) else row[0]


def _frames(data: Sequence[tuple[bytes, str]], prev: str, seqs: Sequence[int]) -> tuple[Frame, ...]:
    """Return stored events, given with their digests, as the frames of one group."""
    found: list[Frame] = []
    for number, ((each, digest), seq) in enumerate(zip(data, seqs, strict=True), 1):
        found.append(Frame(h=digest, p=prev, s=seq, n=len(data) - number, w=seq, e=Raw(each)))
        prev = digest
    return tuple(found)


def _stamped(events: Sequence[Event], head: HeadOf) -> list[Stamped]:
    """Return the events of one run as they are stored, following its head."""
    run = events[0].run
    of_run = RunHead(run=run, v=head.v, digest=head.digest, position=0) if head.v else None
    return stamped(events, of_run)

"""Reading a shared ledger: the runs of one home, where those of every home stand, and the tail of all.

A role with ``ledger_reader`` may do this; `head_of` and `has_bodies` are a writer's too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import groupby
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

from ledger.errors import DamagedLedger, DroppedBody
from ledger.events import NO_DIGEST, AnyEvent, body_digest, event_digest, parse_event
from ledger.frames import Frame
from ledger.heads import SUPERSEDED, RunHead, Step, advance
from ledger.redaction import dropped
from ledger.store.postgres.connection import SharedConnection
from ledger.store.postgres.tail import TailBatch, TailCursor, follow, read_batch

_PAGE = 1000
"""Rows that are asked for at a time."""


class Home(NamedTuple):
    """One local ledger whose runs are here: its name (`ledger.store.homes`), and its label."""

    home: str
    label: str


class SharedRun(Struct, frozen=True):
    """Where a run of some home stands: version and digest of its last event.

    ``archive`` is where its first events were moved to, "" where all of them are on the server.
    """

    run_key: int
    home: str
    label: str
    run: str
    v: int
    digest: str
    archive: str


class HeadOf(NamedTuple):
    """Version and digest of a run's last event; 0 and zeros for a run that is not there."""

    v: int
    digest: str


class SharedReader:
    """The runs of one home on a server, for reading. One instance serves one thread."""

    def __init__(self, connection: SharedConnection, home: str) -> None:
        self.home = home
        self._connection = connection
        self._folded: dict[str, RunHead] = {}

    def groups(self, after: TailCursor | None = None) -> Iterator[tuple[list[Frame], TailCursor]]:
        """See `Store.groups`: what one transaction appended is a group; its frames count down."""
        batch = read_batch(self._connection, after or TailCursor(), _PAGE, self.home)
        while batch is not None:
            for _, group in groupby(batch.events, key=lambda each: each.place.xid):
                events = list(group)
                left = range(len(events) - 1, -1, -1)
                frames = [
                    Frame(h=each.digest, p=each.prev, s=each.place.seq, n=n, w=each.place.seq, e=each.stored)
                    for each, n in zip(events, left, strict=True)
                ]
                yield frames, events[-1].place
            batch = read_batch(self._connection, batch.cursor, _PAGE, self.home)

    def frames(self) -> Iterator[Frame]:
        """See `Store.frames`: in commit order, up to the oldest transaction that still runs."""
        for group, _ in self.groups():
            yield from group

    def of_run(self, run: str, after_v: int = 0, until_v: int | None = None) -> Iterator[Frame]:
        """See `Store.of_run`."""
        before = ""
        while until_v is None or after_v < until_v:
            rows = self._rows(
                "select e.seq, e.stored from ledger.runs r join ledger.events e using (run_key)"
                " where r.home = %s and r.run = %s and e.v > %s and (%s::bigint is null or e.v <= %s)"
                " order by e.v limit %s",
                *(self.home, run, after_v, until_v, until_v, _PAGE),
            )
            for seq, stored in rows:
                frame = stored_frame(seq, stored)
                event = frame.event
                if (event.run, event.v) != (run, after_v + 1) or (before and event.prev != before):
                    raise DamagedLedger(f"{run}:{after_v + 1}", "it does not follow the event before it")
                after_v, before = event.v, frame.h
                yield frame
            if len(rows) < _PAGE:
                break
        self._check_end(run, after_v, until_v, before)

    def find(self, id_: str) -> AnyEvent | None:
        """See `Store.find`."""
        rows = self._rows(
            "select e.seq, e.stored from ledger.runs r join ledger.events e using (run_key)"
            " where r.home = %s and e.id = %s::uuid limit 1",
            *(self.home, id_),
        )
        return stored_frame(*rows[0]).event if rows else None

    def heads(self) -> Mapping[str, RunHead]:
        """See `Store.heads`; an archived run has none. What was folded is kept."""
        rows = self._rows(
            "select run, run_key, v from ledger.runs r where home = %s"
            " and not exists (select from ledger.archived a where a.run_key = r.run_key)",
            self.home,
        )
        for run in self._folded.keys() - {row[0] for row in rows}:
            del self._folded[run]
        for run, run_key, v in rows:
            head = self._folded.get(run)
            if head is None or head.v != v:
                self._folded[run] = self._fold(run_key, head)
        return dict(self._folded)

    def homes(self) -> list[Home]:
        """Return every home whose runs are here, in order of label and hash."""
        return [Home(*row) for row in self._rows("select home, label from ledger.homes order by label, home")]

    def every_run(self) -> list[SharedRun]:
        """Return where every run of every home stands, in the order in which they came."""
        rows = self._rows(
            "select r.run_key, home, h.label, r.run, r.v, r.digest, coalesce(a.archive, '')"
            " from ledger.runs r join ledger.homes h using (home) left join ledger.archived a using (run_key)"
            " order by r.run_key"
        )
        return [
            SharedRun(run_key, home, label, run, v, digest.hex(), archive)
            for run_key, home, label, run, v, digest, archive in rows
        ]

    def head_of(self, run: str) -> HeadOf:
        """Return version and digest of a run's last event. A role that may write alone may ask this."""
        rows = self._rows("select v, digest from ledger.head(%s, %s)", self.home, run)
        v, digest = rows[0] if rows else (None, b"")
        return HeadOf(0, NO_DIGEST) if v is None else HeadOf(v, digest.hex())

    def tail(
        self, cursor: TailCursor | None = None, *, wait_s: float | None = 0, size: int = _PAGE
    ) -> Iterator[TailBatch]:
        """Yield the events of all homes past a cursor, each once, each run in order, as they become final.

        Final is what was committed before every transaction that still runs: nothing can appear before it.

        Args:
            cursor: That of the last batch that was consumed; None begins at the beginning.
            wait_s: Ends when nothing came for so long, in seconds; None never ends.
            size: About so many events in a batch; a transaction is never divided.

        Raises:
            StoreUnreachable: The server has been away for longer than this store's patience.
        """
        return follow(self._connection, cursor or TailCursor(), wait_s, size)

    def read_body(self, digest: str) -> bytes:
        """See `Store.read_body`."""
        rows = self._rows("select data from ledger.bodies where digest = %s", bytes.fromhex(digest))
        if rows:
            data = bytes(rows[0][0])
            if body_digest(data) != digest:
                raise DamagedLedger(f"body {digest}", "the body's bytes are not what was written")
            return data
        rows = self._rows(
            "select e.stored from ledger.runs r join ledger.events e using (run_key)"
            " where r.home = %s and e.kind like 'body.dropped/%%' order by e.xid, e.seq",
            self.home,
        )
        gone = dropped(parse_event(stored) for (stored,) in rows)
        if digest in gone:
            raise DroppedBody(digest, gone[digest])
        raise DamagedLedger(f"body {digest}", "the body is missing")

    def has_bodies(self, digests: Collection[str]) -> set[str]:
        """Return those of some digests whose bodies are here."""
        asked = [bytes.fromhex(digest) for digest in digests]
        return {row[0].hex() for row in self._rows("select ledger.has_bodies(%s::bytea[])", asked)}

    def _digests(self, run: str, first: int, last: int) -> list[tuple[Any, ...]]:
        return self._rows(
            "select v, seq, digest from ledger.digests(%s, %s, %s, %s)", self.home, run, first, last
        )

    def _check_end(self, run: str, v: int, until_v: int | None, digest: str) -> None:
        """Check that a run's events ended where its head says."""
        rows = self._rows("select v, digest from ledger.runs where home = %s and run = %s", self.home, run)
        head_v = rows[0][0] if rows else 0
        if v < (head_v if until_v is None else min(until_v, head_v)) and until_v is not None:
            raise DamagedLedger(f"{run}:{v + 1}", "the event is missing")
        if digest and v == head_v and digest != rows[0][1].hex():
            raise DamagedLedger(f"{run}:{v}", "it is not the event that its run's head names")

    def _fold(self, run_key: int, head: RunHead | None) -> RunHead:
        """Return a run's head, from the last event of each kind that says all of it anew, and all others."""
        rows = self._rows(
            "select seq, stored from ("
            "  select distinct on (kind) v, seq, stored from ledger.events"
            "  where run_key = %s and v > %s and kind = any (%s) order by kind, v desc"
            ") last union all select seq, stored from ledger.events"
            " where run_key = %s and v > %s and kind <> all (%s)",
            *(run_key, head.v if head else 0, sorted(SUPERSEDED)),
            *(run_key, head.v if head else 0, sorted(SUPERSEDED)),
        )
        steps = sorted(
            (Step(frame.event, frame.h, frame.s) for frame in (stored_frame(*row) for row in rows)),
            key=lambda step: step.event.v,
        )
        return advance(head, steps)

    def _rows(self, statement: str, *asked: object) -> list[tuple[Any, ...]]:
        """Return the rows of a statement that is safe to ask twice."""
        return self._connection.call(
            lambda session: session.execute(statement.encode(), asked, binary=True).fetchall()
        )


def stored_frame(seq: int, stored: bytes) -> Frame:
    """Return a stored event as a frame: its digest stands for the hash, its ``prev`` for the one before.

    Raises:
        DamagedLedger: The bytes are no event.
    """
    try:
        prev = parse_event(stored).prev
    except msgspec.DecodeError as error:
        raise DamagedLedger(f"event {seq} of the shared ledger", f"not an event: {error}") from error
    return Frame(h=event_digest(stored), p=prev, s=seq, n=0, w=seq, e=Raw(stored))

"""Following a shared ledger: events in commit order, up to a horizon before which none can appear any more.

Transactions become visible in another order than they got their numbers, so whoever asks for numbers past the
last one seen misses events. What has a transaction id below the oldest that still runs is final: it is there,
or will never be. A run's appends are serial and their transaction ids ascend, so (xid, seq) keeps its order.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg
from msgspec import Raw, Struct

from ledger.events import AnyEvent, parse_event
from ledger.store.postgres.connection import SharedConnection

_WAITING = 4919132707
"""Key of the advisory lock that followers share while they wait, as ``ledger.append`` knows it."""

_LOOK_S = 1.0
"""A follower that is not woken looks by itself after this time."""

_BATCH = """\
select * from (
    select e.xid, e.seq, r.home, r.run, e.v, e.digest, e.prev, e.stored
    from ledger.events e join ledger.runs r using (run_key)
    where (e.xid, e.seq) > (%s::text::xid8, %s::bigint) and e.xid < pg_snapshot_xmin(pg_current_snapshot())
        and (%s::text is null or r.home = %s::text)
    order by e.xid fetch first %s rows with ties
) found order by xid, seq
"""


class TailCursor(Struct, frozen=True):
    """A place between two events in commit order: transaction id and number of the event before."""

    xid: int = 0
    seq: int = 0


class SharedEvent(NamedTuple):
    """A stored event of some home, where it was found."""

    home: str
    run: str
    v: int
    digest: str
    prev: str
    place: TailCursor
    stored: Raw

    @property
    def event(self) -> AnyEvent:
        """The event, decoded on every call.

        Raises:
            msgspec.DecodeError: The bytes are no event.
        """
        return parse_event(self.stored)


class TailBatch(NamedTuple):
    """Events in commit order, whole transactions of them, and the cursor behind the last."""

    events: tuple[SharedEvent, ...]
    cursor: TailCursor


def read_batch(
    connection: SharedConnection, cursor: TailCursor, size: int, home: str | None = None
) -> TailBatch | None:
    """Return the final events past a cursor, about ``size`` of them, None where there are none yet."""

    def read(session: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
        asked = [str(cursor.xid), cursor.seq, home, home, size]
        return session.execute(_BATCH, asked, binary=True).fetchall()

    events = tuple(
        SharedEvent(home_, run, v, digest.hex(), prev.hex(), TailCursor(_number(xid), seq), Raw(stored))
        for xid, seq, home_, run, v, digest, prev, stored in connection.call(read)
    )
    return TailBatch(events, events[-1].place) if events else None


def follow(
    connection: SharedConnection, cursor: TailCursor, wait_s: float | None, size: int
) -> Iterator[TailBatch]:
    """Yield batches past a cursor as they come; end when none came for ``wait_s`` seconds (None: never)."""
    while True:
        batch = read_batch(connection, cursor, size)
        if batch is None:
            batch = _await_batch(connection, cursor, wait_s, size)
        if batch is None:
            return
        yield batch
        cursor = batch.cursor


def _await_batch(
    connection: SharedConnection, cursor: TailCursor, wait_s: float | None, size: int
) -> TailBatch | None:
    """Wait for a batch. Writers notify only while somebody waits: see ``ledger.append``."""
    until = None if wait_s is None else time.monotonic() + wait_s
    look_s = _LOOK_S
    while True:
        left_s = look_s if until is None else min(look_s, until - time.monotonic())
        if left_s <= 0:
            return None
        batch, woken = _wait_once(connection, cursor, left_s, size)
        if batch is not None:
            return batch
        # Another transaction that still runs may keep the horizon back for a moment.
        look_s = 0.01 if woken else min(2 * look_s, _LOOK_S)


def _wait_once(
    connection: SharedConnection, cursor: TailCursor, timeout_s: float, size: int
) -> tuple[TailBatch | None, bool]:
    """Return what is there when a notification came or the time is over, and whether one came."""

    def begin(session: psycopg.Connection[Any]) -> None:
        session.execute("listen ledger")
        session.execute("select pg_advisory_lock_shared(%s)", [_WAITING])

    def wait(session: psycopg.Connection[Any]) -> bool:
        return any(True for _ in session.notifies(timeout=timeout_s, stop_after=1))

    def end(session: psycopg.Connection[Any]) -> None:
        session.execute("select pg_advisory_unlock_all()")

    connection.call(begin)
    try:
        # Who committed before the lock was there has not notified.
        batch = read_batch(connection, cursor, size)
        woken = False
        if batch is None:
            woken = connection.call(wait)
    finally:
        connection.call(end)
    return batch or read_batch(connection, cursor, size), woken


def _number(xid: object) -> int:
    """Return a transaction id as psycopg hands it on: eight bytes, as it knows no such type."""
    return int.from_bytes(xid, "big") if isinstance(xid, bytes) else int(str(xid))

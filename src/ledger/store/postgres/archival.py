"""What the archive and `ledger sql --shared` ask of a server: all runs of all homes, and leave to forget.

Reading needs the role ``ledger_reader``; `Archival.forget` needs ``ledger_archiver``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Self

import psycopg
from msgspec import Struct

from ledger.archive_errors import NotForgotten
from ledger.errors import DamagedLedger, DroppedBody
from ledger.events import NO_DIGEST, body_digest
from ledger.store.postgres.connection import PATIENCE_S, SharedConnection
from ledger.store.postgres.schema import check_version

_REFUSED = "LG003"
_HEADS = """\
select r.run_key, r.home, h.label, r.run, r.v, r.digest, coalesce(a.v, 0), coalesce(a.digest, '\\x')
from ledger.runs r join ledger.homes h using (home) left join ledger.archived a using (run_key)
"""
_CLOSED = (
    "select run_key, max(at_ns) from ledger.events where kind like 'run.finished/%' group by 1"
    " union all select a.run_key, max(e.at_ns) from ledger.archived a join ledger.events e using (run_key)"
    " group by 1"
)
_COPY = (
    "copy (select run_key, seq, stored from ledger.events{} order by run_key, v) to stdout (format binary)"
)
_TYPES = ("int8", "int8", "bytea")


class LiveRun(Struct, frozen=True):
    """A run of some home: where it stands, and up to which version its events are in the archive."""

    run_key: int
    home: str
    label: str
    run: str
    v: int
    digest: str
    archived_v: int
    archived_digest: str
    ended_at_ns: int = 0
    """When it ended, by its last event that says so; 0 where it goes on."""


class Row(NamedTuple):
    """An event's place in the order of arrival, and its bytes."""

    seq: int
    stored: bytes


class Archival:
    """A shared ledger's runs, to be read as a whole. One instance serves one thread."""

    def __init__(self, connection: SharedConnection) -> None:
        self._connection = connection

    @classmethod
    def connect(cls, url: str, patience_s: float = PATIENCE_S) -> Self:
        """Connect to a shared ledger; raises as `PostgresStore.connect`."""
        connection = SharedConnection(url, check_version, patience_s)
        connection.get()
        return cls(connection)

    @property
    def name(self) -> str:
        """Where it is, without a password."""
        return self._connection.store

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def live(self) -> list[tuple[LiveRun, list[Row]]]:
        """Return every run that has events here, and these: all as they were at one moment."""
        return self._connection.call(lambda session: _read(session, None))

    def archived_runs(self) -> int:
        """Return how many runs have events in an archive."""
        rows = self._connection.call(
            lambda session: session.execute("select count(*) from ledger.archived").fetchall()
        )
        return int(rows[0][0])

    def closed(self) -> list[LiveRun]:
        """Return the runs that have ended and still have events here."""

        def ask(session: psycopg.Connection[Any]) -> list[LiveRun]:
            with session.transaction():
                _read_only(session)
                ended = dict(session.execute(_CLOSED.encode()).fetchall())
                return [run for run in _heads(session, ended) if run.ended_at_ns and run.v > run.archived_v]

        return self._connection.call(ask)

    def events(self, runs: Collection[int]) -> list[tuple[LiveRun, list[Row]]]:
        """Return some runs and the events that they have here, as they were at one moment."""
        return self._connection.call(lambda session: _read(session, sorted(runs)))

    def read_body(self, digest: str) -> bytes:
        """Return a body.

        Raises:
            DroppedBody: It is not here: its home has dropped it, or had before it sent the run.
            DamagedLedger: Its bytes do not have this digest.
        """
        rows = self._connection.call(
            lambda session: session.execute(
                "select data from ledger.bodies where digest = %s", [bytes.fromhex(digest)], binary=True
            ).fetchall()
        )
        if not rows:
            raise DroppedBody(digest, "its home ledger")
        data = bytes(rows[0][0])
        if body_digest(data) != digest:
            raise DamagedLedger(f"body {digest}", "the body's bytes are not what was written")
        return data

    def forget(self, run: LiveRun, v: int, digest: str, archive: str, seal: str) -> int:
        """Remove the events of a run up to version ``v``, which a sealed batch has; return how many went.

        Args:
            run: The run.
            v: The last version.
            digest: That of its event, as it was read back from the batch.
            archive: Where the archive is, for people.
            seal: SHA-256 of the batch's seal.

        Raises:
            NotForgotten: The server has other events than these, or the run has not ended. Nothing went.
            StoreForbids: The role may not do it.
        """
        asked = [run.run_key, v, bytes.fromhex(digest), v - run.archived_v, archive, seal]
        try:
            rows = self._connection.call(
                lambda session: session.execute(
                    "select ledger.forget_archived(%s, %s, %s, %s, %s, %s)", asked
                ).fetchall()
            )
        except psycopg.DatabaseError as error:
            if error.sqlstate == _REFUSED:
                raise NotForgotten(
                    f"{run.label or run.home}/{run.run}", str(error.diag.message_primary)
                ) from error
            raise
        return int(rows[0][0])


def _read_only(session: psycopg.Connection[Any]) -> None:
    """Let the transaction that has begun see one moment, for as long as it takes."""
    session.execute("set transaction isolation level repeatable read, read only")
    session.execute("set local statement_timeout = 0")


def _heads(session: psycopg.Connection[Any], ended: dict[int, int]) -> list[LiveRun]:
    return [
        LiveRun(
            *(run_key, home, label, run, v, digest.hex(), archived_v, archived.hex() or NO_DIGEST),
            ended_at_ns=ended.get(run_key, 0),
        )
        for run_key, home, label, run, v, digest, archived_v, archived in session.execute(_HEADS.encode())
    ]


def _read(session: psycopg.Connection[Any], runs: Sequence[int] | None) -> list[tuple[LiveRun, list[Row]]]:
    rows: dict[int, list[Row]] = {}
    with session.transaction(), session.cursor() as cursor:
        _read_only(session)
        heads = {run.run_key: run for run in _heads(session, {})}
        where = (
            "" if runs is None else f" where run_key in ({', '.join(str(int(key)) for key in runs or [0])})"
        )
        with cursor.copy(_COPY.format(where).encode()) as copy:
            copy.set_types(_TYPES)
            for run_key, seq, stored in copy.rows():
                rows.setdefault(run_key, []).append(Row(seq, bytes(stored)))
    return [(heads[run_key], events) for run_key, events in rows.items()]

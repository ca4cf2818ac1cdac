"""Moving finished runs from a shared ledger's server to its archive.

A batch is written, read back from the disk and sealed before the server is asked to forget its events. Where
a crash comes between, both have them, which readers know; who archives next finishes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ledger.sharedarchive.batches import read_parquet, sweep, write_batch
from ledger.sharedarchive.layout import (
    RUNS,
    BatchSeal,
    RunPart,
    SharedArchive,
    StoredEvent,
    file_of,
    run_key,
)
from ledger.sharedarchive.staging import encode_json
from ledger.store.locks import locked

if TYPE_CHECKING:
    from ledger.store.postgres.archival import Archival, LiveRun, Row

EVENTS_A_BATCH = 500_000
"""A batch is closed before the run that would make it longer."""

_LOCK_TIMEOUT_S = 30.0


class Moved(NamedTuple):
    """What one step moved: a batch that was sealed, and how many events the server has forgotten since."""

    seal: BatchSeal
    forgotten: int


class Planned(NamedTuple):
    """A run that would be moved: whose, its name, how many events, and the day of its end."""

    repository: str
    run: str
    events: int
    day: str


class _Archived(NamedTuple):
    """Up to where an archive has a run, the digest there, and the batch with it."""

    v: int
    digest: str
    batch: int


def plan_moves(shared: Archival, root: Path, ended_before_ns: int) -> list[Planned]:
    """Return the runs that `move_closed` would move now. Nothing is written.

    Raises:
        DamagedArchive: The archive is not what was written.
        StoreUnreachable: The server does not answer.
    """
    closed = _closed(shared, ended_before_ns)
    archived = _archived(SharedArchive.open(root), closed) if (root / "FORMAT").exists() else {}
    return [
        Planned(run.label, run.run, run.v - max(run.archived_v, _v_of(archived, run)), _day(run))
        for run in closed
        if run.v > _v_of(archived, run)
    ]


def move_closed(shared: Archival, root: Path, ended_before_ns: int) -> Iterator[Moved]:
    """Move every run that ended before a moment, a batch after the other.

    Args:
        shared: The server.
        root: The archive's directory, which is made where it is new or empty.
        ended_before_ns: Nanoseconds since 1970.

    Raises:
        NoArchive: The directory holds something else.
        DamagedArchive: What was read back is not what was written. The server has all of it.
        NotForgotten: The server has other events than were archived.
        Busy: Another process archives there.
        OSError: The disk is full or failing. The server has what is not sealed.
    """
    archive = SharedArchive.open(root, create=True)
    with locked(root / ".lock", _LOCK_TIMEOUT_S):
        sweep(archive)
        closed = _closed(shared, ended_before_ns)
        archived = _archived(archive, closed)
        for run in closed:
            # A crash came between the seal and the server.
            if _v_of(archived, run) > run.archived_v:
                _forget(shared, archive, run, archived[run_key(run.home, run.run)])
        for day, runs in _batches(run for run in closed if run.v > _v_of(archived, run)):
            parts = sorted(_parts(shared.events({run.run_key for run in runs})), key=lambda part: part.key)
            seal = write_batch(archive, day, parts, shared.read_body)
            archived = _archived(archive, runs, seal)
            forgotten = [_forget(shared, archive, run, archived[run_key(run.home, run.run)]) for run in runs]
            yield Moved(seal, sum(forgotten))


def _closed(shared: Archival, ended_before_ns: int) -> list[LiveRun]:
    return [run for run in shared.closed() if run.ended_at_ns < ended_before_ns]


def _v_of(archived: Mapping[str, _Archived], run: LiveRun) -> int:
    found = archived.get(run_key(run.home, run.run))
    return found.v if found else 0


def _day(run: LiveRun) -> str:
    return datetime.fromtimestamp(run.ended_at_ns / 1e9, UTC).date().isoformat()


def _batches(runs: Iterable[LiveRun]) -> Iterator[tuple[str, list[LiveRun]]]:
    """Yield the runs of one day at a time, and of one batch."""
    days: dict[str, list[LiveRun]] = {}
    for run in runs:
        days.setdefault(_day(run), []).append(run)
    for day in sorted(days):
        batch: list[LiveRun] = []
        events = 0
        for run in days[day]:
            length = run.v - run.archived_v
            if batch and events + length > EVENTS_A_BATCH:
                yield day, batch
                batch, events = [], 0
            batch.append(run)
            events += length
        yield day, batch


def parts_of(found: Iterable[tuple[LiveRun, list[Row]]]) -> list[RunPart]:
    """Return what the server has of some runs as parts of them, each behind what is archived."""
    return list(_parts(found))


def _parts(found: Iterable[tuple[LiveRun, list[Row]]]) -> Iterator[RunPart]:
    for run, rows in found:
        events = [StoredEvent(*row) for row in rows]
        yield RunPart(run.home, run.label, run.run, run.archived_v, run.archived_digest, events)


def _archived(
    archive: SharedArchive, runs: Iterable[LiveRun], seal: BatchSeal | None = None
) -> dict[str, _Archived]:
    """Return up to where an archive has each of some runs; with ``seal``, by its batch alone."""
    import duckdb

    wanted = encode_json([run_key(run.home, run.run) for run in runs])
    found: dict[str, _Archived] = {}
    with duckdb.connect(":memory:") as connection:
        for each in archive.seals if seal is None else [seal]:
            path = archive.root / file_of(RUNS, each.day, each.batch)
            rows = connection.execute(
                f"select run_key, last_v, lower(hex(digest)) from {read_parquet([path])} "
                "where run_key in (select unnest(from_json(?::json, '[\"VARCHAR\"]')))",
                [wanted],
            ).fetchall()
            found |= {key: _Archived(v, digest, each.batch) for key, v, digest in rows}
    return found


def _forget(shared: Archival, archive: SharedArchive, run: LiveRun, archived: _Archived) -> int:
    seal = sha256(archive.seal_path(archived.batch).read_bytes()).hexdigest()
    return shared.forget(run, archived.v, archived.digest, str(archive.root.resolve()), seal)

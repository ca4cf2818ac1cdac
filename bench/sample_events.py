"""The event that the benches of the log append: a patch that changed one file, and stores to put it into."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from ledger.events import ApplyOptions, Event, PatchApplied, PhaseEntered, encode_event
from ledger.filerecords import FileRecord
from ledger.stamps import Actor, Stamp
from ledger.store.local import LocalStore

STAMP = Stamp(Actor("agent", "bench", "session-1"))
EVENT_TABLE = """
create table events (
    position integer primary key autoincrement,
    id text not null unique,
    run text not null,
    v integer not null,
    event blob not null,
    unique (run, v)
)
"""


def sample_event(run: str, number: int) -> PatchApplied:
    """Return an event like that of `ledger apply` for a patch of one file: 0.9 kB as a line of the log."""
    at_ns = STAMP.clock()
    old, new = f"{number:040x}", f"{number + 1:040x}"
    return PatchApplied(
        id=STAMP.new_id(at_ns),
        run=run,
        at_ns=at_ns,
        actor=STAMP.actor,
        cause="diff",
        base_tree=old,
        result_tree=new,
        patch=f"{number:064x}",
        patch_size_bytes=900,
        options=ApplyOptions(),
        files=(
            FileRecord(
                path="src/package/module.py",
                operation="modify",
                old_mode="100644",
                old_oid=old,
                mode="100644",
                oid=new,
                added=3,
                removed=2,
            ),
        ),
        source="change.diff",
    )


def sample_phase(run: str, _number: int) -> PhaseEntered:
    """Return one of the smallest events: 0.5 kB as a line of the log."""
    at_ns = STAMP.clock()
    return PhaseEntered(id=STAMP.new_id(at_ns), run=run, at_ns=at_ns, actor=STAMP.actor, phase="P3")


def fill(
    root: Path, events: int, runs: int = 1, make: Callable[[str, int], Event] = sample_event
) -> LocalStore:
    """Return a store with that many events, spread over that many runs, a thousand in each group."""
    store = LocalStore.open(root, STAMP, create=True)
    size = min(1000, max(1, events // runs))
    written = 0
    while written < events:
        run = f"run{written // size % runs}"
        count = min(size, events - written)
        store.append([make(run, written + number) for number in range(count)])
        written += count
    return store


def open_sqlite(path: Path) -> sqlite3.Connection:
    """Return an event table in SQLite, each of whose transactions is on the disk when it ends."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=60)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.execute(EVENT_TABLE)
    return connection


def insert(connection: sqlite3.Connection, events: Sequence[Event], first_v: int) -> None:
    """Insert events in one transaction, as bytes that are encoded here."""
    rows = [(event.id, event.run, first_v + i, encode_event(event)) for i, event in enumerate(events)]
    statement = "insert into events (id, run, v, event) values (?, ?, ?, ?)"
    if len(rows) == 1:
        connection.execute(statement, rows[0])
    else:
        connection.execute("begin")
        connection.executemany(statement, rows)
        connection.execute("commit")

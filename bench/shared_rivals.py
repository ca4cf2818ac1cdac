"""One writer of `shared.py` in another package's environment: prints how many events it appended.

    python bench/shared_rivals.py PACKAGE URL SIZE SECONDS BEGIN NUMBER

NUMBER is -1 for the one that makes the tables, before the others begin.

BEGIN is the time, in seconds since 1970, at which all writers start.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

DATA = "x" * 800


def with_eventsourcing(url: str, size: int, number: int) -> Callable[[], object]:
    """Return an append by its PostgreSQL recorder, with one more event of one aggregate each time."""
    from eventsourcing.persistence import StoredEvent  # pyright: ignore
    from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore  # pyright: ignore

    parts = urlsplit(url)
    datastore = PostgresDatastore(
        dbname=parts.path[1:],
        host=parse_qs(parts.query)["host"][0],
        port="5432",
        user=parts.username or "",
        password="-",  # noqa: S106 - none is asked for on the socket
        schema="public",
    )
    recorder = PostgresApplicationRecorder(datastore, events_table_name="rival_events")
    if number < 0:
        recorder.create_table()
    aggregate, state = uuid4(), DATA.encode()
    versions = iter(range(0, 1 << 40, size))

    def append() -> object:
        first = next(versions)
        return recorder.insert_events(
            [
                StoredEvent(originator_id=aggregate, originator_version=first + n, topic="bench", state=state)
                for n in range(size)
            ]
        )

    return append


def with_ducklake(url: str, size: int, number: int) -> Callable[[], object]:
    """Return an INSERT into a DuckLake table whose catalogue is on the server, tried until it commits."""
    import duckdb
    from duckdb_extensions import import_extension  # pyright: ignore

    for name in ("ducklake", "postgres_scanner"):
        import_extension(name)
    parts = urlsplit(url)
    folder = Path(tempfile.gettempdir(), f"ducklake-{os.getppid()}")
    folder.mkdir(exist_ok=True)
    connection = duckdb.connect()
    connection.execute("load ducklake; load postgres_scanner")
    catalogue = f"dbname={parts.path[1:]} host={parse_qs(parts.query)['host'][0]} user={parts.username}"
    connection.execute(f"attach 'ducklake:postgres:{catalogue}' as lake (data_path '{folder}')")
    connection.execute("create table if not exists lake.events (run text, v bigint, stored text)")
    statement = "insert into lake.events values " + ", ".join(["(?, ?, ?)"] * size)  # noqa: S608
    versions = iter(range(0, 1 << 40, size))

    def append() -> object:
        first = next(versions)
        rows = [value for n in range(size) for value in (f"run{number}", first + n, DATA)]
        while True:
            try:
                return connection.execute(statement, rows)
            except duckdb.TransactionException:
                continue

    return append


def main() -> int:
    name, url, size, seconds, begin, number = sys.argv[1:]
    make = {"eventsourcing": with_eventsourcing, "ducklake": with_ducklake}[name]
    append = make(url, int(size), int(number))
    time.sleep(max(0.0, float(begin) - time.time()))
    end, count = time.perf_counter() + float(seconds), 0
    while time.perf_counter() < end:
        append()
        count += int(size)
    print(count, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

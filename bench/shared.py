"""What an append to a shared ledger costs, beside bare INSERTs of the same bytes and other packages.

    python bench/shared.py [--rounds N] [--seconds S]

A PostgreSQL server is started for it (Debian's programs or those of the ``pgserver`` wheel), with its
defaults: every commit is on the disk. Eight processes append at once, each to a run of its own, each for the
same time; the contenders take turns, and the medians of what neighbouring turns did are compared:

- one event each: at least 0.7 x bare INSERTs of the same bytes into a table with a unique key (run, v);
- batches of 100: at least 0.8 x one INSERT of 100 rows of the same bytes into that table.

The bare INSERT chains nothing, hashes nothing and checks nothing; its bytes are made beforehand. For
information: the same INSERT with a second unique key, of the event's id, as the ledger has one;
pyeventsourcing on PostgreSQL; and DuckLake with its catalogue on PostgreSQL. Those are installed into an
environment of their own, ``build/shared-rivals``; what cannot be installed is named and left out. Exits 1
where a limit is missed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from sample_events import STAMP, sample_event

from ledger.store.postgres import PostgresStore
from ledger.store.writer import stamped

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "build" / "shared-rivals"
CHILD = ROOT / "bench" / "shared_rivals.py"
PACKAGES = {
    "eventsourcing": ("eventsourcing[postgres]",),
    "ducklake": (
        "duckdb==1.5.5",
        "duckdb-extensions",
        "duckdb-extension-ducklake",
        "duckdb-extension-postgres-scanner",
    ),
}
WRITERS = 8
LIMITS = {1: 0.7, 100: 0.8}
LABELS = {
    "ledger": "ledger",
    "insert": "INSERT, unique (run, v)",
    "two keys": "INSERT, unique (run, v), unique (id)",
    "eventsourcing": "pyeventsourcing",
    "ducklake": "DuckLake",
}
TABLE = "create table {0} (run text, v bigint, id uuid, stored bytea, primary key (run, v))"
TABLES = (
    TABLE.format("bare"),
    TABLE.format("bare2"),
    "create unique index on bare2 (id)",
    "grant all on bare, bare2 to public",
)
AHEAD = 20_000
"""Events that a writer makes before the start; it begins them anew in another run when they are used up."""


def append_to_ledger(url: str, run: str, size: int) -> Callable[[], None]:
    store = PostgresStore.connect(url, home="ab" * 32, stamp=STAMP)
    store.append([sample_event(run, 0)], 1)
    groups = iter([[sample_event(run, n) for n in range(size)] for _ in range(AHEAD // size)])
    return lambda: _discard(store.append(next(groups)))


def _discard(_: object) -> None:
    pass


def insert_rows(url: str, run: str, size: int, table: str = "bare") -> Callable[[], None]:
    connection = psycopg.connect(url, autocommit=True)
    data = [each.data for each in stamped([sample_event(run, n) for n in range(AHEAD)], None)]
    ids = [STAMP.new_id(STAMP.clock()) for _ in data]
    statement = f"insert into {table} values " + ", ".join(["(%s, %s, %s, %s)"] * size)  # noqa: S608
    rows = [
        [value for n in range(first, first + size) for value in (run, n, ids[n], data[n])]
        for first in range(0, AHEAD, size)
    ]
    groups = iter(rows)
    return lambda: _discard(connection.execute(statement.encode(), next(groups), prepare=True))


def write_for(name: str, url: str, run: str, size: int, seconds: float, start: Barrier, counts: Any) -> None:
    """Append for a time as one of several processes, and tell how many events that were."""
    match name:
        case "ledger":
            append = append_to_ledger(url, run, size)
        case "insert":
            append = insert_rows(url, run, size)
        case _:
            append = insert_rows(url, run, size, "bare2")
    start.wait()
    end, count = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        append()
        count += size
    counts.put(count)


def race(name: str, url: str, size: int, seconds: float, turn: int) -> float:
    """Return the events/s of eight writers together."""
    context = multiprocessing.get_context("spawn")
    start, counts = context.Barrier(WRITERS), context.Queue()
    writers = [
        context.Process(
            target=write_for, args=(name, url, f"run-{size}-{turn}-{n}", size, seconds, start, counts)
        )
        for n in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    total = sum(counts.get() for _ in writers)
    for writer in writers:
        writer.join()
    return total / seconds


def install(name: str) -> str | None:
    """Return the interpreter of an environment that has a package, None where it cannot be installed."""
    python = PLACE / name / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PLACE / name)], check=True)
    words = [str(python), "-m", "pip", "install", "-qq", "--no-input", *PACKAGES[name]]
    done = subprocess.run(words, capture_output=True, check=False)
    return str(python) if done.returncode == 0 else None


def race_of_rival(python: str, name: str, url: str, size: int, seconds: float) -> float | None:
    """Return the events/s of eight processes of another package, None where it did not end well."""
    # One alone makes the tables.
    subprocess.run([python, str(CHILD), name, url, "1", "0", "0", "-1"], capture_output=True, check=False)
    begin = time.time() + 8
    words = [python, str(CHILD), name, url, str(size), str(seconds), str(begin)]
    writers = [
        subprocess.Popen([*words, str(n)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for n in range(WRITERS)
    ]
    answers = [writer.communicate() for writer in writers]
    if any(writer.returncode for writer in writers):
        print(f"  {name} did not end well: {answers[0][1].strip().splitlines()[-1:]}")
        return None
    return sum(int(said) for said, _ in answers) / seconds


def measure(urls: Any, size: int, rounds: int, seconds: float) -> bool:
    """Print the table of one size of batch, and return whether its limit is met."""
    names = ("ledger", "insert", "two keys")
    rates: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names:
            rates[name].append(race(name, urls.both, size, seconds, turn))
    print(f"\n{WRITERS} writers, {size} to a commit, {rounds} turns of {seconds:.0f} s: median events/s")
    for name in names:
        print(f"  {LABELS[name].ljust(40)} {median(rates[name]):10,.0f}")
    for name in PACKAGES:
        python = install(name)
        rate = python and race_of_rival(python, name, urls.owner, size, max(seconds, 4.0))
        shown = f"{rate:10,.0f}" if rate else "not measured"
        print(f"  {LABELS[name].ljust(40)} {shown}")
    ratio, other = (
        median(here / there for here, there in zip(rates["ledger"], rates[name], strict=True))
        for name in ("insert", "two keys")
    )
    met = ratio >= LIMITS[size]
    text = (
        f"{size} to a commit: {ratio:.2f} x bare INSERTs (limit {LIMITS[size]}), {other:.2f} x with two keys"
    )
    print(f"{'met   ' if met else 'MISSED'} {text}")
    return met


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--rounds", type=int, default=7, help="turns of each contender; medians are over them"
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a turn is")
    options = parser.parse_args(arguments)
    sys.path.insert(0, str(ROOT))
    from tests.postgres_server import fresh, prepare, running_server

    with running_server() as server:
        prepare(server)
        urls = fresh(server)
        for statement in TABLES:
            server.execute(statement, urls.both.partition("@/")[2].partition("?")[0])
        met = [measure(urls, size, options.rounds, options.seconds) for size in LIMITS]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())

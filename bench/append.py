"""What a durable append costs, beside the disk, SQLite, and the same store with its sync inside the lock.

    python bench/append.py [--rounds N] [--seconds S] [--events N] [--at DIRECTORY]

Every contender writes the same events and has each of them on the disk before it goes on; they alternate in
short blocks, in one run on one file system, and the medians of what neighbouring blocks took are compared:

- one event each: at least 0.70 x as fast as a bare ``write`` and ``fdatasync`` of the same bytes (target
  0.80), and as fast as SQLite (WAL, ``synchronous=FULL``; target 1.2) with unique ids and versions;
- 100 events each: at least 2.5 x as fast as SQLite in one transaction of 100;
- eight processes, one event each, each with its own run: at least 2.5 x as fast as with the sync inside the
  lock, the fastest of the eight at most 1.5 x as fast as the slowest;
- opening and appending one in a fresh process: with a million events what it costs with a thousand (20 % more
  or less), and with 1 000 runs beside one.

SQLite inserts the event, and no more: it chains nothing and hashes nothing. A log that is younger than three
seconds is slower to append to, since its directory's time does not yet tell whether it changed: it is left to
age before. Exits 1 where a limit is missed. The disk is that of the temporary directory, or of ``--at``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from sample_events import STAMP, fill, insert, open_sqlite, sample_event

from ledger.events import Event
from ledger.frames import Frame
from ledger.store.local import LocalStore
from ledger.store.writer import Stamped

RAW_LIMIT, RAW_TARGET = 0.70, 0.80
SQLITE_LIMIT, SQLITE_TARGET = 1.0, 1.2
GROUP_LIMIT = 2.5
WRITERS, WRITERS_LIMIT, FAIRNESS_LIMIT = 8, 2.5, 1.5
OPEN_LIMIT = 1.2
GROUP = 100
BLOCK = 20
"""Appends of one contender before it is another's turn."""

OPEN_AND_APPEND = """\
import sys, time
from pathlib import Path
from sample_events import STAMP, sample_event
from ledger.store.local import LocalStore
event = sample_event("run0", 0)
began = time.perf_counter()
store = LocalStore.open(Path(sys.argv[1]), STAMP)
opened = time.perf_counter()
store.append([event])
print((opened - began) * 1e6, (time.perf_counter() - opened) * 1e6)
"""


class Limit(NamedTuple):
    """A measured ratio, and whether it is within its limit."""

    text: str
    met: bool


class SyncInside(LocalStore):
    """The store as it would be if it synced before it freed the lock."""

    def _write(self, events: Sequence[Stamped]) -> tuple[Frame, ...]:
        frames = super()._write(events)
        self._sync(frames[-1])
        return frames


class Raw:
    """The bytes alone: each group of lines written at the end of a file and synced."""

    def __init__(self, path: Path, groups: list[bytes]) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._groups = groups

    def append(self, number: int) -> None:
        os.write(self._fd, self._groups[number % len(self._groups)])
        os.fdatasync(self._fd)


def time_blocks(
    contenders: dict[str, Callable[[int], None]], rounds: int, block: int
) -> dict[str, list[float]]:
    """Return the microseconds that one append took, for each block of each contender."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(-2, rounds):  # Two rounds to warm up.
        for name, append in contenders.items():
            first = (number + 2) * block
            began = time.perf_counter()
            for each in range(first, first + block):
                append(each)
            if number >= 0:
                times[name].append((time.perf_counter() - began) / block * 1e6)
    return times


def compare_appends(scratch: Path, rounds: int, group: int) -> dict[str, list[float]]:
    """Return the times of appends of ``group`` events by the disk, the ledger and SQLite."""
    block = BLOCK if group == 1 else 3
    count = (rounds + 2) * block
    groups: list[list[Event]] = [
        [sample_event("run", number * group + i) for i in range(group)] for number in range(count)
    ]
    model = LocalStore.open(scratch / f"model{group}", STAMP, create=True)
    lines = [_lines(model, model.append(events)) for events in groups[:block]]
    store = fill(scratch / f"ledger{group}", 1)
    time.sleep(3.1)
    connection = open_sqlite(scratch / f"sqlite{group}.db")
    raw = Raw(scratch / f"raw{group}", lines)
    times = time_blocks(
        {
            "raw": raw.append,
            "ledger": lambda number: _discard(store.append(groups[number], number * group + 1)),
            "sqlite": lambda number: insert(connection, groups[number], number * group + 1),
        },
        rounds,
        block,
    )
    connection.close()
    return times


def _lines(store: LocalStore, frames: tuple[Frame, ...]) -> bytes:
    """Return the stored lines of the last append."""
    data = store.segments.path(1).read_bytes().splitlines(keepends=True)
    return b"".join(data[-len(frames) :])


def _discard(_: object) -> None:
    pass


def report_appends(times: dict[str, list[float]], group: int) -> list[Limit]:
    medians = {name: median(each) for name, each in times.items()}
    print(
        f"\nappends of {group}, {len(times['raw'])} blocks in turn: median and least microseconds, events/s"
    )
    labels = {"raw": "write + fdatasync of the same bytes", "ledger": "ledger", "sqlite": "SQLite, WAL, FULL"}
    for name, label in labels.items():
        rate = group * 1e6 / medians[name]
        print(f"  {label.ljust(36)} {medians[name]:9.0f} {min(times[name]):9.0f} {rate:10,.0f}")
    over_raw, over_sqlite = (_ratio(times, name) for name in ("raw", "sqlite"))
    if group > 1:
        text = f"groups of {group}: {over_sqlite:.2f} x SQLite (limit {GROUP_LIMIT})"
        return [Limit(f"{text}, {over_raw:.2f} x the bytes alone", over_sqlite >= GROUP_LIMIT)]
    return [
        Limit(
            f"single: {over_raw:.2f} x the bytes alone (limit {RAW_LIMIT:.2f}, target {RAW_TARGET:.2f})",
            over_raw >= RAW_LIMIT,
        ),
        Limit(
            f"single: {over_sqlite:.2f} x SQLite (limit {SQLITE_LIMIT}, target {SQLITE_TARGET})",
            over_sqlite >= SQLITE_LIMIT,
        ),
    ]


def _ratio(times: dict[str, list[float]], peer: str) -> float:
    """Return how many times as fast as its peer the ledger was: the median over neighbouring blocks."""
    return median(there / here for there, here in zip(times[peer], times["ledger"], strict=True))


def write_for(
    kind: type[LocalStore], root: Path, run: str, seconds: float, start: Barrier, counts: Any
) -> None:
    """Append events to a run of one's own for a time, as one of several processes."""
    store = kind.open(root, STAMP)
    events = [sample_event(run, number) for number in range(50_000)]
    start.wait()
    end, count = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        store.append([events[count]], count + 1)
        count += 1
    counts.put((run, count))


def race(kind: type[LocalStore], root: Path, seconds: float) -> list[int]:
    """Return how many events each of the writers appended."""
    context = multiprocessing.get_context("spawn")
    start, counts = context.Barrier(WRITERS), context.Queue()
    LocalStore.open(root, STAMP, create=True).append([sample_event("first", 0)])
    os.utime(root / "log", (0, 0))  # As old as the log of anybody who has eight writers.
    writers = [
        context.Process(target=write_for, args=(kind, root, f"run{number}", seconds, start, counts))
        for number in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    found = [counts.get()[1] for _ in writers]
    for writer in writers:
        writer.join()
    if sum(found) + 1 != sum(1 for _ in LocalStore.open(root, STAMP).frames()):
        raise SystemExit("error: the log does not have the events that were acknowledged")
    return found


def report_writers(scratch: Path, seconds: float, rounds: int = 3) -> list[Limit]:
    rates: dict[str, list[float]] = {"after": [], "inside": []}
    fairness: list[float] = []
    for number in range(rounds):
        for name, kind in (("after", LocalStore), ("inside", SyncInside)):
            counts = race(kind, scratch / f"{name}{number}", seconds)
            rates[name].append(sum(counts) / seconds)
            if name == "after":
                fairness.append(max(counts) / max(1, min(counts)))
    print(
        f"\n{WRITERS} processes, one event each, {rounds} rounds of {seconds:.0f} s in turn: median events/s"
    )
    for name, label in (
        ("after", "ledger: sync after the unlock"),
        ("inside", "the same, sync inside the lock"),
    ):
        print(f"  {label.ljust(36)} {median(rates[name]):9,.0f}")
    ratio = median(here / there for here, there in zip(rates["after"], rates["inside"], strict=True))
    return [
        Limit(
            f"{WRITERS} writers: {ratio:.2f} x the sync inside (limit {WRITERS_LIMIT})",
            ratio >= WRITERS_LIMIT,
        ),
        Limit(
            f"fairness: the fastest {median(fairness):.2f} x the slowest (limit {FAIRNESS_LIMIT})",
            median(fairness) <= FAIRNESS_LIMIT,
        ),
    ]


def report_opening(scratch: Path, events: int, runs: int) -> list[Limit]:
    contenders = {
        "1 000 events": fill(scratch / "thousand", 1000),
        f"{events:,} events".replace(",", " "): fill(scratch / "million", events),
        "100 000 events, 100 runs": fill(scratch / "runs100", 100_000, runs=100),
        "100 000 events, 1 000 runs": fill(scratch / "runs1000", 100_000, runs=1000),
    }
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for number in range(-1, runs):
        for name, store in contenders.items():
            result = _open_and_append(store.root)
            if number >= 0:
                took[name].append(result)
    print(f"\na fresh process, {runs} rounds in turn: median microseconds to open, to append")
    medians = {}
    for name, each in took.items():
        opened, appended = (median(column) for column in zip(*each, strict=True))
        medians[name] = median(map(sum, each))
        print(f"  {name.ljust(36)} {opened:9.0f} {appended:9.0f}")
    thousand, million, _, many = medians.values()
    ratio = million / thousand
    return [
        Limit(
            f"opening and appending: {ratio:.2f} x a thousand events (limit {OPEN_LIMIT})",
            1 / OPEN_LIMIT <= ratio <= OPEN_LIMIT,
        ),
        Limit(f"with a thousand runs: {many - thousand:+.0f} us (limit 5 000)", many - thousand <= 5000),
    ]


def _open_and_append(root: Path) -> tuple[float, float]:
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", OPEN_AND_APPEND, str(root)]
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    opened, appended = done.stdout.split()
    return float(opened), float(appended)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--rounds", type=int, default=60, help="blocks of each contender; medians are over them"
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="how long the eight writers write")
    parser.add_argument("--events", type=int, default=1_000_000, help="events of the large ledger")
    parser.add_argument("--at", type=Path, default=None, help="a directory on the disk to measure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.at) as directory:
        scratch = Path(directory)
        limits = report_appends(compare_appends(scratch, options.rounds, 1), 1)
        limits += report_appends(compare_appends(scratch, options.rounds, GROUP), GROUP)
        limits += report_writers(scratch, options.seconds)
        limits += report_opening(scratch, options.events, max(11, options.rounds // 2))
    print()
    for text, met in limits:
        print(f"{'met   ' if met else 'MISSED'} {text}")
    return 0 if all(met for _, met in limits) else 1


if __name__ == "__main__":
    sys.exit(main())

"""What questions cost over an archive of ten million events of a thousand runs, and what writing it costs.

    python bench/shared_archive.py [--events N] [--runs N] [--at DIRECTORY] [--memory SIZE]

Makes an archive of a shared ledger through the code that `ledger archive --shared` writes with, fed from
a generator instead of a server: staging, Parquet, fsync, reading back, seal. The runs are of twelve homes;
their events are those of a few runs that were made one by one (`sample_runs`), with names, ids, times and
chains of their own. What is in ``--at`` already is gone on with. Then asks, each time in a process of its
own, the pages of the files dropped before:

- the state of one run at an event, through `state_at`: at most 1 s from the process's start to the last row;
- the pass rate of every gate over everything, through the view `measurements`: at most 2 s;

both with less than 1 GB of resident memory, measured by the system. The state's tree is hashed and compared
with the one that was recorded; the counts of the gates with those of the generator. Exits 1 where a limit is
missed.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import sample_runs
from sample_runs import BODIES, Agent, Files

from ledger.events import NO_DIGEST, body_digest, encode_event, event_digest
from ledger.sharedarchive.batches import sweep, write_batch
from ledger.sharedarchive.layout import RunPart, SharedArchive, StoredEvent, run_key
from ledger.state import tree_oid
from ledger.store.disk import forget_pages
from patches.model import Entry

TEMPLATES = 10
HOMES = 12
EVENTS_A_BATCH = 500_000
RUNS_A_DAY = 250
ROUNDS = 3
STATE_S, RATE_S, MEMORY_BYTES = 1.0, 2.0, 1_000_000_000
_HEAD = re.compile(rb'\{"kind":"([^"]*)","id":"[^"]*","run":"[^"]*","v":(\d+),"prev":"[^"]*","at_ns":(\d+)')

ASK = """\
import json, re, sys
from pathlib import Path
from ledger.sharedarchive.layout import SharedArchive
from ledger.sharedarchive.session import Tail, open_shared
archive = SharedArchive.open(Path(sys.argv[1]))
connection = open_shared(archive, Tail((), lambda digest: b""), int(sys.argv[3]))
rows = connection.execute(sys.argv[2]).fetchall()
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
print(json.dumps({"rows": [[each.hex() if isinstance(each, bytes) else each for each in row] for row in rows],
    "peak": peak}))
"""
RATE = (
    "select gate, count(*) filter (verdict = 'pass') as passed, count(*) as measured "
    "from measurements group by gate order by gate"
)


class Template(NamedTuple):
    """An event of a run that was made, in pieces: what comes before its identity, and behind its time."""

    kind: bytes
    at_ns: int
    rest: bytes


class Made(NamedTuple):
    """What the generator knows of an archive: the tree of a run at a version, and verdicts by gate."""

    run: str
    v: int
    tree: str
    gates: list[list[Any]]


class Answer(NamedTuple):
    """What a process of its own answered, how long that took with its start, and its largest size."""

    rows: list[list[Any]]
    took_s: float
    cpu_s: float
    peak_bytes: int


def make_templates(events: int) -> tuple[list[list[Template]], dict[str, bytes]]:
    """Return runs of so many events in pieces, and the bodies that they name."""
    sample_runs.PATHS_A_PATCH = 1  # events of a kilobyte, as those of `ledger apply` for a patch of one file
    base = Files()
    listing = base.listing()
    bodies = {body_digest(body): body for body in (*BODIES, listing)}
    patches = list(bodies)[: len(BODIES)]
    runs: list[list[Template]] = []
    for number in range(TEMPLATES):
        agent = Agent(f"run-{number}", base, patches, body_digest(listing), number)
        stored = (encode_event(event) for event in islice(agent.events(), events))
        runs.append([_pieces(data) for data in stored])
    return runs, bodies


def _pieces(data: bytes) -> Template:
    head = _HEAD.match(data)
    assert head is not None, "an event of ours begins like this"
    return Template(head[1], int(head[3]), data[head.end() :])


def stamped(template: list[Template], run: str, number: int, seq: int) -> list[StoredEvent]:
    """Return the events of one more run, chained."""
    prev, found = NO_DIGEST, []
    shift_ns = number * 1_000_003
    for v, (kind, at_ns, rest) in enumerate(template, start=1):
        time_ms = (at_ns + shift_ns) // 1_000_000
        id_ = b"%08x-%04x-7%03x-8%03x-%012x" % (time_ms >> 16, time_ms & 0xFFFF, v & 0xFFF, number, seq + v)
        head = b'{"kind":"%b","id":"%b","run":"%b","v":%d,"prev":"%b","at_ns":%d' % (
            *(kind, id_, run.encode(), v, prev.encode(), at_ns + shift_ns),
        )
        data = head + rest
        found.append(StoredEvent(seq + v, data))
        prev = event_digest(data)
    return found


def generate(templates: list[list[Template]], numbers: list[int]) -> Iterator[RunPart]:
    """Yield runs in the order of their keys."""
    homes = [body_digest(b"%d" % home) for home in range(HOMES)]
    each = len(templates[0])
    named = sorted((run_key(homes[n % HOMES], f"run-{n:04}"), n) for n in numbers)
    for _, number in named:
        run, home = f"run-{number:04}", number % HOMES
        events = stamped(templates[number % TEMPLATES], run, number, number * each)
        yield RunPart(homes[home], f"repository-{home}", run, 0, NO_DIGEST, events)


def make_archive(root: Path, events: int, runs: int) -> Made:
    """Write an archive, a batch after the other, and return what the generator knows of it."""
    templates, bodies = make_templates(events // runs)
    archive = SharedArchive.open(root, create=True)
    sweep(archive)
    a_batch = max(1, EVENTS_A_BATCH // (events // runs))
    for first in range(len(archive.seals) * a_batch, runs, a_batch):
        numbers = list(range(first, min(first + a_batch, runs)))
        began = time.perf_counter()
        day = f"2026-11-{1 + first // RUNS_A_DAY:02}"
        seal = write_batch(archive, day, generate(templates, numbers), bodies.__getitem__)
        took_s = time.perf_counter() - began
        size = sum(file.size_bytes for file in seal.files.values())
        print(
            f"batch {seal.batch}: {seal.events:,} events in {took_s:.1f} s, "
            f"{seal.events / took_s:,.0f} a second, {size / seal.events:.0f} bytes an event",
            flush=True,
        )
    return _known(templates, runs)


def _known(templates: list[list[Template]], runs: int) -> Made:
    """Return what is to be answered: a state in the middle of everything, and each gate's verdicts."""
    number = runs // 2
    template = templates[number % TEMPLATES]
    v, tree = next(
        (v, found[1].decode())
        for v, each in reversed(list(enumerate(template[: len(template) * 9 // 10], start=1)))
        if (found := re.search(rb'"result_tree":"([0-9a-f]{40})"', each.rest))
    )
    passed: Counter[str] = Counter()
    measured: Counter[str] = Counter()
    for copies, pieces in ((len(range(n, runs, TEMPLATES)), each) for n, each in enumerate(templates)):
        for piece in pieces:
            if piece.kind == b"gate.measured/1":
                gate = str(json.loads(b"{" + piece.rest[1:])["gate"])
                measured[gate] += copies
                passed[gate] += copies * (b'"verdict":"pass"' in piece.rest)
    key = run_key(body_digest(b"%d" % (number % HOMES)), f"run-{number:04}")
    return Made(key, v, tree, [[gate, passed[gate], measured[gate]] for gate in sorted(measured)])


def ask(root: Path, sql: str, memory_bytes: int) -> Answer:
    """Ask in a fresh process, of files whose pages were dropped."""
    for path in root.glob("**/*.parquet"):
        forget_pages(path)
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(root), sql, str(memory_bytes)],
        check=True,
        capture_output=True,
        text=True,
    )
    took_s, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    said = json.loads(done.stdout)
    return Answer(said["rows"], took_s, cpu_s, said["peak"])


def measure(root: Path, made: Made, memory_bytes: int) -> list[str]:
    """Ask both questions some times and return what is missed."""
    state_sql = f"select mode, oid, path_bytes from state_at('{made.run}', {made.v})"  # noqa: S608 - ours
    missed: list[str] = []
    for name, sql, limit_s in (("state_at", state_sql, STATE_S), ("pass rate", RATE, RATE_S)):
        answers = [ask(root, sql, memory_bytes) for _ in range(ROUNDS)]
        took_s, peak = median(each.took_s for each in answers), max(each.peak_bytes for each in answers)
        cpu_s = median(each.cpu_s for each in answers)
        print(
            f"{name}: {took_s:.2f} s cold (at most {limit_s:g}), of which {cpu_s:.2f} s of processors, "
            f"{peak / 1e6:.0f} MB resident",
            flush=True,
        )
        if took_s > limit_s or peak > MEMORY_BYTES:
            missed.append(name)
        rows = answers[-1].rows
        if name == "pass rate":
            right = rows == made.gates
        else:
            files = {bytes.fromhex(path): Entry(int(mode, 8), bytes.fromhex(oid)) for mode, oid, path in rows}
            right = tree_oid(files).hex() == made.tree
        if not right:
            missed.append(f"{name}: the answer is wrong")
    return missed


def main() -> int:
    """Make the archive unless it is there, ask, and say what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument(
        "--at", type=Path, help="a directory to keep it in; what was made there is gone on with"
    )
    parser.add_argument("--memory", type=int, default=700 << 20, help="what DuckDB may use (bytes)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place: Path = options.at or Path(scratch)
        known = place / f"made-{options.events}-{options.runs}.json"
        root = place / f"archive-{options.events}-{options.runs}"
        if not known.exists():
            place.mkdir(parents=True, exist_ok=True)
            known.write_text(json.dumps(make_archive(root, options.events, options.runs)), "utf-8")
        missed = measure(root, Made(*json.loads(known.read_text("utf-8"))), options.memory)
    for each in missed:
        print(f"MISSED: {each}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

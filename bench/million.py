"""What questions cost in a ledger of a million events, beside other ways of keeping the same history.

    python bench/million.py [--events N] [--at DIRECTORY] [--growth]

Makes a repository with a ledger of that many events, 10 000 a run, through the store that commands write
with (20 000 paths, three a patch; gates, phases, tickets, rollbacks), and asks in turns, at random places:

- the state at an event: at most 60 ms in a process that has asked before, 0.6 s as a command;
- a gate's trend over a run: 30 ms;
- an event by its reference: 5 ms;
- the first page of the log, as a command: 0.3 s;
- everything that is made of the log, from nothing: 10 s for a million events;
- catching up with one more event: 20 ms.

Beside: SQLite with the indexes that the questions want; a DuckDB table laid by hand for them, its rows sorted
by run and version; DuckDB over the log's own JSON lines. These prove nothing of what they say; of the
ledger's answers, the state's tree is hashed and compared with the one that was recorded. With ``--growth``
ledgers of ten and a hundred thousand events are asked too. What was made in ``--at`` before is used again.

Exits 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import duckdb
from sample_events import STAMP
from sample_runs import fill_runs

from ledger import Ledger
from ledger.events import PhaseEntered
from ledger.run import identify
from ledger.state import tree_oid
from patches.model import Entry

EVENTS_A_RUN = 10_000
SIZES = (10_000, 100_000, 1_000_000)
STATE_MS, STATE_COLD_MS, TREND_MS, EVENT_MS, LOG_COLD_MS, NOTHING_S, CATCH_UP_MS = 60, 600, 30, 5, 300, 10, 20
PROJECTIONS = ("columns", "catalogue", "heads")

Ask = Callable[[str, int], Any]


class Figure(NamedTuple):
    """A question, the medians in milliseconds of whoever was asked, the ledger first, and its limit."""

    question: str
    medians: dict[str, float]
    limit: float


def make_ledger(place: Path, events: int) -> Path:
    """Return a repository with a ledger of that many events, made here unless it is there."""
    root = place / f"events-{events}"
    if not (root / "made").exists():
        shutil.rmtree(root, ignore_errors=True)
        git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@example.org", "-C", str(root)]
        root.mkdir(parents=True)
        subprocess.run([*git, "init", "-q"], check=True)
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "Begin"], check=True)
        began = time.perf_counter()
        fill_runs(root / ".git" / "ledger", events, max(1, events // EVENTS_A_RUN))
        print(f"{events:,} events written in {time.perf_counter() - began:.0f} s")
        (root / "made").touch()
    return root


def in_turns(contenders: dict[str, Ask], picks: list[tuple[str, int]]) -> dict[str, float]:
    """Return the median milliseconds that each took; all answer each pick before the next."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number, (run, v) in enumerate([picks[0], *picks]):
        for name, ask in contenders.items():
            began = time.perf_counter()
            ask(run, v)
            if number:
                times[name].append((time.perf_counter() - began) * 1e3)
    return {name: median(each) for name, each in times.items()}


# ── rivals ───────────────────────────────────────────────────────────────────────────────────────


class Rivals:
    """The same history in other stores, made once from the ledger's own views."""

    def __init__(self, ledger: Ledger, place: Path) -> None:
        self._lines = sorted(str(path) for path in (ledger.path / "log").glob("*.jsonl"))
        self.made_s: dict[str, float] = {}
        self.table = duckdb.connect(str(place / "by-hand.duckdb"))
        self.sqlite = sqlite3.connect(place / "rival.sqlite")
        if not self.table.execute("show tables").fetchall():
            self._lay(ledger)
        if not self.sqlite.execute("select 1 from sqlite_master").fetchall():
            self._fill_sqlite()

    def _lay(self, ledger: Ledger) -> None:
        """Read the log's lines into the tables that the questions want, sorted for them."""
        began = time.perf_counter()
        file = "STRUCT(path VARCHAR, mode VARCHAR, oid VARCHAR)[]"
        event = (
            f"STRUCT(kind VARCHAR, run VARCHAR, v INTEGER, base_tree VARCHAR, files {file}, gate VARCHAR, "
            "verdict VARCHAR, metrics JSON)"
        )
        lines = f"read_json({self._lines}, format = 'newline_delimited', columns = {{'e': '{event}'}})"
        self.table.execute(f"create temp table line as select unnest(e) from {lines}")  # noqa: S608 - ours
        self.table.execute(
            "create table change as select run, v, f.path as path, f.mode as mode, unhex(f.oid) as oid "
            "from (select run, v, unnest(files) as f from line) order by run, v"
        )
        self.table.execute(
            "create table gate as select run, v, gate, verdict, metrics from line where gate is not null "
            "and kind = 'gate.measured/1' order by run, v"
        )
        self.made_s["a table by hand"] = time.perf_counter() - began
        runs = ledger.sql("select run from runs order by run").fetchall()
        base = ledger.sql("select path, mode, oid from state_at($run, 1)", {"run": runs[0][0]}).fetchall()
        self.table.execute("create table base (path VARCHAR, mode VARCHAR, oid BLOB)")
        self.table.execute(
            "insert into base select unnest($paths), unnest($modes), unhex(unnest($oids))",
            dict(zip(("paths", "modes", "oids"), map(list, zip(*base, strict=True)), strict=True)),
        )

    def _fill_sqlite(self) -> None:
        began = time.perf_counter()
        self.sqlite.executescript(
            """
            create table base (path text primary key, mode text, oid blob) without rowid;
            create table change (run text, v integer, path text, mode text, oid blob);
            create table gate (run text, v integer, gate text, verdict text, metrics text);
            create table event (run text, v integer, event blob);
            """
        )
        for name, marks in (("base", "?,?,?"), ("change", "?,?,?,?,?"), ("gate", "?,?,?,?,?")):
            rows = self.table.execute(f"from {name}")
            while some := rows.fetchmany(100_000):
                self.sqlite.executemany(f"insert into {name} values ({marks})", some)  # noqa: S608 - ours
        for path in self._lines:
            with Path(path).open("rb") as lines:
                self.sqlite.executemany("insert into event values (?,?,?)", map(_event_row, lines))
        self.sqlite.executescript(
            """
            create index change_path on change (run, path, v);
            create index gate_v on gate (run, gate, v);
            create unique index event_v on event (run, v);
            """
        )
        self.sqlite.commit()
        self.made_s["SQLite"] = time.perf_counter() - began

    def state_by_hand(self, run: str, v: int) -> Any:
        return self.table.execute(
            """
            select path, last.mode, last.oid from (
                select path, arg_max({'mode': mode, 'oid': oid}, v) as last
                from (select 0 as v, * from base union all
                      select v, path, mode, oid from change where run = $run and v <= $v)
                group by path
            ) where last.mode is not null order by path
            """,
            {"run": run, "v": v},
        ).fetchall()

    def state_sqlite(self, run: str, v: int) -> Any:
        return self.sqlite.execute(
            """
            select path, mode, oid from (
                select path, mode, oid, max(v) from (
                    select 0 as v, path, mode, oid from base union all
                    select v, path, mode, oid from change where run = ? and v <= ?
                ) group by path
            ) where mode is not null
            """,
            (run, v),
        ).fetchall()

    def state_json(self, run: str, v: int) -> Any:
        file = "STRUCT(path VARCHAR, mode VARCHAR, oid VARCHAR)[]"
        return self.table.execute(
            """
            select path, last.mode, last.oid from (
                select path, arg_max({'mode': mode, 'oid': oid}, v) as last
                from (select 0 as v, path, mode, oid from base union all
                      select v, f.path, f.mode, unhex(f.oid) from (
                          select e.v as v, unnest(e.files) as f
                          from read_json($lines, format = 'newline_delimited', columns = COLUMNS)
                          where e.run = $run and e.v <= $v))
                group by path
            ) where last.mode is not null order by path
            """.replace("COLUMNS", f"{{'e': 'STRUCT(run VARCHAR, v INTEGER, files {file})'}}"),
            {"run": run, "v": v, "lines": self._lines},
        ).fetchall()

    def trend_by_hand(self, run: str, _v: int) -> Any:
        sql = "select v, metrics, verdict from gate where run = $run and gate = 'tests' order by v"
        return self.table.execute(sql, {"run": run}).fetchall()

    def trend_sqlite(self, run: str, _v: int) -> Any:
        sql = "select v, metrics, verdict from gate where run = ? and gate = 'tests' order by v"
        return self.sqlite.execute(sql, (run,)).fetchall()

    def event_sqlite(self, run: str, v: int) -> Any:
        return self.sqlite.execute("select event from event where run = ? and v = ?", (run, v)).fetchall()


def _event_row(line: bytes) -> tuple[str, int, bytes]:
    import msgspec

    event = msgspec.json.decode(line)["e"]
    return event["run"], event["v"], line


# ── the questions ────────────────────────────────────────────────────────────────────────────────


def check_states(ledger: Ledger, picks: list[tuple[str, int]]) -> None:
    """Compare the tree of each state that SQL gives with the one that the last tree's event recorded."""
    for run, v in picks:
        rows = ledger.sql("select path_bytes, mode, oid from state_at($run, $v)", {"run": run, "v": v})
        files = {path: Entry(int(mode, 8), bytes.fromhex(oid)) for path, mode, oid in rows.fetchall()}
        if tree_oid(files).hex() != ledger.tree(f"{run}:{v}"):
            raise SystemExit(f"error: the state at {run}:{v} is not the tree that was recorded")


def ask_all(ledger: Ledger, picks: list[tuple[str, int]], rivals: Rivals | None) -> Iterator[Figure]:
    """Yield the figures of what a process asks that has asked before."""

    def state(run: str, v: int) -> Any:
        return ledger.sql("select path, mode, oid from state_at($r, $v)", {"r": run, "v": v}).fetchall()

    def trend(run: str, _v: int) -> Any:
        sql = "select v, value, verdict from gate_metrics where run = $run and gate = 'tests' order by v"
        return ledger.sql(sql, {"run": run}).fetchall()

    asked: dict[str, dict[str, Ask]] = {
        "state at an event": {"ledger": state},
        "trend of a gate": {"ledger": trend},
        "event by reference": {"ledger": lambda run, v: ledger.event(f"{run}:{v}")},
    }
    if rivals:
        asked["state at an event"] |= {"SQLite": rivals.state_sqlite, "a table by hand": rivals.state_by_hand}
        asked["trend of a gate"] |= {"SQLite": rivals.trend_sqlite, "a table by hand": rivals.trend_by_hand}
        asked["event by reference"] |= {"SQLite": rivals.event_sqlite}
    for (question, contenders), limit in zip(asked.items(), (STATE_MS, TREND_MS, EVENT_MS), strict=True):
        yield Figure(question, in_turns(contenders, picks), limit)
    if rivals:
        medians = in_turns({"ledger": state, "JSON lines": rivals.state_json}, picks[:3])
        yield Figure("state at an event", medians, STATE_MS)


def ask_cold(root: Path, picks: list[tuple[str, int]]) -> Iterator[Figure]:
    """Yield the figures of commands, each a process of its own."""
    program = str(Path(sys.executable).with_name("ledger"))

    def command(*words: str) -> None:
        subprocess.run([program, "-C", str(root), *words], check=True, capture_output=True)

    def python(_run: str, _v: int) -> None:
        subprocess.run([sys.executable, "-c", "import duckdb"], check=True)

    contenders: dict[str, Ask] = {
        "ledger": lambda run, v: command("state", "--candidate", "--at", f"{run}:{v}", "--format", "csv"),
        "ledger sql": lambda run, v: command("sql", f"from state_at('{run}', {v})", "--format", "csv"),
        "import duckdb": python,
    }
    yield Figure("state at an event, a command", in_turns(contenders, picks[:7]), STATE_COLD_MS)
    log: dict[str, Ask] = {"ledger": lambda run, _v: command("log", run, "-n", "50")}
    yield Figure("first page of the log, a command", in_turns(log, picks[:7]), LOG_COLD_MS)


def forget(root: Path) -> None:
    """Delete what is made of the log."""
    for name in PROJECTIONS:
        path = root / ".git" / "ledger" / "cache" / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)


def make_anew(root: Path, run: str) -> Figure:
    """Return what it takes to make everything again that is made of the log."""
    forget(root)
    times: dict[str, float] = {}
    with Ledger.open(root, stamp=STAMP) as ledger:
        for name, make in {
            "heads": ledger.store.heads,
            "tables": lambda: ledger.sql("select 1").fetchall(),
            "catalogue": lambda: sum(1 for _ in ledger.events(run)),
        }.items():
            began = time.perf_counter()
            make()
            times[name] = (time.perf_counter() - began) * 1e3
    return Figure("from nothing", {"ledger": sum(times.values()), **times}, NOTHING_S * 1e3)


def catch_up(ledger: Ledger, run: str) -> Figure:
    """Return what a session takes to see one more event."""
    times: list[float] = []
    ledger.sql("select 1").fetchall()
    for _ in range(15):
        ledger.store.append([PhaseEntered(**identify(run, STAMP), phase="P3")])
        began = time.perf_counter()
        ledger.sql("select 1").fetchall()
        times.append((time.perf_counter() - began) * 1e3)
    return Figure("one more event", {"ledger": median(times)}, CATCH_UP_MS)


def measure(place: Path, events: int, *, rivals: bool) -> list[Figure]:
    """Return all figures of a ledger of that many events."""
    root = make_ledger(place, events)
    runs = max(1, events // EVENTS_A_RUN)
    chosen = random.Random(events)  # noqa: S311 - no secret
    picks = [(f"run-{chosen.randrange(runs):03}", chosen.randrange(2, EVENTS_A_RUN)) for _ in range(25)]
    figures = [make_anew(root, picks[0][0])]
    with Ledger.open(root, stamp=STAMP) as ledger:
        check_states(ledger, picks)
        others = Rivals(ledger, root) if rivals else None
        figures += ask_all(ledger, picks, others)
        figures.append(catch_up(ledger, picks[0][0]))
        if others:
            for name, seconds in others.made_s.items():
                print(f"{name}: {seconds:.1f} s from the JSON lines, nothing checked")
    figures += ask_cold(root, picks)
    return figures


def show(events: int, figures: list[Figure]) -> int:
    """Print figures, and return how many miss their limit."""
    print(f"\n{events:,} events: median milliseconds, {os.cpu_count()} processors")
    missed = 0
    for question, medians, limit in figures:
        ours = medians["ledger"]
        # The limit of making everything is for a million events.
        bound = limit * events / 1e6 if question == "from nothing" else limit
        missed += ours > bound
        others = ", ".join(
            f"{name} {value:.1f} ({ours / value:.2f} x)"
            for name, value in medians.items()
            if name != "ledger"
        )
        print(
            f"  {question:34} {ours:9.1f}  {'ok' if ours <= bound else 'MISSED'} (limit {bound:g})  {others}"
        )
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000, help="of the largest ledger")
    parser.add_argument("--at", type=Path, help="where ledgers are kept; by default they are deleted again")
    parser.add_argument("--growth", action="store_true", help="ask smaller ledgers too")
    given = parser.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory() as scratch:
        place = given.at or Path(scratch)
        sizes = [size for size in SIZES if size < given.events] if given.growth else []
        for events in [*sizes, given.events]:
            missed += show(events, measure(place, events, rivals=events == given.events))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

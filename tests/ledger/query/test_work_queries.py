"""The questions about work in ``queries/``: what was done, undone and met, in runs whose every event is known."""

from __future__ import annotations

import itertools
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from msgspec.json import encode
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from chronicle import Chronicle, rule
from gatestory import TICK_S, columns, told
from questions import ask

from ledger.events import ApplyOptions, ErrorCaptured, PatchRefused
from ledger.filerecords import FileRecord
from ledger.measurements import Finding, Report
from ledger.query.session import open_session
from ledger.stamps import Actor, Stamp
from ledger.store.local import LocalStore

pytestmark = pytest.mark.duckdb

WEEK_S = 7 * 24 * 3600
LINT = rule()
THIS_WEEK, NEXT_WEEK = date(2023, 11, 13), date(2023, 11, 20)


class Clock:
    """The time stands still until it is moved."""

    def __init__(self) -> None:
        self.now_ns = 1_700_000_000_000_000_000
        self.counter = itertools.count()

    def __call__(self) -> int:
        return self.now_ns

    def stamp(self, actor: Actor) -> Stamp:
        return Stamp(actor, self, lambda size: next(self.counter).to_bytes(size, "big"))


class Work(Chronicle):
    """A chronicle in which each event comes a second after the one before."""

    def __init__(self, clock: Clock, actor: Actor, run: str) -> None:
        self.clock = clock
        super().__init__(clock.stamp(actor), {"a": "0", "b": "0"}, run)

    def add(self, event: Any) -> int:
        self.clock.now_ns += 1_000_000_000
        return super().add(event)

    def change(self, path: str, added: int, removed: int, size_bytes: int, **fields: Any) -> int:
        """Record a patch of one file."""
        v = self.patch({**self.files, path: str(self.v)}, patch_size_bytes=size_bytes, **fields)
        counted = {"added": added, "removed": removed}
        patch: Any = self.events[-1]
        files = tuple(FileRecord(**{**_fields(file), **counted}) for file in patch.files)
        self.events[-1] = replace(patch, files=files)
        return v

    def refuse(self, source: str, size_bytes: int) -> int:
        refused = PatchRefused(
            **self.identity(),
            base_tree=self.tree,
            patch=self.body(source.encode()),
            patch_size_bytes=size_bytes,
            source=source,
            options=ApplyOptions(),
            error="HunkMismatch",
            reason=self.body(b"it does not apply"),
        )
        return self.add(refused)

    def write(self, store: LocalStore) -> None:
        """Append the events with the times that they have."""
        for data in self.bodies.values():
            store.write_body(data)
        store.append([replace(event, v=0) for event in self.events], 1)


def _fields(file: FileRecord) -> dict[str, Any]:
    return {name: getattr(file, name) for name in file.__struct_fields__}


def first_run(clock: Clock) -> Work:
    """Return the run "one" of the agent "tester".

    1 start · 2 p1.diff · 3 p2.diff · 4 p3.diff refused · 5 back to 2 · 6 drift · 7, 8 an error twice · 9 answered ·
    10 the error again · a week later: 11 lint fails · 12 lint is inconclusive · 13 lint passes
    """
    work = Work(clock, Actor("agent", "tester", "s1"), "one")
    work.change("a", 3, 1, 100, source="p1.diff", patch=work.body(b"p1"))
    work.change("b", 10, 0, 2000, source="p2.diff", patch=work.body(b"p2"))
    work.refuse("p3.diff", 20_000)
    work.roll_back(2)
    work.change("a", 5, 5, 300, cause="drift", source="", patch=work.body(b"by hand"))
    first = work.capture_error("3:build", "no such file")
    work.capture_error("3:build", "no such file", same_as=first)
    work.answer(first, "it is there now")
    said = work.body(b"no such file")
    work.add(ErrorCaptured(**work.identity(), step="3:build", message=said, after=first))
    clock.now_ns += WEEK_S * 1_000_000_000
    found = (Finding("E1", "a", 1), Finding("E1", "a", 9), Finding("E2", "b", 3))
    report = work.body(encode(Report(metrics={}, examined=2, unit="files", findings=found)))
    broken = {"metrics": {"findings": 3.0}, "verdict": "fail", "report": report, "duration_ns": 3_000_000_000}
    work.measure("lint", LINT, **broken)
    missing = {"problems": ("ruff is missing",), "reasons": ("ruff is missing",), "verdict": "inconclusive"}
    work.measure("lint", LINT, **missing, duration_ns=2_000_000_000)
    work.measure("lint", LINT, duration_ns=1_000_000_000)
    assert work.v == 13
    return work


def second_run(clock: Clock) -> Work:
    """Return the run "two" of the person "ann": 1 start · 2 q.diff · 3 back to 1 · 4 q.diff again · 5 finished."""
    work = Work(clock, Actor("person", "ann", ""), "two")
    work.change("a", 1, 0, 150, source="q.diff", patch=work.body(b"q"))
    work.roll_back(1)
    work.change("a", 1, 0, 150, source="q.diff", patch=work.body(b"q"))
    work.finish()
    return work


@pytest.fixture
def work(store: LocalStore) -> Any:
    """Asks questions of both runs, the second of which ended before the first began."""
    clock = Clock()
    second_run(clock).write(store)
    first_run(clock).write(store)
    session = open_session(store)
    return lambda name, **parameters: ask(session, name, **parameters)


@pytest.fixture
def gated(stamp: Stamp, store: LocalStore) -> Any:
    """Asks questions of the run "port", as `gatestory.told` tells it."""
    told(stamp).write_to(store)
    session = open_session(store)
    return lambda name, **parameters: ask(session, name, **parameters)


def test_pass_rate(work: Any, gated: Any) -> None:
    """Inconclusive measurements are counted, and are neither passes nor failures."""
    rows = columns(
        work("pass_rate", run="one"), "gate week measured passed failed inconclusive pass_rate runs"
    )
    assert rows == [("lint", NEXT_WEEK, 3, 1, 1, 1, 0.5, 1)]
    rows = columns(gated("pass_rate", run="port"), "gate week measured passed failed pass_rate")
    assert rows == [("cov", THIS_WEEK, 2, 2, 0, 1.0), ("tests", THIS_WEEK, 7, 3, 4, round(3 / 7, 4))]
    assert columns(gated("pass_rate", gate="cov"), "gate") == [("cov",)]


def test_time_to_green(gated: Any) -> None:
    """From the event that made a state to the measurement that was missing."""
    rows = columns(gated("time_to_green"), "state accepted_by took_s measured failed live")
    assert rows == [
        ("port:1", "port:5", 4 * TICK_S, 2, 0, True),
        ("port:9", "port:11", 2 * TICK_S, 2, 0, True),
    ]


def test_between_greens(gated: Any) -> None:
    """What was rolled back in between is no change, nor what came after the newest green."""
    rows = gated("between_greens")
    assert columns(rows, "run green before path patches events sources") == [
        ("port", "port:9", "port:1", "a", 1, ["port:9"], ["one.diff"])
    ]
    assert columns(rows, "added removed") == [(0, 0)]


def test_failing_files(work: Any) -> None:
    """Complaints of failed measurements alone, by file."""
    names = "gate path findings measured rules top_rule newest stale"
    assert columns(work("failing_files"), names) == [
        ("lint", "a", 2, 1, 1, "E1", "one:11", False),
        ("lint", "b", 1, 1, 1, "E2", "one:11", False),
    ]
    assert work("failing_files", gate="tests") == work("failing_files", run="two") == []


def test_risky_files(gated: Any, work: Any) -> None:
    """A patch counts as failed where any measurement of its own state failed, flaky or not."""
    names = "path patches failed fail_rate gates newest"
    assert columns(gated("risky_files", run="port"), names) == [("a", 4, 3, 0.75, ["tests"], "port:18")]
    assert columns(work("risky_files", run="one"), names) == [("a", 1, 1, 1.0, ["lint"], "one:6")]


def test_sizes(work: Any) -> None:
    """Drift is nobody's patch; a refused one has no lines, but bytes."""
    names = "below patches applied refused rolled_back refused_rate rolled_back_rate"
    assert columns(work("sizes"), names) == [
        (1024, 3, 3, 0, 1, 0.0, round(1 / 3, 4)),
        (10240, 1, 1, 0, 1, 0.0, 1.0),
        (102400, 1, 0, 1, 0, 1.0, None),
    ]


def test_phase_times(gated: Any) -> None:
    """The last phase runs to the last event."""
    names = "phase runs visits total_s median_s longest_s longest_run share patches"
    assert columns(gated("phase_times"), names) == [
        ("P3", 1, 1, 14 * TICK_S, 14 * TICK_S, 14 * TICK_S, "port", 0.7778, 3),
        ("P4", 1, 1, 4 * TICK_S, 4 * TICK_S, 4 * TICK_S, "port", 0.2222, 1),
    ]


def test_rejected(work: Any) -> None:
    """What came back with the same bytes is not lost."""
    names = "run actor applied refused rolled_back lost lost_lines lost_share"
    assert columns(work("rejected"), names) == [
        ("one", "tester", 3, 1, 1, 1, 10, round(10 / 24, 4)),
        ("two", "ann", 2, 0, 1, 0, 0, 0.0),
    ]


def test_recurring(work: Any) -> None:
    """Once more, and again after an answer."""
    rows = work("recurring")
    assert columns(rows, "question step errors every_s open again_after runs") == [
        ("one:7", "3:build", 2, 1.0, False, None, 1),
        ("one:10", "3:build", 1, None, True, "one:7", 1),
    ]
    assert (rows[0]["last_at"] - rows[0]["first_at"]).total_seconds() == 1
    assert work("recurring", run="two") == []


def test_drift(work: Any) -> None:
    """By patches and by lines, for each actor."""
    names = "actor_name patches drift drift_share lines drift_lines line_share last_drift"
    assert columns(work("drift"), names) == [
        ("tester", 3, 1, round(1 / 3, 4), 24, 10, round(10 / 24, 4), "one:6"),
        ("ann", 2, 0, 0.0, 2, 0, 0.0, None),
    ]


def test_gate_cost(gated: Any, work: Any) -> None:
    """A second measurement of one tree tells of flakiness alone; the longest is named."""
    names = "gate measured total_s share median_s longest_s repeated repeated_s inconclusive_s"
    assert columns(gated("gate_cost", run="port"), names) == [
        ("tests", 7, 0.007, 0.7778, 0.001, 0.001, 2, 0.002, 0.0),
        ("cov", 2, 0.002, 0.2222, 0.001, 0.001, 0, 0.0, 0.0),
    ]
    assert columns(work("gate_cost", run="one"), f"{names} longest") == [
        ("lint", 3, 6.0, 1.0, 2.0, 3.0, 2, 3.0, 2.0, "one:11")
    ]


def test_inconclusive(work: Any) -> None:
    """The reason, and whether it was mended."""
    names = "gate reason measured runs newest mended"
    assert columns(work("inconclusive"), names) == [("lint", "ruff is missing", 1, 1, "one:12", True)]
    assert work("inconclusive", gate="tests") == []


def test_activity(work: Any) -> None:
    """Everything of a week, over all runs or of one."""
    names = "week runs started finished patches refused rollbacks measured errors commits"
    assert columns(work("activity"), names) == [
        (NEXT_WEEK, 1, 0, 0, 0, 0, 0, 3, 0, 0),
        (THIS_WEEK, 2, 2, 1, 5, 1, 2, 0, 3, 0),
    ]
    assert columns(work("activity", run="two"), names) == [(THIS_WEEK, 1, 1, 1, 2, 0, 1, 0, 0, 0)]


def test_file_history(gated: Any, work: Any) -> None:
    """With who, from which file, and what became of it; of the newest run where none is named."""
    names = "event kind operation path source rolled_back_by"
    assert columns(gated("file_history", run="port", path="a"), names) == [
        ("port:18", "patch.applied", "modify", "a", "conf.diff", None),
        ("port:12", "patch.applied", "modify", "a", "two.diff", None),
        ("port:9", "patch.applied", "modify", "a", "one.diff", None),
        ("port:8", "patch.rolled_back", "modify", "a", None, None),
        ("port:6", "patch.applied", "modify", "a", "one.diff", "port:8"),
    ]
    assert columns(work("file_history", run="two", path="a"), "event actor added rolled_back_by") == [
        ("two:4", "ann", 1, None),
        ("two:3", "ann", 0, None),
        ("two:2", "ann", 1, "two:3"),
    ]
    assert work("file_history", run="two", path="nowhere") == work("file_history", run="two") == []


def test_the_file_history_of_the_newest_run(work: Any) -> None:
    assert columns(work("file_history", path="b"), "event") == [("one:5",), ("one:3",)]


def test_a_run_narrows_every_question_down(work: Any) -> None:
    """Of no other run is a row, and of that run none is missing."""
    for name in ("runs", "refused", "rolled_back", "pauses", "rejected"):
        rows = work(name)
        of_one = work(name, run="one")
        assert of_one == [row for row in rows if row.get("run", row.get("event", "")).startswith("one")]
        assert 0 < len(of_one) <= len(rows)
        assert work(name, run="none") == []


def test_the_rows_of_a_long_answer_can_be_chosen(work: Any) -> None:
    assert [row["event"] for row in work("biggest", limit="2")] == ["one:3", "one:6"]
    assert len(work("biggest")) == 5

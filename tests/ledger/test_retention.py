"""Retention: whole finished runs go, everything else stays what it was, and the chain stays whole."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import second_reader
from archive_lab import Crash, crashes, reseal

from ledger import Ledger
from ledger.errors import NoLedger, RunName
from ledger.events import RetentionApplied, RetiredRun, RunFinished
from ledger.findings import Finding
from ledger.operations import retention
from ledger.reference_errors import UnknownReference
from ledger.stamps import Stamp
from ledger.store import writer as writer_module

pytestmark = pytest.mark.duckdb

DAY_NS = 86_400 * 1_000_000_000
Git = Callable[..., str]


class Clock:
    """A time that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now_ns = 1_700_000_000_000_000_000

    def __call__(self) -> int:
        self.now_ns += 1_000_000
        return self.now_ns


def patch(before: str, after: str) -> bytes:
    return f"--- a/notes.txt\n+++ b/notes.txt\n@@ -1,3 +1,3 @@\n-{before}\n+{after}\n two\n three\n\\ No newline at end of file\n".encode()


def age_bodies(root: Path) -> None:
    """Let every body be as old as its event says: two days."""
    for path in (root / "bodies").glob("??/*"):
        os.utime(path, (1_600_000_000, 1_600_000_000))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(repo: Path, git: Git, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """An old finished run, a young finished one, and an old one that is open elsewhere; in several segments."""
    monkeypatch.setattr(writer_module, "SEGMENT_SIZE_BYTES", 5000)
    git("worktree", "add", "--quiet", "--detach", repo.parent / "linked", cwd=repo)
    with Ledger.open(repo.parent / "linked", stamp=Stamp(clock=clock)) as linked:
        linked.run("still open", name="open").apply(patch("one", "open"), note="shared note")
    with Ledger.open(repo, stamp=Stamp(clock=clock)) as ledger:
        with ledger.run("the old one", name="old") as run:
            run.apply(patch("one", "ONE"), note="only in the old run")
            run.apply(patch("ONE", "one"), note="shared note")
        clock.now_ns += 2 * DAY_NS
        with ledger.run("the young one", name="young") as run:
            run.apply(patch("one", "1"), note="young")
        age_bodies(ledger.path)
        yield ledger


def answers(ledger: Ledger, *runs: str) -> dict[str, Any]:
    """Return what a reader can be told of some runs, and of no other."""
    said: dict[str, Any] = {}
    for run in runs:
        said[run] = [
            list(ledger.events(run)),
            list(ledger.events_backward(run)),
            ledger.state(run),
            list(ledger.replay(run)),
            ledger.sql("select * from events where run = $run order by v", {"run": run}).fetchall(),
            ledger.sql("select * from patch_files where run = $run order by all", {"run": run}).fetchall(),
            [finding for finding in ledger.verify() if finding.subject == run],
        ]
    return said


def everything(root: Path) -> dict[Path, bytes]:
    return {
        path: path.read_bytes() for path in root.rglob("*") if path.is_file() and "cache" not in path.parts
    }


def findings(ledger: Ledger, outcome: str) -> list[Finding]:
    return [finding for finding in ledger.verify() if finding.outcome == outcome]


def test_without_apply_nothing_changes(ledger: Ledger) -> None:
    """The plan names the finished runs that are older, and what they take; every byte stays."""
    ledger.store.heads()
    before = everything(ledger.path)
    plan = ledger.collect(DAY_NS)
    assert [(run.run, run.last_v) for run in plan.runs] == [("old", 5)]
    stored = [bytes(frame.e) for frame in ledger.store.frames() if frame.event.run == "old"]
    assert (plan.events, plan.events_size_bytes) == (5, sum(map(len, stored)))
    # Two patches and a note; the other note and the listing of the base are named by others too.
    assert plan.bodies == 3
    assert plan.event == ""
    assert everything(ledger.path) == before
    assert ledger.collect(3 * DAY_NS).runs == ()


def test_retired_runs_are_gone_and_the_rest_is_what_it_was(ledger: Ledger, repo: Path, git: Git) -> None:
    """Events, states, replay, SQL and refs of all other runs are the same, and the chain is whole."""
    before = answers(ledger, "open", "young")
    bodies = set(ledger.store.bodies.digests())
    old_notes = {event.note for event in ledger.events("old") if getattr(event, "note", None)}  # type: ignore[union-attr]
    done = ledger.collect(DAY_NS, apply=True)
    assert done.event == "ledger:1"
    with Ledger.open(repo) as again:
        assert answers(again, "open", "young") == before
        assert {head.run for head in again.runs()} == {"open", "young"}
        assert again.sql("select count(*) from events where run = 'old'").fetchall() == [(0,)]
        assert findings(again, "damaged") == findings(again, "warning") == []
        said = "5 events of 1 runs were retired by ledger:1: what they said cannot be checked any more"
        assert Finding("unproved", "retention", said) in findings(again, "unproved")
    left = set(ledger.store.bodies.digests())
    assert len(bodies - left) == done.bodies
    assert len(old_notes - left) == 1, "the note that another run has too stays"
    named = git("for-each-ref", "--format=%(refname)", "refs/ledger", cwd=repo).split()
    assert named == ["refs/ledger/open/events", "refs/ledger/young/events"]
    texts = b"".join(path.read_bytes() for path in (ledger.path / "log").iterdir())
    assert b"the old one" not in texts
    for path in (ledger.path / "sealed").glob("*.parquet"):
        rows = duckdb.execute(
            "select run, v, frame, title from (select *, "
            "decode(frame)->>'$.e.title' as title from read_parquet(?))",
            [str(path)],
        ).fetchall()
        assert all(row[2] is None for row in rows if row[0] == "old")
        assert all(row[3] != "the old one" for row in rows)


def test_the_second_reader_reads_on(ledger: Ledger) -> None:
    """A reader written from the document agrees about what is left, and finds no gap in the chain."""
    ledger.collect(DAY_NS, apply=True)
    frames = second_reader.read_frames(ledger.path)
    assert [(frame.s, frame.h, frame.stored) for frame in frames] == [
        (frame.s, frame.h, bytes(frame.e)) for frame in ledger.store.frames()
    ]
    assert second_reader.check_runs(frames).keys() == {"open", "young", "ledger"}
    assert len(frames) == ledger.store.position() - 5


def test_checkpoints_stay_good(ledger: Ledger, repo: Path, clock: Clock, tmp_path: Path) -> None:
    """One from before the first frame was retired is extended by the log, and new ones can be made."""
    early, late = tmp_path / "early", tmp_path / "late"
    with Ledger.open(repo.parent / "linked", stamp=Stamp(clock=clock)) as linked:
        linked.finish()
    ledger.checkpoint(targets=[early])
    ledger.collect(0, apply=True)
    assert next(ledger.store.frames()).s > 1
    ledger.checkpoint(targets=[early, late])
    for path in (early, late):
        said = [finding for finding in ledger.verify([str(path)]) if finding.subject == "checkpoint"]
        assert "damaged" not in {finding.outcome for finding in said}
        assert any("proved up to position" in finding.message for finding in said)


def test_the_name_of_a_retired_run_stays_taken(ledger: Ledger, repo: Path) -> None:
    """Nobody gets another run's events by an old reference; also when the heads are folded anew."""
    ledger.collect(DAY_NS, apply=True)
    heads = dict(ledger.store.heads())
    (ledger.path / "cache/heads").unlink()
    with Ledger.open(repo) as again:
        assert again.store.heads() == heads
        with pytest.raises(UnknownReference, match="run old was retired by ledger:1"):
            again.resolve("old:2")
        with pytest.raises(RunName, match="was retired by ledger:1"):
            again.run("another", name="old")
        finished = RunFinished(
            id=str(heads["young"].run), run="old", at_ns=1, actor=ledger._stamp.actor, tree=""
        )
        with pytest.raises(RunName, match="was retired by ledger:1"):
            again.store.append([finished])


def test_it_is_done_once(ledger: Ledger, clock: Clock) -> None:
    """The same again takes nothing, appends nothing and changes no byte; later the next run goes too."""
    ledger.collect(DAY_NS, apply=True)
    before = everything(ledger.path)
    assert ledger.collect(DAY_NS, apply=True).event == ""
    assert everything(ledger.path) == before
    clock.now_ns += 2 * DAY_NS
    assert ledger.collect(DAY_NS, apply=True).event == "ledger:2"
    assert {head.run for head in ledger.runs()} == {"open"}
    assert findings(ledger, "damaged") == []


def test_a_new_body_is_left_alone(ledger: Ledger) -> None:
    """Somebody who writes a body again may be about to name it: it outlives the run that named it."""
    note = next(event.note for event in ledger.events("old") if getattr(event, "note", None))  # type: ignore[union-attr]
    fresh = ledger.store.write_body(b"a note that no event names yet")
    assert note is not None
    assert ledger.store.write_body(ledger.body(note)) == note
    ledger._stamp.clock.now_ns = time.time_ns()  # type: ignore[attr-defined]
    assert ledger.collect(DAY_NS, apply=True).left == 2
    assert {note, fresh} <= set(ledger.store.bodies.digests())
    age_bodies(ledger.path)
    assert ledger.collect(DAY_NS, apply=True).left == 0
    assert not {note, fresh} & set(ledger.store.bodies.digests())


def test_a_reader_that_was_open_reads_on(ledger: Ledger, repo: Path) -> None:
    """A session, a cursor and a place from before: none of them breaks, all of them end at the same log."""
    with Ledger.open(repo) as reader:
        places = [place for _, place in reader.store.groups()]
        rows = reader.sql("select run, v from events order by all")
        ledger.collect(DAY_NS, apply=True)
        assert len(rows.fetchall()) == len(list(reader.store.frames())) - 1 + 5
        wanted = list(ledger.store.frames())
        for place in places:
            rest = [frame for group, _ in reader.store.groups(place) for frame in group]
            assert rest == [frame for frame in wanted if frame.s > place.cursor.position]


# ── crashes ──────────────────────────────────────────────────────────────────────────────────────


def test_a_crash_anywhere_is_finished_by_the_next(
    ledger: Ledger, repo: Path, tmp_path: Path, git: Git, clock: Clock
) -> None:
    """The event decides: before it the run is whole; after it no command shows the run, and the rest goes on."""
    ledger.store.archive()
    others = [frame for frame in ledger.store.frames() if frame.event.run != "old"]
    pristine, git_dir = tmp_path / "pristine", repo / ".git"
    shutil.copytree(git_dir, pristine, symlinks=True)
    now_ns = clock.now_ns

    def again() -> Ledger:
        return Ledger.open(repo, stamp=Stamp(clock=clock))

    def act() -> None:
        shutil.rmtree(git_dir)
        shutil.copytree(pristine, git_dir, symlinks=True)
        clock.now_ns = now_ns
        with again() as fresh:
            fresh.collect(DAY_NS, apply=True)

    for _ in crashes(act):
        with again() as fresh:
            head = fresh.store.heads()["old"]
            if head.retired:
                with pytest.raises(UnknownReference):
                    fresh.state("old")
            else:
                assert len(list(fresh.events("old"))) == 5
            assert [f for f in fresh.store.frames() if f.event.run in ("open", "young")] == others
            fresh.collect(DAY_NS, apply=True)
            assert fresh.store.heads()["old"].retired
            assert findings(fresh, "damaged") == []
            assert [f for f in fresh.store.frames() if f.event.run != "ledger"] == others
            assert len(list((fresh.path / "sealed").glob("*.parquet"))) == len(
                list((fresh.path / "sealed").glob("*.seal"))
            )
        assert "refs/ledger/old" not in git("for-each-ref", cwd=repo)


@pytest.mark.parametrize(
    ("module", "name"),
    [(retention, "_remove_bodies"), (retention, "remove_refs"), (retention, "forget_columns")],
)
def test_what_follows_the_frames_is_finished_too(
    ledger: Ledger, git: Git, repo: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    """Bodies, refs and cache files that a crash has left go the next time."""
    ledger.sql("select 1")
    bodies = set(ledger.store.bodies.digests())

    def die(*_: object) -> None:
        raise Crash

    monkeypatch.setattr(module, name, die)
    with pytest.raises(Crash):
        ledger.collect(DAY_NS, apply=True)
    monkeypatch.undo()
    ledger.collect(DAY_NS, apply=True)
    assert len(bodies - set(ledger.store.bodies.digests())) == 3
    assert "refs/ledger/old" not in git("for-each-ref", cwd=repo)
    assert not list((ledger.path / "cache/columns").glob("*.duckdb"))


# ── what verification says ───────────────────────────────────────────────────────────────────────


def test_frames_that_no_retention_took_are_damage(ledger: Ledger) -> None:
    """Whoever takes a run out by hand is found out, however well the file is sealed."""
    ledger.store.archive()
    first = ledger.store.segments.sealed.firsts()[0]
    nothing = ", ".join(
        f"{name} = null"
        for name in (
            "id",
            "kind",
            "at_ns",
            "at_utc",
            "actor_kind",
            "actor_name",
            "actor_session",
            "base_tree",
            "result_tree",
            "gate",
            "verdict",
            "frame",
        )
    )
    reseal(ledger.path, first, f"digest = repeat('0', 64), {nothing} where run = 'open'")
    damaged = [finding.message for finding in findings(ledger, "damaged")]
    assert any("run open" in message for message in damaged)


def test_an_event_that_names_another_end_retires_nothing(ledger: Ledger, clock: Clock) -> None:
    """A retention of a run that has gone on meanwhile, or is open, leaves it as it is."""
    heads = ledger.store.heads()
    wrong = [
        RetiredRun("old", 4, heads["old"].digest, 0),
        RetiredRun("young", heads["young"].v, "0" * 64, 0),
        RetiredRun("open", heads["open"].v, heads["open"].digest, 0),
    ]
    stamp = ledger._stamp
    event = RetentionApplied(
        id=stamp.new_id(clock()),
        run="ledger",
        at_ns=clock(),
        actor=stamp.actor,
        before_ns=1,
        runs=tuple(wrong),
    )
    ledger.store.append([event])
    assert {head.run for head in ledger.runs()} == {"old", "young", "open"}
    assert not ledger.store.retire()
    assert findings(ledger, "damaged") == []


def test_no_ledger_is_made(repo: Path) -> None:
    """Asking for an archive or for retention where nothing was recorded is an error, and makes nothing."""
    with Ledger.open(repo) as ledger:
        for act in (
            ledger.archive,
            lambda: ledger.collect(DAY_NS),
            lambda: ledger.collect(DAY_NS, apply=True),
        ):
            with pytest.raises(NoLedger):
                act()
        assert not ledger.path.exists()

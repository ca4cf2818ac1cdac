"""Export and import: the same events with the same digests in another clone, or nothing at all."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

sys.path.insert(0, str(Path(__file__).parent))
from book import damage
from chronicle import Chronicle
from stories import chronicles
from transferlab import Clone, assert_same, give_patches, read_members, rich_run

from ledger.api import Ledger
from ledger.errors import DamagedLedger, ImportedRun, RunName
from ledger.events import BodyDropped, RunImported, event_digest
from ledger.operations.exporting import list_unexported
from ledger.reference_errors import UnknownReference
from ledger.run import identify
from ledger.stamps import Actor, Stamp
from ledger.transfer_errors import DivergedRun, FileInTheWay, MissingBase, OpenHere


def fresh_stamp(first: int = 0) -> Stamp:
    """Return a clock that advances a millisecond a call, and ids that count from ``first``."""
    ticks, counter = itertools.count(1_700_000_000_000_000_000, 1_000_000), itertools.count(first)
    return Stamp(Actor("agent"), lambda: next(ticks), lambda size: next(counter).to_bytes(size, "big"))


class Pair:
    """The clone where runs were recorded, another one, and the file between them."""

    def __init__(self, scratch: Path, *stories: Chronicle) -> None:
        self.stories = stories
        self.source = Clone(scratch / "source", fresh_stamp(1 << 20), *stories)
        self.target = Clone(scratch / "target", fresh_stamp(1 << 30), *stories)
        self.file = scratch / "runs.zip"

    def export(self, *runs: str) -> Path:
        self.source.ledger.export_runs(runs or [story.run for story in self.stories], self.file, force=True)
        return self.file

    def close(self) -> None:
        self.source.ledger.close()
        self.target.ledger.close()


@pytest.fixture
def pair(tmp_path: Path, stamp: Stamp) -> Iterator[Pair]:
    """A clone with one rich run recorded, and an empty one."""
    made = Pair(tmp_path, rich_run(stamp))
    made.source.write(*made.stories)
    yield made
    made.close()


@contextmanager
def scratch_directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="transfer-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


# ── the same run elsewhere ───────────────────────────────────────────────────────────────────────


@given(story=chronicles)
@settings(max_examples=max(6, settings().max_examples // 10))
def test_any_run_is_the_same_elsewhere(story: Chronicle) -> None:
    """Bytes, digests, states, what is accepted: for the fold, SQL and the second reader; twice is once."""
    give_patches(story)
    with scratch_directory() as scratch:
        pair = Pair(scratch, story)
        pair.source.write(story)
        (done,) = pair.target.ledger.import_runs(pair.export())
        assert (done.run, done.appended, done.proved_v) == ("port", story.v, story.v)
        assert pair.target.stored() == pair.source.stored()
        assert_same(pair.source.ledger, pair.target.ledger, "port", story.bodies)
        before = pair.target.files()
        (again,) = pair.target.ledger.import_runs(pair.file)
        assert (again.appended, again.last_v) == (0, story.v)
        assert pair.target.files() == before
        assert damage(pair.target.ledger) == []
        pair.close()


def test_a_run_that_goes_on_is_brought_up(tmp_path: Path, stamp: Stamp) -> None:
    """A later export appends the rest, an earlier one nothing; each append says up to where."""
    story = rich_run(stamp)
    source, target = (Clone(tmp_path / name, fresh_stamp(1 << 20), story) for name in ("source", "target"))
    files: list[Path] = []
    for before_v, v in ((0, 4), (4, 8), (8, story.v)):
        source.write(story, after_v=before_v, until_v=v)
        files.append(tmp_path / f"{v}.zip")
        source.ledger.export_runs(["port"], files[-1])
    assert [target.ledger.import_runs(file)[0].appended for file in files] == [4, 4, story.v - 8]
    assert target.stored() == source.stored()
    frames = list(target.ledger.store.frames())
    said = [frame.event for frame in frames if isinstance(frame.event, RunImported)]
    assert [(each.of, each.last_v, each.source) for each in said] == [
        ("port", 4, "4.zip"),
        ("port", 8, "8.zip"),
        ("port", story.v, f"{story.v}.zip"),
    ]
    assert [each.digest for each in said] == [event_digest(target.stored()[v - 1]) for v in (4, 8, story.v)]
    # One group each, and what says so is its last frame.
    assert [frame.n for frame in frames] == [4, 3, 2, 1, 0] * 2 + list(range(story.v - 8, -1, -1))
    before = target.files()
    assert [target.ledger.import_runs(file)[0].last_v for file in files] == [story.v] * 3
    assert target.files() == before
    assert damage(target.ledger) == []


def test_several_runs_in_one_file(tmp_path: Path, stamp: Stamp) -> None:
    """Each is taken in as one group, in the order of the file; what is here already is left out."""
    stories = [rich_run(stamp, name) for name in ("one", "two", "three")]
    pair = Pair(tmp_path, *stories)
    pair.source.write(*stories)
    pair.target.ledger.import_runs(pair.export("two"))
    done = pair.target.ledger.import_runs(pair.export("three", "one", "two", "one"))
    assert [(each.run, each.appended) for each in done] == [
        ("three", stories[2].v),
        ("one", stories[0].v),
        ("two", 0),
    ]
    for story in stories:
        assert pair.target.stored(story.run) == pair.source.stored(story.run)


def test_equal_runs_are_equal_bytes(pair: Pair, tmp_path: Path) -> None:
    """The file is a function of what it holds, also where it is exported on from another clone."""
    data = pair.export().read_bytes()
    assert pair.export().read_bytes() == data
    pair.target.ledger.import_runs(pair.file)
    members = read_members(pair.file)
    pair.target.ledger.export_runs(["port"], tmp_path / "again.zip")
    again = read_members(tmp_path / "again.zip")
    assert (
        list(members)
        == list(again)
        == sorted(members, key=lambda name: (name != "manifest.json", name[0] != "e", name))
    )
    manifests = [json.loads(each.pop("manifest.json")) for each in (members, again)]
    assert members == again
    assert manifests[0].pop("source") != manifests[1].pop("source")
    assert manifests[0] == manifests[1]


def test_what_is_in_the_file(pair: Pair) -> None:
    """The stored bytes of each event, every body that they name and no other, and what Git must have."""
    pair.source.ledger.store.write_body(b"named by nobody")
    members = read_members(pair.export())
    manifest = json.loads(members.pop("manifest.json"))
    (story,) = pair.stories
    assert members.pop("events/port.jsonl") == b"".join(line + b"\n" for line in pair.source.stored())
    assert {name.removeprefix("bodies/"): data for name, data in members.items()} == story.bodies
    first = next(iter(pair.source.ledger.store.frames()))
    assert (manifest["format"], manifest["source"]) == ("ledger-export/1", first.h)
    (entry,) = manifest["runs"]
    head = pair.source.ledger.store.heads()["port"]
    assert (entry["run"], entry["events"], entry["digest"]) == ("port", head.v, head.digest)
    rebased = json.loads(pair.source.stored()[9])
    assert entry["bases"] == [
        {"commit": None, "tree": json.loads(pair.source.stored()[0])["base_tree"]},
        {"commit": rebased["head"], "tree": rebased["result_tree"]},
    ]


# ── a run whose home is elsewhere ────────────────────────────────────────────────────────────────


def test_an_imported_run_is_not_open_here(tmp_path: Path, stamp: Stamp) -> None:
    """Even where it is at home: nobody goes on with it, and nothing short means it."""
    story = rich_run(stamp)
    pair = Pair(tmp_path, story)
    pair.source.write(story, until_v=5)
    pair.target.ledger.import_runs(pair.export())
    assert pair.source.ledger.store.heads()["port"].open
    head = pair.target.ledger.store.heads()["port"]
    assert (head.open, head.imported, head.work_tree) == (False, True, "")
    with pytest.raises(UnknownReference):
        pair.target.ledger.resolve("@")
    assert pair.target.ledger.status().run is None
    workspace = pair.target.ledger._workspace
    with pytest.raises(ImportedRun, match="port"):
        workspace.resume("port")
    with pytest.raises(RunName):
        workspace.begin("port", "port")
    # Another process, without and with the cached heads.
    for cached in (True, False):
        if not cached:
            (pair.target.path / "cache/heads").unlink()
        with Ledger.open(pair.target.path.parent) as ledger:
            assert ledger.store.heads()["port"] == head


def test_refs_of_an_imported_run_keep_its_trees(pair: Pair, git: Callable[..., str]) -> None:
    """The same commits as at home; deleted refs come back with the next import, run or end of one."""
    pair.target.ledger.import_runs(pair.export())
    names = ("refs/ledger/port/events", "refs/ledger/port/accepted")
    source = pair.source.ledger
    source._workspace.restore_finished_refs()
    root = pair.target.path.parent.parent
    made = git("rev-parse", *names, cwd=root)
    assert git("rev-parse", names[0], cwd=pair.source.path.parent.parent) == made.split()[0]
    git("fsck", "--strict", "--no-dangling", cwd=root)
    for name in names:
        git("update-ref", "-d", name, cwd=root)
    pair.target.ledger.import_runs(pair.file)
    assert git("rev-parse", *names, cwd=root) == made


# ── files and marks ──────────────────────────────────────────────────────────────────────────────


def test_a_file_is_never_replaced_unasked(pair: Pair, tmp_path: Path) -> None:
    """The file stays as it is, and nothing is left beside it."""
    (tmp_path / "mine").write_bytes(b"mine")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(FileInTheWay):
        pair.source.ledger.export_runs(["port"], tmp_path / "mine")
    assert (tmp_path / "mine").read_bytes() == b"mine"
    pair.source.ledger.export_runs(["port"], tmp_path / "mine", force=True)
    assert read_members(tmp_path / "mine")
    assert sorted(tmp_path.iterdir()) == before


def test_a_damaged_ledger_is_not_exported(pair: Pair, tmp_path: Path) -> None:
    """A body that is gone without a word: an error, and no file."""
    digest = next(iter(pair.stories[0].bodies))
    pair.source.ledger.store.bodies.path(digest).unlink()
    with pytest.raises(DamagedLedger, match=digest):
        pair.export()
    assert not pair.file.exists()
    with pytest.raises(UnknownReference, match="nowhere"):
        pair.export("nowhere")


def test_status_says_what_exists_nowhere_else(pair: Pair) -> None:
    """A finished run until it was exported; an imported one never."""
    assert pair.source.ledger.status().unexported == ("port",)
    pair.export()
    assert pair.source.ledger.status().unexported == ()
    shutil.rmtree(pair.source.path / "exported")
    assert pair.source.ledger.status().unexported == ("port",)
    pair.target.ledger.import_runs(pair.file)
    assert pair.target.ledger.status().unexported == ()


def test_an_export_that_is_not_the_end_does_not_count(tmp_path: Path, stamp: Stamp) -> None:
    """What was exported while the run was open is not all of it."""
    story = rich_run(stamp)
    source = Clone(tmp_path / "source", stamp, story)
    source.write(story, until_v=6)
    source.ledger.export_runs(["port"], tmp_path / "early.zip")
    assert list_unexported(source.ledger.store, source.ledger.store.heads()) == ()
    source.write(story, after_v=6)
    assert source.ledger.status().unexported == ("port",)


# ── what is in the way ───────────────────────────────────────────────────────────────────────────


def refused(clone: Clone, file: Path, kind: type[Exception]) -> Any:
    """Return the error of an import that must not write a byte."""
    before = clone.files()
    with pytest.raises(kind) as caught:
        clone.ledger.import_runs(file)
    assert clone.files() == before
    return caught.value


def test_a_base_that_is_not_here(tmp_path: Path, stamp: Stamp) -> None:
    """Named with its commit, and nothing is written; after a fetch the same file is taken in."""
    story = rich_run(stamp)
    pair = Pair(tmp_path, story)
    pair.source.write(story)
    empty = Clone(tmp_path / "empty", fresh_stamp())
    empty.write()
    error = refused(empty, pair.export(), MissingBase)
    assert (error.run, error.commit) == ("port", None)
    empty.take_bases(Chronicle(stamp, {"a": "0", "d/b": "0"}))
    error = refused(empty, pair.file, MissingBase)
    assert error.commit == "ab" * 20
    assert "ab" * 20 in error.hint
    empty.take_bases(story)
    assert empty.ledger.import_runs(pair.file)[0].appended == story.v


def test_another_run_of_the_name(pair: Pair, stamp: Stamp) -> None:
    """Nothing is written, and the version at which they part is named."""
    other = rich_run(fresh_stamp(1 << 40))
    pair.target.write(other)
    error = refused(pair.target, pair.export(), DivergedRun)
    assert (error.run, error.v) == ("port", 1)


def test_a_run_that_went_on_differently(tmp_path: Path, stamp: Stamp) -> None:
    """Two copies of one ledger went on: neither is changed by the other's export."""
    story = rich_run(stamp)
    pair = Pair(tmp_path, story)
    pair.source.write(story, until_v=5)
    shutil.copytree(pair.source.path, pair.target.path)
    pair.source.write(story, after_v=5)
    pair.target.ledger.store.append(story.events[6:7], 6)
    error = refused(pair.target, pair.export(), DivergedRun)
    assert (error.v, error.here[:8]) == (6, event_digest(pair.target.stored()[5])[:8])
    # The shorter one diverges from the longer one just so.
    pair.target.ledger.export_runs(["port"], pair.file, force=True)
    assert refused(pair.source, pair.file, DivergedRun).v == 6


def test_a_run_that_is_open_here(tmp_path: Path, stamp: Stamp) -> None:
    """A copy of this ledger went on with a run that is open in a work tree here."""
    story = rich_run(stamp)
    pair = Pair(tmp_path, story)
    pair.source.write(story, until_v=5)
    shutil.copytree(pair.source.path, pair.target.path)
    pair.source.write(story, after_v=5)
    error = refused(pair.target, pair.export(), OpenHere)
    assert (error.run, error.v, error.last_v) == ("port", 5, story.v)


# ── bodies that were dropped ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("field", ["note", "patch", "reason"])
def test_a_dropped_body_stays_away(pair: Pair, field: str) -> None:
    """The file says which; the target records the same; replay ends before a patch that is gone."""
    lines = [json.loads(line) for line in pair.source.stored()]
    event = next(each for each in lines if each.get(field) and each["v"] != 6)
    digest, reference = event[field], f"port:{event['v']}"
    store = pair.source.ledger.store
    why = store.write_body(b"a secret")
    drop = BodyDropped(**identify("ledger", fresh_stamp(7)), of=reference, bodies=(digest,), reason=why)
    store.append([drop])
    store.bodies.path(digest).unlink()
    (entry,) = json.loads(read_members(pair.export())["manifest.json"])["runs"]
    assert entry["dropped"] == [{"of": reference, "bodies": [digest], "reason": why}]
    (done,) = pair.target.ledger.import_runs(pair.file)
    assert pair.target.stored() == pair.source.stored()
    *_, dropped, imported = (frame.event for frame in pair.target.ledger.store.frames())
    assert isinstance(imported, RunImported)
    assert isinstance(dropped, BodyDropped)
    assert (dropped.of, dropped.bodies, dropped.reason) == (reference, (digest,), why)
    assert pair.target.ledger.body(why) == b"a secret"
    assert not pair.target.ledger.store.bodies.path(digest).exists()
    assert done.proved_v == (event["v"] - 1 if field == "patch" else len(lines))
    assert (reference in done.unproved) == (field == "patch")
    before = pair.target.files()
    pair.target.ledger.import_runs(pair.file)
    assert pair.target.files() == before

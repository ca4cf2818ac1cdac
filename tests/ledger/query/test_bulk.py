"""Bulk loading gives the rows that are made one by one, whatever the log holds and however it is kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parents[1]))
from chronicle import Chronicle, rule
from stories import chronicles

from ledger.errors import DamagedLedger
from ledger.events import CheckFound
from ledger.filerecords import EncodedPath, FileRecord
from ledger.measurements import Finding, Report, TestResult
from ledger.policies import Policy
from ledger.query import bulk as bulk_module
from ledger.query import cache as cache_module
from ledger.query.bulk import Source, load_segments
from ledger.query.cache import Cache
from ledger.query.rows import rows_of
from ledger.query.tables import PATH_COLUMNS, TABLES
from ledger.stamps import Stamp
from ledger.store import writer as writer_module
from ledger.store.local import LocalStore

pytestmark = pytest.mark.duckdb

OID = "ab" * 20
LATIN = EncodedPath("Y2Fm6Q==")
"""caf\\xe9"""


def record(path: Any, operation: Any = "modify", **fields: Any) -> FileRecord:
    """Return what an event says of one file."""
    given = {"old_mode": "100644", "old_oid": OID, "mode": "100755", "oid": "cd" * 20, **fields}
    return FileRecord(path=path, operation=operation, **given)


ODD = (
    record(LATIN),
    record("naïve/ü.txt", added=3),
    record('quo"te'),
    record("back\\slash", mode="120000"),
    record("tab\there", mode="160000", old_mode="040000"),
    record("{braces}"),
    record("new", "rename", old_path="old", removed=2),
    record("old", "add", old_mode=None, old_oid=None),
    record("copied", "copy", old_path="naïve/ü.txt"),
    record("gone", "delete", mode=None, oid=None),
    record("gone", "add", old_mode=None, old_oid=None),
    record("swapped", "rename", old_path="gone"),
)
"""Paths and records that are not the usual."""


def tables(store: LocalStore) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table, paths by their bytes, JSON by what it says."""
    connection = duckdb.connect(":memory:")
    parts = Cache(store).attach(connection)
    union = {name: " union all ".join(f"select * from {part}.{name}" for part in parts) for name in _names()}
    found: dict[str, list[tuple[Any, ...]]] = {}
    for table in TABLES:
        columns, joins = [], ""
        for name in table.columns:
            if name in PATH_COLUMNS:
                joins += f" left join ({union['path']}) as {name}_of on {name}_of.path_id = t.{name}"
                columns += [f"{name}_of.raw", f"{name}_of.path"]
            else:
                columns.append(f"t.{name}")
        rows = connection.execute(
            f"select {', '.join(columns)} from ({union[table.name]}) as t {joins}"
        ).fetchall()
        if table.name == "event":
            rows = [(*row[:-1], json.dumps(json.loads(row[-1]), sort_keys=True)) for row in rows]
        found[table.name] = sorted(rows, key=repr)
    found["path"] = sorted(
        connection.execute(f"select path, raw from ({union['path']})").fetchall(), key=repr
    )
    connection.close()
    return found


def _names() -> list[str]:
    return [*(table.name for table in TABLES), "path"]


def assert_same(root: Path, stamp: Stamp) -> None:
    """Assert that both ways give the same rows, and that bulk loading was no pretence."""
    found = []
    for bulk_frames in (0, 10**9):
        for path in (root / "cache" / "columns").glob("*"):
            path.unlink()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(cache_module, "BULK_FRAMES", bulk_frames)
            patched.setattr(bulk_module, "BATCH_FILES", 1)
            patched.setattr(cache_module, "rows_of", rows_of if bulk_frames else _refuse)
            found.append(tables(LocalStore.open(root, stamp)))
    assert found[0] == found[1]


def _refuse(frames: object) -> Any:
    raise AssertionError("the rows were made one by one")


@given(
    stories=st.lists(chronicles, min_size=1, max_size=3),
    size_bytes=st.sampled_from([4000, 1 << 20]),
    seal=st.booleans(),
)
@settings(max_examples=15)
def test_any_story_gives_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, stories: list[Chronicle], size_bytes: int, seal: bool
) -> None:
    """In one segment or in many, sealed or not."""
    root = tmp_path_factory.mktemp("story") / "ledger"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(writer_module, "SEGMENT_SIZE_BYTES", size_bytes)
        store = LocalStore.open(root, stories[0].stamp, create=True)
        for number, story in enumerate(stories):
            story.write_to(store, f"run{number}")
        if seal:
            store.archive()
    assert_same(root, stories[0].stamp)


@pytest.fixture
def told(root: Path, stamp: Stamp) -> LocalStore:
    """A ledger with one event of most kinds, odd paths, texts of many scripts, and a report."""
    store = LocalStore.open(root, stamp, create=True)
    story = Chronicle(stamp, {"a": "0", "dir/b": "0"})
    profiles = {"release": Policy(gates={"lint": rule(), "tests": rule("soft", threshold=0.5)})}
    story.set_policy(profiles, "release", reason=story.body("weil — 因为".encode()))
    story.patch({"a": "1"}, source='fix „ü“\\ "q" \x7f.diff', of=1)
    story.events[-1] = replace(story.events[-1], files=ODD)
    report = Report(
        metrics={"findings": 1.0},
        examined=3,
        unit="files",
        findings=(
            Finding(rule="E501", path="a", line=3, column=2, message="zu lang: “é” \u2028", severity="error"),
        ),
        tests=(TestResult(name="t::é", outcome="passed", duration_s=0.25),),
    )
    story.measure(
        "lint",
        rule(),
        metrics={"findings": 1.5, "größe": 1e300},
        baseline={"findings": 0.1, "examined": 4.0},
        tools={"zz": "1", "python": "3.13", "a.b": 'x"y'},
        problems=("crash: “é”\n",),
        exit_codes=(None, 3),
        report=story.body(msgspec.json.encode(report)),
        commands=(("a", "b c"), ("d",)),
    )
    ticket = story.open_ticket("lint", story.v)
    story.close_ticket("lint", ticket, story.v - 1)
    story.enter_phase("P3")
    story.capture_error("3:build", "nö")
    story.check(CheckFound("must-exist", "*.py", 0))
    story.roll_back(1)
    story.rebase({"a": "5", "neu": "1"})
    story.finish()
    story.write_to(store, "port")
    return store


def test_every_kind_and_every_odd_path(told: LocalStore, stamp: Stamp) -> None:
    assert_same(told.root, stamp)
    told.archive()
    assert_same(told.root, stamp)


def test_what_comes_after_a_file_goes_on_from_its_paths(
    told: LocalStore, stamp: Stamp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second bulk load finds the paths of the first, and both files together are what one is."""
    monkeypatch.setattr(cache_module, "BULK_FRAMES", 0)
    monkeypatch.setattr(cache_module, "MERGE_RATIO", 0)
    tables(told)
    more = Chronicle(stamp, {"a": "0", "dir/b": "0"})
    more.patch({"a": "1"})
    more.events[-1] = replace(more.events[-1], files=(*ODD, record("only here")))
    more.write_to(told, "more")
    both = tables(LocalStore.open(told.root, stamp))
    assert len(list((told.root / "cache" / "columns").glob("v*.duckdb"))) == 2
    for path in (told.root / "cache" / "columns").glob("*"):
        path.unlink()
    assert both == tables(LocalStore.open(told.root, stamp))


def rows_alone(told: LocalStore, stamp: Stamp, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return what was made one by one although bulk loading was asked for."""
    made: list[object] = []
    real = rows_of
    monkeypatch.setattr(cache_module, "BULK_FRAMES", 0)
    monkeypatch.setattr(cache_module, "rows_of", lambda frames: (made.extend(frames), real(frames))[1])
    tables(LocalStore.open(told.root, stamp))
    return made


def test_a_path_that_looks_encoded_is_left_to_the_rows(
    told: LocalStore, stamp: Stamp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`{"b64":"eA=="}` may be a file's name."""
    more = Chronicle(stamp, {"a": "0"})
    more.patch({"a": "1"})
    more.events[-1] = replace(more.events[-1], files=(record('{"b64":"eA=="}'),))
    more.write_to(told, "more")
    assert rows_alone(told, stamp, monkeypatch)


def test_a_directory_that_cannot_be_written_is_no_fault(
    told: LocalStore, stamp: Stamp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are in memory then."""
    wanted = tables(told)
    monkeypatch.setattr(cache_module, "BULK_FRAMES", 0)
    (told.root / "cache" / "columns").write_bytes(b"a file is in the way")
    assert tables(LocalStore.open(told.root, stamp)) == wanted


def test_damage_is_found_before_anything_is_loaded(
    told: LocalStore, stamp: Stamp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "BULK_FRAMES", 0)
    path = told.segments.path(1)
    path.write_bytes(path.read_bytes().replace(b'"phase":"P3"', b'"phase":"P4"'))
    with pytest.raises(DamagedLedger):
        tables(LocalStore.open(told.root, stamp))


def test_what_is_being_appended_meanwhile_is_left_out(told: LocalStore, stamp: Stamp) -> None:
    """A line that is not whole yet lies past what was checked."""
    end, count = told.check_from(None)
    path = told.segments.path(1)
    path.write_bytes(path.read_bytes() + b'{"h":"12')
    connection = duckdb.connect(":memory:")
    connection.execute("create schema tail; create schema again")
    source = Source([path], [], 0, end.cursor.position, count)
    loaded = load_segments(connection, "tail", source, ())
    assert loaded is not None
    assert connection.execute("select count(*) from tail.event").fetchall() == [(count,)]
    short = source._replace(number=count + 1)
    assert load_segments(connection, "again", short, ()) is None

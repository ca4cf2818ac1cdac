"""The heads of a whole log, folded in one pass over its bytes: those that the fold of every event gives."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))
from chronicle import Chronicle
from stories import chronicles
from transferlab import Clone, rich_run

from ledger.errors import DamagedLedger
from ledger.events import ErrorCaptured, PatchRefused, QuestionRetired, RunStarted
from ledger.heads import SUPERSEDED, RunHead
from ledger.run import identify
from ledger.stamps import Stamp
from ledger.store import writer as writer_module
from ledger.store.local import LocalStore
from ledger.store.reader import LogReader

Started = Callable[[str], RunStarted]
Refused = Callable[[str], PatchRefused]


def folded(root: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, RunHead]:
    """Return the heads that the fold of every event gives."""
    with monkeypatch.context() as patched:
        patched.setattr(LogReader, "_fold_whole", lambda self: None)
        return fresh(root).heads()


def fresh(root: Path) -> LogReader:
    (root / "cache" / "heads").unlink(missing_ok=True)
    return LogReader(root)


def assert_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold that the pass alone gives the heads and the log's end, without the fold of a single group."""
    expected, end = folded(root, monkeypatch), fresh(root).segments
    reader = fresh(root)
    with monkeypatch.context() as patched:
        patched.setattr(
            LogReader, "_fold", lambda self, group, place: pytest.fail("it was folded one by one")
        )
        assert reader.heads() == expected
    last = end.logged()[-1]
    assert reader._heads.place[:2] == (last, end.path(last).stat().st_size)
    assert reader.check_from(None) == (reader._heads.place, reader.position())


@given(stories=st.lists(chronicles, min_size=1, max_size=3), size_bytes=st.sampled_from([4000, 1 << 20]))
@settings(max_examples=15)
def test_any_story(
    tmp_path_factory: pytest.TempPathFactory, stories: list[Chronicle], size_bytes: int
) -> None:
    """In one segment or in many."""
    root = tmp_path_factory.mktemp("story") / "ledger"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(writer_module, "SEGMENT_SIZE_BYTES", size_bytes)
        store = LocalStore.open(root, stories[0].stamp, create=True)
        for number, story in enumerate(stories):
            story.write_to(store, f"run{number}")
        assert_at_once(root, patched)


def test_runs_from_elsewhere(tmp_path: Path, stamp: Stamp, monkeypatch: pytest.MonkeyPatch) -> None:
    """An imported run is never open here."""
    story = rich_run(stamp)
    source, target = Clone(tmp_path / "source", stamp, story), Clone(tmp_path / "target", stamp, story)
    source.write(story)
    source.ledger.export_runs([story.run], tmp_path / "runs.zip")
    target.ledger.import_runs(tmp_path / "runs.zip")
    target.ledger.close()
    assert_at_once(target.ledger.path, monkeypatch)
    assert fresh(target.ledger.path).heads()[story.run].imported


def test_every_question_counts(
    store: LocalStore,
    root: Path,
    stamp: Stamp,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which are open follows from all of them, not from the last alone."""
    store.append([started("port")], 1)
    for v in (2, 3, 4):
        error = ErrorCaptured(
            **identify("port", stamp), step="0:apply", message="0" * 64, context="0" * 64, cause="patch"
        )
        store.append([error], v)
    store.append([QuestionRetired(**identify("port", stamp), error_v=3, reason="0" * 64)], 5)
    assert_at_once(root, monkeypatch)
    assert fresh(root).heads()["port"].refusals == (2, 4)
    monkeypatch.setattr("ledger.store.reader.SUPERSEDED", SUPERSEDED | {"error.captured/1"})
    with pytest.raises(AssertionError):
        assert_at_once(root, monkeypatch)


@pytest.mark.parametrize("harm", ["flipped", "torn", "shorter"])
def test_a_log_that_is_not_plainly_well_is_folded(
    store: LocalStore,
    root: Path,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
    harm: str,
) -> None:
    """Damage is damage, and a torn tail is left out."""
    store.append([started("port")], 1)
    for v in range(2, 6):
        store.append([refused("port")], v)
    path = store.segments.path(1)
    data = path.read_bytes()
    if harm == "torn":
        path.write_bytes(data + data[:100])
        assert fresh(root).heads() == folded(root, monkeypatch)
        return
    if harm == "flipped":
        path.write_bytes(data.replace(b'"v":3', b'"v":7'))
    else:
        os.truncate(path, data.rfind(b"\n", 0, -1) + 1)
    with pytest.raises(DamagedLedger):
        fresh(root).heads()

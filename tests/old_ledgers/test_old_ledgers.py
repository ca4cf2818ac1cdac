"""What old releases wrote is read as it was then (P9)."""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "ledger"))
import second_reader  # pyright: ignore[reportMissingImports] - its folder is added above
from answers import read_answers  # pyright: ignore[reportMissingImports]

from ledger.api import Ledger
from ledger.events import KINDS

HERE = Path(__file__).parent
VERSIONS = sorted(path.parent.name for path in HERE.glob("*/repository.tar.gz"))

pytestmark = pytest.mark.duckdb


@pytest.fixture(params=VERSIONS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """The repository as it was written, and the answers of then."""
    with tarfile.open(HERE / request.param / "repository.tar.gz") as tar:
        tar.extractall(tmp_path / "old", filter="data")
    return tmp_path / "old", json.loads((HERE / request.param / "answers.json").read_text("utf-8"))


def test_every_release_has_its_archive() -> None:
    """The first one is there, and small."""
    assert VERSIONS[:1] == ["v1"]
    assert all((HERE / version / "repository.tar.gz").stat().st_size < 200_000 for version in VERSIONS)


def test_a_reader_answers_as_then(old: tuple[Path, dict[str, Any]]) -> None:
    """Events, states, what is accepted, replay, verification, SQL: each answer is the one of the release."""
    root, answers = old
    with Ledger.open(root) as ledger:
        found = read_answers(ledger)
    for question, answer in answers.items():
        assert found[question] == answer, question
    assert found.keys() == answers.keys()


def test_reading_writes_nothing_into_an_old_log(old: tuple[Path, dict[str, Any]]) -> None:
    """Not a byte of what the release wrote; then a new event follows the old ones, and all is proved."""
    root, answers = old
    log = {path.name: path.read_bytes() for path in (root / ".git/ledger/log").iterdir()}
    with Ledger.open(root) as ledger:
        read_answers(ledger)
        assert {path.name: path.read_bytes() for path in (root / ".git/ledger/log").iterdir()} == log
        (run,) = answers["open"]
        ledger.finish()
        frames = list(ledger.store.frames())
        assert [frame.h for frame in frames[:-1]] == [h for _, h, _ in answers["events"]]
        assert frames[-1].event.run == run
        assert {finding.outcome for finding in ledger.verify()} == {"ok", "unproved"}


def test_the_second_reader_answers_as_then(old: tuple[Path, dict[str, Any]]) -> None:
    """Written from the document alone: the same events and the same states."""
    root, answers = old
    ledger = root / ".git/ledger"
    frames = second_reader.read_frames(ledger)
    assert [[frame.s, frame.h, frame.event] for frame in frames] == answers["events"]
    runs = second_reader.check_runs(frames)
    for run, states in answers["states"].items():
        for v, (tree, files, _) in enumerate(states, start=1):
            found, listed = second_reader.state_at(ledger, runs[run], v)
            assert (found, len(listed), second_reader.tree_of(listed)) == (tree, files, tree)
            at, accepted = second_reader.accepted_state(runs[run], v)
            assert [at, accepted] == answers["accepted"][run][v - 1][0]


def test_an_old_run_is_exported_and_taken_in(old: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """Into a clone without a ledger: the same events."""
    root, answers = old
    clone = tmp_path / "clone"
    shutil.copytree(root, clone)
    shutil.rmtree(clone / ".git/ledger")
    with Ledger.open(root) as source, Ledger.open(clone) as target:
        source.export_runs(sorted(answers["states"]), tmp_path / "old.zip")
        assert [run.unproved for run in target.import_runs(tmp_path / "old.zip")] == [""] * len(
            answers["states"]
        )
        for run, states in answers["states"].items():
            events = [event for _, _, event in answers["events"] if event["run"] == run]
            stored = [json.loads(bytes(frame.e)) for frame in target.store.frames() if frame.event.run == run]
            assert stored == events
            assert target.state(f"{run}:{len(states)}").recorded_tree == states[-1][0]


def test_the_archive_has_every_kind() -> None:
    """Whatever a command of its release records is in the newest archive."""
    answers = json.loads((HERE / VERSIONS[-1] / "answers.json").read_text("utf-8"))
    there = {event["kind"] for _, _, event in answers["events"]}
    assert there == KINDS
    causes = {event.get("cause") for _, _, event in answers["events"]} - {None}
    assert causes == {"diff", "drift", "mv", "rebase"}

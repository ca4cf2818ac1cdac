"""Power failures and kills on a simulated disk: nothing promised is lost, and nothing whole is called damaged."""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from crash_lab import Lab
from disk_model import SECTOR_SIZE_BYTES, Disk, Make, Rename, Sync, Truncate, Write
from recorder import Recorder

from ledger.repository import Repository
from ledger.store import bodies, disk, reader, segments, writer

BLOCKS = 8


@pytest.fixture
def lab(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A laboratory in memory where there is one: a state is made, tried and thrown away within milliseconds."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as scratch:
        yield Lab(Path(scratch), monkeypatch, Repository.open(repo))


@pytest.mark.campaign
@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_crash_state_keeps_what_was_promised(
    lab: Lab, block: int, rounds: Callable[[int, int], int]
) -> None:
    """Whatever a disk may hold after a crash, acknowledged events and bodies are there, and the log goes on.

    Each block is a number of random programs, with several states at every point of each; the states that
    are counted differ from one another. At length the blocks come to more than 100 000.
    """
    done: Counter[str] = Counter()
    wanted = rounds(270, 13_000)
    for seed in itertools.count(block, BLOCKS):
        done += lab.explore(seed, rounds(2, 3))
        if len(lab.states) >= wanted:
            break
    assert done["append"] > 0


BREAKS = {
    "the data is not synced": (writer, "sync_data", lambda fd: None),
    "bodies are not synced": (disk, "sync_data", lambda fd: None),
    "names in the log are not synced": (reader, "sync_directory", lambda path: None),
    "names of bodies are not synced": (disk, "sync_directory", lambda path: None),
    "the directories of bodies are not synced": (bodies, "sync_directory", lambda path: None),
    "a failed sync is forgotten": (writer.LogWriter, "_mark_unsynced", lambda self, error: None),
    "places from before a rewrite are lost": (segments.Segments, "_moved", lambda self, place: place),
    "every tail is called damage": (reader, "damage_of", lambda *what, **how: ("log", "damaged")),
}


def explore_all(lab: Lab, seeds: Iterable[int]) -> None:
    for seed in seeds:
        lab.explore(seed, 2)


@pytest.mark.parametrize("broken", BREAKS)
def test_the_laboratory_finds_a_store_that_is_broken(
    lab: Lab, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The campaign can fail: it finds each of these mistakes within a few programs."""
    owner, name, replacement = BREAKS[broken]
    for each in (writer, reader) if owner is reader else (owner,):
        monkeypatch.setattr(each, name, replacement)
    if name == "_moved":
        # A writer that met the failed sync itself looks for its place anew: two mistakes have to meet.
        monkeypatch.setattr(writer.LogWriter, "_forget", writer.LogWriter._release)
    with pytest.raises(AssertionError):
        explore_all(lab, range(60))


def test_what_is_written_past_the_recorder_is_noticed(tmp_path: Path) -> None:
    """A trace that misses a write is worth nothing, so the recorder compares itself with the real directory."""
    (tmp_path / "place").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        recorder = Recorder(tmp_path / "place", [])
        recorder.install(patch)
        fd = os.open(tmp_path / "place" / "seen", os.O_WRONLY | os.O_CREAT)
        os.write(fd, b"seen")
        recorder.assert_complete()
        os.writev(fd, [b"not seen"])
        os.close(fd)
    with pytest.raises(AssertionError):
        recorder.assert_complete()


# ── the model of the disk ────────────────────────────────────────────────────────────────────────


def crashes(simulated: Disk, count: int = 3000) -> set[tuple[tuple[str, bytes | None], ...]]:
    """Return every state that a number of crashes leave."""
    return {tuple(sorted(simulated.after_crash(Random(seed)).items())) for seed in range(count)}


def test_a_crash_keeps_what_was_synced_and_anything_of_the_rest() -> None:
    """Two sectors written over synced ones are each old or new, in all four combinations, and nothing else."""
    old, new = b"o" * SECTOR_SIZE_BYTES, b"n" * SECTOR_SIZE_BYTES
    simulated = Disk({"file": old + old})
    simulated.apply(Write(1, 0, new + new))
    contents = {dict(state)["file"] for state in crashes(simulated)}
    assert contents == {old + old, old + new, new + old, new + new}
    simulated.apply(Sync(1))
    assert {dict(state)["file"] for state in crashes(simulated)} == {new + new}


def test_a_file_that_grew_has_any_size_and_zeros_where_nothing_came_to_the_disk() -> None:
    """Delayed allocation: the size may be on the disk and the data not; never the other way round."""
    simulated = Disk({"file": b"old"})
    simulated.apply(Write(1, 3, b"new"))
    contents = {dict(state)["file"] for state in crashes(simulated)}
    assert contents == {b"old", b"oldn", b"oldne", b"oldnew", b"old\0", b"old\0\0", b"old\0\0\0"}
    simulated.apply(Truncate(1, 3))
    assert contents | {b"old"} == {dict(state)["file"] for state in crashes(simulated)}


def test_names_come_and_go_on_their_own() -> None:
    """Without a sync of the directory each name may be there or not; a rename is one step, and may come with nothing."""
    simulated = Disk({})
    simulated.apply(Make("a"))
    simulated.apply(Write(1, 0, b"data"))
    simulated.apply(Sync(1))
    assert crashes(simulated) == {(), (("a", b"data"),)}
    simulated.apply(Rename("a", "b"))
    assert crashes(simulated) == {(), (("a", b"data"),), (("b", b"data"),)}
    simulated.apply(Sync(0))
    assert crashes(simulated) == {(("b", b"data"),)}


def test_a_failed_sync_is_not_mended_by_the_next() -> None:
    """The pages look clean after it: what was dirty then may be missing for ever."""
    simulated = Disk({"file": b"old"})
    simulated.apply(Write(1, 0, b"new"))
    simulated.apply(Sync(1, confirmed=False))
    simulated.apply(Sync(1))
    assert {dict(state)["file"] for state in crashes(simulated)} == {b"old", b"new"}

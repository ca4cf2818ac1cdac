"""The catalogue of runs: with it, without it and with a wrong one, a run is what the log says."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import DamagedLedger
from ledger.events import PatchRefused
from ledger.frames import Frame
from ledger.stamps import Stamp
from ledger.store import catalogue as catalogue_module
from ledger.store import writer as writer_module
from ledger.store.local import LocalStore

RUNS = ("one", "two", "on", "ledger-3")
"""One of the names lies within another."""

Refused = Callable[[str], PatchRefused]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few events fill segments, blocks and what a catalogue may lag behind."""
    monkeypatch.setattr(writer_module, "SEGMENT_SIZE_BYTES", 9000)
    monkeypatch.setattr(catalogue_module, "BLOCK_SIZE_BYTES", 1500)
    monkeypatch.setattr(catalogue_module, "LAG_SIZE_BYTES", 2000)


def fill(store: LocalStore, refused: Refused, seed: int, groups: int = 40) -> None:
    """Append groups of one to four events of runs that take turns at random."""
    turns = random.Random(seed)
    for _ in range(groups):
        run = turns.choice(RUNS)
        store.append([refused(run) for _ in range(turns.randint(1, 4))])


def scanned(store: LocalStore, run: str) -> list[Frame]:
    """Return a run's frames as one pass over the log gives them."""
    return [frame for frame in store.frames() if frame.event.run == run]


def fresh(root: Path, stamp: Stamp) -> LocalStore:
    """Return the store as another process sees it."""
    return LocalStore.open(root, stamp)


@pytest.mark.parametrize("seed", range(3))
def test_a_run_is_what_the_whole_log_says(root: Path, stamp: Stamp, refused: Refused, seed: int) -> None:
    """Any part of it, forward and backward, for a process that was there and for one that comes anew."""
    writer = LocalStore.open(root, stamp, create=True)
    turns = random.Random(seed)
    for part in range(4):
        fill(writer, refused, seed * 10 + part, groups=25)
        if part == 2:
            writer.archive()
        for reader in (writer, fresh(root, stamp)):
            for run in RUNS:
                wanted = scanned(reader, run)
                after, until = sorted(turns.randrange(len(wanted) + 2) for _ in range(2))
                assert list(reader.of_run(run)) == wanted
                assert list(reader.of_run(run, after, until)) == wanted[after:until]
                backward = [frame for frame in reader.backward(run) if frame.event.run == run]
                assert backward == wanted[::-1]
                some = [frame for frame in reader.backward(run, until) if frame.event.run == run]
                assert [frame for frame in some if frame.event.v <= until] == wanted[:until][::-1]
    assert list(writer.of_run("nobody")) == []


def test_what_is_not_of_the_run_is_not_read(
    root: Path, stamp: Stamp, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run at the log's beginning costs the same whatever came after it."""
    store = LocalStore.open(root, stamp, create=True)
    store.append([refused("one") for _ in range(10)])
    fill(store, refused, 1, groups=10)
    costs: list[int] = []
    read: list[bytes] = []
    for _ in range(2):
        list(fresh(root, stamp).of_run("one", 2, 3))
        read.clear()
        with monkeypatch.context() as patched:
            patched.setattr(
                catalogue_module, "parse_lines", lambda data: read.append(data) or data.split(b"\n")
            )
            assert [frame.event.v for frame in fresh(root, stamp).of_run("one", 2, 3)] == [3]
        costs.append(sum(map(len, read)))
        fill(store, refused, 2, groups=200)
    # A block, and what the catalogue may lag behind.
    assert 0 < costs[1] <= costs[0] + 1500 + 2000


@pytest.fixture
def catalogued(root: Path, stamp: Stamp, refused: Refused) -> tuple[Path, dict[str, list[Frame]]]:
    """A ledger with its catalogue, and what each run has."""
    store = LocalStore.open(root, stamp, create=True)
    fill(store, refused, 3)
    frames = {run: scanned(store, run) for run in RUNS}
    for run in RUNS:
        list(store.of_run(run))
    assert len(list((root / "cache" / "catalogue").iterdir())) > 2
    return root, frames


@pytest.mark.parametrize("lie", ["other blocks", "no runs", "another's", "not msgpack", "beyond the end"])
def test_a_wrong_catalogue_loses_nothing(
    catalogued: tuple[Path, dict[str, list[Frame]]], stamp: Stamp, lie: str
) -> None:
    """It is a cache: whatever it says, the run is whole and in order."""
    root, frames = catalogued
    files = sorted((root / "cache" / "catalogue").iterdir())
    for path, other in zip(files, files[::-1], strict=True):
        found = catalogue_module.parse_contents(path.read_bytes())
        match lie:
            case "other blocks":
                found.blocks = [offset + 7 for offset in found.blocks]
            case "no runs":
                found.runs = {}
            case "beyond the end":
                found.offset *= 2
            case "another's":
                found = catalogue_module.parse_contents(other.read_bytes())
            case _:
                pass
        path.write_bytes(b"\xc1" if lie == "not msgpack" else catalogue_module.encode_contents(found))
    for run, wanted in frames.items():
        assert list(fresh(root, stamp).of_run(run)) == wanted
        assert list(fresh(root, stamp).backward(run)) == wanted[::-1]
        assert list(fresh(root, stamp).backward(run, 3)) == wanted[:3][::-1]


def test_a_flipped_bit_of_the_catalogue_changes_no_answer(
    catalogued: tuple[Path, dict[str, list[Frame]]], stamp: Stamp
) -> None:
    """Nor does a file that is cut off."""
    root, frames = catalogued
    path = min((root / "cache" / "catalogue").iterdir())
    data = path.read_bytes()
    for at in range(0, len(data), 7):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        assert list(fresh(root, stamp).of_run("two")) == frames["two"], at
    path.write_bytes(data[: len(data) // 2])
    assert list(fresh(root, stamp).backward("two")) == frames["two"][::-1]


def test_damage_in_a_run_is_found_where_it_is_read(
    catalogued: tuple[Path, dict[str, list[Frame]]], stamp: Stamp
) -> None:
    """The frame that was damaged is not passed over, whatever the catalogue says."""
    root, frames = catalogued
    damaged = frames["two"][len(frames["two"]) // 2]
    for path in (root / "log").iterdir():
        path.write_bytes(path.read_bytes().replace(b'"s":%d,' % damaged.s, b'"s":%d,' % (damaged.s + 1)))
    with pytest.raises(DamagedLedger):
        list(fresh(root, stamp).of_run("two"))


def test_a_frame_in_anothers_place_is_found(
    catalogued: tuple[Path, dict[str, list[Frame]]], stamp: Stamp
) -> None:
    """The last event of the run is the one that the head names, and each names the one before."""
    root, frames = catalogued
    last = frames["two"][-1]
    for path in (root / "log").iterdir():
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(line for line in lines if b'"s":%d,' % last.s not in line))
    with pytest.raises(DamagedLedger):
        list(fresh(root, stamp).of_run("two"))


def test_where_it_cannot_be_written_reading_goes_on(root: Path, stamp: Stamp, refused: Refused) -> None:
    """The run is there all the same."""
    store = LocalStore.open(root, stamp, create=True)
    fill(store, refused, 5)
    (root / "cache" / "catalogue").write_bytes(b"a file is in the way")
    assert list(store.of_run("one")) == scanned(store, "one")

"""Sealed segments: the same log before and after, at any crash, and no bit of them unwatched."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))
from archive_lab import crashes, reseal

from ledger.errors import DamagedLedger
from ledger.events import PatchRefused, RunStarted
from ledger.frames import Frame
from ledger.stamps import Stamp
from ledger.store import archive as archive_module
from ledger.store import disk
from ledger.store import sealed as sealed_module
from ledger.store import writer as writer_module
from ledger.store.columns import check_columns
from ledger.store.local import LocalStore
from ledger.store.segments import Place

pytestmark = pytest.mark.duckdb

Started = Callable[[str], RunStarted]
Refused = Callable[[str], PatchRefused]
RUNS = ("port", "other", "third")


@pytest.fixture
def filled(
    store: LocalStore, started: Started, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> LocalStore:
    """Three runs of ten events in groups of one and two, in several segments; the last one is open."""
    monkeypatch.setattr(writer_module, "SEGMENT_SIZE_BYTES", 6000)
    for run in RUNS:
        store.append([started(run)], 1)
    for v in range(2, 11, 3):
        for run in RUNS:
            store.append([refused(run)], v)
            store.append([refused(run), refused(run)], v + 1)
    assert len(store.segments.firsts()) > 2
    return store


@contextmanager
def small_files(size_bytes: int) -> Generator[None]:
    """Let no file grow past a size, as on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def reopen(store: LocalStore, stamp: Stamp) -> LocalStore:
    """Open the store as another process would."""
    return LocalStore.open(store.root, stamp)


def places(store: LocalStore) -> list[Place]:
    return [place for _, place in store.groups()]


def names(store: LocalStore, directory: str) -> list[str]:
    return sorted(path.name for path in (store.root / directory).iterdir())


def test_the_log_is_the_same_before_and_after(filled: LocalStore, stamp: Stamp, refused: Refused) -> None:
    """Every frame, group and place, forward and backward; and the next append goes on behind them."""
    before = list(filled.groups())
    frames = list(filled.frames())
    heads = dict(filled.heads())
    seals = filled.archive()
    assert [seal.first for seal in seals] == [1, *(seal.last + 1 for seal in seals[:-1])]
    assert seals[-1].last == len(frames) == 30
    assert names(filled, "log") == [f"{31:020d}.jsonl"]
    for store in (filled, reopen(filled, stamp)):
        assert list(store.groups()) == before
        assert list(store.backward()) == frames[::-1]
        for run in RUNS:
            mine = [frame for frame in store.backward(run) if frame.event.run == run]
            assert mine == [frame for frame in frames[::-1] if frame.event.run == run]
        assert store.heads() == heads
    (filled.root / "cache/heads").unlink()
    assert reopen(filled, stamp).heads() == heads
    assert reopen(filled, stamp).append([refused("port")], 11)[-1].s == 31
    assert [frame.s for frame in filled.frames()] == list(range(1, 32))
    assert filled.archive()[0].first == 31
    assert filled.archive() == []


def test_a_reader_goes_on_from_any_old_place(filled: LocalStore, stamp: Stamp) -> None:
    """A place that was remembered before the segment was sealed is held, and leads to the same groups."""
    old, groups = places(filled), list(filled.groups())
    filled.archive()
    reader = reopen(filled, stamp)
    for index, place in enumerate(old):
        assert reader.holds(place)
        assert list(reader.groups(place)) == groups[index + 1 :]
    elsewhere = old[0]._replace(offset=old[0].offset + 1)
    other = old[0]._replace(cursor=old[1].cursor)
    assert not any(reader.holds(place) for place in (elsewhere, other))


def test_batches_give_the_same_rows(
    filled: LocalStore, stamp: Stamp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sealed segment is read in batches, whose size changes nothing."""
    frames = list(filled.frames())
    filled.archive()
    monkeypatch.setattr(sealed_module, "BATCH_ROWS", 3)
    store = reopen(filled, stamp)
    assert (list(store.frames()), list(store.backward())) == (frames, frames[::-1])


def test_an_append_needs_no_duckdb(filled: LocalStore) -> None:
    """A process that opens a sealed ledger and appends loads neither DuckDB nor a sealed file."""
    filled.archive()
    for path in (filled.root / "sealed").glob("*.parquet"):
        path.rename(path.with_suffix(".away"))
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent.parent / "store")!r})
from pathlib import Path
from test_local import append_many
append_many(Path({str(filled.root)!r}), "fresh", 2)
assert "duckdb" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    for path in (filled.root / "sealed").glob("*.away"):
        path.rename(path.with_suffix(".parquet"))
    assert [frame.event.run for frame in filled.frames()][-2:] == ["fresh", "fresh"]


def test_the_retry_of_a_sealed_event_is_the_same_event(
    store: LocalStore, stamp: Stamp, started: Started, refused: Refused
) -> None:
    """Who tries again gets the frame, wherever it lies by now (P7)."""
    first = [started("port"), refused("port")]
    frames = store.append(first, 1)
    store.archive()
    assert [frame.h for frame in reopen(store, stamp).append(first, 1)] == [frame.h for frame in frames]


def test_columns_say_what_the_events_say(filled: LocalStore) -> None:
    """Any DuckDB reads the files, without the ledger's code; the raw line stands beside the columns."""
    frames = list(filled.frames())
    filled.archive()
    rows = duckdb.execute(
        "select position, hash, n, w, run, v, id::varchar, kind, at_ns, epoch_ns(at_utc), actor_kind, actor_name, "
        "actor_session, base_tree, frame, ends_at, digest from read_parquet(?) order by position",
        [str(filled.root / "sealed/*.parquet")],
    ).fetchall()
    assert len(rows) == len(frames)
    for row, frame in zip(rows, frames, strict=True):
        event = frame.event
        said = (frame.s, frame.h, frame.n, frame.w, event.run, event.v, event.id, event.kind, event.at_ns)
        assert row[:9] == said
        assert row[9:14] == (event.at_ns, "agent", "tester", "s1", getattr(event, "base_tree", None))
        assert json.loads(row[14])["h"] == frame.h
        assert row[16] is None


def test_the_seal_says_what_is_in_it(filled: LocalStore) -> None:
    """Range, hashes and bounds are those of the frames, and the digests those of the files."""
    logs = {int(path.stem): path.read_bytes() for path in (filled.root / "log").iterdir()}
    frames = list(filled.frames())
    for seal in filled.archive():
        mine = [frame for frame in frames if seal.first <= frame.s <= seal.last]
        assert (seal.follows, seal.hash) == (mine[0].p, mine[-1].h)
        assert (seal.min_id, seal.max_id) == (mine[0].event.id, mine[-1].event.id)
        assert (seal.min_at_ns, seal.max_at_ns) == (mine[0].event.at_ns, mine[-1].event.at_ns)
        assert seal.log_size_bytes == len(logs[seal.first])
        digest = subprocess.run(["sha256sum"], input=logs[seal.first], capture_output=True, check=True).stdout
        assert digest.split()[0].decode() == seal.log_sha256
        data = (filled.root / "sealed" / seal.parquet).read_bytes()
        digest = subprocess.run(["sha256sum"], input=data, capture_output=True, check=True).stdout
        assert (digest.split()[0].decode(), len(data)) == (seal.parquet_sha256, seal.parquet_size_bytes)


# ── crashes ──────────────────────────────────────────────────────────────────────────────────────


def test_a_crash_anywhere_leaves_the_log_and_is_finished(
    filled: LocalStore, root: Path, stamp: Stamp, tmp_path: Path
) -> None:
    """Wherever sealing dies, the same log is read, and the next archive ends with the same files."""
    frames, pristine = list(filled.frames()), tmp_path / "pristine"
    shutil.copytree(root, pristine)

    def act() -> None:
        shutil.rmtree(root)
        shutil.copytree(pristine, root)
        reopen(filled, stamp).archive()

    act()
    wanted = [names(filled, directory) for directory in ("log", "sealed")]
    for _ in crashes(act):
        assert list(reopen(filled, stamp).frames()) == frames
        reopen(filled, stamp).archive()
        assert [names(filled, directory) for directory in ("log", "sealed")] == wanted
        assert list(reopen(filled, stamp).frames()) == frames


def test_the_json_lines_stay_where_the_copy_is_bad(
    filled: LocalStore, root: Path, stamp: Stamp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that gives back other bytes than were written costs nothing: the copy is read before anything goes."""
    frames, log = list(filled.frames()), names(filled, "log")
    real = disk.publish_durably

    def flipping(temporary: Path, path: Path) -> None:
        data = bytearray(temporary.read_bytes())
        data[len(data) // 2] ^= 1
        temporary.write_bytes(bytes(data))
        real(temporary, path)

    monkeypatch.setattr(archive_module, "publish_durably", flipping)
    with pytest.raises(DamagedLedger, match="sealed/"):
        filled.archive()
    monkeypatch.undo()
    assert names(filled, "log")[:-1] == log, "a new segment was begun, and nothing else happened"
    assert list(reopen(filled, stamp).frames()) == frames
    reopen(filled, stamp).archive()
    assert list(reopen(filled, stamp).frames()) == frames


def test_a_bad_segment_is_not_sealed(filled: LocalStore, root: Path, stamp: Stamp) -> None:
    """What is damaged stays as it is, and is named."""
    first = root / "log" / f"{1:020d}.jsonl"
    data = bytearray(first.read_bytes())
    data[500] ^= 1
    first.write_bytes(data)
    with pytest.raises(DamagedLedger, match=r"log/00000000000000000001\.jsonl"):
        reopen(filled, stamp).archive()
    assert first.read_bytes() == data
    assert names(filled, "sealed") == []


# ── damage ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.campaign
def test_every_flipped_bit_is_found(
    filled: LocalStore, root: Path, stamp: Stamp, rounds: Callable[[int, int], int]
) -> None:
    """One bit of a Parquet file or a seal: reading names the file, and nothing is repaired."""
    filled.archive()
    for path in sorted((root / "sealed").iterdir())[:2]:
        good = path.read_bytes()
        for bit in range(0, len(good) * 8, rounds(199, 1)):
            bad = bytearray(good)
            bad[bit // 8] ^= 1 << bit % 8
            path.write_bytes(bad)
            with pytest.raises(DamagedLedger, match=f"sealed/{path.name}"):
                list(reopen(filled, stamp).frames())
            assert path.read_bytes() == bad
        path.write_bytes(good)
    assert len(list(reopen(filled, stamp).frames())) == 30


@pytest.mark.parametrize("gone", ["parquet", "seal"])
def test_a_missing_file_is_damage(filled: LocalStore, root: Path, stamp: Stamp, gone: str) -> None:
    """Neither the file nor its seal can go unnoticed, the last one's included."""
    for seal in filled.archive():
        path = root / "sealed" / f"{seal.first:020d}.{gone}"
        data = path.read_bytes()
        path.unlink()
        with pytest.raises(DamagedLedger):
            list(reopen(filled, stamp).frames())
        path.write_bytes(data)


@pytest.mark.parametrize(
    "change",
    [
        "kind = 'note.added/1' where position = 2",
        "at_ns = at_ns + 1 where position = 2",
        "run = 'other' where position = 4",
        "n = 1 where position = 2",
        "digest = repeat('0', 64) where position = 2",
        "frame = null where position = 2",
    ],
)
def test_columns_that_are_not_the_frames_are_damage(filled: LocalStore, stamp: Stamp, change: str) -> None:
    """Whoever asks the file itself gets what the log says, or `verify` says that it does not."""
    filled.archive()
    seal = reseal(filled.root, 1, change)
    sealed = reopen(filled, stamp).segments.sealed
    with pytest.raises(DamagedLedger, match=r"position [24]"):
        check_columns(sealed, seal)


@pytest.mark.parametrize(
    "change",
    [
        "frame = encode(replace(decode(frame), 'HunkMismatch', 'HunkMismatck')) where position = 4",
        "hash = repeat('0', 64), frame = null where position = 7",
        "ends_at = ends_at + 1 where position = 3",
        "position = 99 where position = 3",
    ],
)
def test_frames_that_do_not_follow_are_damage(filled: LocalStore, stamp: Stamp, change: str) -> None:
    """Sealing anew does not help who has not the whole chain: the frames behind are chained to those before."""
    filled.archive()
    seal = reseal(filled.root, 1, change)
    store = reopen(filled, stamp)
    with pytest.raises(DamagedLedger):
        store.segments.sealed.prove(seal)


# ── many processes ───────────────────────────────────────────────────────────────────────────────


def append_many(root: Path, run: str, count: int) -> None:
    """Append to a run of its own, as one of several processes."""
    pytest.MonkeyPatch().setattr(writer_module, "SEGMENT_SIZE_BYTES", 4000)
    stamp = Stamp()
    store = LocalStore.open(root, stamp)
    for _ in range(count):
        at_ns = stamp.clock()
        event = RunStarted(
            id=stamp.new_id(at_ns),
            run=run,
            at_ns=at_ns,
            actor=stamp.actor,
            title="",
            work_tree="",
            head=None,
            branch=None,
            base_tree="0" * 40,
            listing="",
        )
        store.append([event])


def test_eight_writers_append_while_it_is_archived(store: LocalStore, root: Path, stamp: Stamp) -> None:
    """Nobody waits for a seal and nothing is lost; a reader sees a growing log that never changes."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append_many, args=(root, f"run{i}", 40)) for i in range(8)]
    for writer in writers:
        writer.start()
    seen: list[Frame] = []
    reader = reopen(store, stamp)
    while any(writer.is_alive() for writer in writers):
        store.archive()
        now = list(reader.frames())
        assert now[: len(seen)] == seen
        seen = now
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 8
    store.archive()
    frames = list(reopen(store, stamp).frames())
    assert [frame.s for frame in frames] == list(range(1, 321))
    for i in range(8):
        assert [f.event.v for f in frames if f.event.run == f"run{i}"] == list(range(1, 41))
    assert len(names(store, "sealed")) > 4


def test_a_full_disk_leaves_the_segment_waiting(filled: LocalStore, stamp: Stamp) -> None:
    """The copy finds no room: an error of the disk, the log as it was, and the next archive does it."""
    frames, firsts = list(filled.frames()), filled.segments.firsts()
    with small_files(1000), pytest.raises(OSError, match="too large"):
        filled.seal_closed()
    assert os.listdir(filled.segments.sealed.root) == []
    assert list(reopen(filled, stamp).frames()) == frames
    assert [seal.first for seal in filled.seal_closed()] == firsts[:-1]
    assert list(reopen(filled, stamp).frames()) == frames


def test_what_is_full_is_sealed_and_what_is_open_stays(filled: LocalStore, refused: Refused) -> None:
    """Nothing waits afterwards but the open segment, which goes on where it was."""
    firsts = filled.segments.firsts()
    assert [seal.first for seal in filled.seal_closed()] == firsts[:-1]
    assert filled.seal_closed() == []
    assert filled.segments.logged() == firsts[-1:]
    filled.append([refused("port")])
    assert filled.segments.firsts() == firsts

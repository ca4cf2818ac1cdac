"""The local store: order, versions, groups, durability marks, torn tails and damage."""

from __future__ import annotations

import errno
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import DamagedLedger, LostRace, NewerFormat, NoLedger, UnsyncedLog
from ledger.events import PatchRefused, RunStarted
from ledger.frames import Frame, parse_frame
from ledger.stamps import Stamp
from ledger.store import disk as disk_module
from ledger.store import journal as journal_module
from ledger.store import segments as segments_module
from ledger.store import writer as writer_module
from ledger.store.local import LocalStore
from ledger.store.marks import read_durable

Started = Callable[[str], RunStarted]
Refused = Callable[[str], PatchRefused]


def segment(root: Path) -> Path:
    """Return the last segment's file."""
    return max((root / "log").glob("*.jsonl"))


def reopen(root: Path, stamp: Stamp) -> LocalStore:
    """Open the store as another process would."""
    return LocalStore.open(root, stamp)


def fill(store: LocalStore, started: Started, refused: Refused, count: int = 3) -> None:
    """Append a run of ``count`` events, one append each."""
    store.append([started("port")], 1)
    for v in range(2, count + 1):
        store.append([refused("port")], v)


def test_what_was_appended_is_read_in_order(
    store: LocalStore, root: Path, stamp: Stamp, started: Started, refused: Refused
) -> None:
    """Positions, versions and chains go on without a gap, for this process and for the next."""
    fill(store, started, refused)
    store.append([started("other")], 1)
    for reader in (store, reopen(root, stamp)):
        events = [frame.event for frame in reader.frames()]
        assert [(event.run, event.v) for event in events] == [
            ("port", 1),
            ("port", 2),
            ("port", 3),
            ("other", 1),
        ]
        assert [frame.s for frame in reader.frames()] == [1, 2, 3, 4]
        assert {name: head.v for name, head in reader.heads().items()} == {"port": 3, "other": 1}


def test_an_acknowledged_append_is_marked_durable(store: LocalStore, root: Path, started: Started) -> None:
    """`durable` names the last acknowledged frame, and the next frame's `w` repeats it."""
    first = store.append([started("port")], 1)[-1]
    assert read_durable(root / "durable").position == 1
    assert read_durable(root / "durable").hash == first.h
    assert store.append([started("other")], 1)[-1].w == 1


def test_a_group_counts_down(store: LocalStore, started: Started, refused: Refused) -> None:
    """The frames of one append say how many still follow."""
    frames = store.append([started("port"), refused("port"), refused("port")], 1)
    assert [(frame.s, frame.n, frame.event.v) for frame in frames] == [(1, 2, 1), (2, 1, 2), (3, 0, 3)]


def test_another_expected_version_is_a_lost_race(
    store: LocalStore, root: Path, started: Started, refused: Refused
) -> None:
    """The loser appends nothing and is told where the run is."""
    fill(store, started, refused)
    before = segment(root).read_bytes()
    with pytest.raises(LostRace) as caught:
        store.append([refused("port")], 3)
    assert (caught.value.expected, caught.value.head) == (3, 3)
    with pytest.raises(LostRace):
        store.append([refused("port")], 9)
    assert segment(root).read_bytes() == before


def test_the_same_event_again_is_the_same_event(
    store: LocalStore, root: Path, stamp: Stamp, started: Started, refused: Refused
) -> None:
    """A retry after an answer that never arrived returns the first frames and appends nothing (P7)."""
    group = [started("port"), refused("port")]
    first = store.append(group, 1)
    store.append([refused("port")], 3)
    size = segment(root).stat().st_size
    again = reopen(root, stamp).append(group, 1)
    assert [frame.h for frame in again] == [frame.h for frame in first]
    assert segment(root).stat().st_size == size


def test_any_version_appends_at_the_head(store: LocalStore, started: Started, refused: Refused) -> None:
    """Without an expected version an event takes the next one."""
    fill(store, started, refused)
    assert store.append([refused("port")])[-1].event.v == 4


def append_many(root: Path, run: str, count: int) -> None:
    """Append to a run of its own, as one of several processes."""
    stamp = Stamp()
    store = LocalStore.open(root, stamp)
    for _ in range(count):
        at_ns = stamp.clock()
        store.append(
            [
                RunStarted(
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
            ]
        )


def test_processes_append_without_gaps(store: LocalStore, root: Path, stamp: Stamp) -> None:
    """Four writers at once: gapless positions, one chain, each run's versions in order (P7)."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append_many, args=(root, f"run{i}", 25)) for i in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    frames = list(reopen(root, stamp).frames())
    assert [frame.s for frame in frames] == list(range(1, 101))
    for i in range(4):
        assert [f.event.v for f in frames if f.event.run == f"run{i}"] == list(range(1, 26))


@pytest.mark.parametrize("cut", [1, 7, 200])
def test_a_torn_tail_is_set_aside(
    store: LocalStore, root: Path, stamp: Stamp, started: Started, refused: Refused, cut: int
) -> None:
    """Bytes of an append that never returned are quarantined by the next writer, and it says so."""
    fill(store, started, refused)
    whole = segment(root).read_bytes()
    torn = whole[whole.rfind(b"\n", 0, -1) + 1 : -1][:cut]
    segment(root).write_bytes(whole + torn)
    assert len(list(reopen(root, stamp).frames())) == 3, "a reader stops before it"
    assert segment(root).read_bytes() == whole + torn, "and heals nothing"
    writer = reopen(root, stamp)
    writer.append([refused("port")], 4)
    kinds = [frame.event.kind for frame in writer.frames()]
    assert kinds[3:] == ["ledger.recovered/1", "patch.refused/1"]
    assert [path.read_bytes() for path in (root / "quarantine").iterdir()] == [torn]
    assert segment(root).read_bytes().startswith(whole)


def test_an_incomplete_group_vanishes_whole(
    store: LocalStore,
    root: Path,
    stamp: Stamp,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A crash between the two lines of one append leaves neither."""
    fill(store, started, refused)

    def crash(self: LocalStore, last: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalStore, "_sync", crash)
    with pytest.raises(KeyboardInterrupt):
        store.append([refused("port"), refused("port")], 4)
    monkeypatch.undo()
    lines = segment(root).read_bytes().splitlines(keepends=True)
    segment(root).write_bytes(b"".join(lines[:4]))
    (root / "cache" / "heads").unlink()
    assert len(list(reopen(root, stamp).frames())) == 3
    assert [frame.s for frame in reopen(root, stamp).backward()] == [3, 2, 1]
    writer = reopen(root, stamp)
    assert writer.append([refused("port")], 4)[-1].event.v == 4


def test_an_append_that_nobody_acknowledged_is_kept_when_it_is_whole(
    store: LocalStore,
    root: Path,
    stamp: Stamp,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A writer killed between write and sync leaves a frame that the next reader syncs and uses."""
    fill(store, started, refused)

    def crash(self: LocalStore, last: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalStore, "_sync", crash)
    with pytest.raises(KeyboardInterrupt):
        store.append([refused("port")], 4)
    monkeypatch.undo()
    assert read_durable(root / "durable").position == 3
    assert len(list(reopen(root, stamp).frames())) == 4
    assert reopen(root, stamp).append([refused("port")], 5)[-1].s == 5


@pytest.mark.parametrize("drop", [1, 2])
def test_dropped_events_that_were_acknowledged_are_missed(
    store: LocalStore, root: Path, stamp: Stamp, started: Started, refused: Refused, drop: int
) -> None:
    """A log that ends before `durable` is damaged, for readers and writers alike (P5)."""
    fill(store, started, refused)
    lines = segment(root).read_bytes().splitlines(keepends=True)
    segment(root).write_bytes(b"".join(lines[:-drop]))
    with pytest.raises(DamagedLedger, match="was acknowledged"):
        list(reopen(root, stamp).frames())
    with pytest.raises(DamagedLedger, match="was acknowledged"):
        reopen(root, stamp).append([refused("port")])


@pytest.mark.parametrize("line", [0, 1, 2])
def test_a_flipped_bit_under_an_acknowledged_frame_is_damage(
    store: LocalStore, root: Path, stamp: Stamp, started: Started, refused: Refused, line: int
) -> None:
    """Acknowledged bytes are never taken for a torn tail, and nothing is truncated."""
    fill(store, started, refused)
    data = bytearray(segment(root).read_bytes())
    at = sum(map(len, data.splitlines(keepends=True)[:line])) + 300
    data[at] ^= 1
    segment(root).write_bytes(data)
    (root / "cache" / "heads").unlink()
    with pytest.raises(DamagedLedger, match="acknowledged"):
        list(reopen(root, stamp).frames())
    with pytest.raises(DamagedLedger, match="acknowledged"):
        reopen(root, stamp).append([refused("port")])
    assert segment(root).read_bytes() == bytes(data)


def test_damage_is_seen_without_the_durable_mark(
    store: LocalStore, root: Path, stamp: Stamp, started: Started, refused: Refused
) -> None:
    """A later frame's `w` testifies for the frames before it."""
    fill(store, started, refused)
    (root / "durable").unlink()
    (root / "cache" / "heads").unlink()
    data = bytearray(segment(root).read_bytes())
    data[300] ^= 1
    segment(root).write_bytes(data)
    with pytest.raises(DamagedLedger, match="acknowledged"):
        list(reopen(root, stamp).frames())


def test_replaced_history_does_not_pass_the_durable_mark(
    store: LocalStore, root: Path, stamp: Stamp, started: Started, refused: Refused
) -> None:
    """Another log of the same length is not the one that was acknowledged."""
    fill(store, started, refused)
    other = LocalStore.open(root.parent / "other", stamp, create=True)
    fill(other, started, refused)
    segment(root).write_bytes(segment(other.root).read_bytes())
    (root / "cache" / "heads").unlink()
    with pytest.raises(DamagedLedger, match="not the one that was acknowledged"):
        list(reopen(root, stamp).frames())


def failing_sync(fd: int) -> None:
    """Fail as a disk does that did not take the bytes."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_failed_sync_stops_readers_and_writers_before_it(
    store: LocalStore,
    root: Path,
    stamp: Stamp,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Linux tells a write error once and then shows the pages clean; the marker tells every later opener."""
    fill(store, started, refused)
    monkeypatch.setattr(writer_module, "sync_data", failing_sync)
    with pytest.raises(UnsyncedLog):
        store.append([refused("port")], 4)
    assert len(list(reopen(root, stamp).frames())) == 3, "readers see what was acknowledged"
    monkeypatch.setattr(segments_module, "write_durably", lambda path, data: failing_sync(0))
    before = segment(root).read_bytes()
    with pytest.raises(UnsyncedLog):
        reopen(root, stamp).append([refused("port")], 5)
    assert segment(root).read_bytes() == before, "nobody appends while the disk does not confirm"


@pytest.mark.parametrize("acknowledged", [0, 1, 3])
def test_bytes_in_doubt_are_written_anew(
    store: LocalStore,
    root: Path,
    stamp: Stamp,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
    acknowledged: int,
) -> None:
    """Once the disk confirms again, what was past `durable` lies in a new segment, and appends go on."""
    if acknowledged:
        fill(store, started, refused, count=acknowledged)
    monkeypatch.setattr(writer_module, "sync_data", failing_sync)
    in_doubt = refused("port")
    with pytest.raises(UnsyncedLog):
        store.append([in_doubt], acknowledged + 1)
    monkeypatch.undo()
    writer = reopen(root, stamp)
    again = writer.append([in_doubt], acknowledged + 1)
    assert again[-1].event.id == in_doubt.id, "the retry is the same event"
    assert writer.append([refused("port")], acknowledged + 2)[-1].s == acknowledged + 2
    assert list(root.glob("unsynced*")) == []
    assert segment(root).name == f"{acknowledged + 1:020d}.jsonl"
    for reader in (writer, reopen(root, stamp)):
        assert [frame.s for frame in reader.frames()] == list(range(1, acknowledged + 3))
        assert [frame.s for frame in reader.backward()] == list(range(acknowledged + 2, 0, -1))


def fail_once(monkeypatch: pytest.MonkeyPatch, store: LocalStore, event: PatchRefused, v: int) -> None:
    """Append an event whose sync fails."""
    with monkeypatch.context() as patch:
        patch.setattr(writer_module, "sync_data", failing_sync)
        with pytest.raises(UnsyncedLog):
            store.append([event], v)


def test_what_follows_a_rewrite_without_groups_is_not_lost(
    store: LocalStore,
    root: Path,
    stamp: Stamp,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The new segment may be begun with nothing in it: the next group goes there, where readers look for it."""
    fill(store, started, refused)
    size = segment(root).stat().st_size
    fail_once(monkeypatch, store, refused("port"), 4)
    os.truncate(segment(root), size)
    added = reopen(root, stamp).append([refused("port")], 4)
    assert [frame.h for frame in reopen(root, stamp).frames()][3:] == [added[0].h]


@pytest.mark.parametrize("acknowledged", [0, 3])
def test_a_rewrite_by_another_process_is_followed(
    store: LocalStore,
    root: Path,
    stamp: Stamp,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
    acknowledged: int,
) -> None:
    """Who remembers a place among bytes that were in doubt, or has their file open, goes on in the new file."""
    if acknowledged:
        fill(store, started, refused, count=acknowledged)
    fail_once(monkeypatch, store, refused("port"), acknowledged + 1)
    place = store._heads.place
    reopen(root, stamp).append([refused("port")], acknowledged + 2)
    assert [[frame.s for frame in group] for group, _ in reopen(root, stamp).groups(place)] == [
        [acknowledged + 2]
    ]
    added = store.append([refused("port")], acknowledged + 3)
    assert list(reopen(root, stamp).frames())[acknowledged + 2 :] == list(added)


def test_a_rewrite_drops_nothing_that_was_acknowledged(
    store: LocalStore,
    root: Path,
    stamp: Stamp,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Damage among the bytes to be written anew stops the writer, even where `durable` says nothing of them."""
    fill(store, started, refused)
    fail_once(monkeypatch, store, refused("port"), 4)
    (root / "durable").unlink()
    data = bytearray(segment(root).read_bytes())
    data[1200] ^= 1
    segment(root).write_bytes(data)
    with pytest.raises(DamagedLedger, match="were acknowledged"):
        reopen(root, stamp).append([refused("port")], 5)
    assert segment(root).read_bytes() == data


def test_a_reader_that_hears_of_a_failed_sync_says_so(
    store: LocalStore,
    root: Path,
    stamp: Stamp,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The system tells it once: the next reader's sync would succeed and prove nothing."""
    fill(store, started, refused, count=2)
    (root / "durable").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(disk_module, "sync_data", failing_sync)
        assert list(reopen(root, stamp).frames()) == []
    assert list(reopen(root, stamp).frames()) == []
    reopen(root, stamp).append([refused("port")], 3)
    assert len(list(reopen(root, stamp).frames())) == 3


def test_a_doubt_does_not_outlive_the_system(
    store: LocalStore,
    root: Path,
    stamp: Stamp,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a restart what can be read comes from the disk: readers go on, and the mark is taken away."""
    fill(store, started, refused)
    fail_once(monkeypatch, store, refused("port"), 4)
    monkeypatch.setattr(journal_module, "boot_id", lambda: "another")
    assert len(list(reopen(root, stamp).frames())) == 4
    reopen(root, stamp).append([refused("port")], 5)
    assert list(root.glob("unsynced*")) == []


def test_a_full_disk_leaves_the_log_as_it_was(
    store: LocalStore,
    root: Path,
    stamp: Stamp,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A write that fails halfway is taken back: no torn tail, and the next append goes on."""
    fill(store, started, refused)
    before = segment(root).read_bytes()

    def half(fd: int, data: bytes) -> None:
        os.write(fd, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(writer_module, "write_all", half)
    with pytest.raises(OSError, match="No space"):
        store.append([refused("port")], 4)
    monkeypatch.undo()
    assert segment(root).read_bytes() == before
    assert store.append([refused("port")], 4)[-1].s == 4


def test_segments_roll(
    store: LocalStore,
    root: Path,
    stamp: Stamp,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full segment is closed; the next one is named by its first position, and readers see one log."""
    monkeypatch.setattr(writer_module, "SEGMENT_SIZE_BYTES", 1500)
    fill(store, started, refused, count=12)
    names = sorted(path.name for path in (root / "log").iterdir())
    assert len(names) > 2
    assert names[0] == "00000000000000000001.jsonl"
    assert [frame.s for frame in reopen(root, stamp).frames()] == list(range(1, 13))
    (root / "cache" / "heads").unlink()
    assert reopen(root, stamp).append([refused("port")], 13)[-1].s == 13
    (root / "log" / names[1]).unlink()
    with pytest.raises(DamagedLedger):
        list(reopen(root, stamp).frames())


def test_the_heads_cache_may_be_deleted_or_garbage(
    store: LocalStore, root: Path, stamp: Stamp, started: Started, refused: Refused
) -> None:
    """Everything under cache/ is made again; a cache that does not fit the log is not believed."""
    fill(store, started, refused)
    heads = root / "cache" / "heads"
    good = heads.read_bytes()
    for content in (b"", b"garbage", good.replace(b"port", b"pork"), good[:-10]):
        heads.write_bytes(content)
        assert reopen(root, stamp).heads()["port"].v == 3
    heads.unlink()
    assert reopen(root, stamp).append([refused("port")], 4)[-1].s == 4


def test_opening_does_not_read_the_log_when_nothing_is_new(
    store: LocalStore,
    root: Path,
    stamp: Stamp,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An append after another process's costs the same whatever the log's length: the last frame is looked at."""
    fill(store, started, refused, count=50)
    writer = reopen(root, stamp)

    parsed: list[int] = []

    def counted(line: bytes) -> Frame:
        frame = parse_frame(line)
        parsed.append(frame.s)
        return frame

    monkeypatch.setattr(segments_module, "parse_frame", counted)
    assert writer.append([refused("port")], 51)[-1].s == 51
    assert parsed == [50]


def test_no_ledger_is_made_by_reading(root: Path, stamp: Stamp) -> None:
    """Opening to read where there is none is an error and leaves nothing."""
    with pytest.raises(NoLedger):
        LocalStore.open(root, stamp)
    assert not root.exists()


def test_a_newer_format_is_named(store: LocalStore, root: Path, stamp: Stamp) -> None:
    """A ledger of a later format is refused with both versions, untouched."""
    (root / "FORMAT").write_bytes(b"ledger/9\n")
    with pytest.raises(NewerFormat) as caught:
        LocalStore.open(root, stamp)
    assert (caught.value.found, caught.value.supported) == ("ledger/9", "ledger/1")


def test_bodies_are_named_by_their_digest(store: LocalStore, root: Path) -> None:
    """The same bytes are stored once; other bytes under a name are damage, and missing ones too."""
    digest = store.write_body(b"patch")
    assert store.write_body(b"patch") == digest
    assert store.read_body(digest) == b"patch"
    path = root / "bodies" / digest[:2] / digest
    path.write_bytes(b"patcH")
    with pytest.raises(DamagedLedger, match="not what was written"):
        store.read_body(digest)
    assert store.write_body(b"patch") == digest, "writing it again mends it"
    assert store.read_body(digest) == b"patch"
    path.unlink()
    with pytest.raises(DamagedLedger, match="missing"):
        store.read_body(digest)

"""The journal of heads: what a writer takes over from it, and when it is not believed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.events import PatchRefused, RunStarted
from ledger.frames import Frame, parse_frame
from ledger.stamps import Stamp
from ledger.store import journal as journal_module
from ledger.store import segments as segments_module
from ledger.store.disk import boot_id
from ledger.store.local import LocalStore

Started = Callable[[str], RunStarted]
Refused = Callable[[str], PatchRefused]


def journal(root: Path) -> Path:
    return root / "cache" / "heads"


def segment(root: Path) -> Path:
    return root / "log" / f"{1:020d}.jsonl"


def fill(store: LocalStore, started: Started, refused: Refused) -> None:
    store.append([started("port")], 1)
    for v in range(2, 10):
        store.append([refused("port")], v)


def append_next(root: Path, stamp: Stamp, refused: Refused) -> None:
    LocalStore.open(root, stamp).append([refused("port")], 10)


def count_parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the positions of the frames that are hashed from now on."""
    parsed: list[int] = []

    def counted(line: bytes) -> Frame:
        frame = parse_frame(line)
        parsed.append(frame.s)
        return frame

    monkeypatch.setattr(segments_module, "parse_frame", counted)
    return parsed


def test_an_overtaken_writer_reads_no_frames(
    store: LocalStore,
    root: Path,
    stamp: Stamp,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What another process appended is taken over from the journal; of the log, the last hash is looked at."""
    store.append([started("port")], 1)
    other = LocalStore.open(root, stamp)
    parsed = count_parsed(monkeypatch)
    for v in range(2, 8, 2):
        assert other.append([refused("port")], v)[-1].s == v
        assert store.append([refused("port")], v + 1)[-1].s == v + 1
    monkeypatch.undo()
    assert parsed == [1], "hashed again when the log was opened, and not since"
    assert [frame.event.v for frame in LocalStore.open(root, stamp).frames()] == list(range(1, 8))


def test_a_journal_grows_by_what_changed_and_is_published_anew(
    store: LocalStore,
    root: Path,
    stamp: Stamp,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An append writes its own run's head; once the file has grown enough it has each run once."""
    for number in range(30):
        store.append([started(f"run{number}")], 1)
    size = journal(root).stat().st_size
    store.append([refused("run3")], 2)
    assert 0 < journal(root).stat().st_size - size < size / 10
    journal(root).unlink()
    monkeypatch.setattr(journal_module, "_SLACK_SIZE_BYTES", 1000)
    for v in range(3, 100):
        # As commands do: each in a process of its own, which sees only what the file says.
        LocalStore.open(root, stamp).append([refused("run3")], v)
    assert journal(root).stat().st_size < 3 * size, "97 heads would be more"
    assert journal(root).read_bytes().count(b'"run7"\t') == 1
    heads = LocalStore.open(root, stamp).heads()
    assert {name: head.v for name, head in heads.items()} == {f"run{n}": 1 for n in range(30)} | {"run3": 99}


@pytest.mark.parametrize("harm", ["cut", "flipped", "gone", "directory gone", "older", "another boot"])
def test_a_journal_that_is_not_right_costs_a_scan(
    store: LocalStore, root: Path, stamp: Stamp, started: Started, refused: Refused, harm: str
) -> None:
    """Whatever happens to the cache, a writer that has it open and one that opens it get the log's own heads."""
    store.append([started("port")], 1)
    older = journal(root).read_bytes()
    store.append([refused("port")], 2)
    data = journal(root).read_bytes()
    if harm == "cut":
        os.truncate(journal(root), len(data) - 5)
    elif harm == "flipped":
        journal(root).write_bytes(data.replace(b'"v":2', b'"v":3'))
    elif harm == "older":
        journal(root).write_bytes(older)
    elif harm == "another boot":
        journal(root).write_bytes(data.replace(b"\t", b"\t0", 1))
    else:
        journal(root).unlink()
        if harm == "directory gone":
            journal(root).parent.rmdir()
    assert LocalStore.open(root, stamp).heads()["port"].v == 2
    assert LocalStore.open(root, stamp).append([refused("port")], 3)[-1].s == 3
    assert store.append([refused("port")], 4)[-1].s == 4
    assert LocalStore.open(root, stamp).append([refused("port")], 5)[-1].s == 5
    assert [frame.event.v for frame in LocalStore.open(root, stamp).frames()] == [1, 2, 3, 4, 5]


def test_after_a_restart_what_is_durable_is_not_read_again(
    store: LocalStore,
    root: Path,
    stamp: Stamp,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Opening and appending hash the last frame alone, and the next append is the journal's beginning in this boot."""
    fill(store, started, refused)
    monkeypatch.setattr(journal_module, "boot_id", lambda: "another")
    for open_log in (lambda: LocalStore.open(root, stamp).heads(), lambda: append_next(root, stamp, refused)):
        parsed = count_parsed(monkeypatch)
        open_log()
        assert set(parsed) == {9}
    assert journal(root).read_bytes().split(b"\n")[0].endswith(b"\tanother")
    assert LocalStore.open(root, stamp).heads()["port"].v == 10


@pytest.mark.parametrize("lost", [0, 1, 4])
def test_after_a_restart_nothing_beyond_the_mark_is_believed(
    store: LocalStore,
    root: Path,
    stamp: Stamp,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
    lost: int,
) -> None:
    """The journal outlived a power failure, events that it names did not: the heads are those of the log."""
    fill(store, started, refused)
    mark = (root / "durable").read_bytes()
    sizes: list[int] = []
    for v in range(10, 14):
        sizes.append(segment(root).stat().st_size)
        LocalStore.open(root, stamp).append([refused("port")], v)
    (root / "durable").write_bytes(mark)
    if lost:
        os.truncate(segment(root), sizes[-lost])
    monkeypatch.setattr(journal_module, "boot_id", lambda: "another")
    parsed = count_parsed(monkeypatch)
    assert LocalStore.open(root, stamp).heads()["port"].v == 13 - lost
    assert min(parsed) == 9, "what the mark covers was not read again"
    assert LocalStore.open(root, stamp).append([refused("port")], 14 - lost)[-1].s == 14 - lost
    assert [frame.event.v for frame in LocalStore.open(root, stamp).frames()] == list(range(1, 15 - lost))


def test_the_journal_of_another_ledger_is_not_believed(
    store: LocalStore, root: Path, stamp: Stamp, started: Started, refused: Refused
) -> None:
    """The log must have the frame that the journal names; the runs of the other ledger do not come along."""
    other = LocalStore.open(root.parent / "other", stamp, create=True)
    for name in ("port", "elsewhere"):
        other.append([started(name)], 1)
    store.append([started("port")], 1)
    journal(root).write_bytes(journal(other.root).read_bytes())
    assert LocalStore.open(root, stamp).append([refused("port")], 2)[-1].s == 2
    assert list(LocalStore.open(root, stamp).heads()) == ["port"]


def test_an_append_does_not_fail_with_its_journal(
    store: LocalStore,
    root: Path,
    stamp: Stamp,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A journal that cannot be written lags behind, and the next writer finds the rest in the log."""
    store.append([started("port")], 1)
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: 0)
    monkeypatch.setattr(journal_module, "write_cached", lambda path, data: False)
    monkeypatch.setattr(store._durable, "advance", lambda cursor: None)
    assert store.append([refused("port")], 2)[-1].s == 2
    assert store.append([started("other")], 1)[-1].s == 3
    monkeypatch.undo()
    assert LocalStore.open(root, stamp).append([refused("port")], 3)[-1].s == 4
    assert store.append([refused("other")], 2)[-1].s == 5
    assert {n: h.v for n, h in LocalStore.open(root, stamp).heads().items()} == {"port": 3, "other": 2}


def test_a_writer_follows_when_others_wrote_its_tail_anew(
    store: LocalStore, root: Path, stamp: Stamp, started: Started, refused: Refused
) -> None:
    """A process that read what a failed sync left in doubt goes on where the rewritten log ends."""
    store.append([started("port")], 1)
    first = store.append([refused("port")], 2)[0]
    (root / "durable").unlink()
    (root / f"unsynced.{boot_id()}").write_text("Input/output error\n")
    other = LocalStore.open(root, stamp)
    assert other.append([refused("port")], 3)[-1].s == 3
    journal(root).unlink()
    assert store.append([refused("port")], 4)[-1].s == 4
    frames = list(LocalStore.open(root, stamp).frames())
    assert [frame.s for frame in frames] == [1, 2, 3, 4]
    assert frames[1].h == first.h


def test_a_journal_that_is_replaced_while_it_is_opened(
    store: LocalStore,
    root: Path,
    stamp: Stamp,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reader takes no lock: it opens the new one."""
    store.append([started("port")], 1)
    open_file, replaced = os.open, list[Path]()

    def opening(path: Path, flags: int, mode: int = 0o777) -> int:
        fd = open_file(path, flags, mode)
        if Path(path) == journal(root) and not replaced:
            replaced.append(path)
            data = journal(root).read_bytes()
            journal(root).unlink()
            journal(root).write_bytes(data)
        return fd

    monkeypatch.setattr(os, "open", opening)
    assert LocalStore.open(root, stamp).heads()["port"].v == 1
    assert replaced

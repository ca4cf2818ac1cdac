"""A process that keeps a store open while others append, fail, write anew, and fork."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ledger.errors import LostRace, UnsyncedLog
from ledger.events import PatchRefused, RunStarted
from ledger.stamps import Stamp
from ledger.store import reader as reader_module
from ledger.store import writer as writer_module
from ledger.store.disk import boot_id
from ledger.store.local import LocalStore
from ledger.store.locks import Lock, locked
from ledger.store.marks import DurableMark, read_durable

Started = Callable[[str], RunStarted]
Refused = Callable[[str], PatchRefused]


def failing_sync(fd: int) -> None:
    """Fail as a disk does that did not take the bytes."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.fixture
def others(root: Path, store: LocalStore) -> Callable[[], LocalStore]:
    """Opens the store as another process would."""
    return lambda: LocalStore.open(root, Stamp())


def full(*arguments: object) -> None:
    """Fail as a disk does that has no room."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def mark(root: Path) -> Path:
    """Return where a failed sync is marked."""
    return root / f"unsynced.{boot_id()}"


def test_what_is_in_doubt_is_not_shown_to_its_own_writer(
    store: LocalStore, started: Started, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed sync the process that met it reads what all others read: what was acknowledged."""
    store.append([started("port")], 1)
    monkeypatch.setattr(writer_module, "sync_data", failing_sync)
    with pytest.raises(UnsyncedLog):
        store.append([refused("port")], 2)
    assert store.heads()["port"].v == 1
    assert store.position() == 1


def test_writers_go_on_where_another_has_written_anew(
    store: LocalStore,
    others: Callable[[], LocalStore],
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who wrote, lost a race with, or read the bytes in doubt takes their new place for no damage."""
    store.append([started("port")], 1)
    loser, reader = others(), others()
    monkeypatch.setattr(writer_module, "sync_data", failing_sync)
    doubted = refused("port")

    def crash(path: Path, data: bytes) -> None:
        raise KeyboardInterrupt

    # Read by one and lost to by another before the failed sync is told to anybody.
    with monkeypatch.context() as inner:
        inner.setattr(Path, "write_bytes", crash)
        with pytest.raises(KeyboardInterrupt):
            store.append([doubted], 2)
    assert reader.heads()["port"].v == 2
    with pytest.raises(LostRace):
        loser.append([refused("port")], 2)
    monkeypatch.undo()
    mark(store.root).write_bytes(b"Input/output error\n")
    assert others().append([doubted], 2)[-1].s == 2
    assert others().append([refused("port")], 3)[-1].s == 3
    assert sorted(store.segments.firsts()) == [1, 2]
    assert reader.heads()["port"].v == 3
    assert loser.append([refused("port")], 4)[-1].s == 4
    assert store.append([refused("port")], 5)[-1].s == 5


def test_settling_shows_what_a_failed_sync_left(
    store: LocalStore,
    others: Callable[[], LocalStore],
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who is about to decide something first makes the disk confirm what is there, or is refused."""
    store.append([started("port")], 1)
    monkeypatch.setattr(writer_module, "sync_data", failing_sync)
    with pytest.raises(UnsyncedLog):
        store.append([refused("port")], 2)
    monkeypatch.undo()
    writer = others()
    assert writer.heads()["port"].v == 1
    writer.settle()
    assert writer.heads()["port"].v == 2
    assert writer.append([refused("port")], 3)[-1].s == 3


def test_a_mark_that_cannot_be_written_fails_no_append(
    store: LocalStore,
    others: Callable[[], LocalStore],
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`durable` comes after the sync: without it the event is as safe, and the next append says it again."""
    store.append([started("port")], 1)

    with monkeypatch.context() as inner:
        inner.setattr(DurableMark, "advance", full)
        assert store.append([refused("port")], 2)[-1].s == 2
    assert read_durable(store.root / "durable").position == 1
    assert [frame.s for frame in others().frames()] == [1, 2]
    assert store.append([refused("port")], 3)[-1].w == 2
    assert read_durable(store.root / "durable").position == 3


def test_a_reader_believes_the_first_failed_sync(
    store: LocalStore,
    others: Callable[[], LocalStore],
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Asked again, the disk says that all is well: what it did not confirm once is not shown, but counted."""
    store.append([started("port")], 1)
    durable = (store.root / "durable").read_bytes()
    store.append([refused("port")], 2)
    (store.root / "durable").write_bytes(durable)
    reader = others()
    with monkeypatch.context() as inner:
        inner.setattr(reader_module, "sync_file", failing_sync)
        inner.setattr(Path, "write_bytes", full)
        assert [frame.s for frame in reader.frames()] == [1]
    assert [frame.s for frame in reader.frames()] == [1]
    assert reader.heads()["port"].v == 1
    assert reader.unconfirmed() == 1
    store.append([refused("port")], 3)
    assert [frame.s for frame in reader.frames()] == [1, 2, 3]
    assert reader.unconfirmed() == 0


@pytest.mark.parametrize("room", ["a name", "nothing"])
def test_a_full_disk_has_room_for_a_name(
    store: LocalStore,
    others: Callable[[], LocalStore],
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
    room: str,
) -> None:
    """Where the mark's text does not fit, its name may; where nothing does, the caller hears of the sync alone."""

    def named(path: Path, data: bytes) -> None:
        path.touch()
        full()

    store.append([started("port")], 1)
    with monkeypatch.context() as inner:
        inner.setattr(writer_module, "sync_data", failing_sync)
        inner.setattr(Path, "write_bytes", named if room == "a name" else full)
        with pytest.raises(UnsyncedLog, match="Input/output error"):
            store.append([refused("port")], 2)
    assert mark(store.root).exists() == (room == "a name")
    assert len(list(others().frames())) == (1 if room == "a name" else 2)
    assert others().append([refused("port")], 3)[-1].s == 3


def append_in_fork(store: LocalStore, make: Refused, sender: object) -> None:
    """Append through a store that was opened before the fork."""
    numbers = [store.append([make("child")])[-1].s for _ in range(20)]
    sender.send((numbers, fcntl.fcntl(store._fd, fcntl.F_GETFL)))  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_both_sides_of_a_fork_append(
    store: LocalStore, others: Callable[[], LocalStore], started: Started, refused: Refused
) -> None:
    """A store that was open when its process forked serves both; each has a descriptor of its own.

    Linux tells a failed write once per open file: where two processes share one, the other would take
    bytes for synced that are lost.
    """
    stamp = Stamp()

    def fresh(run: str) -> PatchRefused:
        # The fixture's ids count on, each side for itself.
        return msgspec.structs.replace(refused(run), id=stamp.new_id(stamp.clock()))

    store.append([started("port")], 1)
    fcntl.fcntl(store._fd, fcntl.F_SETFL, os.O_APPEND | os.O_NONBLOCK)  # Seen by all who share the open file.
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=append_in_fork, args=(store, fresh, sender))
    child.start()
    mine = [store.append([fresh("port")])[-1].s for _ in range(20)]
    theirs, flags = receiver.recv()
    child.join()
    assert child.exitcode == 0
    assert fcntl.fcntl(store._fd, fcntl.F_GETFL) & os.O_NONBLOCK
    assert not flags & os.O_NONBLOCK
    assert sorted(mine + theirs) == list(range(2, 42))
    frames = list(others().frames())
    assert [frame.s for frame in frames] == list(range(1, 42))
    assert {run: head.v for run, head in others().heads().items()} == {"port": 21, "child": 20}
    assert len({frame.event.id for frame in frames}) == 41


def hold_nothing(release: object) -> None:
    """Live on after the fork, until told."""
    release.wait(30)  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_under_a_lock_does_not_keep_it(tmp_path: Path) -> None:
    """A lock ends with the block that took it, or with its process, though a child has inherited it."""
    context = multiprocessing.get_context("fork")
    release = context.Event()
    with Lock(tmp_path / "lock"):
        child = context.Process(target=hold_nothing, args=(release,))
        child.start()
    try:
        with locked(tmp_path / "lock", timeout_s=0.2):
            pass
    finally:
        release.set()
        child.join()


def take_and_fork(path: Path, sender: object) -> None:
    """Fork under a lock and die by SIGKILL while the child lives on."""
    with Lock(path):
        pid = os.fork()
        if pid == 0:
            os.setsid()
            sender.send(os.getpid())  # type: ignore[attr-defined]
            time.sleep(30)
            os._exit(0)
        os.kill(os.getpid(), 9)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_an_orphan_of_a_killed_holder_blocks_nobody(tmp_path: Path) -> None:
    """The holder is killed, its child goes on: the lock is free, for the child never had it."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    holder = context.Process(target=take_and_fork, args=(tmp_path / "lock", sender))
    holder.start()
    orphan = receiver.recv()
    holder.join()
    try:
        assert holder.exitcode == -9
        with locked(tmp_path / "lock", timeout_s=2):
            pass
    finally:
        os.kill(orphan, 9)

"""One sync for all who have written: who waited for it is done, and hears of it when it failed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import UnsyncedLog
from ledger.events import PatchRefused, RunStarted
from ledger.frames import Frame
from ledger.stamps import Stamp
from ledger.store import writer as writer_module
from ledger.store.disk import boot_id
from ledger.store.local import LocalStore
from ledger.store.locks import Lock
from ledger.store.marks import read_durable

Started = Callable[[str], RunStarted]
Refused = Callable[[str], PatchRefused]


class Killed(BaseException):
    """The process dies between its write and its sync."""


class Slow(LocalStore):
    """A writer to which something happens after its unlock, before its sync."""

    meanwhile: Callable[[], object] | None = None

    def _sync(self, last: Frame) -> None:
        if self.meanwhile is not None:
            act, self.meanwhile = self.meanwhile, None
            act()
        super()._sync(last)


@pytest.fixture
def slow(store: LocalStore, root: Path, started: Started) -> Slow:
    """A writer that others have appended beside, so it counts on them."""
    slow = Slow.open(root, Stamp())
    slow.append([started("slow")], 1)
    store.append([started("fast")], 1)
    return slow


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The syncs of the log that writers make, by their descriptors."""
    seen: list[int] = []

    def sync(fd: int) -> None:
        seen.append(fd)
        os.fdatasync(fd)

    monkeypatch.setattr(writer_module, "sync_data", sync)
    return seen


def written_only(store: LocalStore, event: PatchRefused, monkeypatch: pytest.MonkeyPatch) -> None:
    """Append like a process that is killed before its sync."""

    def die(self: object, last: Frame) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "_sync", die)
        with pytest.raises(Killed):
            store.append([event])


def fail(store: LocalStore, event: PatchRefused, monkeypatch: pytest.MonkeyPatch) -> None:
    """Append on a disk that does not confirm it."""

    def failing(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(writer_module, "sync_data", failing)
        with pytest.raises(UnsyncedLog):
            store.append([event])


def mark(root: Path) -> Path:
    """Return where a failed sync is marked."""
    return root / f"unsynced.{boot_id()}"


def test_who_waited_is_done_by_the_sync_of_another(
    slow: Slow, store: LocalStore, refused: Refused, syncs: list[int]
) -> None:
    """The other one wrote later, so its sync has both."""
    slow.meanwhile = lambda: store.append([refused("fast")], 2)
    frame = slow.append([refused("slow")], 2)[-1]
    assert len(syncs) == 1
    assert read_durable(slow.root / "durable").position == frame.s + 1


def test_a_sync_is_for_all_who_have_written(
    slow: Slow, store: LocalStore, refused: Refused, syncs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``durable`` says so, before any of the others has come to its own."""
    slow.meanwhile = lambda: [written_only(store, refused("fast"), monkeypatch) for _ in range(3)]
    frame = slow.append([refused("slow")], 2)[-1]
    assert len(syncs) == 1
    last = next(store.segments.backward())
    assert (last.s, last.h) == (frame.s + 3, read_durable(slow.root / "durable").hash)
    assert store.append([refused("fast")], 5)[-1].s == frame.s + 4


def test_a_log_without_a_time_is_synced_too(
    store: LocalStore, refused: Refused, started: Started, syncs: list[int]
) -> None:
    """A directory that was restored with the time 0 looks like one that nobody has read yet."""
    store.append([started("fast")], 1)
    os.utime(store.segments.root, (0, 0))
    other = LocalStore.open(store.root, Stamp())
    for v, writer in enumerate((other, store, other), start=2):
        frame = writer.append([refused("fast")], v)[-1]
        assert len(syncs) == v
        assert read_durable(store.root / "durable").position == frame.s


def test_a_stopped_process_that_has_the_turn_is_not_waited_for(
    slow: Slow, store: LocalStore, refused: Refused, syncs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each one syncs for itself then."""
    monkeypatch.setattr(writer_module, "SYNC_TURN_S", 0.01)
    with Lock(slow.root / "locks" / "sync"):
        frame = slow.append([refused("slow")], 2)[-1]
        store.append([refused("fast")], 2)
    assert len(syncs) == 2
    assert read_durable(slow.root / "durable").position == frame.s + 1


def test_all_who_waited_hear_of_a_failed_sync(
    slow: Slow, store: LocalStore, refused: Refused, syncs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their own would succeed and prove nothing; the same append again ends well."""
    event = refused("slow")
    slow.meanwhile = lambda: fail(store, refused("fast"), monkeypatch)
    with pytest.raises(UnsyncedLog):
        slow.append([event], 2)
    assert syncs == []
    assert mark(slow.root).exists()
    assert slow.append([event], 2)[-1].s == 3
    assert not mark(slow.root).exists()
    assert [frame.event.run for frame in store.frames()] == ["slow", "fast", "slow", "fast"]


def test_what_was_written_anew_is_on_the_disk(
    slow: Slow, store: LocalStore, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync failed, and the next append of somebody else has put it right, all before one's own turn."""

    def fail_and_mend() -> None:
        fail(store, refused("fast"), monkeypatch)
        store.append([refused("fast")])

    slow.meanwhile = fail_and_mend
    frame = slow.append([refused("slow")], 2)[-1]
    frames = list(store.frames())
    assert frames[2] == frame
    assert [each.event.run for each in frames] == ["slow", "fast", "slow", "fast", "fast"]
    assert sorted(store.segments.firsts()) == [1, 3]


def test_what_a_failed_sync_lost_is_not_acknowledged(
    slow: Slow, store: LocalStore, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages were dropped with the failure, and somebody else is at that position by one's own turn."""

    def fail_and_lose() -> None:
        fail(store, refused("fast"), monkeypatch)
        path = store.segments.path(1)
        lines = path.read_bytes().splitlines(keepends=True)
        os.truncate(path, sum(map(len, lines[:2])))
        store.append([refused("fast")])

    event = refused("slow")
    slow.meanwhile = fail_and_lose
    with pytest.raises(UnsyncedLog):
        slow.append([event], 2)
    assert [frame.event.run for frame in store.frames()] == ["slow", "fast", "fast"]
    assert slow.append([event], 2)[-1].s == 4

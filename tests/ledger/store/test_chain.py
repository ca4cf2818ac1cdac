"""The one pass over a log's stored bytes: it calls well only what the readers' scan calls well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.events import PatchRefused, RunStarted
from ledger.frames import encode_frame
from ledger.stamps import Stamp
from ledger.store import writer as writer_module
from ledger.store.local import LocalStore
from ledger.store.sealed import Seal, Sealed, SealedRow

Started = Callable[[str], RunStarted]
Refused = Callable[[str], PatchRefused]


def fill(store: LocalStore, started: Started, refused: Refused) -> None:
    store.append([started("port"), refused("port"), refused("port")], 1)
    store.append([started("other")], 1)
    store.append([refused("port"), refused("port")], 4)


def test_the_pass_gives_the_events_that_the_scan_gives(
    store: LocalStore,
    root: Path,
    stamp: Stamp,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Runs in the order of their first events, each event's bytes as they are stored, over several segments."""
    monkeypatch.setattr(writer_module, "SEGMENT_SIZE_BYTES", 1500)
    fill(store, started, refused)
    assert len(store.segments.firsts()) > 1
    chain = LocalStore.open(root, stamp).check_chains()
    assert chain is not None
    assert chain.cursor.position == 6
    frames = list(store.frames())
    assert list(chain.events()) == [(frame.event.run, bytes(frame.e)) for frame in frames]


@pytest.mark.parametrize("again", [False, True], ids=["all", "all but the last segment"])
def test_the_pass_goes_through_sealed_segments(
    store: LocalStore,
    root: Path,
    stamp: Stamp,
    started: Started,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
    again: bool,
) -> None:
    """It says of a log what it said before it was archived, and gives the same events."""
    monkeypatch.setattr(writer_module, "SEGMENT_SIZE_BYTES", 1500)
    fill(store, started, refused)
    before = store.check_chains({2, 6})
    assert store.archive()
    if again:
        store.append([refused("port")], 6)
        store.append([refused("other")], 2)
    chain = LocalStore.open(root, stamp).check_chains({2, 6})
    assert before is not None
    assert chain is not None
    assert {**before.hashes, **chain.hashes} == chain.hashes
    assert list(chain.events())[:6] == list(before.events())
    assert chain.cursor.position == 6 + 2 * again


def test_frames_that_retention_takes_meanwhile_end_the_events(
    store: LocalStore, started: Started, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pass was well; what is read again is another log by now, and nothing is made up for it."""
    fill(store, started, refused)
    store.archive()
    chain = store.check_chains()
    assert chain is not None
    batches = Sealed.batches

    def retired(self: Sealed, seal: Seal, after: int, last: int) -> Iterator[list[SealedRow]]:
        for rows in batches(self, seal, after, last):
            yield [row._replace(line=None) if row.position == 4 else row for row in rows]

    monkeypatch.setattr(Sealed, "batches", retired)
    assert len(list(chain.events())) == 3
    assert store.check_chains() is None


def test_a_damaged_sealed_segment_is_left_to_the_scan(
    store: LocalStore, root: Path, stamp: Stamp, started: Started, refused: Refused
) -> None:
    """The pass only ever says that all is well."""
    fill(store, started, refused)
    (seal,) = store.archive()
    path = store.segments.sealed.root / seal.parquet
    path.write_bytes(path.read_bytes()[:-1])
    assert LocalStore.open(root, stamp).check_chains() is None


def test_no_flipped_bit_is_called_well(
    store: LocalStore, root: Path, stamp: Stamp, started: Started, refused: Refused
) -> None:
    """One bit anywhere, the digits of hashes and the line feeds included."""
    fill(store, started, refused)
    path = store.segments.path(1)
    data = path.read_bytes()
    reader = LocalStore.open(root, stamp)
    assert reader.check_chains() is not None
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        assert reader.check_chains() is None, f"byte {at}"


@pytest.mark.parametrize("keep", [-1, -10, 5, 3, 0])
def test_a_shorter_log_is_not_called_well(
    store: LocalStore, root: Path, stamp: Stamp, started: Started, refused: Refused, keep: int
) -> None:
    """Bytes, an event or a group missing at the end: `durable` was further, or the group is not whole."""
    fill(store, started, refused)
    path = store.segments.path(1)
    data = path.read_bytes()
    path.write_bytes(data[:keep] if keep < 0 else b"".join(data.splitlines(keepends=True)[:keep]))
    assert LocalStore.open(root, stamp).check_chains() is None
    (root / "durable").unlink()
    shorter = LocalStore.open(root, stamp).check_chains()
    assert (shorter is not None) == (keep in (3, 0)), "whole groups are all that can be seen without the mark"


def rewrite(store: LocalStore, old: bytes, new: bytes) -> None:
    """Replace text in the last event, and make its frame's hash right again."""
    path = store.segments.path(1)
    *lines, _ = path.read_bytes().splitlines(keepends=True)
    last = list(store.frames())[-1]
    line, _ = encode_frame(bytes(last.e).replace(old, new), last.p, last.s, last.n, last.w)
    path.write_bytes(b"".join([*lines, line]))
    (store.root / "durable").unlink()


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"v":5', b'"v":6'), (b'"prev":"', b'"prev":"0'), (b'"run":"port"', b'"run":"other"')],
)
def test_a_run_that_does_not_go_on_is_not_called_well(
    store: LocalStore, started: Started, refused: Refused, old: bytes, new: bytes
) -> None:
    """The frames' chain is right, the run's own is not."""
    fill(store, started, refused)
    rewrite(store, old, new)
    assert store.check_chains() is None


def test_another_writers_json_is_left_to_the_scan(
    store: LocalStore, started: Started, refused: Refused
) -> None:
    """An event whose fields stand in another order is right, and not for the pass to judge."""
    fill(store, started, refused)
    rewrite(store, b'{"kind":"patch.refused/1",', b'{"error":"x","kind":"patch.refused/1",')
    assert store.check_chains() is None
    assert len(list(store.frames())) == 6

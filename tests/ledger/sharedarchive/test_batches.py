"""An archive answers as the ledgers do whose runs it has, at every moment of its making."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from archive_lab import crashes
from archivelab import Home, answers, assert_answers_alike, parts_of, read_any
from chronicle import Chronicle
from gatestory import told  # pyright: ignore[reportMissingImports] - beside the queries

from ledger.archive_errors import DamagedArchive, NewerArchive, NoArchive
from ledger.errors import DroppedBody
from ledger.events import event_digest
from ledger.sharedarchive import batches as batches_module
from ledger.sharedarchive import staging as staging_module
from ledger.sharedarchive.batches import prove_batch, sweep, write_batch
from ledger.sharedarchive.layout import EVENTS, RunPart, SharedArchive, StoredEvent
from ledger.sharedarchive.session import Tail, open_shared
from ledger.stamps import Stamp

DAY = "2026-11-29"


def refused(digest: str) -> bytes:
    """Give no body."""
    raise DroppedBody(digest, "its home")


NOTHING = Tail((), refused)


def small(stamp: Stamp, text: str) -> Chronicle:
    """Return a run of two patches that has ended."""
    story = Chronicle(stamp, {"a": "0", "ü/b": text})
    story.patch({"a": "1", "ü/b": text})
    story.patch({"a": "1", "c": text})
    story.finish()
    return story


@pytest.fixture
def homes(tmp_path: Path, stamp: Stamp) -> list[Home]:
    """Two homes; a run of the one has the name of a run of the other."""
    gates = told(stamp)
    gates.finish()
    return [
        Home(tmp_path / "one", stamp, "one/repo", [("port", gates), ("fix", small(stamp, "x"))]),
        Home(tmp_path / "two", stamp, "two/repo", [("port", small(stamp, "y"))]),
    ]


@pytest.fixture
def archive(tmp_path: Path) -> SharedArchive:
    return SharedArchive.open(tmp_path / "archive", create=True)


def reader(homes: list[Home]) -> Callable[[str], bytes]:
    return lambda digest: read_any(homes, digest)


@pytest.mark.duckdb
@pytest.mark.parametrize("bulk", [False, True])
def test_an_archive_answers_as_the_homes_do(
    homes: list[Home], archive: SharedArchive, monkeypatch: pytest.MonkeyPatch, bulk: bool
) -> None:
    """Every view and every state, of rows made one by one or in bulk, of one batch or of several."""
    monkeypatch.setattr(staging_module, "_BULK_EVENTS", 0 if bulk else 10**9)
    if bulk:
        monkeypatch.setattr(staging_module, "rows_of", None)
    parts = parts_of(homes)
    write_batch(archive, DAY, parts[:2], reader(homes))
    write_batch(archive, "2026-11-30", parts[2:], reader(homes))
    for seal in archive.seals:
        prove_batch(archive, seal)
    with open_shared(archive, NOTHING) as connection:
        assert_answers_alike(connection, homes, range(1, 22, 4 if bulk else 3))


@pytest.mark.duckdb
def test_an_archive_and_a_tail_are_one(homes: list[Home], archive: SharedArchive) -> None:
    """What is in both, or begun in the one and gone on with in the other, is answered once."""
    parts = parts_of(homes)
    first = parts[0]
    begun = first._replace(events=first.events[:2])
    write_batch(archive, DAY, [begun, parts[1]], reader(homes))
    rest = first._replace(after_v=2, after=event_digest(first.events[1].stored), events=first.events[2:])
    for tail in ([*parts[1:], first], [parts[1]._replace(events=parts[1].events[:1]), rest, parts[2]]):
        with open_shared(archive, Tail(tail, reader(homes))) as connection:
            assert_answers_alike(connection, homes)
    write_batch(archive, DAY, [rest, parts[2]], reader(homes))
    with open_shared(archive, NOTHING) as connection:
        assert_answers_alike(connection, homes)


@pytest.mark.duckdb
def test_every_row_says_whose_it_is(homes: list[Home], archive: SharedArchive) -> None:
    """Home and repository stand beside every view; a home in the tail alone is named too."""
    parts = parts_of(homes)
    of_one = [part for part in parts if part.home == homes[0].home]
    of_two = [part for part in parts if part.home == homes[1].home]
    write_batch(archive, DAY, of_one, reader(homes))
    with open_shared(archive, Tail(of_two, reader(homes))) as connection:
        sql = "select home, repository, count(*) from events group by all order by repository"
        counts = [sum(len(part.events) for part in each) for each in (of_one, of_two)]
        assert connection.execute(sql).fetchall() == [
            (homes[0].home[:16], "one/repo", counts[0]),
            (homes[1].home[:16], "two/repo", counts[1]),
        ]
        measured = "select gate, verdict from measurements order by run, v"
        assert (
            connection.execute(measured).fetchall()
            == connection.execute("select gate, verdict from gates order by run, v").fetchall()
        )


def test_another_engine_reads_the_stored_bytes(homes: list[Home], archive: SharedArchive) -> None:
    """Polars finds the days, the rows in the order of (run, v), and in each the bytes that its digest covers."""
    import polars as pl

    parts = parts_of(homes)
    write_batch(archive, DAY, parts, reader(homes))
    frame = pl.scan_parquet(archive.root / EVENTS / "**" / "*.parquet", hive_partitioning=True).collect()
    assert frame["day"].cast(str).unique().to_list() == [DAY]
    stored = [(part.key, event.stored.decode()) for part in parts for event in part.events]
    assert list(zip(frame["run_key"], frame["event"], strict=True)) == stored
    assert [digest.hex() for digest in frame["digest"]] == [event_digest(text.encode()) for _, text in stored]
    assert all(before <= after for before, after in pairwise(zip(frame["run_key"], frame["v"], strict=True)))


def spoilt(parts: list[RunPart], what: str) -> list[RunPart]:
    """Return parts that are not what a ledger has."""
    first, *rest = parts
    begin, *others = first.events
    match what:
        case "gap":
            first = first._replace(events=[begin, *others[1:]])
        case "beginning":
            first = first._replace(after="ab" * 32)
        case "name":
            first = first._replace(run="other")
        case "order":
            first = first._replace(events=first.events[::-1])
        case _:
            stored = begin.stored.replace(b'"branch":"main"', b'"branch":"mine"')
            assert stored != begin.stored
            first = first._replace(events=[StoredEvent(begin.seq, stored), *others])
    return [first, *rest]


@pytest.mark.parametrize("what", ["gap", "beginning", "name", "event", "order"])
def test_what_is_no_chain_is_not_sealed(
    homes: list[Home], archive: SharedArchive, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Each run is proved from the bytes that were read back; without a proof there is no seal."""
    monkeypatch.setattr(staging_module, "_BULK_EVENTS", 0)
    with pytest.raises(DamagedArchive):
        write_batch(archive, DAY, spoilt(parts_of(homes), what), reader(homes))
    assert SharedArchive.open(archive.root).seals == []
    sweep(archive)
    assert not list(archive.root.glob("*/**/*.parquet"))


@pytest.mark.duckdb
def test_damage_is_found(homes: list[Home], archive: SharedArchive, tmp_path: Path) -> None:
    """A changed byte, a file or seal that is gone, a longer file: each is named."""
    seal = write_batch(archive, DAY, parts_of(homes), reader(homes))
    for name in seal.files:
        copy = SharedArchive(tmp_path / "copy")
        shutil.copytree(archive.root, copy.root)
        path = copy.root / name
        path.chmod(0o644)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        with pytest.raises(DamagedArchive, match="not what was sealed"):
            prove_batch(copy, seal)
        path.write_bytes(bytes(data) + b"x")
        with pytest.raises(DamagedArchive, match="bytes instead of"):
            _ = copy.seals
        path.unlink()
        with pytest.raises(DamagedArchive, match="missing"):
            _ = SharedArchive(copy.root).seals
        shutil.rmtree(copy.root)
    write_batch(archive, DAY, [parts_of(homes)[0]._replace(home="ab" * 32)], reader(homes))
    archive.seal_path(1).unlink()
    with pytest.raises(DamagedArchive, match="seal is missing"):
        _ = SharedArchive(archive.root).seals
    archive.seal_path(1).write_bytes(archive.seal_path(2).read_bytes().replace(b'"runs":1', b'"runs":2'))
    with pytest.raises(DamagedArchive, match="not the seal"):
        _ = SharedArchive(archive.root).seals


def test_a_directory_of_something_else_stays_as_it_is(tmp_path: Path) -> None:
    """An archive is made in a new or an empty directory alone, and of a later format is not touched."""
    place = tmp_path / "place"
    place.mkdir()
    (place / "file").write_text("mine")
    for root in (place, place / "file", place / "none"):
        with pytest.raises(NoArchive):
            SharedArchive.open(root, create=root != place / "none")
    assert [path.name for path in place.iterdir()] == ["file"]
    (place / "FORMAT").write_text("ledger-archive/2\n")
    with pytest.raises(NewerArchive):
        SharedArchive.open(place, create=True)


def test_a_death_at_any_step_leaves_an_archive(homes: list[Home], tmp_path: Path) -> None:
    """Before and behind every change of the disk: a batch counts wholly or not at all, and the next one goes on."""
    parts = parts_of(homes)
    root = tmp_path / "archive"

    def act() -> None:
        archive = SharedArchive.open(root, create=True)
        sweep(archive)
        write_batch(archive, DAY, parts[:1] if not archive.seals else parts[1:], reader(homes))

    seen: set[int] = set()
    for _ in crashes(act, batches_module):
        archive = SharedArchive.open(root)
        archived = len(archive.seals)
        known = [[], parts[:1], parts][archived]
        assert sum(seal.events for seal in archive.seals) == sum(len(part.events) for part in known)
        if archived not in seen:
            for tail, expected in ((Tail(parts, reader(homes)), parts), (NOTHING, known)):
                with open_shared(archive, tail) as connection:
                    found = answers(connection, "select run, v from events")
                    assert len(found) == sum(len(part.events) for part in expected)
        seen.add(archived)
        if archived == len(("first", "rest")):
            shutil.rmtree(root)
            SharedArchive.open(root, create=True)
    archive = SharedArchive.open(root)
    while len(archive.seals) < len(("first", "rest")):
        act()
        archive = SharedArchive.open(root)
    with open_shared(archive, NOTHING) as connection:
        assert_answers_alike(connection, homes)
    named = {root / name for seal in archive.seals for name in seal.files}
    assert set(root.glob("*/**/*.parquet")) == named

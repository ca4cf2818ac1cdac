"""What `ledger archive --shared` does: list, move or prove runs of a shared ledger."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.archive_errors import NothingShared
from ledger.cli.output import count_of, write_rows
from ledger.cli.session import say
from ledger.sharedarchive.batches import prove_batch
from ledger.sharedarchive.layout import BatchSeal, SharedArchive
from ledger.sharedarchive.moving import move_closed, plan_moves

if TYPE_CHECKING:
    from ledger.store.postgres.archival import Archival

_COLUMNS = ("batch", "day", "runs", "events", "bytes")


@contextmanager
def _connected(store: str | None) -> Generator[Archival]:
    if store is None:
        raise NothingShared
    from ledger.store.postgres.archival import Archival

    shared = Archival.connect(store)
    try:
        yield shared
    finally:
        shared.close()


def plan(store: str | None, root: Path, before_ns: int, style: str) -> None:
    """List the runs that would be moved; nothing is written."""
    with _connected(store) as shared:
        found = plan_moves(shared, root, before_ns)
    write_rows(("repository", "run", "events", "day"), found, style)
    say(f"{count_of(len(found), 'run')} to move: `ledger archive --shared {root}`")


def move(store: str | None, root: Path, before_ns: int, style: str) -> None:
    """Move finished runs, and list the batches that were made."""
    with _connected(store) as shared:
        moved = list(move_closed(shared, root, before_ns))
    write_rows(_COLUMNS, [_row(each.seal) for each in moved], style)
    if moved:
        runs, events = sum(each.seal.runs for each in moved), sum(each.seal.events for each in moved)
        say(f"moved {count_of(runs, 'run')} with {count_of(events, 'event')} to {root}")
    else:
        say("nothing to do: every finished run is in the archive")


def prove(root: Path, style: str) -> None:
    """Read every batch and compare it with its seal, its chains and its own columns."""
    archive = SharedArchive.open(root)
    for seal in archive.seals:
        prove_batch(archive, seal)
    write_rows(_COLUMNS, [_row(seal) for seal in archive.seals], style)
    say(f"proved {count_of(sum(seal.events for seal in archive.seals), 'event')}")


def _row(seal: BatchSeal) -> tuple[object, ...]:
    size_bytes = sum(file.size_bytes for file in seal.files.values())
    return seal.batch, seal.day, seal.runs, seal.events, size_bytes

"""Syncing: the shared store brought up to this ledger, when asked for and after a command."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

from msgspec import Struct

from ledger.projections.shared import (
    Cursor,
    Sent,
    SharedProjection,
    count_behind,
    own_runs,
    read_cursor,
    write_cursor,
)
from ledger.repository import Repository
from ledger.sharing import connect, label_of
from ledger.stamps import Stamp
from ledger.store.disk import write_cached
from ledger.store.homes import home_of
from ledger.store.local import LocalStore

PATIENCE_S = 10.0
"""For how long a store that cannot be reached is tried where it was asked for."""

PATIENCE_AFTER_S = 1.0
"""The same after a command, which is done already."""

TIMEOUT_AFTER_S = 2
"""How long a command that is done waits for the connection."""

BUDGET_AFTER_S = 5.0
"""For how long a command sends what waits before it leaves the rest to the next one."""


class Synced(Struct, frozen=True):
    """What was sent to a shared store: of which home, what of each run that was not there, and what waits.

    ``waiting`` are events that the time did not suffice for.
    """

    url: str
    home: str
    runs: tuple[Sent, ...]
    waiting: int = 0


def sync(
    repository: Repository, store: LocalStore, stamp: Stamp, url: str, *, dry_run: bool = False
) -> Synced:
    """Bring the shared store up to this ledger: every own run, byte for byte, from where it is there.

    Imported runs are not sent: their home does. Doing it again sends nothing twice; after a kill it goes on
    where the store is.

    Args:
        repository: What the ledger is of.
        store: The ledger.
        stamp: Source of ids and times.
        url: The shared store.
        dry_run: Only look, there too.

    Raises:
        DivergedHome: The store has other events of this ledger. The runs before were sent.
        DamagedLedger: An event or a body here is not what was written. What came before was sent.
        StoreUnreachable: The store cannot be reached. What it confirmed stays there.
    """
    return _Way(repository, store, stamp, url).go(0, dry_run=dry_run)


def sync_after(repository: Repository, store: LocalStore, stamp: Stamp, url: str) -> Synced:
    """Bring the shared store up after a command, as `sync` does but for runs that have not changed since.

    It takes a few seconds at most; ``waiting`` is what is left then.

    Raises:
        DivergedHome, DamagedLedger, StoreUnreachable: As `sync`.
    """
    cursor = read_cursor(store.root / "cache", url)
    after = 0 if cursor is None or cursor.home != home_of(store) else cursor.position
    end_s = time.monotonic() + BUDGET_AFTER_S
    way = _Way(repository, store, stamp, url, PATIENCE_AFTER_S, TIMEOUT_AFTER_S)
    return way.go(after, go_on=lambda: time.monotonic() < end_s)


class _Way(NamedTuple):
    """From a ledger to a shared store, and how long that may be waited for."""

    repository: Repository
    store: LocalStore
    stamp: Stamp
    url: str
    patience_s: float = PATIENCE_S
    timeout_s: int = 0

    def go(self, after: int, *, go_on: Callable[[], bool] = lambda: True, dry_run: bool = False) -> Synced:
        """Send the runs that have changed past a position."""
        store, url = self.store, self.url
        home, position = home_of(store), store.position()
        runs = own_runs(store.heads(), after)
        if not runs:
            return Synced(url, home, ())
        label, cache = label_of(self.repository), store.root / "cache"
        if not dry_run and read_cursor(cache, url) is None:
            # Before anything is sent, so that no copy is forgotten.
            write_cursor(cache, Cursor(url, home, 0))
        waits = self.patience_s, self.timeout_s
        with closing(connect(url, home, label, self.stamp, *waits)) as shared:
            projection = SharedProjection(store, shared, home, go_on=go_on, dry_run=dry_run)
            sent = tuple(projection.send(head.run) for head in runs)
        if not dry_run and not projection.stopped:
            write_cursor(cache, Cursor(url, home, position))
        for head, each in zip(runs, sent, strict=True):
            if head.finished and each.there_v >= head.v and not dry_run:
                # A mark, not truth: the run exists somewhere else too.
                write_cached(store.root / "exported" / head.digest, b"")
        moved = tuple(each for each in sent if each.until_v > each.from_v or each.there_v > each.until_v)
        waiting = sum(max(0, head.v - each.there_v) for head, each in zip(runs, sent, strict=True))
        return Synced(url, home, moved, waiting if projection.stopped else 0)


def behind(store: LocalStore, url: str) -> int:
    """Return how many events the shared store is behind, as far as this ledger knows; asks nobody."""
    cursor = read_cursor(store.root / "cache", url)
    known = cursor is not None and cursor.home == home_of(store)
    return count_behind(store, cursor.position if cursor is not None and known else 0)

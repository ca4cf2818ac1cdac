"""Events, stores and a repeatable clock for the tests of the ledger."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.postgres_server import postgres, shared_url, shared_urls

from ledger.events import ApplyOptions, PatchRefused, RunStarted, body_digest
from ledger.stamps import Actor, Stamp
from ledger.store.local import LocalStore

__all__ = ["postgres", "shared_url", "shared_urls"]  # one server for all that is tested here

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@pytest.fixture
def stamp() -> Stamp:
    """A clock that advances a millisecond a call, and ids that count."""
    ticks = itertools.count(1_700_000_000_000_000_000, 1_000_000)
    counter = itertools.count()
    return Stamp(
        actor=Actor("agent", "tester", "s1"),
        clock=lambda: next(ticks),
        entropy=lambda size: next(counter).to_bytes(size, "big"),
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the store's directory will be."""
    return tmp_path / "ledger"


@pytest.fixture
def store(root: Path, stamp: Stamp) -> LocalStore:
    """A new local store."""
    return LocalStore.open(root, stamp, create=True)


@pytest.fixture
def started(stamp: Stamp) -> Callable[[str], RunStarted]:
    """Makes the first event of a run on the empty tree."""

    def make(run: str) -> RunStarted:
        at_ns = stamp.clock()
        return RunStarted(
            id=stamp.new_id(at_ns),
            run=run,
            at_ns=at_ns,
            actor=stamp.actor,
            title=run,
            work_tree="",
            head=None,
            branch=None,
            base_tree=EMPTY_TREE,
            listing=body_digest(b""),
        )

    return make


@pytest.fixture
def refused(stamp: Stamp) -> Callable[[str], PatchRefused]:
    """Makes an event that may follow anywhere in a run."""

    def make(run: str) -> PatchRefused:
        at_ns = stamp.clock()
        return PatchRefused(
            id=stamp.new_id(at_ns),
            run=run,
            at_ns=at_ns,
            actor=stamp.actor,
            base_tree=EMPTY_TREE,
            patch=body_digest(b""),
            patch_size_bytes=0,
            options=ApplyOptions(),
            error="HunkMismatch",
            reason=body_digest(b""),
        )

    return make

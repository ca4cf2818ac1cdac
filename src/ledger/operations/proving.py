"""Proving: that the events of a run from elsewhere are what they say, before anything is appended.

Two ways lead to every state, and both are gone: the file rows of the events, and the stored patches
(P3, P4). Nothing here writes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import pygit2
from msgspec import Raw
from pygit2.enums import ObjectType

from ledger.bundles import Bundle, RunEntry, bases_of
from ledger.errors import ReplayMismatch
from ledger.events import (
    AnyEvent,
    PatchApplied,
    PatchRolledBack,
    PolicySet,
    RunRebased,
    RunStarted,
    TreeEvent,
    UnknownEvent,
    tree_after,
)
from ledger.filerecords import changes_paths
from ledger.frames import GENESIS, Frame
from ledger.history import History
from ledger.replay import replay
from ledger.repository import Repository
from ledger.transfer_errors import InvalidBundle, MissingBase
from patches.errors import MissingObject, PatchError
from patches.tree import Tree

_OID = re.compile(r"[0-9a-f]{40}")


class Proof(NamedTuple):
    """How far a run is proved: the last version of which nothing is open, and why not the next."""

    v: int
    reason: str = ""


class _Refuted(Exception):
    """An event contradicts another one, a body, or Git."""


def prove(
    repository: Repository,
    bundle: Bundle,
    entry: RunEntry,
    lines: Sequence[bytes],
    events: Sequence[AnyEvent],
) -> Proof:
    """Go through a run as every reader of a ledger does.

    Args:
        repository: Has the objects of the run's bases. What is made of them stays in its memory.
        bundle: Gives the bodies.
        entry: What the bundle says of the run.
        lines: The stored events.
        events: The events, their chain checked.

    Returns:
        Where the proof ends: before an event that this version does not understand, or whose patch was
        dropped.

    Raises:
        MissingBase: A base is not in the repository.
        InvalidBundle: Something is not what the events say.
    """
    try:
        _check_references(events)
        if entry.bases != bases_of(events):
            raise _Refuted("the manifest names other bases than the events")
        understood = events[: _understood(events)]
        _check_bases(repository, bundle, understood)
        _check_rows(repository, understood)
        proof = _check_patches(repository, bundle, events)
        _check_tables(bundle, lines)
    except (_Refuted, ReplayMismatch) as error:
        raise InvalidBundle(bundle.path, f"run {entry.run}: {error}") from error
    return proof


def _understood(events: Sequence[AnyEvent]) -> int:
    """Return how many events come before the first that changes the tree in a way that nobody here knows."""
    for index, event in enumerate(events):
        if isinstance(event, UnknownEvent) and event.result_tree is not None:
            return index
    return len(events)


def _check_references(events: Sequence[AnyEvent]) -> None:
    """Check what readers look up by name or version without asking whether it is there."""
    patches: set[int] = set()
    for event in events:
        heads = (event.head,) if isinstance(event, RunStarted | RunRebased) else ()
        if not all(head is None or _OID.fullmatch(head) for head in heads):
            raise _Refuted(f"{event.reference}: its head is no commit")
        if isinstance(event, RunStarted) and "\0" in event.title:
            raise _Refuted(f"{event.reference}: its title is no text")
        if isinstance(event, PolicySet) and event.profile not in event.profiles:
            raise _Refuted(f"{event.reference}: its profile {event.profile!r} is none of its profiles")
        if isinstance(event, PatchApplied):
            if event.cause in ("rebase", "undo") and event.of is not None and event.of not in patches:
                raise _Refuted(f"{event.reference}: it takes {event.of} again, which is no patch")
            patches.add(event.v)


def _check_bases(repository: Repository, bundle: Bundle, events: Sequence[AnyEvent]) -> None:
    """Check each base against Git: that all of it is here, and that the listing is its own."""
    for event in events:
        if not isinstance(event, RunStarted | RunRebased):
            continue
        tree = str(tree_after(event))
        commit = None if event.head is None else repository.git.get(event.head)
        if (
            commit is not None
            and commit.type == ObjectType.COMMIT
            and str(commit.peel(pygit2.Tree).id) != tree
        ):
            raise _Refuted(f"{event.reference}: commit {event.head} has another tree than its base")
        try:
            listing = repository.listing(tree)
        except (MissingObject, ValueError) as error:
            raise MissingBase(event.run, event.head, tree) from error
        if event.listing in bundle.digests and bundle.read_body(event.listing) != listing:
            raise _Refuted(f"{event.reference}: its listing is not that of its base tree")


def _check_rows(repository: Repository, events: Sequence[AnyEvent]) -> None:
    """Check that the file rows of each event lead from one recorded tree to the next (P3)."""
    live: dict[int, str] = {}
    before = ""
    tree: Tree | None = None
    for event in events:
        if not isinstance(event, TreeEvent):
            continue
        after = str(tree_after(event))
        if isinstance(event, RunStarted):
            tree = repository.tree(after)
        elif tree is None or event.base_tree != before:
            raise _Refuted(f"{event.reference}: it begins from another tree than the run has")
        else:
            _change(tree, event, after)
        if isinstance(event, PatchRolledBack):
            live = {v: each for v, each in live.items() if v <= event.to_v}
            if live.get(event.to_v) != after:
                raise _Refuted(f"{event.reference}: the state at {event.to_v} is none that it can go back to")
        else:
            live = {event.v: after} if isinstance(event, RunRebased) else {**live, event.v: after}
        before = after


def _change(tree: Tree, event: RunRebased | PatchApplied | PatchRolledBack, after: str) -> None:
    try:
        tree.update(changes_paths(event.files))
        got = tree.write().hex()
    except (ValueError, RuntimeError, MissingObject) as error:
        raise _Refuted(f"{event.reference}: its files make no tree: {error}") from error
    if got != after:
        raise _Refuted(f"{event.reference}: its files make tree {got}, it says {after}")


def _check_patches(repository: Repository, bundle: Bundle, events: Sequence[AnyEvent]) -> Proof:
    """Replay the patches as far as they are there and understood (P4)."""
    until, reason = len(events), ""
    for event in events:
        if isinstance(event, UnknownEvent) and event.result_tree is not None:
            reason = (
                f"{event.reference} is of kind {event.kind}, which changes the tree and is not known here"
            )
        elif isinstance(event, PatchApplied) and event.patch not in bundle.digests:
            reason = f"the patch of {event.reference} was dropped"
        elif isinstance(event, PatchApplied) and not event.options.replayable:
            reason = f"{event.reference} was applied in a way that is not known here"
        if reason:
            until = event.v - 1
            break
    base = bases_of(events)[0]
    try:
        for _ in replay(events, bundle, repository.objects, until):
            pass
    except MissingObject as error:
        raise MissingBase(events[0].run, base.commit, base.tree) from error
    except PatchError as error:
        raise _Refuted(f"replay: {error}") from error
    History.of(events[:until])
    return Proof(until, reason)


def _check_tables(bundle: Bundle, lines: Sequence[bytes]) -> None:
    """Check that SQL can take the run in."""
    import duckdb

    from ledger.query.session import check_frames

    frames = [Frame(GENESIS, GENESIS, v, 0, 0, Raw(line)) for v, line in enumerate(lines, start=1)]
    try:
        check_frames(frames, lambda digest: bundle.read_body(digest) if digest in bundle.digests else None)
    except (ValueError, duckdb.Error) as error:
        raise _Refuted(f"SQL cannot take it in: {error}") from error

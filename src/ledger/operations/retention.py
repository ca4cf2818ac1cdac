"""Retention: whole finished runs are taken out of the ledger, by an event that says so.

The event is the commit point. What follows it (frames, bodies, refs, caches) can be interrupted anywhere:
who applies retention next finishes it. From the event on, no command shows a retired run; a scan over the
whole log may still meet what is left of it.

See: ``docs/format.md``, "Retention".
"""

from __future__ import annotations

import re

import msgspec
import pygit2
from msgspec import Struct

from ledger.errors import ProjectionPending
from ledger.events import LEDGER_RUN, RetentionApplied, RetiredRun
from ledger.heads import RunHead
from ledger.projections.questions import forget_questions
from ledger.projections.refs import remove_refs
from ledger.query.cache import forget_columns
from ledger.run import identify
from ledger.store.local import LocalStore
from ledger.workspace import Workspace

GRACE_NS = 3600 * 1_000_000_000
"""A body this new is left alone: a command that has written it may be about to name it."""

_DIGEST = re.compile(rb'"([0-9a-f]{64})"')


class Retention(Struct, frozen=True):
    """What retention takes: the runs, how many events and bodies, and their sizes before compression.

    ``event`` is the event that took them, "" where nothing was done. ``left`` counts the bodies without an
    event that are too new to be deleted: the next retention does it.
    """

    before_ns: int
    runs: tuple[RetiredRun, ...] = ()
    events: int = 0
    events_size_bytes: int = 0
    bodies: int = 0
    bodies_size_bytes: int = 0
    event: str = ""
    left: int = 0


def plan_retention(workspace: Workspace, before_ns: int) -> Retention:
    """Return what would be taken: the finished runs whose last event was before a moment.

    Open runs and run ``ledger`` never are. Nothing is written.
    """
    store = workspace.store
    taken = {head.run for head in store.heads().values() if _is_over(head, before_ns)}
    others: set[str] = set()
    named: set[str] = set()
    events = size_bytes = 0
    for frame in store.frames():
        stored = bytes(frame.e)
        digests = _digests(stored)
        if frame.event.run in taken:
            named |= digests
            events, size_bytes = events + 1, size_bytes + len(stored)
        else:
            others |= digests
    sizes = [store.bodies.size_bytes(digest) for digest in named - others]
    runs = tuple(
        RetiredRun(head.run, head.v, head.digest, head.at_ns)
        for head in store.heads().values()
        if head.run in taken
    )
    return Retention(
        before_ns, runs, events, size_bytes, sum(size is not None for size in sizes), sum(filter(None, sizes))
    )


def apply_retention(workspace: Workspace, before_ns: int) -> Retention:
    """Take finished runs out of the ledger, and finish what an earlier try has left.

    Raises:
        Busy: Another process is archiving. Nothing was taken.
        DamagedLedger: The log is damaged. Nothing was taken.
        ProjectionPending: The event is recorded, and a ref could not be removed; the next try does it.
    """
    store = workspace.store
    workspace.refuse_done()
    plan = plan_retention(workspace, before_ns)
    event = ""
    if plan.runs:
        # Before the event: whether all of it can be read is known before any of it is promised to go.
        store.archive()
        applied = RetentionApplied(
            **identify(LEDGER_RUN, workspace.stamp), before_ns=before_ns, runs=plan.runs
        )
        # The next writing command of each work tree takes their questions out of its file.
        forget_questions(store.root / "cache")
        event = store.append(workspace.named(applied))[-1].event.reference
    return msgspec.structs.replace(plan, event=event, left=_finish(workspace))


def _finish(workspace: Workspace) -> int:
    """Take away what belongs to retired runs alone: frames, bodies, refs, and what was made of them.

    Returns how many bodies were too new for that.

    All their frames are sealed: they were before the event, and nothing is appended to a finished run.
    """
    store = workspace.store
    retired = {head.run: head for head in store.heads().values() if head.retired}
    if not retired:
        return 0
    store.retire()
    left = _remove_bodies(store, workspace.stamp.clock() - GRACE_NS)
    try:
        remove_refs(workspace.repository, retired)
    except (OSError, pygit2.GitError) as error:
        last = max(retired.values(), key=lambda head: head.position)
        raise ProjectionPending(last.retired, str(error)) from error
    forget_columns(store)
    return left


def _remove_bodies(store: LocalStore, before_ns: int) -> int:
    """Delete the bodies without an event that were there before a moment; return how many are newer."""
    return sum(not store.bodies.remove_old(digest, before_ns) for digest in list_unnamed(store))


def list_unnamed(store: LocalStore) -> list[str]:
    """Return the digests of the bodies that no event names. The whole log is read.

    Whatever looks like a digest names a body, also in an event of an unknown kind.
    """
    named: set[str] = set()
    for frame in store.frames():
        named |= _digests(bytes(frame.e))
    return [digest for digest in store.bodies.digests() if digest not in named]


def _digests(stored: bytes) -> set[str]:
    return {digest.decode() for digest in _DIGEST.findall(stored)}


def _is_over(head: RunHead, before_ns: int) -> bool:
    return head.finished and not head.retired and head.at_ns < before_ns

"""The head of each run: the little that a writer must know to append its next event.

A head is a fold over the run's events that keeps constant size, so that opening a ledger and
appending cost the same at a thousand and at a million events.
"""

from __future__ import annotations

from msgspec import Struct

from ledger.events import AnyEvent, CommitSeen, PatchApplied, RunFinished, RunStarted, UnknownEvent


class RunHead(Struct, frozen=True):
    """Where a run stands after its last event.

    ``v`` and ``digest`` are the last event's version and digest, ``position`` its place in the
    log. ``tree`` is the candidate tree after version ``tree_v``, the last that changed it;
    ``commit`` is HEAD's commit as the run last saw it. ``unknown`` is the kind of an event that
    changed the tree in a way this version does not understand, "" as long as there is none.
    """

    run: str
    v: int
    digest: str
    position: int
    title: str = ""
    work_tree: str = ""
    base_tree: str = ""
    tree: str = ""
    tree_v: int = 0
    commit: str | None = None
    open: bool = False
    started_at_ns: int = 0
    at_ns: int = 0
    unknown: str = ""


def advance(head: RunHead | None, event: AnyEvent, digest: str, position: int) -> RunHead:
    """Return the head after ``event``; ``head`` is None for a run's first event."""
    known = {} if head is None else {name: getattr(head, name) for name in RunHead.__struct_fields__}
    known |= {"run": event.run, "v": event.v, "digest": digest, "position": position, "at_ns": event.at_ns}
    if isinstance(event, RunStarted):
        known |= {"title": event.title, "work_tree": event.work_tree, "base_tree": event.base_tree}
        known |= {"tree": event.base_tree, "tree_v": event.v, "commit": event.head, "open": True}
        known |= {"started_at_ns": event.at_ns}
    elif isinstance(event, PatchApplied):
        known |= {"tree": event.result_tree, "tree_v": event.v}
    elif isinstance(event, CommitSeen):
        known |= {"commit": event.commit}
    elif isinstance(event, RunFinished):
        known |= {"open": False}
    elif isinstance(event, UnknownEvent) and event.result_tree is not None:
        known |= {"unknown": event.kind}
    return RunHead(**known)

"""Restoring: the candidate becomes what it was at an event, by a patch on top of everything since."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import msgspec
import pygit2

from ledger.errors import LedgerError
from ledger.events import AnyEvent, RunRebased, RunStarted
from ledger.history import History
from ledger.operations.outcome import Applied, unchanged
from ledger.operations.patching import carry_out, patch_between
from ledger.operations.planning import Planned
from ledger.operations.screening import screen
from ledger.provenance import Provenance
from ledger.reference_errors import NoSuchPath
from ledger.travel_errors import PathInTheWay, StateUnavailable
from ledger.workspace import Workspace
from patches.errors import PatchError, show_path
from patches.model import MODE_EXECUTABLE, MODE_FILE, Entry, FileChange
from patches.parse import parse_patch
from patches.textmerge import conflict_regions
from patches.threeway import Conflict
from patches.tree import Tree


def restore(
    workspace: Workspace,
    run: str,
    v: int,
    *,
    paths: Sequence[bytes] = (),
    note: str = "",
    allow_secrets: bool = False,
) -> Applied:
    """Make the candidate of an event the open run's again, as one patch on top of the present one.

    Nothing of the history goes: `undo` takes it back. Work tree and index follow, as after any patch. Without
    an open run one is begun.

    Args:
        workspace: Where.
        run: The event's run, any of this ledger.
        v: Its version.
        paths: Files, and directories for all below them, from the repository's top; by default everything.
        note: Why.
        allow_secrets: Record it although it adds what looks like secrets; the event names them.

    Raises:
        NoSuchPath: Neither that state nor the present one has one of ``paths``. Nothing was written.
        PathInTheWay: A file of the present state is where one of ``paths`` needs a directory.
        StateUnavailable: The repository has not the objects of that state. Nothing was written.
        SecretFound: It adds what looks like secrets. Nothing was recorded.
        DirtyPath, InTheWay, ThroughSymlink: It would overwrite what was not handed over. Nothing was written.
        PhaseForbids: The policy takes no patches in the run's phase.
        HeadMoved: HEAD is at a commit that the run does not explain.
        LostRace: Another process changed the run meanwhile. Nothing was written.
        ProjectionPending: It is recorded; the next writing command finishes it.
    """
    source = f"{run}:{v}"
    with workspace.locked():
        log = workspace.resume() or workspace.begin(f"restore {source}")
        workspace.check_head(log)
        events = list(workspace.run_events(run, until_v=v))
        history = History.of(events)
        wanted = history.candidate.tree
        require_tree(workspace, events, wanted)
        result = wanted
        if paths and b"." not in paths:
            result = _with_paths(workspace, log.head.tree, wanted, paths, source)
        if result == log.head.tree:
            return unchanged(log)
        workspace.check_phase(log)
        data, changes = patch_between(workspace, log.head.tree, result)
        screened = screen(data, parse_patch(data), allow=allow_secrets)
        planned = Planned(
            changes,
            log.head.tree,
            result,
            data,
            Provenance(source=source),
            screened,
            conflicts=conflicts_in(workspace, history, changes),
        )
        (applied,) = carry_out(workspace, log, "restore", [planned], note=note)
        return msgspec.structs.replace(applied, back="ledger undo")


def conflicts_in(
    workspace: Workspace, history: History, changes: Sequence[FileChange]
) -> tuple[Conflict, ...]:
    """Return the files that come back as a merge left them, in conflict: no gate is to pass them."""
    touched = history.touched_in_conflict
    found: list[Conflict] = []
    for change in changes:
        new = change.new
        if new is not None and change.path in touched and new.mode in (MODE_FILE, MODE_EXECUTABLE):
            regions = conflict_regions(workspace.repository.objects.read_blob(new.oid))
            if regions:
                found.append(Conflict(change.path, new.mode, None, new.oid, new.oid, tuple(regions)))
    return tuple(found)


def require_tree(workspace: Workspace, events: Sequence[AnyEvent], tree: str) -> None:
    """Make sure that the repository has a tree; make it from base and patches where it can be.

    Args:
        workspace: Where.
        events: The run's, from its first to the one that the tree is of.
        tree: That tree.

    Raises:
        StateUnavailable: It cannot be made.
    """
    if pygit2.Oid(hex=tree) not in workspace.repository.git:
        make_objects(workspace, events)
        if pygit2.Oid(hex=tree) not in workspace.repository.git:
            raise unavailable(events, tree)


def make_objects(workspace: Workspace, events: Sequence[AnyEvent]) -> None:
    """Make the objects of a run's states again, as far as its base is there."""
    with suppress(LedgerError, PatchError):
        workspace.restore_objects(events[-1].run)


def unavailable(events: Sequence[AnyEvent], tree: str) -> StateUnavailable:
    """Return that the state after some events cannot be had, and from which commit it could be made."""
    bases = [event.head for event in events if isinstance(event, RunStarted | RunRebased)]
    return StateUnavailable(events[-1].reference, tree, bases[-1])


def _with_paths(workspace: Workspace, present: str, wanted: str, paths: Sequence[bytes], event: str) -> str:
    """Return the present tree with some paths as in another one, its objects stored."""
    tree, other = workspace.repository.tree(present), workspace.repository.tree(wanted)
    changes: dict[bytes, Entry | None] = {}
    for path in paths:
        old, new = dict(_at(tree, path)), dict(_at(other, path))
        if not old and not new:
            raise NoSuchPath(event, path, (), directory=False)
        if new:
            _refuse_blocked(tree, path, event)
        changes |= dict.fromkeys(old) | new
    tree.update(changes)
    result = tree.write().hex()
    # Git reads it for the patch. A crash leaves objects that nothing reaches.
    workspace.repository.objects.flush()
    return result


def _at(tree: Tree, path: bytes) -> list[tuple[bytes, Entry]]:
    """Return what is at a path, or below it."""
    entry = tree.entry(path)
    return list(tree.entries(path)) if entry is None else [(path, entry)]


def _refuse_blocked(tree: Tree, path: bytes, event: str) -> None:
    parts = path.split(b"/")
    for size in range(1, len(parts)):
        above = b"/".join(parts[:size])
        if tree.entry(above) is not None:
            raise PathInTheWay(event, show_path(path), show_path(above))

"""Rollback: a suffix of the run's states taken away, back to one that is still live."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.errors import DriftInTheWay, NothingToUndo
from ledger.events import PatchRolledBack
from ledger.filerecords import FileRecord
from ledger.history import History, StateAt
from ledger.operations.outcome import Applied
from ledger.operations.patching import patch_between
from ledger.projections.worktree import touches
from ledger.run import RunLog
from ledger.workspace import Change, Workspace


def roll_back(
    workspace: Workspace,
    log: RunLog,
    history: History,
    to: StateAt,
    *,
    measured: Sequence[int] = (),
    with_drift: bool = False,
) -> Applied:
    """Take away every live state past ``to``, in one event; work tree and index follow.

    The patches stay in the log and can be taken again.

    Args:
        workspace: Where.
        log: The run, resumed; its candidate is the last of the history's live states.
        history: Its history.
        to: The live state to go back to.
        measured: The measurements that led to it.
        with_drift: Whether edits that were made by hand may be taken away too.

    Raises:
        DriftInTheWay: Edits made by hand are among them. Nothing was written.
        DirtyPath, InTheWay: The work tree is not the candidate. Nothing was written.
        ProjectionPending: The event is recorded; the next writing command finishes it.
    """
    gone = [at.v for at in history.live if at.v > to.v]
    drift = [v for v in gone if history.by_hand(v)]
    if drift and not with_drift:
        raise DriftInTheWay(log.head.run, drift)
    base = log.head.tree
    _, changes = patch_between(workspace, base, to.tree)
    files = tuple(FileRecord.of(change) for change in changes)

    def make() -> list[PatchRolledBack]:
        return [
            PatchRolledBack(
                **log.identity(),
                base_tree=base,
                result_tree=to.tree,
                to_v=to.v,
                patches=tuple(gone),
                files=files,
                measured=tuple(measured),
                with_drift=bool(drift),
            )
        ]

    events, left = workspace.carry_out(log, Change(touches(files), to.tree), make)
    return Applied(events[-1].reference, to.tree, changes, left)


def undo(workspace: Workspace, *, with_drift: bool = False, run: str = "") -> Applied:
    """Take away the newest live state: the last patch, move or recorded edit, as one event.

    Args:
        workspace: Where.
        with_drift: Whether an edit that was made by hand may be taken away.
        run: The run that must be open; by default the open one.

    Raises:
        NothingToUndo: The candidate is the run's base. Nothing was written.
        DriftInTheWay, DirtyPath, InTheWay, HeadMoved: As `roll_back`.
    """
    with workspace.locked():
        log = workspace.require(run)
        workspace.check_head(log)
        history = workspace.history(log)
        if len(history.live) == 1:
            raise NothingToUndo(log.head.run)
        undone = roll_back(workspace, log, history, history.live[-2], with_drift=with_drift)
        workspace.project_accepted(log)
        return undone

"""Rollback: a suffix of the run's states taken away, back to one that is still live."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from ledger.errors import DriftInTheWay
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
        return [rolled_back(log, base, to, gone, files, measured=measured, with_drift=bool(drift))]

    events, left = workspace.carry_out(log, Change(touches(files), to.tree), make)
    return Applied(events[-1].reference, to.tree, changes, left)


def rolled_back(
    log: RunLog,
    base_tree: str,
    to: StateAt,
    gone: Sequence[int],
    files: tuple[FileRecord, ...],
    *,
    measured: Sequence[int] = (),
    with_drift: bool = False,
    undoes: int | None = None,
) -> PatchRolledBack:
    """Return that the states ``gone`` are the candidate's no more, which is that of ``to`` again."""
    return PatchRolledBack(
        **log.identity(),
        base_tree=base_tree,
        result_tree=to.tree,
        to_v=to.v,
        patches=tuple(gone),
        files=files,
        measured=tuple(measured),
        with_drift=with_drift,
        undoes=UNSET if undoes is None else undoes,
    )

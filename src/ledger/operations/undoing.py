"""Undo and redo: the newest operations of a run taken back, and those taken back taken again.

Each is the inverse of one operation: states that it added are rolled back, states that it rolled back are
applied again, each by the patch that it was. Several of them are one group in the log and one change of the
work tree.

See: ``docs/adr/0027-undo-and-redo-are-events.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from ledger.errors import DriftInTheWay
from ledger.events import Event, PatchApplied
from ledger.filerecords import FileRecord
from ledger.history import History, StateAt
from ledger.operations.outcome import Applied
from ledger.operations.patching import patch_between
from ledger.operations.rollback import rolled_back
from ledger.projections.worktree import net_touches
from ledger.provenance import Provenance
from ledger.run import RunLog
from ledger.timeline import Operation
from ledger.travel_errors import NothingToRedo, NothingToUndo, NotUndoable
from ledger.workspace import Change, Workspace


def undo(
    workspace: Workspace,
    count: int = 1,
    *,
    through: int | None = None,
    with_drift: bool = False,
    run: str = "",
) -> Applied:
    """Take back the newest operations of the open run: patches, moves, restores, rollbacks, recorded edits.

    Args:
        workspace: Where.
        count: How many, at least one.
        through: The version of the last one to take back, in place of ``count``.
        with_drift: Whether an edit that was made by hand may be taken away.
        run: The run that must be open; by default the open one.

    Returns:
        What it came to; its event is the last that was recorded.

    Raises:
        NothingToUndo: There are not so many. Nothing was written.
        NotUndoable: ``through`` is none of them. Nothing was written.
        DriftInTheWay: Edits made by hand would be taken away. Nothing was written.
        PhaseForbids: A patch would be taken again, and the policy takes none in the run's phase.
        DroppedBody: The patch that would be taken again was dropped. Nothing was written.
        DirtyPath, InTheWay: It would overwrite what was not handed over. Nothing was written.
        HeadMoved: HEAD is at a commit that the run does not explain.
        ProjectionPending: It is recorded; the next writing command finishes it.
    """
    with workspace.locked():
        log = workspace.require(run)
        workspace.check_head(log)
        history = workspace.history(log)
        line = history.timeline.undoable
        if through is not None:
            count = _count_through(log, history, through)
        if not line or count > len(line):
            raise NothingToUndo(log.head.run, count, len(line))
        undone = _invert(workspace, log, history, line[: -count - 1 : -1], with_drift=with_drift)
        return _with_way_back(undone, "redo", count)


def redo(workspace: Workspace, count: int = 1, *, with_drift: bool = False, run: str = "") -> Applied:
    """Take again what was undone last, as long as nothing else has changed the run since.

    Arguments, result and errors are those of `undo`.

    Raises:
        NothingToRedo: There are not so many. Nothing was written.
    """
    with workspace.locked():
        log = workspace.require(run)
        workspace.check_head(log)
        history = workspace.history(log)
        line = history.timeline.redoable
        if not line or count > len(line):
            raise NothingToRedo(log.head.run, count, len(line))
        redone = _invert(workspace, log, history, line[: -count - 1 : -1], with_drift=with_drift)
        return _with_way_back(redone, "undo", count)


def _count_through(log: RunLog, history: History, v: int) -> int:
    """Return how many operations there are from the newest to the one of an event, or to its latest redo."""
    for count, operation in enumerate(reversed(history.timeline.undoable), start=1):
        versions = set(operation.versions)
        patches = [each for each in versions if each in history.patches]
        if v in versions or v in {history.original(each).v for each in patches}:
            return count
    raise NotUndoable(f"{log.head.run}:{v}")


class _Step(NamedTuple):
    """One event of an inverse: what makes it, and what it does to each path."""

    make: Callable[[], Event]
    files: tuple[FileRecord, ...]


class _Inverse:
    """The events that take operations back one after the other, planned in memory."""

    def __init__(self, workspace: Workspace, log: RunLog, history: History) -> None:
        self._workspace, self._log, self._history = workspace, log, history
        self.live = list(history.live)
        self.steps: list[_Step] = []
        self.drift: list[int] = []
        """Versions of edits by hand that are taken away."""
        self.applies = self.brings_drift = False
        self._of: dict[int, int] = {}
        """Versions of states that this makes, with the patch that each takes again."""

    def take_back(self, operation: Operation) -> None:
        """Plan the inverse of the newest operation that is not planned yet."""
        if operation.added:
            self._remove(operation.added, operation.v)
        for v in operation.removed:
            self._add(self._history.patches[v], operation.v)

    def _remove(self, count: int, undoes: int) -> None:
        gone = [at.v for at in self.live[-count:]]
        base, to = self.live[-1].tree, self.live[-count - 1]
        drift = [v for v in gone if self._history.by_hand(self._of.get(v, v))]
        self.drift += [self._of.get(v, v) for v in drift]
        files = tuple(map(FileRecord.of, patch_between(self._workspace, base, to.tree)[1]))

        def make() -> Event:
            return rolled_back(self._log, base, to, gone, files, with_drift=bool(drift), undoes=undoes)

        self.steps.append(_Step(make, files))
        del self.live[-count:]

    def _add(self, patch: PatchApplied, undoes: int) -> None:
        # Read now, as nothing may be missing once the first event is made.
        data = self._log.read_body(patch.patch)
        of = patch.v
        self.applies = True
        self.brings_drift |= self._history.by_hand(of)

        def make() -> Event:
            return _again(self._log, patch, data, undoes)

        self.steps.append(_Step(make, patch.files))
        v = self._log.head.v + len(self.steps)
        self._of[v] = of
        self.live.append(StateAt(v, patch.result_tree))


def _invert(
    workspace: Workspace,
    log: RunLog,
    history: History,
    operations: Sequence[Operation],
    *,
    with_drift: bool,
) -> Applied:
    """Take operations back, the newest first, as one group of events."""
    inverse = _Inverse(workspace, log, history)
    for operation in operations:
        inverse.take_back(operation)
    if inverse.drift and not with_drift:
        raise DriftInTheWay(log.head.run, inverse.drift)
    if inverse.applies:
        workspace.check_phase(log)
    result = inverse.live[-1].tree
    _, changes = patch_between(workspace, log.head.tree, result)
    # What comes to be again what it was is nobody's to ask for: an edit of one's own there stays.
    moved = [touch for touch in net_touches(step.files for step in inverse.steps) if touch.old != touch.new]
    change = Change(moved, result)
    events, left = workspace.carry_out(log, change, lambda: [step.make() for step in inverse.steps])
    workspace.project_accepted(log)
    secrets = [each for event in events if isinstance(event, PatchApplied) for each in event.secrets or ()]
    # What brings edits by hand takes them away again when it is taken back itself.
    back = "--with-drift" if inverse.brings_drift else ""
    return Applied(events[-1].reference, result, changes, left, secrets=tuple(secrets), back=back)


def _with_way_back(applied: Applied, command: str, count: int) -> Applied:
    words = ["ledger", command, *([str(count)] if count > 1 else []), applied.back]
    return msgspec.structs.replace(applied, back=" ".join(filter(None, words)))


def _again(log: RunLog, patch: PatchApplied, data: bytes, undoes: int) -> PatchApplied:
    """Return that a patch which was taken away is applied again, on the tree that it was made for."""
    event = log.applied(
        "undo",
        data,
        patch.files,
        patch.result_tree,
        base_tree=patch.base_tree,
        provenance=Provenance(source=patch.source),
        of=patch.v,
        # What was allowed once is in the log already.
        secrets=patch.secrets or (),
    )
    conflicts = patch.conflicts or UNSET
    return msgspec.structs.replace(event, undoes=undoes, conflicts=conflicts)

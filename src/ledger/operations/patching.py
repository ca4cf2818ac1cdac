"""Patches: applied, taken again, or recorded from what was edited by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from ledger.errors import NoWorkTree, UnknownReference
from ledger.events import AnyEvent, Cause, PatchApplied, PatchRefused
from ledger.filerecords import FileRecord, parse_path
from ledger.operations.diagnosis import diagnose
from ledger.operations.outcome import Applied, unchanged
from ledger.operations.screening import Screened, screen
from ledger.projections.worktree import touches
from ledger.run import RunLog
from ledger.workspace import Change, Workspace
from patches.apply import apply_patch
from patches.errors import MissingObject, PatchError, show_path
from patches.model import FileChange, Patch
from patches.parse import parse_patch, reverse_patch
from patches.submodules import check_submodules


def apply(
    workspace: Workspace,
    data: bytes,
    *,
    source: str = "",
    note: str = "",
    run: str = "",
    of: int | None = None,
    allow_secrets: bool = False,
) -> Applied:
    """Apply a patch wholly or not at all, and record it.

    A patch whose result the candidate already has changes nothing and is no error (``already``).

    Args:
        workspace: Where.
        data: The patch.
        source: The file name it came from.
        note: Why.
        run: The run that must be open; by default the open one, or a new one where none is.
        of: The version whose patch this is, where it is taken again.
        allow_secrets: Record it although it adds what looks like secrets; the event names them.

    Raises:
        SecretFound: It adds what looks like secrets. Nothing was stored, no refusal either.
        NoRun: ``run`` is not open in this work tree.
        PatchError: It does not parse or does not apply; with a run open the refusal of a
            patch that parses is recorded. Tree, index and work tree are as before.
        MissingObject: The repository does not give an object of the candidate. Nothing was written.
        DirtyPath, InTheWay, ThroughSymlink: It would overwrite what was not handed over.
        PhaseForbids: The policy takes no patches in the run's phase.
        HeadMoved: HEAD is at a commit that the run does not explain.
        LostRace: Another process changed the run meanwhile. Nothing was written.
        ProjectionPending: The event is recorded; the next writing command brings the index up to it.
    """
    patch = parse_patch(data)
    screened = screen(data, patch, allow=allow_secrets)
    with workspace.locked():
        log = workspace.resume(run) or workspace.begin(_title(source))
        workspace.check_head(log)
        workspace.check_phase(log)
        tree = workspace.repository.tree(log.head.tree)
        try:
            changes = apply_patch(tree, patch)
            check_submodules(tree.objects, changes)
        except MissingObject:
            # That says nothing of the patch: no refusal, and nothing to record.
            workspace.repository.objects.forget()
            raise
        except PatchError as error:
            applied_before = has_result(workspace, log.head.tree, patch)
            workspace.repository.objects.forget()
            if applied_before:
                return unchanged(log)
            if log.written:
                (refused,) = log.append(log.refused(data, error, source=source))
                error.add_note(f"recorded as {refused.reference}")
            diagnose(workspace, log, patch, error)
            raise
        if not changes:
            return unchanged(log)
        result = tree.write().hex()
        return change_tree(
            workspace, log, "diff", data, changes, result, screened, source=source, note=note, of=of
        )


def apply_again(
    workspace: Workspace, event: AnyEvent, *, note: str = "", allow_secrets: bool = False
) -> Applied:
    """Apply the patch of an earlier event on the present candidate, as a new event.

    Raises:
        UnknownReference: The event has no patch.
        DroppedBody: Its patch was dropped.
        PatchError: It does not apply, as `apply`.
    """
    if not isinstance(event, PatchApplied | PatchRefused):
        raise UnknownReference(event.reference, f"{event.kind.partition('/')[0]} has no patch to take again")
    data = workspace.store.read_body(event.patch)
    source = event.source or event.reference
    head = workspace.open_run()
    # A version means one of this run: of another run's event only the patch comes along.
    of = event.v if head is not None and head.run == event.run else None
    return apply(workspace, data, source=source, note=note, of=of, allow_secrets=allow_secrets)


def record(workspace: Workspace, *, note: str = "", run: str = "", allow_secrets: bool = False) -> Applied:
    """Record what was edited past the ledger as one patch; the work tree stays as it is.

    ``note``, ``run`` and ``allow_secrets`` are as for `apply`.

    Raises:
        SecretFound: The edits add what looks like secrets. No event and no body was stored; Git's object
            store has the files, which nothing names.
        NoRun: ``run`` is not open in this work tree.
        NoWorkTree: The repository is bare.
        GitFailed: Git could not read a file. Nothing was recorded.
        PhaseForbids: The policy takes no patches in the run's phase.
        HeadMoved: HEAD's commit is neither a state of the run nor what the work tree holds.
    """
    from ledger.drift import snapshot_tree

    if workspace.work_tree is None:
        raise NoWorkTree(workspace.repository.git_dir)
    with workspace.locked():
        log = workspace.resume(run) or workspace.begin("edits by hand")
        result = snapshot_tree(workspace.repository)
        if result == log.head.tree:
            workspace.check_head(log)
            workspace.follow((), result)
            return unchanged(log)
        head = workspace.repository.head()
        explained = head.tree == result and head.commit != log.head.commit
        if not explained:
            workspace.check_head(log)
        workspace.check_phase(log)
        data, changes = patch_between(workspace, log.head.tree, result)
        screened = screen(data, parse_patch(data), allow=allow_secrets)
        applied = change_tree(workspace, log, "drift", data, changes, result, screened, note=note)
        if explained:
            workspace.check_head(log)
        return applied


def patch_between(workspace: Workspace, old: str, new: str) -> tuple[bytes, tuple[FileChange, ...]]:
    """Return Git's patch from one tree to another, and what it does to each path.

    Raises:
        DiffFailed: Git could not compare them.
    """
    from patches.diff import diff_trees

    data = diff_trees(workspace.repository.git_dir, bytes.fromhex(old), bytes.fromhex(new))
    if not data:
        return data, ()
    tree = workspace.repository.tree(old)
    changes = apply_patch(tree, parse_patch(data))
    assert tree.write().hex() == new, "the patch between two trees does not lead from one to the other"
    return data, changes


def change_tree(  # noqa: PLR0913 - what one patch event says, and where
    workspace: Workspace,
    log: RunLog,
    cause: Cause,
    data: bytes,
    changes: Sequence[FileChange],
    result: str,
    screened: Screened,
    *,
    source: str = "",
    note: str = "",
    of: int | None = None,
) -> Applied:
    """Append one patch that was planned and screened, and bring work tree, index and ref to it."""
    files = tuple(FileRecord.of(change) for change in changes)
    started = "" if log.written else log.head.run
    events, left = workspace.carry_out(
        log,
        Change(touches(files), result, adopted=cause == "drift"),
        lambda: [
            log.applied(cause, data, files, result, source=source, note=note, of=of, secrets=screened.secrets)
        ],
    )
    event = next(event for event in reversed(events) if isinstance(event, PatchApplied))
    configures = tuple(show_path(parse_path(path)) for path in event.configures)
    applied = Applied(event.reference, result, tuple(changes), left, started=started, configures=configures)
    return screened.tell(applied)


def has_result(workspace: Workspace, oid: str, patch: Patch) -> bool:
    """Tell whether a patch can be taken back from a tree and then gives exactly this tree again.

    Raises:
        MissingObject: The repository does not give an object that it takes.
    """
    tree = workspace.repository.tree(oid)
    try:
        apply_patch(tree, reverse_patch(patch))
        apply_patch(tree, patch)
    except MissingObject:
        raise
    except PatchError:
        return False
    return tree.write().hex() == oid


def _title(source: str) -> str:
    return "patch" if source in ("", "-") else PurePath(source).stem

"""Previewing: what patches would do to the candidate and to the work tree. Nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from ledger.filerecords import FileRecord
from ledger.operations.planning import Offer, Planned, Refusal, plan_all
from ledger.projections.worktree import net_touches
from ledger.repository import Repository
from ledger.workspace import Workspace
from patches.worktree import WorkTree


def preview(
    repository: Repository, workspace: Workspace | None, offers: Sequence[Offer], *, allow_secrets: bool
) -> tuple[Planned, ...]:
    """Return what patches would make of the candidate (HEAD's tree without a run), one after the other.

    Raises:
        PatchError, SecretFound, DirtyPath, InTheWay, ThroughSymlink: What stops `apply_all` too.
        MissingObject: The repository does not give an object of the candidate.
    """
    head = None if workspace is None else workspace.open_run()
    base = repository.head().tree if head is None else head.tree
    try:
        planned = plan_all(repository, base, offers, allow_secrets=allow_secrets)
    finally:
        repository.objects.forget()
    if isinstance(planned, Refusal):
        planned.name_patch()
        raise planned.explained()
    if repository.work_dir is not None:
        steps = [tuple(map(FileRecord.of, each.changes)) for each in planned]
        with TemporaryDirectory(prefix="ledger-") as scratch:
            WorkTree(repository.git, Path(scratch)).check(net_touches(steps))
    return planned

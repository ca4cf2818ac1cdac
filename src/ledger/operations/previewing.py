"""Previewing: what patches would do to the candidate and to the work tree. Nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from ledger.configurations import configuration_of
from ledger.filerecords import FileRecord
from ledger.heads import RunHead
from ledger.operations.planning import Offer, Planned, Refusal, plan_all
from ledger.projections.worktree import net_touches
from ledger.repository import Repository
from ledger.workspace import Workspace, refuse_phase
from patches.worktree import WorkTree


def preview(
    repository: Repository, workspace: Workspace | None, offers: Sequence[Offer], *, allow_secrets: bool
) -> tuple[Planned, ...]:
    """Return what patches would make of the candidate (HEAD's tree without a run), one after the other.

    Raises:
        PatchError, SecretFound, DirtyPath, InTheWay, ThroughSymlink, PhaseForbids, HeadMoved: What stops
            `apply_all` too.
        MissingObject: The repository does not give an object of the candidate.
    """
    head = None if workspace is None else workspace.open_run()
    _check_run(repository, workspace, head)
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


def _check_run(repository: Repository, workspace: Workspace | None, head: RunHead | None) -> None:
    """Refuse what the run that would take the patches does: the open one, or the one that would be begun."""
    if workspace is None or head is None:
        configuration = configuration_of(repository)
        refuse_phase("that would be begun", "", configuration.profiles[configuration.profile].phases)
        return
    workspace.states_of_head(head)
    refuse_phase(head.run, head.phase, head.phases)

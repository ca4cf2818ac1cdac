"""Moving: files renamed as by ``git mv``, and suffixed backups brought back to one canonical file.

What must exist and what must not afterwards is verified on the result tree, in memory, before
anything is visible; what each check found is recorded in the same append as the change.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from ledger.errors import ChecksFailed, StalePlan
from ledger.events import CheckFound, ChecksVerified, PatchApplied
from ledger.filerecords import FileRecord, parse_path
from ledger.operations.finalization import describe, find
from ledger.operations.outcome import Applied, unchanged
from ledger.operations.screening import screen
from ledger.projections.worktree import touches
from ledger.provenance import Provenance
from ledger.repository import Repository
from ledger.run import RunLog
from ledger.workspace import Change, Workspace
from patches.backups import BackupGroup, group_backups
from patches.canonicalization import Plan, plan_canonicalization
from patches.checkouts import move_checkouts
from patches.diff import diff_trees
from patches.directories import Blocked, Directories, parent_of
from patches.errors import show_path
from patches.gitprogram import git_environment
from patches.globs import escape_glob
from patches.model import FileChange
from patches.moves import BadSource, normalize_path, plan_moves, tree_updates, unlisted_submodules
from patches.parse import parse_patch


def move(  # noqa: PLR0913 - what may be asked of `git mv`, and what the event says
    workspace: Workspace,
    sources: Sequence[bytes],
    destination: bytes,
    *,
    force: bool = False,
    skip_errors: bool = False,
    checks: Sequence[CheckFound] = (),
    note: str = "",
    run: str = "",
    allow_secrets: bool = False,
) -> Applied:
    """Move files or directories as ``git mv`` does, and record it.

    Args:
        workspace: Where.
        sources: Paths relative to the repository's top.
        destination: A new name, or a directory to move into.
        force: Overwrite a recorded file at the destination (never one that is not recorded).
        skip_errors: Leave out what cannot be moved.
        checks: What must exist, or must not, in the result.
        note: Why.
        run: The run that must be open; by default the open one, or a new one.
        allow_secrets: As for `patching.apply`.

    Raises:
        MoveRefused: Git would refuse it too. Nothing was written.
        ChecksFailed: A check does not hold on the result. Nothing was changed; in an open run what
            was found is recorded.
        SecretFound, DirtyPath, InTheWay, PhaseForbids, HeadMoved: As `patching.apply`.
    """
    with workspace.locked():
        log = workspace.resume(run) or workspace.begin("mv")
        changes = plan(
            workspace.repository,
            log.head.tree,
            sources,
            destination,
            force=force,
            skip_errors=skip_errors,
        )
        unlisted = unlisted_submodules(workspace.repository.tree(log.head.tree), changes)
        source = " ".join(["mv", *map(show_path, sources), show_path(destination)])
        applied = _carry(
            workspace, log, changes, checks, source=source, note=note, allow_secrets=allow_secrets
        )
        if workspace.repository.work_dir is None:
            return applied
        # Past the commit point: what stays behind is whole, and where `git submodule` looks for it is said.
        root = os.fsencode(workspace.repository.work_dir)
        remarks = move_checkouts(root, changes)
        _keep_directories(root, changes, sources)
        missing = [f"Could not find section in .gitmodules where path={show_path(path)}" for path in unlisted]
        return replace(applied, warnings=(*applied.warnings, *missing, *remarks))


def _keep_directories(root: bytes, changes: Sequence[FileChange], sources: Iterable[bytes]) -> None:
    """Put the directories back that sources were in, where nothing is left there: ``git mv`` leaves them."""
    gone = [change.path if change.old_path is None else change.old_path for change in changes]
    with Directories(root) as directories:
        for source in map(normalize_path, sources):
            if not any((path + b"/").startswith(source + b"/") for path in gone):
                continue
            try:
                directories.make(parent_of(source))
            except (Blocked, OSError):
                # Somebody has put something else there, and an empty directory is nobody's content.
                continue


def plan(
    repository: Repository,
    tree: str,
    sources: Sequence[bytes],
    destination: bytes,
    *,
    force: bool = False,
    skip_errors: bool = False,
) -> tuple[FileChange, ...]:
    """Return what `move` would do to a tree. Writes nothing.

    Raises:
        MoveRefused: Git would refuse it too.
    """
    try:
        return plan_moves(
            repository.tree(tree),
            sources,
            destination,
            force=force,
            skip_errors=skip_errors,
            directories=_directories(repository, [*sources, destination]),
        )
    except BadSource as refusal:
        conflicts = None if repository.work_dir is None else repository.git.index.conflicts
        if conflicts is None or os.fsdecode(refusal.source) not in conflicts:
            raise
        raise BadSource(refusal.source, refusal.destination, "the source is conflicted") from refusal


def find_groups(
    repository: Repository, workspace: Workspace | None, tree: str, paths: Sequence[bytes] = ()
) -> tuple[BackupGroup, ...]:
    """Return the groups of suffixed backups in a tree, each with a proposed survivor. Reads only.

    Args:
        repository: Has the tree and its commits.
        workspace: The ledger, None where nothing was recorded yet.
        tree: Where to look.
        paths: Directories to look in, or files whose groups are meant, from the top; none: everything.
    """
    groups = group_backups(repository.tree(tree), changed_at=_LastChanges(repository, workspace))
    wanted = {path.rstrip(b"/") for path in paths}
    if not wanted or b"." in wanted:
        return groups
    return tuple(group for group in groups if any(_concerns(group, path) for path in wanted))


def _concerns(group: BackupGroup, path: bytes) -> bool:
    files = {group.canonical, *(member.path for member in group.members)}
    return path in files or group.canonical.startswith(path + b"/")


def canonicalize(
    workspace: Workspace, plan: Plan, *, note: str = "", run: str = "", allow_secrets: bool = False
) -> Applied:
    """Carry out a plan: each survivor takes the canonical path, its backups go. One event; one undo.

    Raises:
        StalePlan: The plan was made for another tree. Nothing was written.
        PlanRefused: It names a path that is not there, or one path twice. Nothing was written.
        ChecksFailed, SecretFound, DirtyPath, InTheWay, PhaseForbids, HeadMoved: As `move`.
    """
    with workspace.locked():
        log = workspace.resume(run) or workspace.begin("canonicalize")
        if plan.tree is not None and plan.tree.hex() != log.head.tree:
            raise StalePlan(plan.tree.hex(), log.head.tree)
        planned = plan_canonicalization(workspace.repository.tree(log.head.tree), plan)
        checks = [
            *(CheckFound("must-exist", escape_glob(path), 0) for path in planned.must_exist),
            *(CheckFound("must-not-exist", escape_glob(path), 0) for path in planned.must_not_exist),
        ]
        source = "canonicalize"
        return _carry(
            workspace, log, planned.changes, checks, source=source, note=note, allow_secrets=allow_secrets
        )


def _carry(
    workspace: Workspace,
    log: RunLog,
    changes: Sequence[FileChange],
    checks: Sequence[CheckFound],
    *,
    source: str,
    note: str,
    allow_secrets: bool,
) -> Applied:
    """Bring the candidate to planned changes, if every check holds on the result."""
    workspace.check_head(log)
    workspace.check_phase(log)
    tree = workspace.repository.tree(log.head.tree)
    tree.update(tree_updates(changes))
    result = tree.write().hex()
    found = [find(workspace, result, check) for check in checks]
    failed = [describe(check) for check in found if not check.holds]
    if failed:
        if log.written:
            log.append(_verified(log, result, log.head.state_v, found))
        workspace.repository.objects.forget()
        raise ChecksFailed(failed)
    if result == log.head.tree:
        return unchanged(log)
    # Before the diff: git reads the objects of both trees.
    workspace.repository.objects.flush()
    data = diff_trees(workspace.repository.git_dir, bytes.fromhex(log.head.tree), bytes.fromhex(result))
    screened = screen(data, parse_patch(data), allow=allow_secrets)
    files = tuple(FileRecord.of(change) for change in changes)
    started = "" if log.written else log.head.run

    def make() -> list[PatchApplied | ChecksVerified]:
        moved = log.applied(
            "mv",
            data,
            files,
            result,
            provenance=Provenance(source=source),
            note=note,
            secrets=screened.secrets,
        )
        return [moved, *([_verified(log, result, log.head.v + 1, found)] if found else [])]

    events, left = workspace.carry_out(log, Change(touches(files), result), make)
    event = next(event for event in events if isinstance(event, PatchApplied))
    configures = tuple(show_path(parse_path(path)) for path in event.configures)
    applied = Applied(event.reference, result, tuple(changes), left, started=started, configures=configures)
    return screened.tell(applied)


def _verified(log: RunLog, tree: str, state_v: int, checks: Sequence[CheckFound]) -> ChecksVerified:
    outcome = "pass" if all(check.holds for check in checks) else "fail"
    return ChecksVerified(**log.identity(), tree=tree, state_v=state_v, checks=tuple(checks), outcome=outcome)


def _directories(repository: Repository, paths: Sequence[bytes]) -> frozenset[bytes]:
    """Return those of ``paths``, and of the directories they are in, that the work tree has."""
    if repository.work_dir is None:
        return frozenset()
    root = os.fsencode(repository.work_dir)
    wanted = {path.rstrip(b"/") for path in paths}
    wanted |= {path.rpartition(b"/")[0] for path in wanted}
    return frozenset(path for path in wanted if path and os.path.isdir(os.path.join(root, path)))  # noqa: PTH112, PTH118


class _LastChanges:
    """When each path last changed, in seconds since 1970: in the run, else in a commit. Read when asked."""

    def __init__(self, repository: Repository, workspace: Workspace | None) -> None:
        self._repository = repository
        self._workspace = workspace
        self._known: Mapping[bytes, int] | None = None

    def __call__(self, path: bytes) -> int | None:
        if self._known is None:
            self._known = {**_committed(self._repository), **_recorded(self._workspace)}
        return self._known.get(path)


def _recorded(workspace: Workspace | None) -> dict[bytes, int]:
    head = None if workspace is None else workspace.open_run()
    if workspace is None or head is None:
        return {}
    return {
        parse_path(file.path): event.at_ns // 1_000_000_000
        for event in workspace.run_events(head.run)
        if isinstance(event, PatchApplied)
        for file in event.files
    }


def _committed(repository: Repository) -> dict[bytes, int]:
    """Return the time of the last commit that changed each path, of HEAD's history."""
    command = [
        "git",
        f"--git-dir={repository.git_dir}",
        "log",
        "--format=%x01%ct",
        "--name-only",
        "-z",
        "--no-renames",
    ]
    done = subprocess.run(command, env=git_environment(), capture_output=True, check=False)
    found: dict[bytes, int] = {}
    at = 0
    for field in done.stdout.split(b"\0"):
        name = field.lstrip(b"\n")
        if name.startswith(b"\x01"):
            time, _, name = name[1:].partition(b"\n")
            at = int(time)
        if name:
            found.setdefault(name, at)
    return found

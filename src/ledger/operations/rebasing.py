"""Rebasing: the run goes on from where HEAD is now, with what survives of its patches.

Everything is planned in memory and recorded in one append: there is no state in between that would
have to be finished or undone. Where a patch does not apply, nothing has changed; the answers that were given
for the patches before it are kept in the cache, for whoever goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct, UnsetType

from ledger.drift import snapshot_tree
from ledger.errors import DroppedBody, NotCandidate, NothingToContinue, RebaseStopped, UnknownName
from ledger.events import Event, PatchApplied, RunRebased, body_digest
from ledger.filerecords import FileRecord
from ledger.history import History
from ledger.operations.patching import patch_between
from ledger.operations.planning import has_result
from ledger.operations.screening import screen
from ledger.provenance import Provenance
from ledger.run import RunLog
from ledger.store.disk import write_cached
from ledger.workspace import Change, Workspace
from patches.apply import apply_patch
from patches.errors import MissingObject, PatchError, show_path
from patches.parse import parse_patch
from patches.touches import LeftAlone, Touch


class Rebased(Struct, frozen=True):
    """What a rebase did: its event, the new base's commit, the candidate, and what became of each patch."""

    event: str
    commit: str
    tree: str
    kept: tuple[str, ...]
    contained: tuple[str, ...]
    skipped: tuple[str, ...]
    left_alone: tuple[LeftAlone, ...] = ()
    already: bool = False


class _Survivor(NamedTuple):
    original: PatchApplied
    data: bytes
    files: tuple[FileRecord, ...]
    base: str
    result: str


class _Plan(NamedTuple):
    survivors: list[_Survivor]
    contained: list[int]
    skipped: list[int]
    result: str


class _Answers(Struct, frozen=True):
    """What was answered for patches that do not apply on commit ``head``: leave it out, or take another."""

    run: str
    head: str
    skip: tuple[int, ...] = ()
    replace: dict[int, bytes] = {}

    def and_now(self, skip: Collection[int], replace: Mapping[int, bytes]) -> _Answers:
        """Return these answers with newer ones, which win."""
        left_out = {*self.skip, *skip} - replace.keys()
        taken = {v: data for v, data in {**self.replace, **replace}.items() if v not in left_out}
        return _Answers(self.run, self.head, tuple(sorted(left_out)), taken)


def rebase(
    workspace: Workspace,
    *,
    skip: Collection[int] = (),
    replace: Mapping[int, bytes] | None = None,
    go_on: bool = False,
    run: str = "",
    allow_secrets: bool = False,
) -> Rebased:
    """Let the run go on from HEAD's commit: a new base, the live patches applied on it again.

    A patch that the new base has already is left out, and said to be. In the work tree a path is
    written only where it holds what the candidate or HEAD has there; edits of other paths stay.

    Args:
        workspace: Where.
        skip: Versions of patches to leave out.
        replace: Patches to take instead of those of some versions.
        go_on: Take also the answers of the attempt that was stopped last.
        run: The run that must be open; by default the open one.
        allow_secrets: Take replacements although they add what looks like secrets.

    Raises:
        SecretFound: A replacement adds what looks like secrets. Nothing was stored.
        NoRun: None is open.
        RebaseStopped: A patch does not apply on the new base. Nothing was changed; the answers are kept.
        NothingToContinue: ``go_on``, and no attempt onto this commit was stopped. Nothing was changed.
        NotCandidate: Edits that nobody recorded are in the way. Nothing was changed.
        UnknownName: ``skip`` or ``replace`` names no live patch.
        ProjectionPending: It is recorded; the next writing command finishes it.
    """
    with workspace.locked():
        log = workspace.require(run)
        history = workspace.history(log)
        head = workspace.repository.head()
        if head.commit is None or head.commit == log.head.commit:
            # Where this was killed at its very end, the accepted ref is all that is missing.
            workspace.project_accepted(log)
            return Rebased("", log.head.commit or "", log.head.tree, (), (), (), already=True)
        answers = _Answers(log.head.run, head.commit)
        if go_on:
            answers = _read_answers(workspace, answers)
        answers = answers.and_now(skip, replace or {})
        secrets = {
            v: screen(data, parse_patch(data), allow=allow_secrets).secrets
            for v, data in answers.replace.items()
        }
        plan = _plan_with(workspace, history, head.tree, answers)
        moved = _moves(workspace, log, head.tree, plan.result)
        workspace.repository.objects.flush()
        _, changes = patch_between(workspace, log.head.tree, head.tree)
        listing = workspace.repository.listing(head.tree)
        files = tuple(FileRecord.of(change) for change in changes)

        def make() -> list[Event]:
            log.write_body(listing)
            rebased = RunRebased(
                **log.identity(),
                base_tree=log.head.tree,
                result_tree=head.tree,
                head=str(head.commit),
                branch=head.branch,
                listing=body_digest(listing),
                files=files,
                dropped=tuple(sorted((*plan.contained, *plan.skipped))),
            )
            return [rebased, *(_event(log, survivor, secrets) for survivor in plan.survivors)]

        # After ``git reset`` the index has HEAD's entries where the work tree still has the candidate.
        workspace.follow((), log.head.tree)
        events, left = workspace.carry_out(log, Change(moved, plan.result), make)
        workspace.project_accepted(log)
        _answers_path(workspace).unlink(missing_ok=True)
        name = log.head.run
        return Rebased(
            events[0].reference,
            head.commit,
            plan.result,
            tuple(f"{name}:{survivor.original.v}" for survivor in plan.survivors),
            tuple(f"{name}:{v}" for v in plan.contained),
            tuple(f"{name}:{v}" for v in plan.skipped),
            left,
        )


def forget_answers(workspace: Workspace) -> bool:
    """Forget the answers of an attempt that was stopped, and return whether there was one.

    Nothing else is left of it.
    """
    with workspace.locked():
        path = _answers_path(workspace)
        stopped = path.exists()
        path.unlink(missing_ok=True)
        return stopped


def _answers_path(workspace: Workspace) -> Path:
    return workspace.store.root / "cache" / f"rebase.{workspace.repository.work_tree_name or 'main'}"


def _read_answers(workspace: Workspace, wanted: _Answers) -> _Answers:
    """Return the answers of the attempt that was stopped.

    Raises:
        NothingToContinue: There was none, or it was of another run or onto another commit.
    """
    try:
        answers = msgspec.json.decode(_answers_path(workspace).read_bytes(), type=_Answers)
    except (FileNotFoundError, msgspec.DecodeError):
        raise NothingToContinue(wanted.run) from None
    if (answers.run, answers.head) != (wanted.run, wanted.head):
        raise NothingToContinue(wanted.run)
    return answers


def _check_names(history: History, versions: Collection[int]) -> None:
    live = [str(at.v) for at in history.live[1:]]
    for v in versions:
        if str(v) not in live:
            raise UnknownName("live patch", str(v), live)


def _plan_with(workspace: Workspace, history: History, base: str, answers: _Answers) -> _Plan:
    """Return the plan that the answers lead to; where it stops, they are kept for `rebase` to go on from."""
    _check_names(history, {*answers.skip, *answers.replace})
    try:
        return _plan(workspace, history, base, answers.skip, answers.replace)
    except RebaseStopped:
        write_cached(_answers_path(workspace), msgspec.json.encode(answers))
        raise


def _plan(
    workspace: Workspace, history: History, base: str, skip: Collection[int], replace: Mapping[int, bytes]
) -> _Plan:
    """Apply every live patch on the new base, in memory."""
    tree = workspace.repository.tree(base)
    plan = _Plan([], [], [], base)
    past = _contained(workspace, history, base)
    for state in history.live[1:]:
        if state.v <= past:
            plan.contained.append(state.v)
            continue
        original = history.patches[state.v]
        if state.v in skip:
            plan.skipped.append(state.v)
            continue
        try:
            data = replace.get(state.v) or workspace.store.read_body(original.patch)
        except DroppedBody as error:
            workspace.repository.objects.forget()
            raise RebaseStopped(original.reference, str(error)) from error
        patch = parse_patch(data)
        before = tree.write().hex()
        try:
            changes = apply_patch(tree, patch)
        except MissingObject:
            workspace.repository.objects.forget()
            raise
        except PatchError as error:
            if has_result(workspace.repository, before, patch):
                plan.contained.append(state.v)
                continue
            workspace.repository.objects.forget()
            raise RebaseStopped(original.reference, str(error)) from error
        after = tree.write().hex()
        if after == before:
            plan.contained.append(state.v)
            continue
        files = tuple(FileRecord.of(change) for change in changes)
        plan.survivors.append(_Survivor(original, data, files, before, after))
    return plan._replace(result=tree.write().hex())


def _contained(workspace: Workspace, history: History, base: str) -> int:
    """Return the version up to which the new base has the run's states: as commits, or as their whole change.

    Patch by patch would not do: a later one may have changed the lines of an earlier one again.
    """
    git = workspace.repository.git
    head = workspace.repository.head().commit
    seen = [
        state_v
        for commit, state_v in history.commits
        if any(at.v == state_v for at in history.live)
        and commit in git
        and (commit == head or git.descendant_of(str(head), commit))
    ]
    past = max(seen, default=history.live[0].v)
    for state in reversed(history.live[1:]):
        if state.v <= past:
            break
        data, _ = patch_between(workspace, history.live[0].tree, state.tree)
        if data and has_result(workspace.repository, base, parse_patch(data)):
            return state.v
    return past


def _moves(workspace: Workspace, log: RunLog, head: str, result: str) -> list[Touch]:
    """Return what the work tree has to become, path by path, from what it holds now.

    Raises:
        NotCandidate: A path that is to be written holds neither the candidate's content nor HEAD's.
    """
    if workspace.repository.work_dir is None:
        return []
    now = snapshot_tree(workspace.repository)
    # Not through git: the planned trees are in memory yet.
    held, wanted, candidate, new = (
        dict(workspace.repository.tree(oid).entries()) for oid in (now, result, log.head.tree, head)
    )
    # Where the candidate, HEAD and the result agree there is nothing to write, whatever lies there.
    moved = sorted(
        path
        for path in held.keys() | wanted.keys()
        if held.get(path) != wanted.get(path) and not candidate.get(path) == new.get(path) == wanted.get(path)
    )
    unknown = [path for path in moved if held.get(path) not in (candidate.get(path), new.get(path))]
    if unknown:
        workspace.repository.objects.forget()
        raise NotCandidate(log.head.run, log.head.tree, [show_path(path) for path in unknown])
    return [Touch(path, held.get(path), wanted.get(path)) for path in moved]


def _event(log: RunLog, survivor: _Survivor, secrets: Mapping[int, tuple[str, ...]]) -> PatchApplied:
    original = survivor.original
    # What was allowed once is in the log already.
    allowed = () if isinstance(original.secrets, UnsetType) else original.secrets
    return log.applied(
        "rebase",
        survivor.data,
        survivor.files,
        survivor.result,
        base_tree=survivor.base,
        provenance=Provenance(source=original.source),
        of=original.v,
        secrets=secrets.get(original.v, allowed),
    )

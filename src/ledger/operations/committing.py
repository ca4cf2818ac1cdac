"""Committing: a Git commit of the accepted state, made on the user's branch, and linked to its event."""

from __future__ import annotations

import subprocess

from msgspec import Struct

from ledger.errors import GitFailed, NothingToCommit, NoWorkTree, OnlyCandidate
from ledger.events import CommitSeen
from ledger.history import StateAt
from ledger.operations.patching import patch_between
from ledger.run import RunLog
from ledger.workspace import Workspace
from patches.gitprogram import git_environment


class Committed(Struct, frozen=True):
    """A commit of a run's state: its event, its oid, its tree, and how far the candidate is ahead of it."""

    event: str
    commit: str
    tree: str
    state: str
    files: int
    ahead: int


def commit(workspace: Workspace, message: str, *, candidate: bool = False, run: str = "") -> Committed:
    """Commit the accepted state on HEAD's branch. Index and work tree stay as they are.

    The commit is Git's own (``git commit-tree``: the user's identity, signed where ``commit.gpgSign`` asks
    for it; no hook runs, as what is committed was measured). HEAD moves only if it is still the commit
    that the run has seen.

    Args:
        workspace: Where.
        message: The commit's message; a trailer names the event.
        candidate: Commit the candidate instead, accepted or not.
        run: The run that must be open; by default the open one.

    Raises:
        OnlyCandidate: Nothing past HEAD is accepted. Nothing was written.
        NothingToCommit: HEAD has this tree already.
        HeadMoved: HEAD is at a commit that the run does not explain.
        GitFailed: Git made no commit, or HEAD moved meanwhile. Nothing was written that a branch reaches.
    """
    with workspace.locked():
        log = workspace.require(run)
        workspace.check_head(log)
        if workspace.repository.work_dir is None:
            raise NoWorkTree(workspace.repository.git_dir)
        history = workspace.history(log)
        state = history.candidate if candidate else history.accepted
        head = workspace.repository.head()
        if state.tree == head.tree:
            _explain_nothing(log, state, history.candidate, candidate=candidate)
        _, changes = patch_between(workspace, head.tree, state.tree)
        oid = _commit_tree(workspace, log, state, head.commit, message)
        subject = message.partition("\n")[0]
        old = head.commit or "0" * 40
        _git(workspace, "update-ref", "-m", f"ledger commit: {subject}", "HEAD", oid, old)
        # HEAD has moved: were this to die here, the next writing command finds the commit by its tree.
        (event,) = log.append(CommitSeen(**log.identity(), commit=oid, tree=state.tree, state_v=state.v))
        ahead = sum(1 for at in history.live if at.v > state.v)
        return Committed(event.reference, oid, state.tree, f"{log.head.run}:{state.v}", len(changes), ahead)


def _explain_nothing(log: RunLog, state: StateAt, newest: StateAt, *, candidate: bool) -> None:
    if candidate or newest.tree == state.tree:
        raise NothingToCommit(log.head.run, state.tree)
    raise OnlyCandidate(log.head.run, f"no state past {log.head.run}:{state.v} is accepted yet")


def _commit_tree(workspace: Workspace, log: RunLog, state: StateAt, parent: str | None, message: str) -> str:
    signed = _git(workspace, "config", "--type=bool", "--default=false", "--get", "commit.gpgSign") == "true"
    trailer = f"Ledger-Event: {log.head.run}:{state.v}"
    text = _git(
        workspace, "interpret-trailers", "--no-divider", "--trailer", trailer, data=message.strip() + "\n"
    )
    parents = [] if parent is None else ["-p", parent]
    return _git(workspace, "commit-tree", *(["-S"] if signed else []), *parents, state.tree, data=text + "\n")


def _git(workspace: Workspace, *arguments: str, data: str = "") -> str:
    done = subprocess.run(
        ["git", *arguments],
        cwd=workspace.repository.work_dir,
        env=git_environment(),
        input=data.encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise GitFailed(
            f"git {arguments[0]}", done.returncode, done.stderr.decode("utf-8", "replace").strip()
        )
    return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")

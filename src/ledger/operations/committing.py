"""Committing: a Git commit of the accepted state, made on the user's branch, and linked to its event."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import UNSET, Struct

from ledger.errors import GitFailed, NothingToCommit, NoWorkTree, OnlyCandidate
from ledger.events import CommitSeen
from ledger.history import StateAt
from ledger.operations.authorship import Authorship, BadAuthor, Chosen, choose, split_author
from ledger.operations.patching import patch_between
from ledger.run import RunLog
from ledger.workspace import Workspace
from patches.gitprogram import git_environment


class Committed(Struct, frozen=True):
    """A commit of a run's state: its event, its oid, its tree, and how far the candidate is ahead of it.

    ``author`` is "" for whoever commits; ``of`` is the event whose mail gave author or message, "" without.
    """

    event: str
    commit: str
    tree: str
    state: str
    files: int
    ahead: int
    author: str = ""
    of: str = ""


def commit(workspace: Workspace, asked: Authorship, *, candidate: bool = False, run: str = "") -> Committed:
    """Commit the accepted state on HEAD's branch. Index and work tree stay as they are.

    The commit is Git's own (``git commit-tree``: the user's identity, signed where ``commit.gpgSign`` asks
    for it; no hook runs, as what is committed was measured). HEAD moves only if it is still the commit
    that the run has seen.

    Args:
        workspace: Where.
        asked: Message, author and date. Where the commit is one mail's patch, what is not asked for is the
            mail's, as with ``git am``. A trailer names the event.
        candidate: Commit the candidate instead, accepted or not.
        run: The run that must be open; by default the open one.

    Raises:
        OnlyCandidate: Nothing past HEAD is accepted. Nothing was written.
        NothingToCommit: HEAD has this tree already.
        NoMessage: None is asked for, and there is not one mail that has it. Nothing was written.
        BadAuthor: Git makes no author of it. Nothing was written.
        UnknownReference: The patch whose mail is to be reused came in none. Nothing was written.
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
        chosen = choose(workspace.store, history, head.tree, state, asked, log.head.run)
        _, changes = patch_between(workspace, head.tree, state.tree)
        oid = commit_tree(workspace, state.tree, head.commit, chosen, f"{log.head.run}:{state.v}")
        subject = chosen.message.partition("\n")[0]
        old = head.commit or "0" * 40
        run_git(workspace, "update-ref", "-m", f"ledger commit: {subject}", "HEAD", oid, old)
        # HEAD has moved: were this to die here, the next writing command finds the commit by its tree.
        of = UNSET if chosen.of is None else chosen.of
        (event,) = log.append(
            CommitSeen(**log.identity(), commit=oid, tree=state.tree, state_v=state.v, of=of)
        )
        return Committed(
            event.reference,
            oid,
            state.tree,
            f"{log.head.run}:{state.v}",
            len(changes),
            sum(1 for at in history.live if at.v > state.v),
            chosen.author,
            "" if chosen.of is None else f"{log.head.run}:{chosen.of}",
        )


def _explain_nothing(log: RunLog, state: StateAt, newest: StateAt, *, candidate: bool) -> None:
    if candidate or newest.tree == state.tree:
        raise NothingToCommit(log.head.run, state.tree)
    raise OnlyCandidate(log.head.run, f"no state past {log.head.run}:{state.v} is accepted yet")


def commit_tree(workspace: Workspace, tree: str, parent: str | None, chosen: Chosen, event: str) -> str:
    """Return a new commit of a tree, which nothing names yet; a trailer names the event.

    It is Git's own: the user is its committer, and it is signed where ``commit.gpgSign`` asks for it.

    Args:
        workspace: Where.
        tree: The tree, which the repository has.
        parent: The commit before, None for a first one.
        chosen: Message, author and date.
        event: The event whose tree it is.

    Raises:
        BadAuthor: Git makes no author of it. Nothing was written.
        GitFailed: Git made no commit.
    """
    author = _author_variables(workspace, chosen)
    signed = (
        run_git(workspace, "config", "--type=bool", "--default=false", "--get", "commit.gpgSign") == "true"
    )
    text = run_git(
        workspace,
        "interpret-trailers",
        "--no-divider",
        "--trailer",
        f"Ledger-Event: {event}",
        data=chosen.message.strip() + "\n",
    )
    parents = [] if parent is None else ["-p", parent]
    sign = ["-S"] if signed else []
    return run_git(workspace, "commit-tree", *sign, *parents, tree, data=text + "\n", variables=author)


def _author_variables(workspace: Workspace, chosen: Chosen) -> dict[str, str]:
    """Return what tells Git whose a commit is.

    Raises:
        BadAuthor: It has no name, or the date is none that Git reads.
    """
    variables: dict[str, str] = {}
    if chosen.author:
        variables["GIT_AUTHOR_NAME"], variables["GIT_AUTHOR_EMAIL"] = split_author(chosen.author)
    if chosen.date:
        variables["GIT_AUTHOR_DATE"] = chosen.date
    if variables:
        try:
            run_git(workspace, "var", "GIT_AUTHOR_IDENT", variables=variables)
        except GitFailed as error:
            raise BadAuthor(chosen.author, chosen.date, error.said) from error
    return variables


def run_git(
    workspace: Workspace, *arguments: str, data: str = "", variables: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Return what the git program printed, given ``data`` as its input, without the newlines at its end.

    Raises:
        GitFailed: It failed.
    """
    done = subprocess.run(
        ["git", *arguments],
        cwd=workspace.repository.work_dir or workspace.repository.git_dir,
        env=git_environment(**variables),
        input=data.encode("utf-8", "surrogateescape"),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise GitFailed(
            f"git {arguments[0]}", done.returncode, done.stderr.decode("utf-8", "replace").strip()
        )
    return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")

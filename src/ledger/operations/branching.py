"""Branching: the live states of a run, up to an event, as an ordinary Git branch.

Each commit has the recorded tree of its event; HEAD, index and work tree stay as they are. What was rolled
back by then is not on it.
"""

from __future__ import annotations

from collections.abc import Sequence

import pygit2
from msgspec import Struct

from ledger.errors import GitFailed
from ledger.events import AnyEvent, PatchApplied, RunRebased, RunStarted
from ledger.history import History, StateAt
from ledger.operations.authorship import Chosen, mail_of, strip_space
from ledger.operations.committing import commit_tree, run_git
from ledger.operations.patching import message_of
from ledger.operations.restoring import make_objects, unavailable
from ledger.travel_errors import BadBranchName, BranchExists, BranchInUse, NothingToBranch
from ledger.workspace import Workspace
from patches.oids import EMPTY_TREE

_DOMAIN = "ledger.invalid"


class Branched(Struct, frozen=True):
    """A branch that was made: its name, its commit, the tree and event of that, and how many are new."""

    name: str
    commit: str
    tree: str
    event: str
    commits: int


def branch(
    workspace: Workspace, name: str, run: str, v: int, *, squash: bool = False, force: bool = False
) -> Branched:
    """Make a branch of a run's states, from its base commit to the candidate of an event.

    Author, date and message of a commit are those of the mail that its patch came in; else they are the
    actor's, of the event, with its note or its source. The committer is the user. With ``squash`` there is
    one commit, as of the only patch, or else the user's. Nothing is recorded.

    Args:
        workspace: Where.
        name: The branch's name.
        run: The event's run, any of this ledger.
        v: Its version.
        squash: Make one commit of all of them.
        force: Let a branch that exists go there.

    Raises:
        BadBranchName: Git takes no such name. Nothing was written.
        BranchExists: There is one, and ``force`` was not asked for. Nothing was written.
        BranchInUse: A work tree has it checked out. Nothing was written.
        NothingToBranch: Nothing was changed by then, on no commit. Nothing was written.
        StateUnavailable: The repository has not every object of these states. No branch was made.
        BadAuthor: Git makes no author of what a mail says. No branch was made.
        GitFailed: Git made no commit, or no branch. Commits that nothing names may have been left.
    """
    _check_name(workspace, name, force=force)
    # Who has no identity is told so by Git, before anything is made.
    run_git(workspace, "var", "GIT_COMMITTER_IDENT")
    events = list(workspace.run_events(run, until_v=v))
    history = History.of(events)
    base, states = _base_of(events), history.live[1:]
    if base is None and not states:
        raise NothingToBranch(f"{run}:{v}")
    _require_objects(workspace, events, base, states)
    started = events[0]
    if squash and len(states) > 1 and isinstance(started, RunStarted):
        steps = [(states[-1], _squashed(workspace, history, states, started))]
    else:
        steps = [(state, _chosen(workspace, history, history.patches[state.v])) for state in states]
    tip = base
    for state, chosen in steps:
        tip = commit_tree(workspace, state.tree, tip, chosen, f"{run}:{state.v}")
    assert tip is not None
    # Git's own command looks once more whether it may, and writes the ref and its log.
    run_git(workspace, "branch", "--no-track", *(["--force"] if force else []), "--", name, tip)
    return Branched(name, tip, history.candidate.tree, f"{run}:{history.candidate.v}", len(steps))


def _base_of(events: Sequence[AnyEvent]) -> str | None:
    """Return the commit that a run's states rest on, None where it began without one."""
    return [event.head for event in events if isinstance(event, RunStarted | RunRebased)][-1]


def _check_name(workspace: Workspace, name: str, *, force: bool) -> None:
    git = workspace.repository.git
    if name.startswith("-") or name == "HEAD" or not pygit2.reference_is_valid_name(f"refs/heads/{name}"):
        raise BadBranchName(name)
    # One that has no commit yet is checked out too.
    listed = run_git(workspace, "worktree", "list", "--porcelain").splitlines()
    if f"branch refs/heads/{name}" in listed:
        raise BranchInUse(name)
    found = git.branches.local.get(name)
    if found is not None and not force:
        raise BranchExists(name, str(found.target))


def _require_objects(
    workspace: Workspace, events: Sequence[AnyEvent], base: str | None, states: Sequence[StateAt]
) -> None:
    """Make sure that the repository has the base, and every object of the states, or make them.

    Raises:
        StateUnavailable: They cannot be made.
    """
    names = [*([] if base is None else [base]), *(state.tree for state in states)]
    if not _has_all(workspace, names):
        make_objects(workspace, events)
        if not _has_all(workspace, names):
            raise unavailable(events, states[-1].tree if states else EMPTY_TREE.hex())


def _has_all(workspace: Workspace, names: Sequence[str]) -> bool:
    """Tell whether the repository has commits and trees, and all that they reach."""
    try:
        run_git(workspace, "rev-list", "--objects", "--quiet", "--no-walk", "--stdin", data="\n".join(names))
    except GitFailed:
        return False
    return True


def _chosen(workspace: Workspace, history: History, patch: PatchApplied) -> Chosen:
    """Return what the commit of one patch says: its mail's words, else the event's."""
    mail = mail_of(workspace.store, history, patch)
    original = history.original(patch.v)
    message = "" if mail is None else strip_space(mail.message)
    if not message.strip():
        message = _message(workspace, original)
    if mail is not None and mail.author:
        return Chosen(message, mail.author, mail.date, mail.v)
    actor = original.actor
    date = f"@{original.at_ns // 1_000_000_000} +0000"
    if not actor.name:
        # Nobody said who it was: whoever makes the branch answers for it.
        return Chosen(message, "", date, None)
    return Chosen(message, f"{_word(actor.name)} <{_word(actor.kind)}@{_DOMAIN}>", date, None)


def _message(workspace: Workspace, patch: PatchApplied) -> str:
    note = "" if patch.note is None else strip_space(message_of(workspace.store, patch.note))
    if note.strip():
        return note
    return f"{patch.cause}: {patch.source}" if patch.source not in ("", "-") else patch.cause


def _squashed(
    workspace: Workspace, history: History, states: Sequence[StateAt], started: RunStarted
) -> Chosen:
    """Return what one commit of several patches says: the run's title, and the first line of each."""
    said = [_chosen(workspace, history, history.patches[state.v]).message for state in states]
    lines = "".join(f"- {message.strip().splitlines()[0]}\n" for message in said)
    return Chosen(f"{started.title}\n\n{lines}", "", "", None)


def _word(text: str) -> str:
    """Return a claimed name as Git takes it."""
    return "".join(c for c in text if c.isprintable() and c not in "<>").strip(" .,:;\"'\\") or "unknown"

"""Syncing through Git: the refs of runs pushed to a remote and fetched from it, by git itself.

Own runs are pushed under their own names, ``refs/ledger/<run>/…``. What the remote has is fetched to
``refs/ledger-remotes/<remote>/<run>/…``, as Git does with branches: so it is kept, and no ref that a run of
this ledger rests on moves.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from ledger.errors import GitFailed, LedgerError
from ledger.heads import RunHead
from ledger.operations.committing import run_git
from ledger.projections.refs import RunRef
from ledger.sharing_errors import NoRemote, RefsRefused
from ledger.workspace import Workspace
from patches.errors import PatchError
from patches.gitprogram import git_environment

_PREFIX = "refs/ledger/"
_MANY = 100
"""So many refs are named to one git command."""

_NOT_MOVED = ("=", "!")


class Moved(Struct, frozen=True):
    """One ref that moved: where (``pushed`` or ``fetched``), and from which commit to which; "" is none."""

    way: str
    ref: str
    old: str
    new: str


class RefsSynced(Struct, frozen=True):
    """What moved between this repository and a remote.

    ``retired`` are refs of retired runs that the remote has still: only a person takes them away there.
    """

    remote: str
    moved: tuple[Moved, ...]
    retired: tuple[str, ...] = ()


def sync_refs(workspace: Workspace, remote: str = "", *, dry_run: bool = False) -> RefsSynced:
    """Fetch the refs of runs from a remote, and push those of this ledger's own.

    A ref of an own run that does not follow what the remote has, as after a rebase, is forced only where that
    is one of this run's own commits, which the log tells; with a lease, so that what another has pushed in
    between stays.

    Args:
        workspace: Where.
        remote: Its name; by default the current branch's, else ``origin``.
        dry_run: Move nothing; says what would be pushed. What would be fetched is not known without fetching.

    Raises:
        NoRemote: There is no such remote.
        RefsRefused: The remote kept some refs as they were. The others moved.
        GitFailed: Git could not reach the remote. What it reported before has moved.
    """
    remote = _choose(workspace, remote)
    fetched = () if dry_run else tuple(_fetch(workspace, remote))
    there = _refs_there(workspace, remote)
    if not dry_run:
        with workspace.locked():
            workspace.restore_finished_refs()
    wanted, refused = _plan(workspace, there)
    pushed: list[Moved] = []
    for start in range(0, len(wanted), _MANY):
        moved, kept = _push(workspace, remote, wanted[start : start + _MANY], dry_run=dry_run)
        pushed += moved
        refused += kept
    if not dry_run:
        _note_pushed(workspace, remote, pushed)
    if refused:
        error = RefsRefused(remote, refused)
        for each in (*fetched, *pushed):
            error.add_note(f"{each.way} {each.ref}")
        raise error
    return RefsSynced(remote, (*fetched, *pushed), tuple(_retired(workspace.store.heads(), there)))


def _choose(workspace: Workspace, name: str) -> str:
    """Return the remote that is meant."""
    remotes = run_git(workspace, "remote").splitlines()
    if not name:
        config, branch = workspace.repository.git.config, workspace.repository.head().branch
        key = f"branch.{branch}.remote"
        name = str(config[key]) if branch and key in config else "origin"
        if name not in remotes:
            name = remotes[0] if len(remotes) == 1 else ""
    if name not in remotes:
        raise NoRemote(name)
    return name


def _fetch(workspace: Workspace, remote: str) -> Iterator[Moved]:
    """Fetch the remote's refs of runs, and yield what moved here."""
    tracking = _tracking(remote)
    before = _refs_here(workspace, tracking)
    # What follows a remote may be forced: nothing of ours is there.
    refspec = f"+{_PREFIX}*:{tracking}*"
    options = ("--no-tags", "--prune", "--no-write-fetch-head", "--quiet")
    run_git(workspace, "fetch", *options, remote, refspec)
    after = _refs_here(workspace, tracking)
    for ref in sorted(before.keys() | after.keys()):
        old, new = before.get(ref, ""), after.get(ref, "")
        if old != new:
            yield Moved("fetched", ref, old, new)


def _refs_here(workspace: Workspace, prefix: str) -> dict[str, str]:
    listed = run_git(workspace, "for-each-ref", "--format=%(objectname) %(refname)", prefix)
    return {ref: oid for oid, _, ref in (line.partition(" ") for line in listed.splitlines())}


def _refs_there(workspace: Workspace, remote: str) -> dict[str, str]:
    listed = run_git(workspace, "ls-remote", "--quiet", remote, f"{_PREFIX}*")
    return {ref: oid for oid, _, ref in (line.partition("\t") for line in listed.splitlines())}


class _Push(Struct, frozen=True):
    """A ref to push: its commit here, the remote's ("" where none), and whether that must be forced."""

    ref: str
    here: str
    there: str
    force: bool = False


def _plan(workspace: Workspace, there: Mapping[str, str]) -> tuple[list[_Push], list[tuple[str, str]]]:
    """Return what is to be pushed, and what must not be: each with why."""
    here = _refs_here(workspace, _PREFIX)
    wanted, refused = list[_Push](), list[tuple[str, str]]()
    for head in workspace.store.heads().values():
        if not head.base_tree or head.imported or head.retired:
            continue
        ref = RunRef(workspace.repository, head.run)
        for name in (ref.name, ref.accepted_name):
            old, new = there.get(name, ""), here.get(name, "")
            if not new or new == old:
                continue
            if not old or _follows(workspace, old, new):
                wanted.append(_Push(name, new, old))
            elif old in _own_commits(workspace, head):
                wanted.append(_Push(name, new, old, force=True))
            else:
                refused.append((name, "it is another ledger's, which has a run of this name"))
    return wanted, refused


def _follows(workspace: Workspace, old: str, new: str) -> bool:
    try:
        run_git(workspace, "merge-base", "--is-ancestor", old, new)
    except GitFailed:
        return False
    return True


def _own_commits(workspace: Workspace, head: RunHead) -> Sequence[str]:
    """Return the commits that the log gives a run; none where its trees cannot be had."""
    try:
        workspace.restore_objects(head.run)
        return RunRef(workspace.repository, head.run).commits(workspace.run_events(head.run))
    except (LedgerError, PatchError):
        return ()


def _push(
    workspace: Workspace, remote: str, wanted: Sequence[_Push], *, dry_run: bool
) -> tuple[list[Moved], list[tuple[str, str]]]:
    """Push some refs; return what moved, and what the remote kept, with why."""
    by_ref = {each.ref: each for each in wanted}
    words = ["push", "--porcelain", *(["--dry-run"] if dry_run else [])]
    words += [f"--force-with-lease={each.ref}:{each.there}" for each in wanted if each.force]
    words += [remote, *(f"{each.here}:{each.ref}" for each in wanted)]
    # Not `run_git`: a push that a remote took in part fails, and says on standard output what became of each.
    done = subprocess.run(
        ["git", f"--git-dir={workspace.repository.git_dir}", *words],
        env=git_environment(),
        capture_output=True,
        check=False,
    )
    lines = done.stdout.decode("utf-8", "backslashreplace").splitlines()
    if done.returncode and not any(line.startswith("!\t") for line in lines):
        raise GitFailed("git push", done.returncode, done.stderr.decode("utf-8", "replace").strip())
    moved, kept = list[Moved](), list[tuple[str, str]]()
    for line in lines:
        flag, _, rest = line.partition("\t")
        names, _, summary = rest.partition("\t")
        each = by_ref.get(names.rpartition(":")[2])
        if each is None:
            continue
        if flag == "!":
            kept.append((each.ref, summary))
        elif flag not in _NOT_MOVED:
            moved.append(Moved("pushed", each.ref, each.there, each.here))
    return moved, kept


def _note_pushed(workspace: Workspace, remote: str, pushed: Sequence[Moved]) -> None:
    """Let what follows the remote follow what was pushed, as Git does with branches."""
    lines = [f"update {_tracking(remote)}{each.ref.removeprefix(_PREFIX)} {each.new}\n" for each in pushed]
    if lines:
        run_git(workspace, "update-ref", "--stdin", data="".join(lines))


def _tracking(remote: str) -> str:
    return f"refs/ledger-remotes/{remote}/"


def _retired(heads: Mapping[str, RunHead], there: Mapping[str, str]) -> Iterator[str]:
    for ref in sorted(there):
        head = heads.get(ref.removeprefix(_PREFIX).rpartition("/")[0])
        if head is not None and head.retired:
            yield ref

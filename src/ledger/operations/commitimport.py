"""Taking Git's commits in: a run of patches, each leading to the tree of its commit.

The run belongs to no work tree, and is finished when the last commit is in it. It grows batch by batch, each
one append: a crash leaves the batches before, and the same import again goes on after them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

import pygit2
from msgspec import Struct

from ledger.commit_errors import NoSuchCommit, ShallowHistory, UnreachableTree
from ledger.errors import LedgerError
from ledger.events import OF_COMMITS, CommitSeen, Event, RunFinished, RunStarted
from ledger.filerecords import FileRecord
from ledger.heads import RunHead
from ledger.operations.outcome import Applied
from ledger.operations.screening import Screened, screen
from ledger.projections.refs import RunRef
from ledger.provenance import Provenance
from ledger.repository import Head, Repository
from ledger.run import RunLog
from ledger.secrets.masking import mask
from ledger.workspace import Workspace
from patches.apply import apply_patch
from patches.commits import Commit, list_commits
from patches.diff import diff_chain
from patches.errors import PatchError
from patches.model import FileChange
from patches.oids import EMPTY_TREE
from patches.parse import parse_patch
from patches.tree import Tree

_BATCH_COMMITS = 200
_BATCH_BYTES = 8 << 20

Progress: TypeAlias = Callable[[int, int], None]
"""Told how many commits are in, and of how many."""


class Line(NamedTuple):
    """Commits, each the first parent of the one after it, and what they begin from (no commit: nothing)."""

    title: str
    base: Head
    commits: Sequence[Commit]

    def until(self, commit: str) -> str:
        """Return the words by which a command names these commits up to one of them."""
        base = self.base.commit
        return f"--root {commit[:12]}" if base is None else f"{base[:12]}..{commit[:12]}"

    @property
    def merges(self) -> int:
        """How many of them are merges, taken as what they bring to their first parent."""
        return sum(1 for commit in self.commits if len(commit.parents) > 1)


class ImportedCommits(Struct, frozen=True):
    """What became of a line of commits: the run that has them, and its last event.

    ``commits`` is how many there are, ``known`` how many of them the run had before, ``empty`` how many of
    the new ones change no file and are no patch.
    """

    run: str
    event: str
    base: str | None
    commits: int
    known: int
    empty: int
    merges: int
    secrets: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class _Planned(NamedTuple):
    """A commit and the patch that leads to it; no bytes where it changes nothing."""

    commit: Commit
    patch: bytes
    changes: tuple[FileChange, ...]
    base: str
    screened: Screened


def read_line(repository: Repository, since: str | None, until: str) -> Line:
    """Return the commits that ``until`` has and ``since`` has not, along first parents.

    Args:
        repository: Where.
        since: A revision; None for the whole history.
        until: A revision.

    Raises:
        NoSuchCommit: One of them names no commit, or there are no commits between them.
        ShallowHistory: What is before the first commit is not in the repository.
        LogFailed: Git could not list them.
    """
    ends: list[str | None] = [None if since is None else _find(repository, since), _find(repository, until)]
    title = until if since is None else f"{since}..{until}"
    commits = list_commits(repository.git_dir, ends[0], str(ends[1]))
    if not commits:
        raise NoSuchCommit(title, "there are no commits in this range")
    first = commits[0]
    if not first.parents:
        if b"\nparent " in repository.git.read(pygit2.Oid(hex=first.oid))[1].partition(b"\n\n")[0]:
            raise ShallowHistory(first.oid)
        return Line(title, Head(None, None, EMPTY_TREE.hex()), commits)
    before = repository.git[first.parents[0]].peel(pygit2.Commit)
    return Line(title, Head(str(before.id), None, str(before.tree_id)), commits)


def _find(repository: Repository, revision: str) -> str:
    commit = repository.find_commit(revision)
    if commit is None:
        raise NoSuchCommit(revision, "no commit is called so here")
    return commit


def import_commits(
    workspace: Workspace,
    line: Line,
    *,
    name: str = "",
    allow_secrets: bool = False,
    progress: Progress | None = None,
) -> ImportedCommits:
    """Take commits in as a run of its own: a patch for each, and a link from the commit to the patch's event.

    Work tree, index, HEAD and the open run stay as they are. A run that has these commits is not made again;
    one that has the first of them, as a crash or a refusal left it, goes on.

    Args:
        workspace: Where.
        line: The commits.
        name: The run's; by default made from the title. One that exists must be of these commits.
        allow_secrets: Take patches that add what looks like secrets; the events name them.
        progress: Told after each batch.

    Raises:
        SecretFound: A commit adds what looks like secrets.
        UnreachableTree, PatchError: A commit's tree is none that a patch leads to, or has a path that no
            patch may write.
        RunName: The name is none, or another run's. Nothing was written.
        LostRace: Somebody else imports into this run in this moment.
        DiffFailed: Git could not compare two trees.

    The error names the commit, and a note what stays of those before it.
    """
    workspace.repository.store_empty_tree()
    with workspace.locked():
        log, known = _resume(workspace, line, name)
        if log is None:
            log = workspace.begin(f"commits {line.title}", name, at=line.base)
        elif not log.head.open:
            return _outcome(log, line, known, 0, [], [])
    empty, secrets, warnings = 0, list[str](), list[str]()
    done = known
    with _named(log, line):
        for batch in _batches(_plan(workspace.repository, line, known, allow_secrets=allow_secrets)):
            done += len(batch)
            events = _append(workspace, log, batch, last=done == len(line.commits))
            empty += sum(1 for each in batch if not each.patch)
            secrets += [
                f"{each.commit.oid[:12]}: {found}" for each in batch for found in each.screened.secrets
            ]
            for each, event in zip(batch, events, strict=True):
                told = each.screened.tell(Applied(event, each.commit.tree))
                warnings += [f"{each.commit.oid[:12]}: {warning}" for warning in told.warnings]
            if progress is not None:
                progress(done, len(line.commits))
        if log.head.open:
            # It had all of them, and was waiting for more.
            with workspace.locked():
                log.append(RunFinished(**log.identity(), tree=log.head.tree))
    return _outcome(log, line, known, empty, secrets, warnings)


def _outcome(
    log: RunLog, line: Line, known: int, empty: int, secrets: Sequence[str], warnings: Sequence[str]
) -> ImportedCommits:
    return ImportedCommits(
        log.head.run,
        f"{log.head.run}:{log.head.v}",
        line.base.commit,
        len(line.commits),
        known,
        empty,
        line.merges,
        tuple(secrets),
        tuple(warnings),
    )


def _resume(workspace: Workspace, line: Line, name: str) -> tuple[RunLog | None, int]:
    """Return the run that has the first of these commits, and how many; finished, it has all of them."""
    places = {commit.oid: number for number, commit in enumerate(line.commits, 1)}
    if line.base.commit is not None:
        places[line.base.commit] = 0
    best: tuple[RunHead | None, int] = None, -1
    for head in workspace.store.heads().values():
        known = 0 if head.commit is None else places.get(head.commit, -1)
        if head.work_tree != OF_COMMITS or head.imported or head.retired or (name and head.run != name):
            continue
        if known <= best[1] or (not head.open and known < len(line.commits)):
            continue
        first = next(workspace.run_events(head.run))
        if isinstance(first, RunStarted) and first.head == line.base.commit:
            best = head, known
    head, known = best
    if head is None:
        return None, 0
    ref = RunRef(workspace.repository, head.run)
    if (version := ref.version() or 0) < head.tree_v:
        ref.project(workspace.run_events(head.run, version))
    return RunLog(workspace.store, workspace.stamp, head, workspace.request), known


def _plan(repository: Repository, line: Line, known: int, *, allow_secrets: bool) -> Iterator[_Planned]:
    """Yield the commits past the first ``known``, each with a patch that was proved to lead to its tree."""
    base = line.commits[known - 1].tree if known else line.base.tree
    commits = line.commits[known:]
    trees = [bytes.fromhex(oid) for oid in (base, *(commit.tree for commit in commits))]
    tree = repository.tree(base)
    for commit, data in zip(commits, diff_chain(repository.git_dir, trees), strict=True):
        try:
            yield _plan_one(tree, commit, data, base, allow_secrets=allow_secrets)
        except (LedgerError, PatchError) as error:
            error.add_note(f"it is commit {commit.oid}")
            raise
        finally:
            # They are the commit's, and in the repository.
            repository.objects.forget()
        base = commit.tree


def _plan_one(tree: Tree, commit: Commit, data: bytes, base: str, *, allow_secrets: bool) -> _Planned:
    """Return what a commit's patch makes of ``tree``, which is the commit's from here on."""
    if not data:
        return _Planned(commit, data, (), base, Screened())
    patch = parse_patch(data)
    screened = screen(data, patch, allow=allow_secrets)
    changes = apply_patch(tree, patch)
    got = tree.write().hex()
    if got != commit.tree:
        raise UnreachableTree(commit.oid, commit.tree, got)
    return _Planned(commit, data, changes, base, screened)


def _batches(planned: Iterator[_Planned]) -> Iterator[list[_Planned]]:
    batch: list[_Planned] = []
    size = 0
    for each in planned:
        batch.append(each)
        size += len(each.patch)
        if len(batch) >= _BATCH_COMMITS or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _append(workspace: Workspace, log: RunLog, batch: Sequence[_Planned], *, last: bool) -> list[str]:
    """Append a batch as one group, and bring the run's ref to it; return the event of each commit's state."""
    # Under the lock of the work tree: between a body and its event no redaction may take the body.
    with workspace.locked():
        texts = [text for each in batch if each.patch for text in (each.patch, _message(each.commit)) if text]
        workspace.store.bodies.write_all(texts)
        events: list[Event] = []
        states: list[int] = []
        v, state_v = log.head.v, log.head.state_v
        for each in batch:
            if each.patch:
                events.append(_patch_event(log, each))
                state_v = v + len(events)
            states.append(state_v)
            commit = each.commit
            seen = CommitSeen(**log.identity(), commit=commit.oid, tree=commit.tree, state_v=state_v)
            events.append(seen)
        if last:
            events.append(RunFinished(**log.identity(), tree=batch[-1].commit.tree))
        RunRef(workspace.repository, log.head.run).project(log.append(*events))
    return [f"{log.head.run}:{state}" for state in states]


def _message(commit: Commit) -> bytes:
    """Return a commit's message as the event will name it."""
    return mask(commit.message.encode())


def _patch_event(log: RunLog, planned: _Planned) -> Event:
    commit = planned.commit
    return log.applied(
        "diff",
        planned.patch,
        tuple(map(FileRecord.of, planned.changes)),
        commit.tree,
        base_tree=planned.base,
        provenance=Provenance(
            source=f"commit {commit.oid[:12]}",
            author=commit.author,
            date=commit.date,
            message=commit.message,
        ),
        secrets=planned.screened.secrets,
    )


@contextmanager
def _named(log: RunLog, line: Line) -> Generator[None]:
    """Let an error say what of the commits before is in the run."""
    try:
        yield
    except (LedgerError, PatchError) as error:
        if log.written:
            known = log.head.commit or ""
            error.add_note(
                f"run {log.head.run} has those up to {known[:12]}: the same import goes on there, "
                f"`ledger import git {line.until(known)}` ends it there"
            )
        raise

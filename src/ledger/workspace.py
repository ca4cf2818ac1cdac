"""The workspace: one work tree, its open run, and the order in which a change happens.

A change is: lock → finish what a crash left → check HEAD → plan in memory → check the work tree →
stage the new files aside → append and sync (the commit point) → rename into place, write the
index once → move the ref. Recovery runs the same steps from the log, so a crash anywhere ends in
the state before or the state after.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import PurePath

import pygit2
from msgspec import Struct

from ledger.errors import (
    GitFailed,
    HeadMoved,
    LedgerError,
    NoRun,
    NoWorkTree,
    ProjectionPending,
    RunOpen,
    UnknownKind,
)
from ledger.events import AnyEvent, Cause, FileRecord, PatchApplied, RunStarted, Stamp, body_digest
from ledger.heads import RunHead
from ledger.projections.refs import RunRef
from ledger.projections.worktree import pending_touches, touches
from ledger.repository import Head, Repository
from ledger.run import RunLog, name_run
from ledger.store.disk import locked
from ledger.store.local import LocalStore
from patches.apply import apply_patch
from patches.errors import PatchError
from patches.model import FileChange, Patch
from patches.parse import parse_patch, reverse_patch
from patches.touches import LeftAlone, Touch
from patches.worktree import WorkTree
from patches.worktree_errors import WorkTreeError

LOCK_TIMEOUT_S = 30.0


class Applied(Struct, frozen=True):
    """What a writing command did.

    ``event`` is the reference of the event ("" where none was needed), ``tree`` the candidate
    tree after it, ``files`` what happened to each path. ``left_alone`` names paths that somebody
    edited meanwhile: they keep that edit, which is drift now.
    """

    event: str
    tree: str
    files: tuple[FileChange, ...] = ()
    left_alone: tuple[LeftAlone, ...] = ()
    already: bool = False
    started: str = ""
    """Name of the run that this command started, "" where it was open already."""


class Workspace:
    """One work tree (or bare repository) and its ledger, for writing."""

    def __init__(self, repository: Repository, store: LocalStore, stamp: Stamp) -> None:
        self.repository = repository
        self.store = store
        self._stamp = stamp

    @cached_property
    def _work_tree(self) -> WorkTree | None:
        """The work tree to write, None in a bare repository. Its staging directory is made here."""
        if self.repository.work_dir is None:
            return None
        return WorkTree(self.repository.git, self.repository.staging_dir)

    def open_run(self) -> RunHead | None:
        """Return the head of the run that is open in this work tree."""
        name = self.repository.work_tree_name
        mine = [head for head in self.store.heads().values() if head.open and head.work_tree == name]
        return max(mine, key=lambda head: head.position, default=None)

    def run_events(self, run: str, after_v: int = 0) -> Iterator[AnyEvent]:
        """Yield a run's events past version ``after_v``, in order."""
        for frame in self.store.frames():
            event = frame.event
            if event.run == run and event.v > after_v:
                yield event

    def start(self, title: str, name: str = "") -> RunHead:
        """Start a run on HEAD's tree.

        Raises:
            RunOpen: One is open in this work tree. Nothing was written.
            RunName: The name is taken, or none.
        """
        with self._locked():
            if head := self.open_run():
                raise RunOpen(head.run)
            log = self._begin(title, name)
            RunRef(self.repository, log.head.run).project([log.start()])
            return log.head

    def finish(self, *, run: str = "") -> Applied:
        """Finish the open run; ``run`` as for `apply`.

        Raises:
            NoRun: None is open.
        """
        with self._locked():
            log = self._continue(run)
            if log is None:
                raise NoRun
            event = log.finished()
            self._restore_finished_refs()
            return Applied(event.reference, log.head.tree)

    def apply(self, data: bytes, *, source: str = "", note: str = "", run: str = "") -> Applied:
        """Apply a patch wholly or not at all, and record it.

        A patch whose result the candidate already has changes nothing and is no error
        (``already``).

        Args:
            data: The patch.
            source: The file name it came from.
            note: Why.
            run: The run that must be open; by default the open one, or a new one where none is.

        Raises:
            NoRun: ``run`` is not open in this work tree.
            PatchError: It does not parse or does not apply; with a run open the refusal of a
                patch that parses is recorded. Tree, index and work tree are as before.
            DirtyPath, InTheWay, ThroughSymlink: It would overwrite what was not handed over.
            HeadMoved: HEAD is at a commit that the run does not explain.
            LostRace: Another process changed the run meanwhile. Nothing was written.
            ProjectionPending: The event is recorded; the next writing command brings the
                index up to it.
        """
        patch = parse_patch(data)
        with self._locked():
            log = self._continue(run) or self._begin(_title(source), "")
            self._check_head(log)
            tree = self.repository.tree(log.head.tree)
            try:
                changes = apply_patch(tree, patch)
            except PatchError as error:
                applied_before = self._has_result(log.head.tree, patch)
                self.repository.objects.forget()
                if applied_before:
                    return self._unchanged(log)
                if log.written:
                    error.add_note(f"recorded as {log.refused(data, error, source=source).reference}")
                raise
            if not changes:
                return self._unchanged(log)
            result = tree.write().hex()
            return self._commit(log, "diff", data, changes, result, source=source, note=note)

    def record(self, *, note: str = "", run: str = "") -> Applied:
        """Record what was edited past the ledger as one patch; the work tree stays as it is.

        ``note`` and ``run`` are as for `apply`.

        Raises:
            NoRun: ``run`` is not open in this work tree.
            NoWorkTree: The repository is bare.
            GitFailed: Git could not read a file. Nothing was recorded.
            HeadMoved: HEAD's commit is neither a state of the run nor what the work tree holds.
        """
        from ledger.drift import snapshot_tree
        from patches.diff import diff_trees

        if self._work_tree is None:
            raise NoWorkTree(self.repository.git_dir)
        with self._locked():
            log = self._continue(run) or self._begin("edits by hand", "")
            result = snapshot_tree(self.repository)
            if result == log.head.tree:
                self._check_head(log)
                self._follow((), result)
                return self._unchanged(log)
            head = self.repository.head()
            explained = head.tree == result and head.commit != log.head.commit
            if not explained:
                self._check_head(log)
            old, new = bytes.fromhex(log.head.tree), bytes.fromhex(result)
            data = diff_trees(self.repository.git_dir, old, new)
            tree = self.repository.tree(log.head.tree)
            changes = apply_patch(tree, parse_patch(data))
            assert tree.write() == new, "the drift's patch does not give the work tree's tree"
            applied = self._commit(log, "drift", data, changes, result, note=note)
            if explained:
                self._check_head(log)
            return applied

    def pending(self) -> bool:
        """Return whether an event may not have reached the work tree. Reads only."""
        head = self.open_run()
        if head is None:
            return False
        version = RunRef(self.repository, head.run).version()
        return version is not None and version < head.tree_v

    @contextmanager
    def _locked(self) -> Generator[None]:
        name = self.repository.work_tree_name
        with locked(self.store.root / "locks" / f"tree.{name or 'main'}", LOCK_TIMEOUT_S):
            yield

    def _begin(self, title: str, name: str) -> RunLog:
        """Return a run on HEAD's tree that is written with its first event."""
        self._restore_finished_refs()
        head: Head = self.repository.head()
        listing = self.repository.listing(head.tree)
        at_ns = self._stamp.clock()
        started = RunStarted(
            id=self._stamp.new_id(at_ns),
            run=name or name_run(title, self._stamp),
            at_ns=at_ns,
            actor=self._stamp.actor,
            title=title,
            work_tree=self.repository.work_tree_name,
            head=head.commit,
            branch=head.branch,
            base_tree=head.tree,
            listing=body_digest(listing),
        )
        return RunLog.begin(self.store, self._stamp, started, listing)

    def _continue(self, run: str = "") -> RunLog | None:
        """Return the open run, its projections brought up to the log; None where none is open."""
        head = self.open_run()
        if run and (head is None or head.run != run):
            raise NoRun(f"run {run} is not open in this work tree")
        if head is None:
            return None
        if head.unknown:
            raise UnknownKind(f"{head.run}:{head.v}", head.unknown)
        ref = RunRef(self.repository, head.run)
        version = ref.version()
        pending = version is not None and version < head.tree_v
        if version is None or pending or pygit2.Oid(hex=head.tree) not in self.repository.git:
            # Objects are not synced before the event is: a power failure can take them.
            self._restore_objects(head.run)
        if version is None:
            ref.project(self.run_events(head.run))
        elif pending:
            events = list(self.run_events(head.run, version))
            self._converge(events)
            ref.project(events)
        return RunLog(self.store, self._stamp, head)

    def _restore_objects(self, run: str) -> None:
        """Make every object of a run's states again, from its base and the stored patches."""
        from ledger.replay import replay

        for _ in replay(self.run_events(run), self.store, self.repository.objects, sys.maxsize):
            self.repository.objects.flush()

    def _restore_finished_refs(self) -> None:
        """Make the refs of finished runs again where somebody deleted them."""
        for head in list(self.store.heads().values()):
            if head.base_tree and not head.open and not head.unknown:
                ref = RunRef(self.repository, head.run)
                if ref.version() is None:
                    # A base that is gone from the repository keeps nobody from working: `verify` tells.
                    with suppress(LedgerError, PatchError):
                        self._restore_objects(head.run)
                        ref.project(self.run_events(head.run))

    def _converge(self, events: Sequence[AnyEvent]) -> None:
        if self._work_tree is None:
            return
        patches = [event for event in events if isinstance(event, PatchApplied)]
        pending = pending_touches(patches)
        if all(event.cause == "drift" for event in patches):
            self._work_tree.adopt(pending)
        else:
            self._work_tree.converge(pending)

    def _follow(self, moved: Sequence[Touch], tree: str) -> tuple[LeftAlone, ...]:
        """Let the index follow recorded edits, and where it holds HEAD's entries, as after ``git reset``.

        An entry that is neither the candidate's nor HEAD's was staged by somebody and stays.
        """
        from ledger.drift import list_staged

        if self._work_tree is None:
            return ()
        head = self.repository.tree(self.repository.head().tree)
        wanted = {touch.path: touch for touch in moved}
        for entry in list_staged(self.repository, tree):
            if entry.held == head.entry(entry.path):
                wanted[entry.path] = Touch(entry.path, entry.held, entry.wanted)
        return self._work_tree.adopt(wanted.values()) if wanted else ()

    def _check_head(self, log: RunLog) -> None:
        """Append the commit that HEAD has moved to, if its tree is a state of the run."""
        head = self.repository.head()
        if head.commit is None or head.commit == log.head.commit:
            return
        if not log.written:
            return
        for event in self.run_events(log.head.run):
            tree = event.base_tree if isinstance(event, RunStarted) else ""
            tree = event.result_tree if isinstance(event, PatchApplied) else tree
            if tree == head.tree:
                log.commit_seen(head.commit, head.tree, event.v)
                return
        raise HeadMoved(log.head.run, head.commit, head.tree)

    def _has_result(self, oid: str, patch: Patch) -> bool:
        """Tell whether a patch can be taken back from a tree and then gives exactly this tree again."""
        tree = self.repository.tree(oid)
        try:
            apply_patch(tree, reverse_patch(patch))
            apply_patch(tree, patch)
        except PatchError:
            return False
        return tree.write().hex() == oid

    @staticmethod
    def _unchanged(log: RunLog) -> Applied:
        """Return that the candidate has it already; names the event that made it so, if there is one."""
        event = f"{log.head.run}:{log.head.tree_v}" if log.written else ""
        return Applied(event, log.head.tree, already=True)

    def _commit(
        self,
        log: RunLog,
        cause: Cause,
        data: bytes,
        changes: Sequence[FileChange],
        result: str,
        *,
        source: str = "",
        note: str = "",
    ) -> Applied:
        """Append a change and bring work tree, index and ref to it."""
        files = tuple(FileRecord.of(change) for change in changes)
        moved = touches(files)
        written = self._work_tree if cause != "drift" else None
        try:
            if written is not None:
                written.check(moved)
        except WorkTreeError:
            # A refused patch leaves no objects, and hands none on to the next one.
            self.repository.objects.forget()
            raise
        self.repository.objects.flush()
        staged = None if written is None else written.stage(moved)
        started = "" if log.written else log.head.run
        ref = RunRef(self.repository, log.head.run)
        if log.unwritten is not None:
            # From here on a missing ref means that somebody deleted it, never that the first
            # change did not reach the work tree. A crash now leaves a ref that no run names.
            ref.project([log.unwritten])
        try:
            event = log.applied(cause, data, files, result, source=source, note=note)
        except (LedgerError, OSError):
            if written is not None and staged is not None:
                written.discard(staged)
            raise
        # The commit point is passed: whatever happens now, the next writing command finishes it.
        try:
            if written is not None and staged is not None:
                left = written.publish(staged)
            else:
                left = self._follow(moved, result)
            ref.project([event])
        except (GitFailed, WorkTreeError, OSError, pygit2.GitError) as error:
            raise ProjectionPending(event.reference, str(error)) from error
        return Applied(event.reference, result, tuple(changes), left, started=started)


def _title(source: str) -> str:
    return "patch" if source in ("", "-") else PurePath(source).stem

"""The workspace: one work tree, its open run, and the order in which a change happens.

A change is: lock → finish what a crash left → check HEAD → plan in memory → check the work tree →
stage the new files aside → append and sync (the commit point) → rename into place, write the
index once → move the ref. Recovery runs the same steps from the log, so a crash anywhere ends in
the state before or the state after.

What changes, and why, is the business of `ledger.operations`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import NamedTuple

import pygit2
from msgspec import UNSET, UnsetType

from ledger.configurations import choose_profile, configuration_of
from ledger.errors import (
    GitFailed,
    HeadMoved,
    IdTaken,
    ImportedRun,
    LedgerError,
    NoRun,
    PhaseForbids,
    ProjectionPending,
    UnknownKind,
)
from ledger.events import (
    OF_COMMITS,
    AnyEvent,
    CommitSeen,
    Continued,
    ErrorCaptured,
    Event,
    KnownEvent,
    PatchApplied,
    PolicySet,
    RunRebased,
    RunStarted,
    TreeEvent,
    body_digest,
    tree_after,
)
from ledger.heads import RunHead
from ledger.history import History
from ledger.policies import PhaseRule
from ledger.projections.questions import QuestionsFile
from ledger.projections.refs import RunRef
from ledger.projections.worktree import pending_touches
from ledger.repository import Head, Repository
from ledger.requests import AlreadyDone, Request
from ledger.run import RunLog, identify, name_run
from ledger.secrets.masking import mask_text
from ledger.stamps import Stamp
from ledger.store.local import LocalStore
from ledger.store.locks import locked
from patches.errors import PatchError
from patches.touches import LeftAlone, Touch
from patches.worktree import WorkTree
from patches.worktree_errors import IndexLocked, WorkTreeError

LOCK_TIMEOUT_S = 30.0


class Change(NamedTuple):
    """What is to become of the candidate: each path with what it holds and will hold, and the tree after.

    ``adopted`` says that the work tree has it already, and only the index follows.
    """

    touches: Sequence[Touch]
    result: str
    adopted: bool = False


class Workspace:
    """One work tree (or bare repository) and its ledger, for writing."""

    def __init__(self, repository: Repository, store: LocalStore, stamp: Stamp) -> None:
        self.repository = repository
        self.store = store
        self.stamp = stamp
        self.request: Request | None = None
        """The id that the next change is given; who sets it takes it away again."""
        self.captured: list[ErrorCaptured] = []
        """The errors that were recorded through this workspace."""
        self.warnings: list[str] = []
        """What a person should know although nothing failed."""
        self._holds_questions = False

    @cached_property
    def work_tree(self) -> WorkTree | None:
        """The work tree to write, None in a bare repository. Its staging directory is made here."""
        if self.repository.work_dir is None:
            return None
        return WorkTree(self.repository.git, self.repository.staging_dir)

    # What there is

    def open_run(self) -> RunHead | None:
        """Return the head of the run that is open in this work tree."""
        name = self.repository.work_tree_name
        mine = [head for head in self.store.heads().values() if head.open and head.work_tree == name]
        return max(mine, key=lambda head: head.position, default=None)

    def run_events(self, run: str, after_v: int = 0, until_v: int | None = None) -> Iterator[AnyEvent]:
        """Yield a run's events past version ``after_v`` up to ``until_v``, in order."""
        return (frame.event for frame in self.store.of_run(run, after_v, until_v))

    def history(self, log: RunLog) -> History:
        """Return the history of a run, with what is not in the log yet."""
        return History.of(self.run_events(log.head.run) if log.written else _known(log.unwritten))

    def pending(self) -> bool:
        """Return whether an event may not have reached the work tree. Reads only."""
        head = self.open_run()
        if head is None:
            return False
        version = RunRef(self.repository, head.run).version()
        return version is not None and version < head.tree_v

    # The run to write to. All of it under `locked`.

    @contextmanager
    def locked(self, timeout_s: float | None = None) -> Generator[None]:
        """Keep every other writing command out of this work tree; wait ``timeout_s`` for one to end.

        Where none is given, `LOCK_TIMEOUT_S` is waited for.

        Raises:
            Busy: Another one is at work.
            UnsyncedLog: The disk still does not confirm what an earlier one wrote. Nothing was written.
            AlreadyDone: What is asked for under the given id was done before. What a crash left of it
                was finished.
            IdTaken: The given id belongs to another request. Nothing was written.
        """
        name = self.repository.work_tree_name
        wait_s = LOCK_TIMEOUT_S if timeout_s is None else timeout_s
        with locked(self.store.root / "locks" / f"tree.{name or 'main'}", wait_s):
            # First of all, so that nothing is decided without an event that may be there.
            self.store.settle()
            self.refuse_done()
            try:
                yield
            finally:
                self._follow_questions()

    def named(self, *events: Event) -> list[Event]:
        """Return events of run ``ledger`` with the given id on the one that was asked for."""
        return list(events) if self.request is None else self.request.name(events)

    def refuse_done(self) -> None:
        """Refuse what is asked for under a given id where it was done before.

        Raises:
            AlreadyDone, IdTaken: As `locked`.
        """
        request = self.request
        event = None if request is None or request.spent else self.store.find(request.id)
        if request is None or event is None:
            return
        if event.request != request.digest:
            raise IdTaken(request.id, event.reference)
        self.resume()
        raise AlreadyDone(event)

    def begin(
        self,
        title: str,
        name: str = "",
        profile: str = "",
        *,
        at: Head | None = None,
        continues: Continued | UnsetType = UNSET,
    ) -> RunLog:
        """Return a run on HEAD's tree that is written with its next event; ``at``: one of commits, on that.

        Raises:
            RunName: The name is taken, or none.
            InvalidConfiguration: The policy's configuration cannot be read.
            UnknownProfile: The configuration has no such profile.
        """
        self.restore_finished_refs()
        configuration = configuration_of(self.repository)
        head = at or self.repository.head()
        if head.commit is None:
            self.repository.store_empty_tree()
        listing = self.repository.listing(head.tree)
        title = mask_text(title)
        run = name or self._fresh_name(title)
        started = RunStarted(
            **identify(run, self.stamp),
            title=title,
            work_tree=OF_COMMITS if at else self.repository.work_tree_name,
            head=head.commit,
            branch=head.branch,
            base_tree=head.tree,
            listing=body_digest(listing),
            continues=continues,
        )
        policy = PolicySet(
            **identify(run, self.stamp),
            profile=choose_profile(configuration, profile),
            profiles=configuration.profiles,
            source=configuration.source,
        )
        return RunLog.begin(
            self.store, self.stamp, started, listing, policy, request=self.request, watcher=self
        )

    def _fresh_name(self, title: str) -> str:
        """Return a generated name that no run of this ledger has: a million of them share a few words."""
        taken = self.store.heads()
        while (name := name_run(title, self.stamp)) in taken:
            pass
        return name

    def resume(self, run: str = "") -> RunLog | None:
        """Return the open run, its projections brought up to the log; None where none is open.

        Raises:
            NoRun: ``run`` is given, and is not open in this work tree.
            ImportedRun: It is given, and its home is another ledger.
            UnknownKind: A later version changed its tree.
        """
        head = self.open_run()
        if run and (named := self.store.heads().get(run)) is not None and named.imported:
            raise ImportedRun(run)
        if run and (head is None or head.run != run):
            raise NoRun(f"run {run} is not open in this work tree")
        if head is None:
            return None
        if head.unknown:
            raise UnknownKind(f"{head.run}:{head.v}", head.unknown)
        self._clear_index_lock()
        ref = RunRef(self.repository, head.run)
        version = ref.version()
        pending = version is not None and version < head.tree_v
        if version is None or pending or pygit2.Oid(hex=head.tree) not in self.repository.git:
            # Objects are not synced before the event is: a power failure can take them.
            self.restore_objects(head.run)
        if version is None:
            ref.project(self.run_events(head.run))
        elif pending:
            events = list(self.run_events(head.run, version))
            self._converge(events)
            ref.project(events)
        log = RunLog(self.store, self.stamp, head, self.request, self)
        if version is None or pending:
            self.project_accepted(log)
        return log

    def require(self, run: str = "") -> RunLog:
        """Return the open run as `resume` does.

        Raises:
            NoRun: None is open.
        """
        log = self.resume(run)
        if log is None:
            raise NoRun
        return log

    def check_phase(self, log: RunLog) -> None:
        """Refuse a patch in a phase that the policy keeps free of patches.

        Raises:
            PhaseForbids: It is none of those that take patches. Nothing was written.
        """
        refuse_phase(log.head.run, log.head.phase, log.head.phases)

    def check_head(self, log: RunLog) -> None:
        """Append the commit that HEAD has moved to, if its tree is a state of the run.

        Raises:
            HeadMoved: It is none.
        """
        if not log.written:
            return
        had = self.states_of_head(log.head)
        if not had:
            return
        # A live state before one that was taken back, and of several the newest: a rebase asks what HEAD has.
        live = {at.v for at in self.history(log).live}
        head = self.repository.head()
        state_v = max(had, key=lambda v: (v in live, v))
        log.append(CommitSeen(**log.identity(), commit=head.commit or "", tree=head.tree, state_v=state_v))

    def states_of_head(self, run: RunHead) -> list[int]:
        """Return the versions whose tree the commit has that HEAD has moved to; none where it has not moved.

        Raises:
            HeadMoved: None has it.
        """
        head = self.repository.head()
        if head.commit is None or head.commit == run.commit:
            return []
        had = [event.v for event in self.run_events(run.run) if tree_after(event) == head.tree]
        if not had:
            raise HeadMoved(run.run, head.commit, head.tree)
        return had

    # A change

    def carry_out(
        self, log: RunLog, change: Change, make: Callable[[], Sequence[Event]]
    ) -> tuple[list[KnownEvent], tuple[LeftAlone, ...]]:
        """Append the events of a change and bring work tree, index and ref to it.

        Args:
            log: The run.
            change: What the events make of the candidate.
            make: Gives the events, their bodies durable; called when all checks are passed.

        Returns:
            What was appended, and the paths that somebody edited meanwhile.

        Raises:
            DirtyPath, InTheWay, ThroughSymlink: It would overwrite what was not handed over. Nothing was
                written.
            LostRace: Another process changed the run meanwhile. Nothing was written.
            ProjectionPending: The events are recorded; the next writing command finishes it.
        """
        written = None if change.adopted else self.work_tree
        try:
            if written is not None:
                QuestionsFile(self.repository, self.store).give_way(t.path for t in change.touches)
                written.check(change.touches)
        except WorkTreeError:
            # A refused patch leaves no objects, and hands none on to the next one.
            self.repository.objects.forget()
            raise
        self.repository.objects.flush()
        staged = None if written is None else written.stage(change.touches)
        ref = RunRef(self.repository, log.head.run)
        if not log.written:
            # From here on a missing ref means that somebody deleted it, never that the first
            # change did not reach the work tree. A crash now leaves a ref that no run names.
            ref.project(_known(log.unwritten))
        try:
            events = log.append(*make())
        except (LedgerError, OSError):
            if written is not None and staged is not None:
                written.discard(staged)
            raise
        # The commit point is passed: whatever happens now, the next writing command finishes it.
        try:
            if written is not None and staged is not None:
                left = written.publish(staged)
            else:
                left = self.follow(change.touches, change.result)
            ref.project(event for event in events if not isinstance(event, RunStarted))
            if ref.accepted_version() is not None:
                # A change may come back to a tree that was accepted before.
                self.project_accepted(log)
        except (GitFailed, WorkTreeError, OSError, pygit2.GitError) as error:
            raise ProjectionPending(events[-1].reference, str(error)) from error
        return list(events), left

    def follow(self, moved: Sequence[Touch], tree: str) -> tuple[LeftAlone, ...]:
        """Let the index follow recorded edits, and where it holds HEAD's entries, as after ``git reset``.

        An entry that is neither the candidate's nor HEAD's was staged by somebody and stays.
        """
        from ledger.drift import list_staged

        if self.work_tree is None:
            return ()
        head = self.repository.tree(self.repository.head().tree)
        wanted = {touch.path: touch for touch in moved}
        for entry in list_staged(self.repository, tree):
            if entry.held == head.entry(entry.path):
                wanted[entry.path] = Touch(entry.path, entry.held, entry.wanted)
        return self.work_tree.adopt(wanted.values()) if wanted else ()

    # Questions: this is the watcher of its runs' logs

    def expect(self, events: Sequence[Event], /) -> None:
        """Note that a question is about to be asked: a crash after the append leaves its file behind."""
        if any(isinstance(event, ErrorCaptured) for event in events):
            QuestionsFile(self.repository, self.store).expect()

    def see(self, events: Sequence[KnownEvent], /) -> None:
        """Remember the errors that were recorded."""
        self.captured += [event for event in events if isinstance(event, ErrorCaptured)]

    @contextmanager
    def holding_questions(self) -> Generator[None]:
        """Leave the questions file as it is for now: the work tree is being measured."""
        self._holds_questions = True
        try:
            yield
        finally:
            self._holds_questions = False

    def _follow_questions(self) -> None:
        """Bring the questions file up to the log. A failure is a warning: what was asked is recorded."""
        file = QuestionsFile(self.repository, self.store)
        if self._holds_questions or not file.is_behind:
            return
        head = self.open_run()
        tree = self.repository.head().tree if head is None else head.tree
        try:
            file.project(configuration_of(self.repository).questions.file, tree)
        except LedgerError as error:
            self.warnings.append(f"the questions file was not written: {error}; {error.hint}")
        except (OSError, PatchError, pygit2.GitError) as error:
            self.warnings.append(f"the questions file was not written: {error}")

    # Projections

    def project_accepted(self, log: RunLog) -> None:
        """Let the run's accepted ref name its accepted state, where something was accepted or it exists."""
        ref, history = RunRef(self.repository, log.head.run), self.history(log)
        accepted = history.accepted
        if accepted.v > 1 or history.is_accepted(accepted.tree) or ref.accepted_version() is not None:
            ref.project_accepted(accepted.v)

    def restore_finished_refs(self) -> None:
        """Make the refs of finished and imported runs where they are missing or behind."""
        for head in list(self.store.heads().values()):
            settled = head.base_tree and not head.open and not head.unknown
            # A run that was imported may have come further since.
            if settled and (RunRef(self.repository, head.run).version() or 0) < head.tree_v:
                self.restore_refs(head)

    def restore_refs(self, head: RunHead) -> None:
        """Bring both refs of a run that is not open up to the log, as far as its objects can be made."""
        ref = RunRef(self.repository, head.run)
        version = ref.version() or 0
        # A base that is gone from the repository keeps nobody from working: `verify` tells.
        with suppress(LedgerError, PatchError):
            if version < head.tree_v:
                self.restore_objects(head.run)
                ref.project(self.run_events(head.run, version))
            self.project_accepted(RunLog(self.store, self.stamp, head))

    def _clear_index_lock(self) -> None:
        """Remove the ``index.lock`` of a killed process of ours, where no event waits for the index."""
        if (self.repository.git_dir / "index.lock").exists() and self.work_tree is not None:
            # Somebody else's lock is their business, and refused where the index is needed.
            with suppress(IndexLocked):
                self.work_tree.adopt(())

    def restore_objects(self, run: str) -> None:
        """Make every object of a run's states again, from its base and the stored patches.

        Raises:
            MissingObject: The repository has not all of the base. The objects before are made.
            ReplayMismatch, DroppedBody, DamagedLedger: As `replay`.
        """
        from ledger.replay import replay

        self.repository.store_empty_tree()
        for _ in replay(self.run_events(run), self.store, self.repository.objects, sys.maxsize):
            self.repository.objects.flush()

    def _converge(self, events: Sequence[AnyEvent]) -> None:
        if self.work_tree is None:
            return
        changes = [event for event in events if isinstance(event, TreeEvent)]
        if all(isinstance(event, PatchApplied) and event.cause == "drift" for event in changes):
            self.work_tree.adopt(pending_touches(changes))
            return
        left = self.work_tree.converge(pending_touches(changes))
        rebased = [index for index, event in enumerate(changes) if isinstance(event, RunRebased)]
        if left and rebased:
            # Where HEAD moved, a path may have had the new base's content instead of the candidate's.
            past = {touch.path: touch for touch in pending_touches(changes[rebased[-1] + 1 :])}
            # A path may be left twice: in the work tree, and in the index.
            again = dict.fromkeys(each.path for each in left if each.path in past)
            self.work_tree.converge([past[path] for path in again])


def refuse_phase(run: str, phase: str, rule: PhaseRule) -> None:
    """Refuse a patch in a phase that the policy keeps free of patches; "" is the time before the first.

    Raises:
        PhaseForbids: It is none of those that take patches.
    """
    if phase not in rule.patches and rule.restricts:
        raise PhaseForbids(run, phase, rule.patches)


def _known(events: Sequence[Event]) -> list[KnownEvent]:
    return [event for event in events if isinstance(event, KnownEvent)]

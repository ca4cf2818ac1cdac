"""The past of a ledger: its events, and the states that they left.

Nothing here needs a lock, heals anything, or makes a ledger where there is none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ledger.errors import InvalidActor
from ledger.events import AnyEvent
from ledger.heads import RunHead
from ledger.history import History
from ledger.reference_errors import UnknownReference
from ledger.references import EventRange, References
from ledger.repository import Repository
from ledger.stamps import Actor, Stamp
from ledger.store.local import LocalStore
from ledger.workspace import Workspace

if TYPE_CHECKING:
    from ledger.counterfactual import Comparison
    from ledger.filehistory import BlamedLine, Touched
    from ledger.replay import Step
    from ledger.state import State
    from patches.tree import Tree


class Past:
    """What a ledger holds: events, bodies, and the state at each event.

    Close it, or use it as a context manager.
    """

    def __init__(
        self,
        repository: Repository,
        stamp: Stamp,
        directory: Path = Path(),
        past: tuple[LocalStore, str] | None = None,
    ) -> None:
        """Take a repository; `open` finds the one that a directory is in.

        Args:
            repository: The repository.
            stamp: Source of ids and times.
            directory: Where relative paths begin.
            past: The store to read instead of the present one, and the run that short references mean.
        """
        self.repository = repository
        self.directory = directory
        self._stamp = stamp
        self._store: LocalStore | None = None
        self._meant: str | None = None
        if past is not None:
            self._store, self._meant = past

    @classmethod
    def open(cls, start: str | Path = ".", *, actor: Actor | None = None, stamp: Stamp | None = None) -> Self:
        """Open the ledger of the repository that contains ``start``; none is made before it is written to.

        Args:
            start: A directory in the repository.
            actor: Who acts; by default what ``LEDGER_ACTOR`` claims (``kind:name:session``).
            stamp: Source of ids and times, for repeatable tests.

        Raises:
            NotARepository: There is no repository.
            UnsupportedRepository: It cannot be written safely.
            InvalidActor: ``LEDGER_ACTOR`` is malformed.
        """
        if stamp is None:
            stamp = Stamp(actor=actor or parse_actor(os.environ.get("LEDGER_ACTOR", "")))
        return cls(Repository.open(Path(start)), stamp, Path(start))

    @property
    def sync_failed(self) -> bool:
        """Whether events were left out of what was read, since the disk did not confirm them."""
        return self._store is not None and self._store.sync_failed

    def close(self) -> None:
        """Release what is open. Everything written is on the disk already."""
        if self._store is not None:
            self._store.close()

    def __enter__(self) -> Self:
        """Return the ledger itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Close it."""
        self.close()

    @property
    def path(self) -> Path:
        """The ledger's directory, whether or not it exists yet."""
        return self.repository.ledger_dir

    @property
    def store(self) -> LocalStore:
        """The store, for reading.

        Raises:
            NoLedger: Nothing was ever recorded here.
            NewerFormat: A later version wrote it.
        """
        if self._store is None:
            self._store = LocalStore.open(self.path, self._stamp)
        return self._store

    def runs(self) -> list[RunHead]:
        """Return the head of every run, the newest first."""
        heads = (head for head in self.store.heads().values() if head.base_tree)
        return sorted(heads, key=lambda head: -head.position)

    def _reading_workspace(self) -> Workspace | None:
        """Return the workspace to look at, None where nothing was recorded yet."""
        if not self.path.joinpath("FORMAT").exists():
            return None
        return Workspace(self.repository, self.store, self._stamp)

    def resolve(self, reference: str = "@") -> tuple[str, int]:
        """Return the run and version that a reference names.

        Raises:
            UnknownReference: It names no event.
            AmbiguousReference: It names several.
        """
        return self._references().resolve(reference)

    def resolve_range(self, text: str = "") -> EventRange:
        """Return the events that a range names. See `References.resolve_range`."""
        return self._references().resolve_range(text)

    def _references(self) -> References:
        heads = self.store.heads()
        find, clock = self.repository.find_commit, self._stamp.clock
        return References(heads, self._current(heads), self.events, find, clock)

    def _current(self, heads: Mapping[str, RunHead]) -> str | None:
        """Return what short references mean: the open run, else the last one of this work tree."""
        if self._meant is not None:
            return self._meant
        name = self.repository.work_tree_name
        mine = [
            head for head in heads.values() if head.base_tree and head.work_tree == name and not head.imported
        ]
        best = max(mine, key=lambda head: (head.open, head.position), default=None)
        return None if best is None else best.run

    def as_of(self, reference: str) -> Self:
        """Return the ledger as it was when an event was its last: short references mean the event's run.

        Whatever is asked of it is answered from what was recorded by then; work tree and configuration, which
        it is compared with, are the present ones. It costs a pass over the log up to there.

        Raises:
            UnknownReference: It names no event.
        """
        run, v = self.resolve(reference)
        (frame,) = self.store.of_run(run, v - 1, v)
        return type(self)(self.repository, self._stamp, self.directory, (self.store.as_of(frame.s), run))

    def events(self, run: str | None = None, until_v: int | None = None) -> Iterator[AnyEvent]:
        """Yield the events of one run (the current one by default), in order, up to a version."""
        wanted = run or self._current(self.store.heads())
        if wanted is not None:
            for frame in self.store.of_run(wanted, until_v=until_v):
                yield frame.event

    def events_backward(self, run: str | None = None, until_v: int | None = None) -> Iterator[AnyEvent]:
        """Yield the events of one run (the current one by default), the newest first, from a version on.

        Reads the log from its end: the newest events of a run cost the same however long the log is.
        """
        wanted = run or self._current(self.store.heads())
        for frame in self.store.backward(wanted, until_v):
            event = frame.event
            if event.run == wanted and (until_v is None or event.v <= until_v):
                yield event
                if event.v == 1:
                    return

    def event(self, reference: str) -> AnyEvent:
        """Return one event.

        Raises:
            UnknownReference: It names none.
        """
        run, v = self.resolve(reference)
        for frame in self.store.of_run(run, v - 1, v):
            return frame.event
        raise UnknownReference(reference, "the log does not hold it any more")

    def body(self, digest: str) -> bytes:
        """Return a body: patch bytes, a note, an error's text, a base listing.

        Raises:
            DroppedBody: Somebody dropped it.
            DamagedLedger: It is missing, or damaged.
        """
        return self.store.read_body(digest)

    def history(self, reference: str = "@") -> History:
        """Return a run's history up to an event: its live states, and what is accepted.

        Raises:
            UnknownReference: It names no event.
        """
        run, v = self.resolve(reference)
        return History.of(self.events(run, v), v)

    def compare_policy(
        self, reference: str = "@", *, policy: Path | None = None, profile: str = ""
    ) -> Comparison:
        """Return what another policy would have accepted up to an event. See `counterfactual.compare`.

        Args:
            reference: The event.
            policy: A configuration file in the form of ``ledger.toml`` or ``pyproject.toml``; by default
                what the run has recorded last.
            profile: The profile; by default the one that the file names, else the one in force.

        Raises:
            UnknownReference: The reference names no event.
            UnknownName: There is no such profile.
            InvalidConfiguration: The file cannot be read as a configuration.
            OSError: There is no such file.
        """
        from ledger.counterfactual import choose_policy, compare

        run, v = self.resolve(reference)
        present = History.of(self.events(run, v), v).policy_set
        other = choose_policy(run, present, policy, profile)
        return compare(run, self.events(run, v), v, other)

    def state(self, reference: str = "@") -> State:
        """Return the candidate at an event by the fold, checked against the recorded tree (P3).

        Raises:
            UnknownReference: It names no event.
            ReplayMismatch: The files do not hash to the recorded tree.
        """
        from ledger.errors import ReplayMismatch
        from ledger.state import fold_state, tree_oid

        run, v = self.resolve(reference)
        state = fold_state(self.events(run, v), self.store.read_body, v)
        if state is None:
            raise UnknownReference(reference, f"run {run} has no tree")
        if (got := tree_oid(state.files).hex()) != state.recorded_tree:
            raise ReplayMismatch(f"{run}:{v}", state.recorded_tree, got)
        return state

    def accepted_state(self, reference: str = "@") -> State:
        """Return the accepted state as of an event: the gate-filtered one, checked as `state` is.

        Raises:
            UnknownReference: It names no event.
            ReplayMismatch: The files do not hash to the recorded tree.
        """
        accepted = self.history(reference).accepted
        run, _ = self.resolve(reference)
        return self.state(f"{run}:{accepted.v}")

    def tree(self, reference: str = "@") -> str:
        """Return the tree of the candidate at an event.

        Raises:
            UnknownReference: It names no event.
        """
        return self.history(reference).candidate.tree

    def cat(self, path: bytes, reference: str = "@") -> bytes:
        """Return a file's bytes in Git, as the candidate at an event has it; of a submodule its commit's id.

        Raises:
            UnknownReference: The reference names no event.
            NoSuchPath: There is no such file.
            MissingObject: The repository does not have its content any more.
        """
        from ledger.filehistory import entry_of
        from patches.model import MODE_GITLINK

        entry = entry_of(self.state(reference), path)
        if entry.mode == MODE_GITLINK:
            return entry.oid.hex().encode() + b"\n"
        return self.repository.objects.read_blob(entry.oid)

    def diff(self, old: str = "green", new: str = "@", paths: Sequence[bytes] = ()) -> bytes:
        """Return the patch that brings the candidate of one event to that of another.

        Args:
            old: An event; by default that of the accepted state.
            new: An event, of any run.
            paths: Files, and directories for all below them; by default everything.

        Raises:
            UnknownReference: One of them names no event.
            DiffFailed: The git program is not there, or the repository has not both trees any more.
        """
        from patches.diff import diff_trees

        first, second = (bytes.fromhex(self.tree(reference)) for reference in (old, new))
        return diff_trees(self.repository.git.path, first, second, paths)

    def file_events(self, path: bytes, reference: str = "@") -> Iterator[Touched]:
        """Yield the events of a run up to one that changed a file, the newest first. See `filehistory.trace`.

        Raises:
            UnknownReference: The reference names no event.
            NoSuchPath: No event changed such a file or anything below such a directory, and there is none.
        """
        from ledger.filehistory import entry_of, trace

        run, v = self.resolve(reference)
        found = False
        for touched in trace(self.events_backward(run, v), path):
            found = True
            yield touched
        if not found:
            state = self.state(f"{run}:{v}")
            if not any(name.startswith(path + b"/") for name in state.files):
                entry_of(state, path)

    def blame(self, path: bytes, reference: str = "@") -> list[BlamedLine]:
        """Return each line of a file with the event that it comes from. See `filehistory.blame`.

        Raises:
            UnknownReference: The reference names no event.
            NoSuchPath: There is no such file.
            MissingObject: The repository has not every version of it any more.
        """
        from ledger.filehistory import blame

        run, v = self.resolve(reference)
        state = self.state(f"{run}:{v}")
        return blame(self.events(run, v), state, path, self.repository.objects.read_blob)

    def replay(self, until: str = "@", *, start: str = "", into: Path | None = None) -> Iterator[Step]:
        """Replay a run through the stored patch bytes, each tree checked (P4).

        Args:
            until: The event to stop after.
            start: The event to begin at, of the same run: its recorded tree is taken as it is, and all of its
                objects must be there. By default the run's base.
            into: A directory that must not exist or be empty; it gets the files once the last
                tree was checked.

        Raises:
            UnknownReference: One of them names no event, or ``start`` comes after ``until``.
            ReplayMismatch: A patch gives another tree than recorded. ``into`` was not written.
            MissingObject: The repository has not all of the tree to begin at. ``into`` was not written.
            DirectoryInUse: ``into`` is not empty. Nothing was written.
        """
        from ledger.replay import replay, write_tree_into
        from patches.scratchobjects import ScratchObjects

        run, v = self.resolve(until)
        from_v = self.resolve_range(f"{run}:..{start}").until_v if start else 0
        if from_v > v:
            raise UnknownReference(start, f"it comes after {run}:{v}, where the replay stops")
        objects = ScratchObjects(self.repository.git)
        last: Tree | None = None
        for step, tree in replay(self.events(run, v), self.store, objects, v, from_v=from_v):
            last = tree
            yield step
        if into is not None and last is not None:
            write_tree_into(last, objects, into)


def parse_actor(text: str) -> Actor:
    """Return the actor that ``kind[:name[:session]]`` claims; an empty text claims nothing.

    Raises:
        InvalidActor: There are more than three parts, or no kind, or characters that no name has.
    """
    parts = text.split(":")
    if not text:
        return Actor()
    if len(parts) > len(Actor.__struct_fields__) or not parts[0] or not text.isprintable():
        raise InvalidActor(text)
    return Actor(*parts)

"""The public interface: a `Ledger` to ask, and its `Run` to write. One to one with the command line.

with Ledger.open(".") as ledger, ledger.run("port to 3.13") as run:
    applied = run.apply(Path("fix.diff").read_bytes())
    print(applied.event, applied.tree, ledger.sql("select * from patch_files").fetchall())
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ledger.errors import NoRun
from ledger.events import CheckFound, PhaseEntered, PolicySet
from ledger.heads import RunHead
from ledger.operations import patching, phases, runs
from ledger.operations.outcome import Applied
from ledger.reading import LedgerReader
from ledger.store.local import LocalStore
from ledger.workspace import Workspace

if TYPE_CHECKING:
    from ledger.operations.committing import Committed
    from ledger.operations.gating import GateOptions, Progress
    from ledger.operations.rebasing import Rebased
    from ledger.operations.series import Trial
    from ledger.operations.verdicts import Gated
    from patches.canonicalization import Plan


class Ledger(LedgerReader):
    """The ledger of one repository, seen from one of its work trees: all of `LedgerReader`, and writing."""

    @cached_property
    def _workspace(self) -> Workspace:
        if self._store is None:
            self._store = LocalStore.open(self.path, self._stamp, create=True)
        return Workspace(self.repository, self._store, self._stamp)

    def run(self, title: str, *, name: str = "", profile: str = "") -> Run:
        """Start a run on HEAD's tree.

        Args:
            title: What it is about.
            name: Its name; by default the title's words and four random digits.
            profile: The policy's profile; by default what the configuration says.

        Raises:
            RunOpen: A run is open in this work tree.
            RunName: The name is taken or malformed.
            InvalidConfiguration: The policy's configuration cannot be read.
        """
        return Run(self._workspace, runs.start(self._workspace, title, name, profile).run)

    def current_run(self) -> Run:
        """Return the run that is open in this work tree.

        Raises:
            NoRun: None is.
        """
        head = self._workspace.open_run()
        if head is None:
            raise NoRun
        return Run(self._workspace, head.run)

    def apply(self, patch: bytes, *, source: str = "-", note: str = "") -> Applied:
        """Apply a patch in the open run, or in a new one where none is open. See `patching.apply`."""
        return patching.apply(self._workspace, patch, source=source, note=note)

    def apply_again(self, reference: str, *, note: str = "") -> Applied:
        """Apply the patch of an earlier event once more. See `patching.apply_again`."""
        return patching.apply_again(self._workspace, self.event(reference), note=note)

    def record(self, *, note: str = "") -> Applied:
        """Record edits made past the ledger, in the open run or a new one. See `patching.record`."""
        return patching.record(self._workspace, note=note)

    def move(
        self,
        sources: Sequence[bytes],
        destination: bytes,
        *,
        force: bool = False,
        skip_errors: bool = False,
        must_exist: Iterable[str] = (),
        must_not_exist: Iterable[str] = (),
        note: str = "",
    ) -> Applied:
        """Move files as ``git mv`` does. Globs are Git's. See `moving.move`."""
        from ledger.operations import moving

        checks = [
            *(CheckFound("must-exist", glob, 0) for glob in must_exist),
            *(CheckFound("must-not-exist", glob, 0) for glob in must_not_exist),
        ]
        return moving.move(
            self._workspace,
            sources,
            destination,
            force=force,
            skip_errors=skip_errors,
            checks=checks,
            note=note,
        )

    def canonicalize(self, plan: Plan, *, note: str = "") -> Applied:
        """Carry out a plan that brings suffixed backups back to one file. See `moving.canonicalize`."""
        from ledger.operations import moving

        return moving.canonicalize(self._workspace, plan, note=note)

    def undo(self, *, with_drift: bool = False) -> Applied:
        """Take away the newest live state of the open run. See `rollback.undo`."""
        from ledger.operations import rollback

        return rollback.undo(self._workspace, with_drift=with_drift)

    def enter_phase(self, phase: str, *, note: str = "") -> PhaseEntered:
        """Enter a phase of the open run, or of a new one. See `phases.enter`."""
        return phases.enter(self._workspace, phase, note=note)

    def gate(self, options: GateOptions | None = None, progress: Progress | None = None) -> Gated:
        """Measure the candidate. See `gating.gate`."""
        from ledger.operations import gating

        return gating.gate(self._workspace, options or gating.GateOptions(), progress or _no_progress)

    def gate_each(self, options: GateOptions | None = None, progress: Progress | None = None) -> list[Trial]:
        """Measure every patch past the accepted state by itself. See `series.gate_each`."""
        from ledger.operations import gating, series

        return series.gate_each(self._workspace, options or gating.GateOptions(), progress or _no_progress)

    def accept_policy(self, *, profile: str = "", reason: str = "") -> PolicySet | None:
        """Let the configuration as it is now be the policy in force. See `operations.policy.accept`."""
        from ledger.operations import policy

        return policy.accept(self._workspace, profile=profile, reason=reason)

    def commit(self, message: str, *, candidate: bool = False) -> Committed:
        """Commit the accepted state. See `committing.commit`."""
        from ledger.operations import committing

        return committing.commit(self._workspace, message, candidate=candidate)

    def rebase(self, *, skip: Collection[int] = (), replace: Mapping[int, bytes] | None = None) -> Rebased:
        """Let the open run go on from where HEAD is now. See `rebasing.rebase`."""
        from ledger.operations import rebasing

        return rebasing.rebase(self._workspace, skip=skip, replace=replace)

    def finish(self, *, waive: str = "", abandon: bool = False) -> Applied:
        """Finish the open run; in phase P6 that finalizes it. See `runs.finish`."""
        return runs.finish(self._workspace, waive=waive, abandon=abandon)


class Run:
    """An open run. As a context manager it is finished at the end, unless an exception left the block."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        self._workspace = workspace
        self.name = name

    def __enter__(self) -> Self:
        """Return the run itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the run; after an exception it stays open, so that one can look and go on."""
        if kind is None:
            self.finish()

    @property
    def head(self) -> RunHead:
        """Where the run stands."""
        return self._workspace.store.heads()[self.name]

    def apply(self, patch: bytes, *, source: str = "-", note: str = "") -> Applied:
        """Apply a patch wholly or not at all, and record it. See `patching.apply`."""
        return patching.apply(self._workspace, patch, source=source, note=note, run=self.name)

    def record(self, *, note: str = "") -> Applied:
        """Record edits made past the ledger. See `patching.record`."""
        return patching.record(self._workspace, note=note, run=self.name)

    def finish(self) -> Applied:
        """Finish the run."""
        return runs.finish(self._workspace, run=self.name)


def _no_progress(gate: str, line: str) -> None:
    """Show nothing."""

"""The public interface: a `Ledger` to ask, and its `Run` to write. One to one with the command line.

with Ledger.open(".") as ledger, ledger.run("port to 3.13") as run:
    applied = run.apply(Path("fix.diff").read_bytes())
    print(applied.event, applied.tree, ledger.sql("select * from patch_files").fetchall())
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from ledger.applyflags import NO_FLAGS, ApplyFlags
from ledger.bundles import LIMIT_BYTES
from ledger.errors import NoRun
from ledger.events import (
    BodyDropped,
    CheckFound,
    CommitSeen,
    ErrorCaptured,
    Event,
    GateMeasured,
    PatchApplied,
    PatchRolledBack,
    PhaseEntered,
    PolicySet,
    QuestionAnswered,
    QuestionRetired,
    RetentionApplied,
    RunFinished,
    RunImported,
    RunRebased,
    RunStarted,
)
from ledger.history import StateAt
from ledger.openrun import Run
from ledger.operations import patching, phases, runs
from ledger.operations.outcome import Applied
from ledger.operations.planning import Offer
from ledger.provenance import Provenance
from ledger.reading import LedgerReader
from ledger.requests import Request, parse_id
from ledger.store.local import LocalStore
from ledger.workspace import Workspace

if TYPE_CHECKING:
    from ledger.operations.checkpointing import Checkpointed, Target
    from ledger.operations.committing import Committed
    from ledger.operations.errorimport import Imported as ImportedErrors
    from ledger.operations.exporting import Exported
    from ledger.operations.gating import GateOptions, Progress
    from ledger.operations.importing import Imported
    from ledger.operations.rebasing import Rebased
    from ledger.operations.redacting import Redacted
    from ledger.operations.retention import Retention
    from ledger.operations.series import Trial
    from ledger.operations.steps import Stepped
    from ledger.operations.verdicts import Gated
    from ledger.store.sealed import Seal
    from patches.canonicalization import Plan

__all__ = ["Ledger", "Run"]


class Ledger(LedgerReader):
    """The ledger of one repository, seen from one of its work trees: all of `LedgerReader`, and writing."""

    _given_id = ""

    @cached_property
    def _workspace(self) -> Workspace:
        if self._store is None:
            self._store = LocalStore.open(self.path, self._stamp, create=True)
        return Workspace(self.repository, self._store, self._stamp)

    @contextmanager
    def once(self, id_: str) -> Generator[None]:
        """Give the next change an id, so that asking for it again is harmless; "" gives none.

        Within, the first call that writes gives the event that it makes the id. Where that event is in the
        ledger already, the call writes nothing and raises `AlreadyDone` with it.

        Args:
            id_: A UUID of version 7 (RFC 9562), as ``ledger id`` prints.

        Raises:
            InvalidId: It is none.
            IdTaken: Its event was asked for in other words (from the call).
        """
        self._given_id = parse_id(id_) if id_ else ""
        try:
            yield
        finally:
            self._given_id = ""
            if self._store is not None:
                self._workspace.request = None

    @property
    def captured(self) -> Sequence[ErrorCaptured]:
        """The errors that were recorded since this was opened."""
        return self._workspace.captured if "_workspace" in self.__dict__ else ()

    @property
    def warnings(self) -> Sequence[str]:
        """What a person should know although nothing failed."""
        return self._workspace.warnings if "_workspace" in self.__dict__ else ()

    @property
    def has_id(self) -> bool:
        """Whether the next change is given an id."""
        return bool(self._given_id)

    def _asking(self, kind: type[Event], command: str, **given: object) -> Workspace:
        """Return the workspace, told which event the id of `once` is for."""
        workspace = self._workspace
        workspace.request = Request(self._given_id, kind, command, given) if self._given_id else None
        self._given_id = ""
        return workspace

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
        workspace = self._asking(RunStarted, "run start", title=title, name=name, profile=profile)
        return Run(workspace, runs.start(workspace, title, name, profile).run)

    def current_run(self) -> Run:
        """Return the run that is open in this work tree.

        Raises:
            NoRun: None is.
        """
        head = self._workspace.open_run()
        if head is None:
            raise NoRun
        return Run(self._workspace, head.run)

    def apply(
        self,
        patch: bytes,
        *,
        source: str = "-",
        note: str = "",
        flags: ApplyFlags = NO_FLAGS,
        allow_secrets: bool = False,
    ) -> Applied:
        """Apply a patch in the open run, or in a new one where none is open. See `patching.apply_all`."""
        offer = Offer(patch, Provenance(source=source, flags=flags))
        (applied,) = self.apply_all([offer], note=note, allow_secrets=allow_secrets)
        return applied

    def apply_all(
        self, offers: Sequence[Offer], *, note: str = "", allow_secrets: bool = False
    ) -> tuple[Applied, ...]:
        """Apply patches in turn, all of them or none. See `patching.apply_all`.

        The id of `once` is that of the first event; it is asked for with all of them.
        """
        first, *others = (offer.data for offer in offers)
        given: dict[str, object] = {"patch": first, "note": note, "allow_secrets": allow_secrets}
        # A request without others and without flags is what it was before there were any.
        if others:
            given["others"] = others
        flags = [str(offer.provenance.flags) for offer in offers]
        if any(flags):
            given["flags"] = flags
        workspace = self._asking(PatchApplied, "apply", **given)
        return patching.apply_all(workspace, offers, note=note, allow_secrets=allow_secrets)

    def apply_again(self, reference: str, *, note: str = "", allow_secrets: bool = False) -> Applied:
        """Apply the patch of an earlier event once more. See `patching.apply_again`."""
        event = self.event(reference)
        given = {"event": event.id, "note": note, "allow_secrets": allow_secrets}
        workspace = self._asking(PatchApplied, "apply --again", **given)
        return patching.apply_again(workspace, event, note=note, allow_secrets=allow_secrets)

    def record(self, *, note: str = "", allow_secrets: bool = False) -> Applied:
        """Record edits made past the ledger, in the open run or a new one. See `patching.record`."""
        workspace = self._asking(PatchApplied, "record", note=note, allow_secrets=allow_secrets)
        return patching.record(workspace, note=note, allow_secrets=allow_secrets)

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
        allow_secrets: bool = False,
    ) -> Applied:
        """Move files as ``git mv`` does. Globs are Git's. See `moving.move`."""
        from ledger.operations import moving

        checks = [
            *(CheckFound("must-exist", glob, 0) for glob in must_exist),
            *(CheckFound("must-not-exist", glob, 0) for glob in must_not_exist),
        ]
        given = {
            "paths": [*sources, destination],
            "checks": [(check.rule, check.glob) for check in checks],
            "options": [force, skip_errors, note, allow_secrets],
        }
        workspace = self._asking(PatchApplied, "mv", **given)
        return moving.move(
            workspace,
            sources,
            destination,
            force=force,
            skip_errors=skip_errors,
            checks=checks,
            note=note,
            allow_secrets=allow_secrets,
        )

    def canonicalize(self, plan: Plan, *, note: str = "", allow_secrets: bool = False) -> Applied:
        """Carry out a plan that brings suffixed backups back to one file. See `moving.canonicalize`."""
        from ledger.operations import moving

        given = {"plan": msgspec.msgpack.encode(plan), "note": note, "allow_secrets": allow_secrets}
        workspace = self._asking(PatchApplied, "canonicalize", **given)
        return moving.canonicalize(workspace, plan, note=note, allow_secrets=allow_secrets)

    def undo(self, *, with_drift: bool = False) -> Applied:
        """Take away the newest live state of the open run. See `rollback.undo`."""
        from ledger.operations import rollback

        workspace = self._asking(PatchRolledBack, "undo", with_drift=with_drift)
        return rollback.undo(workspace, with_drift=with_drift)

    def enter_phase(self, phase: str, *, note: str = "") -> PhaseEntered:
        """Enter a phase of the open run, or of a new one. See `phases.enter`."""
        return phases.enter(self._asking(PhaseEntered, "phase", phase=phase, note=note), phase, note=note)

    def capture_error(self, step: str, message: str, *, context: str = "") -> ErrorCaptured:
        """Record an error that a step met, in the open run or a new one. See `questions.capture`."""
        from ledger.operations import questions
        from ledger.operations.captures import Capture

        workspace = self._asking(ErrorCaptured, "error", step=step, message=message, context=context)
        return questions.capture(workspace, Capture(step=step, message=message, context=context))

    def capture_crash(self, command: str, message: str, trace: str) -> ErrorCaptured | None:
        """Record that a command of ours broke down, in the open run. See `questions.capture_crash`."""
        from ledger.operations import questions

        if not self.path.joinpath("FORMAT").exists():
            return None
        return questions.capture_crash(self._workspace, command, message, trace)

    def write_questions(self, *, force: bool = False) -> tuple[str, bool]:
        """Write the questions file; return its path, and whether it had to be. See `questions.write_file`."""
        from ledger.operations import questions

        return questions.write_file(self._workspace, force=force)

    def run_step(
        self,
        step: str,
        command: Sequence[str],
        receive: Callable[[str, bytes], None],
        *,
        context: str = "",
        timeout_s: float | None = None,
    ) -> Stepped:
        """Run a command for a step, and record the error that it ends with. See `steps.run_step`."""
        from ledger.operations import steps

        given = {"step": step, "words": list(command), "context": context}
        workspace = self._asking(ErrorCaptured, "run-step", **given)
        return steps.run_step(workspace, step, command, receive, context=context, timeout_s=timeout_s)

    def answer(self, reference: str, text: str) -> QuestionAnswered:
        """Record the answer to an open question of the open run. See `questions.answer`."""
        from ledger.operations import questions

        run, v = self.resolve(reference)
        workspace = self._asking(QuestionAnswered, "answer", run=run, v=v, text=text)
        return questions.answer(workspace, v, text, run=run)

    def retire(self, *references: str, reason: str = "") -> tuple[QuestionRetired, ...]:
        """Record that open questions of the open run need no answer, all or none. See `questions.retire`."""
        from ledger.operations import questions

        (run, v), *others = (self.resolve(reference) for reference in references)
        given: dict[str, object] = {"run": run, "v": v, "reason": reason}
        if others:
            given["others"] = others
        workspace = self._asking(QuestionRetired, "retire", **given)
        return questions.retire(workspace, [(run, v), *others], reason=reason)

    def gate(self, options: GateOptions | None = None, progress: Progress | None = None) -> Gated:
        """Measure the candidate. See `gating.gate`."""
        from ledger.operations import gating

        options = options or gating.GateOptions()
        workspace = self._asking(GateMeasured, "gate", options=msgspec.to_builtins(options))
        return gating.gate(workspace, options, progress or _no_progress)

    def gate_again(
        self, event: PatchApplied, options: GateOptions | None = None, progress: Progress | None = None
    ) -> Gated:
        """Measure the state of a patch, or recall what came of it. See `gating.gate_again`."""
        from ledger.operations import gating

        options = options or gating.GateOptions()
        state = StateAt(event.v, event.result_tree)
        return gating.gate_again(self._workspace, event.run, state, options, progress or _no_progress)

    def gate_each(self, options: GateOptions | None = None, progress: Progress | None = None) -> list[Trial]:
        """Measure every patch past the accepted state by itself. See `series.gate_each`."""
        from ledger.operations import gating, series

        return series.gate_each(self._workspace, options or gating.GateOptions(), progress or _no_progress)

    def accept_policy(self, *, profile: str = "", reason: str = "") -> PolicySet | None:
        """Let the configuration as it is now be the policy in force. See `operations.policy.accept`."""
        from ledger.operations import policy

        workspace = self._asking(PolicySet, "policy accept", profile=profile, reason=reason)
        return policy.accept(workspace, profile=profile, reason=reason)

    def commit(
        self,
        message: str = "",
        *,
        author: str = "",
        date: str = "",
        reuse: str = "",
        reset_author: bool = False,
        candidate: bool = False,
    ) -> Committed:
        """Commit the accepted state; ``reuse`` names an event, for its mail. See `committing.commit`."""
        from ledger.operations import committing
        from ledger.operations.authorship import Authorship

        run, v = self.resolve(reuse) if reuse else ("", None)
        asked = Authorship(message=message, author=author, date=date, reuse=v, reset_author=reset_author)
        # A request that asks for none of it is what it was before there was any.
        given = {k: w for k, w in msgspec.structs.asdict(asked).items() if w not in ("", None, False)}
        workspace = self._asking(
            CommitSeen, "commit", **{"message": message, **given, "candidate": candidate}
        )
        return committing.commit(workspace, asked, candidate=candidate, run=run)

    def rebase(
        self,
        *,
        skip: Collection[int] = (),
        replace: Mapping[int, bytes] | None = None,
        go_on: bool = False,
        allow_secrets: bool = False,
    ) -> Rebased:
        """Let the open run go on from where HEAD is now. See `rebasing.rebase`."""
        from ledger.operations import rebasing

        replaced = {str(v): data for v, data in (replace or {}).items()}
        given = {"skip": sorted(skip), "replace": replaced, "allow_secrets": allow_secrets}
        workspace = self._asking(RunRebased, "run rebase", **given)
        return rebasing.rebase(
            workspace, skip=skip, replace=replace, go_on=go_on, allow_secrets=allow_secrets
        )

    def abort_rebase(self) -> bool:
        """Forget the answers of a rebase that was stopped. See `rebasing.forget_answers`."""
        from ledger.operations import rebasing

        return rebasing.forget_answers(self._workspace)

    def checkpoint(
        self, *, key: Path | None = None, key_name: str = "", targets: Sequence[Target] = ()
    ) -> Checkpointed:
        """Make a checkpoint of the log, and keep it. Writes no event. See `checkpointing.checkpoint`.

        Args:
            key: A private key's file, to sign it with.
            key_name: Whom the signature names; by default what the key's ``.pub`` file says.
            targets: Files, ``"git-note"``, ``"git-tag"``.

        Raises:
            BadKey: ``key`` cannot be used. Nothing was written.
        """
        from ledger.keys import read_signing_key
        from ledger.operations import checkpointing

        signing = None if key is None else read_signing_key(key, key_name)
        return checkpointing.checkpoint(self.store, self.repository, signing, targets)

    def redact(
        self, reference: str, *, names: Collection[str] = (), reason: str = "", dry_run: bool = False
    ) -> Redacted:
        """Drop bodies of an event, and list the copies elsewhere. See `redacting.redact`."""
        from ledger.operations import redacting

        event = self.event(reference)
        given = {"event": event.id, "names": sorted(names), "reason": reason}
        workspace = self._asking(BodyDropped, "redact", **given)
        return redacting.redact(workspace, event, names=names, reason=reason, dry_run=dry_run)

    def export_runs(self, runs: Sequence[str], target: Path | IO[bytes], *, force: bool = False) -> Exported:
        """Write runs as one file. See `exporting.export_runs`."""
        from ledger.operations import exporting

        return exporting.export_runs(self.store, runs, target, force=force)

    def import_runs(self, path: Path, *, limit_bytes: int = LIMIT_BYTES) -> list[Imported]:
        """Take the runs of an export file in, proved first. See `importing.import_runs`."""
        from ledger.operations import importing

        workspace = self._workspace
        if self.has_id:
            workspace = self._asking(RunImported, "import", file=path.read_bytes())
        return importing.import_runs(workspace, path, limit_bytes=limit_bytes)

    def import_errors(self, paths: Sequence[Path], *, strict: bool = False) -> ImportedErrors:
        """Take the errors of old files in; ``strict``: all or nothing. See `errorimport.import_errors`."""
        from ledger.operations import errorimport

        files = errorimport.read_files(self.repository, paths)
        if strict:
            errorimport.refuse_rest(files)
        given = [[file.origin, file.found.text.encode("utf-8", "backslashreplace")] for file in files]
        return errorimport.import_errors(self._asking(ErrorCaptured, "import errors", files=given), files)

    def finish(self, *, waive: str = "", abandon: bool = False) -> Applied:
        """Finish the open run; in phase P6 that finalizes it. See `runs.finish`."""
        workspace = self._asking(RunFinished, "run finish", waive=waive, abandon=abandon)
        return runs.finish(workspace, waive=waive, abandon=abandon)

    def archive(self) -> list[Seal]:
        """Close the open segment of the log, and seal every closed one. See `LocalStore.archive`.

        Raises:
            NoLedger: Nothing was ever recorded here.
        """
        return self.store.archive()

    def collect(self, keep_ns: int, *, apply: bool = False) -> Retention:
        """Take finished runs out of the ledger whose last event is older. See `operations.retention`.

        Args:
            keep_ns: The age up to which runs are kept, in nanoseconds.
            apply: Do it; otherwise only say what would go.

        Raises:
            NoLedger: Nothing was ever recorded here.
        """
        from ledger.operations import retention

        workspace = Workspace(self.repository, self.store, self._stamp)
        if apply and self.has_id:
            workspace = self._asking(RetentionApplied, "gc", keep_ns=keep_ns)
        take = retention.apply_retention if apply else retention.plan_retention
        return take(workspace, self._stamp.clock() - keep_ns)


def _no_progress(gate: str, line: str) -> None:
    """Show nothing."""

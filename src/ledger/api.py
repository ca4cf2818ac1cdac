"""The public interface: a `Ledger` to ask, and its `Run` to write. One to one with the command line.

with Ledger.open(".") as ledger, ledger.run("port to 3.13") as run:
    applied = run.apply(Path("fix.diff").read_bytes())
    print(applied.event, applied.tree, ledger.sql("select * from patch_files").fetchall())
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from ledger.applyflags import NO_FLAGS, ApplyFlags
from ledger.errors import NoRun
from ledger.events import (
    CheckFound,
    CommitSeen,
    ErrorCaptured,
    GateMeasured,
    PatchApplied,
    PatchRolledBack,
    PhaseEntered,
    PolicySet,
    QuestionAnswered,
    QuestionRetired,
    RunFinished,
    RunRebased,
    RunStarted,
)
from ledger.history import StateAt
from ledger.keeping import LedgerKeeper
from ledger.openrun import Run
from ledger.operations import patching, phases, runs
from ledger.operations.outcome import Applied
from ledger.operations.planning import Offer
from ledger.provenance import Provenance

if TYPE_CHECKING:
    from ledger.operations.branching import Branched
    from ledger.operations.committing import Committed
    from ledger.operations.continuing import ContinuedRun
    from ledger.operations.culprits import Bisected
    from ledger.operations.gating import GateOptions, Progress
    from ledger.operations.rebasing import Rebased
    from ledger.operations.series import Trial
    from ledger.operations.steps import Stepped
    from ledger.operations.verdicts import Gated
    from ledger.operations.watching import Watch
    from patches.canonicalization import Plan

__all__ = ["Ledger", "Run"]


class Ledger(LedgerKeeper):
    """The ledger of one repository, seen from one of its work trees: all of `LedgerKeeper`, and its runs."""

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

    def continue_run(
        self,
        run: str,
        *,
        candidate: bool = False,
        name: str = "",
        profile: str = "",
        allow_secrets: bool = False,
    ) -> ContinuedRun:
        """Start a run that goes on from another one's accepted state. See `continuing.continue_run`."""
        from ledger.operations import continuing

        given = {"of": run, "candidate": candidate, "name": name, "profile": profile}
        workspace = self._asking(RunStarted, "run continue", **given)
        return continuing.continue_run(
            workspace,
            run,
            candidate=candidate,
            name=name,
            profile=profile,
            allow_secrets=allow_secrets,
        )

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

    def watch(self, quiet_s: float, *, note: str = "", allow_secrets: bool = False) -> Watch:
        """Return a watch that records what is edited in the open run. See `watching.Watch`."""
        from ledger.operations import watching

        return watching.Watch(self._workspace, quiet_s=quiet_s, note=note, allow_secrets=allow_secrets)

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

    def undo(self, count: int = 1, *, through: str = "", with_drift: bool = False) -> Applied:
        """Take back the newest operations of the open run; ``through`` names the last. See `undoing.undo`."""
        from ledger.operations import undoing

        run, v = self.resolve(through) if through else ("", None)
        # A request that asks for the newest alone is what it was before there was a choice.
        given = {"count": count} if count != 1 else {}
        given |= {} if v is None else {"through": v}
        workspace = self._asking((PatchApplied, PatchRolledBack), "undo", with_drift=with_drift, **given)
        return undoing.undo(workspace, count, through=v, with_drift=with_drift, run=run)

    def redo(self, count: int = 1, *, with_drift: bool = False) -> Applied:
        """Take again what was undone last. See `undoing.redo`."""
        from ledger.operations import undoing

        kinds = (PatchApplied, PatchRolledBack)
        workspace = self._asking(kinds, "redo", count=count, with_drift=with_drift)
        return undoing.redo(workspace, count, with_drift=with_drift)

    def restore(
        self, reference: str, paths: Sequence[bytes] = (), *, note: str = "", allow_secrets: bool = False
    ) -> Applied:
        """Make the candidate of an event the present one, or some paths of it. See `restoring.restore`."""
        from ledger.operations import restoring

        run, v = self.resolve(reference)
        given = {"run": run, "v": v, "paths": list(paths), "note": note, "allow_secrets": allow_secrets}
        workspace = self._asking(PatchApplied, "restore", **given)
        return restoring.restore(workspace, run, v, paths=paths, note=note, allow_secrets=allow_secrets)

    def branch(
        self, name: str, reference: str = "@", *, squash: bool = False, force: bool = False
    ) -> Branched:
        """Make a Git branch of a run's states up to an event. See `branching.branch`."""
        from ledger.operations import branching

        run, v = self.resolve(reference)
        return branching.branch(self._workspace, name, run, v, squash=squash, force=force)

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

    def plan_gate(self, options: GateOptions | None = None) -> tuple[str, ...]:
        """Return the gates that `gate` would measure. See `gating.plan_gate`."""
        from ledger.operations import gating

        return gating.plan_gate(self._workspace, options or gating.GateOptions())

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

    def bisect(
        self,
        gate: str,
        *,
        good: str = "",
        bad: str = "@",
        progress: Progress | None = None,
        jobs: int = 2,
    ) -> Bisected:
        """Find the first live state on which a gate fails. See `bisecting.bisect`.

        Args:
            gate: The gate's name.
            good: An event at which it passes, of the same run; by default the newest known, else the base.
            bad: An event at which it fails.
            progress: Gets a probe and a line to show, from any thread.
            jobs: How many states are measured side by side.
        """
        from ledger.operations import bisecting

        run, bad_v = self.resolve(bad)
        good_v = self.resolve_range(f"{run}:..{good}").until_v if good else 0
        ends = bisecting.Ends(run, bad_v, good_v)
        return bisecting.bisect(self._workspace, gate, ends, progress or _no_progress, jobs=jobs)

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

    def finish(self, *, waive: str = "", abandon: bool = False) -> Applied:
        """Finish the open run; in phase P6 that finalizes it. See `runs.finish`."""
        workspace = self._asking(RunFinished, "run finish", waive=waive, abandon=abandon)
        return runs.finish(workspace, waive=waive, abandon=abandon)


def _no_progress(gate: str, line: str) -> None:
    """Show nothing."""

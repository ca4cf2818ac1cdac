"""Errors of the ledger: one class for each different thing a caller can do about it.

Facts are attributes, the message is built from them, and ``hint`` names a command that helps.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path


class LedgerError(Exception):
    """Base of everything the ledger raises about its input or its surroundings."""

    hint: str = ""


class NotARepository(LedgerError):
    """No Git repository at or above a directory. Nothing was written."""

    hint = "run `git init`, or name the repository: `ledger -C DIR status`"

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path}: not a Git repository, nor is any parent directory")


class UnsupportedRepository(LedgerError):
    """The repository uses a format that the engine cannot write safely. Nothing was written."""

    hint = "see `git help repository-version`; a plain `git clone` of it has none of these"

    def __init__(self, path: Path, feature: str) -> None:
        self.path, self.feature = path, feature
        super().__init__(f"{path}: unsupported repository format: {feature}")


class NotOwned(LedgerError):
    """The repository is another user's, whose configuration could run commands here. Nothing was written."""

    hint = "if you trust it: `git config --global --add safe.directory DIR`, with the directory named here"

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path}: the repository belongs to another user")


class NoWorkTree(LedgerError):
    """A command that reads the work tree ran in a bare repository. Nothing was written."""

    hint = "`ledger apply` and the reading commands work here; or add one: `git worktree add DIR`"

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path}: a bare repository has no work tree to look at")


class NoLedger(LedgerError):
    """The repository has no ledger yet. Nothing was written."""

    hint = "the first `ledger apply FILE` or `ledger run start TITLE` makes one"

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path}: no ledger here yet")


class NewerFormat(LedgerError):
    """The ledger was written in a later format than this version reads. Nothing was touched."""

    def __init__(self, path: Path, found: str, supported: str) -> None:
        self.path, self.found, self.supported = path, found, supported
        self.hint = (
            f"upgrade: `pip install --upgrade patch-ledger`; the version that reads it supports {found}"
        )
        super().__init__(f"{path}: written in format {found}; this version reads {supported}")


class DamagedLedger(LedgerError):
    """Bytes that were acknowledged are no longer what was written. Reading stops before them."""

    hint = "nothing was changed; `ledger verify` lists the damage; restore the directory from a backup"

    def __init__(self, place: str, reason: str) -> None:
        self.place, self.reason = place, reason
        super().__init__(f"{place}: {reason}")


class DroppedBody(LedgerError):
    """A body is gone because somebody dropped it, as event ``dropped_by`` says. Nothing was written."""

    hint = "`ledger show EVENT` says why; what the event changed is still known by its files"

    def __init__(self, digest: str, dropped_by: str) -> None:
        self.digest, self.dropped_by = digest, dropped_by
        super().__init__(f"body {digest[:12]}: dropped by {dropped_by}")


class NothingToRedact(LedgerError):
    """An event names no body that could be dropped. Nothing was written."""

    hint = "`ledger show EVENT` lists what an event names"

    def __init__(self, event: str, reason: str) -> None:
        self.event, self.reason = event, reason
        super().__init__(f"{event}: {reason}")


class SecretFound(LedgerError):
    """A patch adds what looks like secrets. Nothing of it was stored; no secret is in the message."""

    hint = (
        "take it out; where it is none, mark its line `pragma: allowlist secret`, "
        "or record it all the same with `--allow-secrets`"
    )

    def __init__(self, sightings: Sequence[str]) -> None:
        self.sightings = tuple(sightings)
        first, *more = self.sightings
        super().__init__(f"the patch adds what looks like a secret: {first}")
        for each in more:
            self.add_note(f"and {each}")


class UnsyncedLog(LedgerError):
    """A write to the log was not confirmed by the disk; appending has stopped (P1)."""

    hint = "check the disk; the acknowledged events are safe: `ledger verify`"

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: the disk did not confirm a write: {reason}")


class LostRace(LedgerError):
    """Another process appended to the run first. Nothing was appended."""

    hint = "look at what happened with `ledger log`, then run the command again"

    def __init__(self, run: str, expected: int, head: int) -> None:
        self.run, self.expected, self.head = run, expected, head
        super().__init__(f"run {run}: expected to append version {expected}, the run is at {head} already")


class Busy(LedgerError):
    """Another process holds the run's lock. Nothing was written."""

    hint = "run the command again in a moment; `ledger status` reads without the lock"

    def __init__(self, path: Path, waited_s: float) -> None:
        self.path, self.waited_s = path, waited_s
        super().__init__(f"{path}: held by another process (waited {waited_s:g} s)")


class ProjectionPending(LedgerError):
    """The event is recorded, but the work tree or index could not follow yet."""

    hint = "when the obstacle is gone, `ledger status` tells and the next writing command finishes it"

    def __init__(self, event: str, reason: str) -> None:
        self.event, self.reason = event, reason
        super().__init__(f"{event} is recorded; the work tree could not follow: {reason}")


class UnknownKind(LedgerError):
    """A state was asked for past an event that this version does not understand."""

    hint = "upgrade: `pip install --upgrade patch-ledger`"

    def __init__(self, event: str, kind: str) -> None:
        self.event, self.kind = event, kind
        super().__init__(f"{event}: kind {kind} changes the tree and is not known to this version")


class RunOpen(LedgerError):
    """The work tree has an open run already. Nothing was written."""

    hint = "go on in it, or end it with `ledger run finish`"

    def __init__(self, run: str) -> None:
        self.run = run
        super().__init__(f"run {run} is open in this work tree")


class NoRun(LedgerError):
    """The command needs a run. Nothing was written."""

    hint = 'start one: `ledger run start "what it is about"`, or `ledger apply FILE`'

    def __init__(self, reason: str = "no run is open in this work tree") -> None:
        super().__init__(reason)


class RunName(LedgerError):
    """A run name is taken or is not a name. Nothing was written."""

    hint = "names are lower case letters, digits, dots and dashes, and start with a letter"

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"{name}: {reason}")


class HeadMoved(LedgerError):
    """HEAD's commit is none that the run explains (a pull, a rebase, a checkout). Nothing was written."""

    hint = "go on from there: `ledger run rebase`; or end the run on its own base: `ledger run finish`"

    def __init__(self, run: str, commit: str, tree: str) -> None:
        self.run, self.commit, self.tree = run, commit, tree
        super().__init__(f"HEAD moved to {commit[:12]}, whose tree {tree[:12]} is no state of run {run}")


class PhaseForbids(LedgerError):
    """The policy keeps the run's phase free of patches, or does not let it go back. Nothing was written."""

    def __init__(self, run: str, phase: str, allowed: Sequence[str], wanted: str = "") -> None:
        self.run, self.phase, self.allowed, self.wanted = run, phase, tuple(allowed), wanted
        if wanted:
            self.hint = "go on: `ledger phase next`; or change `phases.order`, and `ledger policy accept`"
            super().__init__(f"run {run} is in {phase}: the policy does not let it go back to {wanted}")
        else:
            self.hint = f"`ledger phase {self.allowed[0]}`" if allowed else "see `ledger policy show`"
            where = f"in {phase}" if phase else "in no phase yet"
            takes = ", ".join(self.allowed) or "no phase"
            super().__init__(f"run {run} is {where}: the policy takes patches only in {takes}")


class NotCandidate(LedgerError):
    """The work tree is not the tree that is to be measured. Nothing was measured."""

    hint = "take the edits in with `ledger record`, or measure without them: `ledger gate --isolated`"

    def __init__(self, run: str, tree: str, drift: Sequence[str]) -> None:
        self.run, self.tree, self.drift = run, tree, tuple(drift)
        shown = ", ".join(self.drift[:5]) + (f" and {len(drift) - 5} more" if len(drift) > 5 else "")
        super().__init__(f"the work tree is not the candidate {tree[:12]}: {shown}")


class UnresolvedConflicts(LedgerError):
    """Files of the candidate hold the markers of a merge whose conflicts were kept. Nothing was measured."""

    hint = "edit them and take that in with `ledger record`, or take the patch away with `ledger undo`"

    def __init__(self, run: str, found: Sequence[tuple[str, int]]) -> None:
        self.run, self.found = run, tuple(found)
        where = "".join(f"\n  {path}: line {line}" for path, line in self.found)
        super().__init__(f"no gate measures {run} with unresolved conflicts{where}")


class UnknownName(LedgerError):
    """A gate, profile or phase of this name does not exist. Nothing was done."""

    hint = "`ledger policy show` lists the gates and profiles"

    def __init__(self, what: str, name: str, allowed: Sequence[str]) -> None:
        self.what, self.name, self.allowed = what, name, tuple(allowed)
        close = get_close_matches(name, allowed, 1)
        meant = f"; did you mean {close[0]}?" if close else ""
        super().__init__(
            f"no {what} is called {name!r}{meant}; there are {', '.join(self.allowed) or 'none'}"
        )


class InvalidId(LedgerError):
    """An id that was given is no UUID of version 7. Nothing was done."""

    hint = "`ledger id` prints a new one"

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(f"{text!r} is no UUID of version 7 (RFC 9562)")


class IdTaken(LedgerError):
    """The id belongs to an event that another request made. Nothing was written."""

    hint = "`ledger show EVENT` shows what it is; `ledger id` prints a new id"

    def __init__(self, id_: str, event: str) -> None:
        self.id, self.event = id_, event
        super().__init__(f"id {id_} is that of {event}, which was asked for in other words")


class NoQuestion(LedgerError):
    """No question of this event is open in the run. Nothing was written."""

    hint = "`ledger questions --open` lists those that are"

    def __init__(self, event: str) -> None:
        self.event = event
        super().__init__(f"{event} is no open question of this run")


class InvalidStep(LedgerError):
    """A step is not a number and a description. Nothing was written."""

    hint = "for example `--step 3:build`, or `--step 1.2:setup`"

    def __init__(self, step: str) -> None:
        self.step = step
        super().__init__(f"{step!r} is no step: expected NUMBER:DESCRIPTION")


class NoQuestionsFile(LedgerError):
    """The configuration wants no questions file. Nothing was written."""

    hint = "print it: `ledger project questions -o -`; or name one: `[tool.ledger.questions] file`"

    def __init__(self) -> None:
        super().__init__("the configuration wants no questions file")


class QuestionsInTheWay(LedgerError):
    """The questions file cannot be written without losing somebody else's. It is as it was."""

    hint = "take it in: `ledger import errors FILE`; or write over it: `ledger project questions --force`"

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class DriftInTheWay(LedgerError):
    """Edits by hand lie among the states that a rollback would take away. Nothing was written."""

    hint = "take them away too with `--with-drift`; `ledger apply --again EVENT` brings them back"

    def __init__(self, run: str, versions: Sequence[int]) -> None:
        self.run, self.versions = run, tuple(versions)
        shown = ", ".join(f"{run}:{v}" for v in self.versions)
        super().__init__(f"not rolled back: {shown} recorded edits made by hand")


class OnlyCandidate(LedgerError):
    """There is nothing accepted to commit. Nothing was written."""

    hint = "measure it: `ledger gate`; or commit it all the same: `ledger commit --candidate`"

    def __init__(self, run: str, reason: str) -> None:
        self.run, self.reason = run, reason
        super().__init__(f"run {run}: {reason}")


class NothingToCommit(LedgerError):
    """HEAD has the tree that was to be committed. Nothing was written."""

    hint = "`ledger status` shows the candidate, `git log -1` the commit"

    def __init__(self, run: str, tree: str) -> None:
        self.run, self.tree = run, tree
        super().__init__(f"run {run}: HEAD has the tree {tree[:12]} already")


class NotFinal(LedgerError):
    """The run cannot be finalized yet. ``missing`` has what is missing, with the command for it."""

    hint = "do what is listed, then `ledger run finish`; or end it as it is: `ledger run finish --abandon`"

    def __init__(self, run: str, missing: Sequence[tuple[str, str]]) -> None:
        self.run, self.missing = run, tuple(missing)
        super().__init__(f"run {run} is not final: {len(self.missing)} missing")
        for what, command in self.missing:
            self.add_note(f"{what}: `{command}`")


class RebaseStopped(LedgerError):
    """A patch of the run does not apply on the new base. Nothing was changed, nothing needs an abort."""

    def __init__(self, event: str, reason: str) -> None:
        self.event, self.reason = event, reason
        v = event.rpartition(":")[2]
        self.hint = (
            f"leave it out: `ledger run rebase --continue --skip {v}`; or give its replacement: "
            f"`ledger run rebase --continue --with {v}=fixed.diff` (`ledger show {event}` has the patch)"
        )
        super().__init__(f"{event} does not apply on the new base: {reason}")


class NothingToContinue(LedgerError):
    """No rebase of this run onto HEAD's commit was stopped. Nothing was changed."""

    hint = "begin with `ledger run rebase`"

    def __init__(self, run: str) -> None:
        self.run = run
        super().__init__(f"run {run}: no rebase onto where HEAD is now was stopped")


class ChecksFailed(LedgerError):
    """A must-exist or must-not-exist check does not hold on the result. Nothing was changed."""

    hint = "`ledger state --candidate` lists the files there are"

    def __init__(self, failed: Sequence[str]) -> None:
        self.failed = tuple(failed)
        super().__init__("; ".join(self.failed))


class StalePlan(LedgerError):
    """A canonicalization plan was made for another tree. Nothing was written."""

    hint = "make it again: `ledger canonicalize --plan FILE`"

    def __init__(self, planned: str, tree: str) -> None:
        self.planned, self.tree = planned, tree
        super().__init__(f"the plan is for tree {planned[:12]}, the candidate is {tree[:12]}")


class ReplayMismatch(LedgerError):
    """A stored patch does not give the tree that its event recorded (P4)."""

    hint = "`ledger verify` says whether the log or the bodies are damaged"

    def __init__(self, event: str, recorded: str, got: str) -> None:
        self.event, self.recorded, self.got = event, recorded, got
        super().__init__(f"{event}: replay gives tree {got}, the event recorded {recorded}")


class DirectoryInUse(LedgerError):
    """A directory to write a state into exists and is not empty. Nothing was written."""

    hint = "name a directory that does not exist yet: `ledger replay --until EVENT --into DIR`"

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path}: exists and is not empty")


class QueryRefused(LedgerError):
    """A SQL statement failed or asked for more than reading the ledger. Nothing was written."""

    hint = '`ledger sql "show tables"` lists the views, `ledger sql "describe patch_files"` their columns'

    def __init__(self, message: str) -> None:
        super().__init__(message)


class QueryForbidden(QueryRefused):
    """A SQL statement asked for a file, an extension or a setting. Nothing was read or written."""

    hint = "SQL sees the ledger alone; write files with the shell: `ledger sql --format csv … > FILE`"


class GitFailed(LedgerError):
    """A `git` command that the ledger needs did not succeed. Nothing was recorded."""

    def __init__(self, command: str, exit_code: int, message: str) -> None:
        self.command, self.exit_code, self.said = command, exit_code, message
        super().__init__(f"`{command}` exited with {exit_code}: {message}")


class InvalidActor(LedgerError):
    """``LEDGER_ACTOR`` is not ``kind:name:session``. Nothing was written."""

    hint = "for example `LEDGER_ACTOR=agent:codex:4f1c`, or unset it"

    def __init__(self, value: str) -> None:
        self.value = value
        super().__init__(f"LEDGER_ACTOR={value!r}: expected kind[:name[:session]]")


class NotACopy(LedgerError):
    """Stored events do not go on from what is here of their run. Nothing was appended."""

    hint = "`ledger log RUN` shows what is here of the run"

    def __init__(self, place: str, reason: str) -> None:
        self.place, self.reason = place, reason
        super().__init__(f"{place}: {reason}")


class ImportedRun(LedgerError):
    """A run was to be written whose home is another ledger. Nothing was written."""

    hint = 'go on where it was started; or start a child run here: `ledger run start "what it is about"`'

    def __init__(self, run: str) -> None:
        self.run = run
        super().__init__(f"run {run} was imported: its home is another ledger")

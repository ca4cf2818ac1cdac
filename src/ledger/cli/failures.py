"""Failures: every error class to its exit code and to the words a person needs. One table."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Iterator


class ExitCode(NamedTuple):
    """An exit code and what it means."""

    code: int
    meaning: str


DONE = ExitCode(0, "done")
REJECTED = ExitCode(1, "a strict gate rejected, or a verification failed")
USAGE = ExitCode(2, "usage or configuration")
NOT_APPLIED = ExitCode(3, "the patch does not apply, or nothing matches")
INCONCLUSIVE = ExitCode(4, "inconclusive: it could not be measured")
DAMAGED = ExitCode(5, "the ledger is damaged")
TRY_AGAIN = ExitCode(6, "try again: lost race, lock, work tree behind the log")
PROTECTED = ExitCode(7, "refused in order to protect: dirty or unsafe path, files in the way, a secret")
INPUT_OUTPUT = ExitCode(8, "input or output failed")
INTERNAL = ExitCode(70, "internal error")
INTERRUPTED = ExitCode(130, "interrupted")

EXIT_CODES = (
    DONE,
    REJECTED,
    USAGE,
    NOT_APPLIED,
    INCONCLUSIVE,
    DAMAGED,
    TRY_AGAIN,
    PROTECTED,
    INPUT_OUTPUT,
    INTERNAL,
    INTERRUPTED,
)


def _table() -> Iterator[tuple[type[BaseException], ExitCode]]:
    """Yield error classes with their exit codes; the first that an error is an instance of counts."""
    # Imported here: `ledger --help` needs none of it.
    from pygit2 import GitError

    from ingestion.errors import IngestionError
    from ledger import errors
    from ledger.gates.reports.errors import ReportUnreadable
    from ledger.reference_errors import NoSuchPath, UnknownReference

    yield from (
        (errors.DamagedLedger, DAMAGED),
        (errors.ReplayMismatch, REJECTED),
        (errors.LostRace, TRY_AGAIN),
        (errors.Busy, TRY_AGAIN),
        (errors.ProjectionPending, TRY_AGAIN),
        (errors.UnsyncedLog, INPUT_OUTPUT),
        (errors.GitFailed, INPUT_OUTPUT),
        (errors.HeadMoved, PROTECTED),
        (errors.NotOwned, PROTECTED),
        (errors.DirectoryInUse, PROTECTED),
        (errors.QueryForbidden, PROTECTED),
        (errors.PhaseForbids, PROTECTED),
        (errors.NotCandidate, PROTECTED),
        (errors.DriftInTheWay, PROTECTED),
        (errors.QuestionsInTheWay, PROTECTED),
        (errors.SecretFound, PROTECTED),
        (errors.DroppedBody, NOT_APPLIED),
        (errors.NothingToRedact, NOT_APPLIED),
        (errors.OnlyCandidate, PROTECTED),
        (errors.NotFinal, REJECTED),
        (errors.UnresolvedConflicts, REJECTED),
        (UnknownReference, NOT_APPLIED),
        (NoSuchPath, NOT_APPLIED),
        (errors.NoLedger, NOT_APPLIED),
        (errors.NothingToCommit, NOT_APPLIED),
        (errors.NoQuestion, NOT_APPLIED),
        (errors.NothingToContinue, NOT_APPLIED),
        (errors.RebaseStopped, NOT_APPLIED),
        (errors.ChecksFailed, NOT_APPLIED),
        (errors.StalePlan, NOT_APPLIED),
        (ReportUnreadable, INCONCLUSIVE),
        *_query_rows(),
        *_audit_rows(),
        *_bisect_rows(),
        *_checkpoint_rows(),
        *_transfer_rows(),
        *_sharing_rows(),
        *_travel_rows(),
        *_shared_rows(),
        *_archive_rows(),
        *_tracking_rows(),
        *_tokenizer_rows(),
        (errors.LedgerError, USAGE),
        *_engine_rows(),
        (click.UsageError, USAGE),
        (click.Abort, INTERRUPTED),
        (KeyboardInterrupt, INTERRUPTED),
        (IngestionError, INPUT_OUTPUT),
        (GitError, INPUT_OUTPUT),
        (OSError, INPUT_OUTPUT),
    )


def _query_rows() -> Iterator[tuple[type[BaseException], ExitCode]]:
    from ledger import query_errors

    yield from (
        (query_errors.NoSuchQuestion, NOT_APPLIED),
        (query_errors.NoSuchRelation, NOT_APPLIED),
        (query_errors.QueryTooLong, INCONCLUSIVE),
        (query_errors.QueryTooLarge, INCONCLUSIVE),
        (query_errors.DatabaseInTheWay, PROTECTED),
    )


def _engine_rows() -> Iterator[tuple[type[BaseException], ExitCode]]:
    from patches import errors as patch_errors
    from patches import worktree_errors
    from patches.blame import BlameFailed
    from patches.canonicalization import PlanSyntaxError
    from patches.commits import LogFailed
    from patches.diff import DiffFailed
    from patches.globs import BadGlob
    from patches.packs import PackFailed
    from patches.submodules import GitmodulesFailed

    yield from (
        (worktree_errors.IndexLocked, TRY_AGAIN),
        (worktree_errors.FilterFailed, INPUT_OUTPUT),
        (worktree_errors.WorkTreeError, PROTECTED),
        (patch_errors.UnsafePath, PROTECTED),
        (patch_errors.MissingObject, INPUT_OUTPUT),
        (BadGlob, USAGE),
        (PlanSyntaxError, USAGE),
        (patch_errors.PatchError, NOT_APPLIED),
        (BlameFailed, INPUT_OUTPUT),
        (DiffFailed, INPUT_OUTPUT),
        (LogFailed, INPUT_OUTPUT),
        (PackFailed, INPUT_OUTPUT),
        (GitmodulesFailed, INPUT_OUTPUT),
    )


def _checkpoint_rows() -> Iterator[tuple[type[BaseException], ExitCode]]:
    from ledger import checkpoint_errors

    yield (checkpoint_errors.UntrustedNote, REJECTED)
    yield (checkpoint_errors.KeyExists, PROTECTED)
    yield (checkpoint_errors.CheckpointInTheWay, PROTECTED)
    yield (checkpoint_errors.NoEvents, NOT_APPLIED)


def _bisect_rows() -> Iterator[tuple[type[BaseException], ExitCode]]:
    from ledger import bisect_errors

    yield (bisect_errors.WrongEnd, USAGE)
    yield (bisect_errors.UnmeasurableEnd, INCONCLUSIVE)


def _audit_rows() -> Iterator[tuple[type[BaseException], ExitCode]]:
    from ledger.audits.licenses import AuditNeedsExtra
    from ledger.audits.manifest import NoManifest, NotAManifest, NotInWorkTree

    yield (AuditNeedsExtra, INCONCLUSIVE)
    yield (NotAManifest, PROTECTED)
    yield (NoManifest, NOT_APPLIED)
    yield (NotInWorkTree, NOT_APPLIED)


def _transfer_rows() -> Iterator[tuple[type[BaseException], ExitCode]]:
    from ledger import commit_errors, transfer_errors

    for kind in (commit_errors.NoSuchCommit, commit_errors.ShallowHistory, commit_errors.UnreachableTree):
        yield (kind, NOT_APPLIED)
    yield (transfer_errors.InvalidBundle, REJECTED)
    yield (transfer_errors.MissingBase, NOT_APPLIED)
    yield (transfer_errors.LeftOver, NOT_APPLIED)
    for kind in (transfer_errors.DivergedRun, transfer_errors.OpenHere, transfer_errors.FileInTheWay):
        yield (kind, PROTECTED)
    yield (transfer_errors.ReportInTheWay, PROTECTED)


def _sharing_rows() -> Iterator[tuple[type[BaseException], ExitCode]]:
    from ledger import sharing_errors

    yield (sharing_errors.UnprovenRun, REJECTED)
    for kind in (sharing_errors.DivergedHome, sharing_errors.ElsewhereAtHead, sharing_errors.RefsRefused):
        yield (kind, PROTECTED)
    for kind in (
        sharing_errors.NoSharedRun,
        sharing_errors.NotHere,
        sharing_errors.BaseElsewhere,
        sharing_errors.ArchivedRun,
        sharing_errors.StateElsewhere,
    ):
        yield (kind, NOT_APPLIED)


def _travel_rows() -> Iterator[tuple[type[BaseException], ExitCode]]:
    from ledger import travel_errors

    for kind in (travel_errors.BranchExists, travel_errors.BranchInUse, travel_errors.PathInTheWay):
        yield (kind, PROTECTED)
    for kind in (
        travel_errors.NothingToUndo,
        travel_errors.NothingToRedo,
        travel_errors.NotUndoable,
        travel_errors.StateUnavailable,
        travel_errors.NothingToBranch,
    ):
        yield (kind, NOT_APPLIED)


def _shared_rows() -> Iterator[tuple[type[BaseException], ExitCode]]:
    from ledger import shared_errors

    yield (shared_errors.StoreBusy, TRY_AGAIN)
    yield (shared_errors.StoreUnreachable, INPUT_OUTPUT)
    yield (shared_errors.StoreForbids, PROTECTED)


def _archive_rows() -> Iterator[tuple[type[BaseException], ExitCode]]:
    from ledger import archive_errors

    yield (archive_errors.DamagedArchive, DAMAGED)
    yield (archive_errors.NotForgotten, PROTECTED)


def _tracking_rows() -> Iterator[tuple[type[BaseException], ExitCode]]:
    from codex_ml.tracking import errors

    yield (errors.DeletedRun, TRY_AGAIN)
    yield (errors.OtherHistory, PROTECTED)
    for kind in (errors.TrackingUnreachable, errors.TrackingRefused, errors.RunLeftOpen):
        yield (kind, INPUT_OUTPUT)
    yield (errors.TrackingError, USAGE)


def _tokenizer_rows() -> Iterator[tuple[type[BaseException], ExitCode]]:
    from codex_ml import errors

    yield (errors.TokenizerUnreadable, INPUT_OUTPUT)
    yield (errors.CodexError, USAGE)


def exit_code_of(error: BaseException) -> ExitCode:
    """Return the exit code of an error; what no row knows is an internal error."""
    for kind, code in _table():
        if isinstance(error, kind):
            return code
    return INTERNAL


_HINTS = {
    "EmptyPatch": "make the patch again: `git diff --binary > fix.diff`",
    "PatchSyntaxError": "make the patch again: `git diff --binary > fix.diff`",
    "PatchTooLarge": "cut it in several: `git diff --binary -- PATH > one.diff`",
    "MissingBinary": "make the patch with its binary content: `git diff --binary --full-index > fix.diff`",
    "MergeConflict": (
        "let the markers in with `--conflicts=keep`, or decide with `--ours`, `--theirs` or `--union`"
    ),
    "UnmarkableConflict": "decide with `--ours` or `--theirs`",
    "HunkMismatch": "the patch was made for another tree; `ledger log` shows what has changed since",
    "UnplacedHunk": "the patch was made for another tree; `ledger log` shows what has changed since",
    "UnplacedText": "the patch was made for another tree; `ledger log` shows what has changed since",
    "AmbiguousPatch": "make the patch again with more context: `git diff -U10 > fix.diff`",
    "AmbiguousHunk": "make the patch from the tree it is for, or with more context: `git diff -U9`",
    "WhitespaceRefused": "`git diff --check` shows them; `ledger apply --whitespace=fix FILE` mends them",
    "BadWhitespaceRule": "`git check-attr whitespace PATH` and `git config core.whitespace` show it",
    "ContradictoryNames": "make the patch with one name for each file: `git diff > fix.diff`",
    "ContentMismatch": "the patch was made for another tree; `ledger log` shows what has changed since",
    "MissingFile": "`ledger state --candidate` lists the files; a patch names them from the repository's top",
    "AlreadyExists": "`ledger state --candidate` lists the files; a patch that adds one expects none",
    "WrongMode": "`ledger state --candidate` lists the modes there are",
    "OverlappingParts": "cut the patch in two and apply them in turn: `ledger apply one.diff two.diff`",
    "UnsafePath": "nothing was written; `git apply --numstat FILE` lists the paths that a patch names",
    "DirtyPath": "take your edits in with `ledger record`, or put them aside with `git stash`",
    "InTheWay": "`git status --ignored` shows it; move it away, or take it in with `ledger record`",
    "ThroughSymlink": "nothing was written through it; `git status` shows what took the directory's place",
    "NotWritable": "`ls -ld DIR` shows its permissions",
    "IndexLocked": 'when no other git command runs: `rm "$(git rev-parse --git-path index.lock)"`',
    "FilterFailed": "`git config --get-regexp ^filter` lists the commands that convert files",
    "IndexUnreadable": "`git read-tree HEAD` makes the index again",
    "BadSource": "`ledger state --candidate` lists the files; yours are taken in with `ledger record`",
    "DestinationExists": "name another one, or overwrite the file: `ledger mv --force SOURCE DESTINATION`",
    "CannotOverwrite": "`ledger state --candidate` lists what is there; name another destination",
    "NoDirectory": "a directory exists once a file is in it; without the last slash: `ledger mv FILE NAME`",
    "IntoItself": "name a destination outside: `ledger mv DIR OTHER`",
    "SameTarget": "move them one by one, each to a name of its own: `ledger mv SOURCE NAME`",
    "OverlappingSources": "name each file once: `ledger mv DIR DESTINATION` moves all that is in it",
    "BadGlob": "globs are those of Git, from the repository's top: `git ls-files ':(glob)GLOB'` tries one",
    "PlanSyntaxError": "make the plan again: `ledger canonicalize --plan FILE`",
    "PlanRefused": "a path of it is not there any more; make it again: `ledger canonicalize --plan FILE`",
}
"""What helps, for the errors of the engine, which knows no `ledger` command."""


def hint_of(error: BaseException) -> str:
    """Return what helps against an error, "" where nothing is known to."""
    return getattr(error, "hint", "") or _HINTS.get(type(error).__name__, "")


def report_failure(
    error: BaseException, *, debug: bool, as_json: bool = False, color: bool | None = None
) -> int:
    """Say on stderr what went wrong and what helps, and return the exit code.

    Args:
        error: What ended the command.
        debug: Print its traceback first.
        as_json: Say it as one object on the last line, ``ledger.error/1``.
        color: Whether to colour; None where the terminal decides.
    """
    if isinstance(error, BrokenPipeError):
        # The reader of our output has gone, as `head` does: nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE.code
    code = exit_code_of(error)
    if debug and code is not INTERRUPTED:
        traceback.print_exception(error)
    # What did not apply is quoted, and may be a line that holds a secret.
    from ledger.secrets.masking import mask_text

    if isinstance(error, click.ClickException) and not as_json:
        error.show()
        return code.code
    message = mask_text(_message(error, code))
    notes = [mask_text(note) for note in getattr(error, "__notes__", ())]
    hint = _hint(error, code)
    if as_json:
        from ledger.cli.output import encode_json

        said = {"schema": "ledger.error/1", "error": type(error).__name__, "message": message}
        said |= {"notes": notes, "hint": hint or None, "exit_code": code.code, "meaning": code.meaning}
        click.echo(encode_json(said), err=True)
        return code.code
    from ledger.cli.session import colored

    lines = [f"error: {message}", *(f"note: {note}" for note in notes), *([f"hint: {hint}"] if hint else [])]
    for line in lines:
        click.echo(colored(line), err=True, color=color)
    return code.code


def _hint(error: BaseException, code: ExitCode) -> str:
    """Return what helps in this case."""
    if code is INTERNAL:
        return "this is a fault of ledger; run it again with `ledger --debug …` and report what it prints"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "nothing was recorded; make room (`df -h .`) and run the command again"
    if isinstance(error, click.UsageError):
        path = "ledger" if error.ctx is None else error.ctx.command_path
        return f"`{path} --help`"
    return hint_of(error)


def _message(error: BaseException, code: ExitCode) -> str:
    if code is INTERRUPTED:
        return str(error) or "interrupted"
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if code is INTERNAL:
        return f"{type(error).__name__}: {error}"
    if isinstance(error, LookupError) and error.args:
        # What libgit2 did not find; whether it is not there or cannot be read it does not tell.
        return f"{error.args[0]} is not in the repository, or cannot be read (`git fsck` tells)"
    return str(error)

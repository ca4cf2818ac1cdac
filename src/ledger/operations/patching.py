"""Patches: applied, taken again, or recorded from what was edited by hand."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import PurePath

import msgspec
from msgspec import UnsetType

from ledger.errors import DroppedBody, LedgerError, NoWorkTree
from ledger.events import AnyEvent, Cause, ErrorCaptured, Event, PatchApplied, PatchRefused
from ledger.filerecords import FileRecord, parse_path
from ledger.operations.diagnosis import diagnose
from ledger.operations.outcome import Applied, unchanged
from ledger.operations.planning import Offer, Planned, Refusal, plan_all
from ledger.operations.screening import screen
from ledger.operations.settling import ask_refusal, settle_patches
from ledger.projections.worktree import net_touches
from ledger.provenance import Provenance
from ledger.reference_errors import UnknownReference
from ledger.run import RunLog
from ledger.store.interface import Store
from ledger.workspace import Change, Workspace
from patches.apply import apply_patch
from patches.errors import MissingObject, PatchError, show_path
from patches.model import FileChange
from patches.parse import parse_patch


def apply_all(
    workspace: Workspace,
    offers: Sequence[Offer],
    *,
    note: str = "",
    run: str = "",
    allow_secrets: bool = False,
) -> tuple[Applied, ...]:
    """Apply patches in turn, all of them wholly or none at all, and record each as one event.

    A patch whose result the candidate already has changes nothing and is no error (``already``).

    Args:
        workspace: Where.
        offers: The patches, at least one; each is for what the one before it leaves.
        note: Why.
        run: The run that must be open; by default the open one, or a new one where none is.
        allow_secrets: Record them although they add what looks like secrets; the events name them.

    Raises:
        SecretFound: One adds what looks like secrets. Nothing was stored, no refusal either.
        NoRun: ``run`` is not open in this work tree.
        PatchError: One does not parse or does not apply; with a run open the refusal of a
            patch that parses is recorded. Tree, index and work tree are as before.
        MissingObject: The repository does not give an object of the candidate. Nothing was written.
        DirtyPath, InTheWay, ThroughSymlink: It would overwrite what was not handed over.
        PhaseForbids: The policy takes no patches in the run's phase.
        HeadMoved: HEAD is at a commit that the run does not explain.
        LostRace: Another process changed the run meanwhile. Nothing was written.
        ProjectionPending: It is recorded; the next writing command brings the index up to it.
    """
    with workspace.locked():
        log = workspace.resume(run) or workspace.begin(_title(offers[0].provenance.source))
        workspace.check_head(log)
        workspace.check_phase(log)
        try:
            planned = plan_all(workspace.repository, log.head.tree, offers, allow_secrets=allow_secrets)
        except (LedgerError, MissingObject):
            # What it says is nothing of the patch: no refusal, and nothing to record.
            workspace.repository.objects.forget()
            raise
        if isinstance(planned, Refusal):
            workspace.repository.objects.forget()
            error = _refused(workspace, log, planned)
            if len(offers) > 1:
                planned.name_patch()
            raise error
        if not any(each.changes for each in planned):
            workspace.repository.objects.forget()
            return tuple(unchanged(log) for _ in planned)
        return carry_out(workspace, log, "diff", planned, note=note)


def _refused(workspace: Workspace, log: RunLog, refusal: Refusal) -> PatchError:
    """Return the error of a refusal, which is recorded where a run is open and the patch could be read."""
    error = refusal.explained()
    if refusal.patch is None:
        return error
    if log.written:
        refused = log.refused(refusal.text, error, refusal.provenance, base_tree=refusal.base)
        asked = ask_refusal(log, workspace.history(log), refused, str(error), log.head.v + 2)
        event, question = log.append(refused, asked)
        error.add_note(f"recorded as {event.reference}")
        assert isinstance(question, ErrorCaptured)
        error.add_note(f"asked as {question.question}: it is answered where the patch applies")
    if refusal.base == log.head.tree:
        given = refusal.provenance
        merging = "" if given.flags.three_way else shlex.quote(given.source or "-")
        diagnose(workspace, log, refusal.patch, error, merging)
    return error


def apply_again(
    workspace: Workspace, event: AnyEvent, *, note: str = "", allow_secrets: bool = False
) -> Applied:
    """Apply the patch of an earlier event on the present candidate, as a new event.

    What was handed over then is handed over again, with its flags.

    Raises:
        UnknownReference: The event has no patch.
        DroppedBody: Its patch was dropped.
        PatchError: It does not apply, as `apply`.
    """
    if not isinstance(event, PatchApplied | PatchRefused):
        raise UnknownReference(event.reference, f"{event.kind.partition('/')[0]} has no patch to take again")
    head = workspace.open_run()
    # A version means one of this run: of another run's event only the patch comes along.
    of = event.v if head is not None and head.run == event.run else None
    offer = offer_again(workspace.store, event, of)
    (applied,) = apply_all(workspace, [offer], note=note, allow_secrets=allow_secrets)
    return applied


def offer_again(store: Store, event: PatchApplied | PatchRefused, of: int | None = None) -> Offer:
    """Return what was handed over for an event.

    Raises:
        DroppedBody: It was dropped.
    """
    data = store.read_body(event.patch if isinstance(event.given, UnsetType) else event.given)
    provenance = Provenance(source=event.source or event.reference, flags=event.options.asked)
    if isinstance(event, PatchApplied):
        provenance = msgspec.structs.replace(
            provenance,
            author=event.author or "",
            date=event.date or "",
            message=message_of(store, event.message),
        )
    return Offer(data, provenance, of=of)


def message_of(store: Store, digest: str | UnsetType) -> str:
    """Return the message of a mail, a body; "" where there was none, or it was dropped."""
    try:
        return "" if isinstance(digest, UnsetType) else store.read_body(digest).decode("utf-8", "replace")
    except DroppedBody:
        return ""


def record(workspace: Workspace, *, note: str = "", run: str = "", allow_secrets: bool = False) -> Applied:
    """Record what was edited past the ledger as one patch; the work tree stays as it is.

    ``note``, ``run`` and ``allow_secrets`` are as for `apply`.

    Raises:
        SecretFound: The edits add what looks like secrets. No event and no body was stored; Git's object
            store has the files, which nothing names.
        NoRun: ``run`` is not open in this work tree.
        NoWorkTree: The repository is bare.
        GitFailed: Git could not read a file. Nothing was recorded.
        PhaseForbids: The policy takes no patches in the run's phase.
        HeadMoved: HEAD's commit is neither a state of the run nor what the work tree holds.
    """
    from ledger.drift import snapshot_tree

    if workspace.work_tree is None:
        raise NoWorkTree(workspace.repository.git_dir)
    with workspace.locked():
        log = workspace.resume(run) or workspace.begin("edits by hand")
        result = snapshot_tree(workspace.repository)
        return record_tree(workspace, log, result, note=note, allow_secrets=allow_secrets)


def record_tree(
    workspace: Workspace, log: RunLog, result: str, *, note: str = "", allow_secrets: bool = False
) -> Applied:
    """Record that the work tree holds the tree ``result``, whose objects are stored. The lock is held.

    Raises:
        SecretFound, PhaseForbids, HeadMoved: As `record`.
    """
    if result == log.head.tree:
        workspace.check_head(log)
        workspace.follow((), result)
        return unchanged(log)
    head = workspace.repository.head()
    explained = head.tree == result and head.commit != log.head.commit
    if not explained:
        workspace.check_head(log)
    workspace.check_phase(log)
    data, changes = patch_between(workspace, log.head.tree, result)
    screened = screen(data, parse_patch(data), allow=allow_secrets)
    planned = Planned(changes, log.head.tree, result, data, Provenance(), screened)
    (applied,) = carry_out(workspace, log, "drift", [planned], note=note)
    if explained:
        workspace.check_head(log)
    return applied


def patch_between(workspace: Workspace, old: str, new: str) -> tuple[bytes, tuple[FileChange, ...]]:
    """Return Git's patch from one tree to another, and what it does to each path.

    Raises:
        DiffFailed: Git could not compare them.
    """
    from patches.diff import diff_trees

    data = diff_trees(workspace.repository.git_dir, bytes.fromhex(old), bytes.fromhex(new))
    if not data:
        return data, ()
    tree = workspace.repository.tree(old)
    changes = apply_patch(tree, parse_patch(data))
    assert tree.write().hex() == new, "the patch between two trees does not lead from one to the other"
    return data, changes


def carry_out(
    workspace: Workspace,
    log: RunLog,
    cause: Cause,
    planned: Sequence[Planned],
    *,
    note: str = "",
    adopted: bool = False,
) -> tuple[Applied, ...]:
    """Append patches that were planned and screened as one group, and bring work tree, index and ref to it.

    Of those that change nothing there is no event. ``adopted``: the work tree has the result already.
    """
    steps = [(each, tuple(map(FileRecord.of, each.changes))) for each in planned if each.changes]
    started = "" if log.written else log.head.run

    def make() -> list[Event]:
        made = [
            log.applied(
                cause,
                _recorded(workspace, each),
                files,
                each.result,
                base_tree=each.base,
                provenance=each.provenance,
                note=note,
                of=each.of,
                secrets=each.screened.secrets,
                conflicts=[conflict.path for conflict in each.conflicts],
            )
            for each, files in steps
        ]
        # Most runs have no open refusal, and are not read.
        answers = settle_patches(log, workspace.history(log), made) if log.head.refusals else []
        return [*made, *answers]

    change = Change(
        net_touches(files for _, files in steps), planned[-1].result, adopted=adopted or cause == "drift"
    )
    events, left = workspace.carry_out(log, change, make)
    recorded = iter([event for event in events if isinstance(event, PatchApplied)])
    outcome: list[Applied] = []
    for each in planned:
        if not each.changes:
            outcome.append(unchanged(log))
            continue
        event = next(recorded)
        configures = tuple(show_path(parse_path(path)) for path in event.configures)
        applied = Applied(
            event.reference,
            each.result,
            each.changes,
            left,
            started=started,
            configures=configures,
            normalised=each.provenance.normalised,
            conflicts=tuple(map(str, each.conflicts)),
        )
        told = each.screened.tell(applied)
        warnings = (*told.warnings, *each.whitespace_errors)
        outcome.append(msgspec.structs.replace(told, warnings=warnings))
        started, left = "", ()
    return tuple(outcome)


def _recorded(workspace: Workspace, planned: Planned) -> bytes:
    """Return the ordinary patch of a plan. Its objects are written: Git reads them where it makes it."""
    if planned.patch is not None:
        return planned.patch
    return patch_between(workspace, planned.base, planned.result)[0]


def _title(source: str) -> str:
    return "patch" if source in ("", "-") else PurePath(source).stem

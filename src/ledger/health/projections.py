"""Checks of what is made of the log: the work tree, the index, refs, the questions file, copies elsewhere."""

from __future__ import annotations

from ledger.drift import list_drift, list_staged
from ledger.health.model import Check, Patient
from ledger.history import History
from ledger.operations.exporting import list_unexported
from ledger.projections.questions import QuestionsFile
from ledger.projections.refs import RunRef
from ledger.status import has_moved

_SHOWN = 5


def shown(names: list[str]) -> str:
    """Return some of the names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def check_head(patient: Patient) -> Check:
    """Say whether HEAD is where the open run has it."""
    head = patient.workspace.open_run()
    if head is None:
        return Check("head", "not-applicable", "no run is open in this work tree")
    history = History.of(patient.workspace.run_events(head.run))
    if has_moved(patient.repository.head(), head, history):
        reason = f"HEAD moved, and run {head.run} does not explain it"
        return Check("head", "warning", reason, "`ledger run rebase` or `ledger run finish`")
    return Check("head", "ok", f"run {head.run} explains HEAD")


def check_pending(patient: Patient) -> Check:
    """Say whether an event has not reached the work tree."""
    if patient.repository.work_dir is None or patient.workspace.open_run() is None:
        return Check("work-tree", "not-applicable", "no run is open in a work tree here")
    if patient.workspace.pending():
        reason = "a crash left the work tree behind the log"
        return Check("work-tree", "warning", reason, "the next `ledger record` finishes it")
    return Check("work-tree", "ok", "every event has reached the work tree")


def check_drift(patient: Patient) -> Check:
    """Say which paths of the work tree are not as the candidate has them."""
    head = patient.workspace.open_run()
    if patient.repository.work_dir is None or head is None:
        return Check("drift", "not-applicable", "no run is open in a work tree here")
    paths = [
        each.path.decode("utf-8", "backslashreplace") for each in list_drift(patient.repository, head.tree)
    ]
    if paths:
        reason = f"{len(paths)} paths are not as the candidate has them: {shown(paths)}"
        return Check("drift", "warning", reason, "`ledger diff` shows it, `ledger record` takes it in")
    return Check("drift", "ok", "the work tree is the candidate")


def check_index(patient: Patient) -> Check:
    """Say which entries of the index are not as the candidate has them."""
    head = patient.workspace.open_run()
    if patient.repository.work_dir is None or head is None:
        return Check("index", "not-applicable", "no run is open in a work tree here")
    paths = [
        each.path.decode("utf-8", "backslashreplace") for each in list_staged(patient.repository, head.tree)
    ]
    if paths:
        reason = f"{len(paths)} entries of the index are not as the candidate has them: {shown(paths)}"
        return Check(
            "index",
            "warning",
            reason,
            "`git diff --cached` shows it, `git restore --staged PATH` takes it back",
        )
    return Check("index", "ok", "the index is the candidate's")


def check_refs(patient: Patient) -> Check:
    """Say which runs have a ref that is missing or behind the log: `git gc` may prune their trees."""
    heads = [head for head in patient.workspace.store.heads().values() if head.base_tree and not head.retired]
    known = [head for head in heads if not head.unknown]
    behind = [
        head.run for head in known if (RunRef(patient.repository, head.run).version() or 0) < head.tree_v
    ]
    if behind:
        reason = (
            f"refs/ledger is missing or behind the log for {shown(behind)}: `git gc` may prune their trees"
        )
        return Check(
            "refs", "warning", reason, "the next `ledger record` or `ledger run start` brings them up"
        )
    return Check("refs", "ok", f"the refs of {len(known)} runs keep every tree reachable")


def check_questions(patient: Patient) -> Check:
    """Say whether the questions file may miss a question."""
    if patient.repository.work_dir is None:
        return Check("questions-file", "not-applicable", "a bare repository has none")
    if QuestionsFile(patient.repository, patient.workspace.store).is_behind:
        reason = "the questions file may be behind the log"
        return Check("questions-file", "warning", reason, "`ledger project questions` writes it")
    return Check("questions-file", "ok", "no question waits to be written")


def check_copies(patient: Patient) -> Check:
    """Say which finished runs exist in this ledger alone."""
    store = patient.workspace.store
    alone = list(list_unexported(store, store.heads()))
    if alone:
        reason = f"finished runs exist nowhere else: {shown(alone)}"
        return Check("copies", "warning", reason, "`ledger export --all -o FILE`, and keep FILE elsewhere")
    return Check("copies", "ok", "every finished run was exported or came from elsewhere")

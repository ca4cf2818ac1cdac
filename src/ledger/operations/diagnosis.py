"""Why a patch does not fit the candidate: the state of the run that it was made for, and what would help."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from ledger.events import tree_after
from ledger.run import RunLog
from ledger.workspace import Workspace
from patches.apply import apply_patch
from patches.errors import FileRefused, MissingObject, PatchError, show_path
from patches.model import Patch

_SHOWN = 5
_LOOKED_AT = 64  # States, the newest first: what an agent works from is rarely older.
_EVENTS = 2048  # Read for them: most are no states, and a command must not read a whole long run.


def diagnose(workspace: Workspace, log: RunLog, patch: Patch, error: PatchError, merging: str = "") -> None:
    """Let ``error`` say what helps: the newest event in whose tree ``patch`` applies, and a three-way merge.

    New objects in memory are forgotten. Nothing is written.

    Args:
        workspace: Where.
        log: The run, whose candidate does not take the patch.
        patch: As it was read.
        error: Why it was refused.
        merging: How the patch is named in the command that merges it; empty where that was tried.
    """
    if not isinstance(error, FileRefused):
        return
    fitting = _find_fitting(workspace, log, patch, error.path) if log.written else None
    advice = [f"it applied cleanly at {fitting}"] if fitting is not None else []
    merged = _try_merging(workspace, log.head.tree, patch, merging) if merging else ""
    if merged:
        advice.append(merged)
    elif fitting is not None:
        advice.append("`ledger log` shows what has changed since")
    error.hint = "; ".join(advice)


def _try_merging(workspace: Workspace, oid: str, patch: Patch, name: str) -> str:
    """Return in words what a three-way merge makes of the patch, in memory; "" where it is of no help."""
    # Here: a patch that applies needs none of it.
    from patches.threeway import ThreewayMerge, path_merges, plan_threeway

    repository = workspace.repository
    tree = repository.tree(oid)
    try:
        plan = plan_threeway(
            tree, patch, merge=ThreewayMerge(tree.objects, of_path=path_merges(repository.git))
        )
    except PatchError:
        return ""
    finally:
        repository.objects.forget()
    if not plan.conflicts:
        return f"try `ledger apply --3way {name}`"
    where = ", ".join(show_path(conflict.path) for conflict in plan.conflicts[:_SHOWN])
    more = f" and {len(plan.conflicts) - _SHOWN} more" if len(plan.conflicts) > _SHOWN else ""
    return f"`ledger apply --3way {name}` finds conflicts in {where}{more}"


def _find_fitting(workspace: Workspace, log: RunLog, patch: Patch, path: bytes) -> str | None:
    """Return the newest event whose tree takes the patch.

    Each content of ``path``, where the patch failed, is tried once, in its newest state.
    """
    repository = workspace.repository
    failed = {repository.tree(log.head.tree).entry(path)}
    for reference, oid in islice(_states(workspace, log), _LOOKED_AT):
        tree = repository.tree(oid)
        try:
            entry = tree.entry(path)
            if entry in failed:
                continue
            failed.add(entry)
            apply_patch(tree, patch)
        except MissingObject:
            return None  # A state this old was pruned, and so may be those before it.
        except PatchError:
            continue
        finally:
            repository.objects.forget()
        return reference
    return None


def _states(workspace: Workspace, log: RunLog) -> Iterator[tuple[str, str]]:
    """Yield reference and tree of the run's states before the candidate, each tree once, the newest first."""
    seen = {log.head.tree}
    for frame in islice(workspace.store.backward(log.head.run), _EVENTS):
        event = frame.event
        if event.run != log.head.run:
            continue
        tree = tree_after(event)
        if tree is not None and tree not in seen:
            seen.add(tree)
            yield event.reference, tree
        if event.v == 1:
            return

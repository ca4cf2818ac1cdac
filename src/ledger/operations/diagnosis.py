"""Why a patch does not fit the candidate: the state of the run that it was made for, and what would help."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from ledger.events import tree_after
from ledger.run import RunLog
from ledger.workspace import Workspace
from patches.apply import apply_patch
from patches.errors import FileRefused, MissingObject, PatchError
from patches.model import Patch

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
    if merging and _merges(workspace, log.head.tree, patch):
        advice.append(f"try `ledger apply --3way {merging}`")
    elif fitting is not None:
        advice.append("`ledger log` shows what has changed since")
    error.hint = "; ".join(advice)


def _merges(workspace: Workspace, tree: str, patch: Patch) -> bool:
    """Tell whether a three-way merge applies the patch without a conflict: it is tried, in memory."""
    from patches.threeway import apply_threeway

    repository = workspace.repository
    try:
        apply_threeway(repository.tree(tree), patch)
    except PatchError:
        return False
    finally:
        repository.objects.forget()
    return True


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

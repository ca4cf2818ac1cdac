"""Conflicts that were kept: as long as a file holds their markers, no gate measures the candidate."""

from __future__ import annotations

from ledger.errors import UnresolvedConflicts
from ledger.history import History
from ledger.repository import Repository
from ledger.workspace import Workspace
from patches.errors import show_path
from patches.model import MODE_EXECUTABLE, MODE_FILE
from patches.textmerge import conflict_regions


def find_unresolved(repository: Repository, history: History) -> tuple[tuple[str, int], ...]:
    """Return each unresolved region of a kept conflict in the candidate: its path, for a person, and line."""
    touched = history.touched_in_conflict
    if not touched:
        return ()
    tree = repository.tree(history.candidate.tree)
    found: list[tuple[str, int]] = []
    for path in sorted(touched):
        entry = tree.entry(path)
        if entry is not None and entry.mode in (MODE_FILE, MODE_EXECUTABLE):
            regions = conflict_regions(tree.objects.read_blob(entry.oid))
            found += [(show_path(path), region.first) for region in regions]
    return tuple(found)


def check_resolved(workspace: Workspace, run: str, history: History) -> None:
    """Refuse a candidate in which a kept conflict is unresolved: what is never measured is never accepted.

    Raises:
        UnresolvedConflicts: Files hold whole regions of conflict markers.
    """
    found = find_unresolved(workspace.repository, history)
    if found:
        raise UnresolvedConflicts(run, found)


def conflict_notes(repository: Repository, history: History) -> tuple[str, ...]:
    """Return what has to be said of conflicts that were kept and are unresolved."""
    found = find_unresolved(repository, history)
    where = ", ".join(f"{path} (line {line})" for path, line in found)
    return (f"unresolved conflicts, which no gate measures: {where}",) if found else ()

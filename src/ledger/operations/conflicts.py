"""Conflicts that were kept: as long as a file holds their markers, no gate measures the candidate."""

from __future__ import annotations

from ledger.errors import UnresolvedConflicts
from ledger.history import History
from ledger.workspace import Workspace
from patches.errors import show_path
from patches.model import MODE_EXECUTABLE, MODE_FILE
from patches.textmerge import conflict_regions


def check_resolved(workspace: Workspace, run: str, history: History) -> None:
    """Refuse a candidate in which a kept conflict is unresolved: what is never measured is never accepted.

    Raises:
        UnresolvedConflicts: Files hold whole regions of conflict markers.
    """
    if not history.touched_in_conflict:
        return
    tree = workspace.repository.tree(history.candidate.tree)
    found: list[tuple[str, int]] = []
    for path in sorted(history.touched_in_conflict):
        entry = tree.entry(path)
        if entry is not None and entry.mode in (MODE_FILE, MODE_EXECUTABLE):
            regions = conflict_regions(tree.objects.read_blob(entry.oid))
            found += [(show_path(path), region.first) for region in regions]
    if found:
        raise UnresolvedConflicts(run, found)

"""A patch applied to a tree in memory, wholly or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from patches.options import DEFAULTS, ApplyOptions
from patches.plan import plan_patch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from patches.model import Entry, FileChange, Patch
    from patches.plan import Rules
    from patches.tree import Tree


def apply_patch(
    tree: Tree, patch: Patch, options: ApplyOptions = DEFAULTS, *, rules: Rules | None = None
) -> tuple[FileChange, ...]:
    """Apply ``patch`` to ``tree`` and return what changed.

    Nothing is written: the new blobs are in ``tree.objects``, the new tree objects follow with
    ``tree.write()``, and ``tree.objects.flush()`` writes both.

    Args:
        tree: what it is applied to.
        patch: as ``parse_patch`` gives it under the same ``options``.
        options: as for ``plan_patch``.
        rules: likewise.

    Raises:
        PatchError: the patch does not apply, for one of the reasons that ``plan_patch`` names;
            the tree is unchanged.
    """
    changes = plan_patch(tree, patch, options, rules=rules)
    apply_changes(tree, changes)
    return changes


def apply_changes(tree: Tree, changes: Iterable[FileChange]) -> None:
    """Bring ``tree`` from the state that ``changes`` were planned for to the one that they lead to."""
    updates: dict[bytes, Entry | None] = {}
    for change in changes:
        if change.operation == "rename" and change.old_path is not None:
            updates[change.old_path] = None
        updates[change.path] = change.new
    tree.update(updates)

"""A patch on a tree that it was not made for: merged, file by file, through the content it was made from.

The index line of a patch names the blob that each change was made from. Where the repository has
it, the change is what leads from that blob to its postimage, and merging it into the present
content brings it in wherever that content has moved. Nothing is written.

See: ``--3way`` in ``git-apply(1)``; ``try_threeway`` in Git's ``apply.c``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from msgspec import Struct

from patches.apply import apply_changes
from patches.errors import FileRefused, MergeConflict, UnmarkableConflict, show_path
from patches.model import MODE_SYMLINK, FileChange, FilePatch, Oid, Patch
from patches.options import DEFAULTS, ApplyOptions, Favor
from patches.plan import plan_patch
from patches.textmerge import (
    MARKER_SIZE,
    ConflictStyle,
    Driver,
    Region,
    choose_driver,
    choose_marker_size,
    conflict_regions,
    merge_contents,
)

if TYPE_CHECKING:
    import pygit2

    from patches.objects import Objects
    from patches.tree import Tree

_STYLES: dict[str, ConflictStyle] = {"merge": "merge", "diff3": "diff3", "zdiff3": "zdiff3"}
_SHOWN_REGIONS = 8

Outcome: TypeAlias = Literal["clean", "conflict", "no blob", "misfit", "untried"]
"""What became of the attempt to merge one file: ``no blob``, ``misfit`` and ``untried`` left it to the hunks.

``no blob``: the repository lacks the content that the patch was made from. ``misfit``: the patch does
not even apply to that. ``untried``: there is nothing to merge, as in a rename alone.
"""


class PathMerge(NamedTuple):
    """How the contents of one path are merged: its ``merge`` and ``conflict-marker-size`` attributes."""

    driver: Driver = "text"
    marker_size: int = MARKER_SIZE


class MergeOptions(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The knobs of a three-way merge besides the attributes of the paths."""

    favor: Favor | None = None
    style: ConflictStyle = "merge"


class Conflict(Struct, frozen=True, gc=False):
    """A file on which both sides disagree: the three stages of its index entry, all of one mode.

    ``base`` is None where both sides created it. ``regions`` are the marked lines of the merged
    content; there are none in content that takes no markers (binary, a symlink): it is ours.
    """

    path: bytes
    mode: int
    base: Oid | None
    ours: Oid
    theirs: Oid
    regions: tuple[Region, ...]

    def __str__(self) -> str:
        """Return the path and the lines, for a person."""
        if not self.regions:
            return f"{show_path(self.path)}: its content takes no markers"
        spans = [f"{region.first}-{region.last}" for region in self.regions[:_SHOWN_REGIONS]]
        more = len(self.regions) - len(spans)
        lines = f"lines {', '.join(spans)}{f' and {more} more' if more else ''}"
        return f"{show_path(self.path)}: {lines} of the merged file"


class Attempt(NamedTuple):
    """One file of the patch, in the order of the patch, and whether it was merged."""

    path: bytes
    outcome: Outcome
    addition: bool
    """Both sides created it: there is nothing that the hunks alone could do."""


class ThreewayPlan(Struct, frozen=True, gc=False):
    """What a patch makes of a tree by merging.

    Where there are ``conflicts``, the new blobs of their ``changes`` hold the marked regions.
    """

    changes: tuple[FileChange, ...]
    conflicts: tuple[Conflict, ...]
    attempts: tuple[Attempt, ...]


def plan_threeway(
    tree: Tree, patch: Patch, options: ApplyOptions = DEFAULTS, merge: ThreewayMerge | None = None
) -> ThreewayPlan:
    """Return what ``patch`` does to each path of ``tree``, merging every file that can be.

    A file that cannot be merged is left to its hunks, as ``plan_patch`` puts them. The tree is
    unchanged; the new blobs, those of the conflicts' stages among them, are in ``tree.objects``.

    Args:
        tree: What it is applied to: "ours".
        patch: What is applied: its result on what it was made from is "theirs".
        options: How its hunks are put in their places.
        merge: How contents are merged. It notes its attempts, also those of a patch that is
            refused afterwards.

    Raises:
        PatchError: as ``plan_patch``, for a file that was left to its hunks, and for what no merge of
            contents can solve: a file that is gone, one that is of another type.
    """
    merge = merge or ThreewayMerge(tree.objects)
    changes = plan_patch(tree, patch, options, merge=merge)
    return ThreewayPlan(changes, merge.keep_conflicts(), tuple(merge.attempts))


def apply_threeway(
    tree: Tree,
    patch: Patch,
    options: ApplyOptions = DEFAULTS,
    merge: ThreewayMerge | None = None,
    *,
    keep: bool = False,
) -> ThreewayPlan:
    """Apply ``patch`` to ``tree``, merging every file that can be, wholly or not at all.

    Args:
        tree: What it is applied to.
        patch: What is applied.
        options: How its hunks are put in their places.
        merge: How contents are merged.
        keep: Let the files in conflict have their marked regions in them.

    Raises:
        MergeConflict: a file is in conflict, and ``keep`` is not asked for; the tree is unchanged.
        UnmarkableConflict: ``keep`` is, and the file can hold no markers; likewise.
        PatchError: as ``plan_threeway``; likewise.
    """
    plan = plan_threeway(tree, patch, options, merge)
    if plan.conflicts and not keep:
        raise MergeConflict(plan.conflicts)
    unmarked = [conflict for conflict in plan.conflicts if not conflict.regions]
    if unmarked:
        raise UnmarkableConflict(unmarked)
    apply_changes(tree, plan.changes)
    return plan


class ThreewayMerge:
    """Merges the parts of one patch, and keeps what it tried (`patches.plan.ContentMerge`).

    Args:
        objects: Where the blobs are that the patch was made from.
        options: Which side wins, and how a conflict is shown.
        of_path: How a path is merged; by default every one as text.
    """

    def __init__(
        self,
        objects: Objects,
        options: MergeOptions = MergeOptions(),  # noqa: B008 - it is frozen
        of_path: Callable[[bytes], PathMerge] = lambda _path: PathMerge(),
    ) -> None:
        self._objects = objects
        self._options = options
        self._of_path = of_path
        self.attempts: list[Attempt] = []
        self._conflicts: dict[bytes, _Disagreement] = {}

    def merge(
        self, file: FilePatch, mode: int, ours: bytes, patched: Callable[[bytes], bytes]
    ) -> bytes | None:
        """Return the merged content, marked where it is in conflict; None leaves the file to its hunks."""
        path = file.new_path or b""
        outcome, content = self._attempt(file, path, mode, ours, patched)
        self.attempts.append(Attempt(path, outcome, file.operation == "add"))
        return content

    def keep_conflicts(self) -> tuple[Conflict, ...]:
        """Return the conflicts by path, and keep the blobs of their stages for the next flush."""
        return tuple(
            Conflict(
                path,
                found.mode,
                None if found.base is None else self._objects.add_blob(found.base),
                self._objects.add_blob(found.ours),
                self._objects.add_blob(found.theirs),
                found.regions,
            )
            for path, found in sorted(self._conflicts.items())
        )

    def _attempt(
        self, file: FilePatch, path: bytes, mode: int, ours: bytes, patched: Callable[[bytes], bytes]
    ) -> tuple[Outcome, bytes | None]:
        if file.operation == "rename" and not file.hunks and not file.binary:
            return "untried", None
        base = self._read_base(file)
        if base is None:
            return "no blob", None
        try:
            theirs = patched(base)
        except FileRefused:
            return "misfit", None
        way = self._way(path, mode)
        merged = merge_contents(
            base,
            ours,
            theirs,
            favor=self._options.favor,
            style=self._options.style,
            driver=way.driver,
            marker_size=way.marker_size,
        )
        if not merged.conflicted:
            return "clean", merged.data
        regions = () if merged.binary else conflict_regions(merged.data)
        known = None if file.operation == "add" else base
        self._conflicts[path] = _Disagreement(mode, known, ours, theirs, regions)
        return "conflict", merged.data

    def _read_base(self, file: FilePatch) -> bytes | None:
        """Return what the part was made from; None where the repository does not have it."""
        if file.operation == "add":
            return b""
        oid = self._objects.find_blob(file.old_oid)
        return None if oid is None else self._objects.read_blob(oid)

    def _way(self, path: bytes, mode: int) -> PathMerge:
        # A target with markers in it would be a link to nowhere.
        return PathMerge("binary") if mode == MODE_SYMLINK else self._of_path(path)


class _Disagreement(NamedTuple):
    mode: int
    base: bytes | None
    ours: bytes
    theirs: bytes
    regions: tuple[Region, ...]


def read_merge_options(repo: pygit2.Repository, favor: Favor | None = None) -> MergeOptions:
    """Return ``favor`` with the user's ``merge.conflictStyle``; a style that no Git knows is as if unset."""
    config = repo.config
    name = str(config["merge.conflictstyle"]) if "merge.conflictstyle" in config else ""
    return MergeOptions(favor=favor, style=_STYLES.get(name, "merge"))


def path_merges(repo: pygit2.Repository) -> Callable[[bytes], PathMerge]:
    """Return how the attributes of ``repo`` say that each path is merged."""
    config = repo.config
    default = str(config["merge.default"]) if "merge.default" in config else "text"

    def of_path(path: bytes) -> PathMerge:
        driver = choose_driver(
            repo.get_attr(path, "merge"), default, lambda name: f"merge.{name}.driver" in config
        )
        return PathMerge(driver, choose_marker_size(repo.get_attr(path, "conflict-marker-size")))

    return of_path

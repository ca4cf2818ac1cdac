"""Whether a patch may be written to the work tree and the index as they are now."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from patches.collisions import find_collisions
from patches.directories import Directories, Found, parent_of
from patches.filters import Candidate, Filters
from patches.model import MODE_GITLINK
from patches.worktree_errors import DirtyPath, InTheWay, NotWritable, Offence, ThroughSymlink, WorkTreeRefusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from patches.gitindex import IndexFile
    from patches.touches import Touch

_GRAVITY: tuple[type[WorkTreeRefusal], ...] = (ThroughSymlink, InTheWay, DirtyPath, NotWritable)


class Inspection:
    """All reasons why a patch may not be written, collected by class. Reads only.

    Args:
        found: what each touched path holds.
        filters: the conversions in force.
    """

    def __init__(
        self,
        files: Directories,
        touches: Sequence[Touch],
        found: Mapping[bytes, Found],
        filters: Filters,
    ) -> None:
        self._files = files
        self._touches = touches
        self._found = found
        self._filters = filters
        self._leaving = frozenset(touch.path for touch in touches if touch.new is None)
        self._offences: dict[type[WorkTreeRefusal], list[Offence]] = {}

    def run(self, index: IndexFile) -> None:
        """Look at everything, then raise once.

        Raises:
            WorkTreeRefusal: the subclass of the gravest offence, holding them all.
            FilterFailed: a required clean filter failed.
        """
        candidates = [Candidate(t.path, t.old, self._found[t.path]) for t in self._touches if t.old]
        held = self._filters.holding(candidates, self._files)
        for touch in self._touches:
            if self._found[touch.path].kind == "blocked":
                self._inspect_blocked(touch)
            elif touch.old is not None and touch.path not in held:
                self._add(DirtyPath, touch.path, _difference(self._found[touch.path]))
            elif touch.new is not None:
                self._inspect_target(touch)
            self._inspect_index(touch, index)
        self._inspect_collisions()
        self._inspect_permissions()
        for kind in _GRAVITY:
            if kind in self._offences:
                raise kind(tuple(offence for each in _GRAVITY for offence in self._offences.get(each, ())))

    def _add(self, kind: type[WorkTreeRefusal], path: bytes, reason: str, by: bytes | None = None) -> None:
        self._offences.setdefault(kind, []).append(Offence(path, reason, by))

    def _inspect_blocked(self, touch: Touch) -> None:
        found = self._found[touch.path]
        if touch.old is None and found.by in self._leaving:
            return
        if found.by_symlink:
            self._add(ThroughSymlink, touch.path, "a parent directory is a symlink", found.by)
        elif touch.old is None:
            self._add(InTheWay, touch.path, "a parent directory is a file", found.by)
        else:
            self._add(DirtyPath, touch.path, "is gone from the work tree", found.by)

    def _inspect_target(self, touch: Touch) -> None:
        kind = self._found[touch.path].kind
        if kind == "directory":
            if touch.new is not None and touch.new.mode != MODE_GITLINK:
                self._inspect_directory(touch.path, touch.path)
        elif touch.old is None and kind != "absent" and not self._is_other_case(touch.path):
            self._add(InTheWay, touch.path, "is already there and is not tracked")

    def _inspect_directory(self, path: bytes, directory: bytes) -> bool:
        """Add the first thing in ``directory`` that does not go with the patch; True where there is none."""
        if self._files.is_working_directory(directory):
            self._add(InTheWay, path, "is the current working directory", directory)
            return False
        for name in self._files.names(directory):
            child = directory + b"/" + name
            st = self._files.lstat(child)
            if st is not None and stat.S_ISDIR(st.st_mode):
                if not self._inspect_directory(path, child):
                    return False
            elif child not in self._leaving:
                self._add(InTheWay, path, "is a directory that holds something else", child)
                return False
        return True

    def _is_other_case(self, path: bytes) -> bool:
        """Whether ``path`` is, on a case-insensitive file system, a file that the patch takes away."""
        st = self._found[path].stat
        if st is None or not self._filters.settings.ignores_case:
            return False
        gone = (self._found[other].stat for other in self._leaving if other.lower() == path.lower())
        return any(other is not None and os.path.samestat(st, other) for other in gone)

    def _inspect_index(self, touch: Touch, index: IndexFile) -> None:
        reason = index.disagreement(touch.path, touch.old)
        if reason is not None:
            self._add(DirtyPath, touch.path, reason)
        elif touch.old is None:
            other = index.collision(touch.path, self._leaving)
            if other is not None:
                self._add(InTheWay, touch.path, "the index has another entry in its place", other)

    def _inspect_collisions(self) -> None:
        collisions = list(find_collisions(touch.path for touch in self._touches if touch.new is not None))
        if collisions and (self._filters.settings.ignores_case or self._files.folds_names()):
            for path, other in collisions:
                self._add(InTheWay, path, "is one and the same file on this file system", other)

    def _inspect_permissions(self) -> None:
        seen: set[bytes] = set()
        for touch in self._touches:
            directory = self._files.nearest(parent_of(touch.path))
            if directory not in seen:
                seen.add(directory)
                if not self._files.is_writable(directory):
                    self._add(NotWritable, touch.path, "its directory is not writable", directory)


def _difference(found: Found) -> str:
    if found.kind == "absent":
        return "is gone from the work tree"
    if found.kind == "other":
        return "cannot be read, or is not a file"
    return "is changed in the work tree"

"""Staged files made visible: deletions first, then renames into place.

Each step leaves every path whole, old or new; nothing that changed since it was looked at is replaced.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from hashlib import sha1
from typing import TYPE_CHECKING

from patches.directories import (
    NO_LINKS,
    Blocked,
    Directories,
    Found,
    ancestors_of,
    open_directory,
    opened,
    parent_of,
    sync_file,
    write_new,
)
from patches.model import MODE_GITLINK
from patches.touches import LeftAlone, StagedTouch, Touch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_YOUNG_NS = 2_000_000_000
"""Two writes this close may carry the same times (coarse clocks; FAT counts in two seconds)."""


def sibling_of(path: bytes) -> bytes:
    """Return where a temporary copy of ``path`` goes if a rename from the staging area cannot reach it."""
    head = parent_of(path)
    name = b".ledger-%s.tmp" % sha1(path, usedforsecurity=False).hexdigest()[:16].encode()
    return head + b"/" + name if head else name


def remove_siblings(files: Directories, touches: Iterable[Touch]) -> None:
    """Remove the temporary copies that a crash left beside the touched paths."""
    for touch in touches:
        if touch.new is not None:
            with suppress(FileNotFoundError, Blocked):
                files.unlink(sibling_of(touch.path))


class Publication:
    """One publication: ``path`` is at work, ``stats`` has what was placed, ``left`` what was not."""

    def __init__(self, files: Directories, staging: Path, looked_at_ns: int) -> None:
        self.path = b""
        self.stats: dict[bytes, os.stat_result] = {}
        self.left: list[LeftAlone] = []
        self._files = files
        self._staging = staging
        self._looked_at_ns = looked_at_ns
        self._changed: set[bytes] = set()

    def run(self, staged: Sequence[StagedTouch], settled: Iterable[Touch]) -> None:
        """Delete, prune the directories that became empty, then place.

        Args:
            staged: what is to be done.
            settled: the other touches of the same change, whose paths need nothing.

        Raises:
            OSError: a step was refused; ``path`` says where.
        """
        for file in staged:
            if file.touch.new is None:
                self.path = file.touch.path
                self._remove(file)
        self._prune([*(file.touch for file in staged), *settled])
        with opened(open_directory(self._staging)) as staging_fd:
            for file in staged:
                self.path = file.touch.path
                if file.name is not None:
                    self._place(file, file.name, staging_fd)
                elif file.touch.new is not None:
                    self._place_submodule(file)

    def _leave(self, path: bytes, reason: str) -> None:
        """Report that ``path`` is not as the patch has it."""
        self.left.append(LeftAlone(path, reason))

    def sync(self) -> None:
        """Make the changed names durable, one sync for each directory."""
        for directory in sorted(self._changed):
            self.path = directory or b"."
            self._files.sync(directory)

    def _is_as_seen(self, path: bytes, seen: Found) -> bool:
        st = self._files.lstat(path)
        if st is None:
            return False
        if seen.same_file(st) and st.st_ctime_ns < self._looked_at_ns - _YOUNG_NS:
            return True
        # Times may hide an edit, or differ without one (touch, a hard link more): the bytes decide.
        now = self._files.look(path)
        return (now.kind, now.oid, now.executable) == (seen.kind, seen.oid, seen.executable)

    def _remove(self, file: StagedTouch) -> None:
        path, old, _ = file.touch
        if file.seen.kind in ("absent", "blocked") or self._files.lstat(path) is None:
            return
        if old is not None and old.mode == MODE_GITLINK:
            # A submodule's checkout is not ours: like Git, keep it unless it is empty.
            self._files.remove_if_empty(path)
        elif self._is_as_seen(path, file.seen):
            self._files.unlink(path)
        else:
            self._leave(path, "was edited meanwhile; not deleted")
            return
        self._changed.add(parent_of(path))

    def _prune(self, touches: Sequence[Touch]) -> None:
        needed: set[bytes] = set()
        emptied: set[bytes] = set()
        for touch in touches:
            (emptied if touch.new is None else needed).update(ancestors_of(touch.path))
        # A submodule that is there already is an empty directory, too.
        needed.update(touch.path for touch in touches if touch.new is not None)
        for directory in sorted(emptied - needed, reverse=True):
            if self._files.remove_if_empty(directory):
                self._changed.add(parent_of(directory))

    def _place(self, file: StagedTouch, name: bytes, staging_fd: int) -> None:
        path = file.touch.path
        try:
            self._make_parents(path)
        except Blocked as block:
            kind = "a symlink" if block.kind == "symlink" else "a file"
            return self._leave(path, f"a parent directory is {kind}")
        replaces = file.seen.kind in ("file", "symlink") and file.touch.old is not None
        if replaces and not self._is_as_seen(path, file.seen):
            return self._leave(path, "was edited meanwhile")
        if not replaces and file.seen.kind == "directory" and not self._files.remove_empty_tree(path):
            return self._leave(path, "a directory with other files is there")
        if not self._move(staging_fd, name, path, replaces=replaces):
            return self._leave(path, "something else was put there meanwhile")
        self._changed.add(parent_of(path))
        return None

    def _place_submodule(self, file: StagedTouch) -> None:
        path = file.touch.path
        st = self._files.lstat(path)
        if st is not None and not stat.S_ISDIR(st.st_mode):
            if not self._is_as_seen(path, file.seen) or file.touch.old is None:
                return self._leave(path, "was edited meanwhile")
            self._files.unlink(path)
        try:
            self._make_parents(path)
            self._files.make(path)
        except Blocked:
            return self._leave(path, "something else is there, or above it")
        self._changed.add(parent_of(path))
        return None

    def _make_parents(self, path: bytes) -> None:
        nearest = self._files.nearest(parent_of(path))
        if nearest != parent_of(path):
            self._files.make(parent_of(path))
            self._changed.update({nearest, *ancestors_of(path)})

    def _move(self, staging_fd: int, name: bytes, path: bytes, *, replaces: bool) -> bool:
        """Bring a staged file to ``path``; False where the path is taken."""
        head, _, target = path.rpartition(b"/")
        fd = self._files.open(head)
        _take_group(staging_fd, name, fd)
        before = os.lstat(name, dir_fd=staging_fd)
        try:
            moved = _move_into(staging_fd, name, fd, target, replaces=replaces)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            # Another file system: a copy beside the target, in the name that `converge` removes.
            beside = sibling_of(path).rpartition(b"/")[2]
            before = _copy(staging_fd, name, fd, beside)
            moved = _move_into(fd, beside, fd, target, replaces=replaces)
            if not moved:
                os.unlink(beside, dir_fd=fd)
        if moved:
            st = os.lstat(target, dir_fd=fd)
            # Edited within these microseconds, it gets no status, and Git compares its bytes.
            if (st.st_ino, st.st_size, st.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns):
                self.stats[path] = st
        return moved


def _take_group(staging_fd: int, name: bytes, directory_fd: int) -> None:
    """Give a staged file the group that it would have got in its directory: shared checkouts set it there."""
    directory = os.fstat(directory_fd)
    if directory.st_mode & stat.S_ISGID and os.lstat(name, dir_fd=staging_fd).st_gid != directory.st_gid:
        with suppress(PermissionError):
            os.chown(name, -1, directory.st_gid, dir_fd=staging_fd, follow_symlinks=False)


def _move_into(from_fd: int, name: bytes, to_fd: int, target: bytes, *, replaces: bool) -> bool:
    if not replaces:
        return _link(from_fd, name, to_fd, target)
    os.rename(name, target, src_dir_fd=from_fd, dst_dir_fd=to_fd)
    return True


def _link(from_fd: int, name: bytes, to_fd: int, target: bytes) -> bool:
    """Move without ever replacing: unlike a rename, a link refuses a name that is taken."""
    try:
        os.link(name, target, src_dir_fd=from_fd, dst_dir_fd=to_fd, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if target in map(os.fsencode, os.listdir(to_fd)):
            return False
        os.rename(name, target, src_dir_fd=from_fd, dst_dir_fd=to_fd)
        return True
    os.unlink(name, dir_fd=from_fd)
    return True


def _copy(from_fd: int, name: bytes, to_fd: int, target: bytes) -> os.stat_result:
    with suppress(FileNotFoundError):
        os.unlink(target, dir_fd=to_fd)
    st = os.lstat(name, dir_fd=from_fd)
    if stat.S_ISLNK(st.st_mode):
        os.symlink(os.readlink(name, dir_fd=from_fd), target, dir_fd=to_fd)
        return os.lstat(target, dir_fd=to_fd)
    with (
        opened(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=from_fd)) as source,
        open(source, "rb", closefd=False) as data,
    ):
        st = write_new(to_fd, target, data.read(), stat.S_IMODE(st.st_mode))
    sync_file(to_fd, target)
    return st

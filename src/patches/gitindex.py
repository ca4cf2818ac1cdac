"""The index of one work tree: looked up, and replaced in one rename under Git's own lock."""

from __future__ import annotations

import importlib
import os
import time
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from patches.directories import NO_LINKS, ancestors_of, open_directory, opened
from patches.model import Entry, Oid
from patches.worktree_errors import IndexLocked, IndexUnreadable

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_MARK = b"ledger "
_RETRY_S = 0.01
_VALID = 0x8000
_EXTENDED = 0x4000
_NAME_MASK = 0x0FFF
_SKIP_WORKTREE = 1 << 14
_INTENT_TO_ADD = 1 << 13
_WORD = 0xFFFFFFFF
_UNREADABLE_EXTENSIONS = {b"link": "split index", b"sdir": "sparse index"}


class IndexUpdate(NamedTuple):
    """What one path becomes in the index."""

    path: bytes
    old: Entry | None
    new: Entry | None
    stat: os.stat_result | None
    """Status of the file that holds ``new``; None makes Git compare its bytes."""


class IndexFile:
    """The index file of one git directory.

    It is parsed from a private copy and parsed again only when the file was replaced, so a check
    and the write that follows cost one read and one write. Libgit2 never writes the real file: a
    kill inside it would leave an ``index.lock`` that nobody may remove.
    """

    def __init__(self, git_dir: Path, staging: Path) -> None:
        self._path = git_dir / "index"
        self._lock = git_dir / "index.lock"
        self._staging = staging
        self._copy = staging / "index"
        self._entries: Any = None
        self._read_from: tuple[int, ...] | None = None
        self._stat: os.stat_result | None = None

    def read(self) -> None:
        """Read the index where it was replaced since the last time. A missing index is an empty one.

        Raises:
            IndexUnreadable: it is damaged, or split, or sparse.
        """
        try:
            fd = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            self._copy.unlink(missing_ok=True)
            self._adopt(None, None, 0)
            return
        with opened(fd):
            st = os.fstat(fd)
            signature = _signature(st)
            if self._read_from == signature:
                return
            with open(fd, "rb", closefd=False) as source:
                data = source.read()
        self._copy.write_bytes(data)
        self._adopt(signature, st, int.from_bytes(data[8:12], "big"))

    def _adopt(self, signature: tuple[int, ...] | None, st: os.stat_result | None, count: int) -> None:
        from pygit2 import GitError
        from pygit2.errors import check_error

        library = _library()
        self._read_from, self._stat = None, None
        # Not by pygit2's class: where its constructor fails, its destructor writes a traceback to stderr.
        pointer = library.ffi.new("git_index **")
        try:
            check_error(library.C.git_index_open(pointer, os.fsencode(self._copy)))
        except (GitError, OSError) as error:
            raise IndexUnreadable(str(self._path), str(error)) from error
        finally:
            self._copy.unlink(missing_ok=True)
        self._entries = library.ffi.gc(pointer[0], library.C.git_index_free)
        if self._count() != count:
            # Libgit2 takes any error of its `stat` for "no file", and no file for an index without entries:
            # what is written from it would have lost them all.
            found = f"its header says {count} entries, {self._count()} were read"
            raise IndexUnreadable(str(self._path), found)
        self._read_from, self._stat = signature, st

    # Looking up

    def _found(self, path: bytes, stage: int = 0) -> Any:
        library = _library()
        entry = library.C.git_index_get_bypath(self._entries, path, stage)
        return None if entry == library.ffi.NULL else entry

    def entry(self, path: bytes) -> Entry | None:
        """Return the entry at ``path``, if it has one that is not in conflict."""
        found = self._found(path)
        return None if found is None else Entry(int(found.mode), _oid(found))

    def disagreement(self, path: bytes, wanted: Entry | None) -> str | None:
        """Return why the index does not have exactly ``wanted`` at ``path``, or None if it does."""
        if any(self._found(path, stage) is not None for stage in (1, 2, 3)):
            return "is conflicted in the index"
        found = self._found(path)
        if found is None:
            return None if wanted is None else "is not in the index"
        if int(found.flags_extended) & _INTENT_TO_ADD:
            return "is added to the index without its content (intent to add)"
        if wanted is None:
            return "is already in the index"
        return None if (int(found.mode), _oid(found)) == wanted else "is changed in the index"

    def collision(self, path: bytes, leaving: frozenset[bytes]) -> bytes | None:
        """Return an entry above or below ``path``, other than ``leaving``: ``path`` cannot be one too."""
        for parent in ancestors_of(path):
            if parent not in leaving and self._found(parent) is not None:
                return parent
        prefix = path + b"/"
        at = self._first_at(prefix)
        while at < self._count():
            name = self._name(at)
            if not name.startswith(prefix):
                return None
            if name not in leaving:
                return name
            at += 1
        return None

    def _count(self) -> int:
        return int(_library().C.git_index_entrycount(self._entries))

    def _name(self, at: int) -> bytes:
        library = _library()
        return bytes(library.ffi.string(library.C.git_index_get_byindex(self._entries, at).path))

    def _first_at(self, prefix: bytes) -> int:
        low, high = 0, self._count()
        while low < high:
            middle = (low + high) // 2
            if self._name(middle) < prefix:
                low = middle + 1
            else:
                high = middle
        return low

    # The lock

    def refuse_lock(self, timeout_s: float) -> None:
        """Raise where another process holds the lock, and still does after ``timeout_s``.

        Raises:
            IndexLocked: it is there and is not a leftover of ours.
        """
        deadline = time.monotonic() + timeout_s
        while self._lock_is_foreign():
            if time.monotonic() >= deadline:
                raise IndexLocked(str(self._lock))
            time.sleep(_RETRY_S)

    def _lock_is_foreign(self) -> bool:
        try:
            return not self._lock.read_bytes().startswith(_MARK)
        except FileNotFoundError:
            return False

    def clear_lock(self) -> None:
        """Remove a lock that a killed process of ours left. The caller's own lock says none is alive."""
        if self._lock.exists() and not self._lock_is_foreign():
            self._lock.unlink()

    def acquire_lock(self, timeout_s: float) -> None:
        """Take ``index.lock``, waiting for a short-lived holder.

        The lock appears with its mark already in it: a kill at any moment leaves a lock that
        `clear_lock` knows.

        Raises:
            IndexLocked: another process still held it after ``timeout_s``.
        """
        mine = (
            self._staging / "lock"
        )  # stays until the staging area is cleared: nothing may fail after the link
        mine.unlink(missing_ok=True)
        mine.write_bytes(_MARK + b"%d\n" % os.getpid())
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                os.link(mine, self._lock)
                break
            except FileExistsError:
                if time.monotonic() >= deadline:
                    raise IndexLocked(str(self._lock)) from None
                time.sleep(_RETRY_S)
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                if self._create_lock():
                    break

    def _create_lock(self) -> bool:
        # Without hard links a kill between these two calls leaves an empty lock that a person must remove.
        try:
            with self._lock.open("xb") as file:
                file.write(_MARK + b"%d\n" % os.getpid())
        except FileExistsError:
            time.sleep(_RETRY_S)
            return False
        return True

    def release_lock(self) -> None:
        """Give ``index.lock`` back."""
        self._lock.unlink(missing_ok=True)

    # Writing

    def replace(self, updates: Collection[IndexUpdate]) -> tuple[bytes, ...]:
        """Write the index with ``updates`` and rename it over the real one. The lock is held.

        An entry that is neither the old nor the new one was staged by somebody else and stays; so
        do all other entries and their flags. Either the whole new index is there or the old one.

        Returns:
            the paths whose entries were left alone.
        """
        self.read()
        signature, self._read_from = self._read_from, None
        leaving = frozenset(update.path for update in updates if update.new is None)
        left: list[bytes] = []
        changed = False
        for update in updates:
            if self.disagreement(update.path, update.old) and self.disagreement(update.path, update.new):
                left.append(update.path)
            elif update.new is None:
                changed |= self._remove(update.path)
            elif self.collision(update.path, leaving):
                left.append(update.path)
            else:
                self._put(update.path, update.new, update.stat)
                changed = True
        self._read_from = self._write() if changed else signature
        return tuple(left)

    def _remove(self, path: bytes) -> bool:
        from pygit2.errors import check_error

        library = _library()
        if self._found(path) is None:
            return False
        check_error(library.C.git_index_remove(self._entries, path, 0))
        return True

    def _put(self, path: bytes, entry: Entry, st: os.stat_result | None) -> None:
        from pygit2.errors import check_error

        library = _library()
        held = self._found(path)
        new: Any = library.ffi.new("git_index_entry *")
        name = library.ffi.new("char[]", path)
        new.path = name
        new.mode = entry.mode
        library.ffi.buffer(library.ffi.addressof(new, "id"))[:] = entry.oid
        new.flags = min(len(path), _NAME_MASK)
        if held is not None:
            new.flags |= int(held.flags) & _VALID
            if int(held.flags_extended) & _SKIP_WORKTREE:
                new.flags |= _EXTENDED
                new.flags_extended = _SKIP_WORKTREE
        if st is not None:
            _fill_stat(new, st)
        check_error(library.C.git_index_add(self._entries, new))

    def _write(self) -> tuple[int, ...]:
        from pygit2.errors import check_error

        self._copy.unlink(missing_ok=True)
        check_error(_library().C.git_index_write(self._entries))
        with opened(os.open(self._copy, os.O_RDONLY)) as fd:
            if self._stat is not None:
                # Git compares by content every entry that is not older than the index. Keeping the
                # time keeps that for the entries that needed it, and asks it for the new ones.
                os.utime(fd, ns=(self._stat.st_atime_ns, self._stat.st_mtime_ns))
                if self._stat.st_mode != os.fstat(fd).st_mode:
                    os.fchmod(fd, self._stat.st_mode & 0o777)
            os.fsync(fd)
            self._copy.rename(self._path)
            self._stat = os.fstat(fd)
        with opened(open_directory(self._path.parent)) as fd:
            os.fsync(fd)
        return _signature(self._stat)


@cache
def _library() -> Any:
    """Return libgit2's C interface: pygit2's own index entries have no stat fields and no flags."""
    return importlib.import_module("pygit2.ffi")


def _signature(st: os.stat_result) -> tuple[int, ...]:
    return (st.st_dev, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)


def _oid(entry: Any) -> Oid:
    library = _library()
    return bytes(library.ffi.buffer(library.ffi.addressof(entry, "id"))[:])


def _fill_stat(entry: Any, st: os.stat_result) -> None:
    entry.ctime.seconds, entry.ctime.nanoseconds = _seconds(st.st_ctime_ns)
    entry.mtime.seconds, entry.mtime.nanoseconds = _seconds(st.st_mtime_ns)
    entry.dev = st.st_dev & _WORD
    entry.ino = st.st_ino & _WORD
    entry.uid = st.st_uid & _WORD
    entry.gid = st.st_gid & _WORD
    entry.file_size = st.st_size & _WORD


def _seconds(time_ns: int) -> tuple[int, int]:
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return seconds & 0x7FFFFFFF, nanoseconds


def unsupported_feature(git_dir: Path) -> str | None:
    """Return the name of a feature of the repository that nothing here can work with, or None.

    Works on the files of the git directory (``.git``, or the one of a linked work tree): libgit2
    cannot open some of these repositories at all.
    """
    import pygit2

    common = git_dir / "commondir"
    shared = git_dir / os.fsdecode(common.read_bytes().strip()) if common.exists() else git_dir
    objects, references, sparse = "sha1", "files", False
    for path in (shared / "config", git_dir / "config.worktree"):
        if path.exists():
            config = pygit2.Config(str(path))
            objects = (
                str(config["extensions.objectformat"]) if "extensions.objectformat" in config else objects
            )
            references = (
                str(config["extensions.refstorage"]) if "extensions.refstorage" in config else references
            )
            sparse = config.get_bool("core.sparsecheckout") if "core.sparsecheckout" in config else sparse
    if objects.lower() != "sha1":
        return "SHA-256 object names"
    if references.lower() != "files":
        return "reftable"
    return "sparse checkout" if sparse else _unreadable_extension(git_dir / "index")


def _unreadable_extension(index: Path) -> str | None:
    try:
        data = index.read_bytes()
    except FileNotFoundError:
        return None
    for signature, name in _UNREADABLE_EXTENSIONS.items():
        at = data.find(signature)
        while at >= 0:
            if _is_extension(data, at):
                return name
            at = data.find(signature, at + 1)
    return None


def _is_extension(data: bytes, at: int) -> bool:
    """Whether a chain of extensions leads from ``at`` exactly to the checksum at the end."""
    end = len(data) - 20
    while at + 8 <= end:
        at += 8 + int.from_bytes(data[at + 4 : at + 8], "big")
    return at == end

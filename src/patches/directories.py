"""Files below one directory, reached name by name without ever following a symlink.

Every call works relative to an open directory that was itself opened with ``O_NOFOLLOW``,
from the root down. Whatever somebody swaps for a symlink meanwhile, nothing outside the
root is read, written or removed.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from hashlib import sha1
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from patches.oids import hash_blob

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from patches.model import Oid

# Not every platform that can import this has them all (there, only the engine works).
_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY: int = getattr(os, "O_DIRECTORY", 0)
_OPEN_DIRECTORY = os.O_RDONLY | _DIRECTORY | _NOFOLLOW
_OPEN_FILE = os.O_RDONLY | _NOFOLLOW | getattr(os, "O_NONBLOCK", 0)
_CHUNK_BYTES = 1 << 20
NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})
"""What a file system without hard links answers."""
_NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST)
_KEPT = (*_NOT_EMPTY, errno.EBUSY, errno.EINVAL, errno.EACCES, errno.EPERM)

Kind: TypeAlias = Literal["absent", "file", "symlink", "directory", "other", "blocked"]
"""What is at a path. ``blocked``: a parent is no directory. ``other``: none of Git's kinds, or unreadable."""


class Found(NamedTuple):
    """What one path held when it was looked at."""

    kind: Kind
    oid: Oid = b""
    """Hash of the bytes as a blob, unconverted (``file`` and ``symlink``)."""
    stat: os.stat_result | None = None
    """Taken before the bytes were read: a later edit differs from it."""
    by: bytes | None = None
    """The parent that is not a directory (``blocked``)."""
    by_symlink: bool = False

    @property
    def executable(self) -> bool:
        """Whether Git takes the file for executable: the owner's bit."""
        return self.stat is not None and bool(self.stat.st_mode & stat.S_IXUSR)

    def same_file(self, now: os.stat_result) -> bool:
        """Whether ``now`` is the file that was looked at, with no write since that shows in its times."""
        then = self.stat
        return then is not None and _signature(then) == _signature(now)


class Blocked(Exception):
    """A parent directory is missing (``kind`` absent), a symlink, or no directory."""

    def __init__(self, path: bytes, kind: Literal["absent", "symlink", "other"]) -> None:
        super().__init__(path, kind)
        self.path = path
        self.kind = kind


def _signature(st: os.stat_result) -> tuple[int, ...]:
    return (st.st_dev, st.st_ino, st.st_mode, st.st_size, st.st_mtime_ns, st.st_ctime_ns)


def parent_of(path: bytes) -> bytes:
    """Return the directory of ``path``: ``b""`` at the top."""
    return path.rpartition(b"/")[0]


def ancestors_of(path: bytes) -> Iterator[bytes]:
    """Yield the directories above ``path``, nearest first, without the top."""
    directory = parent_of(path)
    while directory:
        yield directory
        directory = parent_of(directory)


class Directories:
    """The open directories on the way to the current path: as many descriptors as it is deep.

    Visiting paths in sorted order opens each directory once. Not for use by two threads.
    """

    def __init__(self, root: bytes) -> None:
        self.root = root
        self._root_fd = open_directory(root)
        self._chain: list[tuple[bytes, int]] = []

    def __enter__(self) -> Directories:
        return self

    def __exit__(self, *_: object) -> None:
        self._close_below(0)
        os.close(self._root_fd)

    def _close_below(self, depth: int) -> None:
        while len(self._chain) > depth:
            os.close(self._chain.pop()[1])

    def _descend(self, directory: bytes, *, make: bool) -> int:
        names = directory.split(b"/") if directory else []
        depth = 0
        for (known, _), name in zip(self._chain, names, strict=False):
            if known != name:
                break
            depth += 1
        self._close_below(depth)
        for at, name in enumerate(names[depth:], depth):
            fd = self._chain[-1][1] if self._chain else self._root_fd
            try:
                child = os.open(name, _OPEN_DIRECTORY, dir_fd=fd)
            except FileNotFoundError:
                if not make:
                    raise Blocked(b"/".join(names[: at + 1]), "absent") from None
                os.mkdir(name, 0o777, dir_fd=fd)
                child = os.open(name, _OPEN_DIRECTORY, dir_fd=fd)
            except OSError as error:
                if error.errno not in (errno.ENOTDIR, errno.ELOOP, errno.EMLINK):
                    raise
                is_link = stat.S_ISLNK(os.lstat(name, dir_fd=fd).st_mode)
                raise Blocked(b"/".join(names[: at + 1]), "symlink" if is_link else "other") from None
            self._chain.append((name, child))
        return self._chain[-1][1] if self._chain else self._root_fd

    def open(self, directory: bytes) -> int:
        """Return a descriptor of ``directory``, valid until the next call.

        Raises:
            Blocked: a component is missing or is not a directory.
        """
        return self._descend(directory, make=False)

    def make(self, directory: bytes) -> int:
        """Return a descriptor of ``directory``, making what is missing (``mkdir -p``).

        Raises:
            Blocked: a component is a symlink or not a directory.
        """
        return self._descend(directory, make=True)

    def lstat(self, path: bytes) -> os.stat_result | None:
        """Return the status of ``path`` itself, or None where nothing is there or a parent blocks it."""
        head, _, name = path.rpartition(b"/")
        try:
            return os.lstat(name, dir_fd=self.open(head))
        except (FileNotFoundError, Blocked):
            return None

    def folds_names(self) -> bool:
        """Tell whether ``.git`` and ``.GIT`` are one name here: the file system is asked, no setting."""
        name, other = self.lstat(b".git"), self.lstat(b".GIT")
        return name is not None and other is not None and os.path.samestat(name, other)

    def look(self, path: bytes) -> Found:
        """Return what ``path`` holds, its bytes hashed."""
        head, _, name = path.rpartition(b"/")
        try:
            fd = self.open(head)
        except Blocked as block:
            if block.kind == "absent":
                return Found("absent")
            return Found("blocked", by=block.path, by_symlink=block.kind == "symlink")
        try:
            st = os.lstat(name, dir_fd=fd)
        except FileNotFoundError:
            return Found("absent")
        if stat.S_ISREG(st.st_mode):
            return _hash_file(fd, name, st)
        if stat.S_ISLNK(st.st_mode):
            return Found("symlink", hash_blob(os.readlink(name, dir_fd=fd)), st)
        return Found("directory" if stat.S_ISDIR(st.st_mode) else "other", stat=st)

    def read(self, path: bytes) -> bytes:
        """Return the bytes of the regular file at ``path``."""
        head, _, name = path.rpartition(b"/")
        with opened(os.open(name, _OPEN_FILE, dir_fd=self.open(head))) as fd:
            return b"".join(_chunks(fd))

    def nearest(self, directory: bytes) -> bytes:
        """Return ``directory``, or the nearest directory above it that exists."""
        for candidate in (directory, *ancestors_of(directory)):
            try:
                self.open(candidate)
            except Blocked:
                continue
            return candidate
        return b""

    def is_writable(self, directory: bytes) -> bool:
        """Whether names may be made and removed in ``directory``."""
        return os.access(".", os.W_OK | os.X_OK, dir_fd=self.open(directory))

    def is_working_directory(self, directory: bytes) -> bool:
        """Whether ``directory`` is the process's own working directory."""
        st = self.lstat(directory)
        return st is not None and _is_working_directory(st)

    def names(self, directory: bytes) -> list[bytes]:
        """Return the names in ``directory``, sorted."""
        return sorted(map(os.fsencode, os.listdir(self.open(directory))))

    def unlink(self, path: bytes) -> None:
        """Remove the file or symlink at ``path``."""
        head, _, name = path.rpartition(b"/")
        os.unlink(name, dir_fd=self.open(head))

    def remove_if_empty(self, directory: bytes) -> bool:
        """Remove ``directory`` where it is empty, and say whether it is gone.

        The process's own working directory stays, as with Git, and so does one that the system keeps.
        """
        head, _, name = directory.rpartition(b"/")
        try:
            fd = self.open(head)
            if _is_working_directory(os.lstat(name, dir_fd=fd)):
                return False
            os.rmdir(name, dir_fd=fd)
        except (FileNotFoundError, Blocked):
            return True
        except OSError as error:
            if error.errno not in (*_KEPT, errno.ENOTDIR):
                raise
            return False
        return True

    def remove_empty_tree(self, directory: bytes) -> bool:
        """Remove ``directory`` and the empty directories in it; say whether it is gone."""
        st = self.lstat(directory)
        if st is None:
            return True
        if not stat.S_ISDIR(st.st_mode):
            return False
        for name in self.names(directory):
            if not self.remove_empty_tree(directory + b"/" + name):
                return False
        return self.remove_if_empty(directory)

    def sync(self, directory: bytes) -> None:
        """Make the names in ``directory`` durable; one that is gone needs nothing."""
        with suppress(Blocked):
            os.fsync(self.open(directory))


def open_directory(path: str | bytes | Path) -> int:
    """Return a descriptor of a directory of ours, for calls relative to it and for syncing its names."""
    return os.open(path, os.O_RDONLY | _DIRECTORY)


@contextmanager
def opened(fd: int) -> Generator[int]:
    """Close ``fd`` at the end of the block."""
    try:
        yield fd
    finally:
        os.close(fd)


def _chunks(fd: int) -> Iterator[bytes]:
    while chunk := os.read(fd, _CHUNK_BYTES):
        yield chunk


def _hash_file(dir_fd: int, name: bytes, st: os.stat_result) -> Found:
    try:
        fd = os.open(name, _OPEN_FILE, dir_fd=dir_fd)
    except PermissionError:
        return Found("other", stat=st)
    with opened(fd):
        st = os.fstat(fd)
        digest = sha1(b"blob %d\0" % st.st_size, usedforsecurity=False)
        for chunk in _chunks(fd):
            digest.update(chunk)
    return Found("file", digest.digest(), st)


def _is_working_directory(st: os.stat_result) -> bool:
    try:
        here = Path.cwd().stat()
    except FileNotFoundError:
        return False
    return (here.st_dev, here.st_ino) == (st.st_dev, st.st_ino)


def write_new(dir_fd: int, name: bytes, data: bytes, mode: int) -> os.stat_result:
    """Write a file that must not exist yet, less the umask, and return its status. Not yet durable."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW
    with opened(os.open(name, flags, mode, dir_fd=dir_fd)) as fd:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        return os.fstat(fd)


def sync_file(dir_fd: int, name: bytes) -> None:
    """Make the bytes of a written file durable."""
    with opened(os.open(name, _OPEN_FILE, dir_fd=dir_fd)) as fd:
        os.fsync(fd)

"""Records what a program does to one directory, through the functions of ``os`` and ``io`` that do it."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from disk_model import Disk, Make, Operation, Remove, Rename, Sync, Tree, Truncate, Write


class Killed(BaseException):
    """The process is dead: nothing that it still tries reaches the disk."""


def read_tree(root: Path) -> Tree:
    """Return what lies in a directory."""
    found: Tree = {}
    for path in sorted(root.rglob("*")):
        found[path.relative_to(root).as_posix()] = None if path.is_dir() else path.read_bytes()
    return found


def write_tree(root: Path, tree: Tree) -> None:
    """Make a directory with what ``tree`` says in it."""
    root.mkdir()
    for path, data in tree.items():
        if data is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(data)


class Recorder:
    """Sits between a program and one directory, and notes every operation on it in order.

    `kill_in` kills the process at that many operations from now, in the middle of it where it is a write.
    `fail_sync` and `fail_write` let the next one on a path with that text in it fail, as a disk does.
    """

    def __init__(self, root: Path, trace: list[Any]) -> None:
        self.root, self.trace = str(root.resolve()), trace
        self.disk = Disk(read_tree(root))
        self.kill_in: int | None = None
        self.kill_share = 0.5
        self.dead = False
        self.fail_sync = self.fail_write = ""
        self._real = {name: getattr(os, name) for name in _PATCHED}
        self._real_open = io.open
        self._fds: dict[int, tuple[int, str, bool]] = {}

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Take the place of the system's functions until ``patch`` is undone."""
        for name in _PATCHED:
            patch.setattr(os, name, getattr(self, f"_{name}"))
        patch.setattr(io, "open", self._io_open)

    def assert_complete(self) -> None:
        """The operations noted give the very bytes that lie in the directory: nothing was written past us."""
        seen, there = self.disk.tree(), read_tree(Path(self.root))
        assert seen.keys() == there.keys()
        assert seen == there

    def _inside(self, path: Any) -> str | None:
        if isinstance(path, int):
            return None
        absolute = os.path.abspath(os.fspath(path))  # noqa: PTH100 - a plain string is compared
        return absolute[len(self.root) + 1 :] if f"{absolute}/".startswith(f"{self.root}/") else None

    def _note(self, operation: Operation) -> None:
        self.disk.apply(operation)
        self.trace.append(operation)

    def _dies(self) -> bool:
        """Count one operation; return whether the process dies in it."""
        if self.dead:
            raise Killed
        if self.kill_in is not None:
            self.kill_in -= 1
            if self.kill_in < 0 and not self._just_failed():
                self.kill_in, self.dead = None, True
                return True
        return False

    def _just_failed(self) -> bool:
        """Return whether the last operation was a sync that failed: only its process knows of it so far.

        A process that dies before its next step takes that with it. It is the one double fault that the format
        does not survive (see "Limits" there).
        """
        return bool(self.trace) and isinstance(self.trace[-1], Sync) and not self.trace[-1].confirmed

    def _alive(self) -> None:
        if self._dies():
            raise Killed

    # The system's functions.

    def _open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        inside = None if dir_fd is not None else self._inside(path)
        if inside is None:
            return self._real["open"](path, flags, mode, dir_fd=dir_fd)
        found = self.disk.find(inside)
        makes = found is None and bool(flags & os.O_CREAT)
        if makes or flags & os.O_TRUNC:
            self._alive()
        fd = self._real["open"](path, flags, mode)
        if makes:
            self._note(Make(inside))
        node = self.disk.find(inside)
        assert node is not None, f"{inside} was made by a way that is not recorded"
        if flags & os.O_TRUNC and not makes:
            self._note(Truncate(node, 0))
        self._fds[fd] = node, inside, bool(flags & os.O_APPEND)
        return fd

    def _close(self, fd: int) -> None:
        self._fds.pop(fd, None)
        self._real["close"](fd)

    def _write(self, fd: int, data: Any) -> int:
        if fd not in self._fds:
            return self._real["write"](fd, data)
        node, _, _ = self._fds[fd]
        written = self._real["write"](fd, self._less(fd, bytes(data)))
        offset = os.lseek(fd, 0, os.SEEK_CUR) - written
        self._note(Write(node, offset, bytes(data)[:written]))
        return self._end_write(written, len(data))

    def _pwrite(self, fd: int, data: Any, offset: int) -> int:
        if fd not in self._fds:
            return self._real["pwrite"](fd, data, offset)
        written = self._real["pwrite"](fd, self._less(fd, bytes(data)), offset)
        self._note(Write(self._fds[fd][0], offset, bytes(data)[:written]))
        return self._end_write(written, len(data))

    def _less(self, fd: int, data: bytes) -> bytes:
        """Return as much of a write as happens: all, or a part where the process dies or the disk is full."""
        self._partial = self._dies()
        self._full = bool(self.fail_write) and self.fail_write in self._fds[fd][1]
        return data[: int(len(data) * self.kill_share)] if self._partial or self._full else data

    def _end_write(self, written: int, wanted: int) -> int:
        if self._partial:
            raise Killed
        if self._full:
            self.fail_write = ""
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return written

    def _ftruncate(self, fd: int, size: int) -> None:
        if fd in self._fds:
            self._alive()
        self._real["ftruncate"](fd, size)
        if fd in self._fds:
            self._note(Truncate(self._fds[fd][0], size))

    def _truncate(self, path: Any, size: int) -> None:
        if isinstance(path, int):
            return self._ftruncate(path, size)
        inside = self._inside(path)
        if inside is not None:
            self._alive()
        self._real["truncate"](path, size)
        if inside is not None:
            node = self.disk.find(inside)
            assert node is not None
            self._note(Truncate(node, size))
        return None

    def _fsync(self, fd: int) -> None:
        if fd not in self._fds:
            return self._real["fsync"](fd)
        # The real one is left out: what a sync means is what the model says.
        self._alive()
        node, path, _ = self._fds[fd]
        if self.fail_sync and self.fail_sync in path:
            self.fail_sync = ""
            self._note(Sync(node, confirmed=False))
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self._note(Sync(node))

    _fdatasync = _fsync

    def _mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        inside = None if dir_fd is not None else self._inside(path)
        if inside is not None:
            self._alive()
        self._real["mkdir"](path, mode, dir_fd=dir_fd)
        if inside is not None:
            self._note(Make(inside, directory=True))

    def _rename(self, src: Any, dst: Any, **directories: Any) -> None:
        old, new = self._inside(src), self._inside(dst)
        if old is not None:
            self._alive()
        self._real["rename"](src, dst, **directories)
        if old is not None and new is not None:
            self._note(Rename(old, new))

    _replace = _rename

    def _unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        inside = None if dir_fd is not None else self._inside(path)
        if inside is not None:
            self._alive()
        self._real["unlink"](path, dir_fd=dir_fd)
        if inside is not None:
            self._note(Remove(inside))

    _remove = _unlink

    def _io_open(self, file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        """Open for writing through the recorded `os.open` and `os.write`; pathlib writes through here."""
        if mode != "wb" or self._inside(file) is None:
            return self._real_open(file, mode, *arguments, **named)
        return io.BufferedWriter(
            _Raw(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666))
        )


class _Raw(io.RawIOBase):
    """A file that is written through ``os``."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return os.write(self._fd, data)

    def close(self) -> None:
        if not self.closed:
            os.close(self._fd)
            with suppress(Killed):
                super().close()


_PATCHED = (
    *("open", "close", "write", "pwrite", "ftruncate", "truncate", "fsync", "fdatasync"),
    *("mkdir", "rename", "replace", "unlink", "remove"),
)
Patched = Callable[..., Any]

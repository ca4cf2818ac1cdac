"""What the local store asks of a file system: locks, syncs, and files published by rename."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ledger.errors import Busy

_POLL_S = 0.02


class Descriptor:
    """An open file that is closed with the last reference to it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)


def sync_data(fd: int) -> None:
    """Return once the file's bytes and size are on the disk.

    Raises:
        OSError: The disk did not confirm. Which bytes it has is unknown.
    """
    if sys.platform == "darwin":
        # fsync there stops at the drive's cache; only F_FULLFSYNC asks the drive itself.
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(fd)


def sync_file(path: Path) -> None:
    """Return once the bytes of the file at ``path`` are on the disk, whoever wrote them."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sync_data(fd)
    finally:
        os.close(fd)


def sync_directory(path: Path) -> None:
    """Return once the names in a directory are on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes | bytearray) -> None:
    """Write every byte, going on after a short write."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def write_durably(path: Path, data: bytes) -> None:
    """Publish a file by rename, its bytes and its name synced; a crash leaves all of it or nothing."""
    temporary = _temporary(path)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        write_all(fd, data)
        sync_data(fd)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)
    temporary.rename(path)
    sync_directory(path.parent)


def publish_durably(temporary: Path, path: Path) -> None:
    """Give a file that somebody else has written its name, once its bytes are on the disk."""
    fd = os.open(temporary, os.O_RDWR)
    try:
        sync_data(fd)
    finally:
        os.close(fd)
    temporary.rename(path)
    sync_directory(path.parent)


def forget_pages(path: Path) -> None:
    """Let the next read of a file come from the disk, where the system can be asked for that."""
    if sys.platform == "linux":
        fd = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)


def write_cached(path: Path, data: bytes) -> bool:
    """Publish a file by rename without syncing it, for what can be made again; return whether it is there.

    Its directory may have been deleted. Nothing depends on the file, so a failure to write it is no
    failure of the command: the old one, or none, stays.
    """
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.rename(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        return False
    return True


def _temporary(path: Path) -> Path:
    """Return a hidden name beside ``path`` that no other process or thread uses."""
    return path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")


@contextmanager
def locked(path: Path, timeout_s: float | None = None) -> Generator[None]:
    """Hold an exclusive lock on a file; the system frees it when the process dies.

    Args:
        path: The lock's file, made when missing and never removed.
        timeout_s: How long to wait; None waits as long as it takes.

    Raises:
        Busy: Another process held it all that time.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    _held.add(fd)
    try:
        if timeout_s is None:
            fcntl.flock(fd, fcntl.LOCK_EX)
        else:
            _poll(fd, path, timeout_s)
        yield
    finally:
        if fd in _held:
            _held.remove(fd)
            os.close(fd)


_held: set[int] = set()
"""The descriptors of the locks that this process holds or waits for."""


def _leave_locks() -> None:
    """Close what a fork inherited: a lock is only free when its last descriptor is closed."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_leave_locks)


def _poll(fd: int, path: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise Busy(path, timeout_s) from None
        time.sleep(_POLL_S)


def boot_id() -> str:
    """Return what changes with every start of the system, "" where it does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""

"""What the local store asks of a file system: syncs, and files published by rename."""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import suppress
from pathlib import Path


class Descriptor:
    """An open file that is closed with the last reference to it; ``fd`` is -1 once it is."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def close(self) -> None:
        """Close the file, if it still is open."""
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)

    def __del__(self) -> None:
        self.close()


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
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, memoryview(data)[written:])


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


def boot_id() -> str:
    """Return what changes with every start of the system, "" where it does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""

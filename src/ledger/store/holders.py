"""Holders: which processes hold a lock now, as the system lists them. No lock is taken to find out.

See: proc_locks(5).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

LOCKS = Path("/proc/locks")

_FIELDS = 8


class Holder(NamedTuple):
    """A process that holds a lock: its id, and its command line, "" where the system does not tell it."""

    pid: int
    command: str


def lock_holders(path: Path) -> list[Holder] | None:
    """Return the processes that hold ``flock(2)`` on a file; None where the system does not say.

    Processes of another PID namespace are left out: only their own names them.
    """
    try:
        table = LOCKS.read_text("ascii")
        file = path.stat()
    except OSError:
        return None
    device = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}"
    found: dict[int, Holder] = {}
    for pid, place, inode in _held(table):
        # A file system of several layers gives its files another device than its locks.
        if inode == file.st_ino and (place == device or _has_open(pid, file)):
            found[pid] = Holder(pid, _command(pid))
    return list(found.values())


def _held(table: str) -> Iterator[tuple[int, str, int]]:
    """Yield process, device and inode of each lock that is held; those that wait have an arrow."""
    for line in table.splitlines():
        fields = line.split()
        if len(fields) == _FIELDS and fields[1] == "FLOCK" and int(fields[4]) > 0:
            device, _, inode = fields[5].rpartition(":")
            yield int(fields[4]), device, int(inode)


def _has_open(pid: int, file: os.stat_result) -> bool:
    with suppress(OSError):
        for each in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                if os.path.samestat(Path(each.path).stat(), file):
                    return True
    return False


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return ""
    return b" ".join(words).decode("utf-8", "backslashreplace")

"""Locks between processes: `flock(2)` on a file that is made when missing and never removed.

The system frees a lock when its process dies, and a fork takes none along.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakSet

from ledger.errors import Busy
from ledger.store.disk import Descriptor

_POLL_S = 0.02
_NAP_S, _NAP_SHARE = 100e-6, 1 / 8
"""How long `Lock.unless` waits between two looks: a fast disk's sync, and a share of what it has waited."""


class Lock:
    """An exclusive lock whose file stays open between its uses: ``with lock:`` waits as long as it takes.

    One instance serves one thread, and is not taken twice.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: Descriptor | None = None

    def __enter__(self) -> None:
        fcntl.flock(self._fd(), fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._free()

    @contextmanager
    def unless(self, done: Callable[[], bool], timeout_s: float) -> Generator[bool]:
        """Hold the lock, unless others meanwhile do what it is wanted for.

        Args:
            done: Says that they did. It is asked before every try, and once more under the lock.
            timeout_s: How long to wait for a holder that does nothing: it may have been stopped.

        Yields:
            Whether it is still to be done. Past the timeout it is, without the lock.
        """
        began, held = time.monotonic(), False
        while not (over := done()):
            held = self._try()
            waited_s = time.monotonic() - began
            if held or waited_s >= timeout_s:
                break
            time.sleep(_NAP_S + waited_s * _NAP_SHARE)
        try:
            yield not (over or done())
        finally:
            if held:
                self._free()

    def close(self) -> None:
        """Release the file."""
        self._file = None

    def _try(self) -> bool:
        try:
            fcntl.flock(self._fd(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _free(self) -> None:
        # A fork inside of the lock has closed its copy of it, and holds nothing.
        if self._file is not None and self._file.fd >= 0:
            fcntl.flock(self._file.fd, fcntl.LOCK_UN)

    def _fd(self) -> int:
        # Whoever removes the file all the same must not leave two that are both "the" lock.
        if self._file is None or self._file.fd < 0 or os.fstat(self._file.fd).st_nlink == 0:
            self._file = _opened(self.path)
        return self._file.fd


@contextmanager
def locked(path: Path, timeout_s: float) -> Generator[None]:
    """Hold an exclusive lock on a file once.

    Args:
        path: The lock's file.
        timeout_s: How long to wait.

    Raises:
        Busy: Another process held it all that time.
    """
    file = _opened(path)
    try:
        _poll(file.fd, path, timeout_s)
        yield
    finally:
        file.close()


_files: WeakSet[Descriptor] = WeakSet()
"""The files of the locks that this process has open."""


def _opened(path: Path) -> Descriptor:
    file = Descriptor(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666))
    _files.add(file)
    return file


def _leave_locks() -> None:
    """Close what a fork inherited: a lock is only free when its last descriptor is closed."""
    for file in list(_files):
        file.close()


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

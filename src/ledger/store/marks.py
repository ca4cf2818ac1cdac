"""The mark beside the log: how far it is known to be synced.

It can be lost without harm: a mark that is too low makes a reader sync or scan once more.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from zlib import crc32

from ledger.frames import Cursor
from ledger.store.disk import Descriptor

_DURABLE_SIZE_BYTES = 128


def read_durable(path: Path) -> Cursor:
    """Return how far the log is known to be synced; the beginning where the mark says nothing."""
    return DurableMark(path).read()


class DurableMark:
    """The file ``durable``, kept open: it is read and advanced at every append."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: Descriptor | None = None
        self._writable = False
        self._line = b""
        self._cursor = Cursor()

    def read(self) -> Cursor:
        """Return how far the log is known to be synced; the beginning where the mark says nothing."""
        if not self._is_open():
            self._open_to_read()
        if self._file is None:
            return Cursor()
        line = os.pread(self._file.fd, _DURABLE_SIZE_BYTES, 0)
        if line != self._line:
            self._line, self._cursor = line, _parse_durable(line)
        return self._cursor

    def advance(self, cursor: Cursor) -> None:
        """Advance the mark in place, unsynced: one write inside one sector, never lowered knowingly.

        Raises:
            OSError: It could not be written; it may say nothing now.
        """
        if self.read().position >= cursor.position:
            return
        text = b"%d %b" % (cursor.position, cursor.hash.encode("ascii"))
        line = (b"%b %08x" % (text, crc32(text))).ljust(_DURABLE_SIZE_BYTES - 1) + b"\n"
        if self._file is None or not self._writable:
            self._file = Descriptor(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666))
            self._writable = True
        os.pwrite(self._file.fd, line, 0)
        self._line, self._cursor = line, cursor

    def close(self) -> None:
        """Release the file."""
        self._file, self._writable = None, False

    def _is_open(self) -> bool:
        """Return whether the file that is open still is the mark: it may have been removed."""
        return self._file is not None and os.fstat(self._file.fd).st_nlink > 0

    def _open_to_read(self) -> None:
        self.close()
        with suppress(FileNotFoundError):
            self._file = Descriptor(os.open(self.path, os.O_RDONLY | os.O_CLOEXEC))


def _parse_durable(line: bytes) -> Cursor:
    fields = line.split()
    if len(fields) != 3 or fields[2] != b"%08x" % crc32(b"%b %b" % (fields[0], fields[1])):
        return Cursor()
    return Cursor(int(fields[0]), fields[1].decode("ascii"))

"""Objects that are looked at and never written: memory stays bounded however many there are."""

from __future__ import annotations

import os
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, NamedTuple
from weakref import finalize

import pygit2

from patches.objects import Objects

if TYPE_CHECKING:
    from patches.model import Oid

_FRESH_BYTES = 8 << 20
_CACHED_BYTES = 16 << 20


class _Place(NamedTuple):
    """Where an object lies in the file."""

    kind: int
    offset: int
    size_bytes: int


class ScratchObjects(Objects):
    """The objects of one repository, and new ones that nobody will ask to write.

    As soon as more than ``fresh_bytes`` of new objects are in memory, those that the repository has too are
    left to it, and the others go to a temporary file without a name, which ends with this.
    """

    def __init__(self, repo: pygit2.Repository, *, fresh_bytes: int = _FRESH_BYTES) -> None:
        super().__init__(repo, cached_bytes=_CACHED_BYTES)
        self._limit_bytes = fresh_bytes
        self._fresh_bytes = 0
        self._aside: dict[Oid, _Place] = {}
        self._file: IO[bytes] | None = None

    def add_blob(self, data: bytes) -> Oid:
        """Keep a blob for reading and return its oid."""
        oid = super().add_blob(data)
        self._count(len(data))
        return oid

    def add_tree(self, data: bytes) -> Oid:
        """Keep a tree for reading and return its oid. The encoding is not checked."""
        oid = super().add_tree(data)
        self._count(len(data))
        return oid

    def has_blob(self, oid: Oid) -> bool:
        """Tell whether a blob can be read."""
        return oid in self._aside or super().has_blob(oid)

    def flush(self) -> int:
        """Refuse to write.

        Raises:
            RuntimeError: always: what was set aside would be missing.
        """
        raise RuntimeError("these objects are for looking at alone")

    def _count(self, size_bytes: int) -> None:
        self._fresh_bytes += size_bytes
        if self._fresh_bytes > self._limit_bytes:
            self._set_aside()

    def _set_aside(self) -> None:
        """Take every new object out of memory but for the blobs that were used last."""
        for oid, (kind, data) in self._fresh.items():
            if oid not in self._aside and not self._odb.exists(pygit2.Oid(raw=oid)):
                file = self._open_file()
                self._aside[oid] = _Place(kind, file.seek(0, os.SEEK_END), len(data))
                file.write(data)
        self.forget()
        self._fresh_bytes = 0

    def _open_file(self) -> IO[bytes]:
        """Return the file, which is made when it is first needed and closed with this."""
        if self._file is None:
            self._file = TemporaryFile(prefix="ledger-objects-")  # noqa: SIM115 - see above
            finalize(self, self._file.close)
        return self._file

    def _read(self, oid: Oid, wanted: int) -> bytes:
        place = self._aside.get(oid)
        if place is None or place.kind != wanted:
            return super()._read(oid, wanted)
        file = self._open_file()
        file.seek(place.offset)
        return file.read(place.size_bytes)

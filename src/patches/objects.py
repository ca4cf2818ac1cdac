"""Git objects as the engine sees them: read from the repository, kept in memory until flushed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pygit2
from pygit2.enums import ObjectType

from patches.errors import MissingObject
from patches.oids import EMPTY_TREE, hash_blob, hash_tree
from patches.packs import write_pack

if TYPE_CHECKING:
    from patches.model import Oid

_CACHED_BYTES = 64 << 20
_FEW = 64  # Starting git and writing a pack costs as much as some dozen files.
_SHORTEST_PREFIX = 4  # Git takes no shorter one for an object.
_HEX_DIGITS = b"0123456789abcdefABCDEF"
_BLOB, _TREE = int(ObjectType.BLOB), int(ObjectType.TREE)


class Objects:
    """The objects of one repository, with new ones in memory until ``flush`` writes them.

    New objects are invisible to everyone else before ``flush``, and unreachable after it until
    something names them: adding and flushing change no state of the repository.
    """

    def __init__(self, repo: pygit2.Repository, *, cached_bytes: int = _CACHED_BYTES) -> None:
        """Read from ``repo`` and keep up to ``cached_bytes`` of recently used blobs."""
        self._odb = repo.odb
        self._expand = repo.expand_id
        self._git_dir = repo.path
        self._fresh: dict[Oid, tuple[int, bytes]] = {}
        self._recent: dict[Oid, bytes] = {}
        self._recent_bytes = 0
        self._cached_bytes = cached_bytes

    def read_blob(self, oid: Oid) -> bytes:
        """Return a blob's content.

        Raises:
            MissingObject: the repository has no such blob.
        """
        recent = self._recent
        data = recent.pop(oid, None)
        if data is None:
            fresh = self._fresh.get(oid)
            if fresh is not None:
                return fresh[1]
            data = self._read(oid, _BLOB)
            self._remember(oid, data)
        else:
            recent[oid] = data  # Now the most recent one.
        return data

    def has_blob(self, oid: Oid) -> bool:
        """Tell whether a blob can be read, without reading more than its header."""
        if oid in self._fresh or oid in self._recent:
            return True
        try:
            return int(self._odb.read_header(pygit2.Oid(raw=oid))[0]) == _BLOB
        except KeyError:
            return False

    def find_blob(self, prefix: bytes) -> Oid | None:
        """Return the one blob whose hexadecimal oid starts with ``prefix``; None where it is not one."""
        if len(prefix) < _SHORTEST_PREFIX or prefix.strip(_HEX_DIGITS):
            return None
        text = prefix.decode().lower()
        found = {
            oid for oid, (kind, _) in self._fresh.items() if kind == _BLOB and oid.hex().startswith(text)
        }
        try:
            found.add(self._expand(text).raw)
        except ValueError:
            return None  # The repository has several.
        except KeyError:
            if not found:
                return None
        (oid, *more) = found
        return oid if not more and self.has_blob(oid) else None

    def read_tree(self, oid: Oid) -> bytes:
        """Return a tree's encoding.

        Raises:
            MissingObject: the repository has no such tree.
        """
        if oid == EMPTY_TREE:
            return b""
        fresh = self._fresh.get(oid)
        return fresh[1] if fresh is not None else self._read(oid, _TREE)

    def add_blob(self, data: bytes) -> Oid:
        """Keep a blob for the next flush and return its oid."""
        oid = hash_blob(data)
        self._fresh[oid] = (_BLOB, data)
        return oid

    def add_tree(self, data: bytes) -> Oid:
        """Keep a tree for the next flush and return its oid. The encoding is not checked."""
        oid = hash_tree(data)
        self._fresh[oid] = (_TREE, data)
        return oid

    def flush(self) -> int:
        """Write the new objects to the repository, and return how many there were.

        Few are written one by one, blobs before trees: a crash leaves some of them, complete and
        unreachable. Many are written as one pack, which is there wholly or not at all.

        Raises:
            PackFailed: the ``git`` program refused the pack; the objects stay in memory.
        """
        fresh = sorted(self._fresh.values(), key=lambda value: -value[0])
        if len(fresh) > _FEW:
            write_pack(self._git_dir, fresh)
        else:
            for kind, data in fresh:
                self._odb.write(kind, data)
        return self.forget()

    @property
    def fresh_count(self) -> int:
        """How many new objects wait for ``flush``."""
        return len(self._fresh)

    def forget(self) -> int:
        """Drop the new objects without writing them, and return how many there were.

        Their blobs may stay in memory for reading.
        """
        fresh, self._fresh = self._fresh, {}
        for oid, (kind, data) in fresh.items():
            if kind == _BLOB:
                self._remember(oid, data)
        return len(fresh)

    def _read(self, oid: Oid, wanted: int) -> bytes:
        try:
            kind, data = self._odb.read(pygit2.Oid(raw=oid))
        except KeyError as error:
            raise MissingObject(oid) from error
        if int(kind) != wanted:
            raise MissingObject(oid)
        return data

    def _remember(self, oid: Oid, data: bytes) -> None:
        if len(data) > self._cached_bytes // 4 or oid in self._recent:
            return
        self._recent[oid] = data
        self._recent_bytes += len(data)
        while self._recent_bytes > self._cached_bytes:
            oldest = next(iter(self._recent))
            self._recent_bytes -= len(self._recent.pop(oldest))

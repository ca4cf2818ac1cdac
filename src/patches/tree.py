"""A Git tree in memory: loaded as far as it is looked at, hashed again only where it changed.

Each directory keeps the bytes of its tree object and the offset of every record in them, so the
usual change, one oid for another, is twenty bytes put in place. Only a directory that gains or
loses names is encoded anew, from its own records: what Git wrote stays as Git wrote it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from patches.model import MODE_EXECUTABLE, MODE_FILE, MODE_TREE, Entry, Oid
from patches.objects import Objects
from patches.oids import EMPTY_TREE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_RECORD = re.compile(rb"([0-7]{5,7}) ([^\0]+)\0.{20}", re.DOTALL)
_OID_BYTES = 20


def _mode(digits: bytes | bytearray) -> int:
    """Return a record's mode as Git reads it: of a file's permissions only the owner's execute bit counts."""
    mode = int(digits, 8)
    if mode & 0o170000 == 0o100000:
        return MODE_EXECUTABLE if mode & 0o100 else MODE_FILE
    return mode


def _read_record(data: bytes | bytearray, at: int, name: bytes) -> tuple[int, Oid]:
    space = data.index(b" ", at)
    oid_at = space + len(name) + 2
    return _mode(data[at:space]), bytes(data[oid_at : oid_at + _OID_BYTES])


class _Directory:
    """One tree object: its encoding, with pending names beside it, and the loaded subdirectories."""

    __slots__ = ("children", "data", "dirty", "objects", "offsets", "pending")

    def __init__(self, objects: Objects, data: bytes) -> None:
        self.objects = objects
        self.data = bytearray(data)
        self.offsets: dict[bytes, int] = {match[2]: match.start() for match in _RECORD.finditer(data)}
        self.pending: dict[bytes, bytes | None] = {}  # Name to its new record, None where it goes.
        self.children: dict[bytes, _Directory] = {}
        self.dirty = False

    def record(self, name: bytes) -> tuple[int, Oid] | None:
        """Return the mode and oid under ``name``; a loaded subdirectory's oid may be out of date."""
        if self.pending and name in self.pending:
            record = self.pending[name]
            return None if record is None else _read_record(record, 0, name)
        start = self.offsets.get(name)
        return None if start is None else _read_record(self.data, start, name)

    def child(self, name: bytes) -> _Directory | None:
        """Return the subdirectory ``name``, loading it; None where there is none."""
        child = self.children.get(name)
        if child is None:
            record = self.record(name)
            if record is None or record[0] != MODE_TREE:
                return None
            child = self.children[name] = _Directory(self.objects, self.objects.read_tree(record[1]))
        return child

    def make_child(self, name: bytes) -> _Directory:
        """Return the subdirectory ``name``, new where there is none."""
        child = self.child(name)
        if child is None:
            if self.record(name) is not None:
                raise RuntimeError(f"{name!r} is a file and shall be a directory")
            child = self.children[name] = _Directory(self.objects, b"")
            self.put(name, MODE_TREE, _UNKNOWN)
        return child

    def put(self, name: bytes, mode: int, oid: Oid) -> None:
        """Set a record, in place where ``name`` has one of the same mode."""
        start = self.offsets.get(name)
        if start is not None and name not in self.pending:
            space = self.data.index(b" ", start)
            if _mode(self.data[start:space]) == mode:
                oid_at = space + len(name) + 2
                self.data[oid_at : oid_at + _OID_BYTES] = oid
                return
        self.pending[name] = b"%o %s\0%s" % (mode, name, oid)

    def put_leaf(self, name: bytes, entry: Entry) -> None:
        """Set a file, symlink or submodule, in place of a directory only where that is empty."""
        child = self.child(name)
        if child is not None:
            if any(True for _ in child.entries(b"")):
                raise RuntimeError(f"{name!r} is a directory with files and shall be a file")
            del self.children[name]
        self.put(name, *entry)

    def drop(self, name: bytes) -> None:
        """Remove a name, which may be absent."""
        self.pending[name] = None

    def settle(self) -> None:
        """Encode the pending names."""
        if not self.pending:
            return
        names, starts = list(self.offsets), list(self.offsets.values())
        if len(self.pending) > _FEW:
            names, starts = self._encode_all(names, starts)
        else:
            for name, record in self.pending.items():
                self._encode_one(names, starts, name, record)
        self.offsets = dict(zip(names, starts, strict=True))
        self.pending = {}

    def _encode_one(self, names: list[bytes], starts: list[int], name: bytes, record: bytes | None) -> None:
        """Put one record in its place, or take it out, and shift what follows."""
        data = self.data
        if name in self.offsets:
            at = names.index(name)
            start, stop = starts[at], starts[at + 1] if at + 1 < len(starts) else len(data)
            del names[at], starts[at], data[start:stop]
            starts[at:] = [later - (stop - start) for later in starts[at:]]
        if record is not None:
            key = _sort_key(name, record, 0)
            at = bisect_left(range(len(names)), key, key=lambda i: _sort_key(names[i], data, starts[i]))
            start = starts[at] if at < len(starts) else len(data)
            names.insert(at, name)
            starts[at:] = [start, *[later + len(record) for later in starts[at:]]]
            data[start:start] = record

    def _encode_all(self, names: list[bytes], starts: list[int]) -> tuple[list[bytes], list[int]]:
        """Encode every record anew, for many changes at once, and return names and offsets."""
        data = bytes(self.data)
        bounds = pairwise([*starts, len(data)])
        records = {name: data[a:b] for name, (a, b) in zip(names, bounds, strict=True)}
        for name, record in self.pending.items():
            if record is not None:
                records[name] = record
            else:
                records.pop(name, None)
        order = sorted(records, key=lambda name: _sort_key(name, records[name], 0))
        encoded = [records[name] for name in order]
        self.data = bytearray(b"".join(encoded))
        return order, [0, *accumulate(map(len, encoded))][: len(order)]

    def write(self) -> Oid:
        """Add this tree object and the dirty ones below it, and return its oid."""
        for name, child in list(self.children.items()):
            if child.dirty:
                oid = child.write()
                if oid == EMPTY_TREE:
                    self.drop(name)
                    del self.children[name]
                else:
                    self.put(name, MODE_TREE, oid)
        self.settle()
        self.dirty = False
        return self.objects.add_tree(bytes(self.data))

    def entries(self, prefix: bytes) -> Iterator[tuple[bytes, Entry]]:
        """Yield every leaf below, in the order of the encoding."""
        self.settle()
        for name in self.offsets:
            child = self.child(name)
            if child is not None:
                yield from child.entries(prefix + name + b"/")
            else:
                yield prefix + name, Entry(*_read_record(self.data, self.offsets[name], name))


_ONE = ord("1")  # Every mode but a directory's starts with this digit.
_FEW = 4


def _sort_key(name: bytes, data: bytes | bytearray, at: int) -> bytes:
    """Return what Git sorts a record by: a directory's name counts with a slash at its end."""
    return name if data[at] == _ONE else name + b"/"


_UNKNOWN: Oid = bytes(_OID_BYTES)  # Stands in the record of a new directory until ``write`` knows better.


class Tree:
    """A tree that changes in memory; nothing of it is an object before ``write``."""

    def __init__(self, objects: Objects, oid: Oid) -> None:
        """Load the root directory of the tree ``oid``; the others follow when they are looked at.

        Raises:
            MissingObject: the repository has no such tree.
        """
        self.objects = objects
        self._oid = oid
        self._root = _Directory(objects, objects.read_tree(oid))

    def entry(self, path: bytes) -> Entry | None:
        """Return the leaf at ``path``; None where there is none, or a directory.

        Raises:
            MissingObject: a directory on the way is not in the repository.
        """
        directory, _, name = path.rpartition(b"/")
        node = self._find(directory)
        record = None if node is None else node.record(name)
        return None if record is None or record[0] == MODE_TREE else Entry(*record)

    def entries(self, below: bytes = b"") -> Iterator[tuple[bytes, Entry]]:
        """Yield path and entry of every leaf in the order of ``git ls-tree -r``.

        Args:
            below: only what is in this directory, which may be absent.
        """
        node = self._find(below)
        if node is not None:
            yield from node.entries(below + b"/" if below else b"")

    def update(self, changes: Mapping[bytes, Entry | None]) -> None:
        """Set leaves, and remove those whose value is None.

        The result must be a tree: who removes a directory's last file may put a file in its place.

        Raises:
            MissingObject: a directory on the way is not in the repository.
            RuntimeError: a file would stand in the way of another; the tree is then of no use.
        """
        for path, entry in changes.items():
            if entry is None:
                directory, _, name = path.rpartition(b"/")
                if self._find(directory) is not None:
                    self._descend(directory).drop(name)
        for path, entry in changes.items():
            if entry is not None:
                directory, _, name = path.rpartition(b"/")
                self._descend(directory).put_leaf(name, entry)

    def write(self) -> Oid:
        """Add the tree objects that changed to ``objects`` and return the oid of the root."""
        if self._root.dirty:
            self._oid = self._root.write()
        return self._oid

    def _find(self, directory: bytes) -> _Directory | None:
        node: _Directory | None = self._root
        if directory:
            for name in directory.split(b"/"):
                if node is None:
                    break
                node = node.children.get(name) or node.child(name)
        return node

    def _descend(self, directory: bytes) -> _Directory:
        """Return a directory that is about to change, making it and those above where they are missing."""
        node = self._root
        node.dirty = True
        if directory:
            for name in directory.split(b"/"):
                node = node.children.get(name) or node.make_child(name)
                node.dirty = True
        return node

"""A disk that keeps only what was synced: every state that a power failure may leave of a recorded trace.

The model is that of POSIX, which is weaker than any file system that people use, so what survives here survives there:

- A file's data is kept by sectors of 512 bytes. Each sector that was written since the file's last sync holds any
  of the contents that it had since, whatever the others hold: lost, reordered and torn writes are all of that kind.
  A sector that never came to the disk reads as zeros.
- A file's size is any that it had since its last sync, or one in between.
- A name that was made, moved or removed since the last sync of its directory may be there or not, whatever the
  others are; a rename is one step. A file's own sync says nothing of its name, and the other way round.
- A sync that failed leaves the pages clean: what was dirty then is in doubt for ever, and a later sync that
  succeeds covers only the sectors written in between.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple, TypeAlias, TypeVar

SECTOR_SIZE_BYTES = 512
Version = TypeVar("Version")


class Make(NamedTuple):
    """A file or a directory appeared under a path."""

    path: str
    directory: bool = False


class Write(NamedTuple):
    """Bytes went into the page cache of a file."""

    node: int
    offset: int
    data: bytes


class Truncate(NamedTuple):
    """A file's size was set."""

    node: int
    size: int


class Sync(NamedTuple):
    """A file or directory was synced, or the disk said that it could not."""

    node: int
    confirmed: bool = True


class Rename(NamedTuple):
    """A name was moved within its directory, over what lay there."""

    old: str
    new: str


class Remove(NamedTuple):
    """A file's name was removed."""

    path: str


Operation: TypeAlias = Make | Write | Truncate | Sync | Rename | Remove
Tree: TypeAlias = dict[str, bytes | None]
"""Paths with the bytes of their files; None is a directory. Parents come before what lies in them."""


class File:
    """The page cache of one file, and for each sector what the disk may hold of it.

    ``maybe`` names the sectors whose content on the disk is not certain, with all that it can be, oldest first;
    ``dirty`` those of them that the next successful sync settles.
    """

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)
        self.maybe: dict[int, list[bytes]] = {}
        self.dirty: set[int] = set()
        self.sizes = [len(data)]
        self.resized = False

    def _sector(self, number: int) -> bytes:
        start = number * SECTOR_SIZE_BYTES
        return bytes(self.data[start : start + SECTOR_SIZE_BYTES]).ljust(SECTOR_SIZE_BYTES, b"\0")

    def _change(self, start: int, end: int, data: bytearray) -> None:
        touched = range(start // SECTOR_SIZE_BYTES, (end + SECTOR_SIZE_BYTES - 1) // SECTOR_SIZE_BYTES)
        for number in touched:
            self.maybe.setdefault(number, [self._sector(number)])
        if len(data) != len(self.data):
            self.sizes.append(len(data))
            self.resized = True
        self.data = data
        for number in touched:
            self.maybe[number].append(self._sector(number))
            self.dirty.add(number)

    def write(self, offset: int, data: bytes) -> None:
        changed = self.data.ljust(offset, b"\0")
        changed[offset : offset + len(data)] = data
        self._change(min(offset, len(self.data)), offset + len(data), changed)

    def truncate(self, size: int) -> None:
        changed = self.data[:size].ljust(size, b"\0")
        self._change(min(size, len(self.data)), max(size, len(self.data)), changed)

    def sync(self, *, confirmed: bool) -> None:
        if confirmed:
            for number in self.dirty:
                del self.maybe[number]
            if self.resized:
                self.sizes = [len(self.data)]
        self.dirty.clear()
        self.resized = False

    def after_crash(self, rng: Random) -> bytes:
        """Return one content that the disk may hold."""
        if not self.maybe and len(self.sizes) == 1:
            return bytes(self.data)
        newest = rng.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        size = self._size_after_crash(rng, newest)
        sectors = (size + SECTOR_SIZE_BYTES - 1) // SECTOR_SIZE_BYTES
        content = b"".join(_pick(rng, self.maybe.get(n) or [self._sector(n)], newest) for n in range(sectors))
        return content[:size]

    def _size_after_crash(self, rng: Random, newest: float) -> int:
        if len(self.sizes) > 1 and rng.random() < 0.2:
            return rng.randint(min(self.sizes), max(self.sizes))
        return _pick(rng, self.sizes, newest)


class Directory:
    """The names of one directory: those on the disk for certain, and what was done since."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self.kept: dict[str, int] = {}
        self.pending: list[tuple[str, str, int]] = []

    def step(self, old: str, new: str, node: int) -> None:
        """Take ``old`` away and put ``node`` at ``new``; "" leaves out the one or the other."""
        self.pending.append((old, new, node))
        _step(self.names, old, new, node)

    def sync(self, *, confirmed: bool) -> None:
        if confirmed:
            self.kept, self.pending = dict(self.names), []

    def after_crash(self, rng: Random) -> dict[str, int]:
        """Return one set of names that the disk may hold: any of the steps happened, or the first so many."""
        names = dict(self.kept)
        happened = rng.choice((0.0, 0.2, 0.5, 0.8, 1.0))
        cut = rng.randint(0, len(self.pending)) if rng.random() < 0.4 else len(self.pending)
        for old, new, node in self.pending[:cut]:
            if cut < len(self.pending) or rng.random() < happened:
                _step(names, old, new, node)
        return names


def _step(names: dict[str, int], old: str, new: str, node: int) -> None:
    if names.get(old) == node or not new:
        names.pop(old, None)
    if new:
        names[new] = node


def _pick(rng: Random, versions: list[Version], newest: float) -> Version:
    return versions[-1] if rng.random() < newest else rng.choice(versions)


class Disk:
    """The files and directories below one directory, which is node 0."""

    def __init__(self, tree: Tree | None = None) -> None:
        """Begin with ``tree``, all of it on the disk."""
        self.nodes: list[File | Directory] = [Directory()]
        for path, data in sorted((tree or {}).items()):
            self.apply(Make(path, directory=data is None))
            if data is not None:
                self.nodes[-1] = File(data)
        for node in self.nodes:
            node.sync(confirmed=True)

    def find(self, path: str) -> int | None:
        """Return the node of a path, None where there is nothing."""
        number: int | None = 0
        for name in path.split("/") if path else []:
            directory = self.nodes[number]
            number = directory.names.get(name) if isinstance(directory, Directory) else None
            if number is None:
                return None
        return number

    def _parent(self, path: str) -> tuple[Directory, str]:
        parent, _, name = path.rpartition("/")
        number = self.find(parent)
        assert number is not None, path
        directory = self.nodes[number]
        assert isinstance(directory, Directory), path
        return directory, name

    def apply(self, operation: Operation) -> None:
        """Do what the system did."""
        match operation:
            case Make(path, is_directory):
                directory, name = self._parent(path)
                self.nodes.append(Directory() if is_directory else File())
                directory.step("", name, len(self.nodes) - 1)
            case Rename(old, new):
                assert old.rpartition("/")[0] == new.rpartition("/")[0], "the model moves within a directory"
                (directory, before), name = self._parent(old), new.rpartition("/")[2]
                directory.step(before, name, directory.names[before])
            case Remove(path):
                directory, name = self._parent(path)
                directory.step(name, "", directory.names[name])
            case Sync(number, confirmed):
                self.nodes[number].sync(confirmed=confirmed)
            case Write(number, offset, data):
                self._file(number).write(offset, data)
            case Truncate(number, size):
                self._file(number).truncate(size)

    def _file(self, number: int) -> File:
        node = self.nodes[number]
        assert isinstance(node, File)
        return node

    def tree(self) -> Tree:
        """Return what every process sees as long as the system runs."""
        return self._walk(None)

    def after_crash(self, rng: Random) -> Tree:
        """Return one state that a power failure may leave now."""
        return self._walk(rng)

    def _walk(self, rng: Random | None) -> Tree:
        found: Tree = {}
        ahead: list[tuple[str, Directory]] = [("", self.nodes[0])]  # type: ignore[list-item]
        while ahead:
            prefix, directory = ahead.pop()
            names = directory.names if rng is None else directory.after_crash(rng)
            for name, number in names.items():
                node, path = self.nodes[number], prefix + name
                if isinstance(node, Directory):
                    found[path] = None
                    ahead.append((path + "/", node))
                else:
                    found[path] = bytes(node.data) if rng is None else node.after_crash(rng)
        return found

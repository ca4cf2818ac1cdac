"""Moves: what ``git mv`` would make of a tree, decided in memory.

The outcomes and refusals are those of ``git mv`` in a clean work tree. Where Git would lose a file or leave
index and work tree apart, the move is refused: two sources with one target that ``--force`` lets
overwrite one another, a path and a directory above it in one command, a destination behind a
symlink or inside a submodule or ``.git``.

See: ``cmd_mv`` in Git's ``builtin/mv.c``; ``git-mv(1)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from patches.errors import PatchError, UnsafePath, show_path
from patches.model import (
    MODE_EXECUTABLE,
    MODE_FILE,
    MODE_GITLINK,
    MODE_SYMLINK,
    Entry,
    FileChange,
    Operation,
)
from patches.paths import check_path
from patches.submodules import GITMODULES, list_submodules, rename_submodules

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from patches.tree import Tree

_COUNTED_BYTES = 8 << 20  # Beyond this, lines are not worth the time that counting them takes.


class MoveRefused(PatchError):
    """Base of the refusals of a move. Nothing was changed."""

    def __init__(self, source: bytes, destination: bytes, reason: str) -> None:
        super().__init__(f"cannot move {show_path(source)} to {show_path(destination)}: {reason}")
        self.source = source
        self.destination = destination
        self.reason = reason


class BadSource(MoveRefused):
    """The source is nothing that the tree has."""


class DestinationExists(MoveRefused):
    """A file is at the destination: ``force`` would overwrite it."""


class CannotOverwrite(MoveRefused):
    """What is at the destination is never overwritten: a directory; or a file, by a directory."""


class NoDirectory(MoveRefused):
    """The directory to move into does not exist, or is a file."""


class IntoItself(MoveRefused):
    """The destination is the source, or lies in it."""


class SameTarget(MoveRefused):
    """An earlier source of the command has the same target."""


class OverlappingSources(MoveRefused):
    """The command names the source twice, or a directory that it lies in."""

    def __init__(self, source: bytes, destination: bytes, above: bytes) -> None:
        super().__init__(source, destination, "the command names it twice")
        if source != above:
            both = f"'{show_path(source)}' and its parent directory '{show_path(above)}'"
            self.args = (f"cannot move both {both}",)


class Rename(NamedTuple):
    """One leaf of the tree on its way."""

    source: bytes
    target: bytes


def plan_moves(
    tree: Tree,
    sources: Sequence[bytes],
    destination: bytes,
    *,
    force: bool = False,
    skip_errors: bool = False,
    directories: Collection[bytes] = frozenset(),
) -> tuple[FileChange, ...]:
    """Return what ``git mv <sources> <destination>`` does to ``tree``, which stays as it is.

    A moved submodule takes its section of ``.gitmodules`` along; the new blob is in ``tree.objects``.

    Args:
        tree: the tree to move in.
        sources: files, symlinks, submodules or directories, relative to the tree's root; ``.`` and
            ``..`` are resolved by name.
        destination: a new name, or a directory to move into. Its trailing slash says that it must be
            a directory.
        force: overwrite a file at the destination (``git mv -f``).
        skip_errors: leave out sources that cannot be moved (``git mv -k``).
        directories: those that exist although no file of the tree is in them. Of these only the
            destination, the directory it is in, and sources are looked at.

    Returns:
        The changes, by path, ready for ``tree.update``; empty where every source was left out. A
        file that was overwritten is a ``modify``, with its source a ``delete``.

    Raises:
        UnsafePath: a path leads out of the tree, into ``.git``, or through a symlink or submodule.
        OverlappingSources: a source lies in another one.
        NoDirectory: several sources have no directory to go to; or, as all of the following, only
            without ``skip_errors``: a directory on the way to the destination is missing.
        BadSource: a source does not exist.
        DestinationExists: a file is at the destination, and ``force`` is not given.
        CannotOverwrite: a directory or submodule is there.
        IntoItself: a source would be moved into itself.
        SameTarget: two sources would become one.
        GitmodulesFailed: a submodule moves, and ``.gitmodules`` cannot be edited.
    """
    command = _Command(tree, force, directories)
    renames: list[Rename] = []
    for source, target in command.pairs(sources, destination):
        try:
            renames += command.plan_move(source, target)
        except MoveRefused as refusal:
            if not skip_errors or isinstance(refusal, OverlappingSources):
                raise
    return change_tree(tree, renames)


def change_tree(
    tree: Tree, renames: Sequence[Rename], removed: Collection[bytes] = ()
) -> tuple[FileChange, ...]:
    """Return renames of leaves, and removals of others, as one set of changes; ``tree`` stays as it is.

    Args:
        tree: the tree before.
        renames: leaves and where they go, over what is there. They happen at once, so chains and swaps
            are possible; no source and no target is named twice.
        removed: other leaves that go.

    Returns:
        The changes, by path. What takes the place of a leaf is a ``modify``; a source whose own place
        is taken was a ``copy``.

    Raises:
        RuntimeError: a source or a path to remove is no leaf.
        GitmodulesFailed: ``.gitmodules`` cannot be edited.
    """
    placed = {target: source for source, target in renames}
    leaving = {source for source, _ in renames} - placed.keys()
    changes: dict[bytes, FileChange] = {}
    for target, source in placed.items():
        old, new = tree.entry(target), _leaf(tree, source)
        if old is None:
            operation: Operation = "rename" if source in leaving else "copy"
            changes[target] = FileChange(target, operation, new, new, source)
            leaving.discard(source)
        elif old != new:
            changes[target] = FileChange(target, "modify", old, new, None, *_count(tree, old, new))
    for path in {*removed, *leaving} - placed.keys():
        old = _leaf(tree, path)
        changes[path] = FileChange(path, "delete", old, None, None, *_count(tree, old, None))
    modules = _gitmodules_after(tree, renames)
    if modules is not None:
        changes[GITMODULES] = modules
    return tuple(changes[path] for path in sorted(changes))


def tree_updates(changes: Sequence[FileChange]) -> dict[bytes, Entry | None]:
    """Return changes as what ``Tree.update`` takes."""
    updates: dict[bytes, Entry | None] = {}
    for change in changes:
        if change.operation == "rename" and change.old_path is not None:
            updates[change.old_path] = None
        updates[change.path] = change.new
    return updates


def normalize_path(path: bytes) -> bytes:
    """Return a path without ``.``, ``..`` and doubled slashes; empty for the root.

    Raises:
        UnsafePath: it is absolute or leads out of the tree.
    """
    if b"\0" in path:
        raise UnsafePath(path, "the name holds a NUL byte")
    if path.startswith(b"/"):
        raise UnsafePath(path, "the path is absolute")
    kept: list[bytes] = []
    for component in path.split(b"/"):
        if component == b"..":
            if not kept:
                raise UnsafePath(path, "the path leads out of the repository")
            kept.pop()
        elif component not in (b"", b"."):
            kept.append(component)
    return b"/".join(kept)


def names_directory(path: bytes) -> bool:
    """Tell whether a path can only be a directory by its end: a slash, ``.`` or ``..``."""
    return path.rpartition(b"/")[2] in (b"", b".", b"..")


def count_lines(old: bytes, new: bytes) -> tuple[int, int] | None:
    """Return how many lines differ, added and removed; None where content is binary or very large."""
    import pygit2

    if len(old) > _COUNTED_BYTES or len(new) > _COUNTED_BYTES:
        return None
    patch = pygit2.Patch.create_from(old, new)
    if patch.delta.is_binary:
        return None
    _, added, removed = patch.line_stats
    return added, removed


def _count(tree: Tree, old: Entry | None, new: Entry | None) -> tuple[int, int]:
    sides: list[bytes] = []
    for entry in (old, new):
        if entry is not None and entry.mode == MODE_GITLINK:
            sides.append(b"Subproject commit %s\n" % entry.oid.hex().encode())
        else:
            sides.append(b"" if entry is None else tree.objects.read_blob(entry.oid))
    return count_lines(*sides) or (0, 0)


def _leaf(tree: Tree, path: bytes) -> Entry:
    entry = tree.entry(path)
    if entry is None:
        raise RuntimeError(f"{path!r} is no leaf of the tree")
    return entry


def _is_in(path: bytes, directory: bytes) -> bool:
    return path == directory or path.startswith(directory + b"/")


def _parents(path: bytes) -> Iterator[bytes]:
    while path := path.rpartition(b"/")[0]:
        yield path


class _Command:
    """One command: what its earlier sources were and where they went."""

    def __init__(self, tree: Tree, force: bool, directories: Collection[bytes]) -> None:
        self._tree = tree
        self._force = force
        self._directories = directories
        self._moved: set[bytes] = set()
        self._targets: set[bytes] = set()

    def pairs(self, sources: Sequence[bytes], destination: bytes) -> list[tuple[bytes, bytes]]:
        """Return each source with its target; a target that must be a directory keeps its slash."""
        if not sources:
            raise RuntimeError("a move without a source")
        names = [normalize_path(source) for source in sources]
        into = normalize_path(destination)
        there = self._tree.entry(into) if into else None
        if there is not None and there.mode == MODE_GITLINK and into not in names:
            raise UnsafePath(into, "is a submodule")
        if self._is_directory(into):
            prefix = into + b"/" if into else b""
            return [(name, prefix + name.rpartition(b"/")[2]) for name in names]
        if len(names) > 1:
            raise NoDirectory(names[0], into, "several sources need a directory that exists")
        # Git minds the slash for files only: a directory, or a submodule, may become what it names.
        source = self._tree.entry(names[0]) if names[0] else None
        is_file = source is not None and source.mode != MODE_GITLINK
        return [(names[0], into + b"/" if is_file and names_directory(destination) else into)]

    def plan_move(self, source: bytes, target: bytes) -> list[Rename]:
        """Return the leaves that one source stands for, with their targets."""
        name = target.removesuffix(b"/")
        entry = self._tree.entry(source) if source else None
        if entry is None and (not source or not self._is_directory(source)):
            raise BadSource(source, target, "the source does not exist")
        if _is_in(target, source):
            raise IntoItself(source, target, "it cannot be moved into itself")
        check_path(name, symlink=entry is not None and entry.mode == MODE_SYMLINK)
        self._check_free(source, target, entry)
        self._check_parent(source, name)
        renames = self._expand(source, name, entry)
        self._check_overlap(source, name)
        self._moved.add(source)
        self._targets.add(name)
        return renames

    def _expand(self, source: bytes, target: bytes, entry: Entry | None) -> list[Rename]:
        if entry is not None:
            return [Rename(source, target)]
        below = [path for path, _ in self._tree.entries(source)]
        if not below:
            raise BadSource(source, target, "the source directory has no file of the tree in it")
        return [Rename(path, target + path[len(source) :]) for path in below]

    def _check_free(self, source: bytes, target: bytes, entry: Entry | None) -> None:
        """Refuse a target that exists, unless it is a file that may be overwritten by one."""
        name = target.removesuffix(b"/")
        there = self._tree.entry(name)
        if self._is_directory(name) or (there is not None and there.mode == MODE_GITLINK):
            raise CannotOverwrite(source, name, "a directory is there already")
        if target != name:
            raise NoDirectory(source, target, "the destination directory does not exist")
        if there is not None:
            if entry is None or entry.mode == MODE_GITLINK:
                raise CannotOverwrite(source, name, "a file is there already, and the source is a directory")
            if not self._force:
                raise DestinationExists(source, name, "the destination exists")
        if name in self._targets:
            raise SameTarget(source, name, "another source has the same target")

    def _check_parent(self, source: bytes, name: bytes) -> None:
        for parent in _parents(name):
            there = self._tree.entry(parent)
            if there is not None and there.mode in (MODE_SYMLINK, MODE_GITLINK):
                kind = "a symlink" if there.mode == MODE_SYMLINK else "a submodule"
                raise UnsafePath(name, f"its parent {show_path(parent)} is {kind}")
        parent = name.rpartition(b"/")[0]
        if not self._is_directory(parent):
            raise NoDirectory(source, name, f"the directory {show_path(parent)} does not exist")

    def _check_overlap(self, source: bytes, name: bytes) -> None:
        """Refuse a path and a directory above it, whichever comes first in the command."""
        above = next((parent for parent in (source, *_parents(source)) if parent in self._moved), None)
        if above is not None:
            raise OverlappingSources(source, name, above)
        below = next((path for path in self._moved if _is_in(path, source)), None)
        if below is not None:
            raise OverlappingSources(below, name, source)

    def _is_directory(self, path: bytes) -> bool:
        if not path or path in self._directories:
            return True
        return self._tree.entry(path) is None and any(True for _ in self._tree.entries(path))


def unlisted_submodules(tree: Tree, changes: Iterable[FileChange]) -> tuple[bytes, ...]:
    """Return the old paths of moved submodules that ``.gitmodules`` had no section for, where there is one.

    Args:
        tree: before the changes.
        changes: of `plan_moves`.

    Raises:
        GitmodulesFailed: it cannot be read.
    """
    moved = [
        change.old_path
        for change in changes
        if change.old_path is not None and change.new is not None and change.new.mode == MODE_GITLINK
    ]
    there = tree.entry(GITMODULES) if moved else None
    if there is None or there.mode not in (MODE_FILE, MODE_EXECUTABLE):
        return ()
    listed = list_submodules(tree.objects.read_blob(there.oid))
    return tuple(path for path in moved if path not in listed)


def _gitmodules_after(tree: Tree, renames: Sequence[Rename]) -> FileChange | None:
    """Return the change of ``.gitmodules`` that keeps the paths of moved submodules right."""
    moved = {source: target for source, target in renames if _leaf(tree, source).mode == MODE_GITLINK}
    old = tree.entry(GITMODULES)
    touched = any(GITMODULES in rename for rename in renames)
    if not moved or touched or old is None or old.mode not in (MODE_FILE, MODE_EXECUTABLE):
        return None
    before = tree.objects.read_blob(old.oid)
    after = rename_submodules(before, moved)
    if after == before:
        return None
    new = Entry(old.mode, tree.objects.add_blob(after))
    return FileChange(GITMODULES, "modify", old, new, None, *(count_lines(before, after) or (0, 0)))

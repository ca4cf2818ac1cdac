"""What a patch meets: files, or the index, or both, as this command has left them so far."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping

from patches.gitapply import gitcommands
from patches.gitapply.gitcommands import Blobs, IndexEntry, IndexUpdate
from patches.gitapply.lineends import LineEnds, read_line_ends, to_blob, to_file
from patches.model import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK

_THROUGH_GIT = ("filter", "ident", "working-tree-encoding")
_ATTRIBUTES = ("text", "crlf", "eol", "whitespace", "merge", "conflict-marker-size", *_THROUGH_GIT)


class Files:
    """The files below the current directory, and how Git stores them.

    Without attributes files only the configuration says how.
    """

    def __init__(self, configuration: Mapping[str, str], *, has_attributes: bool) -> None:
        self._configuration = configuration
        self._has_attributes = has_attributes
        self._attributes: dict[bytes, dict[str, str]] = {}
        self.trusts_mode = _is_true(configuration.get("core.filemode", "true"))
        self.has_symlinks = _is_true(configuration.get("core.symlinks", "true"))

    def prepare(self, paths: Iterable[bytes]) -> None:
        """Read the attributes that count for ``paths`` now."""
        self._attributes = {}
        known = sorted({path for path in paths if not path.startswith((b"/", b"../"))})
        if self._has_attributes and known:
            self._attributes = gitcommands.read_attributes(known, _ATTRIBUTES)

    def attribute(self, path: bytes, name: str) -> str | None:
        """Return one attribute of a path that was prepared; None where it is not specified."""
        return self._attributes.get(path, {}).get(name)

    def _line_ends(self, path: bytes) -> LineEnds:
        return read_line_ends(self._attributes.get(path, {}), self._configuration)

    def _goes_through_git(self, path: bytes) -> bool:
        values = self._attributes.get(path, {})
        return any(values.get(name, "unset") != "unset" for name in _THROUGH_GIT)

    def look(self, path: bytes) -> os.stat_result | None:
        """Return the status of what is at ``path``, itself and not what it may point to; None for nothing.

        Raises:
            OSError: it cannot be told.
        """
        try:
            return os.lstat(path)
        except FileNotFoundError:
            return None

    def read(self, path: bytes, found: os.stat_result, *, keeps_crlf: bool) -> bytes | None:
        """Return the content of a file or symlink as a blob would hold it; None for anything else.

        Args:
            path: where it is.
            found: its status.
            keeps_crlf: lines that end in CRLF stay as they are.

        Raises:
            OSError: it cannot be read.
        """
        if stat.S_ISLNK(found.st_mode):
            return os.readlink(path)
        if not stat.S_ISREG(found.st_mode):
            return None
        with open(path, "rb") as file:
            content = file.read()
        if self._goes_through_git(path):
            return gitcommands.clean_through_git(path, content)
        return content if keeps_crlf else to_blob(content, self._line_ends(path))

    def converted(self, path: bytes, content: bytes) -> bytes:
        """Return what is written into the file ``path`` for the blob ``content``."""
        if self._goes_through_git(path):
            return gitcommands.smudge_through_git(path, content)
        return to_file(content, self._line_ends(path))

    def symlink_above(self, path: bytes) -> bool:
        """Tell whether a directory on the way to ``path`` is a symlink."""
        return any(map(self.is_symlink, parents_of(path)))

    def is_symlink(self, path: bytes) -> bool:
        """Tell whether ``path`` is a symlink; one that cannot be looked at cannot be followed either."""
        try:
            return stat.S_ISLNK(os.lstat(path).st_mode)
        except OSError:
            return False


class Index:
    """The index of the repository, with this command's changes in memory until `write`."""

    def __init__(self, blobs: Blobs) -> None:
        self.entries = gitcommands.read_index()
        self._blobs = blobs
        self._updates: list[IndexUpdate] = []
        self._dirty: frozenset[bytes] = frozenset()
        self._ours: set[bytes] = set()

    def prepare(self, paths: Iterable[bytes]) -> None:
        """See which of ``paths`` are not as the index remembers them."""
        known = [path for path in sorted(set(paths)) if path in self.entries and path not in self._ours]
        self._dirty = gitcommands.changed_since_added(known)

    def matches(self, path: bytes, found: os.stat_result) -> bool:
        """Tell whether the file ``found`` at ``path`` is the one that the index remembers."""
        if self.entries[path].mode == MODE_GITLINK:
            return stat.S_ISDIR(found.st_mode)
        return path not in self._dirty

    def check_out(self, path: bytes) -> None:
        """Write a missing file as the index has it.

        Raises:
            GitFailed: it cannot be written.
        """
        gitcommands.check_out(path)
        self._dirty -= {path}

    def is_intended(self, path: bytes) -> bool:
        """Tell whether ``path`` is entered without content."""
        return gitcommands.is_intended_to_add(path)

    def read(self, entry: IndexEntry) -> bytes | None:
        """Return an entry's content; None where the repository does not have it."""
        if entry.mode == MODE_GITLINK:
            return b"Subproject commit %s\n" % entry.oid
        found = self._blobs.find(entry.oid)
        return None if found is None else found[1]

    def put(self, path: bytes, stages: Mapping[int, IndexEntry]) -> None:
        """Set what the index has at ``path``: nothing without stages."""
        self._updates.append(IndexUpdate(path, stages))
        self._ours.add(path)
        self.entries.pop(path, None)
        if 0 in stages:
            self.entries[path] = stages[0]

    def write(self) -> None:
        """Bring the repository's index to this state.

        Raises:
            GitFailed: it is locked, or Git refuses an entry.
        """
        if self._updates:
            gitcommands.write_index(self._updates)


def parents_of(path: bytes) -> Iterable[bytes]:
    """Yield the directories above a path, the nearest first, without the root."""
    directory = path.rpartition(b"/")[0]
    while directory:
        yield directory
        directory = directory.rpartition(b"/")[0]


def tree_mode(mode: int) -> int:
    """Return the mode that a tree has for a file with this status."""
    if stat.S_ISLNK(mode):
        return stat.S_IFLNK
    if stat.S_ISDIR(mode):
        return MODE_GITLINK
    return MODE_EXECUTABLE if mode & stat.S_IXUSR else MODE_FILE


def _is_true(text: str) -> bool:
    return text.lower() not in ("false", "no", "off", "0", "")

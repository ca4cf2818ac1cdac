"""Errors of the work-tree projection: one class for each different thing a caller can do about it."""

from __future__ import annotations

from typing import NamedTuple

from patches.errors import PatchError, show_path


class Offence(NamedTuple):
    """One path that keeps a patch from being written, and why."""

    path: bytes
    reason: str
    by: bytes | None = None
    """The other path that is in the way: a parent, or something below ``path``."""

    def __str__(self) -> str:
        other = "" if self.by is None or self.by == self.path else f" ({show_path(self.by)})"
        return f"{show_path(self.path)}: {self.reason}{other}"


class WorkTreeError(PatchError):
    """Base of everything that the work-tree projection raises."""


class WorkTreeRefusal(WorkTreeError):
    """The work tree or the index is not as the patch needs it. Nothing was written.

    ``offences`` holds every offending path of the whole patch, of every class; which subclass
    is raised follows the gravest of them.
    """

    def __init__(self, offences: tuple[Offence, ...]) -> None:
        super().__init__("\n".join(map(str, offences)))
        self.offences = offences

    @property
    def paths(self) -> tuple[bytes, ...]:
        """Every offending path, in order, once."""
        return tuple(dict.fromkeys(offence.path for offence in self.offences))


class DirtyPath(WorkTreeRefusal):
    """A file or an index entry is not what the recorded state has: record or stash it first."""


class InTheWay(WorkTreeRefusal):
    """Something that was not handed over is where a new path must go: move it away first."""


class ThroughSymlink(WorkTreeRefusal):
    """A parent of a touched path is a symlink: nothing may be written through it."""


class NotWritable(WorkTreeRefusal):
    """A directory that must change is not writable: the patch would stop half way."""


class IndexLocked(WorkTreeError):
    """Another process holds ``index.lock``. The work tree and the index were not touched: try again."""

    def __init__(self, lock: str) -> None:
        super().__init__(f"{lock} exists: another git process holds the index, or one died and left it")
        self.lock = lock


class FilterFailed(WorkTreeError):
    """Git could not convert a file between its stored and its work-tree form. Nothing was made visible."""

    def __init__(self, command: str, paths: tuple[bytes, ...], detail: str) -> None:
        shown = ", ".join(show_path(path) for path in paths[:3]) + (", …" if len(paths) > 3 else "")
        super().__init__(f"git {command} failed for {shown}: {detail}")
        self.command = command
        self.paths = paths
        self.detail = detail


class IndexUnreadable(WorkTreeError):
    """The index uses a feature that cannot be read here, or is damaged. Nothing was written."""

    def __init__(self, index: str, detail: str) -> None:
        super().__init__(f"{index}: {detail}")
        self.index = index
        self.detail = detail


class PublishStopped(WorkTreeError):
    """The system refused a step half way (full disk, permission): some paths are new, the others old.

    Every file is whole, in its old or in its new version, and the index still has the old
    entries. ``WorkTree.converge`` with the same touches finishes once the cause is gone.
    """

    def __init__(self, path: bytes, cause: OSError) -> None:
        super().__init__(f"{show_path(path)}: {cause.strerror or cause}")
        self.path = path
        self.errno = cause.errno

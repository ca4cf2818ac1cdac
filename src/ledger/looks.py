"""Looks at a work tree, and what a row of them says: what has changed, and since when all stands still.

A look lists what Git would list (``git status``) with the stat fields of each path, and reads no more than
Git has to. What one look does not see yet, the next one sees: nothing depends on being told of a change.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping, Set
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pygit2

from ledger.drift import run_git
from ledger.repository import Repository

_STATUS = (
    *("status", "--porcelain=v2", "-z", "--branch", "--no-ahead-behind", "--untracked-files=all"),
    *("--no-renames", "--ignore-submodules=dirty", "--ignored=no"),
)
_FIELDS = {b"1": 8, b"u": 10, b"?": 1}
"""Words before the path, by the kind of a line (git-status(1), "Porcelain Format Version 2")."""

_CLOCK_TOLERANCE_S = 0.05

Fact = tuple[object, ...]


class Look(NamedTuple):
    """What was seen at one moment.

    ``facts`` are the paths in which work tree, index and HEAD differ, each with Git's line of it and the
    file's stat fields; ``locked`` says that some git command held the index.
    """

    facts: Mapping[bytes, Fact]
    head: bytes
    locked: bool

    def unlike(self, other: Look | None) -> bool:
        """Return whether this is another state than the one that ``other`` saw."""
        return other is None or (self.facts, self.head) != (other.facts, other.head)


class Looker:
    """Looks at one work tree. Its own copy of the index spares Git from reading files twice."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._scratch = TemporaryDirectory(prefix="ledger-watch-")
        self._index = Path(self._scratch.name, "index")
        self._copied: Fact | None = None

    def close(self) -> None:
        """Remove the copy."""
        self._scratch.cleanup()

    def look(self) -> Look:
        """Return what is to be seen now. Writes nothing to the repository.

        Raises:
            GitFailed: Git could not look.
        """
        index = self._repository.git_dir / "index"
        found = _stat_fields(os.fsencode(index))
        if found != self._copied:
            self._index.unlink(missing_ok=True)
            if found is not None:
                shutil.copy2(index, self._index)
            self._copied = found
        output = run_git(self._repository, {"GIT_INDEX_FILE": str(self._index)}, *_STATUS)
        head, facts = b"", dict[bytes, Fact]()
        top = os.fsencode(f"{self._repository.work_dir}/")
        for line in output.split(b"\0"):
            if line.startswith(b"# branch.oid "):
                head = line
            elif line and not line.startswith(b"#"):
                *said, path = line.split(b" ", _FIELDS[line[:1]])
                facts[path] = (*said, *_file_facts(top + path))
        return Look(facts, head, index.with_name("index.lock").exists())


def _stat_fields(path: bytes) -> Fact | None:
    try:
        seen = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (seen.st_mode, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)


def _file_facts(path: bytes) -> Fact:
    """Return what tells a file from a later version of it, its ctime last; nothing where there is none."""
    fields = _stat_fields(path)
    if fields is None:
        return ()
    if stat.S_ISDIR(os.lstat(path).st_mode):
        # A repository in this one: what counts is its commit.
        return (_commit_of(os.fsdecode(path)),)
    return fields


def _commit_of(directory: str) -> str:
    try:
        return str(pygit2.Repository(directory).head.target)
    except (KeyError, pygit2.GitError):
        return ""


class Stillness:
    """Since when each path stands still, from a row of looks. Knows no clock: every time is given in seconds.

    A change that is seen for the first time happened after the look before began; a file's ctime says when.
    Where it cannot be trusted, as on another machine's file system or after somebody has set the clock, the
    change counts from when it was seen.
    """

    def __init__(self, *, trusts_ctime: bool = True) -> None:
        """Begin without a look; ``trusts_ctime`` says that files have the times of this machine's clock."""
        self._trusts_ctime = trusts_ctime
        self._offset_s: float | None = None
        self._last: Look | None = None
        self._last_began_s = 0.0
        self._changed_s: dict[bytes, float] = {}
        self._moved_s = 0.0

    def see(self, look: Look, began_s: float, ended_s: float, wall_ns: int) -> None:
        """Take the next look.

        Args:
            look: What it saw.
            began_s: When it began, on a clock that never goes back.
            ended_s: When it ended.
            wall_ns: The time of day at its end, in nanoseconds, as files have it.
        """
        offset_s, last = wall_ns / 1e9 - ended_s, self._last
        was_set = self._offset_s is None or abs(offset_s - self._offset_s) > _CLOCK_TOLERANCE_S
        trusts_ctime, self._offset_s = self._trusts_ctime and not was_set, offset_s
        if last is None or look.locked or look.head != last.head or last.facts.keys() - look.facts.keys():
            self._moved_s = ended_s
        changed_s: dict[bytes, float] = {}
        for path, facts in look.facts.items():
            if last is not None and facts == last.facts.get(path):
                changed_s[path] = self._changed_s[path]
            else:
                changed_s[path] = self._when(facts, ended_s, wall_ns) if trusts_ctime else ended_s
        self._moved_s = max([self._moved_s, *changed_s.values()])
        self._last, self._last_began_s, self._changed_s = look, began_s, changed_s

    def _when(self, facts: Fact, ended_s: float, wall_ns: int) -> float:
        changed_ns = facts[-1] if facts else None
        if not isinstance(changed_ns, int):
            return ended_s
        return min(max(ended_s - (wall_ns - changed_ns) / 1e9, self._last_began_s), ended_s)

    def quiet_s(self, now_s: float) -> float:
        """Return for how long nothing has changed."""
        return now_s - self._moved_s

    def moving(self, now_s: float, quiet_s: float) -> Set[bytes]:
        """Return the paths of the last look that have changed within the last ``quiet_s``."""
        return {path for path, changed_s in self._changed_s.items() if now_s - changed_s < quiet_s}

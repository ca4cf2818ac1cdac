"""Tracked files: those that Git's index lists, with the content that the work tree has.

The disk is never walked: what is ignored or untracked is no part of a repository, and an editor's backup or
an environment in the work tree is not looked at.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from functools import cache
from io import BufferedReader, BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NamedTuple, TypeAlias

from ledger.errors import GitFailed, NoWorkTree
from ledger.repository import Repository
from patches.gitprogram import git_environment
from patches.model import Oid

SYMLINK, SUBMODULE = 0o120000, 0o160000

Content: TypeAlias = BufferedReader | BytesIO


class Tracked(NamedTuple):
    """One path of the index: its mode there and the oid of its content (a submodule's: of its commit)."""

    path: bytes
    mode: int
    oid: Oid


class TrackedFiles:
    """The tracked files of one work tree.

    Args:
        repository: Seen from that work tree.

    Raises:
        NoWorkTree: The repository is bare.
    """

    def __init__(self, repository: Repository) -> None:
        if repository.work_dir is None:
            raise NoWorkTree(repository.git_dir)
        self.root = repository.work_dir
        self._repository = repository
        self._is_own = cache(self._leads_through_no_symlink)

    def entries(self) -> list[Tracked]:
        """Return what the index lists, in its order; of a path in conflict one side.

        Raises:
            GitFailed: Git could not read the index.
        """
        command = ["git", "ls-files", "--stage", "-z", "--full-name", ":/"]
        done = subprocess.run(command, cwd=self.root, env=git_environment(), capture_output=True, check=False)
        if done.returncode:
            raise GitFailed("git ls-files", done.returncode, done.stderr.decode("utf-8", "replace").strip())
        return list(_parse_stage(done.stdout))

    def find(self, file: Tracked) -> Path | None:
        """Return where a tracked file lies; None where there is none, or something else."""
        path = self.root / os.fsdecode(file.path)
        if not self._is_own(path.parent):
            return None
        try:
            mode = path.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        kind = stat.S_IFMT(mode)
        wanted = {SYMLINK: stat.S_IFLNK, SUBMODULE: stat.S_IFDIR}.get(file.mode, stat.S_IFREG)
        return path if kind == wanted else None

    def open(self, file: Tracked) -> Content:
        """Open what a file or symlink holds: in the work tree, or the index's content where that has none.

        Raises:
            OSError: It cannot be read.
            MissingObject: It is neither in the work tree nor in the repository.
        """
        path = self.find(file)
        if path is None:
            return BytesIO(self._repository.objects.read_blob(file.oid))
        if file.mode == SYMLINK:
            return BytesIO(os.fsencode(path.readlink()))
        return path.open("rb")

    def read_top(self, name: str) -> bytes | None:
        """Return a file at the top of the work tree, None where there is none."""
        return self._repository.read_top_file(name)

    def _leads_through_no_symlink(self, directory: Path) -> bool:
        if directory == self.root:
            return True
        return not directory.is_symlink() and self._is_own(directory.parent)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file that readers see as it was or as it is to be, never half.

    Raises:
        OSError: It cannot be written; what was there still is.
    """
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            # As a new file would have it: a temporary one is for its owner alone.
            mask = os.umask(0)
            os.umask(mask)
            os.fchmod(file.fileno(), 0o666 & ~mask)
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise


def _parse_stage(listing: bytes) -> Iterator[Tracked]:
    """Yield the entries of ``git ls-files --stage -z``."""
    last = None
    for line in listing.split(b"\0")[:-1]:
        facts, _, path = line.partition(b"\t")
        mode, oid, _ = facts.split(b" ")
        if path != last:
            yield Tracked(path, int(mode, 8), bytes.fromhex(oid.decode()))
        last = path

"""Rehearsals: a repository copied aside, where a command may do all that it does, and nobody sees it.

What is copied is what a writing command changes: the Git directory without its objects, which the copy
borrows, the ledger in it, and the work tree. Bodies and sealed segments, which are never written in place,
are hard links where the file system has them.

See: gitrepository-layout(5), "objects/info/alternates".
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ledger.repository import Repository

_NEVER_WRITTEN = ("bodies", "sealed")
_NOT_COPIED = ("objects", "staging", "quarantine", "cache")


@contextmanager
def rehearsed(repository: Repository, directory: Path) -> Generator[Path]:
    """Copy a repository aside for as long as this is entered.

    Only reads the original: it takes no lock, so what another command is appending may or may not be there.

    Args:
        repository: What is copied, as one of its work trees sees it.
        directory: A directory in it.

    Yields:
        The directory in the copy.

    Raises:
        OSError: There is no room for the copy. Nothing of it is left.
    """
    with tempfile.TemporaryDirectory(prefix="ledger-rehearsal-", ignore_cleanup_errors=True) as scratch:
        common = Path(scratch, "git")
        if repository.work_dir is None:
            _copy_git(repository.common_dir, common)
            yield common
            return
        tree = Path(scratch, "tree")
        shutil.copytree(repository.work_dir, tree, symlinks=True, ignore=_but_git(repository.work_dir))
        git = tree / ".git"
        if repository.work_tree_name:
            _copy_git(repository.common_dir, common)
            linked = common / "worktrees" / repository.work_tree_name
            git.write_text(f"gitdir: {linked}\n")
            (linked / "gitdir").write_text(f"{git}\n")
        else:
            _copy_git(repository.common_dir, git)
        below = Path(os.path.relpath(os.path.realpath(directory), os.path.realpath(repository.work_dir)))
        yield tree / below


def _but_git(top: Path) -> Callable[[str, list[str]], list[str]]:
    """Return what leaves out the Git directory at the top, which is copied by itself, sockets and pipes."""

    def ignore(directory: str, names: list[str]) -> list[str]:
        here = Path(directory)
        return [
            name
            for name in names
            if (here == top and name == ".git")
            or not ((here / name).is_symlink() or (here / name).is_file() or (here / name).is_dir())
        ]

    return ignore


def _copy_git(source: Path, target: Path) -> None:
    """Copy a Git directory: its objects are borrowed, its ledger comes along."""

    def ignore(directory: str, names: list[str]) -> list[str]:
        at_top = Path(directory) in (source, source / "ledger")
        return [name for name in names if at_top and name in (*_NOT_COPIED, *_NEVER_WRITTEN)]

    shutil.copytree(source, target, symlinks=True, ignore=ignore)
    (target / "objects" / "info").mkdir(parents=True)
    (target / "objects" / "pack").mkdir()
    (target / "objects" / "info" / "alternates").write_text(f"{source / 'objects'}\n")
    for name in _NEVER_WRITTEN:
        if (source / "ledger" / name).is_dir():
            shutil.copytree(source / "ledger" / name, target / "ledger" / name, copy_function=_link)


def _link(source: str, target: str) -> None:
    with suppress(OSError):
        os.link(source, target)
        return
    shutil.copy2(source, target)

"""Drift: what was edited in the work tree past the ledger, seen through Git's own eyes.

A private copy of the index takes in the whole work tree (``git add --all``: untracked files
included, ignored ones not, filters and line endings as configured) and is written as a tree. The
repository's own index is never touched.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from ledger.errors import GitFailed, NoWorkTree
from ledger.repository import Repository
from patches.gitprogram import git_environment
from patches.model import Entry

_SETTINGS = {
    "core.safecrlf": "false",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,  # A changed index would call `post-index-change`.
    "advice.addEmbeddedRepo": "false",
}


class Drift(NamedTuple):
    """One path that differs between the candidate and the work tree; ``status`` is Git's letter."""

    status: str
    path: bytes


class Staged(NamedTuple):
    """One index entry that is not the candidate's: what the index holds, and what the candidate has."""

    path: bytes
    held: Entry | None
    wanted: Entry | None


def snapshot_tree(repository: Repository, without: Sequence[str] = ()) -> str:
    """Return the oid of the tree that the work tree holds, its objects stored.

    Args:
        repository: Seen from that work tree.
        without: Paths at the top that are not looked at.

    Raises:
        NoWorkTree: The repository is bare.
        GitFailed: Git could not read a file. Nothing was recorded.
    """
    with TemporaryDirectory(prefix="ledger-") as scratch:
        return _snapshot(repository, Path(scratch), {}, without=without)


def list_drift(repository: Repository, candidate: str) -> list[Drift]:
    """Return the paths in which the work tree differs from a tree. Stores nothing in the repository.

    What Git cannot read (a nested repository without a commit) is passed over; `snapshot_tree` says so.

    Raises:
        NoWorkTree: The repository is bare.
        GitFailed: Git could not read a file.
    """
    with TemporaryDirectory(prefix="ledger-") as scratch:
        objects = Path(scratch, "objects")
        objects.mkdir()
        env = {
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(repository.common_dir / "objects"),
        }
        tree = _snapshot(repository, Path(scratch), env, "--ignore-errors")
        if tree == candidate:
            return []
        raw = run_git(
            repository, env, "diff-tree", "-r", "-z", "--no-renames", "--name-status", candidate, tree
        )
    fields = raw.split(b"\0")
    return [Drift(status.decode(), path) for status, path in zip(fields[0:-1:2], fields[1::2], strict=True)]


def list_staged(repository: Repository, tree: str) -> list[Staged]:
    """Return the index entries that are not those of ``tree``; unmerged ones are left out."""
    raw = run_git(
        repository, {}, "diff-index", "--cached", "--raw", "--no-abbrev", "--no-renames", "-z", tree
    )
    fields = raw.split(b"\0")
    staged: list[Staged] = []
    for facts, path in zip(fields[0:-1:2], fields[1::2], strict=True):
        wanted_mode, mode, wanted_oid, oid, status = facts.removeprefix(b":").decode().split(" ")
        if status != "U":
            staged.append(Staged(path, _entry(mode, oid), _entry(wanted_mode, wanted_oid)))
    return staged


def _entry(mode: str, oid: str) -> Entry | None:
    return Entry(int(mode, 8), bytes.fromhex(oid)) if int(mode, 8) else None


def _quoted(path: Path) -> str:
    """Return a path as one entry of GIT_ALTERNATE_OBJECT_DIRECTORIES, which Git splits at colons."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _snapshot(
    repository: Repository,
    scratch: Path,
    env: Mapping[str, str],
    *options: str,
    without: Sequence[str] = (),
) -> str:
    if repository.work_dir is None:
        raise NoWorkTree(repository.git_dir)
    index = scratch / "index"
    if (repository.git_dir / "index").exists():
        # Its stat fields spare Git from reading every file again.
        shutil.copy2(repository.git_dir / "index", index)
    env = {**env, "GIT_INDEX_FILE": str(index)}
    exclude = [f":(top,exclude,literal){path}" for path in without]
    run_git(repository, env, "add", "--all", *options, "--", ":/", *exclude, allowed=len(options))
    return run_git(repository, env, "write-tree").decode().strip()


_UNREAD = re.compile(rb"^warning: could not open directory (?!.*: Permission denied$)", re.MULTILINE)
"""Git goes on without what is in a directory that cannot be read; one that is closed to us is passed over."""


def run_git(repository: Repository, env: Mapping[str, str], *args: str, allowed: int = 0) -> bytes:
    """Return what git printed; ``allowed`` is the highest exit code that is no failure."""
    import subprocess

    settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
    done = subprocess.run(
        ["git", f"--git-dir={repository.git_dir}", f"--work-tree={repository.work_dir}", *settings, *args],
        cwd=repository.work_dir,
        env=git_environment(**env, LC_ALL="C"),
        capture_output=True,
        check=False,
    )
    if done.returncode > allowed or done.returncode < 0 or _UNREAD.search(done.stderr):
        raise GitFailed(f"git {args[0]}", done.returncode, done.stderr.decode("utf-8", "replace").strip())
    return done.stdout

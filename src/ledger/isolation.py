"""Isolation: a state of the run checked out in a temporary linked work tree, made usable, and removed.

The user's own work tree is not looked at and not touched. What a killed process left is removed by
the next one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ledger.errors import GitFailed, LedgerError
from ledger.policies import Isolation
from ledger.repository import Repository
from patches.gitprogram import git_environment

_PREFIX = "ledger-isolated-"


class SetupFailed(LedgerError):
    """A setup command failed, or a path to link is not there. Nothing was measured."""

    hint = "see `isolated.setup` and `isolated.link` in `ledger policy show`"

    def __init__(self, what: str, reason: str) -> None:
        self.what, self.reason = what, reason
        super().__init__(f"isolated work tree: {what}: {reason}")


@contextmanager
def isolated(repository: Repository, commit: str, how: Isolation) -> Generator[Repository]:
    """Give the repository seen from a temporary work tree that holds a commit's files.

    Args:
        repository: The repository, from any of its work trees.
        commit: A commit, whose tree will be measured.
        how: Commands to run in the work tree, paths to link into it from the main one.

    Raises:
        GitFailed: Git could not make the work tree.
        SetupFailed: A setup command failed, or a path to link is not there.
    """
    _remove_abandoned(repository)
    top = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")).resolve()
    root = top / (repository.work_dir or repository.git_dir).name.removesuffix(".git")
    try:
        _git(repository, "worktree", "add", "--detach", "--quiet", str(root), commit)
        for name in how.link:
            _link(repository, root, name)
        for command in how.setup:
            _set_up(root, command)
        yield Repository.open(root)
    finally:
        _remove(repository, root)
        shutil.rmtree(top, ignore_errors=True)


def list_visible(repository: Repository, links: Sequence[str]) -> list[str]:
    """Return those of the linked paths that Git would take for files of the tree: it does not ignore them.

    ``.venv/`` in a ``.gitignore`` means directories alone, and not the link. An ignored path must not be
    named to ``git add``, not even to leave it out.

    Args:
        repository: Seen from the isolated work tree.
        links: Paths from its top.

    Raises:
        GitFailed: Git could not tell.
    """
    if not links:
        return []
    assert repository.work_dir is not None, "an isolated work tree is one"
    command = ["git", f"--git-dir={repository.git_dir}", f"--work-tree={repository.work_dir}"]
    command += ["check-ignore", "-z", "--stdin"]
    done = subprocess.run(
        command,
        cwd=repository.work_dir,
        env=git_environment(),
        input=b"".join(os.fsencode(link) + b"\0" for link in links),
        capture_output=True,
        check=False,
    )
    if done.returncode not in (0, 1):  # 1: none is ignored.
        raise GitFailed("git check-ignore", done.returncode, done.stderr.decode("utf-8", "replace").strip())
    ignored = set(os.fsdecode(done.stdout).split("\0"))
    return [link for link in links if link not in ignored]


def _link(repository: Repository, root: Path, name: str) -> None:
    source = (repository.work_dir or repository.git_dir) / name
    if not source.exists():
        raise SetupFailed(f"link {name}", f"{source} is not there")
    target = root / name
    if target.exists() or target.is_symlink():
        raise SetupFailed(f"link {name}", "the measured tree has something there")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source, target_is_directory=source.is_dir())


def _set_up(root: Path, command: tuple[str, ...]) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=root,
            env=git_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise SetupFailed(" ".join(command), error.strerror or str(error)) from error
    if done.returncode:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
        raise SetupFailed(
            " ".join(command), f"exit code {done.returncode}: {said[-1] if said else 'no output'}"
        )


def _remove_abandoned(repository: Repository) -> None:
    """Remove the work trees of processes that are gone."""
    for line in _git(repository, "worktree", "list", "--porcelain", "-z").split("\0"):
        root = Path(line.removeprefix("worktree "))
        top = root.parent
        if line.startswith("worktree ") and top.name.startswith(_PREFIX):
            pid = top.name.removeprefix(_PREFIX).partition("-")[0]
            if pid.isdecimal() and not _runs(int(pid)):
                _remove(repository, root)
                shutil.rmtree(top, ignore_errors=True)


def _remove(repository: Repository, root: Path) -> None:
    """Remove a work tree and what Git knows of it; what links lead to stays."""
    shutil.rmtree(root, ignore_errors=True)
    _git(repository, "worktree", "prune")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _git(repository: Repository, *arguments: str) -> str:
    command = ["git", f"--git-dir={repository.common_dir}", "-c", f"core.hooksPath={os.devnull}", *arguments]
    done = subprocess.run(command, env=git_environment(), capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise GitFailed(f"git {arguments[0]} {arguments[1]}", done.returncode, said)
    return done.stdout.decode("utf-8", "surrogateescape")

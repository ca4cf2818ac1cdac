"""The commits of a range along first parents, as ``git log`` tells of them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, NamedTuple

from patches.gitprogram import git_environment

if TYPE_CHECKING:
    from pathlib import Path

_FORMAT = "%H%n%T%n%P%n%an <%ae>%n%aD%n%B"
_OPTIONS = (
    "-s", "-z", "--first-parent", "--reverse", "--topo-order", "--encoding=UTF-8", "--no-color", "--no-notes",
    "--no-decorate", "--no-mailmap", "--no-show-signature", f"--format={_FORMAT}",
)  # fmt: skip


class LogFailed(RuntimeError):
    """The ``git`` program could not list commits."""


class Commit(NamedTuple):
    """A commit: its oid, tree and parents in hexadecimal, and whose it is.

    ``author`` is ``Name <address>``, ``date`` as in a mail (RFC 5322). Texts are read in the encoding that
    the commit names; what does not fit is replaced.
    """

    oid: str
    tree: str
    parents: tuple[str, ...]
    author: str
    date: str
    message: str


def list_commits(repo_path: Path | str, since: str | None, until: str) -> list[Commit]:
    """Return the commits that ``until`` has and ``since`` has not, the oldest first, along first parents.

    Each is the first parent of the one after it. Replacements (git-replace(1)) count for nothing.

    Args:
        repo_path: a repository or a directory in one.
        since: a commit's oid, None for everything.
        until: a commit's oid.

    Raises:
        LogFailed: git is not there, or a commit is not.
    """
    ends = [until] if since is None else [until, f"^{since}"]
    command = ["git", "--no-replace-objects", "log", *_OPTIONS, *ends, "--"]
    try:
        done = subprocess.run(
            command, cwd=repo_path, env=git_environment(LC_ALL="C"), capture_output=True, check=True
        )
    except FileNotFoundError as error:
        raise LogFailed("the git program was not found") from error
    except subprocess.CalledProcessError as error:
        raise LogFailed(f"git log: {error.stderr.decode('utf-8', 'replace').strip()}") from error
    records = done.stdout.decode("utf-8", "replace").rstrip("\0")
    return [_parse_commit(record) for record in records.split("\0")] if records else []


def _parse_commit(record: str) -> Commit:
    oid, tree, parents, author, date, message = record.split("\n", 5)
    return Commit(oid, tree, tuple(parents.split()), author, date, message)

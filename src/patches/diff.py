"""The patch between two trees, made by the ``git`` program whatever the user's configuration is."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING

from patches.gitprogram import git_environment

if TYPE_CHECKING:
    from pathlib import Path

    from patches.model import Oid

_ARGUMENTS = (
    "-r", "-p", "--binary", "--full-index", "-M", "-l1000", "-U3", "--inter-hunk-context=0",
    "--diff-algorithm=myers", "--no-ext-diff", "--no-textconv", "--no-color", "--no-color-moved",
    "--src-prefix=a/", "--dst-prefix=b/", "--submodule=short", "--ignore-submodules=none", "-O/dev/null",
    "--ws-error-highlight=none", "--no-relative", "--no-indent-heuristic", "--line-prefix=",
    "--output-indicator-new=+", "--output-indicator-old=-", "--output-indicator-context= ",
)  # fmt: skip
_SETTINGS = {
    "diff.suppressBlankEmpty": "false",
    "core.quotePath": "true",
    "core.attributesFile": "/dev/null",
}


class DiffFailed(RuntimeError):
    """The ``git`` program could not compare two trees."""


def diff_trees(repo_path: Path | str, old: Oid, new: Oid, paths: Sequence[bytes] = ()) -> bytes:
    """Return the patch that brings the tree ``old`` to the tree ``new``; empty where they are equal.

    Args:
        repo_path: a repository or a directory in one.
        old: a tree, of any repository that shares these objects.
        new: another.
        paths: files, and directories for all below them, from the top; by default everything.

    Raises:
        DiffFailed: git is not there, or one of the trees is not.
    """
    environment = git_environment(
        GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL=os.devnull, GIT_LITERAL_PATHSPECS="1", LC_ALL="C"
    )
    settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
    command = ["git", "--no-replace-objects", *settings, "diff-tree", *_ARGUMENTS, old.hex(), new.hex(), "--"]
    return _run([*command, *paths], repo_path, environment, old, new, stdout=subprocess.PIPE)


def show_difference(
    repo_path: Path | str, old: Oid, new: Oid, paths: Sequence[bytes] = (), *options: str
) -> None:
    """Show on standard output what is between two trees, as the user's ``git diff`` does, colours and all.

    Args:
        repo_path: a repository or a directory in one.
        old: a tree, of any repository that shares these objects.
        new: another.
        paths: files, and directories for all below them, from the top; by default everything.
        options: of ``git diff``, as ``--stat``.

    Raises:
        DiffFailed: git is not there, or one of the trees is not.
    """
    environment = git_environment(GIT_LITERAL_PATHSPECS="1")
    command = [
        "git",
        "--no-replace-objects",
        "diff",
        "--no-relative",
        "-M",
        *options,
        old.hex(),
        new.hex(),
        "--",
    ]
    try:
        _run([*command, *paths], repo_path, environment, old, new, stdout=None)
    except DiffFailed as error:
        # Who reads has seen enough: a pager that was left, or `head`.
        cause = error.__cause__
        if not isinstance(cause, subprocess.CalledProcessError) or cause.returncode != -signal.SIGPIPE:
            raise


def _run(
    command: Sequence[str | bytes],
    repo_path: Path | str,
    environment: dict[str, str],
    old: Oid,
    new: Oid,
    stdout: int | None,
) -> bytes:
    try:
        done = subprocess.run(
            command, cwd=repo_path, env=environment, check=True, stdout=stdout, stderr=subprocess.PIPE
        )
    except FileNotFoundError as error:
        raise DiffFailed("the git program was not found") from error
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode("utf-8", "replace").strip()
        raise DiffFailed(f"git cannot compare the trees {old.hex()} and {new.hex()}: {reason}") from error
    return done.stdout or b""

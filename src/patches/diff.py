"""The patch between two trees, made by the ``git`` program whatever the user's configuration is."""

from __future__ import annotations

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


def diff_trees(repo_path: Path | str, old: Oid, new: Oid) -> bytes:
    """Return the patch that brings the tree ``old`` to the tree ``new``; empty where they are equal.

    Args:
        repo_path: a repository or a directory in one.
        old: a tree, of any repository that shares these objects.
        new: another.

    Raises:
        DiffFailed: git is not there, or one of the trees is not.
    """
    import os
    import subprocess

    environment = git_environment(GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL=os.devnull, LC_ALL="C")
    settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
    command = ["git", "--no-replace-objects", *settings, "diff-tree", *_ARGUMENTS, old.hex(), new.hex()]
    try:
        done = subprocess.run(command, cwd=repo_path, env=environment, capture_output=True, check=True)
    except FileNotFoundError as error:
        raise DiffFailed("the git program was not found") from error
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode("utf-8", "replace").strip()
        raise DiffFailed(f"git cannot compare the trees {old.hex()} and {new.hex()}: {reason}") from error
    return done.stdout

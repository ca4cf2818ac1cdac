"""The patch between two trees, made by the ``git`` program whatever the user's configuration is."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Generator, Sequence
from itertools import pairwise
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

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
    command = [*_diff_tree(), old.hex(), new.hex(), "--"]
    return _run([*command, *paths], repo_path, _environment(), old, new, stdout=subprocess.PIPE)


def diff_chain(repo_path: Path | str, trees: Sequence[Oid]) -> Generator[bytes]:
    """Yield the patch from each tree to the next one, each as `diff_trees` makes it, by one git process.

    Args:
        repo_path: a repository or a directory in one.
        trees: the trees, in order; of two that are equal the patch is empty.

    Raises:
        DiffFailed: git is not there, or one of the trees is not.
    """
    heads = [b"%b %b\n" % (old.hex().encode(), new.hex().encode()) for old, new in pairwise(trees)]
    with TemporaryFile() as pairs, TemporaryFile() as errors:
        pairs.write(b"".join(heads))
        pairs.seek(0)
        try:
            git = subprocess.Popen(
                [*_diff_tree(), "--stdin"],
                cwd=repo_path,
                env=_environment(),
                stdin=pairs,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        except FileNotFoundError as error:
            raise DiffFailed("the git program was not found") from error
        try:
            assert git.stdout is not None
            complete = yield from _split_at(git.stdout, heads)
            if git.wait() or not complete:
                errors.seek(0)
                reason = errors.read().decode("utf-8", "replace").strip()
                raise DiffFailed(f"git cannot compare {len(trees)} trees: {reason}")
        finally:
            git.kill()
            git.communicate()


def _split_at(lines: IO[bytes], heads: Sequence[bytes]) -> Generator[bytes, None, bool]:
    """Yield what stands below each of ``heads``; return whether all of them were there.

    No line of a patch is like one: those of a hunk have a mark before them, and base 85 has no space.
    """
    found: list[bytes] = []
    at = 0
    for line in lines:
        if at < len(heads) and line == heads[at]:
            if at:
                yield b"".join(found)
            found, at = [], at + 1
        else:
            found.append(line)
    if at and at == len(heads):
        yield b"".join(found)
    return at == len(heads)


def _diff_tree() -> list[str]:
    settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
    return ["git", "--no-replace-objects", *settings, "diff-tree", *_ARGUMENTS]


def _environment() -> dict[str, str]:
    return git_environment(
        GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL=os.devnull, GIT_LITERAL_PATHSPECS="1", LC_ALL="C"
    )


def show_difference(
    repo_path: Path | str,
    old: Oid,
    new: Oid,
    paths: Sequence[bytes] = (),
    *options: str,
    pager: str | None = None,
) -> None:
    """Show on standard output what is between two trees, as the user's ``git diff`` does, colours and all.

    Args:
        repo_path: a repository or a directory in one.
        old: a tree, of any repository that shares these objects.
        new: another.
        paths: files, and directories for all below them, from the top; by default everything.
        options: of ``git diff``, as ``--stat``.
        pager: what shows it on a terminal, "" or ``cat``: nothing; by default what Git's settings name.

    Raises:
        DiffFailed: git is not there, or one of the trees is not.
    """
    named = {} if pager is None else {"GIT_PAGER": pager}
    environment = git_environment(GIT_LITERAL_PATHSPECS="1", **named)
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

"""The checkout of a submodule, moved along with its entry: its files, and the two links to its repository.

A submodule's ``.git`` file names its repository by a relative path, which names it back by
``core.worktree``. Both are written anew, and those of the submodules inside it.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from patches.errors import show_path
from patches.gitprogram import git_environment
from patches.model import MODE_GITLINK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from patches.model import FileChange

_LINK = b"gitdir: "


def move_checkouts(root: bytes, changes: Iterable[FileChange]) -> tuple[str, ...]:
    """Move the checkouts of renamed submodules, whose entries have moved, to their new places.

    Args:
        root: the work tree.
        changes: what was done to the tree; the work tree has it already, with an empty directory in a
            moved submodule's new place.

    Returns:
        What a person should know: which checkouts stay where they are, and why. The submodule's files are
        there, whatever happened.
    """
    remarks: list[str] = []
    for change in changes:
        if change.operation != "rename" or change.new is None or change.new.mode != MODE_GITLINK:
            continue
        old, new = os.path.join(root, change.old_path or b""), os.path.join(root, change.path)
        if not os.path.lexists(os.path.join(old, b".git")):
            continue
        links = list(_links(old))
        try:
            os.rmdir(new)
            os.rename(old, new)
            for place, repository in links:
                _connect(new + place.removeprefix(old), repository)
        except OSError as error:
            why = error.strerror or str(error)
            remarks.append(f"the checkout of submodule {show_path(change.path)} stays behind: {why}")
    return tuple(remarks)


def _links(checkout: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the checkout and those inside it that are linked to a repository elsewhere, with that."""
    link = os.path.join(checkout, b".git")
    if os.path.isfile(link):
        with open(link, "rb") as file:
            text = file.read().rstrip(b"\n")
        repository = os.path.realpath(os.path.join(checkout, text.removeprefix(_LINK)))
        # A work tree that some other repository has linked shares that one's configuration.
        if text.startswith(_LINK) and os.path.isfile(os.path.join(repository, b"config")):
            yield checkout, repository
    for inner in _submodules(checkout):
        yield from _links(os.path.join(checkout, inner))


def _submodules(checkout: bytes) -> list[bytes]:
    """Return the submodules that a checkout's index names and that are checked out in it."""
    command = ["git", "-C", os.fsdecode(checkout), "ls-files", "--stage", "-z"]
    done = subprocess.run(command, env=git_environment(), capture_output=True, check=False)
    records = (record.partition(b"\t") for record in done.stdout.split(b"\0"))
    paths = [path for facts, _, path in records if facts.startswith(b"%06o " % MODE_GITLINK)]
    return [path for path in paths if os.path.lexists(os.path.join(checkout, path, b".git"))]


def _connect(checkout: bytes, repository: bytes) -> None:
    """Let a checkout and its repository name each other by relative paths."""
    with open(os.path.join(checkout, b".git"), "wb") as file:
        file.write(_LINK + os.path.relpath(repository, checkout) + b"\n")
    back = os.path.relpath(checkout, repository)
    command = ["git", "config", "--file", os.path.join(repository, b"config"), "core.worktree", back]
    done = subprocess.run(command, env=git_environment(), capture_output=True, check=False)
    if done.returncode:
        raise OSError(done.returncode, done.stderr.decode("utf-8", "replace").strip())

"""The patch engine beside ``git apply --cached``, on trees made of plain dictionaries."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import pygit2

from patches.apply import apply_patch
from patches.model import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, FileChange, Oid
from patches.objects import Objects
from patches.options import DEFAULTS, ApplyOptions
from patches.parse import parse_patch, reverse_patch
from patches.tree import Tree
from patches.whitespace import DEFAULT_RULE, WhitespaceRule

if TYPE_CHECKING:
    from pathlib import Path

Files = Mapping[bytes, bytes | tuple[int, bytes]]


class Applied(NamedTuple):
    """What the engine made of a patch."""

    tree: Oid
    changes: tuple[FileChange, ...]
    files: dict[bytes, bytes]


class Bench:
    """One bare repository with both engines on it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.repository = pygit2.init_repository(str(folder), bare=True)
        self.repository.config["core.protectHFS"] = "true"
        self.repository.config["core.protectNTFS"] = "true"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "GIT_DIR": str(folder),
            "GIT_INDEX_FILE": str(folder / "bench-index"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "LC_ALL": "C",
        }

    def git(self, *words: str, feed: bytes = b"", check: bool = True) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["git", *words],
            cwd=self.path,
            env=self.environment,
            input=feed,
            capture_output=True,
            check=check,
        )

    def tree(self, files: Files) -> Oid:
        """Make a tree; a value is a file's content, or mode and content (a submodule's: its 20 bytes)."""
        lines: list[bytes] = []
        for path, value in files.items():
            mode, content = value if isinstance(value, tuple) else (MODE_FILE, value)
            oid = (
                content if mode == MODE_GITLINK else bytes.fromhex(str(self.repository.create_blob(content)))
            )
            lines.append(b"%06o %s\t%s\0" % (mode, oid.hex().encode(), path))
        (self.path / "bench-index.lock").unlink(missing_ok=True)
        self.git("read-tree", "--empty")
        self.git("update-index", "-z", "--index-info", feed=b"".join(lines))
        return bytes.fromhex(self.git("write-tree").stdout.decode().strip())

    def diff(self, old: Oid, new: Oid, *options: str, whole: bool = True) -> bytes:
        """Return git's patch; ``whole`` is all content, and ids in full."""
        options = ("--binary", "--full-index", *options) if whole else options
        return self.git("diff-tree", "-r", "-p", *options, old.hex(), new.hex()).stdout

    def apply(
        self,
        old: Oid,
        patch: bytes,
        *,
        reverse: bool = False,
        options: ApplyOptions = DEFAULTS,
        rule: WhitespaceRule = DEFAULT_RULE,
    ) -> Applied:
        """Run the engine; the result's files are those that changed, read back after a flush."""
        objects = Objects(self.repository)
        tree = Tree(objects, old)
        parsed = parse_patch(patch, options)
        changes = apply_patch(
            tree, reverse_patch(parsed) if reverse else parsed, options, rules=lambda _: rule
        )
        oid = tree.write()
        objects.flush()
        files = {
            change.path: objects.read_blob(change.new.oid)
            for change in changes
            if change.new is not None and change.new.mode != MODE_GITLINK
        }
        return Applied(oid, changes, files)

    def git_apply(self, old: Oid, patch: bytes, *options: str) -> Oid | None:
        """Return the tree that ``git apply --cached`` makes; None where it refuses."""
        # Git itself crashes on some damaged patches, and leaves the lock of its index.
        (self.path / "bench-index.lock").unlink(missing_ok=True)
        (self.path / "bench-index").unlink(missing_ok=True)
        index = pygit2.Index(self.environment["GIT_INDEX_FILE"])  # A process less than git read-tree.
        index.read_tree(self.repository[old.hex()].peel(pygit2.Tree))
        index.write()
        done = self.git("apply", "--cached", "--whitespace=nowarn", *options, feed=patch, check=False)
        if done.returncode:
            return None
        return bytes.fromhex(self.git("write-tree").stdout.decode().strip())

    @cached_property
    def git_keeps_modes(self) -> bool:
        """Tell whether ``git apply -R`` leaves the mode of a file that is another than the patch's (2.55 does)."""
        patch = self.diff(self.tree({b"f": b"old\n"}), self.tree({b"f": b"new\n"}))
        reversed_tree = self.git_apply(self.tree({b"f": (MODE_EXECUTABLE, b"new\n")}), patch, "-R")
        return reversed_tree == self.tree({b"f": (MODE_EXECUTABLE, b"old\n")})

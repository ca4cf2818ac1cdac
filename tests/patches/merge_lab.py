"""The three-way merge beside ``git apply --3way --index``, on the same repository and the same patch."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import pygit2

from patches.model import MODE_FILE, Oid
from patches.objects import Objects
from patches.parse import parse_patch
from patches.threeway import (
    Conflict,
    Outcome,
    ThreewayMerge,
    path_merges,
    plan_threeway,
    read_merge_options,
)
from patches.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

    from patches.options import Favor

Files = Mapping[str, bytes | tuple[int, bytes]]


class Merged(NamedTuple):
    """What an applied patch left: every entry of the index by path and stage, and every file."""

    stages: dict[tuple[str, int], tuple[int, str]]
    contents: dict[str, bytes]


class MergeLab:
    """A repository with a work tree: three states of files, and both engines on them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.repository = pygit2.init_repository(str(folder))
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder.parent),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "LC_ALL": "C",
        }
        self.said = ""
        self.attempts: tuple[tuple[str, Outcome], ...] = ()
        self.conflicts: tuple[Conflict, ...] = ()

    def git(self, *words: str, feed: bytes = b"", check: bool = True) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["git", *words],
            cwd=self.path,
            env=self.environment,
            input=feed,
            capture_output=True,
            check=check,
        )

    def configure(self, name: str, value: str) -> None:
        self.repository.config[name] = value

    def tree(self, files: Files) -> Oid:
        lines: list[str] = []
        for path, value in files.items():
            mode, content = value if isinstance(value, tuple) else (MODE_FILE, value)
            lines.append(f"{mode:06o} {self.repository.create_blob(content)}\t{path}\0")
        self.git("read-tree", "--empty")
        self.git("update-index", "-z", "--index-info", feed="".join(lines).encode())
        return bytes.fromhex(self.git("write-tree").stdout.decode().strip())

    def diff(self, old: Files, new: Files, *options: str) -> bytes:
        command = ("diff-tree", "-r", "-p", *options, self.tree(old).hex(), self.tree(new).hex())
        return self.git(*command).stdout

    def git_applies(self, ours: Files, patch: bytes, *options: str) -> Merged | None:
        """Return what ``git apply --3way --index`` leaves, with conflicts or without; None where it refuses."""
        self.git("read-tree", "--reset", "-u", self.tree(ours).hex())
        self.git("clean", "-dfqx")  # What an earlier patch left in conflict is in no tree.
        command = ("apply", "--3way", "--index", "--whitespace=nowarn", *options)
        done = self.git(*command, feed=patch, check=False)
        self.said = done.stderr.decode()
        listed = self.git("ls-files", "-s", "-z").stdout.decode().split("\0")[:-1]
        stages: dict[tuple[str, int], tuple[int, str]] = {}
        for line in listed:
            record, path = line.split("\t")
            mode, oid, stage = record.split()
            stages[path, int(stage)] = (int(mode, 8), oid)
        if done.returncode and not any(stage for _, stage in stages):
            return None
        paths = {path for path, _ in stages}
        return Merged(stages, {path: self._read_file(path) for path in paths})

    def we_apply(self, ours: Files, patch: bytes, favor: Favor | None = None) -> Merged:
        """Return what the engine plans, as if it had been written."""
        objects = Objects(self.repository)
        tree = Tree(objects, self.tree(ours))
        before = tree.write()
        options = read_merge_options(self.repository, favor)
        merge = ThreewayMerge(objects, options, path_merges(self.repository))
        plan = plan_threeway(tree, parse_patch(patch), merge=merge)
        assert tree.write() == before, "planning changed the tree"
        entries = dict(tree.entries())
        for change in plan.changes:
            if change.operation == "rename" and change.old_path is not None:
                del entries[change.old_path]
            entries.pop(change.path, None)
            if change.new is not None:
                entries[change.path] = change.new
        contents = {path.decode(): objects.read_blob(entry.oid) for path, entry in entries.items()}
        stages = {(path.decode(), 0): (entry.mode, entry.oid.hex()) for path, entry in entries.items()}
        for conflict in plan.conflicts:
            path = conflict.path.decode()
            del stages[path, 0]
            for stage, oid in enumerate((conflict.base, conflict.ours, conflict.theirs), 1):
                if oid is not None:
                    assert objects.has_blob(oid)
                    stages[path, stage] = (conflict.mode, oid.hex())
        self.attempts = tuple((attempt.path.decode(), attempt.outcome) for attempt in plan.attempts)
        self.conflicts = plan.conflicts
        return Merged(stages, contents)

    def _read_file(self, path: str) -> bytes:
        file = self.path / path
        return os.fsencode(file.readlink()) if file.is_symlink() else file.read_bytes()

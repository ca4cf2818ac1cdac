"""A real repository for the tests of the work-tree projection, with Git itself as the oracle."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pygit2

from patches.model import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_SYMLINK, Entry
from patches.worktree import Touch, WorkTree

IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")


class File(NamedTuple):
    """What a test wants at a path. A submodule's data is the hexadecimal id of its commit."""

    data: bytes
    mode: int = MODE_FILE


def executable(data: bytes) -> File:
    return File(data, MODE_EXECUTABLE)


def symlink(target: bytes) -> File:
    return File(target, MODE_SYMLINK)


def submodule(number: int = 1) -> File:
    return File(b"%040x" % number, MODE_GITLINK)


Files = Mapping[bytes, File | bytes]
Edit = Mapping[bytes, File | bytes | None]


def read_tree_of_files(
    root: Path, *, without: frozenset[bytes] = frozenset({b".git"})
) -> dict[bytes, object]:
    """Return what is below ``root``: (executable, bytes), the target of a symlink, None for a directory."""
    found: dict[bytes, object] = {}

    def walk(directory: bytes, prefix: bytes) -> None:
        for entry in os.scandir(directory):
            path = prefix + entry.name
            if path in without:
                continue
            if entry.is_symlink():
                found[path] = os.readlink(entry.path)  # noqa: PTH115 - bytes
            elif entry.is_dir():
                found[path] = None
                walk(entry.path, path + b"/")
            else:
                data = Path(os.fsdecode(entry.path)).read_bytes()
                found[path] = (bool(entry.stat().st_mode & stat.S_IXUSR), data)

    walk(os.fsencode(root), b"")
    return found


class Lab:
    """A repository with one commit, and what a test asks of it."""

    def __init__(self, root: Path, *, work_tree: Path | None = None) -> None:
        self.root = root if work_tree is None else work_tree
        self.main = root
        self.repo = pygit2.Repository(str(self.root))
        self.git_dir = Path(self.repo.path)
        self.staging = self.git_dir / "ledger-staging"
        self.tree = WorkTree(self.repo, self.staging)

    @classmethod
    def create(cls, root: Path, files: Files, **config: str) -> Lab:
        """Make a repository whose first commit has ``files``, checked out by Git under ``config``."""
        root.mkdir(parents=True)
        subprocess.run(["git", "init", "--quiet", "--template=", "--initial-branch=main", root], check=True)
        for key, value in config.items():
            subprocess.run(["git", "config", key.replace("_", "."), value], cwd=root, check=True)
        lab = cls(root)
        tree = lab.write_tree(files)
        commit = lab.git(*IDENTITY, "commit-tree", "-m", "base", tree).strip().decode()
        lab.git("update-ref", "HEAD", commit)
        lab.git("reset", "--quiet", "--hard")
        return lab

    def git(self, *arguments: str | bytes, data: bytes = b"", cwd: Path | None = None, **env: str) -> bytes:
        done = subprocess.run(
            ["git", *arguments],
            cwd=cwd or self.root,
            input=data,
            capture_output=True,
            env=os.environ | env,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    # Objects

    def entry(self, wanted: File | bytes | None) -> Entry | None:
        if wanted is None:
            return None
        file = wanted if isinstance(wanted, File) else File(wanted)
        if file.mode == MODE_GITLINK:
            return Entry(file.mode, bytes.fromhex(file.data.decode()))
        return Entry(file.mode, self.repo.create_blob(file.data).raw)

    def write_tree(self, files: Files) -> str:
        lines = b"".join(
            b"%o %s 0\t%s\0" % (entry.mode, entry.oid.hex().encode(), path)
            for path, entry in ((path, self.entry(file)) for path, file in files.items())
            if entry is not None
        )
        return self._tree_of(lines)

    def _tree_of(self, lines: bytes, start: str | None = None) -> str:
        index = str(self.git_dir / "oracle-index")
        Path(index).unlink(missing_ok=True)
        if start:
            self.git("read-tree", start, GIT_INDEX_FILE=index)
        self.git("update-index", "-z", "--index-info", data=lines, GIT_INDEX_FILE=index)
        tree = self.git("write-tree", GIT_INDEX_FILE=index).decode().strip()
        Path(index).unlink(missing_ok=True)
        return tree

    def touches(self, edit: Edit, tree: str = "HEAD") -> list[Touch]:
        """Return the touches that make ``edit`` to the state ``tree``."""
        listed: dict[bytes, Entry] = {}
        for line in self.git("ls-tree", "-r", "-z", tree).split(b"\0")[:-1]:
            head, _, path = line.partition(b"\t")
            listed[path] = Entry(int(head[:6], 8), bytes.fromhex(head.split()[2].decode()))
        return [Touch(path, listed.get(path), self.entry(file)) for path, file in edit.items()]

    def tree_after(self, touches: list[Touch], start: str = "HEAD") -> str:
        removed = b"".join(b"0 %s 0\t%s\0" % (b"0" * 40, touch.path) for touch in touches if touch.old)
        added = b"".join(
            b"%o %s 0\t%s\0" % (touch.new.mode, touch.new.oid.hex().encode(), touch.path)
            for touch in touches
            if touch.new
        )
        return self._tree_of(removed + added, start)

    # States

    def snapshot(self) -> tuple[dict[bytes, object], bytes | None]:
        """Return every byte of the work tree and of the index file."""
        index = self.git_dir / "index"
        return self.files(), index.read_bytes() if index.exists() else None

    def files(self) -> dict[bytes, object]:
        return read_tree_of_files(self.root)

    def checkout_of(self, tree: str) -> dict[bytes, object]:
        """Return the work tree that Git itself makes of ``tree``, under this repository's configuration."""
        target = self.git_dir / "oracle-checkout"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        index = self.git_dir / "oracle-index"
        index.unlink(missing_ok=True)
        environment = {
            "GIT_INDEX_FILE": str(index),
            "GIT_DIR": str(self.git_dir),
            "GIT_WORK_TREE": str(target),
        }
        self.git("read-tree", "--reset", "-u", tree, cwd=target, data=b"", **environment)
        index.unlink(missing_ok=True)
        return read_tree_of_files(target)

    def status(self) -> bytes:
        return self.git(
            "status", "--porcelain", "-z", "--ignored", "--untracked-files=all", GIT_OPTIONAL_LOCKS="0"
        )

    def assert_after(self, touches: list[Touch], extra: Mapping[bytes, object] | None = None) -> None:
        """Work tree and index are exactly what Git makes of the result, plus the untracked ``extra``."""
        tree = self.tree_after(touches)
        assert self.files() == self.checkout_of(tree) | dict(extra or {})
        # Without a refresh first: the stat fields alone must satisfy Git.
        self.git("diff-files", "--quiet")
        assert self.git("write-tree").decode().strip() == tree
        assert list(self.staging.iterdir()) == []
        assert not (self.git_dir / "index.lock").exists()
        self.git("diff-index", "--quiet", tree)

    def apply(self, edit: Edit) -> list[Touch]:
        """Check, stage and publish ``edit``; nothing is left alone."""
        touches = self.touches(edit)
        self.tree.check(touches)
        assert self.tree.publish(self.tree.stage(touches)) == ()
        return touches

    # Dirt

    def put(self, path: bytes, data: bytes) -> None:
        target = Path(os.fsdecode(os.fsencode(self.root) + b"/" + path))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def path(self, path: bytes) -> Path:
        return Path(os.fsdecode(os.fsencode(self.root) + b"/" + path))


STEPS = (
    *("open", "write", "rename", "replace", "link", "unlink", "mkdir", "rmdir", "symlink"),
    *("fsync", "utime", "fchmod", "chown"),
)
"""Every call of ``os`` through which the projection can change a file system."""


def run_until(step: int, work: Callable[[], object]) -> int | None:
    """Run ``work`` in a child that dies just before its ``step``-th system call, as a kill would have it.

    Returns:
        None where it died, else the number of calls that it made.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _die_at(step, work, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        text = answer.read()
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) in (0, 9), text.decode()
    return None if os.waitstatus_to_exitcode(status) == 9 else int(text)


def _die_at(step: int, work: Callable[[], object], writing: int) -> None:
    import traceback

    count = 0
    send = os.write

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def called(*arguments: object, **named: object) -> object:
            nonlocal count
            count += 1
            if count == step:
                os._exit(9)
            return call(*arguments, **named)

        return called

    try:
        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        work()
        send(writing, b"%d" % count)
        os._exit(0)
    except BaseException:  # noqa: BLE001 - the child must never return into the test runner
        send(writing, traceback.format_exc().encode())
        os._exit(70)

"""Killed at any system call, and again while recovering: `converge` ends in exactly the state after."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from worktree_lab import Edit, Lab, executable, run_until, submodule, symlink

BASE = {
    b"a.txt": b"one\n",
    b"b.txt": b"two\n",
    b"dir/c.txt": b"three\n",
    b"dir/deep/d.txt": b"four\n",
    b"gone/deep/e.txt": b"five\n",
    b"mods/inner": submodule(2),
    b"keep.txt": b"kept\n",
    b"link": symlink(b"a.txt"),
    b"run.sh": executable(b"#!/bin/sh\n"),
    b"sub": submodule(1),
    b".gitignore": b"*.ignored\n",
    b"z/.gitattributes": b"* text eol=crlf\n",
    b"z/a": b"1\n",
    b"z/b": b"2\n",
}
DIRT = {
    b"mine.ignored": b"ignored\n",
    b"loose": b"untracked\n",
    b"new/mine": b"untracked\n",
    b"keep.txt": b"edited\n",
}
EDIT: Edit = {
    b"a.txt": b"ONE\n",
    b"b.txt": None,
    b"dir/c.txt": None,
    b"dir/deep/d.txt": None,
    b"dir": b"now a file\n",
    b"gone/deep/e.txt": None,
    b"mods/inner": None,
    b"mods": submodule(3),
    b"link": None,
    b"link/a/b": b"x\n",
    b"run.sh": b"#!/bin/sh\n",
    b"sub": b"file\n",
    b"new/theirs": executable(b"y\n"),
    b"new/link": symlink(b"theirs"),
}
CONVERSION: Edit = {
    b".gitattributes": b"*.txt text eol=crlf\n",
    b"a.txt": b"ONE\nUNO\n",
    b"b.txt": None,
    b"c.txt": b"new\n",
}
# The attributes that go are still in the index when the kill comes after their file is gone.
VANISHING: Edit = {b"z/.gitattributes": None, b"z/a": b"1\n2\n", b"z/b": None, b"z/c": b"new\n"}


@pytest.fixture(autouse=True)
def forks() -> Iterator[None]:
    """The child of a fork only writes files and dies: threads of the runner do not matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


class Scene:
    """A dirty repository that can be had again and again, and one edit of it."""

    def __init__(self, tmp_path: Path, edit: Edit) -> None:
        self.pristine, self.place = tmp_path / "pristine", tmp_path / "repo"
        self.edit = edit
        lab = Lab.create(self.place, BASE)
        for path, data in DIRT.items():
            lab.put(path, data)
        self.touches = lab.touches(edit)
        self.tree = lab.tree_after(self.touches)
        self.before = lab.files()
        dirt = {path: (False, data) for path, data in DIRT.items()}
        self.after = lab.checkout_of(self.tree) | dirt | {b"new": None}
        # New attributes do not reach files that the patch does not touch.
        self.after |= {
            path: old for path, old in self.before.items() if path not in edit and path in self.after
        }
        shutil.rmtree(lab.git_dir / "oracle-checkout")
        shutil.copytree(self.place, self.pristine, symlinks=True)

    def again(self) -> Lab:
        shutil.rmtree(self.place)
        shutil.copytree(self.pristine, self.place, symlinks=True)
        return Lab(self.place)

    def apply(self, lab: Lab) -> Callable[[], object]:
        def work() -> object:
            return lab.tree.publish(lab.tree.stage(self.touches))

        return work

    def converge(self, lab: Lab) -> Callable[[], object]:
        return lambda: lab.tree.converge(self.touches)

    def assert_after(self, lab: Lab) -> None:
        assert lab.files() == self.after
        assert lab.git("write-tree").decode().strip() == self.tree
        assert lab.git("diff-files", "--name-only", "--", *self.edit) == b""
        assert list(lab.staging.iterdir()) == []
        assert not (lab.git_dir / "index.lock").exists()

    def finish(self, lab: Lab) -> None:
        assert lab.tree.converge(self.touches) == ()
        self.assert_after(lab)


@pytest.mark.parametrize("edit", [EDIT, CONVERSION, VANISHING], ids=["kinds", "conversion", "vanishing"])
def test_killed_at_every_step(tmp_path: Path, edit: Edit, rounds: Callable[[int, int], int]) -> None:
    """Each path is whole at every moment, old or new; what was not handed over never changes."""
    scene = Scene(tmp_path, edit)
    lab = scene.again()
    total = run_until(0, scene.apply(lab))
    assert total is not None
    scene.assert_after(lab)
    stride = rounds(2 if edit is EDIT else 5, 1)  # each of the others starts four processes of Git
    for step in range(1, total + 1, stride):
        lab = scene.again()
        assert run_until(step, scene.apply(lab)) is None
        for path, content in lab.files().items():
            siblings = path.rpartition(b"/")[2].startswith(b".ledger-")
            assert siblings or content in (scene.before.get(path, content), scene.after.get(path, content))
        for path, data in DIRT.items():
            assert lab.path(path).read_bytes() == data
        scene.finish(lab)


def test_killed_while_converging(tmp_path: Path, rounds: Callable[[int, int], int]) -> None:
    """Two kills in a row: in the middle of publishing, then at every step of the recovery."""
    scene = Scene(tmp_path, EDIT)
    total = run_until(0, scene.apply(scene.again()))
    assert total is not None
    for first in range(1, total + 1, rounds(37, 1)):
        for second in range(1, total + 1, rounds(11, 1)):
            lab = scene.again()
            assert run_until(first, scene.apply(lab)) is None
            if run_until(second, scene.converge(lab)) is not None:
                break
            scene.finish(lab)


def test_killed_from_outside_at_any_moment(tmp_path: Path, rounds: Callable[[int, int], int]) -> None:
    """SIGKILL, also in the middle of libgit2's own write of the new index."""
    scene = Scene(tmp_path, EDIT)
    rng = random.Random(7)
    for _ in range(rounds(25, 1000)):
        lab = scene.again()
        pid = os.fork()
        if pid == 0:
            scene.apply(lab)()
            os._exit(0)
        time.sleep(rng.uniform(0, 0.02))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        scene.finish(lab)


def test_after_a_kill_on_another_file_system(tmp_path: Path, rounds: Callable[[int, int], int]) -> None:
    """A copy beside its target is ours to remove."""
    import errno

    scene = Scene(tmp_path, EDIT)
    lab = scene.again()
    inode = lab.staging.stat().st_ino

    def work() -> object:
        for name in ("rename", "link"):

            def refusing(*arguments: object, real: object = getattr(os, name), **named: object) -> object:
                source = named.get("src_dir_fd")
                if isinstance(source, int) and os.fstat(source).st_ino == inode:
                    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
                return real(*arguments, **named)  # type: ignore[operator]

            setattr(os, name, refusing)
        return scene.apply(lab)()

    total = run_until(0, work)
    assert total is not None
    for step in range(1, total + 1, rounds(7, 1)):
        lab = scene.again()
        inode = lab.staging.stat().st_ino
        assert run_until(step, work) is None
        scene.finish(lab)


def test_user_edits_after_the_kill_are_left_alone(tmp_path: Path) -> None:
    """Whatever the crash left, an edit made since is reported and stays, and the rest is finished."""
    scene = Scene(tmp_path, EDIT)
    total = run_until(0, scene.apply(scene.again()))
    assert total is not None
    for step in range(1, total + 1, 5):
        lab = scene.again()
        assert run_until(step, scene.apply(lab)) is None
        lab.put(b"a.txt", b"by hand\n")
        left = lab.tree.converge(scene.touches)
        assert [each.path for each in left] == [b"a.txt"]
        assert lab.files() == scene.after | {b"a.txt": (False, b"by hand\n")}
        assert lab.git("write-tree").decode().strip() == scene.tree
        assert lab.git("diff-files", "--name-only", "--", *scene.edit) == b"a.txt\n"

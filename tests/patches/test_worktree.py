"""The work tree and the index after a patch are what Git makes of its result; refused, not a byte differs."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from worktree_lab import Edit, Lab, executable, submodule, symlink

from patches.errors import UnsafePath
from patches.worktree import Touch
from patches.worktree_errors import (
    DirtyPath,
    IndexLocked,
    InTheWay,
    NotWritable,
    PublishStopped,
    ThroughSymlink,
    WorkTreeRefusal,
)

BASE = {
    b"a.txt": b"one\n",
    b"b.txt": b"two\n",
    b"dir/c.txt": b"three\n",
    b"dir/deep/d.txt": b"four\n",
    b"run.sh": executable(b"#!/bin/sh\n"),
    b"link": symlink(b"a.txt"),
    b"sub": submodule(1),
    b"mods/inner": submodule(2),
    b"with space/new\nline": b"five\n",
    b"latin-\xe9": b"six\n",
    b"empty": b"",
    b".gitignore": b"*.ignored\n",
}

EDITS: dict[str, Edit] = {
    "modify": {b"a.txt": b"ONE\n"},
    "modify to the same size": {b"a.txt": b"eno\n"},
    "add": {b"new.txt": b"new\n"},
    "add in new directories": {b"x/y/z.txt": b"new\n"},
    "add empty": {b"void": b""},
    "delete": {b"a.txt": None},
    "delete the last file of a directory": {b"dir/deep/d.txt": None},
    "delete a whole tree": {b"dir/deep/d.txt": None, b"dir/c.txt": None},
    "rename": {b"a.txt": None, b"dir/a.txt": b"one\n"},
    "swap": {b"a.txt": b"two\n", b"b.txt": b"one\n"},
    "make executable": {b"a.txt": executable(b"one\n")},
    "make not executable": {b"run.sh": b"#!/bin/sh\n"},
    "retarget a symlink": {b"link": symlink(b"b.txt")},
    "symlink to file": {b"link": b"a.txt"},
    "file to symlink": {b"a.txt": symlink(b"b.txt")},
    "file to a symlink that leads nowhere": {b"a.txt": symlink(b"\xff/nowhere")},
    "file to directory": {b"a.txt": None, b"a.txt/inside": b"x\n", b"a.txt/more/inside": b"y\n"},
    "directory to file": {b"dir/c.txt": None, b"dir/deep/d.txt": None, b"dir": b"file\n"},
    "directory to symlink": {b"dir/c.txt": None, b"dir/deep/d.txt": None, b"dir": symlink(b"a.txt")},
    "symlink to directory": {b"link": None, b"link/inside": b"x\n"},
    "one level up": {b"dir/deep/d.txt": None, b"dir/deep": b"x\n"},
    "odd names": {
        b"with space/new\nline": b"5\n",
        b"latin-\xe9": None,
        b" lead": b"x",
        b'"q"\\': b"y",
        b"\xf0\x9f": b"z",
    },
    "add a submodule": {b"modules/new": submodule(3)},
    "move a submodule on": {b"sub": submodule(2)},
    "remove a submodule": {b"sub": None},
    "submodule to file": {b"sub": b"file\n"},
    "submodule to symlink": {b"sub": symlink(b"a.txt")},
    "file to submodule": {b"a.txt": submodule(4)},
    "directory to submodule": {b"dir/c.txt": None, b"dir/deep/d.txt": None, b"dir": submodule(4)},
    "directory with a submodule to submodule": {b"mods/inner": None, b"mods": submodule(4)},
    "submodule to directory": {b"sub": None, b"sub/inside": b"x\n"},
    "everything": {
        b"a.txt": None,
        b"b.txt": executable(b"2\n"),
        b"dir/c.txt": None,
        b"dir/deep/d.txt": None,
        b"dir": b"now a file\n",
        b"link": None,
        b"link/a/b": b"x\n",
        b"sub": None,
        b"empty": b"no more\n",
        b"new/n": symlink(b"../b.txt"),
    },
}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab.create(tmp_path / "repo", BASE)


@pytest.mark.parametrize("name", EDITS)
def test_result_is_what_git_checks_out(lab: Lab, name: str) -> None:
    lab.put(b"keep.ignored", b"ignored\n")
    lab.put(b"other/untracked", b"untracked\n")
    untracked = {
        b"keep.ignored": (False, b"ignored\n"),
        b"other": None,
        b"other/untracked": (False, b"untracked\n"),
    }
    touches = lab.apply(EDITS[name])
    lab.assert_after(touches, untracked)


@pytest.mark.parametrize("name", EDITS)
def test_converge_alone_does_the_same_and_again_nothing(lab: Lab, name: str) -> None:
    touches = lab.touches(EDITS[name])
    assert lab.tree.converge(touches) == ()
    lab.assert_after(touches)
    before = lab.files()
    assert lab.tree.converge(touches) == ()
    assert lab.files() == before
    lab.assert_after(touches)


def test_series_on_one_instance(lab: Lab) -> None:
    """The index kept in memory follows its own writes and everybody else's."""
    for number in range(3):
        touches = lab.apply({b"a.txt": b"%d\n" % number, b"n%d" % number: b"x\n"})
        lab.put(b"b.txt", b"by hand %d\n" % number)
        lab.git("add", "b.txt")
        assert lab.git("diff-files") == b""
        lab.git("-c", "user.name=A", "-c", "user.email=a@b", "commit", "--quiet", "--message", "next")
        assert lab.status() == b""
        index = lab.git("ls-files", "--stage", "--debug")
        assert lab.tree.adopt(touches) == ()
        assert lab.git("ls-files", "--stage", "--debug") == index


def test_git_apply_accepts_the_index_afterwards(lab: Lab) -> None:
    """The stat fields are Git's own: `git apply --index` compares them without refreshing."""
    lab.apply({b"a.txt": b"ONE\n", b"link": symlink(b"b.txt")})
    patch = b"--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-ONE\n+UNO\n"
    lab.git("apply", "--index", data=patch)
    assert lab.path(b"a.txt").read_bytes() == b"UNO\n"


def test_index_is_made_where_there_is_none(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    subprocess.run(["git", "init", "--quiet", root], check=True)
    lab = Lab(root)
    tree = Lab.write_tree(lab, {b"x": b"1\n"})
    touches = [Touch(b"x", None, lab.entry(b"1\n"))]
    assert lab.tree.publish(lab.tree.stage(touches)) == ()
    assert lab.git("write-tree").decode().strip() == tree
    assert lab.git("diff-files") == b""


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────


def refuse(lab: Lab, edit: Edit, error: type[WorkTreeRefusal]) -> WorkTreeRefusal:
    """The edit is refused, and every byte of work tree and index is as before."""
    touches = lab.touches(edit)
    before = lab.snapshot()
    with pytest.raises(error) as caught:
        lab.tree.check(touches)
    assert type(caught.value) is error
    with pytest.raises(error):
        lab.tree.stage(touches)
    assert lab.snapshot() == before
    assert list(lab.staging.iterdir()) == []
    return caught.value


def test_dirty_file(lab: Lab) -> None:
    lab.put(b"a.txt", b"mine\n")
    error = refuse(lab, {b"a.txt": b"theirs\n", b"b.txt": b"x\n"}, DirtyPath)
    assert error.paths == (b"a.txt",)


def test_dirty_file_that_stat_does_not_show(lab: Lab) -> None:
    st = lab.path(b"a.txt").stat()
    lab.path(b"a.txt").write_bytes(b"eno\n")
    os.utime(lab.path(b"a.txt"), ns=(st.st_atime_ns, st.st_mtime_ns))
    refuse(lab, {b"a.txt": b"theirs\n"}, DirtyPath)


def test_all_offending_paths_are_collected(lab: Lab) -> None:
    lab.put(b"a.txt", b"mine\n")
    lab.path(b"b.txt").unlink()
    lab.put(b"new", b"in the way\n")
    lab.path(b"run.sh").chmod(0o644)
    error = refuse(
        lab, {b"a.txt": b"x", b"b.txt": b"y", b"new": b"z", b"run.sh": None, b"empty": None}, InTheWay
    )
    assert error.paths == (b"new", b"a.txt", b"b.txt", b"run.sh")


@pytest.mark.parametrize("path", [b"new", b"new.ignored"])
def test_untracked_or_ignored_in_the_way(lab: Lab, path: bytes) -> None:
    lab.put(path, b"mine\n")
    refuse(lab, {path: b"theirs\n"}, InTheWay)


def test_identical_untracked_file_is_refused_by_check_and_done_for_converge(lab: Lab) -> None:
    lab.put(b"new", b"same\n")
    refuse(lab, {b"new": b"same\n"}, InTheWay)
    touches = lab.touches({b"new": b"same\n"})
    assert lab.tree.converge(touches) == ()
    lab.assert_after(touches)


@pytest.mark.parametrize("inside", [b"dir/mine", b"dir/deep/mine.ignored", b"dir/other/mine"])
def test_directory_to_file_where_somebody_has_a_file_in_it(lab: Lab, inside: bytes) -> None:
    lab.put(inside, b"mine\n")
    error = refuse(lab, EDITS["directory to file"], InTheWay)
    assert [offence.by for offence in error.offences] == [inside]


def test_directory_to_file_takes_empty_directories_along(lab: Lab) -> None:
    lab.path(b"dir/void/void").mkdir(parents=True)
    lab.assert_after(lab.apply(EDITS["directory to file"]))


def test_submodule_with_a_checkout_is_not_replaced(lab: Lab) -> None:
    lab.put(b"sub/file", b"checked out\n")
    refuse(lab, {b"sub": b"file\n"}, InTheWay)


def test_removed_submodule_keeps_its_checkout(lab: Lab) -> None:
    lab.put(b"sub/file", b"checked out\n")
    touches = lab.apply({b"sub": None})
    lab.assert_after(touches, {b"sub": None, b"sub/file": (False, b"checked out\n")})


def test_new_file_below_a_file(lab: Lab) -> None:
    error = refuse(lab, {b"a.txt/inside": b"x\n"}, InTheWay)
    assert error.offences[0].by == b"a.txt"


def test_new_file_below_a_submodule(lab: Lab) -> None:
    assert refuse(lab, {b"sub/inside": b"x\n"}, InTheWay).offences[0].by == b"sub"


def test_new_file_over_tracked_files_that_are_gone(lab: Lab) -> None:
    """The index alone is in the way."""
    for path in (b"dir/c.txt", b"dir/deep/d.txt"):
        lab.path(path).unlink()
    lab.path(b"dir/deep").rmdir()
    lab.path(b"dir").rmdir()
    refuse(lab, {b"dir": b"x\n"}, InTheWay)


def test_symlinked_parent(lab: Lab, tmp_path: Path) -> None:
    """Nothing is read or written outside, whether the patch adds, changes or deletes below the symlink."""
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "c.txt").write_bytes(b"three\n")
    (outside / "deep/d.txt").write_bytes(b"four\n")
    lab.path(b"dir").rename(lab.root / "moved")
    lab.path(b"dir").symlink_to(outside)
    for edit in (
        {b"dir/new": b"x\n"},
        {b"dir/c.txt": b"x\n"},
        {b"dir/deep/d.txt": None},
        {b"dir/q/new": b"y"},
    ):
        error = refuse(lab, edit, ThroughSymlink)
        assert error.offences[0].by == b"dir"
        # A path to be deleted is gone already, as Git sees it; the others are reported.
        reported = [path for path, file in edit.items() if file is not None]
        assert [left.path for left in lab.tree.converge(lab.touches(edit))] == reported
        lab.git("read-tree", "HEAD")
    assert sorted(p.name for p in outside.rglob("*")) == ["c.txt", "d.txt", "deep"]
    assert (outside / "c.txt").read_bytes() == b"three\n"


def test_parent_swapped_for_a_symlink_after_the_check(lab: Lab, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    staged = lab.tree.stage(lab.touches({b"dir/new": b"x\n", b"dir/c.txt": None, b"a.txt": b"ok\n"}))
    lab.path(b"dir").rename(lab.root / "moved")
    lab.path(b"dir").symlink_to(outside)
    left = lab.tree.publish(staged)
    assert {each.path for each in left} >= {b"dir/new"}
    assert list(outside.iterdir()) == []
    assert (lab.root / "moved/c.txt").read_bytes() == b"three\n"
    assert lab.path(b"a.txt").read_bytes() == b"ok\n"


@pytest.mark.parametrize(
    ("prepare", "edit"),
    [
        (("rm", "--cached", "--quiet", "a.txt"), {b"a.txt": b"x\n"}),
        (("update-index", "--chmod=+x", "a.txt"), {b"a.txt": b"x\n"}),
        (("add", "--intent-to-add", "new"), {b"new": b"x\n"}),
        (
            ("update-index", "--add", "--cacheinfo", "100644,5626abf0f72e58d7a153368ba57db4c673c0e171,n"),
            {b"n": b"x\n"},
        ),
    ],
)
def test_dirty_index(lab: Lab, prepare: tuple[str, ...], edit: Edit) -> None:
    if b"new" in edit:
        lab.put(b"new", b"")
    lab.git("hash-object", "-w", "--stdin", data=b"one\n")
    lab.git(*prepare)
    if b"new" in edit:
        lab.path(b"new").unlink()
    refuse(lab, edit, DirtyPath)


def test_conflict_in_the_index(lab: Lab) -> None:
    oid = lab.git("rev-parse", "HEAD:a.txt").strip()
    stages = b"0 %s\ta.txt\n" % (b"0" * 40) + b"".join(b"100644 %s %d\ta.txt\n" % (oid, n) for n in (1, 2, 3))
    lab.git("update-index", "--index-info", data=stages)
    refuse(lab, {b"a.txt": b"x\n"}, DirtyPath)


def test_other_entries_and_their_flags_stay(lab: Lab) -> None:
    """Also of entries that the patch touches: what a user hid stays hidden."""
    lab.git("update-index", "--skip-worktree", "b.txt", "dir/c.txt")
    lab.git("update-index", "--assume-unchanged", "run.sh", "dir/deep/d.txt")
    lab.put(b"staged", b"staged\n")
    lab.git("add", "staged")
    lab.put(b"wanted", b"")
    lab.git("add", "--intent-to-add", "wanted")
    before = lab.git("ls-files", "-v", "--stage")
    lab.apply({b"dir/c.txt": b"3\n", b"dir/deep/d.txt": b"4\n", b"zz": b"z\n"})
    after = lab.git("ls-files", "-v", "--stage")
    changed = set(after.splitlines()) ^ set(before.splitlines())
    assert {line.split(b"\t")[1] for line in changed} == {b"dir/c.txt", b"dir/deep/d.txt", b"zz"}
    assert {line[:1] for line in after.splitlines() if b"\tdir/" in line} == {b"S", b"h"}


def test_racy_edit_of_another_file_stays_visible(lab: Lab) -> None:
    """A same-size edit in the moment of the last index write: only content shows it, and must go on to."""
    for number in range(20):
        lab.git("reset", "--quiet", "--hard")
        lab.git("update-index", "--refresh")
        st = lab.path(b"b.txt").stat()
        index = lab.git_dir / "index"
        os.utime(index, ns=(st.st_mtime_ns, st.st_mtime_ns))
        with lab.path(b"b.txt").open("r+b") as file:
            file.write(b"TWO%d" % (number % 10))
        os.utime(lab.path(b"b.txt"), ns=(st.st_atime_ns, st.st_mtime_ns))
        lab.apply({b"a.txt": b"%d\n" % number})
        assert lab.git("diff-files", "--name-only") == b"b.txt\n"
        lab.git("reset", "--quiet", "--hard")


# ── edits between check and publish ──────────────────────────────────────────────────────────────


def test_edits_made_meanwhile_are_left_alone_and_reported(lab: Lab) -> None:
    touches = lab.touches(
        {b"a.txt": b"1\n", b"b.txt": None, b"new": b"x\n", b"run.sh": b"#!/bin/sh\n", b"empty": b"full\n"}
    )
    staged = lab.tree.stage(touches)
    lab.put(b"a.txt", b"eno\n")
    lab.put(b"b.txt", b"mine")
    lab.put(b"new", b"mine too")
    lab.path(b"run.sh").unlink()
    left = lab.tree.publish(staged)
    assert [each.path for each in left] == [b"b.txt", b"a.txt", b"new", b"run.sh"]
    assert lab.path(b"a.txt").read_bytes() == b"eno\n"
    assert lab.path(b"b.txt").read_bytes() == b"mine"
    assert lab.path(b"new").read_bytes() == b"mine too"
    assert lab.path(b"empty").read_bytes() == b"full\n"
    assert lab.git("write-tree").decode().strip() == lab.tree_after(touches)
    assert set(lab.git("diff-files", "--name-only").split()) == {b"a.txt", b"new", b"run.sh"}


def test_touched_meanwhile_without_an_edit_is_no_edit(lab: Lab) -> None:
    touches = lab.touches({b"a.txt": b"1\n", b"b.txt": None})
    staged = lab.tree.stage(touches)
    os.utime(lab.path(b"a.txt"), ns=(1, 1))
    os.link(lab.path(b"b.txt"), lab.root / "hard.ignored")
    assert lab.tree.publish(staged) == ()
    assert not lab.path(b"b.txt").exists()


def test_entry_staged_meanwhile_is_left_alone(lab: Lab) -> None:
    staged = lab.tree.stage(lab.touches({b"a.txt": b"1\n", b"b.txt": b"2\n"}))
    lab.git(
        "update-index",
        "--cacheinfo",
        f"100644,{lab.git('hash-object', '-w', '--stdin', data=b'!').decode().strip()},a.txt",
    )
    before = lab.git("ls-files", "--stage", "a.txt")
    assert [each.path for each in lab.tree.publish(staged)] == [b"a.txt"]
    assert lab.git("ls-files", "--stage", "a.txt") == before


# ── locks, failures, other places ────────────────────────────────────────────────────────────────


def test_foreign_index_lock(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patches.worktree._LOCK_TIMEOUT_S", 0.05)
    touches = lab.touches({b"a.txt": b"1\n"})
    lock = lab.git_dir / "index.lock"
    lock.write_bytes(b"DIRC")
    before = lab.snapshot()
    with pytest.raises(IndexLocked):
        lab.tree.check(touches)
    lock.unlink()
    staged = lab.tree.stage(touches)
    lock.write_bytes(b"")
    for work in (lambda: lab.tree.publish(staged), lambda: lab.tree.converge(touches)):
        with pytest.raises(IndexLocked):
            work()
        assert lab.snapshot() == before
        assert lock.read_bytes() == b""
    lock.unlink()
    assert lab.tree.converge(touches) == ()
    lab.assert_after(touches)


def test_our_own_stale_lock_is_removed(lab: Lab) -> None:
    (lab.git_dir / "index.lock").write_bytes(b"ledger 1\n")
    lab.assert_after(lab.apply({b"a.txt": b"1\n"}))


def fail_at(monkeypatch: pytest.MonkeyPatch, name: str, number: int, code: int) -> None:
    real, count = getattr(os, name), 0

    def failing(*arguments: object, **named: object) -> object:
        nonlocal count
        count += 1
        if count == number:
            raise OSError(code, os.strerror(code))
        return real(*arguments, **named)

    monkeypatch.setattr(os, name, failing)


@pytest.mark.parametrize("name", ["write", "fsync", "symlink"])
def test_full_disk_while_staging_leaves_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    edit = {b"a.txt": b"1\n", b"b.txt": b"2\n", b"l": symlink(b"x"), b"m": symlink(b"y")}
    before = lab.snapshot()
    lab.tree.check(touches := lab.touches(edit))
    with monkeypatch.context() as patched:
        fail_at(patched, name, 2, errno.ENOSPC)
        with pytest.raises(OSError, match="No space"):
            lab.tree.stage(touches)
    assert lab.snapshot() == before
    assert list(lab.staging.iterdir()) == []


@pytest.mark.parametrize("name", ["rename", "unlink", "mkdir", "rmdir", "link", "fsync"])
@pytest.mark.parametrize("number", [1, 2])
def test_failure_half_way_then_converge(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    touches = lab.touches(EDITS["everything"])
    staged = lab.tree.stage(touches)
    with monkeypatch.context() as patched:
        fail_at(patched, name, number, errno.EROFS)
        with pytest.raises((PublishStopped, OSError)):
            lab.tree.publish(staged)
    assert not (lab.git_dir / "index.lock").exists()
    assert lab.tree.converge(touches) == ()
    lab.assert_after(touches)


def test_read_only_directory_is_refused_before_anything_is_visible(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:
        real = os.access
        closed = lab.path(b"dir").stat().st_ino
        monkeypatch.setattr(
            os,
            "access",
            lambda p, m, *, dir_fd: os.fstat(dir_fd).st_ino != closed and real(p, m, dir_fd=dir_fd),
        )
    else:
        lab.path(b"dir").chmod(0o555)
    error = refuse(lab, {b"dir/c.txt": b"3\n", b"a.txt": b"1\n"}, NotWritable)
    assert error.paths == (b"dir/c.txt",)


def test_linked_work_tree(lab: Lab, tmp_path: Path) -> None:
    work_in_linked_tree(lab, tmp_path / "linked")


def work_in_linked_tree(lab: Lab, linked: Path) -> None:
    """Only the linked work tree and its own index change."""
    lab.git("worktree", "add", "--quiet", "--detach", str(linked))
    other = Lab(lab.root, work_tree=linked)
    before = lab.snapshot()
    touches = other.touches(EDITS["everything"])
    assert other.tree.publish(other.tree.stage(touches)) == ()
    assert lab.snapshot() == before
    result = other.tree_after(touches)
    assert other.git("write-tree").decode().strip() == result
    other.git("diff-files", "--quiet")
    found = other.files()
    found.pop(b".git", None)
    assert found == lab.checkout_of(result)


def test_linked_work_tree_on_another_file_system(lab: Lab, tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("other platform: no second file system")
    linked = memory / f"ledger-test-{os.getpid()}"
    try:
        work_in_linked_tree(lab, linked)
    finally:
        shutil.rmtree(linked, ignore_errors=True)


REAL = {name: getattr(os, name) for name in ("rename", "link")}


def no_rename_from_staging(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    inode = lab.staging.stat().st_ino
    for name, original in REAL.items():

        def refusing(*arguments: Any, real: Any = original, **named: Any) -> Any:
            if "src_dir_fd" in named and os.fstat(named["src_dir_fd"]).st_ino == inode:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
            return real(*arguments, **named)

        monkeypatch.setattr(os, name, refusing)


def test_no_rename_reaches_from_the_staging_area(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    no_rename_from_staging(lab, monkeypatch)
    lab.assert_after(lab.apply(EDITS["everything"]))


def test_shared_checkout_keeps_its_group(lab: Lab) -> None:
    """What is moved into a directory with the set-group bit has the group that Git's own file would have."""
    if os.geteuid() != 0:
        pytest.skip("other platform: only root may give files to any group")
    os.chown(lab.path(b"dir"), -1, 4242)
    lab.path(b"dir").chmod(0o2775)
    lab.assert_after(
        lab.apply({b"dir/c.txt": b"3\n", b"dir/new": b"x\n", b"dir/l": symlink(b"x"), b"a.txt": b"1\n"})
    )
    for path in (b"dir/c.txt", b"dir/new", b"dir/l"):
        assert lab.path(path).lstat().st_gid == 4242
    assert lab.path(b"a.txt").stat().st_gid != 4242


def test_rename_of_case_alone(tmp_path: Path) -> None:
    """Where both names lead to one file: the rename is no obstacle, and done is done."""
    lab = Lab.create(tmp_path / "repo", {b"README": b"1\n"}, core_ignorecase="true")
    (lab.root / "readme").hardlink_to(lab.root / "README")
    lab.tree.check(lab.touches({b"README": None, b"readme": b"2\n"}))
    with pytest.raises(InTheWay):
        lab.tree.check(lab.touches({b"README": b"2\n", b"readme": b"2\n"}))
    touches = lab.touches({b"README": None, b"readme": b"1\n"})
    assert lab.tree.converge(touches) == ()
    assert lab.path(b"readme").read_bytes() == b"1\n"
    assert lab.git("write-tree").decode().strip() == lab.tree_after(touches)


def test_no_hard_links(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refusing)
    lab.assert_after(lab.apply(EDITS["everything"]))


# ── settings ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mask", [0o002, 0o022, 0o077])
def test_modes_follow_the_umask(lab: Lab, mask: int) -> None:
    old = os.umask(mask)
    try:
        lab.apply({b"a.txt": b"1\n", b"x/new": executable(b"2\n")})
    finally:
        os.umask(old)
    modes = [lab.path(path).stat().st_mode & 0o7777 for path in (b"a.txt", b"x/new", b"x")]
    assert modes == [0o666 & ~mask, 0o777 & ~mask, 0o777 & ~mask]


def test_file_mode_is_not_trusted(tmp_path: Path) -> None:
    lab = Lab.create(tmp_path / "repo", BASE, core_filemode="false")
    lab.path(b"run.sh").chmod(0o644)
    lab.path(b"a.txt").chmod(0o755)
    touches = lab.apply({b"run.sh": executable(b"2\n"), b"a.txt": executable(b"one\n")})
    assert lab.git("write-tree").decode().strip() == lab.tree_after(touches)
    assert lab.git("diff-files") == b""


def test_no_symlinks(tmp_path: Path) -> None:
    lab = Lab.create(tmp_path / "repo", BASE, core_symlinks="false")
    assert lab.path(b"link").read_bytes() == b"a.txt"
    lab.assert_after(lab.apply({b"link": symlink(b"b.txt"), b"l2": symlink(b"q")}))
    lab.put(b"link", b"b.txt2")
    with pytest.raises(DirtyPath):
        lab.tree.check([Touch(b"link", lab.entry(symlink(b"b.txt")), None)])


def test_the_working_directory_stays(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab.path(b"dir/deep"))
    touches = lab.apply({b"dir/deep/d.txt": None, b"dir/c.txt": None})
    lab.assert_after(touches, {b"dir": None, b"dir/deep": None})
    with pytest.raises(InTheWay):
        lab.tree.check(lab.touches({b"dir": b"x\n"}, lab.tree_after(touches)))


def test_no_process_is_started_without_need(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    touches = lab.touches(EDITS["everything"])
    monkeypatch.setattr(subprocess, "Popen", None)
    assert lab.tree.publish(lab.tree.stage(touches)) == ()
    assert lab.tree.converge(touches) == ()


def test_import_does_not_load_subprocess() -> None:
    code = "import sys, patches.worktree; sys.exit('subprocess' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "path", [b"../x", b".git/hooks/post-checkout", b"a/.GIT/x", b"/etc/x", b"a//b", b"./a", b"a\0b"]
)
def test_path_out_of_the_tree_is_refused_at_the_last_line_too(lab: Lab, path: bytes) -> None:
    touches = [Touch(path, None, lab.entry(b"x"))]
    for work in (lab.tree.check, lab.tree.stage, lab.tree.converge):
        with pytest.raises(UnsafePath):
            work(touches)


def test_path_touched_twice_is_a_programming_error(lab: Lab) -> None:
    with pytest.raises(RuntimeError, match="twice"):
        lab.tree.check(lab.touches({b"a.txt": b"1"}) * 2)


def test_message_names_every_path(lab: Lab) -> None:
    lab.put(b"new", b"mine\n")
    error = refuse(lab, {b"new": b"x", b"a.txt/in": b"y"}, InTheWay)
    assert str(error).splitlines() == [
        "a.txt/in: a parent directory is a file (a.txt)",
        "a.txt/in: the index has another entry in its place (a.txt)",
        "new: is already there and is not tracked",
    ]

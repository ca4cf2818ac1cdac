"""Which paths may be written: what any file system folds into ``.git`` or outside is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from patches.errors import PatchError, UnsafePath
from patches.paths import check_path

if TYPE_CHECKING:
    from patch_lab import Bench

UNSAFE = [
    b"/etc/passwd",
    b"../x",
    b"a/../x",
    b"a/..",
    b"..",
    b".",
    b"./x",
    b"a/./b",
    b"a//b",
    b"a/",
    b"",
    b"/",
    b"x\0y",
    b".git",
    b".git/config",
    b"a/.git/hooks/post-checkout",
    b".GIT/config",
    b".Git",
    b"a/.gIt/x",
    b".git.",
    b".git./x",
    b".git ",
    b".git . ./x",
    b"git~1",
    b"GIT~1/config",
    b"git~1.",
    b"a/Git~1 /x",
    b".git::$INDEX_ALLOCATION/config",
    b".git:x",
    b"git~1:$DATA",
    b".git\\config",
    b"a\\..\\..\\x",
    b"..\\x",
    b"a\\.git\\x",
    ".g\u200cit/config".encode(),
    "\ufeff.git".encode(),
    ".gi\u206et".encode(),
    ".G\u202eIT\u200d/x".encode(),
]
SAFE = [
    b"a",
    b"a/b",
    b".gitignore",
    b".gitattributes",
    b".github/x",
    b".gitmodules",
    b"git",
    b"x.git/y",
    b"a.git",
    b"git~2",
    b"git~10",
    b"...",
    b".a",
    b"a/..b",
    b"..a",
    b"a b",
    b" a",
    b"a.",
    b"a. ",
    b"dev-\\x2d.unit",
    b"caf\xe9",
    "caf\u00e9/\u200c".encode(),
    b"\xff\xfe",
    b"a:b",
    b".gitx",
    b".git-x",
    b"x/.gitkeep",
    b"gitmod~1",
    "\u200c.gitx".encode(),
]


@pytest.mark.parametrize("path", UNSAFE)
def test_unsafe(path: bytes) -> None:
    """The refusal names the path and why."""
    with pytest.raises(UnsafePath) as refused:
        check_path(path)
    assert refused.value.path == path
    assert refused.value.reason in str(refused.value)


@pytest.mark.parametrize("path", SAFE)
def test_safe(path: bytes) -> None:
    """Odd names that no file system folds are files like others."""
    check_path(path)


@pytest.mark.parametrize(
    "path",
    [b".gitmodules", b".GitModules", b"GITMOD~1", b"gi7eba~1", b".gitmodules .", b".gitmodules::$DATA"],
)
def test_gitmodules_is_no_symlink(path: bytes) -> None:
    """Git reads it to find other repositories."""
    check_path(path)
    with pytest.raises(UnsafePath):
        check_path(path, symlink=True)


CREATE = b"diff --git %s %s\nnew file mode 100644\n--- /dev/null\n+++ %s\n@@ -0,0 +1 @@\n+x\n"


def quoted(path: bytes, side: bytes) -> bytes:
    return b'"%s/%s"' % (side, b"".join(b"\\%03o" % code for code in path))


@pytest.mark.parametrize("path", [path for path in UNSAFE + SAFE if b"\0" not in path and path])
def test_what_git_refuses_is_refused(bench: Bench, path: bytes) -> None:
    """Only backslashes, which Git leaves to Windows, are refused by us alone."""
    patch = CREATE % (quoted(path, b"a"), quoted(path, b"b"), quoted(path, b"b"))
    old = bench.tree({b"other": b"x\n"})
    by_git = bench.git_apply(old, patch)
    try:
        ours = bench.apply(old, patch).tree
    except PatchError:
        ours = None
    if ours != by_git:
        assert ours is None
        assert b"\\" in path


MOVED = (
    b"diff --git %(old_a)s %(new_b)s\nsimilarity index 100%%\n%(verb)s from %(old)s\n%(verb)s to %(new)s\n"
)


def moved(verb: bytes, old: bytes, new: bytes) -> bytes:
    """Make the header of a rename or a copy without a change."""
    names = {
        b"verb": verb,
        b"old_a": quoted(old, b"a"),
        b"new_b": quoted(new, b"b"),
        b"old": b'"%s"' % quoted(old, b"")[2:-1],
        b"new": b'"%s"' % quoted(new, b"")[2:-1],
    }
    return MOVED % names


@pytest.mark.parametrize("verb", [b"rename", b"copy"])
@pytest.mark.parametrize("path", [path for path in UNSAFE if path not in (b"x\0y", b"", b"a//b")])
def test_nothing_is_moved_or_copied_to_an_unsafe_path(bench: Bench, verb: bytes, path: bytes) -> None:
    """A move is a way of writing, too; and what is moved back is not read from outside."""
    old = bench.tree({b"file": b"x\n"})
    with pytest.raises(UnsafePath):
        bench.apply(old, moved(verb, b"file", path))
    with pytest.raises(PatchError):
        bench.apply(old, moved(verb, path, b"new"))


LINK = b"diff --git a/link b/link\nnew file mode 120000\n--- /dev/null\n+++ b/link\n@@ -0,0 +1 @@\n+.git\n"
LINK += b"\\ No newline at end of file\n"
THROUGH = {
    "added": CREATE % (b"a/link/x", b"b/link/x", b"b/link/x"),
    "renamed": moved(b"rename", b"file", b"link/x"),
    "copied": moved(b"copy", b"file", b"link/deep/er/x"),
}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("name", THROUGH)
def test_nothing_goes_through_a_symlink_of_the_same_patch(bench: Bench, name: str, *, first: bool) -> None:
    """In whatever order the patch names them, and as little through one that is there."""
    old = bench.tree({b"file": b"x\n"})
    patch = LINK + THROUGH[name] if first else THROUGH[name] + LINK
    assert bench.git_apply(old, patch) is None
    with pytest.raises(PatchError):
        bench.apply(old, patch)
    there = bench.apply(old, LINK).tree
    assert bench.git_apply(there, THROUGH[name]) is None
    with pytest.raises(UnsafePath, match="its parent is a symlink"):
        bench.apply(there, THROUGH[name])


def test_a_symlink_that_goes_makes_room_for_a_directory(bench: Bench) -> None:
    """What counts is the tree afterwards: then there is no symlink any more."""
    there = bench.apply(bench.tree({b"file": b"x\n"}), LINK).tree
    new = bench.tree({b"file": b"x\n", b"link/x": b"x\n"})
    patch = bench.diff(there, new)
    assert bench.apply(there, patch).tree == new == bench.git_apply(there, patch)


CHANGED = b"@@ -1 +1 @@\n-x\n+y\n"


@pytest.mark.parametrize(
    "patch",
    [
        b"diff --git a/file b/file\n--- a/file\n+++ b/other\n" + CHANGED,
        b"diff --git a/file b/file\n--- a/other\n+++ b/file\n" + CHANGED,
        b"diff --git a/file b/other\n--- a/file\n+++ b/other\n" + CHANGED,
        b"diff --git a/file b/other\nrename from file\nrename to other\n--- a/file\n+++ b/third\n" + CHANGED,
        b"diff --git a/file b/other\nrename from third\nrename to other\n--- a/file\n+++ b/other\n" + CHANGED,
        b"diff --git a/file b/file\nnew file mode 100644\n--- a/file\n+++ b/file\n@@ -0,0 +1 @@\n+y\n",
        b"diff --git a/file b/file\ndeleted file mode 100644\n--- a/file\n+++ b/other\n@@ -1 +0,0 @@\n-x\n",
        b"diff --git a/file b/other\nold mode 100644\nnew mode 100755\n",
    ],
)
def test_names_that_contradict_one_another_are_refused(bench: Bench, patch: bytes) -> None:
    """Whichever of them is a file: nobody knows which was meant. Git takes some of them."""
    old = bench.tree({b"file": b"x\n", b"other": b"x\n", b"third": b"x\n"})
    with pytest.raises(PatchError):
        bench.apply(old, patch)

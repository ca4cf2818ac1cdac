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

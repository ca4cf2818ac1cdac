"""What a patch may write into ``.gitmodules``: never what makes Git run or overwrite something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from patches.apply import apply_patch
from patches.errors import UnsafePath
from patches.objects import Objects
from patches.parse import parse_patch
from patches.submodules import check_submodules
from patches.tree import Tree

if TYPE_CHECKING:
    from patch_lab import Bench

GOOD = b'[submodule "lib"]\n\tpath = lib\n\turl = https://example.com/lib.git\n'
LISTED_BY_GIT = {
    "name": b'[submodule "../../hooks"]\n\tpath = a\n\turl = ../a\n',
    "name within": b'[submodule "x/../../hooks"]\n\turl = ../a\n',
    "name with backslashes": b'[submodule "x\\\\..\\\\hooks"]\n\turl = ../a\n',
    "url that is an option": b'[submodule "a"]\n\turl = --upload-pack=touch x\n',
    "url with a newline": b'[submodule "a"]\n\turl = "https://example.com/x%0ahost=evil"\n',
    "path that is an option": b'[submodule "a"]\n\tpath = -u./x\n',
    "update that is a command": b'[submodule "a"]\n\tupdate = !touch x\n',
    "any case": b'[SubModule "a"]\n\tUPDATE = !touch x\n',
}
OURS = {
    "path outside": b'[submodule "a"]\n\tpath = ../x\n',
    "absolute path": b'[submodule "a"]\n\tpath = /etc\n',
    "path into .git": b'[submodule "a"]\n\tpath = .GIT/hooks\n',
    "path that ends in a return": b'[submodule "a"]\n\tpath = "sub\\r"\n'.replace(b"\\r", b"\r"),
}
ALLOWED = {
    "the usual": GOOD,
    "a relative url": b'[submodule "a"]\n\tpath = a/b/\n\turl = ../a.git\n\tupdate = rebase\n\tbranch = -x\n',
    "dots that are a name": b'[submodule "a..b"]\n\tpath = a..b\n\turl = ./a\n',
    "other sections": b"[core]\n\tpath = -x\n[submodule]\n\tpath = -x\n",
    "no configuration at all": b"[submodule\n",
    "an include is not followed": b"[include]\n\tpath = /etc/hostname\n",
}


def check(bench: Bench, old: bytes | None, new: bytes) -> None:
    """Let Git make the patch that brings the file from ``old`` to ``new``, and check it."""
    files = {b"x": b"x\n"}
    before = bench.tree(files if old is None else {**files, b".gitmodules": old})
    objects = Objects(bench.repository)
    patch = parse_patch(bench.diff(before, bench.tree({**files, b".gitmodules": new})))
    check_submodules(objects, apply_patch(Tree(objects, before), patch))


def refused_by_git(bench: Bench, text: bytes) -> bool:
    """Ask Git's own check of foreign objects."""
    bench.tree({b".gitmodules": text})
    tree = bench.git("write-tree").stdout.decode().strip()
    commit = bench.git(
        "-c", "user.name=a", "-c", "user.email=a@example.com", "commit-tree", "-m", "x", tree
    ).stdout.decode()
    bench.git("update-ref", "refs/heads/checked", commit.strip())
    done = bench.git("fsck", "--strict", "--no-dangling", check=False)
    return b"gitmodules" in done.stderr and done.returncode != 0


@pytest.mark.parametrize("name", LISTED_BY_GIT)
def test_what_git_s_own_check_refuses_is_refused(bench: Bench, name: str) -> None:
    """Also where the good file is there already."""
    assert refused_by_git(bench, LISTED_BY_GIT[name])
    for old in (None, GOOD):
        with pytest.raises(UnsafePath) as caught:
            check(bench, old, LISTED_BY_GIT[name])
        assert caught.value.path == b".gitmodules"
        assert "submodule" in caught.value.reason


@pytest.mark.parametrize("name", OURS)
def test_paths_are_those_that_a_patch_may_write(bench: Bench, name: str) -> None:
    """A submodule is checked out at its path."""
    with pytest.raises(UnsafePath):
        check(bench, None, OURS[name])


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_harmless_is_taken(bench: Bench, name: str) -> None:
    """Strange as it may be."""
    check(bench, None, ALLOWED[name])
    check(bench, GOOD, ALLOWED[name] + b"# more\n")


def test_what_was_there_before_is_the_user_s(bench: Bench) -> None:
    """A patch that does not bring it is not refused for it, nor one that takes it away."""
    bad = LISTED_BY_GIT["name"]
    check(bench, bad, bad + GOOD)
    check(bench, bad, GOOD)
    with pytest.raises(UnsafePath):
        check(bench, bad, bad + LISTED_BY_GIT["path that is an option"])

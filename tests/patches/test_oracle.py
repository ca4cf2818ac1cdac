"""Random trees and edits, with git as the oracle: forwards, backwards, and where the patch does not fit."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patches.diff import DiffFailed, diff_trees
from patches.errors import AmbiguousHunk, HunkMismatch, OverlappingParts, PatchError, UnsafePath
from patches.model import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_SYMLINK
from patches.oids import EMPTY_TREE
from patches.options import ApplyOptions

if TYPE_CHECKING:
    from patch_lab import Bench

LENIENT = ApplyOptions(lenient=True)
NAMES = [b"a", b"b", b"c d", b"caf\xe9", "ü".encode(), b"q\"\\\t\n", b"x.c", b"x-c", b"\xff"]  # fmt: skip
WORDS = [
    b"alpha",
    b"beta",
    b"",
    b"}",
    b"-- a/x",
    b"++ b/x",
    b"@@ -1 +1 @@",
    b"\\ No newline",
    b"caf\xe9",
    b"\tx",
    b"cr\rx",
]
OPTIONS = [
    (),
    ("-M",),
    ("-M", "-C"),
    ("-C", "--find-copies-harder"),
    ("-B", "-M"),
    ("-U1",),
    ("-U8",),
    ("--patience",),
]

Files = dict[bytes, tuple[int, bytes]]


class Author:
    """Makes trees and edits them, from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def content(self) -> bytes:
        chance = self.random.random()
        if chance < 0.2:
            return b"\0" + self.random.randbytes(self.random.choice([0, 3, 400]))
        end = self.random.choice([b"\n", b"\n", b"\r\n"])
        lines = [
            self.random.choice(WORDS) + b"%d" % self.random.randrange(5) + end
            for _ in range(self.random.choice([0, 1, 5, 30]))
        ]
        text = b"".join(lines)
        text = b"\xef\xbb\xbf" + text if self.random.random() < 0.1 else text
        return text[:-1] if self.random.random() < 0.2 else text

    def edited(self, data: bytes) -> bytes:
        separator = b"\0" if data.startswith(b"\0") else b"\n"
        lines = data.split(separator)
        for _ in range(self.random.randint(1, 3)):
            at = self.random.randint(0, len(lines))
            lines[at : at + self.random.choice([0, 0, 1, 4])] = [
                self.random.choice(WORDS) for _ in range(self.random.randint(0, 3))
            ]
        return separator.join(lines)

    def entry(self) -> tuple[int, bytes]:
        mode = self.random.choice([MODE_FILE] * 5 + [MODE_EXECUTABLE, MODE_SYMLINK, MODE_GITLINK])
        if mode == MODE_GITLINK:
            return mode, self.random.randbytes(20)
        return mode, self.random.choice([b"t", b"../u"]) if mode == MODE_SYMLINK else self.content()

    def path(self, files: Files) -> bytes | None:
        path = b"/".join(self.random.choice(NAMES) for _ in range(self.random.randint(1, 3)))
        taken = any(path == p or p.startswith(path + b"/") or path.startswith(p + b"/") for p in files)
        return None if taken else path

    def tree(self) -> Files:
        files: Files = {}
        for _ in range(self.random.randint(0, 12)):
            path = self.path(files)
            if path is not None:
                files[path] = self.entry()
        return files

    def changed(self, files: Files) -> Files:
        files = dict(files)
        for _ in range(self.random.randint(1, 5)):
            some = self.random.choice(sorted(files)) if files else None
            action = self.random.choice(
                ["edit", "edit", "add", "drop", "move", "copy", "mode", "type", "swap"]
            )
            new = self.path(files)
            if some is None or action == "add":
                if new is not None:
                    files[new] = self.entry()
            elif action in ("edit", "mode"):
                mode, data = files[some]
                if mode in (MODE_FILE, MODE_EXECUTABLE):
                    other = MODE_FILE + MODE_EXECUTABLE - mode
                    files[some] = (other if action == "mode" else mode, self.edited(data))
            elif action == "type":
                files[some] = self.entry()
            elif action == "swap":
                other = self.random.choice(sorted(files))
                files[some], files[other] = files[other], files[some]
            elif action == "drop":
                del files[some]
            elif new is not None:
                files[new] = files[some]
                if action == "move":
                    del files[some]
        return files


seeds = st.integers(0, 2**32)
several = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@several
@given(seed=seeds, options=st.sampled_from(OPTIONS))
def test_any_patch_of_git_and_its_inverse(bench: Bench, seed: int, options: tuple[str, ...]) -> None:
    """Old to new gives Git's tree, and back gives the first one.

    With ``-B``, Git may rename a file to a path that has one already: a patch that it refuses itself.
    """
    author = Author(seed)
    files = author.tree()
    old, new = bench.tree(files), bench.tree(author.changed(files))
    patch = bench.diff(old, new, *options)
    if old == new:
        return
    try:
        got = bench.apply(old, patch).tree
    except PatchError:
        assert "-B" in options
        assert bench.git_apply(old, patch) is None
        return
    assert got == new
    assert bench.apply(new, patch, reverse=True).tree == old


@several
@given(seed=seeds)
def test_a_patch_on_another_tree_does_what_git_does(bench: Bench, seed: int) -> None:
    """On a tree that has moved on, both refuse or both give the same tree.

    Where only we refuse, it is one of the documented differences: parts of a patch whose outcome depends
    on their order, a directory that Git would silently replace, and a file that goes on after the context
    that ends it in the patch (`test_a_file_that_goes_on_after_its_last_line`). Patches that Git refuses
    where it made them (a symlink that moves below its own name) are left out.
    """
    author = Author(seed)
    files = author.tree()
    old = bench.tree(files)
    patch = bench.diff(old, bench.tree(author.changed(files)), "-M", "-C")
    other = bench.tree(author.changed(author.changed(files)))
    if not patch or bench.git_apply(old, patch) is None:
        return
    expected = bench.git_apply(other, patch)
    try:
        ours = bench.apply(other, patch).tree
    except (OverlappingParts, UnsafePath):
        return
    except HunkMismatch as error:
        if error.want is not None and error.got is not None and _goes_on(error.want, error.got):
            return
        ours = None
    except PatchError:
        ours = None
    assert ours == expected
    with suppress(PatchError):  # Whether it can be taken back is asked of any tree.
        bench.apply(other, patch, reverse=True)


def _goes_on(want: bytes, got: bytes) -> bool:
    """Tell whether a line without newline, the last of its file for the patch, is not the file's last."""
    return not want.endswith(b"\n") and got.startswith(want) and got[len(want) :].isspace()


def mutated(author: Author, patch: bytes) -> bytes:
    """Change a line of a patch: drop it, double it, swap it with another, or give it another marker."""
    lines = patch.splitlines(keepends=True)
    at = author.random.randrange(len(lines))
    action = author.random.choice(["drop", "double", "swap", "marker", "text"])
    if action == "drop":
        del lines[at]
    elif action == "double":
        if not lines[at].startswith(b"diff --git "):
            lines.insert(at, lines[at])
    elif action == "swap":
        other = author.random.randrange(len(lines))
        if any(lines[i].startswith(b"diff --git ") for i in (at, other)):
            return patch
        lines[at], lines[other] = lines[other], lines[at]
    elif action == "marker":
        lines[at] = author.random.choice([b" ", b"+", b"-"]) + lines[at][1:]
    else:
        lines[at] = lines[at].replace(b"a", b"A", 1)
    return b"".join(lines)


@several
@given(seed=seeds)
def test_what_git_refuses_of_a_mutated_patch_is_refused(bench: Bench, seed: int) -> None:
    """A damaged patch never does more here than in Git; where both accept, the trees are the same.

    Left out is a doubled ``diff --git`` line: Git then carries the first one's names into the second, and
    crashes, refuses or forgets a mode. Here a line that says nothing has no effect. Left out, too, is what
    Git refuses undamaged (a symlink that moves below its own name).
    """
    author = Author(seed)
    files = author.tree()
    old = bench.tree(files)
    patch = bench.diff(old, bench.tree(author.changed(files)), "-M", "-C")
    if not patch or bench.git_apply(old, patch) is None:
        return
    patch = mutated(author, patch)
    expected = bench.git_apply(old, patch)
    try:
        ours = bench.apply(old, patch).tree
    except PatchError:
        return
    assert ours == expected


@several
@given(seed=seeds)
def test_hunks_of_a_moved_file_are_found_where_git_finds_them(bench: Bench, seed: int) -> None:
    """Many equal lines, hunks at an offset: the place is Git's, or both find none.

    What is refused as ambiguous goes where Git puts it for those who ask to be lenient.
    """
    author = Author(seed)
    lines = [author.random.choice([b"a\n", b"b\n", b"\n", b"c%d\n" % n]) for n in range(40)]
    changed = list(lines)
    for _ in range(3):
        at = author.random.randrange(len(changed))
        changed[at : at + author.random.choice([0, 1, 2])] = [b"new\n"] * author.random.choice([0, 1])
    patch = bench.diff(bench.tree({b"f": b"".join(lines)}), bench.tree({b"f": b"".join(changed)}), "-U1")
    if not patch:
        return
    for _ in range(3):
        at = author.random.randrange(len(lines))
        lines[at : at + author.random.choice([0, 1, 5])] = [b"a\n", b"b\n"] * author.random.choice([0, 1, 3])
    other = bench.tree({b"f": b"".join(lines)})
    expected = bench.git_apply(other, patch)
    with suppress(AmbiguousHunk):
        assert placed(bench, other, patch, ApplyOptions()) == expected
    assert placed(bench, other, patch, LENIENT) == expected


def placed(bench: Bench, old: bytes, patch: bytes, options: ApplyOptions) -> bytes | None:
    """Return the tree; None where a hunk does not fit."""
    try:
        return bench.apply(old, patch, options=options).tree
    except HunkMismatch:
        return None


@several
@given(seed=seeds)
def test_diff_trees_is_independent_of_configuration(bench: Bench, seed: int) -> None:
    """Whatever the repository's configuration says, the patch brings old to new."""
    author = Author(seed)
    files = author.tree()
    old, new = bench.tree(files), bench.tree(author.changed(files))
    for name, value in HOSTILE.items():
        bench.repository.config[name] = value
    (bench.path / "info").mkdir(exist_ok=True)
    (bench.path / "info/attributes").write_text("*.c diff=odd\n* ident eol=crlf\n")
    patch = diff_trees(bench.path, old, new)
    if old == new:
        assert patch == b""
    else:
        assert bench.apply(old, patch).tree == new


HOSTILE = {
    "diff.noprefix": "true",
    "diff.mnemonicPrefix": "true",
    "diff.external": "false",
    "diff.orderFile": "/nowhere",
    "diff.submodule": "log",
    "diff.context": "0",
    "diff.renames": "copies",
    "diff.suppressBlankEmpty": "true",
    "diff.algorithm": "histogram",
    "diff.ignoreSubmodules": "all",
    "diff.colorMoved": "zebra",
    "diff.wsErrorHighlight": "all",
    "diff.odd.textconv": "false",
    "diff.odd.command": "false",
    "color.ui": "always",
    "color.diff": "always",
    "core.quotePath": "false",
    "core.abbrev": "4",
}


def test_diff_trees_is_independent_of_the_environment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an outer git command's variables nor Git's own options for diffs change a byte."""
    lines = b"".join(b"%d\n" % n for n in range(30))
    old, new = bench.tree({b"f": lines}), bench.tree({b"f": lines.replace(b"15\n", b"fifteen\n")})
    patch = diff_trees(bench.path, old, new)
    assert patch.count(b"\n ") == 6
    for name, value in {
        "GIT_DIR": "/nowhere",
        "GIT_DIFF_OPTS": "--unified=1",
        "GIT_EXTERNAL_DIFF": "false",
    }.items():
        monkeypatch.setenv(name, value)
    assert diff_trees(bench.path, old, new) == patch


def test_diff_trees_names_the_tree_that_is_missing(bench: Bench) -> None:
    """With git's own reason."""
    with pytest.raises(DiffFailed, match="11" * 20):
        diff_trees(bench.path, EMPTY_TREE, bytes.fromhex("11" * 20))

"""Each feature of a patch, on small trees, with ``git apply --cached`` beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest

from patches.errors import (
    AlreadyExists,
    AmbiguousHunk,
    ContentMismatch,
    FileRefused,
    HunkMismatch,
    MissingBinary,
    MissingFile,
    OverlappingParts,
    PatchError,
    UnsafePath,
    WrongMode,
)
from patches.model import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_SYMLINK
from patches.objects import Objects
from patches.options import ApplyOptions
from patches.parse import parse_patch
from patches.plan import plan_patch
from patches.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

    from patch_lab import Bench, Files

Refusal = TypeVar("Refusal", bound=FileRefused)
LENIENT = ApplyOptions(lenient=True)
TEN = b"".join(b"line %d\n" % n for n in range(1, 11))
GITLINK_A, GITLINK_B = bytes([0xA1]) * 20, bytes([0xB2]) * 20
BINARY = bytes(range(256)) * 8

CHANGES = {
    "modify": ({b"f": TEN}, {b"f": TEN.replace(b"line 5", b"five")}),
    "two hunks": ({b"f": TEN * 3}, {b"f": b"new\n" + TEN * 3 + b"end\n"}),
    "create": ({b"a": b"1\n"}, {b"a": b"1\n", b"d/e/f": b"2\n"}),
    "create empty": ({b"a": b"1\n"}, {b"a": b"1\n", b"empty": b""}),
    "create executable": ({b"a": b"1\n"}, {b"a": b"1\n", b"x": (MODE_EXECUTABLE, b"#!\n")}),
    "delete": ({b"a": b"1\n", b"d/e": TEN}, {b"a": b"1\n"}),
    "delete empty": ({b"a": b"1\n", b"empty": b""}, {b"a": b"1\n"}),
    "delete everything": ({b"a/b/c": TEN}, {}),
    "fill and empty a file": ({b"a": b"", b"b": b"x\n"}, {b"a": b"x\n", b"b": b""}),
    "rename": ({b"a": TEN}, {b"d/b": TEN}),
    "rename with edit": ({b"a": TEN * 4}, {b"d/b": TEN * 4 + b"more\n"}),
    "copy": ({b"a": TEN}, {b"a": TEN, b"b": TEN}),
    "copy of a file that changes": ({b"a": TEN * 4}, {b"a": b"x\n" + TEN * 4, b"b": TEN * 4 + b"y\n"}),
    "swap": ({b"a": TEN, b"b": BINARY}, {b"a": BINARY, b"b": TEN}),
    "mode": ({b"a": TEN}, {b"a": (MODE_EXECUTABLE, TEN)}),
    "mode and content": ({b"a": (MODE_EXECUTABLE, TEN)}, {b"a": TEN + b"x\n"}),
    "file to symlink": ({b"a": TEN}, {b"a": (MODE_SYMLINK, b"target")}),
    "symlink to file": ({b"a": (MODE_SYMLINK, b"target")}, {b"a": TEN}),
    "symlink target": ({b"a": (MODE_SYMLINK, b"x")}, {b"a": (MODE_SYMLINK, b"y")}),
    "file to submodule": ({b"a": TEN}, {b"a": (MODE_GITLINK, GITLINK_A)}),
    "submodule moves on": ({b"s": (MODE_GITLINK, GITLINK_A)}, {b"s": (MODE_GITLINK, GITLINK_B)}),
    "submodule comes and goes": ({b"s": (MODE_GITLINK, GITLINK_A)}, {b"t": (MODE_GITLINK, GITLINK_B)}),
    "submodule renamed": ({b"s": (MODE_GITLINK, GITLINK_A)}, {b"t": (MODE_GITLINK, GITLINK_A)}),
    "binary literal": ({b"a": b"\0short"}, {b"a": BINARY}),
    "binary delta": ({b"a": BINARY * 20}, {b"a": BINARY * 10 + b"\0new" + BINARY * 10}),
    "binary created and deleted": ({b"a": BINARY}, {b"b": b"\0" + BINARY[::-1]}),
    "binary becomes text": ({b"a": BINARY}, {b"a": TEN}),
    "binary becomes empty": ({b"a": BINARY}, {b"a": b""}),
    "newline at the end lost": ({b"a": TEN}, {b"a": TEN[:-1]}),
    "newline at the end added": ({b"a": TEN[:-1]}, {b"a": TEN}),
    "no newline on both sides": ({b"a": TEN[:-1]}, {b"a": TEN + b"x"}),
    "no newline in context": ({b"a": TEN[:-1]}, {b"a": b"x\n" + TEN[:-1]}),
    "no newline, one line": ({b"a": b"x"}, {b"a": b"y"}),
    "no newline, created": ({}, {b"a": TEN + b"x"}),
    "no newline, deleted": ({b"a": TEN + b"x"}, {}),
    "crlf": ({b"a": TEN.replace(b"\n", b"\r\n")}, {b"a": TEN.replace(b"\n", b"\r\n") + b"x\r\n"}),
    "crlf to lf": ({b"a": TEN.replace(b"\n", b"\r\n")}, {b"a": TEN}),
    "byte order mark": ({b"a": b"\xef\xbb\xbf" + TEN}, {b"a": b"\xef\xbb\xbf" + TEN + b"\xc3\xa9\n"}),
    "lines like headers": ({b"a": b"-- a\n++ b\n@@ -1 +1 @@\n" * 3}, {b"a": b"++ b\n-- a\n@@ -1 +1 @@\n"}),
    "latin-1 name": ({b"caf\xe9": TEN}, {b"caf\xe9": TEN + b"x\n", b"d\xff/\xe9": b"x\n"}),
    "utf-8 name": ({"é/ü".encode(): TEN}, {"é/ü".encode(): TEN + b"x\n"}),
    "names that git cannot read back": ({b"a": b""}, {b"a": b"", b"-- /x": b"", b" /y ": BINARY}),
    "spaces in names": ({b"a b/c d": TEN, b" x ": b""}, {b"a b/c d": TEN + b"x\n", b"y ": b""}),
    "quotes, tabs, newlines in names": (
        {b'q"t\tn\n\\/x': TEN, b"m\t": b"m"},
        {b'q"t\tn\n\\/x': TEN + b"y\n", b"m\t": (MODE_EXECUTABLE, b"m")},
    ),
    "file becomes directory": ({b"a": TEN}, {b"a/b": TEN, b"a/c": b"x\n"}),
    "directory becomes file": ({b"a/b": TEN, b"a/c/d": b"x\n"}, {b"a": b"y\n"}),
    "symlink moves below its own name": ({b"a": (MODE_SYMLINK, b"x")}, {b"a/b": (MODE_SYMLINK, b"x")}),
    "order of directories": ({b"a-b": b"1\n", b"a/c": b"2\n"}, {b"a-b": b"", b"a/c": b"2\n", b"a.c": b"3\n"}),
    "nothing but new": ({}, {b"a": b"1\n", b"b/c": b"2\n"}),
}  # fmt: skip


@pytest.mark.parametrize(
    "options", [(), ("-M", "-C"), ("-M", "-C", "--find-copies-harder"), ("-U1",), ("-B", "-M")]
)
@pytest.mark.parametrize("name", CHANGES)
def test_a_patch_of_git_brings_the_old_tree_to_the_new_one_and_back(
    bench: Bench, name: str, options: tuple[str, ...]
) -> None:
    """Every kind of change is applied to Git's own tree oid, and its inverse gives the first tree."""
    before, after = CHANGES[name]
    old, new = bench.tree(before), bench.tree(after)
    patch = bench.diff(old, new, *options)
    assert bench.apply(old, patch).tree == new
    assert bench.apply(new, patch, reverse=True).tree == old


@pytest.mark.parametrize("name", CHANGES)
def test_changes_are_a_set_that_makes_the_new_tree(bench: Bench, name: str) -> None:
    """No path is in two changes, and putting them in any order gives the result."""
    before, after = CHANGES[name]
    old, new = bench.tree(before), bench.tree(after)
    changes = bench.apply(old, bench.diff(old, new, "-M", "-C")).changes
    paths = [change.path for change in changes]
    sources = [change.old_path for change in changes if change.operation == "rename"]
    assert len(set(paths + sources)) == len(paths) + len(sources)
    state = dict(Tree(Objects(bench.repository), old).entries())
    for change in reversed(changes):
        if change.operation == "rename":
            assert change.old_path is not None
            assert state.pop(change.old_path) == change.old
        if change.new is None:
            del state[change.path]
        else:
            state[change.path] = change.new
    assert state == dict(Tree(Objects(bench.repository), new).entries())


@pytest.mark.parametrize("word", ["rename", "copy"])
def test_a_moved_file_keeps_the_mode_that_its_source_has(bench: Bench, word: str) -> None:
    """The mode of an index line is what the patch was made from, not what it makes."""
    patch = bench.diff(
        bench.tree({b"a": (MODE_EXECUTABLE, TEN * 3)}),
        bench.tree({b"b": (MODE_EXECUTABLE, TEN * 3 + b"more\n")}),
        "-M",
    ).replace(b"rename ", word.encode() + b" ")
    assert b" 100755\n" in patch
    old = bench.tree({b"a": TEN * 3})
    wanted = bench.git_apply(old, patch)
    assert wanted is not None
    assert bench.apply(old, patch).tree == wanted


@pytest.mark.parametrize("content", [b"one\n", b"one\ntwo\n"])
def test_a_file_that_goes_on_after_its_last_line(bench: Bench, content: bytes) -> None:
    """Context that ends the file in the patch ends it here, too; Git would join lines or drop a newline."""
    patch = bench.diff(bench.tree({b"f": b"one"}), bench.tree({b"f": b"new\none"}))
    old = bench.tree({b"f": content})
    joined = bench.git_apply(old, patch)
    assert joined == bench.tree({b"f": b"new\none" + content[len(b"one\n") :]})
    with pytest.raises(HunkMismatch) as caught:
        bench.apply(old, patch)
    assert (caught.value.want, caught.value.got) == (b"one", content.splitlines(keepends=True)[0])


def test_hunks_at_an_offset_are_found_as_git_finds_them(bench: Bench) -> None:
    """Lines inserted or removed above a hunk move it; of two equal places the lenient take the nearer one."""
    body = b"".join(b"%d\n" % n for n in range(40)) + b"a\nb\nc\nd\ne\nf\ng\n" + b"x\n" * 9
    patch = bench.diff(bench.tree({b"f": body}), bench.tree({b"f": body.replace(b"d\n", b"D\n")}))
    twice = body.replace(b"0\n1\n2\n", b"0\na\nb\nc\nd\ne\nf\ng\n")
    for shifted in (
        b"new\n" * 5 + body,
        body[20:],
        body[:30] + body[60:],
        twice,
        twice[60:],
        b"z\n" * 90 + twice,
    ):
        old = bench.tree({b"f": shifted})
        assert bench.apply(old, patch, options=LENIENT).tree == bench.git_apply(old, patch)


def test_a_hunk_that_fits_several_places_is_refused_and_they_are_named(bench: Bench) -> None:
    """Git edits the nearest without a word. The line that the header names is beyond doubt, if it fits there."""
    body = b"".join(b"%d\n" % n for n in range(40)) + b"a\nb\nc\nd\ne\nf\ng\n" + b"x\n" * 9
    patch = bench.diff(bench.tree({b"f": body}), bench.tree({b"f": body.replace(b"d\n", b"D\n")}))
    twice = body + b"a\nb\nc\nd\ne\nf\ng\n" + b"y\n" * 40 + b"a\nb\nc\nd\ne\nf\ng\nz\n"
    old = bench.tree({b"f": twice})
    assert bench.apply(old, patch).tree == bench.git_apply(old, patch)
    moved = bench.tree({b"f": b"above\n" + twice})
    with pytest.raises(AmbiguousHunk, match=r"fits at the lines 42, 58, 105$") as caught:
        bench.apply(moved, patch)
    assert caught.value.lines == (42, 58, 105)
    assert bench.git_apply(moved, patch) is not None


def test_a_hunk_that_fits_at_many_places_names_the_first_ones(bench: Bench) -> None:
    """A file of equal lines."""
    patch = b"--- a/f\n+++ b/f\n@@ -90,3 +90,3 @@\n x\n-x\n+y\n x\n"
    with pytest.raises(AmbiguousHunk, match=r"lines 1, 2, 3, 4, 5, 6, 7, 8 and 30 more$"):
        bench.apply(bench.tree({b"f": b"x\n" * 40}), patch)


def test_hunks_at_the_beginning_and_the_end_stay_there(bench: Bench) -> None:
    """A hunk from line 1 fits only at the start, one without trailing context only at the end."""
    patch = bench.diff(bench.tree({b"f": TEN}), bench.tree({b"f": b"x\n" + TEN}))
    with pytest.raises(HunkMismatch):
        bench.apply(bench.tree({b"f": b"above\n" + TEN}), patch)
    patch = bench.diff(bench.tree({b"f": TEN}), bench.tree({b"f": TEN + b"x\n"}))
    with pytest.raises(HunkMismatch):
        bench.apply(bench.tree({b"f": TEN + b"below\n"}), patch)
    old = bench.tree({b"f": b"above\n" * 3 + TEN})
    assert bench.apply(old, patch).files == {b"f": b"above\n" * 3 + TEN + b"x\n"}


def test_hunks_out_of_order_apply_as_in_git(bench: Bench) -> None:
    """The order of the text does not matter as long as no hunk needs another's lines."""
    old = bench.tree({b"f": TEN * 3})
    first, second = (
        b"@@ -1,3 +1,4 @@\n+top\n line 1\n line 2\n line 3\n",
        b"@@ -14,4 +15,4 @@\n line 4\n-line 5\n+five\n line 6\n line 7\n",
    )
    head = b"diff --git a/f b/f\n--- a/f\n+++ b/f\n"
    for patch in (head + first + second, head + second + first):
        assert bench.apply(old, patch, options=LENIENT).tree == bench.git_apply(old, patch)


def test_a_hunk_does_not_match_lines_that_an_earlier_hunk_put_there(bench: Bench) -> None:
    """What the patch itself added is no context for it."""
    old = bench.tree({b"f": b"a\nb\nc\n"})
    hunk = b"@@ -1,3 +1,4 @@\n a\n+new\n b\n c\n"
    patch = b"diff --git a/f b/f\n--- a/f\n+++ b/f\n" + hunk + hunk.replace(b"+new", b"+other")
    assert bench.git_apply(old, patch) is None
    with pytest.raises(HunkMismatch) as refused:
        bench.apply(old, patch)
    assert (refused.value.hunk, refused.value.hunks) == (2, 2)


def test_lines_without_any_context_are_not_put_in_a_wrong_place(bench: Bench) -> None:
    """Git puts an insertion of ``diff -U0`` at the end of the file; here only the true place counts."""
    old = bench.tree({b"f": TEN})
    patch = bench.diff(old, bench.tree({b"f": TEN.replace(b"line 5\n", b"line 5\nnew\n")}), "-U0")
    assert bench.git_apply(old, patch) == bench.tree({b"f": TEN + b"new\n"})
    with pytest.raises(HunkMismatch):
        bench.apply(old, patch)
    patch = bench.diff(old, bench.tree({b"f": TEN + b"new\n"}), "-U0")
    assert bench.apply(old, patch).files == {b"f": TEN + b"new\n"}


PLAIN = b"--- %s\n+++ %s\n@@ -1,2 +1,3 @@\n one\n+new\n two\n"


@pytest.mark.parametrize(
    "names",
    [
        (b"a/f.c", b"b/f.c"),
        (b"f.c", b"f.c"),
        (b"f.c.orig", b"f.c"),
        (b"f.c", b"f.c.new"),
        (b"old/f.c\t2024-01-02 03:04:05.123456789 +0100", b"new/f.c\t2024-01-02 03:04:05 -0500"),
        (b"old/f.c  2024-01-02 03:04:05 +0100", b"new/f.c  2024-01-02 03:04:05"),
        (b"a/f.c\tsome label", b"b/f.c\t"),
        (b'"a/f.c"', b'"b/f.\\143"'),
        (b"a/f.c\r", b"b/f.c\r"),
    ],
)
def test_plain_diffs_name_their_file_like_git_reads_it(bench: Bench, names: tuple[bytes, bytes]) -> None:
    """Timestamps, labels, backup suffixes and quotes around names are understood."""
    old = bench.tree({b"f.c": b"one\ntwo\n"})
    expected = bench.git_apply(old, PLAIN % names)
    assert expected is not None
    assert bench.apply(old, b"Index: f.c\n=====\n" + PLAIN % names).tree == expected


def test_plain_diffs_create_and_delete(bench: Bench) -> None:
    """By /dev/null, by the epoch as timestamp, or because the tree has no such file."""
    old = bench.tree({b"keep": b"k\n", b"gone": b"x\ny\n"})
    add = b"--- %s\n+++ b/new\t2024-01-02 03:04:05 +0000\n@@ -0,0 +1,2 @@\n+x\n+y\n"
    for source in (
        b"/dev/null",
        b"a/new\t1970-01-01 00:00:00 +0000",
        b"a/new\t1970-01-01 02:00:00.000 +0200",
        b"a/new",
    ):
        assert bench.apply(old, add % source).tree == bench.git_apply(old, add % source)
    remove = b"--- a/gone\t2024-01-02 03:04:05 +0000\n+++ %s\n@@ -1,2 +0,0 @@\n-x\n-y\n"
    for target in (b"/dev/null", b"b/gone\t1970-01-01 00:00:00 +0000", b"b/gone"):
        assert bench.apply(old, remove % target).tree == bench.git_apply(old, remove % target)


def test_mail_around_the_diff_is_passed_over(bench: Bench) -> None:
    """Headers, prose and the signature of ``git format-patch`` are no part of the patch."""
    old, new = bench.tree({b"f": TEN}), bench.tree({b"f": TEN + b"x\n", b"g": b"1\n"})
    mail = b"From 1234 Mon Sep 17 00:00:00 2001\nSubject: x\n\n--- dashes\n---\n f | 1 +\n\n%s-- \n2.39.5\n\n"
    patch = mail % bench.diff(old, new)
    assert bench.apply(old, patch).tree == new == bench.git_apply(old, patch)


def test_one_file_in_several_parts_of_a_patch(bench: Bench) -> None:
    """A later part sees what an earlier one left; the change counts once, with all its lines."""
    old = bench.tree({b"f": TEN})
    middle, new = bench.tree({b"f": TEN + b"x\n"}), bench.tree({b"f": b"y\n" + TEN + b"x\n"})
    patch = bench.diff(old, middle) + bench.diff(middle, new)
    assert bench.git_apply(old, patch) == new
    applied = bench.apply(old, patch)
    assert applied.tree == new
    assert [(c.path, c.operation, c.added, c.removed) for c in applied.changes] == [(b"f", "modify", 2, 0)]


def test_copies_and_renames_read_the_tree_as_it_was(bench: Bench) -> None:
    """A copy's source is the file before the patch, wherever the copy stands in it."""
    old = bench.tree({b"a": TEN * 2, b"b": b"1\n"})
    new = bench.tree({b"a": b"x\n" + TEN * 2, b"b": b"1\n", b"c": TEN * 2})
    parts = bench.diff(old, new, "-C").split(b"diff --git ")[1:]
    for order in (parts, parts[::-1]):
        patch = b"".join(b"diff --git " + part for part in order)
        assert bench.apply(old, patch).tree == new == bench.git_apply(old, patch)


def refused(
    bench: Bench, before: Files, patch: bytes, error: type[Refusal], *, by_git: bool = True
) -> Refusal:
    """Assert that the patch is refused, the tree unchanged, and nothing left to flush."""
    old = bench.tree(before)
    assert (bench.git_apply(old, patch) is None) == by_git
    objects = Objects(bench.repository)
    tree = Tree(objects, old)
    with pytest.raises(error) as caught:
        plan_patch(tree, parse_patch(patch))
    assert tree.write() == old
    assert objects.fresh_count == 0
    assert "Traceback" not in str(caught.value)
    assert repr(caught.value.path)[:2] == "b'"
    return caught.value


def test_a_mismatch_says_what_it_wanted_and_what_is_there(bench: Bench) -> None:
    """The first line that differs, at the place that the hunk names."""
    body = b"def f():\n    a = 1\n    b = 2\n    c = 3\n    return a\n    # x\n    # y\n"
    patch = bench.diff(bench.tree({b"m.py": body}), bench.tree({b"m.py": body.replace(b"c = 3", b"c = 4")}))
    error = refused(bench, {b"m.py": body.replace(b"b = 2", b"b = 9\x1b")}, patch, HunkMismatch)
    assert (error.line, error.want, error.got) == (3, b"    b = 2\n", b"    b = 9\x1b\n")
    assert str(error) == (
        "m.py: hunk 1 of 1 does not apply at line 3\n"
        "  the patch expects       b = 2\n"
        "  the file has            b = 9\\x1b\n"
        "  its other 6 lines are there"
    )
    error = refused(bench, {b"m.py": b"def f():\n    a = 1"}, patch, HunkMismatch)
    assert (error.line, error.got) == (2, b"    a = 1")
    error = refused(bench, {b"m.py": b""}, patch, HunkMismatch)
    assert (error.line, error.got) == (1, None)


def test_refusals_are_told_apart(bench: Bench) -> None:
    """Each thing that a caller can do something else about has its own class."""
    create = b"diff --git a/n b/n\nnew file mode %s\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n"
    modify = b"diff --git a/n b/n\n--- a/n\n+++ b/n\n@@ -1 +1 @@\n-x\n+y\n"
    chmod = b"diff --git a/n b/n\nold mode 100644\nnew mode 100755\n"
    rename = b"diff --git a/m b/n\nsimilarity index 100%\nrename from m\nrename to n\n"
    delete = b"diff --git a/n b/n\ndeleted file mode 100644\n"
    refused(bench, {b"n": b"x\n"}, create % b"100644", AlreadyExists)
    refused(bench, {b"n/in": b"x\n"}, create % b"100644", AlreadyExists)
    refused(bench, {b"m": b"x\n"}, modify, MissingFile)
    refused(bench, {b"x": b"x\n"}, rename, MissingFile)
    refused(bench, {b"m": b"x\n", b"n": b"x\n"}, rename, AlreadyExists)
    refused(bench, {b"n": (MODE_SYMLINK, b"x\n")}, chmod, WrongMode)
    refused(bench, {b"n": b"x\n"}, chmod.replace(b"100755", b"120000"), WrongMode)
    refused(bench, {}, create % b"040000", WrongMode, by_git=False)
    refused(bench, {b"n": b"not empty\n"}, delete, ContentMismatch)
    refused(bench, {b"n": b"x\n"}, create % b"100644" + create % b"100644", AlreadyExists)
    refused(bench, {b"m": b"x\n"}, create % b"100644" + create % b"100644", AlreadyExists, by_git=False)
    refused(
        bench,
        {b"n": b"x\n"},
        delete.rstrip() + b"\n--- a/n\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n" + modify,
        MissingFile,
    )


def test_parts_whose_outcome_would_depend_on_their_order_are_refused(bench: Bench) -> None:
    """Git applies these and brings the removed file back: it writes after it removes."""
    old, middle = bench.tree({b"f": TEN}), bench.tree({b"f": TEN + b"x\n"})
    modify = bench.diff(old, middle)
    remove = bench.diff(middle, bench.tree({}))
    rename = b"diff --git a/f b/g\nsimilarity index 100%\nrename from f\nrename to g\n"
    refused(bench, {b"f": TEN}, modify + remove, OverlappingParts, by_git=False)
    refused(bench, {b"f": TEN}, modify + rename, OverlappingParts, by_git=False)


def test_a_symlink_or_file_is_no_directory(bench: Bench) -> None:
    """Nothing is put below one, unless the same patch removes it."""
    create = b"diff --git a/l/n b/l/n\nnew file mode 100644\n--- /dev/null\n+++ b/l/n\n@@ -0,0 +1 @@\n+x\n"
    link = (
        b"diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n"
        b"+/etc\n\\ No newline at end of file\n"
    )
    unlink = link.replace(b"new file", b"deleted file").replace(
        b"--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+", b"--- a/l\n+++ /dev/null\n@@ -1 +0,0 @@\n-"
    )
    refused(bench, {b"l": (MODE_SYMLINK, b"/etc")}, create, UnsafePath)
    refused(bench, {b"l": b"file\n"}, create, UnsafePath)
    refused(bench, {b"l": (MODE_GITLINK, GITLINK_A)}, create, UnsafePath)
    refused(bench, {b"x": b"x\n"}, link + create, UnsafePath)
    refused(bench, {b"x": b"x\n"}, create + link, UnsafePath)
    refused(
        bench,
        {b"l": (MODE_SYMLINK, b"/etc")},
        b"diff --git a/l/passwd b/l/passwd\n--- a/l/passwd\n+++ b/l/passwd\n@@ -1 +1 @@\n-x\n+y\n",
        MissingFile,
    )
    old = bench.tree({b"l": (MODE_SYMLINK, b"/etc")})
    assert bench.apply(old, unlink + create).tree == bench.tree({b"l/n": b"x\n"})


def test_binary_patches_fit_only_what_they_were_made_from(bench: Bench) -> None:
    """Another preimage, another result, a missing half or short ids are refused, never guessed."""
    old, new = bench.tree({b"a": BINARY}), bench.tree({b"a": BINARY[:100] + b"!" + BINARY[100:]})
    patch = bench.diff(old, new)
    refused(bench, {b"a": BINARY + b"x"}, patch, ContentMismatch)
    index = patch[patch.index(b"index ") :].split(b"\n")[0]
    refused(bench, {b"a": BINARY}, patch.replace(index, index[:14] + b".." + index[14:20]), MissingBinary)
    wrong = index[:-47] + b"1" * 40 + index[-7:]
    error = refused(bench, {b"a": BINARY}, patch.replace(index, wrong), ContentMismatch)
    assert "index line" in str(error)
    differ = bench.git("diff-tree", "-r", "-p", "--full-index", old.hex(), new.hex()).stdout
    assert b"Binary files" in differ
    assert bench.apply(old, differ).tree == new, "the content is in the repository already"
    refused(bench, {b"a": BINARY}, differ.replace(index, wrong), MissingBinary)


def test_a_binary_patch_applies_where_its_result_is_nowhere_yet(bench: Bench, tmp_path: Path) -> None:
    """The content comes out of the patch, not out of the repository."""
    other = type(bench)(tmp_path / "other.git")
    before, after = BINARY * 30, BINARY * 10 + b"\0\1\2" + BINARY * 20
    patch = other.diff(other.tree({b"a": before}), other.tree({b"a": after, b"b": BINARY}))
    assert b"delta " in patch
    assert b"literal " in patch
    assert bench.apply(bench.tree({b"a": before}), patch).files == {b"a": after, b"b": BINARY}


def test_undoing_a_copy_removes_it_only_while_it_is_one(bench: Bench) -> None:
    """The inverse of a copy deletes it, unless it or its source has changed since."""
    old = bench.tree({b"a": TEN})
    patch = bench.diff(old, bench.tree({b"a": TEN, b"b": TEN + b"x\n"}), "-C", "--find-copies-harder")
    assert b"copy from a" in patch
    with pytest.raises(PatchError):
        bench.apply(bench.tree({b"a": TEN, b"b": TEN + b"x\ny\n"}), patch, reverse=True)
    with pytest.raises(ContentMismatch):
        bench.apply(bench.tree({b"a": b"0\n" + TEN, b"b": TEN + b"x\n"}), patch, reverse=True)


def test_line_counts_and_operations(bench: Bench) -> None:
    """A change says what happened, from where, and how many lines came and went."""
    old = bench.tree({b"a": TEN * 3, b"b": b"1\n2\n", b"c": BINARY})
    new = bench.tree({b"z": TEN * 3 + b"x\n", b"b": b"1\n3\n4\n", b"c": BINARY[1:], b"n": b"1\n"})
    changes = {change.path: change for change in bench.apply(old, bench.diff(old, new, "-M")).changes}
    assert {p: (c.operation, c.old_path, c.added, c.removed) for p, c in changes.items()} == {
        b"z": ("rename", b"a", 1, 0),
        b"b": ("modify", None, 2, 1),
        b"c": ("modify", None, 0, 0),
        b"n": ("add", None, 1, 0),
    }
    assert changes[b"n"].old is None
    assert changes[b"z"].old is not None
    assert changes[b"z"].new is not None
    assert changes[b"z"].new.mode == MODE_FILE

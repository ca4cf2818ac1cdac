"""Where the engine knowingly differs from ``git apply``: each is a row of docs/patches.md, with its reason."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from patches.errors import AlreadyExists, ContentMismatch, PatchSyntaxError, UnsafePath
from patches.model import MODE_EXECUTABLE, MODE_SYMLINK
from patches.objects import Objects
from patches.options import DEFAULTS, LENIENT, ApplyOptions
from patches.parse import parse_patch
from patches.plan import plan_patch
from patches.tree import Tree

if TYPE_CHECKING:
    from patch_lab import Bench

ROOT = Path(__file__).resolve().parents[2]
TEN = b"".join(b"line %d\n" % n for n in range(1, 11))


def test_a_symlink_may_move_below_its_own_name(bench: Bench) -> None:
    """The name is a directory in the result; git looks at the symlink of before, and refuses its own patch."""
    old, new = bench.tree({b"l": (MODE_SYMLINK, b"t")}), bench.tree({b"l/x": (MODE_SYMLINK, b"t")})
    patch = bench.diff(old, new, "-M")
    assert bench.git_apply(old, patch) is None
    assert bench.apply(old, patch).tree == new
    assert bench.apply(new, patch, reverse=True).tree == old


def test_a_deletion_without_its_content_is_not_taken_back(bench: Bench) -> None:
    """Git makes an empty file of it; a file that was empty comes back."""
    old, new = bench.tree({b"f": TEN, b"k": b"k\n"}), bench.tree({b"k": b"k\n"})
    patch = bench.diff(old, new, "--irreversible-delete")
    empty = bench.tree({b"f": b"", b"k": b"k\n"})
    assert bench.git_apply(new, patch, "-R") == empty
    assert bench.apply(new, patch, options=ApplyOptions(reverse=True, lenient=True)).tree == empty
    with pytest.raises(ContentMismatch, match="states new content and does not carry it"):
        bench.apply(new, patch, reverse=True)
    patch = bench.diff(empty, new, "--irreversible-delete")
    assert bench.apply(new, patch, reverse=True).tree == empty


@pytest.mark.parametrize("after", ["new", "renamed", "mode"])
def test_a_header_that_was_cut_off_from_its_hunks_is_refused(bench: Bench, after: str) -> None:
    """Git makes an empty file, or renames the old content: the index line says that there is more."""
    results = {
        "new": {b"f": TEN, b"n": TEN * 3},
        "renamed": {b"g": TEN + b"more\n"},
        "mode": {b"f": (0o100755, TEN + b"more\n")},
    }
    old = bench.tree({b"f": TEN})
    patch = bench.diff(old, bench.tree(results[after]), "-M").partition(b"\n--- ")[0] + b"\n"
    assert bench.git_apply(old, patch) is not None
    with pytest.raises(ContentMismatch, match="cut off"):
        bench.apply(old, patch)
    assert bench.apply(old, patch, options=LENIENT).tree == bench.git_apply(old, patch)


def test_a_rename_under_a_long_prefix_moves_the_file_that_it_names(bench: Bench) -> None:
    """``rename from`` has no prefix. Git strips one less than elsewhere all the same: another file moves."""
    old, new = bench.tree({b"d/f": TEN, b"f": b"other\n"}), bench.tree({b"d/g": TEN, b"f": b"other\n"})
    for prefixes in (("x/y/", "z/w/"), ('x "q/y/', "z/w ü/")):
        patch = bench.diff(old, new, "-M", f"--src-prefix={prefixes[0]}", f"--dst-prefix={prefixes[1]}")
        assert bench.apply(old, patch, options=ApplyOptions(strip=2)).tree == new
        assert bench.git_apply(old, patch, "-p2") == bench.tree({b"d/f": TEN, b"g": b"other\n"})


def test_a_directory_may_still_be_stripped_from_a_rename(bench: Bench) -> None:
    """Where the prefix is one component, ``-p2`` takes the directory too, as in git."""
    outer = bench.tree({b"sub/d/f": TEN}), bench.tree({b"sub/e/f": TEN})
    old, new = bench.tree({b"d/f": TEN}), bench.tree({b"e/f": TEN})
    patch = bench.diff(*outer, "-M")
    assert bench.apply(old, patch, options=ApplyOptions(strip=2)).tree == new
    assert bench.git_apply(old, patch, "-p2") == new


@pytest.mark.parametrize("options", [DEFAULTS, LENIENT], ids=["strict", "lenient"])
def test_a_line_without_newline_is_the_last_of_its_side(bench: Bench, options: ApplyOptions) -> None:
    """``git diff -b`` may write another; git then joins the line with the next one."""
    patch = b"diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,2 +1 @@\n a\n\\ No newline at end of file\n-b\n"
    with pytest.raises(PatchSyntaxError, match="not the last one"):
        bench.apply(bench.tree({b"f": b"a\nb\n"}), patch, options=options)


def test_the_name_of_a_directory_may_end_in_a_space(bench: Bench) -> None:
    """Git 2.39 does not find the name in its own header, where no other line has it."""
    old, new = bench.tree({b"d /x": b""}), bench.tree({b"d /x": (0o100755, b"")})
    patch = bench.diff(old, new)
    assert bench.apply(old, patch).tree == new


def test_a_patch_taken_back_leaves_a_mode_that_it_does_not_name(bench: Bench) -> None:
    """The mode on an index line is what the file had; git 2.39 sets it, backwards only."""
    patch = bench.diff(bench.tree({b"f": TEN}), bench.tree({b"f": TEN + b"x\n"}))
    old, new = bench.tree({b"f": (0o100755, TEN)}), bench.tree({b"f": (0o100755, TEN + b"x\n")})
    assert bench.apply(old, patch).tree == new
    assert bench.apply(new, patch, reverse=True).tree == old


@pytest.mark.parametrize("below", [True, False], ids=["below a file", "over a directory"])
def test_a_check_passes_only_what_applies(bench: Bench, *, below: bool) -> None:
    """A new file below a file, or where a directory is: git's check has nothing against it, git then fails."""
    names = (b"d/inner", b"d") if below else (b"d", b"d/inner")
    old, crowded = bench.tree({b"x": TEN}), bench.tree({b"x": TEN, names[1]: b"1\n"})
    patch = bench.diff(old, bench.tree({b"x": TEN, names[0]: b"new\n"}))
    assert bench.git_apply(crowded, patch, "--check") == crowded
    assert bench.git_apply(crowded, patch) is None
    with pytest.raises(UnsafePath if below else AlreadyExists):
        plan_patch(Tree(Objects(bench.repository), crowded), parse_patch(patch, LENIENT), LENIENT)


@pytest.mark.parametrize("first", [b"f", b"g"])
@pytest.mark.parametrize("options", [DEFAULTS, LENIENT])
def test_a_header_line_that_says_nothing_has_no_effect(
    bench: Bench, first: bytes, options: ApplyOptions
) -> None:
    """As git itself prints it for a file that was touched; it takes what follows for that file's, or for none."""
    old = bench.tree({b"f": b"a\n", b"g": TEN})
    new = bench.tree({b"f": (MODE_EXECUTABLE, b"a\n"), b"h": TEN})
    patch = bench.diff(old, new, "-M")
    idle = b"diff --git a/%s b/%s\n" % (first, first)
    assert bench.apply(old, idle + patch, options=options).tree == new
    assert bench.apply(old, patch + idle, options=options).tree == new
    if first == b"g":
        assert bench.git_apply(old, idle + patch) != new


def test_every_row_names_a_test_that_exists() -> None:
    """In the file that it links to, or in this one."""
    section = (ROOT / "docs/patches.md").read_text("utf-8").partition("\n## Where we differ")[2]
    rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    for row in rows:
        cell = row.split(" | ")[-1]
        if cell.startswith("test |"):
            continue
        names = re.findall(r"`(test_\w+)`", cell)
        link = re.search(r"\]\(\.\./([\w/.]+)\)", cell)
        text = (ROOT / link[1] if link else Path(__file__)).read_text("utf-8")
        assert names, row
        assert [name for name in names if f"def {name}(" not in text] == []

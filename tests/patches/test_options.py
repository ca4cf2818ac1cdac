"""The knobs of reading a patch: paths, directories, rules, direction and counts, beside ``git apply``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from patches.errors import ContradictoryNames, MissingFile, PatchError, PatchSyntaxError
from patches.options import ApplyOptions, PathRule
from patches.parse import parse_patch
from patches.selection import is_selected

if TYPE_CHECKING:
    from patch_lab import Bench

FILES = {b"d/e/f": b"one\ntwo\nthree\n", b"f": b"one\ntwo\nthree\n", b"e/f": b"one\ntwo\nthree\n"}
HUNK = b"@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"


def both(bench: Bench, patch: bytes, options: ApplyOptions, *flags: str) -> bytes | None:
    """Return the tree that the engine makes; None where it refuses. Git must do the same with ``flags``."""
    old = bench.tree(FILES)
    try:
        ours = bench.apply(old, patch, options=options).tree
    except PatchError:
        ours = None
    assert ours == bench.git_apply(old, patch, *flags)
    return ours


def named(old: bytes, new: bytes, *header: bytes) -> bytes:
    """Return the change of one file under the names of a Git diff's lines."""
    first = b"diff --git %s %s\n" % (old, new)
    return first + b"".join(header) + b"--- %s\n+++ %s\n" % (old, new) + HUNK


STRIPPED = {
    "p0": (named(b"e/f", b"e/f"), 0),
    "p0 with prefixes that are no directories": (named(b"a/f", b"b/f"), 0),
    "p2": (named(b"a/x/f", b"b/x/f"), 2),
    "p3": (named(b"a/b/c/f", b"b/x/y/f"), 3),
    "p4, too much": (named(b"a/b/c/f", b"b/b/c/f"), 4),
    "p2 renames": (
        b"diff --git a/x/f b/x/g\nsimilarity index 100%\nrename from x/f\nrename to x/g\n", 2
    ),
    "p2 modes, names from the first line": (b"diff --git a/x/f b/y/f\nold mode 100644\nnew mode 100755\n", 2),
    "p0 modes": (b"diff --git f f\nold mode 100644\nnew mode 100755\n", 0),
    "p2 quoted": (named(b'"a/x/f"', b'"b/x/f"', b"old mode 100644\nnew mode 100755\n"), 2),
    "plain p0": (b"--- e/f\n+++ e/f\n" + HUNK, 0),
    "plain p2": (b"--- a/x/f\n+++ b/x/f\n" + HUNK, 2),
    "plain without directories": (b"--- f\n+++ f\n" + HUNK, None),
    "plain, the old name with a directory": (b"--- a/f\n+++ f\n" + HUNK, None),
}  # fmt: skip


@pytest.mark.parametrize("name", STRIPPED)
def test_leading_components_are_stripped_as_git_strips_them(bench: Bench, name: str) -> None:
    """From names, from renames (one less), and from the names that only the first line has."""
    patch, strip = STRIPPED[name]
    flags = () if strip is None else (f"-p{strip}",)
    result = both(bench, patch, ApplyOptions(strip=strip), *flags)
    assert (result is None) == (name in ("p0 with prefixes that are no directories", "p4, too much"))


@pytest.mark.parametrize("directory", ["d", "d/e", "nowhere"])
@pytest.mark.parametrize(
    "patch", [named(b"a/e/f", b"b/e/f"), b"--- a/f\n+++ b/f\n" + HUNK, named(b"x/new", b"y/new")]
)
def test_a_directory_goes_before_every_name(bench: Bench, patch: bytes, directory: str) -> None:
    """Behind the stripped components, whether the file is there or not."""
    both(bench, patch, ApplyOptions(directory=directory.encode()), f"--directory={directory}")


RULES = [
    ("--include=f",),
    ("--exclude=f",),
    ("--include=*f",),
    ("--exclude=d/*",),
    ("--include=d/**", "--exclude=*"),
    ("--exclude=?/f", "--include=*"),
    ("--include=[d-e]*[/]f",),
    ("--include=[!d]*",),
    ("--exclude=*",),
    ("--include=",),
    ("--exclude=[",),
]


@pytest.mark.parametrize("rules", RULES)
def test_files_are_chosen_by_the_first_rule_that_matches(bench: Bench, rules: tuple[str, ...]) -> None:
    """Wildcards match slashes; with an include, what no rule matches is left out. None left is no error."""
    patch = b"".join(named(b"a/" + path, b"b/" + path) for path in FILES)
    paths = tuple(PathRule(r.startswith("--include"), r.partition("=")[2].encode()) for r in rules)
    assert both(bench, patch, ApplyOptions(paths=paths), *rules) is not None


def test_many_stars_take_no_time_without_bound() -> None:
    """The worst case of a backtracking matcher."""
    assert not is_selected(b"a" * 4000, [PathRule(include=True, glob=b"*a" * 40 + b"b")])


def test_a_reversed_patch_is_chosen_by_its_new_names(bench: Bench) -> None:
    """Those are the names of the preimage: git turns the patch round before it looks at the rules."""
    rename = b"diff --git a/old b/f\nsimilarity index 100%\nrename from old\nrename to f\n"
    options = ApplyOptions(reverse=True, paths=(PathRule(include=True, glob=b"old"),))
    assert both(bench, rename, options, "-R", "--include=old") is not None


RECOUNTED = {
    "too many": HUNK.replace(b"3 +1,3", b"9 +1,9"),
    "too few": HUNK.replace(b"3 +1,3", b"1 +1,1"),
    "none": HUNK.replace(b"3 +1,3", b"0 +1,0"),
    "a signature, right": HUNK + b"-- \n2.39.5\n",
    "a signature, wrong": HUNK.replace(b"3 +1,3", b"9 +1,9") + b"-- \n2.39.5\n",
    "two hunks": b"@@ -1,9 +1,9 @@\n-one\n+1\n two\n@@ -3,7 +3 @@\n-three\n+3\n",
    "no newline": b"@@ -1,9 +1,9 @@\n one\n two\n-three\n+3\n\\ No newline at end of file\n",
    "nothing changes": b"@@ -1,2 +1,3 @@\n one\n two\n three\n",
    "another file": HUNK.replace(b"3 +1,3", b"9 +1,9") + named(b"a/e/f", b"b/e/f"),
}


@pytest.mark.parametrize("name", RECOUNTED)
def test_lines_are_counted_where_the_header_is_not_believed(bench: Bench, name: str) -> None:
    """Up to the next hunk or file; before anything else the header's counts stand, as in git."""
    patch = b"diff --git a/f b/f\n--- a/f\n+++ b/f\n" + RECOUNTED[name]
    result = both(bench, patch, ApplyOptions(recount=True), "--recount")
    assert (result is None) == (name == "a signature, wrong")


def test_a_hunk_with_more_lines_than_it_counts_is_refused(bench: Bench) -> None:
    """Git takes as many as are counted and passes over the rest; so do we where we are asked to be lenient."""
    patch = b"--- a/f\n+++ b/f\n" + HUNK.replace(b"3 +1,3", b"2 +1,2")
    old = bench.tree({b"f": b"one\ntwo\n"})
    with pytest.raises(PatchSyntaxError, match="counts fewer lines"):
        bench.apply(old, patch)
    assert bench.apply(old, patch, options=ApplyOptions(lenient=True)).tree == bench.git_apply(old, patch)


def test_two_files_in_one_plain_header_are_refused_where_both_exist(bench: Bench) -> None:
    """Git changes the second without a word; where only one exists there is no doubt."""
    patch = b"--- a/e/f\n+++ b/f\n" + HUNK
    old = bench.tree(FILES)
    with pytest.raises(ContradictoryNames, match="e/f too"):
        bench.apply(old, patch)
    lenient = ApplyOptions(lenient=True)
    assert bench.apply(old, patch, options=lenient).tree == bench.git_apply(old, patch) != old
    alone = bench.tree({b"f": FILES[b"f"]})
    assert bench.apply(alone, patch).tree == bench.git_apply(alone, patch)


def test_two_names_in_a_git_header_without_a_rename_are_refused(bench: Bench) -> None:
    """Git deletes the one and overwrites the other."""
    patch = named(b"a/e/f", b"b/f")
    old = bench.tree(FILES)
    with pytest.raises(PatchSyntaxError, match="two file names"):
        bench.apply(old, patch)
    lenient = ApplyOptions(lenient=True)
    assert bench.apply(old, patch, options=lenient).tree == bench.git_apply(old, patch)


def test_what_is_deleted_and_unnamed_is_missing(bench: Bench) -> None:
    """A plain diff that deletes a file without a directory in its name."""
    patch = b"--- g\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
    with pytest.raises(MissingFile):
        bench.apply(bench.tree(FILES), patch)


def test_the_score_of_a_rename_is_told() -> None:
    """For a summary; what cannot be a per cent is none."""
    patch = b"diff --git a/f b/g\nsimilarity index %s%%\nrename from f\nrename to g\n"
    assert parse_patch(patch % b"87").files[0].score == 87
    assert parse_patch(patch % b"870").files[0].score == 0

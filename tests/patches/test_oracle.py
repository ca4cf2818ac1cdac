"""Random trees and edits, with git as the oracle: forwards, backwards, and where the patch does not fit."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tree_author import Author, forms

from patches.diff import DiffFailed, diff_trees
from patches.errors import (
    AmbiguousHunk,
    ContentMismatch,
    HunkMismatch,
    OverlappingParts,
    PatchError,
)
from patches.model import MODE_SYMLINK
from patches.objects import Objects
from patches.oids import EMPTY_TREE
from patches.options import ApplyOptions
from patches.parse import parse_patch
from patches.plan import plan_patch
from patches.tree import Tree

if TYPE_CHECKING:
    from patch_lab import Bench
    from tree_author import Files, Form

    from patches.model import FileChange, Oid

LENIENT = ApplyOptions(lenient=True)
seeds = st.integers(0, 2**32)
several = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def outcome(bench: Bench, tree: Oid, patch: bytes, options: ApplyOptions) -> Oid | PatchError:
    try:
        return bench.apply(tree, patch, options=options).tree
    except PatchError as error:
        return error


def agree(ours: Oid | PatchError, theirs: Oid | None) -> bool:
    """Tell whether both made the same tree, or both refused."""
    return ours == theirs if isinstance(ours, bytes) else theirs is None


@several
@given(seed=seeds, form=forms)
def test_any_patch_of_git_and_its_inverse(bench: Bench, seed: int, form: Form) -> None:
    """Old to new gives the new tree and back gives the old one, however git was asked to write the patch.

    Or we refuse, where git refuses too or gives another tree. The lenient do what git does.
    """
    author = Author(seed)
    before = author.tree()
    after = author.changed(before)
    old, new = bench.tree(before), bench.tree(after)
    patch = bench.diff(old, new, *form.diff, whole=False)
    if not patch:
        return
    for tree, wanted, reverse in ((old, new, False), (new, old, True)):
        theirs = bench.git_apply(tree, patch, *form.flags(reverse=reverse))
        ours = outcome(bench, tree, patch, form.engine(reverse=reverse))
        assert ours == wanted or (isinstance(ours, PatchError) and theirs != wanted)
        if form.breaks and isinstance(ours, PatchError):
            return  # Git may rename a file to a path that has one, and not say what became of that.
        if not (reverse and is_copy(patch)) and not moves_below_symlink(before, after):
            assert agree(outcome(bench, tree, patch, form.engine(reverse=reverse, lenient=True)), theirs)


@several
@given(seed=seeds, form=forms, reverse=st.booleans())
def test_a_patch_on_another_tree_does_what_git_does(
    bench: Bench, seed: int, form: Form, reverse: bool
) -> None:
    """On a tree that has moved on, both refuse or both give the same tree.

    Where only we refuse, it is for one of the reasons that are listed (``is_stricter``), and for
    fewer of them where we are lenient. Whether git and we only *check*, or do it, the answer is the same.
    """
    author = Author(seed)
    before = author.tree()
    after = author.changed(before)
    patch = bench.diff(bench.tree(before), bench.tree(after), *form.diff, whole=False)
    present = author.changed(after if reverse else author.changed(before))
    if not patch or is_left_out(bench, patch, before, after, present, reverse=reverse):
        return
    tree = bench.tree(present)
    theirs = bench.git_apply(tree, patch, *form.flags(reverse=reverse))
    for lenient in (False, True):
        ours = outcome(bench, tree, patch, form.engine(reverse=reverse, lenient=lenient))
        if lenient or not names_are_misread(patch, form):
            assert agree(ours, theirs) or is_stricter(ours, lenient=lenient)


@several
@given(seed=seeds, form=forms)
def test_a_check_says_what_applying_does(bench: Bench, seed: int, form: Form) -> None:
    """The plan of a patch is what it then does, or its refusal, and changes nothing; so is git's own check."""
    author = Author(seed)
    before = author.tree()
    after = author.changed(before)
    patch = bench.diff(bench.tree(before), bench.tree(after), *form.diff, whole=False)
    present = author.changed(before)
    if not patch or is_left_out(bench, patch, before, after, present, reverse=False):
        return
    oid = bench.tree(present)
    options = form.engine(lenient=True)
    tree = Tree(Objects(bench.repository), oid)
    planned = plan(tree, patch, options)
    assert tree.write() == oid
    theirs = bench.git_apply(oid, patch, "--check", *form.flags())
    if isinstance(planned, PatchError):
        assert type(outcome(bench, oid, patch, options)) is type(planned)
        # Git's check may pass what git then refuses (`test_a_check_passes_only_what_applies`).
        really = None if theirs is None else bench.git_apply(oid, patch, *form.flags())
        assert really is None or is_stricter(planned, lenient=True)
    else:
        assert bench.apply(oid, patch, options=options).changes == planned
        assert theirs == oid


def plan(tree: Tree, patch: bytes, options: ApplyOptions) -> tuple[FileChange, ...] | PatchError:
    try:
        return plan_patch(tree, parse_patch(patch, options), options)
    except PatchError as error:
        return error


def is_copy(patch: bytes) -> bool:
    return b"\ncopy from " in patch


def moves_below_symlink(before: Files, after: Files) -> bool:
    """Tell whether a symlink gave way to a directory, or came in the place of one: git refuses its own patch."""
    links = {path + b"/" for files in (before, after) for path in files if files[path][0] == MODE_SYMLINK}
    return any(path.startswith(link) for files in (before, after) for path in files for link in links)


def is_left_out(
    bench: Bench, patch: bytes, before: Files, after: Files, present: Files, *, reverse: bool
) -> bool:
    """Tell whether git does something else with the patch that docs/patches.md names.

    It takes back no copy, refuses what moves below a symlink, and, before 2.55, sets modes in reverse.
    """
    if moves_below_symlink(before, after) or moves_below_symlink(present, after):
        return True
    return reverse and (is_copy(patch) or not bench.git_keeps_modes)


def names_are_misread(patch: bytes, form: Form) -> bool:
    """Tell whether git takes another file for the renamed one: under a prefix of two components."""
    return form.options.get("strip") == 2 and (is_copy(patch) or b"\nrename from " in patch)


def is_stricter(ours: Oid | PatchError, *, lenient: bool) -> bool:
    """Tell whether we refuse, for a reason that git does not have (see docs/patches.md)."""
    if isinstance(ours, OverlappingParts):
        return True
    if lenient:
        return False
    if isinstance(ours, HunkMismatch):  # A file that goes on after the line that ends it in the patch.
        return ours.want is not None and ours.got is not None and _goes_on(ours.want, ours.got)
    if isinstance(ours, ContentMismatch) and "does not carry it" in ours.reason:
        return True
    return isinstance(ours, AmbiguousHunk)


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

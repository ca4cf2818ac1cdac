"""Names that a folding file system takes for one: fine in a tree, refused before they are written there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from worktree_lab import Lab, symlink

from patches.collisions import find_collisions
from patches.directories import Directories
from patches.worktree_errors import InTheWay

if TYPE_CHECKING:
    from patch_lab import Bench
    from worktree_lab import Files

COLLIDING: dict[str, Files] = {
    "two files": {b"README": b"1\n", b"readme": b"2\n"},
    "in one directory": {b"d/X": b"1\n", b"d/x": b"2\n"},
    "in two directories that are one": {b"D/x": b"1\n", b"d/x": b"2\n"},
    "a symlink for a directory": {b"A": symlink(b".git/hooks"), b"a/post-checkout": b"#!/bin/sh\n"},
    "a file for a directory": {b"deep/a/b": b"1\n", b"deep/A": b"2\n"},
    "letters beyond ASCII": {"\u00c4".encode(): b"1\n", "\u00e4".encode(): b"2\n"},
    "composed and decomposed": {"\u00e9".encode(): b"1\n", "e\u0301".encode(): b"2\n"},
    "ignorable": {"a\u200cb".encode(): b"1\n", b"ab": b"2\n"},
    "sharp s": {"stra\u00dfe".encode(): b"1\n", b"STRASSE": b"2\n"},
}
APART: dict[str, Files] = {
    "other names": {b"README": b"1\n", b"readme.txt": b"2\n"},
    "two spellings of a directory": {b"D/x": b"1\n", b"d/y": b"2\n"},
    "not UTF-8": {b"\xe9": b"1\n", b"\xc9": b"2\n"},
    "one directory": {b"d/x": b"1\n", b"d/y": b"2\n", b"x": b"3\n"},
}


@pytest.fixture
def telling(tmp_path: Path) -> None:
    """Pass over what only a file system that tells letters apart can show."""
    (tmp_path / "telling").touch()
    if (tmp_path / "TELLING").exists():
        pytest.skip("other platform: the file system folds names")


@pytest.mark.usefixtures("telling")
@pytest.mark.parametrize("name", COLLIDING)
def test_a_tree_may_hold_what_a_folding_file_system_cannot(tmp_path: Path, name: str) -> None:
    """Written where names are told apart; refused, and nothing written, where they are not."""
    files = COLLIDING[name]
    assert list(find_collisions(files))
    lab = Lab.create(tmp_path / "apart", {b"a.txt": b"one\n"})
    lab.assert_after(lab.apply(files))
    lab = Lab.create(tmp_path / "folded", {b"a.txt": b"one\n"}, core_ignorecase="true")
    before = sorted(lab.root.iterdir())
    with pytest.raises(InTheWay, match="one and the same file"):
        lab.tree.check(lab.touches(files))
    assert sorted(lab.root.iterdir()) == before


@pytest.mark.parametrize("name", APART)
def test_names_that_only_look_alike_are_no_collision(tmp_path: Path, name: str) -> None:
    """Two spellings of one directory lose nothing."""
    assert not list(find_collisions(APART[name]))
    lab = Lab.create(tmp_path / "folded", {b"a.txt": b"one\n"}, core_ignorecase="true")
    lab.assert_after(lab.apply(APART[name]))


def test_the_file_system_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository that came from elsewhere may have another setting than its file system has."""
    lab = Lab.create(tmp_path / "repo", {b"a.txt": b"one\n"})
    monkeypatch.setattr(Directories, "folds_names", lambda _: True)
    with pytest.raises(InTheWay, match="one and the same file"):
        lab.tree.check(lab.touches({b"b": b"1\n", b"B": b"2\n"}))


@pytest.mark.usefixtures("telling")
def test_one_file_under_both_names_is_a_file_system_that_folds(tmp_path: Path) -> None:
    """Two files of these names are not, nor is a name that nothing has."""
    found: dict[str, bool] = {}
    for name in ("folds", "other", "none"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".git").write_bytes(b"gitdir: x\n")
        if name == "folds":
            (tmp_path / name / ".GIT").hardlink_to(tmp_path / name / ".git")
        elif name == "other":
            (tmp_path / name / ".GIT").write_bytes(b"gitdir: x\n")
        with Directories(os.fsencode(tmp_path / name)) as files:
            found[name] = files.folds_names()
    assert found == {"folds": True, "other": False, "none": False}


def test_a_change_of_letters_alone_is_no_collision(tmp_path: Path) -> None:
    """The old name goes, the new one comes."""
    lab = Lab.create(tmp_path / "repo", {b"README": b"1\n"}, core_ignorecase="true")
    lab.tree.check(lab.touches({b"README": None, b"readme": b"2\n"}))


def test_the_engine_takes_them(bench: Bench) -> None:
    """As Git does: a tree is made on one machine and checked out on another."""
    old = bench.tree({b"README": b"1\n"})
    new = bench.tree({b"README": b"1\n", b"readme": b"2\n", b"ReadMe/x": b"3\n"})
    patch = bench.diff(old, new)
    assert bench.apply(old, patch).tree == new == bench.git_apply(old, patch)

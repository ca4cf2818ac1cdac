"""Moves and canonicalizations as events: checks on the result, and nothing moved where one does not hold."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import Book, File, assert_state, damage, recorded_trees

from ledger.api import Ledger
from ledger.errors import ChecksFailed, StalePlan
from ledger.events import ChecksVerified, PatchApplied
from patches.canonicalization import encode_plan, parse_plan
from patches.checkouts import move_checkouts
from patches.model import MODE_EXECUTABLE, MODE_GITLINK, Entry, FileChange
from patches.moves import BadSource, MoveRefused
from patches.worktree_errors import WorkTreeRefusal

BASE = {
    b"a.txt": File(b"one\n"),
    b"b.txt": File(b"two\n"),
    b"dir/c.txt": File(b"three\n", MODE_EXECUTABLE),
    b"dir/d/e.txt": File(b"four\n"),
}
COMMIT = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com", "commit")


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "repo", BASE)


@pytest.fixture
def ledger(book: Book) -> Iterator[Ledger]:
    with Ledger.open(book.root) as opened:
        yield opened
        for head in opened.runs():
            for v, tree in recorded_trees(opened, head.run).items():
                assert_state(opened, book, head.run, v, tree)
        assert damage(opened) == []


@pytest.mark.parametrize(
    ("sources", "destination", "force"),
    [
        ([b"a.txt"], b"new.txt", False),
        ([b"a.txt", b"b.txt"], b"dir", False),
        ([b"dir"], b"moved", False),
        ([b"dir/d"], b"d", False),
        ([b"a.txt"], b"b.txt", True),
    ],
)
def test_a_move_leaves_what_git_mv_leaves(
    book: Book, ledger: Ledger, tmp_path: Path, sources: list[bytes], destination: bytes, force: bool
) -> None:
    """Index and work tree are those of `git mv` in a clone; it is one event."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(book.root), str(clone)], check=True)
    options = ["-f"] if force else []
    subprocess.run(["git", "mv", *options, "--", *sources, destination], cwd=clone, check=True)
    wanted = subprocess.check_output(["git", "write-tree"], cwd=clone, text=True).strip()
    moved = ledger.move(sources, destination, force=force)
    assert moved.tree == wanted
    book.assert_followed(wanted)
    event = ledger.event(moved.event)
    assert isinstance(event, PatchApplied)
    assert event.cause == "mv"


def test_a_move_that_git_would_refuse_is_refused(book: Book, ledger: Ledger) -> None:
    """Nothing is written, and no run begun."""
    for sources, destination in (([b"a.txt"], b"b.txt"), ([b"nowhere"], b"x"), ([b"dir"], b"dir/d")):
        with pytest.raises(MoveRefused):
            ledger.move(sources, destination)
    assert ledger.runs() == []
    book.assert_followed(book.write_tree(BASE))


def test_what_is_not_recorded_is_never_overwritten(book: Book, ledger: Ledger) -> None:
    """An untracked file at the destination, and an edit of the source."""
    book.put(b"mine", File(b"mine\n"))
    with pytest.raises((MoveRefused, WorkTreeRefusal)):
        ledger.move([b"a.txt"], b"mine", force=True)
    book.put(b"a.txt", File(b"by hand\n"))
    with pytest.raises(WorkTreeRefusal):
        ledger.move([b"a.txt"], b"elsewhere")
    assert book.path(b"mine").read_bytes() == b"mine\n"
    assert book.path(b"a.txt").read_bytes() == b"by hand\n"


def test_checks_that_hold_are_recorded_with_the_move(book: Book, ledger: Ledger) -> None:
    """In the same append, for the state that the move made."""
    ledger.run("tidy", name="tidy")
    count = len(list(ledger.store.frames()))
    ledger.move([b"dir"], b"moved", must_exist=["moved/**"], must_not_exist=["dir/**"])
    assert [frame.n for frame in list(ledger.store.frames())[count:]] == [1, 0]
    (verified,) = [event for event in ledger.events() if isinstance(event, ChecksVerified)]
    assert (verified.tree, verified.state_v) == (
        ledger.history().candidate.tree,
        ledger.history().candidate.v,
    )
    rows = ledger.sql("select rule, pattern, matches, holds from checks order by rule").fetchall()
    assert rows == [("must-exist", "moved/**", 2, True), ("must-not-exist", "dir/**", 0, True)]


def test_a_check_that_fails_changes_nothing_and_is_recorded(book: Book, ledger: Ledger) -> None:
    """Without a run not even that: no run is begun for a move that was not made."""
    with pytest.raises(ChecksFailed, match=r"must not exist: dir/\* matches dir/a\.txt, dir/c\.txt"):
        ledger.move([b"a.txt"], b"dir/a.txt", must_not_exist=["dir/*"])
    assert ledger.runs() == []
    ledger.run("tidy", name="tidy")
    with pytest.raises(ChecksFailed):
        ledger.move([b"a.txt"], b"dir/a.txt", must_not_exist=["dir/*"])
    *_, verified = ledger.events()
    assert isinstance(verified, ChecksVerified)
    assert verified.outcome == "fail"
    book.assert_followed(book.write_tree(BASE))


def test_backups_are_found_below_directories_and_by_any_file_of_a_group(book: Book, ledger: Ledger) -> None:
    """Several paths may be named; a name that only begins alike is another directory."""
    backups = [b"a.txt.bak", b"dir/c.txt.orig", b"dir2/d.txt", b"dir2/d.txt~"]
    ledger.apply(
        book.diff(book.write_tree(BASE), book.write_tree({**BASE, **{b: File(b"old\n") for b in backups}}))
    )

    def canonical(*paths: bytes) -> list[bytes]:
        return [group.canonical for group in ledger.find_backups(paths)[1]]

    assert canonical() == canonical(b".") == [b"a.txt", b"dir/c.txt", b"dir2/d.txt"]
    assert canonical(b"dir/") == canonical(b"dir") == [b"dir/c.txt"]
    assert canonical(b"a.txt.bak", b"dir2") == [b"a.txt", b"dir2/d.txt"]
    assert canonical(b"nowhere") == []


def test_a_plan_made_for_another_tree_is_refused(book: Book, ledger: Ledger) -> None:
    """Nothing is written: what it says of each file may be wrong by now."""
    files = {**BASE, b"a.txt.bak": File(b"one, before\n")}
    ledger.apply(book.diff(book.write_tree(BASE), book.write_tree(files)))
    tree, groups = ledger.find_backups()
    plan = parse_plan(encode_plan(groups, tree=bytes.fromhex(tree)))
    ledger.apply(book.diff(book.write_tree(files), book.write_tree({**files, b"x": File(b"x\n")})))
    with pytest.raises(StalePlan):
        ledger.canonicalize(plan)
    book.assert_followed(book.write_tree({**files, b"x": File(b"x\n")}))


def test_what_would_move_is_said_and_nothing_written(book: Book) -> None:
    """As `git mv -n`: no run, no ledger; and what cannot be moved is refused as it would be."""
    with Ledger.open(book.root) as ledger:
        (change,) = ledger.plan_move([b"a.txt"], b"elsewhere")
        assert (change.operation, change.old_path, change.path) == ("rename", b"a.txt", b"elsewhere")
        with pytest.raises(MoveRefused):
            ledger.plan_move([b"a.txt"], b"b.txt")
        assert ledger.plan_move([b"a.txt"], b"b.txt", skip_errors=True) == ()
    assert not (book.root / ".git/ledger").exists()
    book.assert_followed(book.write_tree(BASE))


def test_a_submodule_s_checkout_goes_along(tmp_path: Path, book: Book) -> None:
    """With its edits and with the submodules in it, and Git finds all of their repositories."""
    git = partial(subprocess.run, check=True, capture_output=True)
    allowed = ("git", "-c", "protocol.file.allow=always")
    for name, inner in (("inner", None), ("outer", "inner")):
        git(["git", "init", "-q", tmp_path / name])
        (tmp_path / name / "file").write_text(name)
        if inner is not None:
            git([*allowed, "submodule", "add", "-q", tmp_path / inner, "lib/in"], cwd=tmp_path / name)
        git(["git", "add", "."], cwd=tmp_path / name)
        git([*COMMIT, "-qm", "x"], cwd=tmp_path / name)
    git([*allowed, "submodule", "add", "-q", tmp_path / "outer", "sub"], cwd=book.root)
    git([*allowed, "submodule", "update", "-q", "--init", "--recursive"], cwd=book.root)
    git([*COMMIT, "-qm", "submodule"], cwd=book.root)
    (book.root / "sub/mine").write_text("mine\n")
    (book.root / "deep/er").mkdir(parents=True)
    with Ledger.open(book.root) as ledger:
        assert ledger.move([b"sub"], b"deep/er/sub").warnings == ()
    assert not (book.root / "sub").exists()
    assert (book.root / "deep/er/sub/mine").read_text() == "mine\n"
    for place in ("deep/er/sub", "deep/er/sub/lib/in"):
        top = git(["git", "rev-parse", "--show-toplevel"], cwd=book.root / place).stdout
        assert top.decode().strip() == os.path.realpath(book.root / place)
    status = git(["git", "submodule", "status", "--recursive"], cwd=book.root).stdout.decode()
    assert [line[0] for line in status.splitlines()] == [" ", " "], status
    assert git(["git", "status", "--porcelain"], cwd=book.root / "deep/er/sub").stdout == b"?? mine\n"


def test_a_checkout_that_cannot_go_along_is_said(book: Book) -> None:
    """The entry has moved; the files are where they were."""
    git = partial(subprocess.run, check=True, capture_output=True, cwd=book.root)
    git(["git", "init", "-q", "sub"])
    git([*COMMIT, "-q", "--allow-empty", "-m", "x"], cwd=book.root / "sub")
    git(["git", "-c", "advice.addEmbeddedRepo=false", "add", "sub"])
    git([*COMMIT, "-qm", "submodule"])
    moved = FileChange(b"there/sub", "rename", None, Entry(MODE_GITLINK, b"1" * 20), b"sub")
    (book.root / "there/sub").mkdir(parents=True)
    (book.root / "there/sub/mine").touch()
    (remark,) = move_checkouts(os.fsencode(book.root), [moved])
    assert remark.startswith("the checkout of submodule there/sub stays behind: ")
    assert (book.root / "sub/.git").is_dir()


def test_the_directory_that_a_source_was_in_stays(book: Book, ledger: Ledger) -> None:
    """As with `git mv`: the next move may go there. One that was moved itself is gone."""
    ledger.move([b"dir/d"], b"moved")
    ledger.move([b"dir/c.txt"], b"c.txt")
    assert sorted(os.listdir(book.root)) == [".git", "a.txt", "b.txt", "c.txt", "dir", "moved"]
    assert ledger.move([b"a.txt"], b"dir").files[0].path == b"dir/a.txt"


def test_a_moved_submodule_that_gitmodules_does_not_know_is_said(book: Book, ledger: Ledger) -> None:
    """Git's next update would look for it where it was."""
    other = b'[submodule "other"]\n\tpath = other\n\turl = ./other\n'
    files = {**BASE, b".gitmodules": File(other), b"sub": File(b"1" * 40, MODE_GITLINK)}
    ledger.apply(book.diff(book.write_tree(BASE), book.write_tree(files)))
    moved = ledger.move([b"sub"], b"elsewhere")
    assert moved.warnings == ("Could not find section in .gitmodules where path=sub",)


def test_a_source_in_conflict_is_named_as_such(book: Book, ledger: Ledger) -> None:
    """It is in the index only, unmerged."""
    oid = book.line("hash-object", "-w", "a.txt")
    book.git("update-index", "--index-info", data=f"100644 {oid} 1\tconflict\n".encode())
    with pytest.raises(BadSource, match="conflicted"):
        ledger.move([b"conflict"], b"x")
    book.git("reset", "--quiet")

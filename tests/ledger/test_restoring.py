"""Restoring: the files of an event come back, on top of everything since, and nothing of anybody's is lost."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import IDENTITY, Book, File, assert_state, damage, recorded_trees
from gatebook import Edit, edited

from ledger.api import Ledger
from ledger.applyflags import ApplyFlags
from ledger.errors import SecretFound, UnresolvedConflicts
from ledger.events import PatchApplied
from ledger.reference_errors import NoSuchPath
from ledger.travel_errors import PathInTheWay, StateUnavailable
from patches.model import MODE_EXECUTABLE, MODE_SYMLINK
from patches.worktree_errors import DirtyPath, InTheWay, WorkTreeRefusal

BASE = {b".gitignore": File(b"*.ignored\n"), b"a": File(b"a\n" * 9), b"b": File(b"b\n"), b"d/c": File(b"c\n")}
EVERYTHING: dict[bytes, File | None] = {
    b"a": File(b"now\nanother\n", MODE_EXECUTABLE),
    b"b": File(b"a", MODE_SYMLINK),
    b"d/c": None,
    b"d": File(b"a file where a directory was\n"),
    b"deep/er/blob": File(bytes(range(256))),
    b"caf\xe9": File(b"latin\n"),
}


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
    return Book(tmp_path / "repo", BASE)


@pytest.fixture
def ledger(book: Book) -> Iterator[Ledger]:
    with Ledger.open(book.root) as opened:
        yield opened


def change(book: Book, ledger: Ledger, edit: Edit) -> str:
    """Apply a patch that makes an edit of what lies in the work tree; return its event."""
    before = book.work_files()
    patch = book.diff(book.write_tree(before), book.write_tree(edited(before, edit)))
    return ledger.apply(patch).event


def test_every_state_of_a_run_comes_back_exactly(book: Book, ledger: Ledger) -> None:
    """Modes, symlinks, a directory that became a file, bytes: work tree, index, fold, SQL and replay; undone by one."""
    change(book, ledger, EVERYTHING)
    ledger.move([b"a"], b"moved")
    ledger.undo()
    change(book, ledger, {path: None for path in EVERYTHING if path != b"d/c"} | {b"only": File(b"left\n")})
    (run,) = (head.run for head in ledger.runs())
    trees = recorded_trees(ledger, run)
    for v, tree in trees.items():
        before = ledger.tree()
        restored = ledger.restore(f"{run}:{v}", note="back")
        assert restored.tree == tree
        assert restored.left_alone == ()
        book.assert_followed(tree)
        if not restored.already:
            event = ledger.event(restored.event)
            assert isinstance(event, PatchApplied)
            assert (event.cause, event.source, event.base_tree) == ("restore", f"{run}:{v}", before)
            assert ledger.undo().tree == before
            book.assert_followed(before)
    for v, tree in recorded_trees(ledger, run).items():
        assert_state(ledger, book, run, v, tree)
    assert damage(ledger) == []


def test_a_state_that_is_there_is_no_event(book: Book, ledger: Ledger) -> None:
    """And an edit of one's own stays, there too."""
    event = change(book, ledger, {b"a": File(b"one\n")})
    book.put(b"b", File(b"mine\n"))
    count = len(list(ledger.events()))
    restored = ledger.restore("@")
    assert (restored.already, restored.event, restored.back) == (True, event, "")
    assert len(list(ledger.events())) == count
    assert book.work_files()[b"b"] == File(b"mine\n")


@pytest.mark.parametrize(
    ("paths", "files"),
    [
        ([b"a"], {b"a": BASE[b"a"], b"d/c": File(b"two\n"), b"d/n": File(b"new\n")}),
        ([b"d"], {b"a": File(b"one\n"), b"d/c": BASE[b"d/c"]}),
        ([b"d/n"], {b"a": File(b"one\n"), b"d/c": File(b"two\n")}),
        ([b"a", b"d/c"], {b"a": BASE[b"a"], b"d/c": BASE[b"d/c"], b"d/n": File(b"new\n")}),
        ([b"."], {b"a": BASE[b"a"], b"d/c": BASE[b"d/c"]}),
    ],
)
def test_paths_alone(book: Book, ledger: Ledger, paths: list[bytes], files: dict[bytes, File]) -> None:
    """A file, a directory with all below it, one that was not there, several, all."""
    change(book, ledger, {b"a": File(b"one\n"), b"d/c": File(b"two\n"), b"d/n": File(b"new\n")})
    ledger.restore("1", paths)
    rest = {path: BASE[path] for path in (b".gitignore", b"b")}
    assert book.work_files() == rest | files
    book.assert_followed(book.write_tree(rest | files))


def test_paths_that_are_none_or_cannot_be_alone(book: Book, ledger: Ledger) -> None:
    """Nothing is written: of a path that neither has, and where a file is in the place of its directory."""
    change(book, ledger, {b"d/c": None, b"d": File(b"a file\n")})
    with pytest.raises(NoSuchPath):
        ledger.restore("1", [b"nothing"])
    with pytest.raises(PathInTheWay):
        ledger.restore("1", [b"d/c"])
    assert ledger.restore("1", [b"d"]).tree == book.write_tree(BASE)


@pytest.mark.parametrize(
    ("path", "error"), [(b"a", DirtyPath), (b"gone", InTheWay), (b"gone.ignored", InTheWay)]
)
def test_nothing_that_is_not_recorded_is_overwritten(
    book: Book, ledger: Ledger, path: bytes, error: type[WorkTreeRefusal]
) -> None:
    """An edited file, an untracked one, an ignored one: it stops, and all of it is as it was."""
    change(book, ledger, {b"a": File(b"one\n"), b"gone": File(b"x\n"), b"gone.ignored": File(b"x\n")})
    change(book, ledger, {b"a": File(b"two\n"), b"gone": None, b"gone.ignored": None})
    book.put(path, File(b"mine\n"))
    before, events = book.work_files(), len(list(ledger.events()))
    with pytest.raises(error):
        ledger.restore("3")
    assert book.work_files() == before
    assert len(list(ledger.events())) == events
    # A path that is not asked for is in nobody's way.
    assert ledger.restore("3", [b"a" if path != b"a" else b"gone"]).files
    assert book.work_files()[path] == File(b"mine\n")


def test_a_state_of_another_run_comes_as_a_patch_of_this_one(book: Book, ledger: Ledger) -> None:
    """Where none is open one is begun."""
    event = change(book, ledger, {b"a": File(b"one\n"), b"n": File(b"new\n")})
    tree = ledger.tree(event)
    ledger.finish()
    book.git("reset", "--quiet", "--hard")
    restored = ledger.restore(event)
    assert restored.started
    assert restored.tree == tree
    book.assert_followed(tree)
    ledger.undo()
    assert book.work_files() == BASE
    assert damage(ledger) == []


def test_a_run_of_another_clone(book: Book, ledger: Ledger, tmp_path: Path) -> None:
    """Imported, its states are made from base and patches, also where they went; without the base it says what is missing."""
    other = tmp_path / "other"
    shutil.copytree(book.root, other, symlinks=True)
    with Ledger.open(other) as guest:
        with guest.run("guest", name="guest") as run:
            applied = run.apply(book.diff("HEAD", book.write_tree({**BASE, b"n": File(b"theirs\n")})))
        guest.export_runs(["guest"], tmp_path / "guest.zip")
    ledger.import_runs(tmp_path / "guest.zip")
    for name in book.line("for-each-ref", "--format=%(refname)", "refs/ledger").split():
        book.git("update-ref", "-d", name)
    book.git("gc", "--quiet", "--prune=now")
    assert ledger.restore(applied.event).tree == applied.tree
    assert book.work_files()[b"n"] == File(b"theirs\n")


def test_a_base_that_is_gone_is_named(book: Book, ledger: Ledger) -> None:
    """A state that cannot be made: which commit to fetch."""
    book.git("commit", "--quiet", "--allow-empty", "-m", "one")
    event = change(book, ledger, {b"a": File(b"one\n")})
    base = book.line("rev-parse", "HEAD")
    ledger.finish()
    book.git(
        "update-ref", "HEAD", book.line("commit-tree", "-m", "other", book.write_tree({b"z": File(b"z")}))
    )
    book.git("reset", "--quiet", "--hard")
    for name in book.line("for-each-ref", "--format=%(refname)", "refs/ledger").split():
        book.git("update-ref", "-d", name)
    book.git("reflog", "expire", "--expire=now", "--all")
    book.git("gc", "--quiet", "--prune=now")
    with Ledger.open(book.root) as again, pytest.raises(StateUnavailable) as missing:
        again.restore(event)
    assert base in missing.value.hint


def test_secrets_stop_it_as_they_stop_any_patch(book: Book, ledger: Ledger) -> None:
    """What was allowed once is asked for once more where it comes back."""
    secret = b'key = "AKIA' + b"Q7W3E5R8T2Y6U4I9" + b'"\n'
    patch = book.diff("HEAD", book.write_tree({**BASE, b"s": File(secret)}))
    event = ledger.apply(patch, allow_secrets=True).event
    change(book, ledger, {b"s": None})
    with pytest.raises(SecretFound):
        ledger.restore(event)
    assert ledger.restore(event, allow_secrets=True).secrets
    ledger.undo()
    assert ledger.redo().secrets


def test_a_conflict_of_another_run_is_one_here(book: Book, ledger: Ledger) -> None:
    """A file that a merge left with markers comes back as in conflict: no gate measures it."""
    ours, theirs = File(b"ours\n" + b"a\n" * 8), File(b"theirs\n" + b"a\n" * 8)
    patch = book.diff("HEAD", book.write_tree({**BASE, b"a": theirs}))
    change(book, ledger, {b"a": ours})
    merged = ledger.apply(patch, flags=ApplyFlags(three_way=True, conflicts="keep"))
    assert merged.conflicts
    ledger.finish(abandon=True)
    book.git("reset", "--quiet", "--hard")
    restored = ledger.restore(merged.event)
    assert len(restored.conflicts) == 1
    with pytest.raises(UnresolvedConflicts):
        ledger.gate()


def test_in_a_bare_repository(book: Book, ledger: Ledger, tmp_path: Path) -> None:
    """Without a work tree the run alone goes there and back."""
    bare = tmp_path / "bare.git"
    book.git("clone", "--quiet", "--bare", str(book.root), str(bare))
    patch = book.diff("HEAD", book.write_tree({**BASE, b"a": File(b"one\n")}))
    with Ledger.open(bare) as there:
        tree = there.apply(patch).tree
        base = there.restore("1").tree
        assert base == book.line("rev-parse", "HEAD^{tree}")
        assert there.undo().tree == tree
        assert there.redo().tree == base
        assert damage(there) == []

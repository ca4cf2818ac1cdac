"""Recording edits made by hand: whatever Git would add, exactly, with the work tree left as it is."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import Book, File, Files, damage

from ledger.api import Ledger
from ledger.errors import GitFailed, ProjectionPending
from ledger.run import RunLog
from patches.model import MODE_EXECUTABLE, MODE_SYMLINK
from patches.worktree import WorkTree

BASE: Files = {
    b"a.txt": File(b"one\ntwo\nthree\n"),
    b"b.txt": File(b"bee\n"),
    b"dir/c.txt": File(b"sea\n"),
    b".gitignore": File(b"*.log\n"),
}


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "repo", BASE)


@pytest.fixture
def ledger(book: Book) -> Iterator[Ledger]:
    with Ledger.open(book.root) as opened:
        yield opened


def snapshot(book: Book) -> str:
    """Return the tree of ``git add --all`` in a copy of the index: the oracle."""
    index = book.root / ".git/index"
    copy = book.root / ".git/oracle-copy"
    copy.write_bytes(index.read_bytes())
    book.git("add", "--all", index=copy)
    tree = book.git("write-tree", index=copy).decode().strip()
    copy.unlink()
    return tree


def record(book: Book, ledger: Ledger) -> dict[bytes, str]:
    """Record, check the tree against Git's, and return what happened to each path."""
    wanted, before = snapshot(book), book.work_files()
    applied = ledger.record()
    assert applied.tree == wanted
    assert book.work_files() == before
    assert ledger.status().drift == ()
    assert damage(ledger) == []
    return {file.path: file.operation for file in applied.files}


def test_every_kind_of_edit(book: Book, ledger: Ledger) -> None:
    """Edited, new, deleted, made executable, symlinked; ignored files are none of the ledger's business."""
    book.put(b"a.txt", File(b"edited\n", MODE_EXECUTABLE))
    book.put(b"b.txt", None)
    book.put(b"dir/c.txt", File(b"../a.txt", MODE_SYMLINK))
    book.put(b"caf\xe9/n", File(b"\0binary\xff"))
    book.put(b"x.log", File(b"ignored\n"))
    assert record(book, ledger) == {
        b"a.txt": "modify",
        b"b.txt": "delete",
        b"dir/c.txt": "modify",
        b"caf\xe9/n": "add",
    }
    assert [line for line in book.status() if line[1:2] != b" "] == []


def test_nothing_to_record(book: Book, ledger: Ledger) -> None:
    """No event and no run, also right after recording."""
    applied = ledger.record()
    assert (applied.already, applied.event, ledger.runs()) == (True, "", [])
    book.put(b"a.txt", File(b"x\n"))
    first = ledger.record()
    again = ledger.record()
    assert (again.already, again.event) == (True, first.event)


def test_an_edit_of_the_same_size_within_one_tick(book: Book, ledger: Ledger) -> None:
    """Stat fields that lie do not hide an edit that was made just after a patch."""
    for number in range(5):
        before, after = b"%03d\n" % number, b"%03d\n" % (number + 500)
        start = {**BASE, b"a.txt": File(before)}
        book.put(b"a.txt", File(before))
        ledger.record()
        end = {**BASE, b"a.txt": File(after)}
        ledger.apply(book.diff(book.write_tree(start), book.write_tree(end)))
        book.path(b"a.txt").write_bytes(b"%03d\n" % (number + 700))
        assert record(book, ledger) == {b"a.txt": "modify"}


def test_line_endings_by_attribute(book: Book, ledger: Ledger) -> None:
    """A file that only got the line endings that Git would give it is no edit."""
    book.put(b".gitattributes", File(b"*.txt text eol=crlf\n"))
    book.put(b"a.txt", File(b"one\r\ntwo\r\nthree\r\n"))
    assert record(book, ledger) == {b".gitattributes": "add"}
    book.put(b"a.txt", File(b"one\r\n2\r\nthree\r\n"))
    assert record(book, ledger) == {b"a.txt": "modify"}


def test_content_filters(book: Book, ledger: Ledger) -> None:
    """What `clean` makes of the work tree is recorded, and what `smudge` makes of it is written."""
    book.git("config", "filter.rot.clean", "tr a-y b-z")
    book.git("config", "filter.rot.smudge", "tr b-z a-y")
    book.put(b".gitattributes", File(b"*.rot filter=rot\n"))
    book.put(b"x.rot", File(b"abc\n"))
    record(book, ledger)
    tree = ledger.runs()[0].tree
    assert book.git("cat-file", "blob", f"{tree}:x.rot") == b"bcd\n"
    start = {**BASE, b".gitattributes": File(b"*.rot filter=rot\n"), b"x.rot": File(b"bcd\n")}
    end = {**start, b"x.rot": File(b"bcde\n")}
    ledger.apply(book.diff(book.write_tree(start), book.write_tree(end)))
    assert book.path(b"x.rot").read_bytes() == b"abcd\n"
    book.assert_followed(book.write_tree(end))


def test_a_failing_filter_records_nothing(book: Book, ledger: Ledger) -> None:
    """Git's own words are passed on."""
    book.git("config", "filter.bad.clean", "false")
    book.git("config", "filter.bad.required", "true")
    book.put(b".gitattributes", File(b"*.bad filter=bad\n"))
    book.put(b"x.bad", File(b"abc\n"))
    with pytest.raises(GitFailed, match=r"x\.bad"):
        ledger.record()
    assert ledger.runs() == []


def _nested(book: Book, path: str) -> str:
    book.git("init", "--quiet", "--template=", path)
    book.git("-C", path, "commit", "--quiet", "--allow-empty", "-m", "nested")
    return book.line("-C", path, "rev-parse", "HEAD")


def test_a_nested_repository_is_a_submodule(book: Book, ledger: Ledger) -> None:
    """As for `git add`: its commit is recorded, none of its files; a new commit is an edit."""
    first = _nested(book, "nested")
    book.put(b"nested/file", File(b"not ours\n"))
    assert record(book, ledger) == {b"nested": "add"}
    assert book.listing(ledger.runs()[0].tree)[b"nested"].oid.hex() == first
    book.git("-C", "nested", "commit", "--quiet", "--allow-empty", "-m", "more")
    assert record(book, ledger) == {b"nested": "modify"}
    assert book.path(b"nested/file").read_bytes() == b"not ours\n"


def test_a_nested_repository_without_a_commit(book: Book, ledger: Ledger) -> None:
    """Git cannot add it: `record` passes on what Git says, and `status` still shows the rest."""
    book.git("init", "--quiet", "--template=", "nested")
    book.put(b"nested/file", File(b"not ours\n"))
    book.put(b"a.txt", File(b"edited\n"))
    with pytest.raises(GitFailed, match="nested"):
        ledger.record()
    assert ledger.runs() == []
    assert [drift.path for drift in ledger.status().drift] == [b"a.txt"]


def test_staged_content_that_was_edited_again(book: Book, ledger: Ledger) -> None:
    """The work tree is what counts; the staged version stays in the index and is reported."""
    book.put(b"a.txt", File(b"staged\n"))
    book.git("add", "a.txt")
    book.put(b"a.txt", File(b"edited again\n"))
    applied = ledger.record()
    assert book.listing(applied.tree)[b"a.txt"].oid.hex() == book.line("hash-object", "a.txt")
    assert [left.path for left in applied.left_alone] == [b"a.txt"]
    assert book.git("cat-file", "blob", ":a.txt") == b"staged\n"


def test_after_a_mixed_reset(book: Book, ledger: Ledger) -> None:
    """The index went back, the work tree did not: `record` lets the index follow and patches apply again."""
    edited = {**BASE, b"a.txt": File(b"x\n"), b"new": File(b"new\n")}
    ledger.apply(book.diff(book.write_tree(BASE), book.write_tree(edited)))
    book.git("reset", "--quiet")
    ledger.record()
    book.assert_followed(book.write_tree(edited))
    after = {**edited, b"a.txt": File(b"y\n")}
    ledger.apply(book.diff(book.write_tree(edited), book.write_tree(after)))
    book.assert_followed(book.write_tree(after))


@pytest.mark.parametrize("moment", ["whole", "crash"])
@pytest.mark.parametrize("kept", [b"dir.log", b"link/inner.log"], ids=["beside", "inside"])
def test_a_directory_in_the_place_of_a_recorded_file(
    book: Book, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, kept: bytes, moment: str
) -> None:
    """The file is gone, whatever took its place: its index entry goes, nothing is called left alone."""
    book.put(b"link", File(b"nowhere", MODE_SYMLINK))
    ledger.record()  # Not HEAD's: only the drift itself can say that the entry has to go.
    book.put(b"link", None)
    book.put(b"link/x", File(b"x\n"))
    book.put(kept, File(b"ignored\n"))
    wanted = snapshot(book)
    if moment == "crash":
        monkeypatch.setattr(WorkTree, "adopt", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ledger.record()
        monkeypatch.undo()
    assert ledger.record().left_alone == ()
    book.assert_followed(wanted)
    book.put(b"link/x", None)
    assert ledger.record().left_alone == ()
    assert damage(ledger) == []


def test_a_directory_that_an_edit_emptied(book: Book, ledger: Ledger) -> None:
    """Git keeps no empty directory, but it is the user's: recording removes nothing."""
    book.path(b"dir/c.txt").unlink()
    assert record(book, ledger) == {b"dir/c.txt": "delete"}
    assert book.path(b"dir").is_dir()


def test_an_edit_after_a_mixed_reset(book: Book, ledger: Ledger) -> None:
    """The index went back to HEAD and the file went on: the index follows, and nobody is warned of it."""
    edited = {**BASE, b"a.txt": File(b"x\n")}
    ledger.apply(book.diff(book.write_tree(BASE), book.write_tree(edited)))
    book.git("reset", "--quiet")
    book.put(b"a.txt", File(b"y\n"))
    assert ledger.record().left_alone == ()
    book.assert_followed(book.write_tree({**BASE, b"a.txt": File(b"y\n")}))


def test_an_index_that_cannot_follow_says_what_is_recorded(book: Book, ledger: Ledger) -> None:
    """The edit is an event, whatever keeps the index back; the next `record` lets it follow."""
    edited = {**BASE, b"a.txt": File(b"x\n")}
    ledger.apply(book.diff(book.write_tree(BASE), book.write_tree(edited)))
    book.git("reset", "--quiet")
    book.put(b"b.txt", File(b"y\n"))
    lock = book.root / ".git/index.lock"
    lock.touch()
    with pytest.raises(ProjectionPending) as caught:
        ledger.record()
    assert caught.value.event == ledger.runs()[0].run + ":4"
    lock.unlink()
    assert ledger.record().already
    book.assert_followed(book.write_tree({**edited, b"b.txt": File(b"y\n")}))


@pytest.mark.parametrize("name", ["GIT_LITERAL_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_NOGLOB_PATHSPECS"])
def test_what_an_outer_git_command_was_told(
    book: Book, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """`git --literal-pathspecs …` hands its option on to the hooks that it calls; it is not ours."""
    book.put(b"a.txt", File(b"x\n"))
    wanted = snapshot(book)
    monkeypatch.setenv(name, "1")
    assert ledger.record().tree == wanted


def test_an_odd_place(tmp_path: Path) -> None:
    """A repository whose path has colons, quotes, spaces and bytes that are not UTF-8."""
    place = tmp_path / os.fsdecode(b'a:b "c" \xe9 %')
    book = Book(place, BASE)
    with Ledger.open(place) as ledger:
        book.put(b"a.txt", File(b"x\n"))
        assert [drift.path for drift in ledger.status().drift] == [b"a.txt"]
        assert record(book, ledger) == {b"a.txt": "modify"}
        assert ledger.sql("select count(*) from events").fetchall() == [(3,)]


def test_no_hook_runs(book: Book, ledger: Ledger) -> None:
    """Looking for drift is reading: Git's hooks on index changes are not called."""
    hooks = book.root / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    hook = hooks / "post-index-change"
    hook.write_text(f"#!/bin/sh\ntouch {book.root}/called.log\n")
    hook.chmod(0o755)
    book.put(b"a.txt", File(b"x\n"))
    ledger.status()
    ledger.record()
    assert not (book.root / "called.log").exists()


def test_variables_of_an_outer_git_command(
    book: Book, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside a hook GIT_DIR and GIT_INDEX_FILE name other things; they are not followed."""
    other = Book(tmp_path / "other", {b"other": File(b"other\n")})
    book.put(b"a.txt", File(b"x\n"))
    wanted = snapshot(book)
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.root / ".git/index"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.root))
    assert ledger.record().tree == wanted


@pytest.mark.parametrize("moment", ["snapshot", "crash"])
def test_an_edit_taken_back_is_never_brought_back(
    book: Book, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Recording leaves the work tree alone: what a person put back meanwhile, or after a crash, stays so."""
    book.path(b"a.txt").write_bytes(b"recorded\n")
    book.path(b"b.txt").unlink()
    book.path(b"new.txt").write_bytes(b"new\n")
    append = RunLog.append

    def take_back(log: RunLog, *events: Any) -> Any:
        appended = append(log, *events)
        book.path(b"a.txt").write_bytes(b"one\ntwo\nthree\n")
        book.path(b"b.txt").write_bytes(b"bee\n")
        book.path(b"new.txt").unlink()
        if moment == "crash":
            raise KeyboardInterrupt
        return appended

    monkeypatch.setattr(RunLog, "append", take_back)
    if moment == "crash":
        with pytest.raises(KeyboardInterrupt):
            ledger.record()
    else:
        ledger.record()
    monkeypatch.undo()
    ledger.finish()
    assert book.path(b"a.txt").read_bytes() == b"one\ntwo\nthree\n"
    assert book.path(b"b.txt").read_bytes() == b"bee\n"
    assert not book.path(b"new.txt").exists()
    assert damage(ledger) == []

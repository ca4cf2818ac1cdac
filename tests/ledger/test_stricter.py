"""Where git apply is wrong without a word: what it does, and what the ledger does instead."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import IDENTITY, Book, File, Files

from ledger.api import Ledger
from ledger.applyflags import ApplyFlags
from patches.errors import AmbiguousHunk, ContradictoryNames, MergeConflict, PatchError, PatchSyntaxError
from patches.model import MODE_EXECUTABLE, MODE_GITLINK

LINES = b"".join(b"%d\n" % n for n in range(1, 9))
BASE: Files = {
    b"a.txt": File(LINES),
    b"b.txt": File(b"bee\n"),
    b"crlf.txt": File(b"one\r\ntwo\r\nthree\r\n"),
    b"rows.txt": File(b"head\nrow\nend\n\nrow\nend\n"),
    b"dir/c.txt": File(b"sea\n"),
}


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "repo", BASE)


@pytest.fixture
def ledger(book: Book) -> Iterator[Ledger]:
    with Ledger.open(book.root) as opened:
        yield opened


def git_apply(book: Book, data: bytes, *flags: str, inside: str = "") -> bool:
    """Let git apply a patch to the work tree, and return whether it says that all is well."""
    done = subprocess.run(
        ["git", "apply", *flags, "-"],
        cwd=book.root / inside,
        input=data,
        capture_output=True,
        env=os.environ | IDENTITY,
        check=False,
    )
    return done.returncode == 0


def restore(book: Book) -> None:
    book.git("reset", "--quiet", "--hard")
    book.git("clean", "-fdq")


def read(book: Book, path: bytes) -> bytes:
    return book.path(path).read_bytes()


def between(book: Book, old: Files, new: Files) -> bytes:
    return book.diff(book.write_tree(old), book.write_tree(new))


def test_a_hunk_longer_than_its_header_says(book: Book, ledger: Ledger) -> None:
    """Git takes the rest of the hunk for prose and loses it; here it is counted anew, or refused."""
    data = b"--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,2 @@\n 1\n-2\n 3\n+three and a half\n 4\n"
    assert git_apply(book, data)
    assert b"three and a half" not in read(book, b"a.txt")
    restore(book)
    applied = ledger.apply(data)
    assert applied.normalised
    assert read(book, b"a.txt") == LINES.replace(b"2\n3\n", b"3\nthree and a half\n")


def test_a_hunk_shorter_than_its_header_says(book: Book, ledger: Ledger) -> None:
    """Git refuses it as corrupt; here the lines are counted."""
    data = b"--- a/a.txt\n+++ b/a.txt\n@@ -1,9 +1,3 @@\n 1\n-2\n+zwei\n 3\n"
    assert not git_apply(book, data)
    assert ledger.apply(data).normalised == ("recounted",)
    assert read(book, b"a.txt") == LINES.replace(b"2\n", b"zwei\n")


def test_lf_patch_for_a_crlf_file(book: Book, ledger: Ledger) -> None:
    """Git refuses it, and with --ignore-whitespace mixes line endings; here the file keeps its own."""
    data = b"--- a/crlf.txt\n+++ b/crlf.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+zwei\n three\n"
    assert not git_apply(book, data)
    assert git_apply(book, data, "--ignore-whitespace")
    assert read(book, b"crlf.txt") == b"one\r\nzwei\nthree\r\n"
    restore(book)
    ledger.apply(data)
    assert read(book, b"crlf.txt") == b"one\r\nzwei\r\nthree\r\n"
    ledger.undo()
    ledger.apply(data, flags=ApplyFlags(ignore_whitespace=True))
    assert read(book, b"crlf.txt") == b"one\r\nzwei\r\nthree\r\n"


def test_byte_order_mark_before_the_first_header(book: Book, ledger: Ledger) -> None:
    """Git passes the first header over, and with it the new mode; here the mark is taken off."""
    after = {**BASE, b"a.txt": File(LINES.replace(b"2\n", b"zwei\n"), MODE_EXECUTABLE)}
    data = b"\xef\xbb\xbf" + between(book, BASE, after)
    assert git_apply(book, data)
    assert book.work_files()[b"a.txt"].mode != MODE_EXECUTABLE
    restore(book)
    applied = ledger.apply(data)
    assert applied.tree == book.write_tree(after)
    assert applied.normalised == ("byte order mark",)


def test_names_of_two_files_without_a_rename(book: Book, ledger: Ledger) -> None:
    """Git deletes one and overwrites the other; here that is refused."""
    data = b"--- a/a.txt\n+++ b/b.txt\n@@ -1,3 +1,3 @@\n 1\n-2\n+zwei\n 3\n"
    before = book.work_files()
    git_apply(book, data)
    wrong = book.work_files()
    assert wrong != {**before, b"a.txt": File(LINES.replace(b"2\n", b"zwei\n"))}
    restore(book)
    with pytest.raises(ContradictoryNames):
        ledger.apply(data)
    assert book.work_files() == before


def test_a_change_of_a_submodule(book: Book, ledger: Ledger) -> None:
    """Git says that all is well and records nothing; here it is a change as any other."""
    old, new = "1" * 40, "2" * 40
    base: Files = {**BASE, b"lib": File(old.encode(), MODE_GITLINK)}
    after: Files = {**BASE, b"lib": File(new.encode(), MODE_GITLINK)}
    commit = book.git("commit-tree", "-m", "lib", book.write_tree(base), "-p", "HEAD").decode().strip()
    book.git("reset", "--quiet", "--hard", commit)
    data = between(book, base, after)
    assert git_apply(book, data)
    assert book.line("ls-files", "-s", "lib").split()[1] == old
    applied = ledger.apply(data)
    assert applied.tree == book.write_tree(after)
    assert book.line("ls-files", "-s", "lib").split()[1] == new


def test_a_hunk_that_fits_two_places(book: Book, ledger: Ledger) -> None:
    """Git edits the nearest; here the places are named, and nothing is done."""
    data = b"--- a/rows.txt\n+++ b/rows.txt\n@@ -3,2 +3,2 @@\n-row\n+column\n end\n"
    assert git_apply(book, data)
    restore(book)
    with pytest.raises(AmbiguousHunk) as caught:
        ledger.apply(data)
    assert sorted(caught.value.lines) == [2, 5]
    assert read(book, b"rows.txt") == BASE[b"rows.txt"].data


def test_from_a_subdirectory(book: Book) -> None:
    """Git passes paths outside of it over, applies nothing and says that all is well; here names begin at the top."""
    after = {**BASE, b"b.txt": File(b"bumblebee\n"), b"dir/c.txt": File(b"lake\n")}
    data = between(book, BASE, after)
    assert git_apply(book, between(book, BASE, {**BASE, b"b.txt": File(b"bumblebee\n")}), inside="dir")
    assert read(book, b"b.txt") == b"bee\n"
    with Ledger.open(book.root / "dir") as ledger:
        assert ledger.apply(data).tree == book.write_tree(after)
    assert read(book, b"b.txt") == b"bumblebee\n"


def test_one_conflict_among_several_files(book: Book, ledger: Ledger) -> None:
    """Git has changed the other file already; here all or nothing, or a candidate that says so."""
    theirs = {**BASE, b"a.txt": File(LINES.replace(b"2\n", b"theirs\n")), b"b.txt": File(b"bumblebee\n")}
    ours = {**BASE, b"a.txt": File(LINES.replace(b"2\n", b"ours\n"))}
    data = between(book, BASE, theirs)
    commit = book.git("commit-tree", "-m", "ours", book.write_tree(ours), "-p", "HEAD").decode().strip()
    book.git("reset", "--quiet", "--hard", commit)
    assert not git_apply(book, data, "--3way")
    assert read(book, b"b.txt") == b"bumblebee\n"
    restore(book)
    before = book.work_files()
    with pytest.raises(MergeConflict):
        ledger.apply(data, flags=ApplyFlags(three_way=True))
    assert book.work_files() == before
    applied = ledger.apply(data, flags=ApplyFlags(three_way=True, conflicts="keep"))
    assert [where.partition(":")[0] for where in applied.conflicts] == ["a.txt"]
    assert b"<<<<<<<" in read(book, b"a.txt")
    assert [step.tree for step in ledger.replay()][-1] == applied.tree


def test_a_patch_that_lost_its_last_newline(book: Book, ledger: Ledger) -> None:
    """Git refuses it, with --recount too; here the newline is given back, and that is said."""
    after = {**BASE, b"a.txt": File(LINES.replace(b"7\n", b"sieben\n"))}
    data = between(book, BASE, after).removesuffix(b"\n")
    assert not git_apply(book, data)
    assert not git_apply(book, data, "--recount")
    applied = ledger.apply(data)
    assert applied.tree == book.write_tree(after)
    assert applied.normalised == ("final newline",)


def test_the_configuration_of_git_apply_counts_for_nothing(book: Book, ledger: Ledger) -> None:
    """With apply.whitespace=fix git makes another tree of the same patch; here only a flag does, and is recorded."""
    book.git("config", "apply.whitespace", "fix")
    after = {**BASE, b"b.txt": File(b"bumblebee  \n")}
    data = between(book, BASE, after)
    assert git_apply(book, data)
    assert read(book, b"b.txt") == b"bumblebee\n"
    restore(book)
    assert ledger.apply(data).tree == book.write_tree(after)
    assert read(book, b"b.txt") == b"bumblebee  \n"


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"not a patch at all\n", b"\0" * 64])
def test_what_is_no_patch_is_refused(ledger: Ledger, data: bytes) -> None:
    """With an error of the engine, and nothing is recorded."""
    with pytest.raises(PatchError) as caught:
        ledger.apply(data)
    assert not isinstance(caught.value, PatchSyntaxError) or caught.value.at_line
    assert not list(ledger.path.glob("bodies/??/*"))

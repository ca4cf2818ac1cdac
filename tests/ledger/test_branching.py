"""Branches of a run, looked at with Git alone: its commits are the run's patches, and nothing else moves."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import IDENTITY, Book, File, damage
from gatebook import Edit, edited

from ledger.api import Ledger
from ledger.errors import GitFailed
from ledger.operations.offering import offers_in
from ledger.stamps import Actor
from ledger.travel_errors import (
    BadBranchName,
    BranchExists,
    BranchInUse,
    NothingToBranch,
    StateUnavailable,
)
from patches.model import MODE_EXECUTABLE

BASE = {b"a": File(b"a\n"), b"d/c": File(b"c\n")}
MAIL = """From: Ann Größe <ann@example.org>
Date: Mon, 2 Nov 2026 10:00:00 +0130
Subject: [PATCH] Change it

Why.

Signed-off-by: Ann <a@b.c>
---
"""


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
    return Book(tmp_path / "repo", BASE)


@pytest.fixture
def ledger(book: Book) -> Iterator[Ledger]:
    with Ledger.open(book.root, actor=Actor("agent", "Robo <x>", "s1")) as opened:
        yield opened


def patch_of(book: Book, edit: Edit) -> bytes:
    before = book.work_files()
    return book.diff(book.write_tree(before), book.write_tree(edited(before, edit)))


def change(book: Book, ledger: Ledger, edit: Edit, *, note: str = "", source: str = "fix.diff") -> str:
    return ledger.apply(patch_of(book, edit), note=note, source=source).event


def lines(book: Book, form: str, name: str) -> list[str]:
    """Return what `git log` prints of each commit on a branch that is not on HEAD, the oldest first."""
    said = book.git("log", "--reverse", f"--format={form}%x00", f"HEAD..{name}").decode()
    return [each.strip() for each in said.split("\0")[:-1]]


def around(book: Book) -> tuple[object, ...]:
    """Return HEAD, its branch, the index and the work tree."""
    head = book.line("rev-parse", "HEAD"), book.line("symbolic-ref", "HEAD")
    return head, book.git("ls-files", "--stage"), book.work_files(), book.status()


def test_each_commit_is_a_patch_of_the_run(book: Book, ledger: Ledger) -> None:
    """Trees, differences and trailers are the events'; what was rolled back is not on it; nothing else moves."""
    events = [change(book, ledger, {b"a": File(b"%d\n" % n, MODE_EXECUTABLE)}) for n in range(2)]
    change(book, ledger, {b"bad": File(b"rejected\n")})
    ledger.undo()
    ledger.move([b"d"], b"moved")
    events.append(f"{ledger.current_run().name}:{ledger.current_run().head.v}")
    book.put(b"a", File(b"mine\n"))
    before, position = around(book), ledger.store.position()
    made = ledger.branch("port")
    assert (around(book), ledger.store.position()) == (before, position)
    assert made.commits == 3
    assert lines(book, "%(trailers:key=Ledger-Event,valueonly)", "port") == events
    trees = [ledger.tree(event) for event in events]
    assert lines(book, "%T", "port") == trees
    assert book.line("rev-parse", "port") == made.commit
    assert book.line("merge-base", "HEAD", "port") == book.line("rev-parse", "HEAD")
    for commit, tree, event in zip(lines(book, "%H", "port"), trees, events, strict=True):
        assert book.line("rev-parse", f"{commit}^{{tree}}") == tree
        patch = ledger.body(getattr(ledger.event(event), "patch"))  # noqa: B009 - any kind of event
        applied = book.root / ".git/applied-index"
        book.git("read-tree", f"{commit}^", index=applied)
        book.git("apply", "--cached", data=patch, index=applied)
        assert book.git("write-tree", index=applied).decode().strip() == tree
    book.git("fsck", "--strict", "--no-dangling")
    assert damage(ledger) == []


def test_author_date_and_message(book: Book, ledger: Ledger) -> None:
    """A mail's, also where an undo and a redo brought its patch again; the note; the source; who is not named is you."""
    ledger.apply_all(offers_in(MAIL.encode() + patch_of(book, {b"a": File(b"1\n")})))
    ledger.undo()
    ledger.redo()
    change(book, ledger, {b"a": File(b"2\n")}, note="A note\n\nwith more\n")
    change(book, ledger, {b"a": File(b"3\n")})
    with Ledger.open(book.root) as unnamed:
        change(book, unnamed, {b"a": File(b"4\n")}, source="-")
    ledger.branch("port")
    assert lines(book, "%an <%ae>", "port") == [
        "Ann Größe <ann@example.org>",
        "Robo x <agent@ledger.invalid>",
        "Robo x <agent@ledger.invalid>",
        "Ada <ada@example.com>",
    ]
    assert {*lines(book, "%cn <%ce>", "port")} == {"Ada <ada@example.com>"}
    dates = lines(book, "%aD", "port")
    assert dates[0] == "Mon, 2 Nov 2026 10:00:00 +0130"
    seconds = [event.at_ns // 10**9 for event in ledger.events() if event.kind == "patch.applied/1"]
    assert lines(book, "%at", "port")[1:] == [str(second) for second in seconds[2:]]
    run = ledger.current_run().name
    bodies = lines(book, "%B", "port")
    assert bodies[0] == f"Change it\n\nWhy.\n\nSigned-off-by: Ann <a@b.c>\nLedger-Event: {run}:5"
    assert bodies[1].startswith("A note\n\nwith more\n\nLedger-Event: ")
    assert [body.partition("\n")[0] for body in bodies[2:]] == ["diff: fix.diff", "diff"]


def test_one_commit_of_all(book: Book, ledger: Ledger) -> None:
    """Of several patches it is the user's, with the title and a line for each; of one it is that one's."""
    ledger.run("Port it")
    ledger.apply_all(offers_in(MAIL.encode() + patch_of(book, {b"a": File(b"1\n")})))
    assert ledger.branch("one", squash=True).commits == 1
    assert lines(book, "%an %s", "one") == ["Ann Größe Change it"]
    change(book, ledger, {b"n": File(b"2\n")}, note="Second")
    made = ledger.branch("all", squash=True)
    assert made.commits == 1
    assert lines(book, "%T", "all") == [ledger.tree()]
    assert lines(book, "%an", "all") == ["Ada"]
    (body,) = lines(book, "%B", "all")
    assert body == f"Port it\n\n- Change it\n- Second\n\nLedger-Event: {made.event}"


def test_up_to_an_event(book: Book, ledger: Ledger) -> None:
    """At the base it is the base's commit; a patch that was taken back later is on the branch of its own event."""
    first = change(book, ledger, {b"a": File(b"1\n")})
    ledger.undo()
    assert ledger.branch("then", first).commits == 1
    assert ledger.branch("now").commits == 0
    assert book.line("rev-parse", "now") == book.line("rev-parse", "HEAD")


def test_after_a_rebase_it_begins_at_the_new_base(book: Book, ledger: Ledger) -> None:
    """With the survivors, whose words are those of the first time."""
    change(book, ledger, {b"a": File(b"1\n")}, note="Mine")
    tree = book.write_tree({**BASE, b"up": File(b"up\n")})
    book.git("update-ref", "HEAD", book.line("commit-tree", "-p", "HEAD", "-m", "up", tree))
    ledger.rebase()
    ledger.branch("port")
    assert lines(book, "%s", "port") == ["Mine"]
    assert book.line("rev-parse", "port^") == book.line("rev-parse", "HEAD")


def test_names(book: Book, ledger: Ledger, tmp_path: Path) -> None:
    """One that is no name, one that exists, one that a work tree has: refused, and the branch is as it was."""
    change(book, ledger, {b"a": File(b"1\n")})
    for name in ("", "a b", "-x", "a..b", "HEAD", "x.lock", "@{-1}"):
        with pytest.raises(BadBranchName):
            ledger.branch(name)
    old = book.line("rev-parse", "HEAD")
    book.git("branch", "old")
    with pytest.raises(BranchExists):
        ledger.branch("old")
    assert book.line("rev-parse", "old") == old
    assert ledger.branch("old", force=True).commit == book.line("rev-parse", "old") != old
    book.git("worktree", "add", "--quiet", "-b", "theirs", str(tmp_path / "linked"))
    book.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "orphan"))
    book.git("-C", str(tmp_path / "orphan"), "symbolic-ref", "HEAD", "refs/heads/unborn")
    for name in ("main", "theirs", "unborn"):
        with pytest.raises(BranchInUse):
            ledger.branch(name, force=True)
    with pytest.raises(GitFailed):
        ledger.branch("main/below")
    assert book.line("rev-parse", "main", "theirs").split() == [old, old]


def test_a_run_without_a_commit_before_it(tmp_path: Path, book: Book) -> None:
    """Its first patch is a commit without parents; before that there is nothing to make a branch of."""
    bare = Book(tmp_path / "empty")
    with Ledger.open(bare.root) as ledger:
        ledger.run("first")
        with pytest.raises(NothingToBranch):
            ledger.branch("port")
        bare.put(b"a", File(b"1\n"))
        ledger.record()
        ledger.branch("port")
        assert bare.line("log", "--format=%T %P", "port") == ledger.tree()
        with pytest.raises(BranchInUse):
            ledger.branch("main")


def test_objects_that_went_are_made_again_or_named(book: Book, ledger: Ledger, tmp_path: Path) -> None:
    """From base and patches; without the base nothing is made, and it is said which commit to fetch."""
    event = change(book, ledger, {b"a": File(b"1\n")})
    change(book, ledger, {b"a": File(b"2\n"), b"n/m": File(b"new\n")})
    tip = ledger.branch("before").commit
    blob = book.line("rev-parse", "before:n/m")
    (book.root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    assert ledger.branch("after").commit == tip
    book.git("fsck", "--strict", "--no-dangling")
    other = Book(tmp_path / "other", {b"z": File(b"z\n")})
    shutil.copytree(book.root / ".git/ledger", other.root / ".git/ledger")
    with Ledger.open(other.root) as elsewhere, pytest.raises(StateUnavailable) as missing:
        elsewhere.branch("port", event)
    assert book.line("rev-parse", "HEAD") in missing.value.hint
    assert other.line("for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_a_user_without_a_name_is_told_by_git(
    book: Book, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is made."""
    change(book, ledger, {b"a": File(b"1\n")})
    for name in IDENTITY:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.useConfigOnly")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    with pytest.raises(GitFailed):
        ledger.branch("port")
    assert book.line("branch", "--list", "port") == ""


def test_it_is_what_git_makes_of_it_as_mails(book: Book, ledger: Ledger) -> None:
    """`git format-patch` of the branch, taken by `git am` on the base, gives the same trees and authors."""
    for number in range(12):
        change(book, ledger, {b"f%d" % (number % 5): File(b"%d\n" % number)}, note=f"Number {number}")
    ledger.branch("port")
    mails = book.git("format-patch", "--stdout", "HEAD..port")
    book.git("checkout", "--quiet", "--force", "-b", "am", "main")
    book.git("reset", "--quiet", "--hard", "main")
    book.git("clean", "--quiet", "-fd")
    book.git("am", "--quiet", data=mails)
    form = "--format=%T %an <%ae> %at %B"
    assert book.git("log", form, "main..am") == book.git("log", form, "main..port")

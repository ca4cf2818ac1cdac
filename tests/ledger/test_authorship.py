"""Commits of patches that came in mails: what they say is what ``git am`` makes of the same mail."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import IDENTITY, Book, File, damage

from ledger.api import Ledger
from ledger.events import CommitSeen
from ledger.operations.authorship import BadAuthor, NoMessage
from ledger.operations.offering import offers_in
from ledger.reference_errors import UnknownReference

DIFF = b"diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n"
SECOND = DIFF.replace(b"-a\n+b", b"-b\n+c")
ANN = "Ann Größe <ann@example.org>"


def mail(diff: bytes, subject: str = "Change f", body: str = "Why.\n\nSigned-off-by: Ann <a@b.c>") -> bytes:
    head = f"From: {ANN}\nDate: Mon, 2 Nov 2026 10:00:00 +0130\nSubject: [PATCH] {subject}\n\n{body}\n---\n f | 2 +-\n\n"
    return head.encode() + diff + b"-- \n2.55\n"


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
    return Book(tmp_path / "repo", {b"f": File(b"a\n")})


@pytest.fixture
def ledger(book: Book) -> Iterator[Ledger]:
    with Ledger.open(book.root) as opened:
        yield opened
        assert damage(opened) == []


def applied(ledger: Ledger, *mails: bytes) -> list[str]:
    """Apply mails one by one; return their events."""
    return [done.event for each in mails for done in ledger.apply_all(offers_in(each))]


def says(book: Book, commit: str = "HEAD") -> tuple[str, str]:
    """Return author line and message of a commit, less the trailer that names the event."""
    header, _, message = book.git("cat-file", "commit", commit).decode().partition("\n\n")
    (author,) = [line for line in header.splitlines() if line.startswith("author ")]
    kept = [line for line in message.splitlines() if not line.startswith("Ledger-Event: ")]
    return author, "\n".join(kept).rstrip("\n")


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        ("Change f", "Why.\n\nSigned-off-by: Ann <a@b.c>"),
        ("Re: [RFC] Change   f", "Trailing   \n\n\n\nand blank lines\t"),
        ("Change f", ""),
        (
            "=?UTF-8?q?Gr=C3=B6=C3=9Fe?=",
            "From: Bob <bob@example.com>\nDate: Tue, 3 Nov 2026 11:00:00 +0000\n\nHis.",
        ),
    ],
)
def test_one_mail_is_committed_as_git_am_commits_it(
    book: Book, ledger: Ledger, tmp_path: Path, subject: str, body: str
) -> None:
    """Author, date and message are the mail's; the run remembers whose mail it was."""
    given = mail(DIFF, subject, body)
    other = tmp_path / "am"
    book.git("clone", "--quiet", str(book.root), str(other))
    subprocess.run(["git", "am", "--quiet"], cwd=other, env=os.environ, input=given, check=True)
    am = subprocess.run(
        ["git", "cat-file", "commit", "HEAD"], cwd=other, check=True, capture_output=True
    ).stdout
    book.git("hash-object", "-t", "commit", "-w", "--stdin", data=am)
    (event,) = applied(ledger, given)
    made = ledger.commit(candidate=True)
    oid = subprocess.run(["git", "rev-parse", "HEAD"], cwd=other, check=True, capture_output=True).stdout
    assert says(book) == says(book, oid.decode().strip())
    assert made.of == event
    (seen,) = [each for each in ledger.events() if isinstance(each, CommitSeen)]
    assert f"{seen.run}:{seen.of}" == event


def test_what_is_asked_for_goes_before_what_the_mail_says(book: Book, ledger: Ledger) -> None:
    """A message alone keeps the mail's author; an author of one's own is not of the mail's date."""
    applied(ledger, mail(DIFF))
    ledger.commit("Mine", candidate=True)
    assert says(book) == (f"author {ANN} 1793608200 +0130", "Mine")
    applied(ledger, mail(SECOND))
    ledger.commit(author="Bob <b@c>", candidate=True)
    assert says(book)[0] == "author Bob <b@c> 1704164645 +0000"
    assert says(book)[1].startswith("Change f\n\nWhy.")


def test_a_reset_author_is_who_commits(book: Book, ledger: Ledger) -> None:
    """As with `git commit --reset-author`; the message stays the mail's."""
    (event,) = applied(ledger, mail(DIFF))
    made = ledger.commit(reset_author=True, candidate=True)
    assert says(book)[0] == "author Ada <ada@example.com> 1704164645 +0000"
    assert (made.author, made.of) == ("", event)


def test_of_several_mails_one_is_chosen_by_a_person(book: Book, ledger: Ledger) -> None:
    """They are named, nothing is written, and what was chosen is taken whole."""
    first, second = applied(ledger, mail(DIFF, "First"), mail(SECOND, "Second"))
    count = len(list(ledger.events()))
    with pytest.raises(NoMessage) as caught:
        ledger.commit(candidate=True)
    assert [(each.event, each.subject) for each in caught.value.mails] == [
        (first, "First"),
        (second, "Second"),
    ]
    assert len(list(ledger.events())) == count
    made = ledger.commit(reuse=first, candidate=True)
    assert made.of == first
    assert says(book) == (f"author {ANN} 1793608200 +0130", "First\n\nWhy.\n\nSigned-off-by: Ann <a@b.c>")


def test_several_patches_are_nobody_s_mail(book: Book, ledger: Ledger) -> None:
    """With a message, the commit is the committer's: it is more than what the mail's author wrote."""
    applied(ledger, mail(DIFF))
    ledger.apply(SECOND)
    made = ledger.commit("Both", candidate=True)
    assert says(book) == ("author Ada <ada@example.com> 1704164645 +0000", "Both")
    assert made.of == ""


def test_a_patch_without_mail_has_nothing_to_reuse(ledger: Ledger) -> None:
    """Nothing is written."""
    plain = ledger.apply(DIFF)
    with pytest.raises(NoMessage):
        ledger.commit(candidate=True)
    with pytest.raises(UnknownReference):
        ledger.commit(reuse=plain.event, candidate=True)


def test_what_git_takes_for_no_author_is_refused(book: Book, ledger: Ledger) -> None:
    """A date that no one can read: the branch stays where it is, and another date is taken."""
    applied(ledger, mail(DIFF).replace(b"Mon, 2 Nov 2026 10:00:00 +0130", b"some day"))
    head = book.line("rev-parse", "HEAD")
    with pytest.raises(BadAuthor):
        ledger.commit(candidate=True)
    assert book.line("rev-parse", "HEAD") == head
    ledger.commit(date="2026-11-28 12:00 +0000", candidate=True)
    assert says(book)[0] == f"author {ANN} 1795867200 +0000"


def test_a_mail_taken_again_is_still_its_author_s(book: Book, ledger: Ledger) -> None:
    """Undone and applied again, its author, date and message are those of the mail."""
    (event,) = applied(ledger, mail(DIFF))
    ledger.undo()
    again = ledger.apply_again(event)
    assert ledger.commit(candidate=True).of == again.event
    assert says(book)[0] == f"author {ANN} 1793608200 +0130"

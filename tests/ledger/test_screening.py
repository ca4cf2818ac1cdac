"""Secrets at the door: nothing of one is stored anywhere, unless somebody allowed it, which is recorded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import Book, File, damage
from fakes import AWS, GITHUB, KEY

from ledger.api import Ledger
from ledger.errors import SecretFound
from ledger.events import ErrorCaptured, GateMeasured, PatchApplied, PatchRefused
from ledger.operations.gating import GateOptions
from patches.errors import HunkMismatch

GATES = b"""
gates.lint.mode = 'off'
gates.tests.mode = 'off'
gates.cov.mode = 'off'
[gates.leaky]
command = 'sh gate.sh'
format = 'sarif'
"""
REPORT = (
    '{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "leaky"}}, "artifacts": [{}], "results": '
    '[{"ruleId": "R1", "level": "error", "message": {"text": "found TOKEN here"}}]}]}'
)
BASE = {
    b"a.txt": File(b"one\ntwo\n"),
    b"ledger.toml": File(GATES),
    b".gitignore": File(b"*.ignored\n"),
    b"gate.sh": File(b"cat report.ignored; echo it says $(cat token.ignored) >&2; exit 1\n"),
}
SECRET = {**BASE, b"a.txt": File(f"one\nkey = '{AWS}'\n".encode())}


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "repo", BASE)


@pytest.fixture
def ledger(book: Book) -> Iterator[Ledger]:
    with Ledger.open(book.root) as opened:
        yield opened


def stored(ledger: Ledger, secret: str) -> list[str]:
    """Return the files of the ledger that hold a text, DuckDB's included (it does not compress so little)."""
    files = [path for path in ledger.path.rglob("*") if path.is_file()]
    return [path.name for path in files if secret.encode() in path.read_bytes()]


def patch(book: Book, after: dict[bytes, File], before: dict[bytes, File] = BASE) -> bytes:
    return book.diff(book.write_tree(before), book.write_tree(after))


def test_nothing_of_a_stopped_patch_is_stored(book: Book, ledger: Ledger) -> None:
    """No event, no body, no change; the error says where and what kind, and not the secret."""
    ledger.run("safe")
    before = len(list(ledger.store.frames())), book.work_files()
    with pytest.raises(SecretFound) as caught:
        ledger.apply(patch(book, SECRET))
    assert caught.value.sightings == ("AWS Access Key at a.txt:2",)
    assert AWS not in str(caught.value)
    assert (len(list(ledger.store.frames())), book.work_files()) == before
    assert stored(ledger, AWS) == []


def test_a_patch_that_would_be_refused_is_screened_first(book: Book, ledger: Ledger) -> None:
    """A refusal keeps the patch: so nothing is recorded of one with a secret in it."""
    ledger.run("safe")
    broken = patch(book, SECRET).replace(b"-two", b"-deux")
    with pytest.raises(SecretFound):
        ledger.apply(broken)
    assert [event.kind for event in ledger.events()] == ["run.started/1", "policy.set/1"]


def test_what_was_allowed_is_recorded(book: Book, ledger: Ledger) -> None:
    """The event says what kind and where; without secrets it has no such field at all."""
    applied = ledger.apply(patch(book, SECRET), allow_secrets=True)
    event = ledger.event(applied.event)
    assert isinstance(event, PatchApplied)
    assert event.secrets == applied.secrets == ("AWS Access Key at a.txt:2",)
    plain = ledger.apply(patch(book, {**SECRET, b"new": File(b"x\n")}, SECRET))
    (frame,) = [frame for frame in ledger.store.frames() if frame.event.reference == plain.event]
    assert b'"secrets"' not in bytes(frame.e)


def test_the_patch_that_takes_a_secret_out_passes(book: Book, ledger: Ledger) -> None:
    """With a word on what the log keeps, and the command that drops it."""
    applied = ledger.apply(patch(book, SECRET), allow_secrets=True)
    removed = ledger.apply(patch(book, BASE, SECRET))
    assert removed.secrets == ()
    (warning,) = removed.warnings
    assert "AWS Access Key at a.txt:2" in warning
    assert f"`ledger redact {removed.event}`" in warning
    with pytest.raises(SecretFound):
        ledger.apply_again(applied.event)
    assert ledger.apply_again(applied.event, allow_secrets=True).secrets == applied.secrets


def test_edits_by_hand_and_moves_are_screened_too(book: Book, ledger: Ledger) -> None:
    """A recorded edit is a patch as any other; a move adds no line and is none."""
    book.put(b"a.txt", SECRET[b"a.txt"])
    with pytest.raises(SecretFound):
        ledger.record()
    assert stored(ledger, AWS) == []
    assert ledger.record(allow_secrets=True).secrets == ("AWS Access Key at a.txt:2",)
    assert ledger.move([b"a.txt"], b"b.txt").secrets == ()


def test_a_replacement_in_a_rebase_is_screened(book: Book, ledger: Ledger) -> None:
    """What was allowed before goes along; what is new is looked at."""
    ledger.apply(patch(book, {**BASE, b"a.txt": File(b"uno\ntwo\n")}))
    other = {**BASE, b"more": File(b"more\n")}
    commit = book.line("commit-tree", "-p", "HEAD", "-m", "moved", book.write_tree(other))
    book.git("update-ref", "HEAD", commit)
    with pytest.raises(SecretFound):
        ledger.rebase(replace={3: patch(book, SECRET)})
    assert stored(ledger, AWS) == []
    rebased = ledger.rebase(replace={3: patch(book, SECRET)}, allow_secrets=True)
    event = ledger.event(rebased.kept[0].partition(":")[0])
    assert isinstance(event, PatchApplied)
    assert event.secrets == ("AWS Access Key at a.txt:2",)


def test_what_people_say_is_masked(book: Book, ledger: Ledger) -> None:
    """Titles, notes, reasons: the kind stands where the secret was."""
    ledger.run(f"use {GITHUB}")
    applied = ledger.apply(patch(book, {**BASE, b"new": File(b"x\n")}), note=f"with {GITHUB}")
    event = ledger.event(applied.event)
    assert isinstance(event, PatchApplied)
    assert ledger.body(str(event.note)) == b"with [redacted: GitHub Token]"
    ledger.enter_phase("P1", note=f"{KEY} and on")
    ledger.finish(waive=f"because {AWS}")
    for secret in (GITHUB, AWS, KEY.split("\n")[1]):
        assert stored(ledger, secret) == []


def test_the_error_text_of_a_refused_patch_is_masked(book: Book, ledger: Ledger) -> None:
    """It quotes the lines that did not fit, and the file may have the secret already."""
    ledger.apply(patch(book, SECRET), allow_secrets=True)
    with pytest.raises(HunkMismatch):
        ledger.apply(patch(book, {**BASE, b"a.txt": File(b"one\nzwei\n")}))
    refused, asked = ledger.event("@-1"), ledger.event("@")
    assert isinstance(refused, PatchRefused)
    assert isinstance(asked, ErrorCaptured)
    for body in (refused.reason, asked.message):
        assert isinstance(body, str)
        text = ledger.body(body)
        assert AWS.encode() not in text
        assert b"[redacted: AWS Access Key]" in text


def test_what_gates_print_and_report_is_masked(book: Book, ledger: Ledger) -> None:
    """Output, findings, and the rows that SQL has of them."""
    (book.root / "token.ignored").write_text(GITHUB, "utf-8")
    (book.root / "report.ignored").write_text(REPORT.replace("TOKEN", GITHUB), "utf-8")
    ledger.gate(GateOptions(names=("leaky",)))
    (measured,) = [event for event in ledger.events() if isinstance(event, GateMeasured)]
    assert b"it says [redacted: GitHub Token]" in ledger.body(measured.output)
    messages = ledger.sql("select message from findings").fetchall()
    assert messages == [("found [redacted: GitHub Token] here",)]
    assert stored(ledger, GITHUB) == []
    assert damage(ledger) == []

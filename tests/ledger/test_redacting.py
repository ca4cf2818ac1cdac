"""Redaction: a body goes for good, the chain stays, and what cannot be reached is named."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import second_reader
from book import Book, File, assert_state, damage, recorded_trees
from fakes import AWS

from ledger.api import Ledger
from ledger.cli import redaction
from ledger.errors import DroppedBody, NothingToRedact, RebaseStopped
from ledger.events import BodyDropped, GateMeasured, PatchApplied
from ledger.operations.gating import GateOptions
from ledger.query import cache
from ledger.redaction import BODY_NAMES
from ledger.store.bodies import Bodies

BASE = {
    b"a.txt": File(b"one\ntwo\n"),
    b"ledger.toml": File(
        b"gates.lint.mode = 'off'\ngates.tests.mode = 'off'\ngates.cov.mode = 'off'\n"
        b"[gates.said]\ncommand = 'sh gate.sh'\nformat = 'sarif'\n"
    ),
    b"gate.sh": File(
        b"""echo '{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "said"}}, "artifacts": [{}], """
        b""""results": [{"ruleId": "R1", "message": {"text": "the-word"}}]}]}'\n"""
    ),
}
SECRET = {**BASE, b"a.txt": File(f"one\nkey = '{AWS}'\n".encode())}
LATER = {**BASE, b"a.txt": File(b"one\nkey = vault('key')\n")}


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "repo", BASE)


@pytest.fixture
def ledger(book: Book) -> Iterator[Ledger]:
    with Ledger.open(book.root) as opened:
        yield opened


def apply(book: Book, ledger: Ledger, before: dict[bytes, File], after: dict[bytes, File]) -> PatchApplied:
    data = book.diff(book.write_tree(before), book.write_tree(after))
    event = ledger.event(ledger.apply(data, allow_secrets=True).event)
    assert isinstance(event, PatchApplied)
    return event


def holds(ledger: Ledger, secret: str) -> bool:
    return any(secret.encode() in path.read_bytes() for path in ledger.path.rglob("*") if path.is_file())


def test_a_dropped_patch_is_gone_and_the_rest_is_proved(book: Book, ledger: Ledger) -> None:
    """The event names what dropped it; every state still hashes right; replay says what it rests on."""
    first = apply(book, ledger, BASE, SECRET)
    second = apply(book, ledger, SECRET, LATER)
    assert holds(ledger, AWS)
    dropped = [ledger.redact(each.reference, reason=f"{AWS} was in it") for each in (first, second)]
    assert not holds(ledger, AWS)
    event = ledger.event(dropped[0].event)
    assert isinstance(event, BodyDropped)
    assert (event.run, event.of, event.bodies) == ("ledger", first.reference, (first.patch,))
    assert ledger.body(str(event.reason)) == b"[redacted: AWS Access Key] was in it"
    with pytest.raises(DroppedBody) as caught:
        ledger.body(first.patch)
    assert caught.value.dropped_by == event.reference
    for v, tree in recorded_trees(ledger, first.run).items():
        assert_state(ledger, book, first.run, v, tree)
    assert [step.proved for step in ledger.replay(second.reference)] == [True, False, False]
    findings = {(f.outcome, f.subject): f.message for f in ledger.verify()}
    assert first.reference in findings["unproved", first.run]
    assert findings["ok", "bodies"].endswith("; 2 dropped")
    assert damage(ledger) == []
    with pytest.raises(DroppedBody):
        ledger.apply_again(first.reference)


def test_both_readers_agree_on_what_is_gone(book: Book, ledger: Ledger) -> None:
    """From the document alone: which bodies may be missing."""
    event = apply(book, ledger, BASE, SECRET)
    ledger.redact(event.reference)
    events = [frame.event for frame in second_reader.read_frames(ledger.path)]
    assert second_reader.dropped_bodies(events) == {event.patch: "ledger:1"}
    assert ledger.store.dropped() == second_reader.dropped_bodies(events)


def test_equal_bytes_are_one_body(book: Book, ledger: Ledger) -> None:
    """Who named the same bytes has lost them too, and is told; written anew they are there again."""
    first = apply(book, ledger, BASE, SECRET)
    ledger.undo()
    again = apply(book, ledger, BASE, SECRET)
    assert again.patch == first.patch
    redacted = ledger.redact(first.reference)
    assert redacted.also == (again.reference,)
    ledger.undo()
    anew = apply(book, ledger, BASE, SECRET)
    assert ledger.body(anew.patch)
    assert ledger.store.dropped() == {}
    assert damage(ledger) == []
    assert ledger.redact(anew.reference).event == "ledger:2"


@pytest.mark.parametrize("persisted", [False, True])
def test_what_a_crash_left_is_said_and_finished(
    book: Book, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, persisted: bool
) -> None:
    """The event is there, the file still too (or the file is gone, and nobody was told)."""
    event = apply(book, ledger, BASE, SECRET)
    remove = Bodies.remove

    def crash(bodies: Bodies, digest: str) -> None:
        if persisted:
            remove(bodies, digest)
        raise OSError("gone dark")

    with monkeypatch.context() as patched:
        patched.setattr(Bodies, "remove", crash)
        with pytest.raises(OSError, match="gone dark"):
            ledger.redact(event.reference)
    assert holds(ledger, AWS) is not persisted
    warned = [f.message for f in ledger.verify() if (f.outcome, f.subject) == ("warning", "bodies")]
    assert bool(warned) is not persisted
    redacted = ledger.redact(event.reference)
    assert redacted.event == ""
    assert not holds(ledger, AWS)
    assert damage(ledger) == []
    assert len([e for e in ledger.events("ledger") if isinstance(e, BodyDropped)]) == 1


def test_temporary_files_of_a_body_go_with_it(book: Book, ledger: Ledger) -> None:
    """A crash while it was written leaves its bytes under a hidden name."""
    event = apply(book, ledger, BASE, SECRET)
    path = ledger.store.bodies.path(event.patch)
    path.with_name(f".{path.name}.123.abcd").write_bytes(path.read_bytes())
    ledger.redact(event.reference)
    assert not holds(ledger, AWS)


def test_a_dry_run_changes_nothing(book: Book, ledger: Ledger) -> None:
    """It names the same copies."""
    event = apply(book, ledger, BASE, SECRET)
    dry = ledger.redact(event.reference, dry_run=True)
    assert (dry.event, dry.names) == ("", ("patch",))
    assert ledger.store.dropped() == {}
    assert ledger.body(event.patch)
    assert ledger.redact(event.reference).copies == dry.copies


def test_what_states_rest_on_is_refused(book: Book, ledger: Ledger) -> None:
    """A base listing is no text; an event without texts, or without the one that is named, has none to drop."""
    event = apply(book, ledger, BASE, SECRET)
    for reference, names in ((f"{event.run}:1", ()), (f"{event.run}:2", ()), (event.reference, ("output",))):
        with pytest.raises(NothingToRedact):
            ledger.redact(reference, names=names)
    assert ledger.store.dropped() == {}


def test_rows_of_a_dropped_report_go_too(book: Book, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the files of the cache as from the tail; the rest of what was measured stays."""
    monkeypatch.setattr(cache, "TAIL_ROWS", 0)
    ledger.gate(GateOptions(names=("said",)))
    (measured,) = [event for event in ledger.events() if isinstance(event, GateMeasured)]
    assert ledger.sql("select message from findings").fetchall() == [("the-word",)]
    columns = ledger.path / "cache" / "columns"
    before = set(columns.iterdir())
    assert before
    ledger.redact(measured.reference)
    assert not before & set(columns.iterdir())
    assert ledger.sql("select message from findings").fetchall() == []
    assert ledger.sql("select verdict from columns.measurement").fetchall() == [(measured.verdict,)]
    with Ledger.open(book.root) as other:
        assert other.sql("select count(*) from findings").fetchall() == [(0,)]


def test_without_the_objects_replay_says_what_is_missing(book: Book, ledger: Ledger) -> None:
    """A dropped patch and a pruned blob: the state is still known by name, its content by nobody."""
    event = apply(book, ledger, BASE, SECRET)
    ledger.redact(event.reference)
    oid = next(file.oid for file in event.files)
    assert oid is not None
    (book.root / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    with Ledger.open(book.root) as fresh:
        with pytest.raises(DroppedBody) as caught:
            list(fresh.replay())
        assert oid in caught.value.__notes__[0]
        outcomes = {f.subject: f.outcome for f in fresh.verify() if f.message.startswith("replay")}
        assert outcomes == {event.run: "unproved"}
        assert fresh.state().recorded_tree == event.result_tree


def test_a_rebase_past_a_dropped_patch_needs_its_replacement(book: Book, ledger: Ledger) -> None:
    """It stops with the two ways on, having changed nothing."""
    event = apply(book, ledger, BASE, SECRET)
    ledger.redact(event.reference)
    moved = book.write_tree({**BASE, b"more": File(b"more\n")})
    book.git("update-ref", "HEAD", book.line("commit-tree", "-p", "HEAD", "-m", "moved", moved))
    with pytest.raises(RebaseStopped, match="dropped by ledger:1"):
        ledger.rebase()
    assert ledger.rebase(skip=(event.v,)).skipped == (event.reference,)


def test_every_copy_is_named(book: Book, ledger: Ledger) -> None:
    """The blob, the refs whose history holds it, a stash, a remote, the index and the work tree."""
    event = apply(book, ledger, BASE, SECRET)
    commit = book.line("commit-tree", "-p", "HEAD", "-m", "with it", event.result_tree)
    book.git("update-ref", "refs/heads/topic", commit)
    book.git("update-ref", "refs/tags/v1", commit)
    book.git("remote", "add", "origin", "elsewhere")
    book.git("stash", "store", "-m", "kept", commit)
    oid = next(file.oid for file in event.files)
    copies = ledger.redact(event.reference).copies
    where = [(copy.where, copy.what) for copy in copies]
    assert where[0] == ("Git objects", f"{str(oid)[:12]} (a.txt)")
    histories = {what for kind, what in where if kind == "history"}
    assert histories == {"refs/heads/topic", "refs/tags/v1", "refs/stash", f"refs/ledger/{event.run}/events"}
    assert ("index", "a.txt") in where
    assert ("work tree", "a.txt, as it is now") in where
    assert any(kind == "remote" and what.startswith("origin") for kind, what in where)


def test_notes_are_dropped_by_name(book: Book, ledger: Ledger) -> None:
    """One of several texts of an event; the patch stays, and replay proves it."""
    data = book.diff(book.write_tree(BASE), book.write_tree(LATER))
    applied = ledger.apply(data, note="said in confidence")
    assert ledger.redact(applied.event, names=("note",)).names == ("note",)
    assert not holds(ledger, "said in confidence")
    assert all(step.proved for step in ledger.replay())


def test_the_command_offers_every_body_that_can_be_dropped() -> None:
    """Its names are written out, since the help loads no events."""
    assert set(redaction._NAMES) == set(BODY_NAMES)

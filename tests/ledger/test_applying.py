"""Patches applied with flags, in dialects and in series: what is recorded replays by itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import Book, File, Files, assert_state, damage
from fakes import AWS

from ledger.api import Ledger
from ledger.applyflags import ApplyFlags, PathFlag
from ledger.errors import DroppedBody, HeadMoved, PhaseForbids, SecretFound
from ledger.events import PatchApplied, PatchRefused
from ledger.operations.planning import Offer
from ledger.provenance import Provenance
from patches.errors import HunkMismatch, PatchError, WhitespaceRefused

BASE: Files = {b"a.txt": File(b"one\ntwo\nthree\n"), b"dir/b.txt": File(b"bee\n")}
AFTER: Files = {**BASE, b"a.txt": File(b"one\nzwei\nthree\n")}
BOTH: Files = {**AFTER, b"dir/b.txt": File(b"sea\n")}


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "repo", BASE)


@pytest.fixture
def ledger(book: Book) -> Iterator[Ledger]:
    with Ledger.open(book.root) as opened:
        yield opened


def between(book: Book, old: Files, new: Files) -> bytes:
    return book.diff(book.write_tree(old), book.write_tree(new))


def event_of(ledger: Ledger, reference: str) -> PatchApplied:
    event = ledger.event(reference)
    assert isinstance(event, PatchApplied)
    return event


def by_git(book: Book, data: bytes, *flags: str) -> str:
    """Return the tree that git apply makes of the base with flags."""
    index = book.root / ".git" / "by-git"
    book.git("read-tree", "HEAD", index=index)
    book.git("apply", "--cached", *flags, "-", data=data, index=index)
    return book.git("write-tree", index=index).decode().strip()


FLAGS = {
    "reverse": (ApplyFlags(reverse=True), ("-R",)),
    "strip and directory": (ApplyFlags(strip=2, directory="dir"), ("-p2", "--directory=dir")),
    "exclude": (ApplyFlags(paths=(PathFlag(include=False, glob="dir/*"),)), ("--exclude=dir/*",)),
    "fix": (ApplyFlags(whitespace="fix"), ("--whitespace=fix",)),
    "context": (ApplyFlags(context=0), ("-C0",)),
    "recount": (ApplyFlags(recount=True), ("--recount",)),
}


@pytest.mark.parametrize("name", FLAGS)
def test_flags_mean_what_they_mean_to_git(book: Book, ledger: Ledger, name: str) -> None:
    """The tree is that of git apply; the recorded patch leads there by itself, and what was given is kept."""
    data = {
        "reverse": between(book, BOTH, BASE),
        "strip and directory": b"--- a/x/b.txt\n+++ b/x/b.txt\n@@ -1 +1 @@\n-bee\n+sea\n",
        "exclude": between(book, BASE, BOTH),
        "fix": between(book, BASE, AFTER).replace(b"+zwei\n", b"+zwei  \n"),
        "context": between(book, BASE, AFTER).replace(b" three\n", b" four\n"),
        "recount": between(book, BASE, AFTER).replace(b"-1,3 +1,3", b"-1,7 +1,9"),
    }[name]
    flags, words = FLAGS[name]
    applied = ledger.apply(data, flags=flags)
    assert applied.tree == by_git(book, data, *words)
    book.assert_followed(applied.tree)
    event = event_of(ledger, applied.event)
    assert event.options.asked == flags
    assert str(event.options.asked) == " ".join(words).replace("-R", "--reverse")
    assert ledger.body(str(event.given)) == data
    assert by_git(book, ledger.body(event.patch)) == applied.tree
    assert_state(ledger, book, event.run, event.v, applied.tree)
    assert damage(ledger) == []


def test_flags_that_change_nothing_keep_the_bytes(book: Book, ledger: Ledger) -> None:
    """The patch is the bytes that were given, byte for byte: there is no second body."""
    data = between(book, BASE, AFTER)
    event = event_of(ledger, ledger.apply(data, flags=ApplyFlags(recount=True)).event)
    assert (ledger.body(event.patch), event.given, event.options.asked.recount) == (data, event.given, True)
    assert not event.given


def test_whitespace_is_fixed_by_the_rules_of_that_moment(book: Book, ledger: Ledger) -> None:
    """Replay does not look at the configuration and the attributes, which say something else by then (P4)."""
    data = between(book, BASE, {**BASE, b"a.txt": File(b"one\n\tzwei  \nthree\n")})
    book.git("config", "core.whitespace", "tab-in-indent,tabwidth=4")
    applied = ledger.apply(data, flags=ApplyFlags(whitespace="fix"))
    assert applied.tree == by_git(book, data, "--whitespace=fix")
    assert book.path(b"a.txt").read_bytes() == b"one\n    zwei\nthree\n"
    book.git("config", "core.whitespace", "-trailing-space")
    book.root.joinpath(".git/info").mkdir(exist_ok=True)
    book.root.joinpath(".git/info/attributes").write_text("*.txt -whitespace\n", "utf-8")
    assert [step.tree for step in ledger.replay()][-1] == applied.tree
    assert damage(ledger) == []


def test_whitespace_errors_are_refused_where_that_is_asked(book: Book, ledger: Ledger) -> None:
    """As git apply --whitespace=error; the refusal keeps the flag."""
    ledger.run("strict")
    data = between(book, BASE, AFTER).replace(b"+zwei\n", b"+zwei \n")
    with pytest.raises(WhitespaceRefused):
        ledger.apply(data, flags=ApplyFlags(whitespace="error"))
    refused = ledger.event("@-1")
    assert isinstance(refused, PatchRefused)
    assert refused.options.asked.whitespace == "error"


def test_whitespace_errors_are_said_where_that_is_asked(book: Book, ledger: Ledger) -> None:
    """As git apply --whitespace=warn: the tree is that of the patch."""
    after = {**BASE, b"a.txt": File(b"one\nzwei \nthree\n")}
    applied = ledger.apply(between(book, BASE, after), flags=ApplyFlags(whitespace="warn"))
    assert applied.tree == book.write_tree(after)
    assert applied.warnings == ("a.txt: patch line 8: trailing whitespace",)


def test_a_dialect_is_said_and_kept(book: Book, ledger: Ledger) -> None:
    """What PowerShell writes is applied; the event has the ordinary patch, the bytes, and what was done."""
    data = between(book, BASE, AFTER)
    given = b"\xff\xfe" + data.decode().encode("utf-16-le")
    applied = ledger.apply(given)
    event = event_of(ledger, applied.event)
    assert applied.normalised == event.normalised == ("utf-16le",)
    assert (ledger.body(event.patch), ledger.body(str(event.given))) == (data, given)
    assert applied.tree == book.write_tree(AFTER)
    assert_state(ledger, book, event.run, event.v, applied.tree)
    assert ledger.apply(given).already


def test_what_was_given_is_taken_again_with_its_flags(book: Book, ledger: Ledger) -> None:
    """Also of a refusal: the second attempt is the same request on another candidate."""
    data = between(book, AFTER, BASE)
    applied = ledger.apply(data, flags=ApplyFlags(reverse=True))
    ledger.undo()
    again = ledger.apply_again(applied.event)
    assert again.tree == applied.tree
    first, second = event_of(ledger, applied.event), event_of(ledger, again.event)
    assert (second.given, second.options, second.of) == (first.given, first.options, first.v)
    with pytest.raises(HunkMismatch):
        ledger.apply(
            data.replace(b"+two", b"+due").replace(b"-zwei", b"-drei"),
            flags=ApplyFlags(reverse=True, recount=True),
        )
    refused = ledger.event("@-1")
    assert isinstance(refused, PatchRefused)
    with pytest.raises(HunkMismatch):
        ledger.apply_again(refused.reference)
    assert isinstance(other := ledger.event("@-1"), PatchRefused)
    assert (other.patch, other.options) == (refused.patch, refused.options)


def test_several_are_applied_as_one(book: Book, ledger: Ledger) -> None:
    """Each is an event of its own in one group; each state is exact, and the work tree is the last."""
    offers = [
        Offer(between(book, BASE, AFTER), Provenance()),
        Offer(between(book, AFTER, BOTH), Provenance()),
    ]
    first, second = ledger.apply_all(offers)
    assert (first.tree, second.tree) == (book.write_tree(AFTER), book.write_tree(BOTH))
    book.assert_followed(second.tree)
    for applied in (first, second):
        event = event_of(ledger, applied.event)
        assert_state(ledger, book, event.run, event.v, applied.tree)
    frames = [frame.n for frame in ledger.store.frames()]
    assert frames == [*range(len(frames) - 1, -1, -1)]


def test_one_that_does_not_apply_stops_all(book: Book, ledger: Ledger) -> None:
    """Nothing is changed; the refusal names the tree that refused it."""
    ledger.run("both")
    before = book.work_files()
    bad = between(book, AFTER, BOTH).replace(b"-bee", b"-bzz")
    with pytest.raises(HunkMismatch):
        ledger.apply_all([Offer(between(book, BASE, AFTER), Provenance()), Offer(bad, Provenance())])
    refused = ledger.event("@-1")
    assert isinstance(refused, PatchRefused)
    assert refused.base_tree == book.write_tree(AFTER)
    assert book.work_files() == before
    assert damage(ledger) == []


def test_a_preview_writes_nothing(book: Book, ledger: Ledger) -> None:
    """It says what would be, refuses what would be refused, and leaves not even a ledger behind."""
    good = Offer(between(book, BASE, AFTER), Provenance())
    (planned,) = ledger.preview([good])
    assert planned.result == book.write_tree(AFTER)
    with pytest.raises(PatchError):
        ledger.preview([Offer(good.data.replace(b"-two", b"-due"), Provenance())])
    book.put(b"a.txt", File(b"mine\n"))
    with pytest.raises(PatchError):
        ledger.preview([good])
    assert not ledger.path.exists()


@pytest.mark.parametrize("begun", [False, True])
def test_a_preview_is_refused_in_a_phase_without_patches(book: Book, ledger: Ledger, begun: bool) -> None:
    """As the application itself is, also where that would begin a run."""
    good = Offer(between(book, BASE, AFTER), Provenance())
    book.put(b"ledger.toml", File(b"[phases]\npatches = ['P3']\n"))
    if begun:
        ledger.run("work")
    for refuse in (ledger.preview, ledger.apply_all):
        with pytest.raises(PhaseForbids):
            refuse([good])


def test_a_preview_is_refused_where_head_has_moved(book: Book, ledger: Ledger) -> None:
    """A commit that the run explains is no reason, and is not recorded by looking."""
    good = Offer(between(book, AFTER, BOTH), Provenance())
    applied = ledger.apply(between(book, BASE, AFTER))
    book.git("commit", "--quiet", "-m", "by hand")
    count = len(list(ledger.events()))
    assert ledger.preview([good])[0].base == applied.tree
    assert len(list(ledger.events())) == count
    foreign = book.line("commit-tree", "-p", "HEAD", "-m", "pulled", book.write_tree(BOTH))
    book.git("update-ref", "HEAD", foreign)
    for refuse in (ledger.preview, ledger.apply_all):
        with pytest.raises(HeadMoved):
            refuse([good])


def test_a_secret_in_another_encoding_stops_it(book: Book, ledger: Ledger) -> None:
    """In the patch as read, and in the prose around it, which is stored too."""
    added = between(book, BASE, {**BASE, b"a.txt": File(f"key = '{AWS}'\n".encode())})
    prose = f"my key is {AWS}\n".encode() + between(book, BASE, AFTER)
    for data in (added, prose):
        with pytest.raises(SecretFound):
            ledger.apply(b"\xff\xfe" + data.decode().encode("utf-16-le"))
    assert not list(ledger.path.glob("bodies/??/*"))


def test_taking_a_secret_away_again_is_no_new_one(book: Book, ledger: Ledger) -> None:
    """With --reverse, what a patch adds is what is removed."""
    secret: Files = {**BASE, b"a.txt": File(f"key = '{AWS}'\n".encode())}
    data = between(book, BASE, secret)
    ledger.apply(data, allow_secrets=True)
    applied = ledger.apply(data, flags=ApplyFlags(reverse=True))
    assert applied.tree == book.write_tree(BASE)
    assert applied.warnings


def test_what_was_given_can_be_dropped(book: Book, ledger: Ledger) -> None:
    """Replay needs the ordinary patch alone: it is still proved, and nothing is damaged."""
    given = b"\xff\xfe" + between(book, BASE, AFTER).decode().encode("utf-16-le")
    applied = ledger.apply(given)
    redacted = ledger.redact(applied.event, names=("given",))
    assert redacted.names == ("given",)
    with pytest.raises(DroppedBody):
        ledger.body(str(event_of(ledger, applied.event).given))
    last = list(ledger.replay())[-1]
    assert (last.tree, last.proved) == (applied.tree, True)
    assert damage(ledger) == []


def test_what_was_given_travels_along(book: Book, ledger: Ledger, tmp_path: Path) -> None:
    """An exported run has it, and its import is proved as any other."""
    applied = ledger.apply(between(book, AFTER, BASE), flags=ApplyFlags(reverse=True))
    run = applied.event.partition(":")[0]
    ledger.export_runs([run], tmp_path / "run.ledger")
    book.git("clone", "--quiet", str(book.root), str(tmp_path / "clone"))
    with Ledger.open(tmp_path / "clone") as other:
        other.import_runs(tmp_path / "run.ledger")
        event = event_of(other, applied.event)
        assert other.body(str(event.given)) == between(book, AFTER, BASE)
        assert damage(other) == []

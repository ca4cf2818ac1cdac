"""Ids that the writer gives: the same request again is the same event, and nothing happens twice."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import gatebook
from book import Book, File, Files, assert_state, damage

from ledger.api import Ledger
from ledger.errors import IdTaken, InvalidId, LostRace, ProjectionPending
from ledger.events import GateMeasured, PatchApplied
from ledger.operations.gating import GateOptions
from ledger.projections.refs import RunRef
from ledger.requests import AlreadyDone, digest_request, parse_id
from ledger.stamps import Stamp
from patches.canonicalization import Choice, Plan

BASE: Files = {b"a": File(b"one\n"), b"b": File(b"two\n"), b"a.bak": File(b"none\n")}
STRICT = gatebook.GateRule("strict", "1", 0, allow_flaky=False)


@pytest.fixture
def book(tmp_path: Path) -> Book:
    made = Book(tmp_path / "repo", BASE)
    made.root.joinpath(".git/info/exclude").parent.mkdir(exist_ok=True)
    made.root.joinpath(".git/info/exclude").write_text("/ledger.toml\n", "utf-8")
    made.git("config", "user.name", "Somebody")
    made.git("config", "user.email", "somebody@example.org")
    return made


@pytest.fixture
def ledger(book: Book) -> Iterator[Ledger]:
    with Ledger.open(book.root) as opened:
        yield opened


@pytest.fixture
def fresh() -> Callable[[], str]:
    """Makes a new id."""
    stamp = Stamp()
    return lambda: stamp.new_id(stamp.clock())


def patch_to(book: Book, path: bytes, data: bytes) -> bytes:
    return book.diff(book.write_tree(BASE), book.write_tree({**BASE, path: File(data)}))


def snapshot(book: Book) -> tuple[dict[bytes, File], bytes, bytes]:
    """Return the work tree, the index and every ref."""
    return book.work_files(), book.git("ls-files", "-s", "-z"), book.git("for-each-ref")


WRITES: dict[str, Callable[[Ledger, Book], object]] = {
    "run start": lambda ledger, _: ledger.run("title"),
    "apply": lambda ledger, book: ledger.apply(patch_to(book, b"a", b"ONE\n"), note="why"),
    "record": lambda ledger, _: ledger.record(note="by hand"),
    "mv": lambda ledger, _: ledger.move([b"b"], b"c"),
    "undo": lambda ledger, _: ledger.undo(),
    "undo two": lambda ledger, _: ledger.undo(2),
    "redo": lambda ledger, _: ledger.redo(),
    "restore": lambda ledger, _: ledger.restore("1", note="why"),
    "canonicalize": lambda ledger, _: ledger.canonicalize(
        Plan((Choice(canonical=b"a", remove=(b"a.bak",)),))
    ),
    "policy accept": lambda ledger, _: ledger.accept_policy(profile="release", reason="why"),
    "run rebase": lambda ledger, _: ledger.rebase(),
    "redact": lambda ledger, _: ledger.redact("@", names=["patch"]),
    "error": lambda ledger, _: ledger.capture_error("3:build", "broken"),
    "gc": lambda ledger, _: ledger.collect(0, apply=True),
    "import": lambda ledger, book: ledger.import_runs(book.root.parent / "guest.zip"),
    "import errors": lambda ledger, book: ledger.import_errors([book.root.parent / "old.ndjson"]),
    "phase": lambda ledger, _: ledger.enter_phase("next"),
    "commit": lambda ledger, _: ledger.commit("message", candidate=True),
    "finish": lambda ledger, _: ledger.finish(),
}


def take_along(book: Book) -> None:
    """Export a run of another clone."""
    other = book.root.parent / "other"
    shutil.copytree(book.root, other)
    shutil.rmtree(other / ".git/ledger")
    with Ledger.open(other) as source:
        with source.run("guest", name="guest"):
            pass
        source.export_runs(["guest"], book.root.parent / "guest.zip")


@pytest.mark.parametrize("command", WRITES)
def test_the_same_request_again_is_the_same_event(
    ledger: Ledger, book: Book, fresh: Callable[[], str], command: str
) -> None:
    """The event has the id; asked again, by another process too, nothing is written and it is named."""
    if command != "run start":
        ledger.apply(patch_to(book, b"b", b"TWO\n"))
    if command in ("redo", "undo two"):
        ledger.move([b"b"], b"c")
    if command == "redo":
        ledger.undo()
    if command == "record":
        book.put(b"new", File(b"by hand\n"))
    if command == "gc":
        ledger.finish()
    if command == "import":
        take_along(book)
    if command == "import errors":
        (book.root.parent / "old.ndjson").write_text('{"step": "1", "error": "e", "ctx": "c"}\n' * 2)
    if command == "run rebase":
        book.git("commit", "-q", "--allow-empty", "-m", "theirs")
        book.git("commit", "-q", "-a", "-m", "another tree", "--amend")
    id_, position = fresh(), 0 if command == "run start" else ledger.store.position()
    with ledger.once(id_):
        WRITES[command](ledger, book)
    (event,) = [frame.event for frame in ledger.store.frames() if frame.event.id == id_]
    assert ledger.store.position() > position
    before = snapshot(book), ledger.store.position()
    with Ledger.open(book.root) as other, other.once(id_), pytest.raises(AlreadyDone) as done:
        WRITES[command](other, book)
    assert done.value.event == event
    assert (snapshot(book), ledger.store.position()) == before
    assert damage(ledger) == []


def test_only_one_event_of_a_group_gets_the_id(ledger: Ledger, book: Book, fresh: Callable[[], str]) -> None:
    """A patch that begins a run: the patch has it, not the run's start, nor the next patch without an id."""
    id_ = fresh()
    with ledger.once(id_):
        applied = ledger.apply(patch_to(book, b"a", b"ONE\n"))
        ledger.apply(patch_to(book, b"b", b"TWO\n"))
    assert [event.v for event in ledger.events() if event.id == id_] == [3]
    assert applied.event.endswith(":3")
    assert len({event.id for event in ledger.events()}) == 4


@pytest.mark.duckdb
def test_a_request_is_known_from_a_sealed_segment(
    ledger: Ledger, book: Book, fresh: Callable[[], str]
) -> None:
    """Its lines are JSON no more; an id that nobody used is not taken for one there."""
    early, id_, unused = fresh(), fresh(), fresh()
    with ledger.once(id_):
        applied = ledger.apply(patch_to(book, b"a", b"ONE\n"))
    ledger.archive()
    assert [ledger.store.find(each) for each in (early, unused)] == [None, None]
    with Ledger.open(book.root) as other, other.once(id_), pytest.raises(AlreadyDone) as done:
        other.apply(patch_to(book, b"a", b"ONE\n"))
    assert done.value.event.reference == applied.event
    with ledger.once(unused):
        ledger.enter_phase("P1")
    assert ledger.event("@").id == unused


def test_another_request_under_a_used_id_is_an_error(
    ledger: Ledger, book: Book, fresh: Callable[[], str]
) -> None:
    """Whether the patch is another, the note, or the command; nothing is written."""
    id_ = fresh()
    with ledger.once(id_):
        ledger.apply(patch_to(book, b"a", b"ONE\n"), note="why")
    before = snapshot(book), ledger.store.position()
    others: list[Callable[[], object]] = [
        lambda: ledger.apply(patch_to(book, b"a", b"1\n"), note="why"),
        lambda: ledger.apply(patch_to(book, b"a", b"ONE\n"), note="else"),
        lambda: ledger.apply_again("@", note="why"),
        ledger.undo,
    ]
    for other in others:
        with ledger.once(id_), pytest.raises(IdTaken):
            other()
    assert (snapshot(book), ledger.store.position()) == before


def test_a_refused_patch_leaves_its_id_free(ledger: Ledger, book: Book, fresh: Callable[[], str]) -> None:
    """What did not happen can still happen, under the same id."""
    ledger.run("port")
    id_, patch = fresh(), patch_to(book, b"a", b"ONE\n")
    ledger.apply(patch_to(book, b"a", b"else\n"))
    with ledger.once(id_), pytest.raises(Exception, match="does not"):
        ledger.apply(patch)
    ledger.undo()
    with ledger.once(id_):
        applied = ledger.apply(patch)
    assert ledger.event(applied.event).id == id_


def test_a_retry_finishes_what_a_crash_left(
    ledger: Ledger, book: Book, fresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event was recorded, the work tree not yet written: asking again names it and brings the tree up."""
    ledger.run("port")
    id_, patch = fresh(), patch_to(book, b"a", b"ONE\n")
    monkeypatch.setattr(RunRef, "project", _fail)
    with ledger.once(id_), pytest.raises(ProjectionPending):
        ledger.apply(patch)
    monkeypatch.undo()
    with ledger.once(id_), pytest.raises(AlreadyDone):
        ledger.apply(patch)
    assert not ledger.status().pending
    assert_state(ledger, book, ledger.current_run().name, 3, ledger.status().candidate)
    assert book.root.joinpath("a").read_bytes() == b"ONE\n"


def _fail(*_: object) -> None:
    raise OSError(5, "the disk is gone")


def test_of_two_work_trees_that_use_one_id_one_wins(
    ledger: Ledger, book: Book, fresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both looked before either had written: the store itself lets one of them in."""
    id_ = fresh()
    ledger.run("first")
    book.git("worktree", "add", "-q", str(book.root.parent / "other"), "HEAD")
    with Ledger.open(book.root.parent / "other") as other:
        other.run("second")
        monkeypatch.setattr(type(other.store), "find", lambda *_: None)
        with ledger.once(id_):
            ledger.enter_phase("P1")
        with other.once(id_), pytest.raises(LostRace):
            other.enter_phase("P1")
        monkeypatch.undo()
        with other.once(id_), pytest.raises(AlreadyDone) as done:
            other.enter_phase("P1")
    assert done.value.event.run == ledger.current_run().name


def test_a_gate_that_is_asked_again_answers_the_same(
    ledger: Ledger, book: Book, fresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A strict failure stays one, although its patch was rolled back and the candidate would pass now."""
    gatebook.STEER.reset()
    monkeypatch.setattr("ledger.operations.measuring.run_step", gatebook.STEER.run_step)
    monkeypatch.setattr("ledger.operations.measuring.tool_versions", gatebook.STEER.tool_versions)
    rules = {"a": STRICT, "b": STRICT}
    configuration = gatebook.Configuration({"release": rules}, "release")
    book.root.joinpath("ledger.toml").write_text(configuration.toml(), "utf-8")
    ledger.run("port")
    gatebook.STEER.codes = {"a": [0], "b": [0]}
    assert ledger.gate().accepted
    applied = ledger.apply(patch_to(book, b"a", b"ONE\n"))
    gatebook.STEER.codes = {"a": [0], "b": [1]}
    id_ = fresh()
    with ledger.once(id_):
        first = ledger.gate(GateOptions())
    assert first.rejected
    assert first.rolled_back is not None
    position = ledger.store.position()
    with ledger.once(id_):
        second = ledger.gate(GateOptions())
    assert ledger.store.position() == position
    assert [(r.gate, r.verdict, r.event) for r in second.results] == [
        (r.gate, r.verdict, r.event) for r in first.results
    ]
    assert (second.rejected, second.accepted, second.tree) == (True, False, applied.tree)
    assert second.rolled_back is not None
    assert second.rolled_back.event == first.rolled_back.event
    event = ledger.event(applied.event)
    assert isinstance(event, PatchApplied)
    assert ledger.gate_again(event).rejected
    measured = [e for e in ledger.events() if isinstance(e, GateMeasured)]
    assert [e.id == id_ for e in measured] == [False, False, True, False]


@pytest.mark.parametrize(
    "text",
    ["", "x", "7" * 32, "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "f47ac10b-58cc-4372-a567-0e02b2c3d479"],
)
def test_what_is_no_id(text: str) -> None:
    """Other versions sort by nothing, and are refused."""
    with pytest.raises(InvalidId):
        parse_id(text)


def test_an_id_has_one_spelling() -> None:
    """The example of RFC 9562, appendix A.6, in capitals and as a URN."""
    example = "017F22E2-79B0-7CC3-98C4-DC0C0C07398F"
    assert parse_id(example) == parse_id(f"urn:uuid:{example}") == example.lower()


def test_the_digest_of_a_request_is_the_documents() -> None:
    """Made with ``sha256sum`` from the words of docs/format.md."""
    given = {"patch": b"body", "note": "é"}
    assert (
        digest_request("apply", given) == "60c0898b264acf39751bf9e02e41b7b8fd0a415449fffffc2acb06ebba34fe65"
    )

"""Errors of old files in the ledger: all of them or none, nothing twice, secrets masked, answers taken over."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "errorfiles"))
from book import Book, File, damage
from errorshapes import POINTER, TABLE, TEMPLATE, block  # pyright: ignore[reportMissingImports]

from ingestion.errors import BinaryContent, NotAFile
from ledger.api import Ledger
from ledger.events import ErrorCaptured, QuestionAnswered, QuestionRetired, RunStarted
from ledger.operations.errorimport import Imported
from ledger.transfer_errors import LeftOver


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "repo", {b"a.txt": File(b"one\n")})


@pytest.fixture
def ledger(book: Book) -> Iterator[Ledger]:
    with Ledger.open(book.root) as opened:
        yield opened


def write(book: Book, text: str | bytes, name: str = "old.md") -> Path:
    path = book.root / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def row(message: str, **fields: object) -> str:
    return json.dumps({"step": "3:build", "error": message, **fields}) + "\n"


def captured(ledger: Ledger) -> list[ErrorCaptured]:
    return [frame.event for frame in ledger.store.frames() if isinstance(frame.event, ErrorCaptured)]


def messages(ledger: Ledger) -> list[str]:
    return [ledger.body(event.message).decode() for event in captured(ledger)]


def fates(imported: Imported) -> list[str]:
    return [each.fate for each in imported.rows]


def test_an_event_has_everything_that_its_file_says(ledger: Ledger, book: Book) -> None:
    text = "# Log\n\n" + block("Question for ChatGPT-5 2025-01-02:", message="boom") + "\nAnswer: oil it.\n"
    imported = ledger.import_errors([write(book, text)])
    (event,) = captured(ledger)
    assert (event.step, event.cause, event.asked_at) == ("3:build", "import", "2025-01-02")
    assert event.origin == "old.md:3"
    assert event.marks == ("written by a test suite: a message that tests make up",)
    assert ledger.body(event.message) == b"boom"
    assert ledger.body(event.context or "") == b"building the parts catalogue"
    (answered,) = [
        frame.event for frame in ledger.store.frames() if isinstance(frame.event, QuestionAnswered)
    ]
    assert (answered.error_v, ledger.body(answered.answer)) == (event.v, b"Answer: oil it.")
    assert imported.rows[1].event == event.reference
    assert damage(ledger) == []


def test_it_goes_into_the_open_run_and_else_into_a_new_one(ledger: Ledger, book: Book) -> None:
    path = write(book, row("first"))
    with ledger.run("title", name="mine"):
        assert ledger.import_errors([path]).started == ""
        assert [event.run for event in captured(ledger)] == ["mine"]
    started = ledger.import_errors([write(book, row("second"))]).started
    assert started.startswith("import-errors-")
    (run,) = [frame.event for frame in ledger.store.frames() if frame.event.run == started][:1]
    assert isinstance(run, RunStarted)
    assert run.title == "import errors"


def test_twice_is_once_in_another_run_too_and_where_lines_have_moved(ledger: Ledger, book: Book) -> None:
    path = write(book, row("first") + row("first") + row("second", ts="2025-01-02"))
    assert fates(ledger.import_errors([path])) == ["asked", "joined", "asked"]
    position = ledger.store.position()
    assert fates(ledger.import_errors([path])) == ["known"] * 3
    assert ledger.store.position() == position
    ledger.finish(abandon=True)
    write(book, "\n" + row("new") + row("first") * 3 + row("second", ts="2025-01-02"))
    imported = ledger.import_errors([path])
    assert fates(imported) == ["asked", "known", "known", "asked", "known"]
    assert messages(ledger) == ["first", "first", "second", "new", "first"]


def test_a_file_is_told_from_another_and_from_itself_by_its_place(ledger: Ledger, book: Book) -> None:
    """The same row in another file is another row; by another name of the same file it is the same."""
    first, second = write(book, row("same"), "one.ndjson"), write(book, row("same"), "two.ndjson")
    (book.root / "link").symlink_to("one.ndjson")
    assert fates(ledger.import_errors([first, second, book.root / "link"])) == ["asked", "joined"]
    outside = book.root.parent / "three.ndjson"
    outside.write_text(row("same"))
    ledger.import_errors([outside])
    assert [event.origin for event in captured(ledger)] == ["one.ndjson:1", "two.ndjson:1", f"{outside}:1"]


def test_the_same_error_in_the_temporary_directories_of_many_test_runs_is_one_question(
    ledger: Ledger, book: Book
) -> None:
    text = "".join(row(f"cannot read /tmp/pytest-of-me/pytest-{n}/test_x0/a.json") for n in range(3))
    assert fates(ledger.import_errors([write(book, text)])) == ["asked", "joined", "joined"]


def test_what_was_answered_in_the_file_since_is_answered_here(ledger: Ledger, book: Book) -> None:
    path = write(book, block() + "\n" + block(message="another"))
    ledger.import_errors([path])
    write(book, block() + "\nAnswer: oil it.\n\n" + block(message="another"))
    assert fates(ledger.import_errors([path])) == ["settled", "known"]
    assert [row[1] for row in ledger.sql("select v, outcome from questions order by v").fetchall()] == [
        "answered",
        None,
    ]
    assert fates(ledger.import_errors([path])) == ["known", "known"]
    assert len(captured(ledger)) == 2


def test_the_questions_file_asks_nothing_again_and_an_answer_written_into_it_counts(
    ledger: Ledger, book: Book
) -> None:
    """The ledger's own questions, in the standard form, with the times of their events."""
    asked = [ledger.capture_error("3:build", "no widgets"), ledger.capture_error("3:build", "no oil")]
    times = [
        datetime.fromtimestamp(event.at_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for event in asked
    ]
    first, second = (
        block(f"Question for ChatGPT @codex {time}:", message=message, context="none")
        for time, message in zip(times, ("no widgets", "no oil"), strict=True)
    )
    path = write(book, f"{first}\n{second}")
    assert fates(ledger.import_errors([path])) == ["known", "known"]
    write(book, f"{first}\nAnswer: buy some.\n\n{second}")
    assert fates(ledger.import_errors([path])) == ["settled", "known"]
    assert [row[0] for row in ledger.sql("select outcome from questions order by v").fetchall()] == [
        "answered",
        None,
    ]
    assert fates(ledger.import_errors([path])) == ["known", "known"]


def test_a_table_closes_its_questions(ledger: Ledger, book: Book) -> None:
    ledger.import_errors([write(book, TABLE)])
    assert len(captured(ledger)) == 4
    events = [frame.event for frame in ledger.store.frames()]
    (answered,) = [event for event in events if isinstance(event, QuestionAnswered)]
    (retired,) = [event for event in events if isinstance(event, QuestionRetired)]
    assert ledger.body(answered.answer) == b"Bought another red"
    assert ledger.body(retired.reason or "") == b"We spray"


def test_strict_writes_nothing_where_anything_is_left_over(ledger: Ledger, book: Book) -> None:
    good, odd = write(book, row("fine"), "good.ndjson"), write(book, POINTER + row("fine"), "odd.ndjson")
    with pytest.raises(LeftOver) as caught:
        ledger.import_errors([good, odd], strict=True)
    assert caught.value.rest == ("odd.ndjson:1-3: a Git LFS pointer: its 4711 bytes are not here",)
    assert not ledger.path.exists()
    assert fates(ledger.import_errors([good], strict=True)) == ["asked"]


@pytest.mark.parametrize(("content", "error"), [(b"a\0b", BinaryContent), (None, NotAFile)])
def test_a_file_that_cannot_be_read_stops_all_of_them(ledger: Ledger, book: Book, content, error) -> None:
    good, bad = write(book, row("fine"), "good.ndjson"), book.root / "bad"
    if content is not None:
        bad.write_bytes(content)
    with pytest.raises(error):
        ledger.import_errors([good, bad])
    assert not ledger.path.exists()


def test_a_file_without_an_error_writes_nothing(ledger: Ledger, book: Book) -> None:
    assert fates(ledger.import_errors([write(book, "# Title\n\n" + TEMPLATE)])) == ["left", "template"]
    assert ledger.import_errors([write(book, "")]).rows == ()
    assert [*ledger.store.frames()] == []


def test_secrets_are_in_no_body_and_no_report(ledger: Ledger, book: Book) -> None:
    key = "AKIA" + "Z2Q7XK4M5N6P8R3T"
    text = row(f"denied for {key}", context=f"as {key}") + f"the key was {key}\n"
    imported = ledger.import_errors([write(book, text)])
    (event,) = captured(ledger)
    assert event.marks == ("secrets masked",)
    assert key not in repr(imported.rows)
    assert not [
        path for path in ledger.path.rglob("*") if path.is_file() and key.encode() in path.read_bytes()
    ]
    assert fates(ledger.import_errors([book.root / "old.md"])) == ["known", "left"]


def test_a_key_without_an_end_hides_no_other_row(ledger: Ledger, book: Book) -> None:
    ledger.import_errors([write(book, row("-----BEGIN RSA " + "PRIVATE KEY-----\nMIIabc") + row("another"))])
    assert messages(ledger)[1] == "another"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_a_file_may_be_in_another_encoding_with_other_line_ends(
    ledger: Ledger, book: Book, encoding: str
) -> None:
    text = block(message="die Größe fehlt überall in der Übersicht").replace("\n", "\r\n")
    ledger.import_errors([write(book, text.encode(encoding))])
    assert messages(ledger) == ["die Größe fehlt überall in der Übersicht"]


def test_what_is_planned_is_what_is_done(ledger: Ledger, book: Book) -> None:
    path = write(book, block() + TEMPLATE + "prose\n" + TABLE)
    planned = ledger.plan_errors([path])
    assert not ledger.path.exists()
    done = ledger.import_errors([path])
    assert [each.error for each in planned.rows] == [each.error for each in done.rows]
    assert fates(planned) == ["new", "template", "left", "new", "new", "new", "new", "left"]
    assert [each.fate for each in ledger.plan_errors([path]).rows] == [
        "known" if fate == "new" else fate for fate in fates(planned)
    ]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.lists(st.sampled_from("abc"), max_size=5), min_size=1, max_size=4))
def test_a_message_is_here_as_often_as_the_fullest_file_had_it(
    tmp_path_factory, versions: list[list[str]]
) -> None:
    """However a file changed between imports: an oracle that only counts."""
    book = Book(tmp_path_factory.mktemp("book") / "repo", {b"a.txt": File(b"one\n")})
    with Ledger.open(book.root) as ledger:
        for version in versions:
            ledger.import_errors([write(book, "".join(row(message) for message in version))])
        found = messages(ledger) if ledger.path.exists() else []
    assert {m: found.count(m) for m in "abc"} == {m: max(v.count(m) for v in versions) for m in "abc"}

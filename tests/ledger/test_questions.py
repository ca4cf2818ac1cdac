"""Errors that were met: each a question, counted, answered or retired, and in the way of a final run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import Book, File, damage

from ledger.api import Ledger
from ledger.errors import InvalidStep, NoQuestion, NoRun, NotFinal
from ledger.events import ErrorCaptured
from ledger.operations.captures import Capture
from ledger.operations.questions import capture_all
from patches.errors import HunkMismatch


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "repo", {b"a.txt": File(b"one\n")})


@pytest.fixture
def ledger(book: Book) -> Iterator[Ledger]:
    with Ledger.open(book.root) as opened:
        yield opened


def asked(ledger: Ledger) -> list[tuple[object, ...]]:
    rows = ledger.sql("select v, step, open, errors, outcome from questions order by v")
    return rows.fetchall()


def test_the_same_error_again_joins_its_question(ledger: Ledger) -> None:
    """In the same step with the same words, as long as the question is open; anything else asks anew."""
    first = ledger.capture_error("3:build", "no such file", context="making the wheel")
    again = ledger.capture_error("3:build", "no such file")
    elsewhere = ledger.capture_error("4:prune", "no such file")
    assert (first.same_as, again.same_as, elsewhere.same_as) == (None, first.v, None)
    assert ledger.body(first.message) == b"no such file"
    assert first.context is not None
    assert ledger.body(first.context) == b"making the wheel"
    ledger.answer(again.reference, "the step before makes it")
    anew = ledger.capture_error("3:build", "no such file")
    assert anew.same_as is None
    assert asked(ledger) == [
        (first.v, "3:build", False, 2, "answered"),
        (elsewhere.v, "4:prune", True, 1, None),
        (anew.v, "3:build", True, 1, None),
    ]
    assert ledger.status().questions == (elsewhere.reference, anew.reference)
    assert damage(ledger) == []


def test_a_question_is_closed_once(ledger: Ledger) -> None:
    """By an answer or by retiring it; what is no open question is refused, and nothing is written."""
    captured = ledger.capture_error("1:prep", "x")
    (closed,) = ledger.retire(captured.reference, reason="a typo")
    position = ledger.store.position()
    for reference in (captured.reference, closed.reference, f"{captured.run}:1"):
        with pytest.raises(NoQuestion):
            ledger.answer(reference, "too late")
    assert ledger.store.position() == position
    assert [row[2:] for row in asked(ledger)] == [(False, 1, "retired")]


def test_a_question_of_another_run_is_not_answered(ledger: Ledger) -> None:
    """Its run is finished: nothing is appended to it."""
    captured = ledger.capture_error("1:prep", "x")
    ledger.finish()
    ledger.run("next")
    with pytest.raises(NoRun):
        ledger.answer(captured.reference, "why")


def test_an_unanswered_error_keeps_a_run_from_being_final(ledger: Ledger) -> None:
    """It is listed with a command; an answer takes it away, and so does a reason to waive it."""
    captured = ledger.capture_error("3:build", "broken")
    ledger.enter_phase("P6")
    missing = dict(_missing(ledger))
    (line,) = (what for what in missing if "unanswered" in what)
    assert captured.reference in line
    assert missing[line] == "ledger questions --open"
    assert not any("unanswered" in what for what, _ in _missing(ledger, waive="known upstream"))
    ledger.answer(captured.reference, "fixed")
    assert not any("unanswered" in what for what, _ in _missing(ledger))


def _missing(ledger: Ledger, waive: str = "") -> tuple[tuple[str, str], ...]:
    with pytest.raises(NotFinal) as refused:
        ledger.finish(waive=waive)
    return tuple(refused.value.missing)


def test_the_same_error_is_told_by_what_stays(ledger: Ledger) -> None:
    """A duration is another each time; what was said each time is kept."""
    first = ledger.capture_error("3:build", "2 failed in 0.12s")
    again = ledger.capture_error("3:build", "2 failed in 7.50s")
    other = ledger.capture_error("3:build", "3 failed in 7.50s")
    assert (again.same_as, other.same_as) == (first.v, None)
    assert ledger.body(again.message) == b"2 failed in 7.50s"


def test_an_answered_error_that_comes_again_names_its_answer(ledger: Ledger) -> None:
    """It is a question of its own, after the one that was closed."""
    first = ledger.capture_error("3:build", "no such file")
    ledger.answer(first.reference, "make it")
    again = ledger.capture_error("3:build", "no such file")
    assert (again.same_as, again.after) == (None, first.v)
    assert again.after == ledger.history().closed[first.v].error_v


@pytest.mark.parametrize("step", ["build", "3", ":build", "3:", "a:b", "3:a\nb", "1.:x"])
def test_a_step_has_a_number_and_a_description(ledger: Ledger, step: str) -> None:
    """Anything else is refused, and nothing is written."""
    with pytest.raises(InvalidStep):
        ledger.capture_error(step, "x")
    assert not ledger.path.joinpath("FORMAT").exists() or ledger.runs() == []


def test_many_are_captured_as_one_group(ledger: Ledger) -> None:
    """Duplicates join, none is dropped; answers follow, once for each question, with all that was said."""
    workspace = ledger._workspace
    captures = [
        Capture(step="x", message="a", cause="import", origin="f:1", state="answered", answer="first"),
        Capture(step="x", message="b", cause="import", origin="f:2", asked_at="last May", marks=("odd",)),
        Capture(step="x", message="a", cause="import", origin="f:3", state="answered", answer="second"),
        Capture(step="y", message="c", cause="import", origin="f:4", state="retired", answer="gone"),
    ]
    first, second, third, fourth = capture_all(workspace, captures, title="import errors")
    assert [each.same_as for each in (first, second, third, fourth)] == [None, None, first.v, None]
    assert [each.origin for each in (first, third)] == ["f:1", "f:3"]
    assert (second.asked_at, second.marks, second.met_by) == ("last May", ("odd",), "import")
    assert [row[2:] for row in asked(ledger)] == [
        (False, 2, "answered"),
        (True, 1, None),
        (False, 1, "retired"),
    ]
    (answer,) = ledger.sql("select answer from questions where v = $v", {"v": first.v}).fetchone() or ("",)
    assert ledger.body(answer) == b"first\n\nsecond"
    assert {frame.n for frame in ledger.store.frames()} == set(range(8))
    assert damage(ledger) == []


def test_questions_are_retired_together(ledger: Ledger) -> None:
    """All of them or none."""
    events = [ledger.capture_error("1:prep", text).reference for text in ("a", "b")]
    with pytest.raises(NoQuestion):
        ledger.retire(*events, f"{events[0].partition(':')[0]}:1")
    assert [row[2] for row in asked(ledger)] == [True, True]
    ledger.retire(*events, reason="moot")
    assert [row[2] for row in asked(ledger)] == [False, False]


PATCH = b"--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-%b\n+zwei\n"


def test_a_refused_patch_asks_until_one_of_its_source_applies(book: Book, ledger: Ledger) -> None:
    """Question and answer are in the groups of the refusal and of the patch; it is in no one's way."""
    ledger.run("try", name="try")
    ledger.enter_phase("P3")
    for _ in range(2):
        with pytest.raises(HunkMismatch):
            ledger.apply(PATCH % b"two", source="fix.diff")
    with pytest.raises(HunkMismatch):
        ledger.apply(PATCH % b"three", source="other.diff")
    events = list(ledger.events())
    first, again, other = [event for event in events if isinstance(event, ErrorCaptured)]
    assert (first.step, first.met_by, first.source_v) == ("3:apply fix.diff", "patch", first.v - 1)
    assert (again.same_as, other.same_as) == (first.v, None)
    assert ledger._workspace.store.heads()["try"].refusals == (first.v, other.v)
    applied = ledger.apply(PATCH % b"one", source="fix.diff")
    assert [row[2:] for row in asked(ledger)] == [(False, 2, "answered"), (True, 1, None)]
    (answered,) = (event for event in ledger.events() if event.kind.startswith("question."))
    assert answered.reference == f"try:{int(applied.event.partition(':')[2]) + 1}"
    assert [frame.n for frame in ledger.store.frames()][-2:] == [1, 0]
    ledger.enter_phase("P6")
    assert not any("unanswered" in what for what, _ in _missing(ledger))
    assert damage(ledger) == []


def test_a_refused_patch_is_answered_by_its_bytes(book: Book, ledger: Ledger) -> None:
    """From wherever they come; standard input has no name that could tell."""
    ledger.run("try")
    for _ in range(2):
        with pytest.raises(HunkMismatch):
            ledger.apply(PATCH % b"two")
    ledger.apply(PATCH % b"one")
    assert [row[2] for row in asked(ledger)] == [True]
    ledger.undo()
    book.path(b"a.txt").write_bytes(b"two\n")
    ledger.record()
    ledger.apply(PATCH % b"two", source="elsewhere.diff")
    assert [row[2] for row in asked(ledger)] == [False]

"""Errors that were met: each a question, counted, answered or retired, and in the way of a final run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import Book, File, damage

from ledger.api import Ledger
from ledger.errors import NoQuestion, NoRun, NotFinal


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

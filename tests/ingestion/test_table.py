"""Texts in many languages and encodings: ours is right more often than charset-normalizer alone and chardet."""

from __future__ import annotations

import sys
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

import chardet
import charset_normalizer
import pytest
from texts import HALVES, LENGTHS, Case, read_cases

from ingestion import Detection, IngestionError, detect

if TYPE_CHECKING:
    from collections.abc import Callable


def ask(case: Case) -> Detection | None:
    try:
        return detect(case.data)
    except IngestionError:
        return None


def ask_charset_normalizer(data: bytes) -> str | None:
    match = charset_normalizer.from_bytes(data).best()
    return None if match is None else match.encoding


def ask_chardet(data: bytes) -> str | None:
    return chardet.detect(data)["encoding"]


@cache
def answers() -> list[tuple[Case, Detection | None]]:
    return [(case, ask(case)) for case in read_cases()]


def count(right: Callable[[Case, Detection | None], bool]) -> Counter[tuple[str, str]]:
    return Counter((case.half, case.length) for case, found in answers() if right(case, found))


def is_right(case: Case, found: Detection | None) -> bool:
    return found is not None and case.is_right(found.encoding)


def test_there_are_enough_texts() -> None:
    cases = [case for case, _ in answers()]
    assert len({(case.text, case.encoding) for case in cases}) >= 1000
    assert len({case.encoding for case in cases}) >= 50
    assert {case.language for case in cases if case.half == HALVES[1]} - {
        case.language for case in cases if case.half == HALVES[0]
    } >= {"Danish", "Icelandic", "Slovenian", "Latvian", "Bulgarian", "Serbian", "Persian"}


@pytest.mark.parametrize("rival", [ask_charset_normalizer, ask_chardet])
def test_right_more_often_than_either_in_both_halves_and_at_every_length(
    rival: Callable[[bytes], str | None],
) -> None:
    ours, theirs = count(is_right), count(lambda case, _: case.is_right(rival(case.data)))
    assert ours.total() > theirs.total()
    assert [
        key for key in ((half, each) for half in HALVES for each in LENGTHS) if ours[key] < theirs[key]
    ] == []


def test_lines_and_pages_are_nearly_always_right() -> None:
    wrong = [case for case, found in answers() if case.length != "word" and not is_right(case, found)]
    assert len(wrong) <= 3


def test_no_wrong_answer_goes_without_being_called_a_guess() -> None:
    assert [
        case for case, found in answers() if found and not found.guessed and not is_right(case, found)
    ] == []


def test_nothing_is_refused() -> None:
    assert [case for case, found in answers() if found is None] == []


def test_confidence_says_how_often_a_guess_is_right() -> None:
    guesses = [
        (found.confidence, is_right(case, found)) for case, found in answers() if found and found.guessed
    ]
    sure = [right for confidence, right in guesses if confidence >= 0.95]
    unsure = [right for confidence, right in guesses if confidence < 0.8]
    assert sum(sure) / len(sure) >= 0.98
    assert 0.3 <= sum(unsure) / len(unsure) <= 0.8


def test_most_is_right_without_charset_normalizer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "charset_normalizer", None)
    cases = [case for case, _ in answers() if case.length == "line"]
    assert sum(is_right(case, ask(case)) for case in cases) / len(cases) >= 0.98

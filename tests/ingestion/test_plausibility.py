"""Which reading of bytes is the most plausible text, and what of them is looked at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.languages import FAMILIES
from ingestion.plausibility import SAMPLE_SIZE_BYTES, rank, share_of_first, take_sample

JAPANESE = "これは日本語の文章です。文字コードを判定します。"


def test_every_letter_of_a_language_is_in_its_first_encoding() -> None:
    """A slip in a table would be a letter that no file can hold."""
    for family in FAMILIES:
        for language, tiers in family.languages.items():
            for letters in tiers:
                missing = [c for c in letters.chars if not _holds(next(iter(family.encodings)), c)]
                assert (language, missing) == (language, [])
                assert len(set(letters.chars)) == len(letters.chars), language


def _holds(encoding: str, char: str) -> bool:
    try:
        char.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def test_lines_of_ascii_are_not_looked_at() -> None:
    data = b"x = 1\n" * 5000 + "naïve\nend\ncafé".encode("cp1252")
    assert take_sample(data) == "naïve\ncafé".encode("cp1252")


@pytest.mark.parametrize("encoding", ["shift_jis", "euc_jp", "gb18030", "utf-8"])
@given(before=st.integers(0, 200), repeats=st.integers(1, 300))
def test_sample_begins_where_a_character_begins(encoding: str, before: int, repeats: int) -> None:
    sample = take_sample(("x" * before + JAPANESE * repeats).encode(encoding))
    assert len(sample) <= SAMPLE_SIZE_BYTES
    assert sample.decode(encoding, "ignore").lstrip("x")[:5] == JAPANESE[:5]


def test_same_letters_in_other_case_are_less_plausible() -> None:
    """KOI8 and Windows-1251 read each other's letters, upper case for lower."""
    readings = rank("Привет, как дела?".encode("koi8_r"))
    place = {reading.encoding: number for number, reading in enumerate(readings)}
    assert place["koi8_r"] == 0
    assert place["cp1251"] > 0


def test_readings_that_say_the_same_share_no_confidence() -> None:
    """KOI8-R and KOI8-U differ in letters that are not there."""
    data = "Сегодня хорошая погода, и мы идём гулять.".encode("koi8_r")
    readings = rank(data)
    assert {readings[0].encoding, readings[1].encoding} == {"koi8_r", "koi8_u"}
    assert share_of_first(data, readings) > 0.99

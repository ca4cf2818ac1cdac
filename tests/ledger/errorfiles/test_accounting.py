"""Nothing of a file is lost: whatever stands in it, each character is in one piece, and what was found is."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from errorshapes import POINTER, TABLE, TEMPLATE, VARIANTS, quoted, rows

from ledger.errorfiles import parse_error_file
from ledger.errorfiles.model import ErrorFile, Gap, Piece

_WHOLE = st.sampled_from([*VARIANTS.values(), *rows().values(), POINTER, TEMPLATE, TABLE, quoted(TABLE)])
_LINE = st.one_of(
    st.sampled_from(
        [
            "",
            "```",
            "```text",
            ":::",
            "---",
            "# A title",
            "> quoted",
            "- item",
            "| a | b |",
            "|---|---|",
            "{",
            "[",
            "]",
            ",",
        ]
    ),
    st.sampled_from(
        [
            "Question for ChatGPT-5 2025:",
            "While performing x, encountered y",
            "Context: c",
            "Answer:",
            "Resolution: r",
        ]
    ),
    st.text(max_size=40),
)
_DAMAGED = _WHOLE.flatmap(lambda text: st.integers(0, len(text)).map(lambda at: text[:at]))
_FILES = st.lists(st.one_of(_WHOLE, _DAMAGED, _LINE), max_size=12).map("\n".join)


def is_covered(found: ErrorFile) -> list[bool]:
    covered = [False] * len(found.text)
    for piece in found.pieces:
        for at in range(piece.start, piece.end):
            assert not covered[at]
            covered[at] = True
    return covered


@given(_FILES)
def test_each_character_that_is_not_blank_is_in_exactly_one_piece(text):
    found = parse_error_file(text, "old.txt")
    assert all(
        in_piece or character.isspace() for character, in_piece in zip(text, is_covered(found), strict=True)
    )


@given(_FILES)
def test_a_piece_is_an_error_or_says_what_it_is(text):
    for piece in parse_error_file(text, "old.txt").pieces:
        assert (piece.kind == "error") == (piece.error is not None) == (not piece.why)
        assert piece.error is None or piece.error.message.strip()


@given(st.lists(st.sampled_from(["message one", "message two", "three: 3"]), max_size=8), st.booleans())
def test_as_many_errors_come_out_as_were_written(messages, as_rows):
    if as_rows:
        text = "\n".join(json.dumps({"step": "1", "error": message}) for message in messages)
    else:
        text = "\n\n".join(
            VARIANTS["standard"].replace("ImportError: no module named 'widgets'", m) for m in messages
        )
    found = [piece.error.message for piece in parse_error_file(text, "old.txt").pieces if piece.error]
    assert found == messages


@given(st.text(max_size=200), st.integers(0, 220))
def test_lines_are_counted_as_they_are(text, at):
    found = ErrorFile("f", text, [Piece(0, len(text), "left", "all")] if text else [])
    assert found.line_count == len(text.split("\n")) - (text.endswith("\n") or not text)
    if at < len(text):
        assert found.line_of(at) == text[:at].count("\n") + 1


@pytest.mark.parametrize("pieces", [[(0, 2)], [(0, 3), (2, 7)], [(0, 7), (7, 7)], [(3, 7)]])
def test_a_parser_that_loses_or_doubles_a_stretch_is_caught(pieces):
    with pytest.raises(Gap):
        ErrorFile("f", "abc def", [Piece(start, end, "left", "x") for start, end in pieces])

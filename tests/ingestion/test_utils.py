"""Byte order marks and newlines."""

from __future__ import annotations

import codecs
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.utils import Newline, marked_encodings, newline_kind, normalize


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", Newline.NONE),
        ("one", Newline.NONE),
        ("one\x0bvertical\x85next\u2028line", Newline.NONE),
        ("one\n", Newline.LF),
        ("one\r\ntwo\r\n", Newline.CRLF),
        ("one\rtwo\r", Newline.CR),
        ("one\r\ntwo\n", Newline.MIXED),
        ("one\n\r", Newline.MIXED),
        ("one\r\r\n", Newline.MIXED),
    ],
)
def test_newline_kinds(text: str, kind: Newline) -> None:
    assert newline_kind(text) is kind


@given(st.text(st.sampled_from("a\r\n")))
def test_newlines_are_those_that_python_reads(text: str) -> None:
    """Python's own universal newlines say the same."""
    reader = io.TextIOWrapper(io.BytesIO(text.encode()), newline=None)
    assert normalize(text) == reader.read()
    seen = reader.newlines
    names = {None: "none", "\n": "lf", "\r\n": "crlf", "\r": "cr"}
    assert newline_kind(text) == ("mixed" if isinstance(seen, tuple) else names[seen])


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalize(text.lstrip("\ufeff"))
    assert normalize(once) == once
    assert "\r" not in once


def test_mark_is_stripped_once() -> None:
    """A second one is a character of the text."""
    assert normalize("\ufeff\ufeffone") == "\ufeffone"


@pytest.mark.parametrize(
    ("mark", "encodings"),
    [
        (codecs.BOM_UTF8, ["utf-8-sig"]),
        (codecs.BOM_UTF16_BE, ["utf-16"]),
        (codecs.BOM_UTF16_LE, ["utf-16"]),
        (codecs.BOM_UTF32_BE, ["utf-32"]),
        (codecs.BOM_UTF32_LE, ["utf-32", "utf-16"]),
        (b"\xef\xbb", []),
    ],
)
def test_marks(mark: bytes, encodings: list[str]) -> None:
    assert marked_encodings(mark + b"rest") == encodings
    assert marked_encodings(b"x" + mark) == []

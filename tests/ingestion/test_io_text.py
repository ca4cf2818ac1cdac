"""Reading a text file: decoded, BOM stripped, newlines normalised; never an empty string for an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion import BinaryContent, NotAFile, UndecodableText, UnknownEncoding, read_text
from ingestion.utils import normalize


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_mark_is_stripped_and_newlines_are_normalised(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "query.sql"
    file.write_bytes("select 'é'\r\nfrom t\rwhere x\n".encode(encoding))
    assert read_text(file) == ("select 'é'\nfrom t\nwhere x\n", encoding)


def test_mark_is_stripped_where_the_named_encoding_keeps_it(tmp_path: Path) -> None:
    file = tmp_path / "marked.txt"
    file.write_bytes(b"\xef\xbb\xbfone")
    assert read_text(file, "UTF8") == ("one", "utf-8")


def test_empty_file_is_empty_text(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert read_text(tmp_path / "empty") == ("", "utf-8")


def test_named_encoding_is_taken_at_its_word(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes("да".encode("koi8-r"))
    assert read_text(file, "koi8-r") == ("да", "koi8-r")
    with pytest.raises(UndecodableText, match="not valid ascii at byte 0"):
        read_text(file, "ascii")


@pytest.mark.parametrize("encoding", ["no-such-coding", "hex", ""])
def test_unknown_encoding_is_an_error(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "text").write_bytes(b"61")
    with pytest.raises(UnknownEncoding):
        read_text(tmp_path / "text", encoding)


def test_missing_directory_and_binary_are_errors(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\0\1")
    with pytest.raises(NotAFile):
        read_text(tmp_path / "missing")
    with pytest.raises(NotAFile):
        read_text(tmp_path)
    with pytest.raises(BinaryContent):
        read_text(tmp_path / "binary")


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalize(text.lstrip("\ufeff"))
    assert normalize(once) == once
    assert "\r" not in once

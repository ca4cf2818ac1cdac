"""Reading a text file: decoded, BOM stripped, newlines normalised; never an empty string for an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion import BinaryContent, IngestionError, NotAFile, UndecodableText, UnknownEncoding, read_text
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


@pytest.mark.parametrize("encoding", ["no-such-coding", "hex", "", "a\0b", "é"])
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
    with pytest.raises(NotAFile, match="null"):
        read_text("a\0b")
    with pytest.raises(BinaryContent):
        read_text(tmp_path / "binary")


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-16", "utf-32-be", "cp1252", "koi8_r", "shift_jis", "gb18030"]
)
@given(text=st.text())
def test_a_text_that_an_encoding_holds_comes_back_when_it_is_named(
    tmp_path_factory: pytest.TempPathFactory, encoding: str, text: str
) -> None:
    held = text.encode(encoding, "ignore").decode(encoding)
    file = tmp_path_factory.getbasetemp() / "round-trip"
    file.write_bytes(held.encode(encoding))
    expected = held.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    assert read_text(file, encoding)[0] == expected


@given(data=st.binary() | st.binary().map(lambda tail: b"# coding: euc_jis_2004\n" + tail))
def test_any_bytes_are_text_or_one_of_our_errors(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "bytes"
    file.write_bytes(data)
    try:
        text, used = read_text(file)
    except IngestionError:
        return
    assert text == normalize(data.decode(used))


def test_damaged_utf8_is_an_error_that_says_where(tmp_path: Path) -> None:
    """Windows-1252 would take it, and make every letter of it wrong."""
    file = tmp_path / "notes"
    file.write_bytes("déjà vu, à côté\n".encode() + b"caf\xe9\n")
    with pytest.raises(UndecodableText, match="notes: not valid utf-8 at byte 24"):
        read_text(file)
    assert read_text(file, "latin-1")[0].endswith("café\n")


def test_text_that_was_once_decoded_wrongly_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes("cafÃ© crÃ¨me".encode())
    assert read_text(file) == ("cafÃ© crÃ¨me", "utf-8")

"""Which encoding bytes are in: proof before statistics, and binary is an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion import BinaryContent, NotAFile, detect, detect_encoding
from ingestion.encoding_detect import Evidence

RUSSIAN = "Привет, как дела? Сегодня хорошая погода, и мы идём гулять."
JAPANESE = "これは日本語の文章です。文字コードを判定します。"
FRENCH = "L'été dernier, à Genève, nous avons mangé des crêpes — « délicieux » !"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_mark_proves_the_encoding(encoding: str) -> None:
    found = detect(JAPANESE.encode(encoding))
    assert (found.encoding, found.evidence, found.guessed) == (encoding, Evidence.MARK, False)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff")))
def test_valid_utf8_is_utf8(text: str) -> None:
    assert detect(text.encode()).encoding == "utf-8"


@pytest.mark.parametrize(
    "head",
    [
        "# -*- coding: koi8-r -*-\n",
        "#!/bin/sh\n# coding=koi8-r\n",
        '<?xml version="1.0" encoding="koi8-r"?>',
        '<html><head><meta charset="koi8-r">',
        "<meta http-equiv=Content-Type content='text/html; charset=koi8-r'>",
    ],
)
def test_declared_coding_wins_over_statistics(head: str) -> None:
    found = detect((head + "да").encode("koi8-r"))
    assert (found.encoding, found.evidence) == ("koi8-r", Evidence.DECLARED)


@pytest.mark.parametrize("name", ["utf-16", "unicode-escape", "hex", "no-such-coding", "utf-8"])
def test_declared_coding_that_cannot_be_true_is_ignored(name: str) -> None:
    assert detect(f"# coding: {name}\ncafé".encode("cp1252")).encoding == "cp1252"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("café", "cp1252"),
        ("price: £5", "cp1252"),
        (FRENCH, "cp1252"),
        (FRENCH * 2000, "cp1252"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
    ],
)
def test_statistics_name_an_encoding_that_gives_the_text_back(text: str, encoding: str) -> None:
    found = detect(text.encode(encoding))
    assert text.encode(encoding).decode(found.encoding) == text
    assert found.guessed


@pytest.mark.parametrize(
    "data", [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"a\0b", bytes(range(256)), bytes(range(1, 256)) * 4]
)
def test_binary_is_an_error(data: bytes) -> None:
    with pytest.raises(BinaryContent, match="logo: binary"):
        detect(data, name="logo")


def test_path_and_bytes_give_the_same_answer(tmp_path: Path) -> None:
    (tmp_path / "café.txt").write_bytes("café".encode("cp1252"))
    assert detect_encoding(tmp_path / "café.txt") == detect_encoding("café".encode("cp1252")) == "cp1252"


def test_missing_file_and_directory_are_errors(tmp_path: Path) -> None:
    with pytest.raises(NotAFile, match="no such file"):
        detect_encoding(tmp_path / "missing")
    with pytest.raises(NotAFile, match="is a directory"):
        detect_encoding(str(tmp_path))


def test_charset_normalizer_is_loaded_only_when_utf8_fails() -> None:
    code = "import sys, ingestion as i; i.detect('é'.encode()); print('charset_normalizer' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_without_charset_normalizer_the_default_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "charset_normalizer", None)
    found = detect("café".encode("cp1252"))
    assert (found.encoding, found.evidence, found.guessed) == ("cp1252", Evidence.DEFAULT, True)

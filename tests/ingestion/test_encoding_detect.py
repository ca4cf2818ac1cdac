"""Which encoding bytes are in: proof before statistics, and binary is an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion import BinaryContent, NotAFile, UndecodableText, detect, detect_encoding
from ingestion.encoding_detect import Evidence
from ingestion.plausibility import SAMPLE_SIZE_BYTES, take_sample

RUSSIAN = "Привет, как дела? Сегодня хорошая погода, и мы идём гулять."
JAPANESE = "これは日本語の文章です。文字コードを判定します。"
FRENCH = "L'été dernier, à Genève, nous avons mangé des crêpes — « délicieux » !"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_mark_proves_the_encoding(encoding: str) -> None:
    found = detect(JAPANESE.encode(encoding))
    assert (found.encoding, found.evidence, found.guessed) == (encoding, Evidence.MARK, False)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff")))
def test_valid_utf8_is_utf8(text: str) -> None:
    assert detect(text.encode()).encoding == "utf-8"


@pytest.mark.parametrize(
    "head",
    [
        "# -*- coding: koi8-r -*-\n",
        "#!/bin/sh\n# coding=koi8-r\n",
        '@charset "koi8-r";',
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


def test_without_charset_normalizer_what_is_plausible_is_found_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "charset_normalizer", None)
    assert detect("café".encode("cp1252")).encoding == "cp1252"
    assert detect(RUSSIAN.encode("koi8_r")).encoding in {"koi8_r", "koi8_u"}


def test_what_nothing_speaks_for_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "charset_normalizer", None)
    found = detect(b"\xa6")
    assert (found.encoding, found.evidence, found.guessed) == ("cp1252", Evidence.DEFAULT, True)
    assert found.confidence == 0


def test_what_is_in_no_language_is_left_to_charset_normalizer() -> None:
    found = detect(b"\xa6")
    assert (found.evidence, found.guessed) == (Evidence.STATISTICS, True)
    assert found.confidence < 0.2


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", ["naïve", "a\n", "Ошибка", RUSSIAN, JAPANESE + "\n", "x" * 5000 + "é"])
def test_wide_text_without_a_mark_is_seen_by_its_zeros(encoding: str, text: str) -> None:
    found = detect(text.encode(encoding))
    assert (found.encoding, found.evidence, found.guessed) == (encoding, Evidence.ZEROS, True)


@pytest.mark.parametrize("escape", ["\x1b[31mred\x1b[0m", "\x1b(B", "\x1b$", "\x1b$B no"])
def test_escapes_of_terminals_are_utf8(escape: str) -> None:
    assert detect(f"{escape} done é\n".encode()).encoding == "utf-8"
    assert detect(f"{escape} done\n".encode()).encoding == "utf-8"


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_head_of_utf8_may_end_inside_a_character(cut: int) -> None:
    head = "Viel Spaß 🎉".encode()[:-cut]
    assert detect(head, whole=False) == detect("Viel Spaß".encode())


def test_head_of_japanese_may_end_inside_a_character() -> None:
    head = JAPANESE.encode("shift_jis")[:-1]
    assert JAPANESE[:-1] == head.decode(detect(head, whole=False).encoding, "ignore")


def test_utf8_that_is_cut_is_an_error_where_it_is_the_whole() -> None:
    with pytest.raises(UndecodableText, match="not valid utf-8 at byte 69"):
        detect(JAPANESE.encode()[:-1])


def test_a_word_that_is_utf8_by_chance_is_called_a_guess() -> None:
    found = detect("谢谢".encode("gbk"))
    assert (found.encoding, found.guessed) == ("utf-8", True)


@pytest.mark.parametrize("text", ["café", "naïve: ï", "日本語", RUSSIAN, "Ångström", "x — y", "5 €", "Größe"])
def test_utf8_of_words_is_proved(text: str) -> None:
    found = detect(text.encode())
    assert (found.encoding, found.evidence, found.confidence) == ("utf-8", Evidence.UTF8, 1.0)


def test_utf7_is_ascii_and_nothing_else() -> None:
    assert detect(b"+AGEAYg-").encoding == "utf-8"


@pytest.mark.parametrize(
    "text", ["x = 1; " * 400_000 + "# vérité", ("x = 1; " * 800 + "# été\n") * 200, "vérité, " * 200_000]
)
def test_long_lines_take_no_longer_than_short_ones(text: str) -> None:
    """What is looked at does not grow with the file; the whole is only decoded."""
    assert len(take_sample(text.encode("cp1252"))) <= SAMPLE_SIZE_BYTES
    assert text.encode("cp1252").decode(detect(text.encode("cp1252")).encoding) == text


def test_a_byte_far_behind_decides_against_an_encoding() -> None:
    """Windows-1252 has nothing at 0x81."""
    data = ("schöne Grüße\n" * 1000).encode("cp1252") + b"\x81"
    assert detect("schöne Grüße\n".encode("cp1252")).encoding == "cp1252"
    found = detect(data)
    assert found.encoding != "cp1252"
    data.decode(found.encoding)

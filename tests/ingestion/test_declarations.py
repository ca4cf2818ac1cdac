"""What a text says of its own encoding: where it may stand, and which names are taken."""

from __future__ import annotations

import io
import tokenize

import pytest

from ingestion.declarations import read_declaration


@pytest.mark.parametrize(
    "head",
    [
        b"# -*- coding: koi8-r -*-\n",
        b"#!/usr/bin/python\n# vim: set fileencoding=koi8-r :\n",
        b"\r\n# coding=koi8-r\r\n",
        b"x = 1\n# coding: koi8-r\n",
        b"\n\n# coding: koi8-r\n",
        b"# nothing\n",
        b"'coding: koi8-r'\n",
    ],
)
def test_python_reads_the_same(head: bytes) -> None:
    expected = tokenize.detect_encoding(io.BytesIO(head).readline)[0]
    assert read_declaration(head) == ([] if expected == "utf-8" else [expected])


@pytest.mark.parametrize(
    "head",
    [
        b'<?xml version="1.0" encoding="koi8-r"?>',
        b"<?xml version='1.0' encoding='koi8-r'?>",
        b'<!doctype html><META CHARSET="koi8-r">',
        b'<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">',
        b'@charset "koi8-r";\nbody {}',
    ],
)
def test_markup_and_style_sheets(head: bytes) -> None:
    assert read_declaration(head) == ["koi8-r"]


@pytest.mark.parametrize(
    "head",
    [
        b"@charset 'koi8-r';",
        b'/* */ @charset "koi8-r";',
        b" " * 1024 + b"<meta charset=koi8-r>",
        b"# coding: utf-16\n",
        b"# coding: utf-7\n",
        b"# coding: hex\n",
        b"# coding: unicode-escape\n",
        b"# coding: no-such-coding\n",
        b"",
    ],
)
def test_what_declares_nothing_that_can_be_true(head: bytes) -> None:
    assert read_declaration(head) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("iso-8859-1", "“naïve”, 5 €"),
        ("gb2312", "朱镕基"),
        ("shift_jis", "①髙橋"),
        ("big5", "5 €"),
    ],
)
def test_a_name_stands_for_the_superset_that_people_write(name: str, text: str) -> None:
    first, *rest = read_declaration(f"# coding: {name}\n".encode())
    assert text.encode(first).decode(first) == text
    with pytest.raises(UnicodeEncodeError):
        text.encode(rest[0])

"""Byte order marks and newlines: what every reader of text does alike, before and after the decoding."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from enum import StrEnum

BYTE_ORDER_MARK = "\ufeff"

# UTF-32 comes first: its little-endian mark begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NEWLINE = re.compile("\r\n|\r|\n")


class Newline(StrEnum):
    """How the lines of a text end."""

    LF = "lf"
    CRLF = "crlf"
    CR = "cr"
    MIXED = "mixed"
    NONE = "none"


_KINDS = {"\n": Newline.LF, "\r\n": Newline.CRLF, "\r": Newline.CR}


def marked_encodings(data: bytes) -> list[str]:
    """Return the encodings whose byte order mark ``data`` begins with, the longer mark first."""
    return [encoding for mark, encoding in _MARKS if data.startswith(mark)]


def newline_kind(text: str) -> Newline:
    """Return how the lines of ``text`` end; MIXED where not all do alike."""
    found = Counter(_NEWLINE.findall(text))
    if not found:
        return Newline.NONE
    return _KINDS[next(iter(found))] if len(found) == 1 else Newline.MIXED


def normalize(text: str) -> str:
    """Return ``text`` without a leading byte order mark and with a line feed for every newline."""
    return text.removeprefix(BYTE_ORDER_MARK).replace("\r\n", "\n").replace("\r", "\n")

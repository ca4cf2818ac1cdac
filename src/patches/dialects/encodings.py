"""Encodings of a whole patch: UTF-16 as PowerShell's ``>`` writes it, and byte order marks."""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE

from patches.errors import PatchSyntaxError

_ASCII_LE = re.compile(rb"(?:[\t\r\n -~]\0){4}")
_ASCII_BE = re.compile(rb"(?:\0[\t\r\n -~]){4}")


def read_utf16le(data: bytes) -> bytes | None:
    """Return the text as UTF-8; None where it is not UTF-16, little end first."""
    if data.startswith(BOM_UTF16_LE) or _ASCII_LE.match(data):
        return _decode(data.removeprefix(BOM_UTF16_LE), "utf-16-le")
    return None


def read_utf16be(data: bytes) -> bytes | None:
    """Return the text as UTF-8; None where it is not UTF-16, big end first."""
    if data.startswith(BOM_UTF16_BE) or _ASCII_BE.match(data):
        return _decode(data.removeprefix(BOM_UTF16_BE), "utf-16-be")
    return None


def drop_mark(data: bytes) -> bytes | None:
    """Return the text without the byte order mark before it: behind one, the first header is lost."""
    return data.removeprefix(BOM_UTF8) if data.startswith(BOM_UTF8) else None


def _decode(data: bytes, encoding: str) -> bytes:
    try:
        return data.decode(encoding).encode()
    except UnicodeError as error:
        raise PatchSyntaxError(1, f"the text looks like {encoding} and is damaged: {error}") from error

"""Which encoding a text is in: what the bytes prove comes before what statistics suggest.

The order is BOM, strict UTF-8, the coding that the text itself declares (PEP 263, XML, HTML), and only
then charset-normalizer, first asked about Windows-1252 alone: over its whole list it calls short Western
text UTF-16 or Windows-1250. It is imported when UTF-8 has failed, and not missed where it is missing.
"""

from __future__ import annotations

import codecs
import os
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ingestion.errors import BinaryContent, NotAFile

DEFAULT_ENCODING = "cp1252"
HEAD_SIZE_BYTES = 8000  # Git's own limit when it looks for NUL
DECLARATION_SIZE_BYTES = 1024  # where HTML's specification stops looking

# UTF-32 comes first: its little-endian mark begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PYTHON = re.compile(rb"^(?:[^\n]*\n)?[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_XML = re.compile(rb"""^\s*<\?xml[^>]*encoding\s*=\s*["']([-\w.]+)["']""")
_HTML = re.compile(rb"""<meta[^>]*charset\s*=\s*["']?\s*([-\w.]+)""", re.IGNORECASE)
_NOT_CHARACTER_SETS = ("idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7")
_OTHERS = [
    *("cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "iso8859_2", "iso8859_5"),
    *("shift_jis", "euc_jp", "iso2022_jp", "gb18030", "big5", "euc_kr", "cp437", "cp850", "mac_roman"),
]


class Evidence(StrEnum):
    """What a detection rests on."""

    MARK = "bom"
    UTF8 = "utf-8"
    DECLARED = "declared"
    STATISTICS = "statistics"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Detection:
    """An encoding and what speaks for it.

    Attributes:
        encoding: a name that ``bytes.decode`` takes; decoding the examined bytes with it succeeds.
        evidence: what the answer rests on.
    """

    encoding: str
    evidence: Evidence

    @property
    def guessed(self) -> bool:
        """Whether another answer could be the right one."""
        return self.evidence in {Evidence.STATISTICS, Evidence.DEFAULT}


def detect_encoding(source: str | os.PathLike[str] | bytes) -> str:
    """Return the best guess of the encoding of a file, or of bytes.

    Raises:
        NotAFile: ``source`` is a path where no file can be read.
        BinaryContent: it is no text.
    """
    if isinstance(source, bytes):
        return detect(source).encoding
    return detect(read_bytes(source), name=os.fspath(source)).encoding


def detect(data: bytes, *, name: str = "input") -> Detection:
    """Return the encoding of ``data`` and what speaks for it.

    Args:
        data: the whole text; a part of it may end inside a character.
        name: what a message calls it.

    Raises:
        BinaryContent: no text encoding fits.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark) and _decodes(data, encoding):
            return Detection(encoding, Evidence.MARK)
    if b"\0" in data[:HEAD_SIZE_BYTES]:
        raise BinaryContent(name)
    if _decodes(data, "utf-8"):
        return Detection("utf-8", Evidence.UTF8)
    declared = _declared(data)
    if declared is not None and _decodes(data, declared):
        return Detection(declared, Evidence.DECLARED)
    return _guess(data, name)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Return a file's bytes.

    Raises:
        NotAFile: it is missing, a directory, or may not be read.
    """
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise NotAFile(os.fspath(path), "no such file") from error
    except IsADirectoryError as error:
        raise NotAFile(os.fspath(path), "is a directory") from error
    except OSError as error:
        raise NotAFile(os.fspath(path), error.strerror or str(error)) from error


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except (UnicodeError, LookupError):  # LookupError: unknown, or a codec that does not make text
        return False
    return True


def _declared(data: bytes) -> str | None:
    """Return the coding that the text names for itself, as Python's canonical name."""
    head = data[:DECLARATION_SIZE_BYTES]
    found = _PYTHON.search(head) or _XML.search(head) or _HTML.search(head)
    if found is None:
        return None
    try:
        name = codecs.lookup(found[1].decode("ascii")).name
    except (LookupError, UnicodeDecodeError):
        return None
    # The declaration was readable as ASCII: a name of a wide or an escaping codec cannot be true.
    return None if name in _NOT_CHARACTER_SETS or name.startswith(("utf-16", "utf-32")) else name


def _guess(data: bytes, name: str) -> Detection:
    """Ask charset-normalizer, about Windows-1252 first; without it, take the default where that fits."""
    try:
        from charset_normalizer import from_bytes
    except ImportError:
        if _decodes(data, DEFAULT_ENCODING):
            return Detection(DEFAULT_ENCODING, Evidence.DEFAULT)
        raise BinaryContent(name) from None
    for candidates in ([DEFAULT_ENCODING], list(_OTHERS)):
        match = from_bytes(data, cp_isolation=candidates).best()
        if match is not None and _decodes(data, match.encoding):
            return Detection(match.encoding, Evidence.STATISTICS)
    raise BinaryContent(name)

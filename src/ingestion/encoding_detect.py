"""Which encoding a text is in: what the bytes prove comes before what statistics suggest.

The order is BOM, strict UTF-8 (and the escape sequences of ISO-2022, which are ASCII too), the coding that
the text itself declares, and only then the most plausible reading (see `plausibility`). charset-normalizer
decides where two readings are as good as equal, or where none is good; it is imported only then, and not
missed where it is missing. The last resort is Windows-1252. Bytes that are UTF-8 but for a few are an error:
any other reading would succeed and be wrong.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ingestion.declarations import read_declaration
from ingestion.errors import BinaryContent, NotAFile, UndecodableText
from ingestion.utils import marked_encodings

DEFAULT_ENCODING = "cp1252"
HEAD_SIZE_BYTES = 8000  # Git's own limit when it looks for NUL
PIECE_SIZE_BYTES = 1 << 18
TIE_BITS = 0.5  # measured: nearer than this charset-normalizer is right more often, further apart less

CHANCE_SIZE_BYTES = 6
CHANCE_BITS = 16.0
LITTLE_CONFIDENCE = 0.1
WIDE_CONFIDENCE = 0.9

_ESCAPE = b"\x1b"
_ESCAPES = {b"\x1b$B": "iso2022_jp", b"\x1b$@": "iso2022_jp", b"\x1b$)C": "iso2022_kr"}
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_CONTROLS = bytes({*range(0x20), 0x7F} - set(b"\t\n\v\f\r\b\x1a\x1b"))
_UTF8_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_NOT_ASCII = bytes(range(0x80, 0x100))
_BESIDE_LETTER = re.compile(rb"[A-Za-z][\x80-\xff]|[\x80-\xff][A-Za-z]")
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")


class Evidence(StrEnum):
    """What a detection rests on."""

    MARK = "bom"
    UTF8 = "utf-8"
    ESCAPES = "escapes"
    DECLARED = "declared"
    ZEROS = "zeros"
    STATISTICS = "statistics"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Detection:
    """An encoding and what speaks for it.

    Attributes:
        encoding: a name that ``bytes.decode`` takes; decoding the examined bytes with it succeeds.
        evidence: what the answer rests on.
        confidence: the share of this answer among all readings, 0 to 1; 1 where nothing was guessed.
    """

    encoding: str
    evidence: Evidence
    confidence: float = 1.0

    @property
    def guessed(self) -> bool:
        """Whether another answer could be the right one."""
        return self.evidence in {Evidence.ZEROS, Evidence.STATISTICS, Evidence.DEFAULT}


def detect_encoding(source: str | os.PathLike[str] | bytes) -> str:
    """Return the best guess of the encoding of a file, or of bytes.

    Raises:
        NotAFile: ``source`` is a path where no file can be read.
        BinaryContent: it is no text.
        UndecodableText: it is UTF-8 but for a few bytes.
    """
    if isinstance(source, bytes):
        return detect(source).encoding
    return detect(read_bytes(source), name=os.fspath(source)).encoding


def detect(data: bytes, *, name: str = "input", whole: bool = True) -> Detection:
    """Return the encoding of ``data`` and what speaks for it.

    Args:
        data: the text.
        name: what a message calls it.
        whole: False where ``data`` is the head of something longer, and may end inside a character.

    Raises:
        BinaryContent: no text encoding fits.
        UndecodableText: it is UTF-8 but for a few bytes.
    """
    for encoding in marked_encodings(data):
        if _decodes(data, encoding, whole=whole):
            return Detection(encoding, Evidence.MARK)
    if b"\0" in data[:HEAD_SIZE_BYTES]:
        wide = _detect_wide(data, whole=whole)
        if wide is None:
            raise BinaryContent(name)
        return wide
    if _decodes(data, "utf-8", whole=whole):
        return _detect_in_ascii(data, whole=whole)
    declared = _first_that_decodes(data, read_declaration(data), whole=whole)
    if declared is not None:
        return Detection(declared, Evidence.DECLARED)
    return _guess(data, name, whole=whole)


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
    except ValueError as error:  # a NUL in the path
        raise NotAFile(os.fspath(path), str(error)) from error


def _decodes(data: bytes, encoding: str, *, whole: bool) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        # Piece by piece, so that a text of many megabytes, which nobody looks at, takes no memory.
        for start in range(0, len(data), PIECE_SIZE_BYTES):
            decoder.decode(data[start : start + PIECE_SIZE_BYTES])
        decoder.decode(b"", final=whole)
    except UnicodeError:
        return False
    return True


def _first_that_decodes(data: bytes, encodings: Iterable[str], *, whole: bool) -> str | None:
    return next((each for each in encodings if _decodes(data, each, whole=whole)), None)


def _detect_wide(data: bytes, *, whole: bool) -> Detection | None:
    """Return which of UTF-16 and UTF-32 ``data`` is, without a mark; None for neither."""
    from ingestion.plausibility import SAMPLE_SIZE_BYTES, rank_wide

    sample = data[:SAMPLE_SIZE_BYTES]
    readings = rank_wide(sample, _WIDE, whole=whole and len(sample) == len(data))
    found = _first_that_decodes(data, [each.encoding for each in readings], whole=whole)
    return None if found is None else Detection(found, Evidence.ZEROS, WIDE_CONFIDENCE)


def _detect_in_ascii(data: bytes, *, whole: bool) -> Detection:
    """Return what ``data`` is, which is valid UTF-8 and may be ASCII alone.

    ISO-2022 is ASCII as well, and so is UTF-16 in a script other than Latin: letters and, by turns with
    them, control characters.
    """
    head = data[:HEAD_SIZE_BYTES]
    if _count_controls(head) * 4 > len(head):
        found = _detect_wide(data, whole=whole)
        if found is not None:
            return found
    if _ESCAPE in data:  # one byte is looked for many times as fast as two
        escaped = [encoding for escape, encoding in _ESCAPES.items() if escape in data]
        encoding = _first_that_decodes(data, escaped, whole=whole)
        if encoding is not None:
            return Detection(encoding, Evidence.ESCAPES)
    return _weigh_short_utf8(data) or Detection("utf-8", Evidence.UTF8)


def _weigh_short_utf8(data: bytes) -> Detection | None:
    """Return a guess where a word or two of another encoding may be UTF-8 by chance; None where it is proved.

    Two Chinese or Korean characters often are; beside ASCII letters, or in any number, they are not.
    """
    beyond = len(data) - len(data.translate(None, _NOT_ASCII)) if len(data) <= HEAD_SIZE_BYTES else 0
    if not 0 < beyond <= CHANCE_SIZE_BYTES or _BESIDE_LETTER.search(data):
        return None
    from ingestion.plausibility import SAMPLE_SIZE_BYTES, rank, rank_utf8, share_of_first, take_sample

    sample = take_sample(data)
    if len(sample) >= SAMPLE_SIZE_BYTES:
        return None
    utf8, *others = rank_utf8(sample), *rank(sample)
    if others and others[0].bits > utf8.bits + CHANCE_BITS:
        return None
    return Detection("utf-8", Evidence.STATISTICS, share_of_first(sample, [utf8, *others]))


def _count_controls(data: bytes) -> int:
    return len(data) - len(data.translate(None, _CONTROLS))


def _guess(data: bytes, name: str, *, whole: bool) -> Detection:
    from ingestion.plausibility import rank, share_of_first, take_sample

    sample = take_sample(data)
    _refuse_damaged_utf8(data, sample, name)
    if _count_controls(data) > len(data) // 50:
        raise BinaryContent(name)
    readings = rank(sample, whole=whole)
    while readings and not _decodes(data, readings[0].encoding, whole=whole):
        del readings[0]
    # A reading longer than the bytes themselves explains nothing.
    if readings and readings[0].bits <= 8 * len(sample):
        first = readings[0]
        near = [each.encoding for each in readings if each.bits <= first.bits + TIE_BITS]
        preferred = _ask_charset_normalizer(sample, near) if len(near) > 1 else None
        if preferred is None or not _decodes(data, preferred, whole=whole):
            preferred = first.encoding
        return Detection(preferred, Evidence.STATISTICS, share_of_first(sample, readings))
    found = _ask_charset_normalizer(sample, [each.encoding for each in readings])
    if found is not None and _decodes(data, found, whole=whole):
        return Detection(found, Evidence.STATISTICS, LITTLE_CONFIDENCE)
    if _decodes(data, DEFAULT_ENCODING, whole=whole):
        return Detection(DEFAULT_ENCODING, Evidence.DEFAULT, 0.0)
    raise BinaryContent(name)


def _ask_charset_normalizer(sample: bytes, encodings: Sequence[str]) -> str | None:
    """Return which of ``encodings`` it prefers; None where it has no answer or is not there."""
    try:
        from charset_normalizer import from_bytes
    except ImportError:
        return None
    match = from_bytes(sample, cp_isolation=list(encodings)).best() if encodings else None
    return None if match is None or match.encoding not in encodings else match.encoding


def _refuse_damaged_utf8(data: bytes, sample: bytes, name: str) -> None:
    sequences = len(_UTF8_SEQUENCE.findall(sample))
    strays = len(_BEYOND_ASCII.findall(_UTF8_SEQUENCE.sub(b"", sample)))
    if sequences < 4 or strays * 4 > sequences:
        return
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UndecodableText(name, "utf-8", error.start) from error

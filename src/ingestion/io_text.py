"""Reads a text file the same way everywhere: decoded, without a BOM, with line feeds between lines."""

from __future__ import annotations

import codecs
import os

from ingestion.encoding_detect import detect, read_bytes
from ingestion.errors import UndecodableText, UnknownEncoding
from ingestion.utils import normalize

AUTO = "auto"


def read_text(path: str | os.PathLike[str], encoding: str = AUTO) -> tuple[str, str]:
    """Read a text file.

    Args:
        path: the file.
        encoding: a codec's name, or "auto" to find it out.

    Returns:
        The text, its BOM stripped and every newline (CRLF, CR) made a line feed, and the encoding used.

    Raises:
        NotAFile: it is missing, a directory, or may not be read.
        BinaryContent: "auto", and it is no text.
        UndecodableText: it is not valid in the encoding named; with "auto", it is UTF-8 but for a few bytes.
        UnknownEncoding: there is no such text encoding.
    """
    data = read_bytes(path)
    used = detect(data, name=os.fspath(path)).encoding if encoding == AUTO else encoding
    try:
        text, used = data.decode(used), codecs.lookup(used).name
    except UnicodeDecodeError as error:
        raise UndecodableText(os.fspath(path), used, error.start) from error
    except UnicodeError as error:  # a codec that needs a mark it does not find
        raise UndecodableText(os.fspath(path), used, 0) from error
    except (LookupError, ValueError) as error:  # ValueError: a NUL in the name
        raise UnknownEncoding(used) from error
    return normalize(text), used

"""The encoding that a text names for itself: PEP 263, XML, HTML and CSS.

A name is taken as its users mean it: who says ISO-8859-1 or Shift JIS means Microsoft's superset wherever
the two differ, as browsers have it (see the WHATWG encoding standard, "Names and labels").
"""

from __future__ import annotations

import codecs
import re

HEAD_SIZE_BYTES = 1024  # where HTML's specification stops looking

# In the first line, or in the second after one that is blank or a comment.
_PYTHON = re.compile(rb"(?:[ \t\f]*(?:#[^\r\n]*)?(?:\r\n?|\n))?[ \t\f]*#[^\r\n]*?coding[:=][ \t]*([-\w.]+)")
_XML = re.compile(rb"""\s*<\?xml[^>]*encoding\s*=\s*["']([-\w.]+)["']""")
_CSS = re.compile(rb'@charset "([-\w.]+)";')
_HTML = re.compile(rb"""<meta[^>]*charset\s*=\s*["']?\s*([-\w.]+)""", re.IGNORECASE)
_NOT_CHARACTER_SETS = ("idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7")
_SUPERSETS = {
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "tis-620": "cp874",
    "shift_jis": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "big5": "cp950",
}


def read_declaration(data: bytes) -> list[str]:
    """Return the encodings to try for the one that ``data`` names for itself; none where it names none.

    Args:
        data: the text, or at least its first ``HEAD_SIZE_BYTES``.
    """
    head = data[:HEAD_SIZE_BYTES]
    found = _PYTHON.match(head) or _XML.match(head) or _CSS.match(head) or _HTML.search(head)
    if found is None:
        return []
    try:
        name = codecs.lookup(found[1].decode("ascii")).name
        reads_ascii = b"#".decode(name) == "#"
    except (LookupError, UnicodeDecodeError):  # unknown, or a codec that makes no text, as "hex" is
        return []
    # The declaration was readable as ASCII: a name of a wide or an escaping codec cannot be true.
    if not reads_ascii or name in _NOT_CHARACTER_SETS:
        return []
    return [_SUPERSETS[name], name] if name in _SUPERSETS else [name]

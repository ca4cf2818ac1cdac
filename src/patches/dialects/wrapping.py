"""What a patch is wrapped in on its way through mails, chats and web pages."""

from __future__ import annotations

import re

from patches.errors import PatchSyntaxError

_AT_MARGIN = re.compile(rb"^(?:diff --git |--- [^\n]+\n\+\+\+ |@@ )", re.MULTILINE)
_QUOTED = re.compile(rb"^((?:> ?)+)(?:diff --git |--- \S|@@ )", re.MULTILINE)
_INDENTED = re.compile(rb"^([ \t]+)(?:diff --git |--- \S|@@ )", re.MULTILINE)
_FENCE = re.compile(rb"^(`{3,}|~{3,})[ \t]*([\w.+-]*)[ \t]*\r?$", re.MULTILINE)
_GLUED = re.compile(rb"^[-+ ][^\n]*(?:```|~~~)[ \t]*\r?$", re.MULTILINE)
_STARTS = (b"diff --git ", b"--- ", b"@@")
_ENTITY = re.compile(rb"&(?:lt|gt|amp|quot|apos|nbsp|#39|#x27|#x2[fF]|#34|#160);")
_CHARACTER = {
    b"&lt;": b"<", b"&gt;": b">", b"&amp;": b"&", b"&quot;": b'"', b"&apos;": b"'", b"&nbsp;": b" ",
    b"&#39;": b"'", b"&#x27;": b"'", b"&#x2f;": b"/", b"&#x2F;": b"/", b"&#34;": b'"', b"&#160;": b" ",
}  # fmt: skip


def unquote_mail(data: bytes) -> bytes | None:
    """Return the quoted lines of a reply without their ``> ``; None where no diff is quoted."""
    match = None if _AT_MARGIN.search(data) else _QUOTED.search(data)
    if match is None:
        return None
    prefix = match[1]
    # A quoted mail puts the same before each line. The space after it may be lost where nothing follows.
    return _without_prefix(data, prefix, prefix.rstrip(b" "))


def dedent(data: bytes) -> bytes | None:
    """Return the text without the indentation of its first diff; None where one is at the margin."""
    match = None if _AT_MARGIN.search(data) else _INDENTED.search(data)
    return None if match is None else _without_prefix(data, match[1], b"")


def _without_prefix(data: bytes, prefix: bytes, empty: bytes) -> bytes:
    """Return the lines that have the prefix, without it; any other line is left out, as prose."""
    lines: list[bytes] = []
    for line in data.split(b"\n"):
        if line.startswith(prefix):
            lines.append(line[len(prefix) :])
        elif line.rstrip() == empty or (prefix.startswith(line.rstrip(b"\r")) and not line.strip()):
            lines.append(b"")
    return b"\n".join(lines) + (b"" if lines and not lines[-1] else b"\n")


def opens_fence(data: bytes) -> bool:
    """Tell whether the first diff of the text is in a Markdown fence."""
    names = data.find(b"\n--- ")
    return _FENCE.search(data, 0, names if names >= 0 else len(data)) is not None


def open_fences(data: bytes) -> bytes | None:
    """Return what stands in the Markdown fences that hold a diff, one after the other; None without any.

    Raises:
        PatchSyntaxError: the diff lost its last newline before it was fenced: the fence is part of a line.
    """
    inside: list[bytes] = []
    opened: tuple[bytes, int] | None = None
    for match in _FENCE.finditer(data):
        if opened is None:
            opened = match[1], match.end() + 1
        elif not match[2] and match[1].startswith(opened[0]):
            block = data[opened[1] : match.start()]
            if block.startswith(_STARTS) or any(b"\n" + start in block for start in _STARTS):
                inside.append(block)
            opened = None
    if opened is not None and _GLUED.search(data, opened[1]):
        at_line = data.count(b"\n", 0, opened[1])
        raise PatchSyntaxError(at_line, "the fence that opens here closes within the diff's last line")
    joined = b"".join(inside)
    # A diff may have got its carriage returns before it was fenced.
    return strip_returns(joined) or joined if joined and joined != data else None


def unescape_html(data: bytes) -> bytes | None:
    """Return the text with the characters that HTML escapes; None where none is escaped."""
    return _ENTITY.sub(lambda match: _CHARACTER[match[0]], data) if _ENTITY.search(data) else None


def strip_returns(data: bytes) -> bytes | None:
    """Return the text with LF where *every* line ends in CR LF, headers too; else None.

    A text that was converted twice has two carriage returns, and both are stripped.
    """
    stripped = data
    while b"\r\n" in stripped and _all_return(stripped):
        stripped = stripped.replace(b"\r\n", b"\n")
    return None if stripped is data else stripped


def _all_return(data: bytes) -> bool:
    return all(not line or line.endswith(b"\r") for line in data.split(b"\n"))


def end_last_line(data: bytes) -> bytes | None:
    """Return the text with the newline that a hunk's last line lost; None where it lost none.

    A line of a header that was cut off may lack more than that.
    """
    last = data.rfind(b"\n") + 1
    if not data.startswith((b" ", b"+", b"-", b"\\"), last):
        return None
    return data + (b"\r\n" if data[:last].endswith(b"\r\n") else b"\n")

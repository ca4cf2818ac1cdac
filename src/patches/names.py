"""File names in patch headers: C-quoting, prefixes to strip, timestamps after the name."""

from __future__ import annotations

import re

_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(rb"\\([0-3][0-7][0-7]|.)")
_ESCAPED = {
    b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v",
    b'"': b'"', b"\\": b"\\",
}  # fmt: skip
_SLASHES = re.compile(rb"//+")
_TIMESTAMP = re.compile(rb"(?:\t| +)(?:\d\d)?\d\d-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?: [-+]\d\d:?\d\d)?\r?$")
_EPOCH = re.compile(
    rb"\t(1969-12-31|1970-01-01) ([0-2]\d):([0-5]\d):00(?:\.0+)? ([-+])([0-2]\d):?([0-5]\d)\r?$"
)


def unquote_name(text: bytes) -> tuple[bytes, bytes] | None:
    """Split ``text`` into the C-quoted name that it starts with and what follows the closing quote.

    Returns:
        None where the quoting is broken.
    """
    match = _QUOTED.match(text)
    if match is None:
        return None
    body = match[1]
    if b"\\" in body:
        if any(len(e) == 1 and e not in _ESCAPED for e in _ESCAPE.findall(body)):
            return None
        body = _ESCAPE.sub(_unescape, body)
    return body, text[match.end() :]


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return _ESCAPED.get(code) or bytes((int(code, 8),))


def _strip(name: bytes, components: int) -> bytes | None:
    for _ in range(components):
        _, slash, name = name.partition(b"/")
        if not slash:
            return None
    return _SLASHES.sub(b"/", name) if b"//" in name else name


def stripped_name(text: bytes, components: int, *, stop_at_tab: bool) -> bytes | None:
    """Return the name that a header line carries, less its leading ``components``.

    Args:
        text: the line after its keyword, without the newline.
        components: how many, counted by slashes.
        stop_at_tab: a tab ends an unquoted name (``---`` and ``+++`` lines).

    Returns:
        None where the name has too few components or is empty.
    """
    if text.startswith(b'"'):
        quoted = unquote_name(text)
        name = None if quoted is None else _strip(quoted[0], components)
        if name is not None:
            return name or None
    text = text.partition(b"\r")[0]
    if stop_at_tab:
        text = text.partition(b"\t")[0]
    return _strip(text, components) or None


def header_name(text: bytes) -> bytes | None:
    """Return the one name that a ``diff --git`` line carries twice.

    Args:
        text: the line after ``diff --git``, for example ``a/x b/x``.

    Returns:
        None where the two names differ (a rename tells them elsewhere) or cannot be told apart.
    """
    if text.startswith(b'"'):
        return _quoted_header_name(text)
    if b'"' in text:
        left, _, right = text.partition(b'"')
        quoted = unquote_name(b'"' + right)
        name = None if quoted is None else quoted[0].partition(b"/")[2]
        return name if name and left.rstrip(b" \t").partition(b"/")[2] == name else None
    slash = text.find(b"/") + 1
    if slash < 2:
        return None
    space = text.find(b" ", slash)
    while space >= 0:
        if text[slash:space] == text[space + 1 :].partition(b"/")[2]:
            return text[slash:space] or None
        space = text.find(b" ", space + 1)
    return None


def _quoted_header_name(text: bytes) -> bytes | None:
    first = unquote_name(text)
    if first is None:
        return None
    second = first[1].lstrip(b" \t")
    if second.startswith(b'"'):
        quoted = unquote_name(second)
        second = b"" if quoted is None else quoted[0]
    name = first[0].partition(b"/")[2]
    return name if name and second.partition(b"/")[2] == name else None


def is_dev_null(text: bytes) -> bool:
    """Tell whether a ``---`` or ``+++`` line names no file."""
    return text.startswith(b"/dev/null") and text[9:10] in (b"", b" ", b"\t", b"\r")


def is_epoch(text: bytes) -> bool:
    """Tell whether a plain diff's name line has the timestamp by which GNU diff says "no such file"."""
    match = _EPOCH.search(text)
    if match is None:
        return False
    day, hour, minute, sign, zone_hours, zone_minutes = match.groups()
    zone = int(zone_hours) * 60 + int(zone_minutes)
    utc = int(hour) * 60 + int(minute) - (zone if sign == b"+" else -zone)
    return utc == (24 * 60 if day == b"1969-12-31" else 0)


def plain_names(first: bytes, second: bytes) -> tuple[bytes | None, bytes | None]:
    """Return the names on the ``---`` and ``+++`` lines of a diff without a ``diff --git`` header.

    One leading component is stripped, or none where neither name has a directory. Of two names
    where one only adds to the other (``file.orig``), both get the shorter.
    """
    old, new = _TIMESTAMP.sub(b"", first), _TIMESTAMP.sub(b"", second)
    known = [text.partition(b"\t")[0] for text in (old, new) if not is_dev_null(text)]
    components = 1 if any(b"/" in name for name in known) else 0
    old_name = None if is_dev_null(old) else stripped_name(old, components, stop_at_tab=old == first)
    new_name = None if is_dev_null(new) else stripped_name(new, components, stop_at_tab=new == second)
    if old_name and new_name and new_name.startswith(old_name):
        new_name = old_name
    return old_name, new_name

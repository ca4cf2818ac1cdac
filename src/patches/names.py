"""File names in patch headers: C-quoting, prefixes to strip, timestamps after the name."""

from __future__ import annotations

import re

_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(rb"\\([0-3][0-7][0-7]|.)")
_ESCAPED = {
    b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v",
    b'"': b'"', b"\\": b"\\",
}  # fmt: skip
_SEPARATOR = re.compile(rb"[ \t]")
_LETTERS = {code[0]: letter for letter, code in _ESCAPED.items()}
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


def quote_path(path: bytes, *, high_bytes: bool = True) -> bytes:
    """Return ``path``, in quotes where it needs them.

    Args:
        path: as it is.
        high_bytes: bytes above 127 are unusual too (``core.quotePath``).
    """
    limit = 127 if high_bytes else 256
    if not any(code < 32 or code in b'"\\\x7f' or code >= limit for code in path):
        return path
    return b'"%s"' % b"".join(_quote_byte(code, limit) for code in path)


def _quote_byte(code: int, limit: int) -> bytes:
    letter = _LETTERS.get(code)
    if letter is not None:
        return b"\\" + letter
    return b"\\%03o" % code if code < 32 or code == 127 or code >= limit else bytes((code,))


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


def _below(name: bytes, components: int) -> bytes | None:
    """Return what follows the leading ``components``; None where the path is absolute or too short."""
    at = -1
    for _ in range(components):
        at = name.find(b"/", at + 1)
        if at < 0:
            return None
    return None if name.startswith(b"/") and at <= 0 else name[at + 1 :]


def header_name(text: bytes, components: int = 1) -> bytes | None:
    """Return the one name that a ``diff --git`` line carries twice.

    Args:
        text: the line after ``diff --git``, for example ``a/x b/x``.
        components: how many leading ones to strip from both.

    Returns:
        None where the two names differ (a rename tells them elsewhere) or cannot be told apart.
    """
    if text.startswith(b'"'):
        return _quoted_header_name(text, components)
    if b'"' in text:
        left, _, right = text.partition(b'"')
        quoted = unquote_name(b'"' + right)
        name = None if quoted is None else _below(quoted[0], components)
        first = _below(left, components) or b""
        # A name may end in spaces: what follows it must be one more.
        return name if name and first.startswith(name) and not first[len(name) :].strip(b" \t") else None
    rest = _below(text, components)
    if rest is None:
        return None
    for separator in _SEPARATOR.finditer(rest):
        name = rest[: separator.start()]
        if _below(rest[separator.end() :], components) == name:
            return name or None
    return None


def _quoted_header_name(text: bytes, components: int) -> bytes | None:
    first = unquote_name(text)
    if first is None:
        return None
    second = first[1].lstrip(b" \t")
    if second.startswith(b'"'):
        quoted = unquote_name(second)
        second = b"" if quoted is None else quoted[0]
    name = _below(first[0], components)
    return name if name and _below(second, components) == name else None


def moved_components(first: bytes, text: bytes, components: int) -> int:
    """Return how many components to strip from the names of a rename or copy, which have no prefix.

    Git strips one less than elsewhere, as if a prefix were always one component. Where it has two
    (``--src-prefix=x/y/``), Git moves another file, or finds none: the ``diff --git`` line tells.

    Args:
        first: the ``diff --git`` line after these words.
        text: the ``rename from`` or ``copy from`` line, likewise.
        components: how many are stripped elsewhere.
    """
    quoted = unquote_name(first) if first.startswith(b'"') else None
    source = _below(first if quoted is None else quoted[0], components) or b""
    for count in range(components - 1, -1, -1):
        name = stripped_name(text, count, stop_at_tab=False)
        if name and (source == name or (quoted is None and source.startswith(name + b" "))):
            return count
    return max(components - 1, 0)


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


def guess_components(first: bytes, second: bytes) -> int | None:
    """Return 0 where a plain diff names its file without a directory: there is nothing to strip; else None.

    Args:
        first: the ``---`` line after its keyword.
        second: the ``+++`` line after its keyword; it decides, unless it names no file.
    """
    name = _whole_name(first if is_dev_null(second) else second)
    return None if b"/" in name else 0


def _whole_name(text: bytes) -> bytes:
    quoted = unquote_name(text) if text.startswith(b'"') else None
    return quoted[0] if quoted is not None else _TIMESTAMP.sub(b"", text).partition(b"\t")[0]


def plain_names(first: bytes, second: bytes, components: int) -> tuple[bytes | None, bytes | None]:
    """Return the names on the ``---`` and ``+++`` lines of a diff without a ``diff --git`` header.

    Of two names where one only adds to the other (``file.orig``), both get the shorter.
    """
    old, new = _TIMESTAMP.sub(b"", first), _TIMESTAMP.sub(b"", second)
    old_name = None if is_dev_null(old) else stripped_name(old, components, stop_at_tab=old == first)
    new_name = None if is_dev_null(new) else stripped_name(new, components, stop_at_tab=new == second)
    if old_name and new_name and new_name.startswith(old_name):
        new_name = old_name
    return old_name, new_name

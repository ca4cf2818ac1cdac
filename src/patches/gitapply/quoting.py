"""Paths as Git's output shows them: quoted like a C string where they hold unusual bytes."""

from __future__ import annotations

_NAMED = {
    7: b"\\a",
    8: b"\\b",
    9: b"\\t",
    10: b"\\n",
    11: b"\\v",
    12: b"\\f",
    13: b"\\r",
    34: b'\\"',
    92: b"\\\\",
}


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
    named = _NAMED.get(code)
    if named is not None:
        return named
    return b"\\%03o" % code if code < 32 or code == 127 or code >= limit else bytes((code,))

"""Lines of a file: only a newline ends one, and the last may have none."""

from __future__ import annotations

import re

_LINE = re.compile(rb"[^\n]*\n|[^\n]+")


def split_lines(content: bytes) -> list[bytes]:
    """Return the lines with their newline; no other byte ends a line."""
    return _LINE.findall(content)

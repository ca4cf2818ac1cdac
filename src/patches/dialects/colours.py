"""A diff copied with the colours of a terminal (``git diff --color=always``)."""

from __future__ import annotations

import re

from patches.dialects.model import AmbiguousPatch

_CODE = rb"\x1b\[[\d;]*[mK]"
_COLOURED = re.compile(rb"^(?:%s)+(?:diff --git |--- |@@ )" % _CODE, re.MULTILINE)
_AT_EDGES = re.compile(rb"^(?:%b)*([-+ @]?)(?:%b)*|(?:%b)+(?=\r?$)" % (_CODE, _CODE, _CODE), re.MULTILINE)
_AROUND_SPACE = re.compile(rb"(?:%b)+([ \t\r]+)(?:%b)+" % (_CODE, _CODE))
_AROUND_HEAD = re.compile(rb"^(@@[^\n\x1b]*)(?:%b)+([^\n\x1b]*)" % _CODE, re.MULTILINE)


def drop_colours(data: bytes) -> bytes | None:
    """Return the text without the colours that Git gives a diff; None where no diff has any.

    Git puts them around a line, its mark, a hunk's numbers and whitespace errors.

    Raises:
        AmbiguousPatch: there are others: they may be what a file holds.
    """
    if not _COLOURED.search(data):
        return None
    data = _AROUND_SPACE.sub(rb"\1", data)
    data = _AT_EDGES.sub(rb"\1", data)
    data = _AROUND_HEAD.sub(rb"\1\2", data)
    if b"\x1b[" in data:
        raise AmbiguousPatch(
            "the patch's colours",
            ("all of them are of a terminal", "some of them are in a file"),
            "make it again with --no-color",
        )
    return data

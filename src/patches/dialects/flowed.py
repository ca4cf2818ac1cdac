"""Mails whose header says ``format=flowed``: the soft line breaks undone, what was stuffed unstuffed."""

from __future__ import annotations

from patches.errors import PatchError
from patches.parse import parse_patch

_SIGNATURE = b"-- "


def read_flowed(text: bytes, *, delsp: bool) -> bytes:
    """Return the text as its author wrote it.

    Some programs put the header on what they do not flow. The diff tells: where its hunks have the lines
    that they count only as they came, they came as they were written.

    Args:
        text: a part of a mail, decoded.
        delsp: the space before a soft line break is none of the text.
    """
    flowed = unflow(text, delsp=delsp)
    return text if not _counts_hold(flowed) and _counts_hold(text) else flowed


def unflow(text: bytes, *, delsp: bool) -> bytes:
    """Return the text with each soft line break undone: one that follows a space, within equal quotes.

    See: RFC 3676, section 4.
    """
    last = text.endswith(b"\n")
    flowed: list[bytes] = []
    before: bytes | None = None  # The quotes of the line before, if that goes on.
    for raw in text.removesuffix(b"\n").split(b"\n"):
        line = raw.removesuffix(b"\r")
        quotes = line[: len(line) - len(line.lstrip(b">"))]
        content = line[len(quotes) :].removeprefix(b" ")
        goes_on = content.endswith(b" ") and content != _SIGNATURE
        if goes_on and delsp:
            content = content[:-1]
        if before == quotes and content != _SIGNATURE:
            flowed[-1] = flowed[-1].removesuffix(b"\r") + content
        else:
            flowed.append(quotes + b" " + content if quotes else content)
        flowed[-1] += raw[len(line) :]
        before = quotes if goes_on else None
    return b"\n".join(flowed) + (b"\n" if last else b"")


def _counts_hold(text: bytes) -> bool:
    try:
        parse_patch(text)
    except PatchError:
        return False
    return True

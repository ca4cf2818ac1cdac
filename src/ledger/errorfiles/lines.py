"""Lines of Markdown: each with what it is besides its words."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ledger.errorfiles.typography import fold

_QUOTE: Final = re.compile(r"[ \t]{0,3}(?:>[ \t]?)+")
_FENCE: Final = re.compile(r"[ \t]*(?:(?P<mark>`{3,}|~{3,})[^`]*|:{3,}[ \t]*[\w-]*[ \t]*)")
_RULE: Final = re.compile(r"[ \t]*(?:[-*_=][ \t]*){3,}|[ \t]*<!--[^\n]*-->[ \t]*")
_TITLE: Final = re.compile(r"[ \t]{0,3}\#{1,6}(?:[ \t]|$)")
_ITEM: Final = re.compile(r"[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+")


class Line(NamedTuple):
    """One line, by offsets in the text, and its words without the quoting before them."""

    start: int
    end: int
    text: str
    quoted: bool
    in_fence: bool
    """It stands in a fence that was opened above."""

    @property
    def blank(self) -> bool:
        """Whether it has no words."""
        return not self.text.strip()

    @property
    def fence(self) -> bool:
        """Whether it opens or closes a fence."""
        return _FENCE.fullmatch(self.text) is not None

    @property
    def rule(self) -> bool:
        """Whether it only divides: a thematic break, a comment."""
        return _RULE.fullmatch(fold(self.text)) is not None

    @property
    def title(self) -> bool:
        """Whether it is a Markdown heading."""
        return _TITLE.match(self.text) is not None

    @property
    def item(self) -> bool:
        """Whether it is an item of a list."""
        return _ITEM.match(self.text) is not None

    @property
    def row(self) -> bool:
        """Whether it is a row of a table."""
        return self.text.lstrip().startswith("|")

    @property
    def divides(self) -> bool:
        """Whether what stands below belongs to something else."""
        return self.rule or self.title or self.row


def read_lines(text: str, start: int, end: int) -> list[Line]:
    """Return the lines of a stretch of a text.

    A fence closes at the next fence of its own characters, whatever follows them there: formatters were
    seen to repeat the language at the closing one.
    """
    lines: list[Line] = []
    at, opened = start, ""
    for raw in text[start:end].split("\n"):
        quote = _QUOTE.match(raw)
        words = raw[quote.end() :] if quote else raw
        lines.append(Line(at, at + len(raw), words, quote is not None, bool(opened)))
        if _FENCE.fullmatch(words):
            mark = words.strip()[:3]
            opened = "" if mark == opened else opened or mark
        at += len(raw) + 1
    return lines

"""Open questions in prose: what a Markdown text asks and does not answer. Pure.

A section headed "Open questions" asks one with each of its list items, and with each line that ends in a
question mark. Elsewhere a line asks one that begins with a label: ``Open question:``, ``Question:``, ``Q:``,
``TODO?``. An item is closed by a ticked box, by being struck out, or by saying that it is answered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*")
_BOLD_HEADING = re.compile(r" {0,3}(?:\*\*|__)([^*_]+?):?(?:\*\*|__):?[ \t]*")
_BOLD_LEVEL = 7
_ASKS = re.compile(r"\b(?:open|outstanding|unresolved|unanswered|remaining)\s+questions?\b", re.IGNORECASE)
_ITEM = re.compile(r"([ \t>]*)(?:[-*+]|\d{1,9}[.)])[ \t]+(?:\[([ xX])\][ \t]+)?(.*)")
_LABEL = re.compile(
    r"[ \t>*_]*(?:open question|question|q|todo\?)[*_]*[ \t]*:?[*_]*[ \t]+(.+)", re.IGNORECASE
)
_LABELED = re.compile(r"[ \t>*_]*(?:(?:open question|question|q)[*_]*:|todo\?)", re.IGNORECASE)
_WORDS = r"(?:answered|answer|resolved|closed|decided|wontfix|done)"
_CLOSED = re.compile(
    rf"~~.*~~[ .]*|(?:.*(?:\n|[-\u2013\u2014] +|[\[(]))?[*_]*{_WORDS}\b.*",
    re.IGNORECASE | re.DOTALL,
)
_NOTHING = re.compile(r"(?:\(?none\b.*|n/?a|nothing.*|-+)?[.)]?", re.IGNORECASE)
_MARKUP = re.compile(r"[*_`~]+")


class Opening(NamedTuple):
    """One open question: the line where it begins, from 1, and its words."""

    line: int
    text: str


def find_openings(text: str) -> list[Opening]:
    """Return the open questions of a Markdown text, in order. What stands in code fences is an example."""
    lines = re.split(r"\r\n?|\n", text)
    found: list[Opening] = []
    level = 0
    for number, line in _outside_fences(lines):
        heading = _heading_of(line)
        if heading is not None:
            depth, title = heading
            if _ASKS.search(title):
                level = depth
            elif level and depth <= level:
                level = 0
            continue
        asked = _asked_in_section(lines, number) if level else _asked_by_label(lines, number)
        if asked and not _NOTHING.fullmatch(asked) and not _CLOSED.fullmatch(asked):
            found.append(Opening(number, _plain(asked)))
    return found


def _outside_fences(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines that are in no code fence."""
    fence = ""
    for number, line in enumerate(lines, 1):
        mark = _FENCE.match(line)
        if not fence and mark:
            fence = mark[1]
        elif fence and mark and mark[1].startswith(fence) and not line.strip(" `~"):
            fence = ""
        elif not fence:
            yield number, line


def _heading_of(line: str) -> tuple[int, str] | None:
    """Return a heading's level and title; a line in bold alone is one below all others."""
    if match := _HEADING.fullmatch(line):
        return len(match[1]), match[2]
    if (match := _BOLD_HEADING.fullmatch(line)) and not match[1].endswith("?"):
        return _BOLD_LEVEL, match[1]
    return None


def _asked_in_section(lines: Sequence[str], number: int) -> str:
    """Return what a line under "Open questions" asks, with what belongs to it; "" where nothing."""
    line = lines[number - 1]
    if item := _ITEM.fullmatch(line):
        nested = len(item[1].expandtabs(4)) > 1 and not item[3].rstrip().endswith("?")
        return "" if nested or item[2] in ("x", "X") else _whole(lines, number, item[3])
    before = lines[number - 2] if number > 1 else ""
    if line.rstrip().endswith("?") and not line.startswith((" ", "\t")) and not _ITEM.fullmatch(before):
        return line.strip()
    return ""


def _asked_by_label(lines: Sequence[str], number: int) -> str:
    line = lines[number - 1]
    item = _ITEM.fullmatch(line)
    if item and item[2] in ("x", "X"):
        return ""
    words = item[3] if item else line
    label = _LABEL.fullmatch(words) if _LABELED.match(words) else None
    return _whole(lines, number, label[1]) if label else ""


def _whole(lines: Sequence[str], number: int, first: str) -> str:
    """Return an item's words with those of the indented lines after it, which may say its answer."""
    words = [first]
    for line in lines[number:]:
        if not line.startswith((" ", "\t")) or not line.strip():
            break
        nested = _ITEM.fullmatch(line)
        words.append(nested[3] if nested else line.strip())
    return "\n".join(words)


def _plain(text: str) -> str:
    """Return the first line of what is asked, without emphasis."""
    return _MARKUP.sub("", text.partition("\n")[0]).strip()

"""A diff read as people and language models write it: counts, numbers and marks are not believed."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from patches.errors import PatchSyntaxError

HUNK_HEAD = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")
_NUMBERED = re.compile(rb"@@ -[-+\d]")
_SIGNATURE = re.compile(rb"-- ?\r?\n\d+\.\d+[^\n]*\n*\Z")
_MARKER = b"\\ "


class LooseLine(NamedTuple):
    """One line of a hunk: its mark (space, plus or minus), its text, and whether a marker ends it."""

    mark: bytes
    text: bytes
    """Without mark and newline; a carriage return at its end is part of it."""
    ends: bool = True
    """False where ``\\ No newline at end of file`` follows."""


class LooseHunk(NamedTuple):
    """A hunk's lines and where its header says that they are."""

    at_line: int
    """Of the header, in the patch, from 1."""
    start: int | None
    """Line in the old file, from 1; None where the header has no numbers."""
    counted: bool
    """The header's counts are those of the lines."""
    lines: tuple[LooseLine, ...]
    counts: tuple[int, int] = (0, 0)
    """Of old and new lines, as the header has them."""
    is_last: bool = False
    """Nothing follows it in the text, so that it may have been cut off."""


class Section(NamedTuple):
    """What the text says about one file."""

    raw: bytes
    header: tuple[bytes, ...]
    """Lines before the first hunk, without newline and carriage return."""
    hunks: tuple[LooseHunk, ...]


def read_sections(data: bytes) -> list[Section]:
    """Cut the text into files. Prose before the first is left out.

    Raises:
        PatchSyntaxError: a hunk's numbers are none that a file can have, or the last line is cut off.
    """
    text = _SIGNATURE.sub(b"", data)
    lines = text.split(b"\n")
    starts = _section_starts(lines)
    ends_here = text == data
    sections = [
        _read_section(lines[start:stop], start + 1, is_last=ends_here and stop == len(lines))
        for start, stop in pairwise([*starts, len(lines)])
    ]
    if sections and not sections[-1].hunks and not data.endswith(b"\n"):
        raise PatchSyntaxError(len(lines), "the text ends within a line of a header: it is cut off")
    return sections


def _section_starts(lines: list[bytes]) -> list[int]:
    starts: list[int] = []
    in_git_header = False
    past = 0  # Lines before this one belong to a hunk whose counts agree with it.
    for at, line in enumerate(lines):
        if at < past:
            continue
        if line.startswith(b"diff --git "):
            starts.append(at)
            in_git_header = True
        elif line.startswith(b"@@"):
            in_git_header = False
            past = _counted_end(lines, at) or past
        elif line.startswith(b"--- ") and not in_git_header and _names_follow(lines, at):
            starts.append(at)
    return starts


def _names_follow(lines: list[bytes], at: int) -> bool:
    return at + 2 < len(lines) and lines[at + 1].startswith(b"+++ ") and lines[at + 2].startswith(b"@@")


def _counted_end(lines: list[bytes], at: int) -> int:
    """Return the line after a hunk whose counts are right; 0 where they are not."""
    match = HUNK_HEAD.match(lines[at])
    if match is None:
        return 0
    old, new = int(match[2] or 1), int(match[4] or 1)
    at += 1
    while (old > 0 or new > 0) and at < len(lines):
        mark = lines[at][:1]
        if mark not in (b" ", b"+", b"-", b"\\", b"", b"\r"):
            return 0
        old -= mark not in (b"+", b"\\")
        new -= mark not in (b"-", b"\\")
        at += 1
    if old or new:
        return 0
    if at < len(lines) and lines[at].startswith(_MARKER):
        at += 1
    more = at < len(lines) and lines[at][:1] in (b" ", b"+", b"-")
    return 0 if more and not _names_follow(lines, at) else at


def _read_section(lines: list[bytes], at_line: int, *, is_last: bool) -> Section:
    heads: list[int] = []
    past = 0
    for at, line in enumerate(lines):
        if at >= past and line.startswith(b"@@"):
            heads.append(at)
            past = _counted_end(lines, at) or past
    header = lines[: heads[0]] if heads else lines
    hunks = tuple(
        _read_hunk(lines[start:stop], at_line + start, is_last=is_last and stop == len(lines))
        for start, stop in pairwise([*heads, len(lines)])
    )
    raw = b"\n".join(lines)
    raw += b"" if raw.endswith(b"\n") else b"\n"
    return Section(raw, tuple(line.rstrip(b"\r") for line in header), hunks)


def _read_hunk(lines: list[bytes], at_line: int, *, is_last: bool) -> LooseHunk:
    match = HUNK_HEAD.match(lines[0])
    if match is None and _NUMBERED.match(lines[0]):
        raise PatchSyntaxError(at_line, "corrupt hunk header")
    stop = _counted_end(lines, 0)
    counted = stop > 0
    body = lines[1:stop] if counted else _trimmed(lines[1:])
    read: list[LooseLine] = []
    for line in body:
        if line.startswith(_MARKER) and read:
            read[-1] = read[-1]._replace(ends=False)
        elif line[:1] in (b" ", b"+", b"-"):
            read.append(LooseLine(line[:1], line[1:]))
        else:
            # Empty, or its mark was lost: a line of context either way.
            read.append(LooseLine(b" ", line))
    if match is None:
        return LooseHunk(at_line, None, counted, tuple(read))
    counts = int(match[2] or 1), int(match[4] or 1)
    return LooseHunk(at_line, int(match[1]), counted, tuple(read), counts, is_last)


def _trimmed(lines: list[bytes]) -> list[bytes]:
    """Return a hunk's lines up to the prose after it: what follows the first fence or last marked line."""
    stop = next((at for at, line in enumerate(lines) if line.startswith((b"```", b"~~~"))), len(lines))
    while stop and not lines[stop - 1].startswith((b" ", b"+", b"-", b"\\")):
        stop -= 1
    return lines[:stop]

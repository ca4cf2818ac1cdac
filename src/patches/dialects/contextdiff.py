"""Context diffs (``diff -c``), as ordinary unified ones; what no context diff can be read from is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from patches.errors import PatchSyntaxError

_NAMES = re.compile(rb"^\*\*\* ([^\n]*)\n--- ([^\n]*)\n(?=\*{15})", re.MULTILINE)
_NORMAL = re.compile(rb"^\d+(?:,\d+)?[acd]\d+(?:,\d+)?\r?\n(?:[<>] |---)", re.MULTILINE)
_OLD_RANGE = re.compile(rb"\*\*\* (\d+)(?:,(\d+))? \*\*\*\*(?:\s|$)")
_NEW_RANGE = re.compile(rb"--- (\d+)(?:,(\d+))? ----(?:\s|$)")
_STARS = b"*" * 15
_NO_NEWLINE = b"\\"


class _Half(NamedTuple):
    """The lines of one side of a hunk: mark and content."""

    start: int
    size: int
    lines: list[tuple[bytes, bytes]]


def read_context_diff(data: bytes) -> bytes | None:
    """Return the text with its context diffs as unified ones; None where it holds none.

    Raises:
        PatchSyntaxError: a hunk is damaged, or the text is a diff without any context.
    """
    if _STARS not in data or _NAMES.search(data) is None:
        return None
    lines = data.split(b"\n")
    pieces: list[bytes] = []
    at = 0
    while at < len(lines):
        if _names_at(lines, at):
            pieces += [b"--- " + lines[at][4:], b"+++ " + lines[at + 1][4:]]
            at += 2
            while at < len(lines) and lines[at].startswith(_STARS):
                at = _convert_hunk(lines, at + 1, pieces)
        else:
            pieces.append(lines[at])
            at += 1
    return b"\n".join(pieces)


def refuse_normal_diff(data: bytes) -> None:
    """Refuse what ``diff`` prints without ``-u``: it says nothing about what stands around a change.

    Raises:
        PatchSyntaxError: the text holds such a diff and no other.
    """
    match = _NORMAL.search(data)
    if match is None or re.search(rb"^(?:diff --git |@@ |--- \S|\*\*\* \S)", data, re.MULTILINE):
        return
    at_line = data.count(b"\n", 0, match.start()) + 1
    raise PatchSyntaxError(at_line, "a diff without context, as plain diff prints; make it with diff -u")


def _names_at(lines: Sequence[bytes], at: int) -> bool:
    return (
        lines[at].startswith(b"*** ")
        and at + 2 < len(lines)
        and lines[at + 1].startswith(b"--- ")
        and lines[at + 2].startswith(_STARS)
    )


def _convert_hunk(lines: Sequence[bytes], at: int, pieces: list[bytes]) -> int:
    """Append one hunk to ``pieces``; return where the next begins."""
    old, middle = _read_half(lines, at, _OLD_RANGE, b"-")
    new, end = _read_half(lines, middle, _NEW_RANGE, b"+")
    # Where one side changes nothing, diff leaves its lines out: they are the context of the other.
    old_lines = old.lines or [line for line in new.lines if line[0] == b" "]
    new_lines = new.lines or [line for line in old.lines if line[0] == b" "]
    body = list(_merged(old_lines, new_lines, at + 1))
    if len(old_lines) != old.size or len(new_lines) != new.size:
        raise PatchSyntaxError(at + 1, "the hunk's ranges do not agree with its lines")
    pieces.append(b"@@ -%d,%d +%d,%d @@" % (old.start, old.size, new.start, new.size))
    pieces += body
    return end


def _read_half(lines: Sequence[bytes], at: int, form: re.Pattern[bytes], mark: bytes) -> tuple[_Half, int]:
    match = form.match(lines[at]) if at < len(lines) else None
    if match is None:
        raise PatchSyntaxError(at + 1, "a context diff's hunk lacks its range")
    first = int(match[1][:18])
    last = int(match[2][:18]) if match[2] else first
    # A side without lines is "0" or names the line before it once.
    read: list[tuple[bytes, bytes]] = []
    at += 1
    while at < len(lines) and (
        lines[at][:2] in {b"  ", b"! ", mark + b" "} or lines[at].startswith(_NO_NEWLINE)
    ):
        line = lines[at]
        if line.startswith(_NO_NEWLINE):
            if not read:
                raise PatchSyntaxError(at + 1, "nothing stands before the mark of a missing newline")
            read[-1] = (read[-1][0], read[-1][1] + b"\n" + line)
        else:
            read.append((b" " if line[:1] == b" " else mark, line[2:]))
        at += 1
    count = last - first + 1 if first else 0
    return _Half(first, max(count, 0), read), at


def _merged(
    old: Sequence[tuple[bytes, bytes]], new: Sequence[tuple[bytes, bytes]], at_line: int
) -> Iterator[bytes]:
    i = j = 0
    while i < len(old) or j < len(new):
        if i < len(old) and old[i][0] == b"-":
            yield b"-" + old[i][1]
            i += 1
        elif j < len(new) and new[j][0] == b"+":
            yield b"+" + new[j][1]
            j += 1
        elif i < len(old) and j < len(new) and old[i] == new[j]:
            yield b" " + old[i][1]
            i, j = i + 1, j + 1
        else:
            raise PatchSyntaxError(at_line, "the two sides of a context diff's hunk do not agree")

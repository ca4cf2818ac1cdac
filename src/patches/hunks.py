"""One hunk from its lines: the two images, cut out in one piece where its counts allow, and its inverse."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress
from typing import TypeAlias

from patches.errors import PatchSyntaxError
from patches.lines import split_lines
from patches.model import Hunk

_PLUS, _MINUS, _BACKSLASH = b"+-\\"
IN_OLD = bytes(code != _PLUS for code in range(256))
IN_NEW = bytes(code != _MINUS for code in range(256))
"""Which marks belong to a side: tables for ``bytes.translate``."""
SHORTEST_MARKER = 11  # Git's own bound for "\\ No newline at end of file" in whatever language.
_SWAPPED = bytes.maketrans(b"+-", b"-+")

Images: TypeAlias = tuple[bytes, bytes, bytes]
"""Preimage, postimage, and what each line is."""

Head: TypeAlias = tuple[int, int, int, int]
"""Start and count of the old and of the new side."""


def make_hunk(head: Head, images: Images, at_line: int, *, may_be_idle: bool = False) -> Hunk:
    """Return a hunk.

    Args:
        head: as its header has it.
        images: its lines.
        at_line: where its header stands.
        may_be_idle: it may change nothing.

    Raises:
        PatchSyntaxError: it changes nothing.
    """
    old, new, marks = images
    added, removed = marks.count(b"+"), marks.count(b"-")
    if not added and not removed and not may_be_idle:
        raise PatchSyntaxError(at_line, "a hunk that changes nothing")
    return Hunk(*head, old, new, added, removed, marks.endswith(b" "), at_line, marks)


def cut_images(lines: list[bytes], marks: bytes, old_count: int, new_count: int) -> Images | None:
    """Return a hunk's images where it has exactly the lines that its header counts.

    None is no verdict: the lines then have to be read one by one.
    """
    old_end = new_end = b"\n"
    if _BACKSLASH in marks:
        ends = _line_ends(lines, marks)
        if ends is None:
            return None
        old_end, new_end = ends
        # An empty line is one of context whose space was lost.
        lines = [line for line in lines if not line.startswith(b"\\")]
        marks = marks.replace(b"\\", b"")
    added, removed, context = marks.count(b"+"), marks.count(b"-"), marks.count(b" ")
    if (
        context + removed != old_count
        or context + added != new_count
        or len(marks) != added + removed + context
    ):
        return None
    if not old_count or not new_count:
        return None
    tails = [line[1:] for line in lines]
    old = b"\n".join(compress(tails, marks.translate(IN_OLD)))
    new = b"\n".join(compress(tails, marks.translate(IN_NEW)))
    return old + old_end, new + new_end, marks


def _line_ends(lines: list[bytes], marks: bytes) -> tuple[bytes, bytes] | None:
    """Return how the last line of each side ends; None where a marker does not end its side."""
    old_end = new_end = b"\n"
    at = marks.find(b"\\")
    while at >= 0:
        mark, after = marks[at - 1 : at], marks[at + 1 :].replace(b"\\", b"")
        others = b"+" if mark == b"-" else b"-" if mark == b"+" else b""
        if not at or mark == b"\\" or after.strip(others) or len(lines[at]) < SHORTEST_MARKER:
            return None
        if not lines[at].startswith(b"\\ "):
            return None
        old_end = old_end if mark == b"+" else b""
        new_end = new_end if mark == b"-" else b""
        at = marks.find(b"\\", at + 1)
    return old_end, new_end


def cut_one_image(section: bytes, old_count: int, new_count: int) -> Images | None:
    """Return the images of a section that is one hunk, all added or all removed."""
    mark, count = (b"\n-", old_count) if old_count else (b"\n+", new_count)
    stop = len(section)
    last = section.rfind(b"\n", 0, stop - 1) + 1
    incomplete = section.startswith(b"\\ ", last) and stop - last > SHORTEST_MARKER
    lines = section[:last].split(mark) if incomplete else section.split(mark)
    image = b"\n".join(lines[1:])
    if (
        len(lines) != count + 1
        or b"\n" in lines[0]
        or image.count(b"\n") != count
        or not image.endswith(b"\n")
    ):
        return None
    image = image[:-1] if incomplete else image
    return (image, b"", b"-" * count) if old_count else (b"", image, b"+" * count)


def new_lines(hunk: Hunk) -> Iterator[tuple[int, int, bytes]]:
    """Yield the lines of a hunk's postimage: its line in the patch, its mark, and the line itself."""
    olds, news = iter(split_lines(hunk.old)), iter(split_lines(hunk.new))
    at_line = hunk.at_line
    for mark in hunk.marks:
        at_line += 1
        line = b"\n" if mark == _PLUS else next(olds, b"")
        if mark != _MINUS:
            line = next(news, b"")
            yield at_line, mark, line
        at_line += not line.endswith(b"\n")  # The marker of a missing newline has a line of its own.


def reversed_hunk(hunk: Hunk) -> Hunk:
    """Return the hunk that takes ``hunk`` back."""
    return Hunk(
        hunk.new_start,
        hunk.new_count,
        hunk.old_start,
        hunk.old_count,
        hunk.new,
        hunk.old,
        hunk.removed,
        hunk.added,
        hunk.ends_in_context,
        hunk.at_line,
        hunk.marks.translate(_SWAPPED),
    )

"""What a person needs to know of a hunk that does not fit: where it nearly does, and what differs there.

Pure, and only for failures. The work is bounded: one pass over the file's lines lets each line that the
hunk shares with it vote for a place, and only the few places with the most votes are compared line by
line. Lines are compared by their words, so that a change of indentation is seen as what it is.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections import Counter
from difflib import SequenceMatcher
from itertools import chain
from typing import TYPE_CHECKING, Literal, NamedTuple

from patches.lines import split_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from patches.model import Hunk

_WORD = re.compile(rb"\w+")
_KEY_BYTES = 512  # Longer lines are compared as they are: one can be as long as a file.
_WINDOW_LINES = 100_000  # Looked at around the place that the hunk names.
_VOTES = 50_000
_PLACES = 4
_SLACK_LINES = 8  # How many lines somebody may have put between the hunk's own.
_ALIGNED_PAIRS = 20_000  # Above, aligning could take long: lines are compared one to one.
_FEW_LINES = 20  # A larger hunk of which no line is in the file is another file's.
_ALIKE = 0.6
_SHOWN_ROWS = 12
_SHOWN_BYTES = 160


class Row(NamedTuple):
    """A line that the hunk expects (``-``), that the file has (``+``), or both (a space)."""

    mark: Literal[" ", "-", "+"]
    line: int
    """In the file, from 1; 0 for a line that only the hunk has."""
    text: bytes


class Nearest(NamedTuple):
    """The place in the file that is most like a hunk's preimage."""

    line: int
    """Of its first line in the file, from 1."""
    size: int
    """How many lines the preimage has."""
    missing: int
    """How many of them are not there."""
    extra: int
    """How many lines of the file stand between or instead of them."""
    whitespace_only: bool
    """The lines differ, and only in whitespace."""
    rows: tuple[Row, ...]


class Explanation(NamedTuple):
    """Why a hunk does not fit, as facts. Line numbers are those of the file as it is."""

    line: int
    """Where the file first differs from the preimage, compared at the place that the hunk names."""
    want: bytes | None
    """The line that the hunk expects there, terminator included; None where it expects the file's end."""
    got: bytes | None
    nearest: Nearest | None
    """None where nothing in the file is like the hunk."""
    applied_at: int | None
    """Where the file has the hunk's result already; None where it has not."""
    obstacle: str
    """Why the hunk does not belong where all of its lines are; empty where they are nowhere."""


def explain_hunk(content: bytes, hunk: Hunk) -> Explanation:
    """Compare a hunk that does not fit with the file, as it was before any hunk of the patch."""
    image, wanted = split_lines(content), split_lines(hunk.old)
    expected = min(max(hunk.old_start - 1, 0), len(image))
    line, want, got = _first_difference(image, wanted, expected)
    nearest = _find_nearest(image, wanted, expected)
    obstacle = ""
    if nearest is not None and not (nearest.missing or nearest.extra):
        obstacle = _obstacle(hunk, nearest.line)
    return Explanation(line, want, got, nearest, _find_result(content, hunk), obstacle)


def _first_difference(
    image: Sequence[bytes], wanted: Sequence[bytes], start: int
) -> tuple[int, bytes | None, bytes | None]:
    there = image[start : start + len(wanted)]
    same = next((i for i, (a, b) in enumerate(zip(wanted, there, strict=False)) if a != b), len(there))
    want = wanted[same] if same < len(wanted) else None
    got = image[start + same] if start + same < len(image) else None
    return start + same + 1, want, got


def _find_result(content: bytes, hunk: Hunk) -> int | None:
    """Return the line where the postimage stands; a few lines of context alone prove nothing."""
    if not hunk.added and hunk.new_count < _TELLING_LINES:
        return None
    if not hunk.new.strip():
        return None
    at = 0 if content.startswith(hunk.new) else content.find(b"\n" + hunk.new) + 1
    if not at and not content.startswith(hunk.new):
        return None
    return content.count(b"\n", 0, at) + 1


_TELLING_LINES = 4


def _obstacle(hunk: Hunk, line: int) -> str:
    if hunk.old_start <= 1 and line != 1:
        return "a hunk that starts at line 1 belongs at the beginning of the file"
    if not hunk.ends_in_context:
        return "a hunk without context after its last change belongs at the end of the file"
    return "the patch's other hunks leave no such lines there"


def _find_nearest(image: Sequence[bytes], wanted: Sequence[bytes], expected: int) -> Nearest | None:
    """Return the place with the fewest differences, the nearest to ``expected`` of several."""
    first = max(expected - _WINDOW_LINES // 2, 0)
    near = image[first : first + _WINDOW_LINES]
    keys, wanted_keys = [_key(line) for line in near], [_key(line) for line in wanted]
    best: Nearest | None = None
    for start in _voted_places([[key] for key in keys], [[key] for key in wanted_keys], expected - first):
        nearest = _compare(near, wanted, keys, wanted_keys, start, first)
        if nearest is not None and (best is None or _distance(nearest) < _distance(best)):
            best = nearest
    if best is None and len(wanted) <= _FEW_LINES:
        return _find_alike(near, wanted, expected - first, first)
    return best


def _find_alike(image: Sequence[bytes], wanted: Sequence[bytes], expected: int, first: int) -> Nearest | None:
    """Return the place that shares most words with a hunk of which every line is another."""
    ours = [_WORD.findall(line[:_KEY_BYTES]) for line in wanted]
    theirs = [_WORD.findall(line[:_KEY_BYTES]) for line in image]
    for start in _voted_places(theirs, ours, expected):
        begin, end = max(start, 0), start + len(wanted)
        if _likeness(ours, theirs[begin:end]) >= _ALIKE:
            rows = [Row("-", 0, line) for line in wanted]
            rows += [Row("+", first + at + 1, image[at]) for at in range(begin, min(end, len(image)))]
            return Nearest(
                first + begin + 1, len(wanted), len(wanted), len(rows) - len(wanted), False, tuple(rows)
            )
    return None


def _likeness(ours: Sequence[Sequence[bytes]], theirs: Sequence[Sequence[bytes]]) -> float:
    """Return which part of all words is in both."""
    mine, others = Counter(chain.from_iterable(ours)), Counter(chain.from_iterable(theirs))
    return 2 * (mine & others).total() / max(mine.total() + others.total(), 1)


def _distance(nearest: Nearest) -> int:
    return nearest.missing + nearest.extra


def _key(line: bytes) -> bytes:
    """Return what two lines that differ in whitespace alone share."""
    return b" ".join(line.split()) if len(line) <= _KEY_BYTES else line


def _voted_places(
    theirs: Sequence[Sequence[bytes]], ours: Sequence[Sequence[bytes]], expected: int
) -> list[int]:
    """Return the most promising first lines.

    Each line gives what it is known by. Rare marks vote before common ones, which may vote only near
    the place that the hunk names: the number of votes is bounded.
    """
    offsets: dict[bytes, list[int]] = {}
    for at, marks in enumerate(ours):
        for mark in marks:
            if mark:
                offsets.setdefault(mark, []).append(at)
    places: dict[bytes, list[int]] = {}
    for at, marks in enumerate(theirs):
        for mark in marks:
            if mark in offsets:
                places.setdefault(mark, []).append(at)
    votes: Counter[int] = Counter()
    left = _VOTES
    for mark in sorted(places, key=lambda mark: len(places[mark]) * len(offsets[mark])):
        here = _around(places[mark], expected, left // len(offsets[mark]))
        left -= len(here) * len(offsets[mark])
        for offset in offsets[mark]:
            votes.update([at - offset for at in here])
    return sorted(votes, key=lambda start: (-votes[start], abs(start - expected)))[:_PLACES]


def _around(places: Sequence[int], expected: int, count: int) -> Sequence[int]:
    """Return ``count`` of the places, about those next to ``expected``."""
    first = max(bisect(places, expected) - count // 2, 0)
    return places[first : first + count]


def _compare(
    image: Sequence[bytes],
    wanted: Sequence[bytes],
    keys: Sequence[bytes],
    wanted_keys: Sequence[bytes],
    start: int,
    first: int,
) -> Nearest | None:
    """Compare the preimage with the lines around ``start``; None where too little is alike."""
    begin = max(start - _SLACK_LINES, 0)
    window = keys[begin : max(start, 0) + len(wanted) + _SLACK_LINES]
    rows: list[Row] = []
    only_whitespace = True
    for same, ours, theirs in _aligned(wanted_keys, window, start - begin):
        for at, there in zip(ours, theirs, strict=True) if same else ():
            text, number = image[begin + there], first + begin + there + 1
            if text == wanted[at]:
                rows.append(Row(" ", number, text))
            else:
                rows += [Row("-", 0, wanted[at]), Row("+", number, text)]
        if not same:
            only_whitespace = False
            rows += [Row("-", 0, wanted[at]) for at in ours]
            rows += [Row("+", first + begin + there + 1, image[begin + there]) for there in theirs]
    missing = sum(row.mark == "-" for row in rows)
    if (len(wanted) - missing) * 3 < len(wanted) and not only_whitespace:
        return None
    line = next((row.line for row in rows if row.line), first + start + 1)
    extra = sum(row.mark == "+" for row in rows)
    return Nearest(line, len(wanted), missing, extra, only_whitespace and missing > 0, tuple(rows))


def _aligned(
    wanted: Sequence[bytes], window: Sequence[bytes], start: int
) -> Iterator[tuple[bool, range, range]]:
    """Yield which lines of both are the same and which are not, in order.

    What the window has before the first and after the last line of ``wanted`` is left out.
    """
    counts = Counter(window)
    if sum(counts[key] for key in wanted) > _ALIGNED_PAIRS:
        yield from _one_to_one(wanted, window, start)
        return
    blocks = SequenceMatcher(None, wanted, window, autojunk=False).get_opcodes()
    for number, (tag, i1, i2, j1, j2) in enumerate(blocks):
        first, last = j1, j2
        if not number and tag != "equal":
            first = max(j1, j2 - (i2 - i1))
        if number == len(blocks) - 1 and tag != "equal":
            last = min(j2, first + (i2 - i1))
        if i1 < i2 or first < last:
            yield tag == "equal", range(i1, i2), range(first, last)


def _one_to_one(
    wanted: Sequence[bytes], window: Sequence[bytes], start: int
) -> Iterator[tuple[bool, range, range]]:
    for at, key in enumerate(wanted):
        there = start + at
        inside = 0 <= there < len(window)
        same = inside and window[there] == key
        yield same, range(at, at + 1), range(there, there + inside)


def describe(explanation: Explanation) -> str:
    """Return the explanation for a person: lines that are indented by two, without a newline at the end."""
    return "\n".join(f"  {line}" for line in _describe_lines(explanation))


def _describe_lines(explanation: Explanation) -> Iterator[str]:
    nearest = explanation.nearest
    if explanation.applied_at is not None:
        yield f"its result is there already, at line {explanation.applied_at}"
    elif nearest is not None and explanation.obstacle:
        yield f"all of it is at line {nearest.line}, but {explanation.obstacle}"
    elif nearest is None or _is_one_line(explanation, nearest):
        yield f"the patch expects   {show_line(explanation.want)}"
        yield f"the file has        {show_line(explanation.got)}"
        yield "nothing in the file is like it" if nearest is None else _describe_others(nearest)
    else:
        yield f"nearest place: line {nearest.line}, where {_describe_difference(nearest)}"
        yield from _show_rows(nearest.rows)


def _is_one_line(explanation: Explanation, nearest: Nearest) -> bool:
    """Whether the hunk is where it says, and one line of it is another."""
    differing = [row for row in nearest.rows if row.mark != " "]
    return differing == [
        Row("-", 0, explanation.want or b""),
        Row("+", explanation.line, explanation.got or b""),
    ]


def _describe_others(nearest: Nearest) -> str:
    if nearest.whitespace_only:
        return "they differ in whitespace only"
    if nearest.size == 1:
        return "it is the hunk's only line"
    return f"its other {nearest.size - 1} lines are there" if nearest.size > 2 else "its other line is there"


def _describe_difference(nearest: Nearest) -> str:
    if not nearest.missing:
        lines = "one line more stands" if nearest.extra == 1 else f"{nearest.extra} lines more stand"
        return f"{lines} between its {nearest.size} lines"
    verb = "differs" if nearest.missing == 1 else "differ"
    where = " in whitespace only" if nearest.whitespace_only else ""
    return f"{nearest.missing} of {nearest.size} lines {verb}{where}"


def _show_rows(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines that differ, each with one line around it, as far as they are not too many."""
    near = {at + by for at, row in enumerate(rows) if row.mark != " " for by in (-1, 0, 1)}
    shown = [row for at, row in enumerate(rows) if at in near]
    width = len(str(max((row.line for row in shown), default=0)))
    for row in shown[:_SHOWN_ROWS]:
        yield f"  {row.line or '':>{width}} {row.mark} {show_line(row.text)}".rstrip()
    if len(shown) > _SHOWN_ROWS:
        yield f"  {'':>{width}}   … and {len(shown) - _SHOWN_ROWS} lines more"


def show_line(line: bytes | None) -> str:
    """Return one line of a file for a person; its terminator is named only where it is unusual."""
    if line is None:
        return "(the end of the file)"
    body = line.removesuffix(b"\n")
    text = body[:_SHOWN_BYTES].decode("utf-8", "backslashreplace")
    shown = "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text)
    if len(body) > _SHOWN_BYTES:
        shown += " …"
    if line == body:
        shown += "  (no newline at the end of the file)"
    return shown

"""Hunks put into a file where Git puts them, with every freedom that its options give.

Less context, other whitespace, overlapping hunks, hunks without context, whitespace errors mended on
the way. Unless they are ``lenient``, options leave two things to be refused that Git does in silence: a
hunk that holds on to nothing goes only where its header says, and the other places that
fit equally well are told (``Placement.others``).

See: ``git-apply(1)``, options ``-C``, ``--ignore-whitespace``, ``--whitespace``, ``--unidiff-zero``.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from patches.gaplist import GapList
from patches.lines import split_lines
from patches.model import Hunk
from patches.options import ApplyOptions
from patches.whitespace import WhitespaceRule, find_errors, is_blank, mend_line

_CONTEXT, _ADDED = b" +"
_RUN = re.compile(rb"[ \t\r\n]+")


class Placement(NamedTuple):
    """Where and how one hunk was applied."""

    line: int
    """From 1, in the file as the hunks before it left it."""
    offset: int
    """How many lines below the place where it was looked for first."""
    leading: int
    """Lines of context before the first change that had to match, and after the last one."""
    trailing: int
    reduced: bool
    """Less context matched than the hunk has."""
    mended: int
    """How many added lines were mended."""
    blank_line_at_end: int | None
    """The patch's line with the first of the blank lines that it adds at the end of the file."""
    others: tuple[int, ...]
    """Further lines at which it fits, where it is not where it was looked for first; none if lenient."""


class Fit(NamedTuple):
    """A file's content with the hunks that fit, and a placement for each hunk; None where it did not fit."""

    content: bytes
    placements: tuple[Placement | None, ...]


def fit_hunks(
    content: bytes,
    hunks: Sequence[Hunk],
    options: ApplyOptions,
    rule: WhitespaceRule,
    *,
    adds: bool = True,
    mends_all: bool = False,
) -> Fit:
    """Put hunk after hunk into ``content``; one that fits nowhere is passed over.

    Args:
        content: the file before.
        hunks: in the order of the patch.
        options: what freedom there is.
        rule: what is mended under ``whitespace="fix"``.
        adds: False leaves out every line that the hunks add.
        mends_all: under ``whitespace="fix"``, mend added lines in which no error is found too, as Git
            does once a patch has one: spaces before a tab may then become a tab.
    """
    return _Image(content, options, rule, mends_all=mends_all).fit(hunks, adds=adds)


class _Lines:
    """A hunk's two sides as lines, tied together by the context that they share."""

    def __init__(
        self, hunk: Hunk, options: ApplyOptions, rule: WhitespaceRule, *, adds: bool, mends_all: bool
    ) -> None:
        olds, news = iter(split_lines(hunk.old)), iter(split_lines(hunk.new))
        self.old: list[bytes] = []
        self.new: list[bytes] = []
        self.twins: list[int | None] = []
        """For each line of ``new`` its twin in ``old``; None where it is added."""
        self.mended = 0
        mends = options.whitespace == "fix"
        for mark in hunk.marks:
            # A line of no bytes that has no newline either is none of the sides' lines.
            if mark != _ADDED:
                self.old.append(next(olds, b""))
            if mark == _CONTEXT:
                self._append(next(news, b""), len(self.old) - 1)
            elif mark == _ADDED:
                line = next(news, b"")
                if adds:
                    mended = (
                        mend_line(line, rule) if mends and (mends_all or find_errors(line, rule)) else line
                    )
                    self.mended += mended != line
                    self._append(mended, None)
        # Git takes an end of the file on trust, and puts the lines of a context-free diff in a wrong place.
        trusted = options.lenient or options.unidiff_zero or not hunk.old_start
        self.holds_on_to_nothing = not self.old and not trusted
        if options.inaccurate_eof and _ends(self.old) and _ends(self.new):
            self.old[-1] = self.old[-1][:-1]
            self.new[-1] = self.new[-1][:-1]

    def _append(self, line: bytes, twin: int | None) -> None:
        self.new.append(line)
        self.twins.append(twin)

    def drop_first(self) -> None:
        """Forget the first line, one of context."""
        del self.old[0], self.new[0], self.twins[0]
        self.twins = [None if twin is None else twin - 1 for twin in self.twins]

    def drop_last(self) -> None:
        """Forget the last line, one of context."""
        del self.old[-1], self.new[-1], self.twins[-1]

    def adopt(self, old: list[bytes]) -> None:
        """Take ``old`` for the preimage, and for the context in the postimage."""
        self.old = old
        self.new = [
            line if twin is None else old[twin] for line, twin in zip(self.new, self.twins, strict=True)
        ]

    def change_ends(self, before: bytes, after: bytes) -> None:
        """Give added lines the file's line end where the patch has another throughout; Git mixes them."""
        if before and after and before != after:
            self.new = [
                line if twin is not None or line_end([line]) != before else line.removesuffix(before) + after
                for line, twin in zip(self.new, self.twins, strict=True)
            ]


class _LineIndex:
    """The lines of an image by their content, while hunks that follow one another replace some of them.

    Searching each hunk in the whole image would take the square of the time. What a hunk has put there is
    not in the index: no other hunk may take it.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._at: dict[bytes, list[int]] = {}
        for at, line in enumerate(lines):
            self._at.setdefault(line, []).append(at)
        self._starts: list[int] = []  # Of the replaced lines, in the image that was indexed.
        self._shifts: list[int] = []  # By how much what follows each of them has moved.
        self._end = 0

    def count(self, line: bytes) -> int:
        """Return how many there are of a line."""
        return len(self._at.get(line, ()))

    def places(self, line: bytes) -> Iterator[int]:
        """Yield where a line stands now; where it was replaced, something else may stand."""
        for at in self._at.get(line, ()):
            before = bisect_right(self._starts, at)
            yield at + self._shifts[before - 1] if before else at

    def replace(self, at: int, sides: _Lines) -> bool:
        """Note a replacement; False where it lies before an earlier one, and the index is of no more use."""
        if at < self._end:
            return False
        shift = self._shifts[-1] if self._shifts else 0
        self._starts.append(at - shift)
        self._shifts.append(shift + len(sides.new) - len(sides.old))
        self._end = at + len(sides.new)
        return True


_Place: TypeAlias = tuple[int, list[bytes]]
"""A line (from 0), and the preimage as it stands there."""


class _Image:
    """The file's lines while hunks are put into them."""

    def __init__(
        self, content: bytes, options: ApplyOptions, rule: WhitespaceRule, *, mends_all: bool
    ) -> None:
        lines = split_lines(content)
        self._lines = GapList(lines)
        self._patched = GapList(bytes(len(lines)))
        self._places: _LineIndex | None = None
        self._options = options
        self._rule = rule
        self._mends_all = mends_all
        # Git takes a line without newline for the beginning of a longer one, if only whitespace follows.
        self._may_go_on = options.lenient or options.inaccurate_eof
        self._mends_end = options.whitespace == "fix" and rule.blank_at_eof

    def fit(self, hunks: Sequence[Hunk], *, adds: bool) -> Fit:
        placements = tuple([self._put(hunk, adds=adds) for hunk in hunks])
        return Fit(b"".join(self._lines), placements)

    def _put(self, hunk: Hunk, *, adds: bool) -> Placement | None:
        sides = _Lines(hunk, self._options, self._rule, adds=adds, mends_all=self._mends_all)
        leading, trailing = context_of(hunk)
        limit = self._options.context
        from_start = not hunk.old_start or (hunk.old_start == 1 and not self._options.unidiff_zero)
        to_end = not self._options.unidiff_zero and not trailing
        # Where nothing stays ("+4,0") the line is the one before. Git looks there first, all the same.
        behind = not hunk.new_count and not self._options.lenient
        expected = max(hunk.new_start - (not behind), 0)
        kept_leading, kept_trailing = leading, trailing
        while not (places := self._search(sides, expected, from_start=from_start, to_end=to_end)):
            if limit is None or (kept_leading <= limit and kept_trailing <= limit):
                return None
            if from_start or to_end:
                from_start = to_end = False
                continue
            if kept_leading >= kept_trailing:
                sides.drop_first()
                expected -= 1
                kept_leading -= 1
            # Of a hunk of context alone every line leads and trails: its last may be its first, and gone.
            if kept_trailing > kept_leading and sides.old:
                sides.drop_last()
                kept_trailing -= 1
            if not sides.old and not sides.new:
                return None
        at, old = places[0]
        if old is not sides.old:
            ends = line_end(sides.old), line_end(old)
            sides.adopt(old)
            if self._options.ignore_whitespace and not self._options.lenient:
                sides.change_ends(*ends)
        blank_at = self._drop_blank_end(sides, at, hunk)
        self._replace(at, sides)
        reduced = (kept_leading, kept_trailing) != (leading, trailing)
        others = tuple(other + 1 for other, _ in places[1:])
        return Placement(
            at + 1, at - expected, kept_leading, kept_trailing, reduced, sides.mended, blank_at, others
        )

    def _search(self, sides: _Lines, expected: int, *, from_start: bool, to_end: bool) -> list[_Place]:
        """Return where the preimage stands, the nearest place to ``expected`` first.

        Only the first is looked for where that is the expected one, or doubt is no matter.
        """
        size, last = len(self._lines), len(self._lines) - len(sides.old)
        if self._options.allow_overlap and from_start and to_end and last:
            from_start = False
        start = 0 if from_start else last if to_end else expected
        start = start if 0 <= start <= size else size
        if sides.holds_on_to_nothing and (from_start or to_end) and start != expected:
            return []
        old = self._match(sides, start, to_end=to_end)
        if old is not None:
            return [(start, old)]
        if from_start or (to_end and not self._mends_end):
            return []
        places: list[_Place] = []
        for at in sorted(self._candidates(sides), key=lambda at: (abs(at - start), at < start)):
            old = self._match(sides, at, to_end=to_end)
            if old is not None:
                places.append((at, old))
                if self._options.lenient:
                    break
        return places

    def _candidates(self, sides: _Lines) -> Iterable[int]:
        """Return the lines at which the preimage may stand."""
        size, last = len(self._lines), len(self._lines) - len(sides.old)
        if self._mends_end:
            return range(size + 1)
        if not sides.old or self._options.ignore_whitespace or self._options.whitespace == "fix":
            return range(last + 1)
        whole = [at for at, line in enumerate(sides.old) if line.endswith(b"\n")]
        if not whole:
            return range(last + 1)
        pivot = min(whole, key=lambda at: self._index.count(sides.old[at]))
        return (at - pivot for at in self._index.places(sides.old[pivot]) if 0 <= at - pivot <= last)

    @property
    def _index(self) -> _LineIndex:
        """Where which line stands: made when it is asked for, since most hunks are where they say."""
        if self._places is None:
            self._places = _LineIndex(self._lines)
        return self._places

    def _match(self, sides: _Lines, at: int, *, to_end: bool) -> list[bytes] | None:
        """Return the preimage as it stands at a line, which may differ in whitespace; None if it does not."""
        old = sides.old
        inside = min(len(old), len(self._lines) - at)
        if inside < len(old) and not self._mends_end:
            return None
        if to_end and at + len(old) < len(self._lines):
            return None
        there = self._lines.span(at, at + inside)
        if any(self._patched.span(at, at + inside)):
            return None
        if inside == len(old):
            if there == old or (not to_end and self._may_go_on and _equal_but_for_end(there, old)):
                return old
        elif all(map(is_blank, old[:inside])):
            # What lies behind the end of the file says nothing: something must hold the hunk in its place.
            return None
        if self._options.ignore_whitespace:
            return _match_loosely(old, there)
        return self._match_mended(old, there) if self._options.whitespace == "fix" else None

    def _match_mended(self, old: list[bytes], there: list[bytes]) -> list[bytes] | None:
        mended = [mend_line(line, self._rule) for line in old]
        if any(mend_line(line, self._rule) != twin for line, twin in zip(there, mended, strict=False)):
            return None
        return mended if all(map(is_blank, mended[len(there) :])) else None

    def _drop_blank_end(self, sides: _Lines, at: int, hunk: Hunk) -> int | None:
        """Return the patch's line of the first blank line added at the end, and drop those where asked."""
        if not self._rule.blank_at_eof or len(sides.old) + at < len(self._lines):
            return None
        count, first = blank_lines_at_end(hunk)
        if not count:
            return None
        if self._options.whitespace == "fix":
            del sides.new[max(len(sides.new) - count, 0) :]
        return first

    def _replace(self, at: int, sides: _Lines) -> None:
        stop = min(at + len(sides.old), len(self._lines))
        # Where hunks may overlap, the new lines count as well.
        if self._places is not None and (self._options.allow_overlap or not self._places.replace(at, sides)):
            self._places = None
        self._lines.replace(at, stop, sides.new)
        self._patched.replace(at, stop, (b"\0" if self._options.allow_overlap else b"\1") * len(sides.new))


def context_of(hunk: Hunk) -> tuple[int, int]:
    """Return how many lines of context stand before a hunk's first change and behind its last."""
    marks = hunk.marks
    return len(marks) - len(marks.lstrip(b" ")), len(marks) - len(marks.rstrip(b" "))


def blank_lines_at_end(hunk: Hunk) -> tuple[int, int]:
    """Return how many blank lines a hunk adds at its end, and on which line of the patch the first is."""
    if not hunk.new.endswith(b"\n"):
        return 0, 0
    count = first = 0
    news = iter(split_lines(hunk.new))
    for at_line, mark in enumerate(hunk.marks, hunk.at_line + 1):
        blank = mark in (_CONTEXT, _ADDED) and is_blank(next(news, b""))
        if blank and mark == _ADDED:
            first = first if count else at_line
            count += 1
        elif not blank:
            count = 0
    return count, first


def equal_but_for_whitespace(one: bytes, other: bytes) -> bool:
    """Tell whether two lines differ in nothing but how much whitespace is where they both have some.

    Line ends do not count. Whitespace at the end of one line only is a difference, as in Git.
    """
    return _squeezed(one) == _squeezed(other)


def _squeezed(line: bytes) -> bytes:
    return _RUN.sub(b" ", line.rstrip(b"\r\n"))


def _equal_but_for_end(there: list[bytes], old: list[bytes]) -> bool:
    """Tell whether the lines agree, but for whitespace behind a last line that lacks its newline."""
    if not old or old[-1].endswith(b"\n") or there[:-1] != old[:-1] or not there[-1].startswith(old[-1]):
        return False
    return is_blank(there[-1][len(old[-1]) :])


def _ends(lines: list[bytes]) -> bool:
    return bool(lines) and lines[-1].endswith(b"\n")


def line_end(lines: Iterable[bytes]) -> bytes:
    r"""Return ``\n`` or ``\r\n`` where all lines that have an end have this one; else nothing."""
    ends = {b"\r\n" if line.endswith(b"\r\n") else b"\n" for line in lines if line.endswith(b"\n")}
    return ends.pop() if len(ends) == 1 else b""


def _match_loosely(old: list[bytes], there: list[bytes]) -> list[bytes] | None:
    inside = len(there)
    if not all(map(equal_but_for_whitespace, there, old[:inside])) or not all(map(is_blank, old[inside:])):
        return None
    return there + old[inside:]

"""Diffs whose long lines a mailer broke, joined again where the file proves how.

A line of the old file proves its own joints: what was broken is together that line, and whether a space
stood at the break is seen there. An added line proves none. It is joined in every way that the counts leave,
and counts only where the file comes out as the patch's ``index`` line names it.
"""

from __future__ import annotations

from itertools import islice, pairwise, product
from typing import TYPE_CHECKING, NamedTuple

from patches.dialects.loose import HUNK_HEAD, read_sections
from patches.dialects.targets import find_target
from patches.dialects.trial import try_patch
from patches.dialects.witness import is_attested
from patches.errors import PatchError, PatchSyntaxError
from patches.lines import split_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from patches.dialects.loose import Section
    from patches.dialects.model import Reader
    from patches.options import ApplyOptions

_MARKS = (b" ", b"+", b"-", b"\\")
_MOST_PIECES = 8
_MOST_READINGS = 64
_MOST_SECTIONS = 64
_MOST_PLACES = 200_000
"""Lines of the file times hunks of the section, up to which these are looked for elsewhere."""
_SHORTEST = 40
"""A mailer breaks no line before this."""


class BrokenLine(PatchSyntaxError):
    """A mailer broke long lines of the patch, and nothing proves what they were."""

    hint = "send it as an attachment, or with `git send-email`, which breaks no line"


class _Joined(NamedTuple):
    """A hunk's lines, joined: those of which the joint is open hold their pieces apart."""

    lines: tuple[tuple[bytes, ...], ...]

    @property
    def open(self) -> int:
        return sum(len(pieces) - 1 for pieces in self.lines)

    def texts(self, glue: Iterator[bytes]) -> list[bytes]:
        return [b"".join(_glued(pieces, glue)) for pieces in self.lines]


def _glued(pieces: Sequence[bytes], glue: Iterator[bytes]) -> Iterator[bytes]:
    yield pieces[0]
    for piece in pieces[1:]:
        yield next(glue) + piece


def join_broken(data: bytes, read: Reader, options: ApplyOptions) -> bytes | None:
    """Return the patch with its broken lines joined; None where no line of it was broken.

    Raises:
        BrokenLine: one was, and nothing proves what it was.
    """
    sections = read_sections(data)
    broken, tried = False, 0
    pieces: list[bytes] = []
    for section in sections:
        joined = None
        if _may_be_broken(section):
            tried += 1
            # Each try reads its file: more of them are no mail.
            joined = _join_section(section, read, options) if tried <= _MOST_SECTIONS else None
        broken = broken or joined is not None
        pieces.append(section.raw if joined is None else joined)
    return b"".join(pieces) if broken else None


def _may_be_broken(section: Section) -> bool:
    """Tell cheaply whether a mailer may have broken lines: one is long, and counts do not hold."""
    counted = all(hunk.counted or hunk.start is None for hunk in section.hunks)
    return not counted and any(len(line) >= _SHORTEST for line in section.raw.split(b"\n"))


def _join_section(section: Section, read: Reader, options: ApplyOptions) -> bytes | None:
    lines = section.raw.removesuffix(b"\n").split(b"\n")
    first = section.hunks[0].at_line - len(section.header)
    heads = [hunk.at_line - first for hunk in section.hunks]
    target = find_target(section.header, read, options)
    if target is None:
        return None
    old = [] if target.adds else [line.rstrip(b"\r\n") for line in split_lines(read(target.path) or b"")]
    text: list[bytes | _Joined] = [*lines[: heads[0]]]
    everywhere = len(old) * len(heads) <= _MOST_PLACES
    for (start, stop), hunk in zip(pairwise([*heads, len(lines)]), section.hunks, strict=True):
        joined = None if hunk.counted else _join_hunk(lines[start:stop], old, everywhere=everywhere)
        if joined is None:
            text += lines[start:stop]
        else:
            text += [lines[start], joined]
    if not any(isinstance(piece, _Joined) for piece in text):
        return None
    return _proved(section.hunks[0].at_line, text, read, options)


def _join_hunk(lines: list[bytes], old: list[bytes], *, everywhere: bool) -> _Joined | None:
    """Return a hunk's lines as its header counts them; None where they are not to be had by joining."""
    head = HUNK_HEAD.match(lines[0])
    if head is None:
        return None
    counts = int(head[2] or 1), int(head[4] or 1)
    stated = max(int(head[1]) - (1 if counts[0] else 0), 0)
    joined = _walk(lines[1:], old, stated, counts)
    if joined is not None or not everywhere:
        return joined
    elsewhere = (_walk(lines[1:], old, at, counts) for at in range(len(old)) if at != stated)
    found = list(islice(filter(None, elsewhere), 2))
    return found[0] if len(found) == 1 else None


def _walk(lines: Sequence[bytes], old: Sequence[bytes], at: int, counts: tuple[int, int]) -> _Joined | None:
    """Return the lines of a hunk that is at line ``at`` (from 0) of the file; None where it is not."""
    left_old, left_new = counts
    joined: list[tuple[bytes, ...]] = []
    here = 0
    while here < len(lines) and lines[here] and not lines[here].startswith(_MARKS):
        here += 1  # What was broken is the header's own line: it ends in words of the file.
    while here < len(lines) and (left_old or left_new):
        line = lines[here]
        here += 1
        if line.startswith(b"+"):
            pieces = [line]
            while here < len(lines) and _goes_on(lines, here):
                pieces.append(lines[here])
                here += 1
            joined.append(tuple(pieces))
            left_new -= 1
            continue
        if not line or line[:1] in b" -":
            took = _of_file(lines, here - 1, old[at] if at < len(old) else None)
            if not took:
                return None
            here += took - 1
            joined.append(((line[:1] or b" ") + old[at],))
            at += 1
            left_old -= 1
            left_new -= line[:1] != b"-"
            continue
        if not line.startswith(b"\\"):
            return None
        joined.append((line,))
    rest = lines[here:]
    if left_old or left_new or any(line.startswith(_MARKS) for line in rest[:1]):
        return None
    return _Joined((*joined, *((line,) for line in rest)))


def _goes_on(lines: Sequence[bytes], here: int) -> bool:
    """Tell whether a line can only be the end of the one before."""
    return len(lines[here - 1]) >= _SHORTEST and lines[here][:1] not in (*_MARKS, b"")


def _of_file(lines: Sequence[bytes], here: int, line: bytes | None) -> int:
    """Return how many lines of the patch, from ``here`` on, are together a line of the file; 0: none are."""
    if line is None:
        return 0
    rest = line
    text = lines[here][1:]
    for count in range(1, _MOST_PIECES + 1):
        if not rest.startswith(text):
            return 0
        rest = rest[len(text) :]
        if not rest:
            return count
        if here + count >= len(lines) or len(lines[here + count - 1]) < _SHORTEST:
            return 0
        text = lines[here + count]
        if not rest.startswith(text):
            rest = rest.removeprefix(b" ")
    return 0


def _proved(at_line: int, text: Sequence[bytes | _Joined], read: Reader, options: ApplyOptions) -> bytes:
    """Return the section's text in the one way that is proved.

    Raises:
        BrokenLine: none is.
    """
    open_joints = sum(piece.open for piece in text if isinstance(piece, _Joined))
    if 2**open_joints > _MOST_READINGS:
        raise BrokenLine(at_line, f"{open_joints} breaks in added lines: a mailer broke them")
    for glue in product((b" ", b""), repeat=open_joints):
        reading = _spelled(text, iter(glue))
        if not open_joints or _is_attested(reading, read, options):
            return reading
    raise BrokenLine(
        at_line, "added lines were broken on their way, and nothing tells whether spaces stood there"
    )


def _spelled(text: Sequence[bytes | _Joined], glue: Iterator[bytes]) -> bytes:
    lines: list[bytes] = []
    for piece in text:
        lines += piece.texts(glue) if isinstance(piece, _Joined) else [piece]
    return b"\n".join(lines) + b"\n"


def _is_attested(reading: bytes, read: Reader, options: ApplyOptions) -> bool:
    try:
        return is_attested(reading, try_patch(reading, read, options), read, options) is True
    except PatchError:
        return False

"""Where hunks belong in a file, and the file with them applied: Git's search, without fuzz.

Nearly every hunk is where its header says. So the file is not split into lines at first: each
preimage is searched as bytes from the end of the previous one, and counting newlines tells
whether it was found on the expected line. Only a hunk that is elsewhere costs lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from patches.errors import HunkMismatch
from patches.options import DEFAULTS, ApplyOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from patches.model import Hunk


def apply_hunks(
    path: bytes, content: bytes, hunks: Sequence[Hunk], options: ApplyOptions = DEFAULTS,  # noqa: ARG001
) -> bytes:
    """Return ``content`` with all hunks applied.

    Each hunk is searched at the line that its header gives in the new file, then further away,
    one line forward and one back in turn, never overlapping an earlier hunk's lines. A hunk that
    starts at line 1 matches only at the beginning, one without trailing context only at the end.

    Raises:
        HunkMismatch: a hunk's preimage is nowhere in the file.
    """
    applied = _apply_at_expected(content, hunks)
    return applied if applied is not None else _apply_by_search(path, content, hunks)


def _apply_at_expected(content: bytes, hunks: Sequence[Hunk]) -> bytes | None:
    """Return the result where every hunk is in order and exactly where it says; None otherwise."""
    pieces: list[bytes] = []
    tail = 0  # Offset in ``content`` after the previous hunk, on line ``line`` (from 0).
    line = 0
    shift = 0  # How many lines longer the file has become by the hunks so far.
    for hunk in hunks:
        old = hunk.old
        expected = hunk.new_start - 1 - shift
        if hunk.old_start <= 1:
            start = expected = 0
            if tail or not content.startswith(old) or not (hunk.ends_in_context or old == content):
                return None
        elif not hunk.ends_in_context:
            start = len(content) - len(old)
            if not old or start < tail or not content.endswith(old) or content[start - 1] != _NEWLINE:
                return None
        else:
            start = _find_on_line(content, old, tail, expected - line)
            if start < 0:
                return None
        pieces.append(content[tail:start])
        pieces.append(hunk.new)
        tail = start + len(old)
        if tail < len(content) and not old.endswith(b"\n"):
            return None
        line = expected + hunk.old_count
        shift += hunk.new_count - hunk.old_count
    pieces.append(content[tail:])
    return b"".join(pieces)


_NEWLINE = 10


def _find_on_line(content: bytes, old: bytes, start: int, lines: int) -> int:
    """Return the offset of ``old`` exactly ``lines`` lines after the line start ``start``, or -1."""
    at = content.find(old, start)
    while at >= 0:
        lines -= content.count(b"\n", start, at)
        if lines <= 0:
            return at if not lines and (not at or content[at - 1] == _NEWLINE) else -1
        start = at
        at = content.find(old, start + 1)
    return -1


def _split(content: bytes) -> list[bytes]:
    """Return the lines with their newline; no other byte ends a line."""
    lines = [line + b"\n" for line in content.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _apply_by_search(path: bytes, content: bytes, hunks: Sequence[Hunk]) -> bytes:
    """Apply hunk after hunk on the file's lines, as Git does it."""
    image = _split(content)
    patched = bytearray(len(image))
    for number, hunk in enumerate(hunks, 1):
        old, new = _split(hunk.old), _split(hunk.new)
        at = _search(image, patched, hunk, old)
        if at < 0:
            raise HunkMismatch(path, hunk=number, hunks=len(hunks), wanted=hunk, content=content)
        image[at : at + len(old)] = new
        patched[at : at + len(old)] = b"\1" * len(new)
    return b"".join(image)


def _search(image: list[bytes], patched: bytearray, hunk: Hunk, old: list[bytes]) -> int:
    """Return the line (from 0) where ``old`` stands, or -1."""
    last = len(image) - len(old)
    for at in _places(len(image), last, hunk):
        if (
            0 <= at <= last
            and (not old or image[at] == old[0])
            and image[at : at + len(old)] == old
            and not any(patched[at : at + len(old)])
        ):
            return at
    return -1


def _places(size: int, last: int, hunk: Hunk) -> Iterator[int]:
    """Yield the lines at which a hunk may be, in the order in which Git tries them."""
    from_start, to_end = hunk.old_start <= 1, not hunk.ends_in_context
    expected = max(hunk.new_start - 1, 0)
    if from_start or to_end:
        place = 0 if from_start else last
        # Without any line to hold on to only the header tells where: Git would take the end of the
        # file on trust, and put the lines of a context-free diff in a wrong place.
        if not (to_end and place != last) and (hunk.old_count or not hunk.old_start or expected == place):
            yield place
        return
    expected = min(expected, size)
    yield expected
    for distance in range(1, size + 1):
        yield expected + distance
        yield expected - distance

"""A file's edits written as the hunks of an ordinary unified diff."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

_AROUND = 3


class Edit(NamedTuple):
    """Old lines ``[start, stop)`` that are replaced by ``new``; every line has its newline, if any."""

    start: int
    stop: int
    new: tuple[bytes, ...]


def render_hunks(old: Sequence[bytes], edits: Sequence[Edit]) -> bytes:
    """Return hunks with three lines of context for ``edits``, which are in order and do not overlap."""
    pieces: list[bytes] = []
    shift = 0
    for group in _grouped(edits):
        start = max(group[0].start - _AROUND, 0)
        stop = min(group[-1].stop + _AROUND, len(old))
        grown = sum(len(edit.new) - (edit.stop - edit.start) for edit in group)
        pieces.append(_head(start, stop - start, shift, grown))
        at = start
        for edit in group:
            pieces += [_line(b" ", line) for line in old[at : edit.start]]
            pieces += [_line(b"-", line) for line in old[edit.start : edit.stop]]
            pieces += [_line(b"+", line) for line in edit.new]
            at = edit.stop
        pieces += [_line(b" ", line) for line in old[at:stop]]
        shift += grown
    return b"".join(pieces)


def _grouped(edits: Sequence[Edit]) -> Iterator[list[Edit]]:
    """Yield the edits that are too near each other for hunks of their own."""
    group: list[Edit] = []
    for edit in edits:
        if group and edit.start - group[-1].stop > 2 * _AROUND:
            yield group
            group = []
        group.append(edit)
    if group:
        yield group


def _head(start: int, size: int, shift: int, grown: int) -> bytes:
    new_size = size + grown
    old_start = start + 1 if size else start
    new_start = start + shift + (1 if new_size else 0)
    return b"@@ -%d,%d +%d,%d @@\n" % (old_start, size, new_start, new_size)


def _line(mark: bytes, line: bytes) -> bytes:
    return mark + line if line.endswith(b"\n") else mark + line + b"\n\\ No newline at end of file\n"

"""A file with its hunks applied, all of them or none.

Nearly every hunk is where its header says. So the file is not split into lines at first: each
preimage is searched as bytes from the end of the previous one, and counting newlines tells
whether it was found on the expected line. Only a hunk that is elsewhere
costs lines (`patches.fitting`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from patches.errors import AmbiguousHunk, HunkMismatch, WhitespaceRefused
from patches.fitting import fit_hunks
from patches.options import DEFAULTS, ApplyOptions
from patches.whitespace import DEFAULT_RULE, WhitespaceRule, added_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from patches.model import Hunk


_REFUSING = ("error", "error-all")


def apply_hunks(
    path: bytes,
    content: bytes,
    hunks: Sequence[Hunk],
    options: ApplyOptions = DEFAULTS,
    rule: WhitespaceRule = DEFAULT_RULE,
) -> bytes:
    """Return ``content`` with all hunks applied.

    Each hunk is searched at the line that its header gives in the new file, then further away,
    one line forward and one back in turn, never overlapping an earlier hunk's lines. A hunk that
    starts at line 1 matches only at the beginning, one without trailing context only at the end.

    Args:
        path: for what is refused.
        content: the file before.
        hunks: in the order of the patch.
        options: where else a hunk may go, and what is mended.
        rule: what counts as a whitespace error there.

    Raises:
        HunkMismatch: a hunk's preimage is nowhere in the file.
        WhitespaceRefused: the hunks add whitespace errors, and ``options`` make these errors of the patch.
        AmbiguousHunk: it is not where its header says, and in several other places.
    """
    if options.whitespace in _REFUSING:
        _refuse_errors(path, hunks, rule)
    if not (options.unidiff_zero or options.inaccurate_eof) and options.whitespace in ("nowarn", "warn"):
        applied = _apply_at_expected(content, hunks)
        if applied is not None:
            return applied
    return _apply_by_search(path, content, hunks, options, rule)


def _apply_by_search(
    path: bytes, content: bytes, hunks: Sequence[Hunk], options: ApplyOptions, rule: WhitespaceRule
) -> bytes:
    fit = fit_hunks(content, hunks, options, rule)
    for number, (hunk, placement) in enumerate(zip(hunks, fit.placements, strict=True), 1):
        if placement is None:
            raise HunkMismatch(path, hunk=number, hunks=len(hunks), wanted=hunk, content=content)
        if placement.others:
            raise AmbiguousHunk(
                path, hunk=number, hunks=len(hunks), lines=(placement.line, *placement.others)
            )
        if placement.blank_line_at_end is not None and options.whitespace in _REFUSING:
            raise WhitespaceRefused(path, [(placement.blank_line_at_end, "new blank line at EOF")])
    return fit.content


def _refuse_errors(path: bytes, hunks: Sequence[Hunk], rule: WhitespaceRule) -> None:
    errors = [(at_line, ", ".join(what)) for at_line, what, _ in added_errors(hunks, rule)]
    if errors:
        raise WhitespaceRefused(path, errors)


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

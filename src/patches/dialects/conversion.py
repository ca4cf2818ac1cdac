"""The forms of a change that are no ordinary unified diff, each with its converter."""

from __future__ import annotations

import re
from collections.abc import Iterable

from patches.dialects.bazaar import read_bazaar
from patches.dialects.blocks import read_blocks
from patches.dialects.contextdiff import read_context_diff, refuse_normal_diff
from patches.dialects.envelope import read_envelope
from patches.dialects.indexed import read_indexed
from patches.dialects.model import Normalised, Reader
from patches.dialects.omissions import refuse_omissions, says_omissions
from patches.options import DEFAULTS, ApplyOptions

_AT_MARGIN = re.compile(rb"^(?:diff --git |@@ -\d)", re.MULTILINE)
_FORMS = (
    (
        re.compile(rb"^[ \t]*\*\*\* Begin Patch", re.MULTILINE),
        re.compile(rb"^[ \t]*\*\*\* End Patch", re.MULTILINE),
    ),
    (re.compile(rb"^<{5,9} SEARCH", re.MULTILINE), re.compile(rb"^>{5,9} REPLACE", re.MULTILINE)),
)
_SECTION_MARKS = (b"Index: ", b"=== ", b"*** Begin Patch", b"<<<<<<< SEARCH")


def needs_conversion(data: bytes) -> bool:
    """Tell cheaply whether the strict engine might take ``data`` otherwise than its author meant it."""
    return says_omissions(data) or _has(data, _SECTION_MARKS)


def _has(data: bytes, marks: Iterable[bytes]) -> bool:
    return any(data.startswith(mark) or b"\n" + mark in data for mark in marks)


def _outside(data: bytes) -> bytes:
    """Return the text without what stands in envelopes and blocks."""
    for begins, ends in _FORMS:
        pieces: list[bytes] = []
        at = 0
        while (begin := begins.search(data, at)) and (end := ends.search(data, begin.end())):
            pieces.append(data[at : begin.start()])
            at = end.end()
        data = b"".join(pieces) + data[at:]
    return data


def convert(data: bytes, read: Reader, options: ApplyOptions = DEFAULTS) -> Normalised | None:
    """Return the ordinary patch for a text in another form; None where it has none of these forms.

    A text that also holds a Git or unified diff is no envelope and has no blocks, unless it holds them there.

    Raises:
        PatchError: the form is known, and the text is damaged, ambiguous or does not fit.
    """
    refuse_omissions(data)
    strip = 1 if options.strip is None else options.strip
    if not _AT_MARGIN.search(_outside(data)):
        made = read_envelope(data, read, strip)
        if made is not None:
            return Normalised(made, ("codex envelope",))
        made = read_blocks(data, read, strip)
        if made is not None:
            return Normalised(made, ("search/replace",))
        refuse_normal_diff(data)
    return _as_git_writes_it(data, read, options)


def _as_git_writes_it(data: bytes, read: Reader, options: ApplyOptions) -> Normalised | None:
    """Rewrite the sections of other tools, of which a text may mix several."""
    steps: list[str] = []
    made = read_context_diff(data)
    if made is not None:
        data = made
        steps.append("context diff")
    indexed = read_indexed(data, read, options)
    if indexed is not None:
        data = indexed.data
        steps += indexed.steps
    made = read_bazaar(data, 1 if options.strip is None else options.strip)
    if made is not None:
        data = made
        steps.append("bazaar")
    return Normalised(data, tuple(steps)) if steps else None

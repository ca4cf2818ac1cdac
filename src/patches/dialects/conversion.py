"""The forms of a change that are no unified diff at all, each with its converter."""

from __future__ import annotations

import re

from patches.dialects.blocks import read_blocks
from patches.dialects.contextdiff import read_context_diff, refuse_normal_diff
from patches.dialects.envelope import read_envelope
from patches.dialects.model import Normalised, Reader
from patches.errors import MissingBinary

_UNSHOWN = re.compile(rb"^Index: ([^\r\n]+)\r?\n=+\r?\nCannot display: ", re.MULTILINE)
_AT_MARGIN = re.compile(rb"^(?:diff --git |@@ -\d)", re.MULTILINE)


def convert(data: bytes, read: Reader) -> Normalised | None:
    """Return the ordinary patch for a text in another form; None where it has none of these forms.

    A text that also holds a Git or unified diff is left alone: there the other form is content.

    Raises:
        PatchError: the form is known, and the text is damaged, ambiguous or does not fit.
    """
    unshown = _UNSHOWN.search(data)
    if unshown is not None:
        raise MissingBinary(unshown[1], "svn did not write what changed in this binary file")
    if _AT_MARGIN.search(data):
        return None
    made = read_envelope(data, read)
    if made is not None:
        return Normalised(made, ("codex envelope",))
    made = read_blocks(data, read)
    if made is not None:
        return Normalised(made, ("search/replace",))
    made = read_context_diff(data)
    if made is not None:
        return Normalised(made, ("context diff",))
    refuse_normal_diff(data)
    return None

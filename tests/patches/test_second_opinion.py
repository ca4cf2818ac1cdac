"""What a patch says, beside unidiff, a reader of unified diffs that we did not write."""

from __future__ import annotations

import difflib

from hypothesis import given
from hypothesis import strategies as st
from unidiff.patch import PatchSet

from patches.model import Hunk
from patches.parse import parse_patch

LINES = st.lists(
    st.sampled_from(["alpha", "beta", "-- ", "+++ x", "@@ -1 +1 @@", "", " gamma", "\\ no"]), max_size=12
)


def lines_of(words: list[str]) -> list[str]:
    """Return a text file's lines."""
    return [f"{word}\n" for word in words]


def shape(hunk: Hunk) -> tuple[int, int, int, int, int, int]:
    """Return where a hunk stands and how much it changes."""
    return hunk.old_start, hunk.old_count, hunk.new_start, hunk.new_count, hunk.added, hunk.removed


@given(LINES, LINES, st.integers(0, 4))
def test_hunks_are_counted_as_unidiff_counts_them(old: list[str], new: list[str], context: int) -> None:
    """Places, counts, and lines added and removed agree on every hunk of a diff that difflib wrote."""
    text = "".join(difflib.unified_diff(lines_of(old), lines_of(new), "a/f", "b/f", n=context))
    if not text:
        return
    ours = [shape(hunk) for file in parse_patch(text.encode()).files for hunk in file.hunks]
    theirs = [
        (h.source_start, h.source_length, h.target_start, h.target_length, h.added, h.removed)
        for file in PatchSet.from_string(text)
        for h in file
    ]
    assert ours == theirs

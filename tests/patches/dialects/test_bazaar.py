"""Sections below ``===`` lines, as Bazaar and Breezy write them."""

from __future__ import annotations

import pytest

from patches.dialects.bazaar import read_bazaar
from patches.dialects.omissions import LeftOut
from patches.dialects.trial import try_patch
from patches.model import MODE_EXECUTABLE, MODE_FILE
from patches.options import ApplyOptions

FILES = {b"f": b"a\n", b"g": b"a\n", b"h": b"a\n"}
DIFF = b"""\
=== renamed file 'g' => 'd/g2'
--- old/g\t2026-11-28 18:10:47 +0000
+++ new/d/g2\t2026-11-28 18:10:48 +0000
@@ -1 +1,2 @@
 a
+z

=== added file 'empty'
=== added directory 'e'
=== removed file 'h'
--- old/h\t2026-11-28 18:10:47 +0000
+++ new/h\t1970-01-01 00:00:00 +0000
@@ -1 +0,0 @@
-a

=== added file 'it's'
--- old/it's\t1970-01-01 00:00:00 +0000
+++ new/it's\t2026-11-28 18:10:49 +0000
@@ -0,0 +1,1 @@
+n

=== modified file 'f' (properties changed: -x to +x)
"""


@pytest.mark.parametrize("strip", [0, 1, 2])
def test_files_are_renamed_added_removed_and_made_executable(strip: int) -> None:
    """What only the ``===`` line says is in the patch, however many components the engine strips."""
    made = read_bazaar(DIFF, strip)
    assert made is not None
    states = try_patch(made, FILES.get, ApplyOptions(strip=strip))
    assert {path: (content, mode) for path, (content, mode, _) in states.items()} == {
        b"g": (None, None),
        b"d/g2": (b"a\nz\n", None),
        b"empty": (b"", MODE_FILE),
        b"h": (None, None),
        b"it's": (b"n\n", MODE_FILE),
        b"f": (b"a\n", MODE_EXECUTABLE),
    }


@pytest.mark.parametrize("head", [b"=== renamed directory 'a' => 'b'\n", b"=== modified symlink 's'\n"])
def test_what_the_form_cannot_carry_is_refused(head: bytes) -> None:
    """The hint names a form that can."""
    with pytest.raises(LeftOut) as refusal:
        read_bazaar(head, 1)
    assert "--format=git" in refusal.value.hint


def test_another_text_has_no_sections() -> None:
    """A line of equal signs is a title of something else."""
    assert read_bazaar(b"=== Title ===\ntext\n", 1) is None

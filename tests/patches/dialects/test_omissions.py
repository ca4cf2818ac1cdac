"""Texts that say that they leave a file out."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from patches.dialects.normalisation import needs_normalising, normalise
from patches.dialects.omissions import LeftOut, refuse_omissions
from patches.errors import FileRefused, MissingBinary

if TYPE_CHECKING:
    from pathlib import Path

DIFF = b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n"


@pytest.mark.parametrize(
    ("contents", "error"),
    [({"new": b"n\n"}, LeftOut), ({"b": b"\0other"}, MissingBinary)],
    ids=["one side only", "binary"],
)
def test_a_recursive_diff_that_leaves_something_out_is_refused(
    contents: dict[str, bytes], error: type[FileRefused], tmp_path: Path
) -> None:
    """``diff -ru`` names a file that only one side has, and a binary one, and does not show them."""
    for side in ("old", "new"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "f").write_bytes(side.encode() + b"\n")
        (tmp_path / side / "b").write_bytes(b"\0")
    for name, content in contents.items():
        (tmp_path / "new" / name).write_bytes(content)
    command = ["diff", "-ru", "old", "new"]
    data = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).stdout
    assert needs_normalising(data)
    with pytest.raises(error):
        normalise(data, {b"f": b"old\n", b"b": b"\0"}.get)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"Binary file logo has changed\n", MissingBinary),
        (b"ADDED    d/new\n", LeftOut),
        (b"DELETED  gone\n", LeftOut),
    ],
)
def test_what_other_tools_say_is_understood(line: bytes, error: type[FileRefused]) -> None:
    """Mercurial and fossil have lines of their own."""
    with pytest.raises(error):
        refuse_omissions(line + DIFF)


def test_a_diff_that_is_whole_passes() -> None:
    """What looks like it inside of a hunk is content."""
    refuse_omissions(DIFF + b"@@ -3 +3 @@\n-Only in x: y\n+Binary files a and b differ\n")

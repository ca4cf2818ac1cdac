"""Other forms of a change become an ordinary patch, which git itself then applies."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patches.dialects.conversion import convert
from patches.dialects.gitdiff import UnplacedText
from patches.dialects.model import AmbiguousPatch
from patches.errors import AlreadyExists, MissingBinary, PatchError, PatchSyntaxError, UnsafePath

if TYPE_CHECKING:
    from pathlib import Path

FILES = {b"a.py": b"class A:\n    x = 1\n\nclass B:\n    x = 1\n", b"keep": b"keep\n"}


def converted(text: bytes, files: dict[bytes, bytes]) -> bytes:
    made = convert(text, files.get)
    assert made is not None
    return made.data


def applied(text: bytes, files: dict[bytes, bytes], where: Path) -> dict[bytes, bytes]:
    """Apply the converted text with git, and return the files."""
    for name, content in files.items():
        (where / name.decode()).write_bytes(content)
    command = ["git", "apply", "--unidiff-zero", "-"]
    subprocess.run(command, cwd=where, input=converted(text, files), check=True, capture_output=True)
    return {str(p.relative_to(where)).encode(): p.read_bytes() for p in where.rglob("*") if p.is_file()}


def envelope(body: bytes) -> bytes:
    return b"apply_patch <<'EOF'\n*** Begin Patch\n" + body + b"*** End Patch\nEOF\n"


def test_an_envelope_adds_updates_moves_and_deletes(tmp_path: Path) -> None:
    """Every operation of the envelope gives the files that it describes."""
    text = envelope(
        b"*** Add File: d/new\n+one\n+\n*** Update File: a.py\n*** Move to: b.py\n"
        b"@@ class B:\n-    x = 1\n+    x = 2\n*** Delete File: keep\n"
    )
    result = applied(text, FILES, tmp_path)
    assert result == {b"d/new": b"one\n\n", b"b.py": b"class A:\n    x = 1\n\nclass B:\n    x = 2\n"}


def test_an_envelope_that_fits_twice_is_refused() -> None:
    """Without a line that decides, the places are named and none is taken."""
    text = envelope(b"*** Update File: a.py\n@@\n-    x = 1\n+    x = 2\n")
    with pytest.raises(AmbiguousPatch, match=r"line 2.*\n.*line 5"):
        convert(text, FILES.get)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"*** Add File: ../out\n+x\n", UnsafePath),
        (b"*** Delete File: /etc/passwd\n", UnsafePath),
        (b"*** Add File: keep\n+x\n", AlreadyExists),
        (b"*** Update File: a.py\n*** Move to: keep\n@@\n-class A:\n+class C:\n", AlreadyExists),
        (b"*** Update File: a.py\n@@\n-nowhere\n+class C:\n", UnplacedText),
        (b"*** Update File: a.py\n@@\n+only added\n", PatchSyntaxError),
        (b"nonsense\n", PatchSyntaxError),
    ],
)
def test_an_envelope_that_would_do_harm_is_refused(body: bytes, error: type[PatchError]) -> None:
    """Leading outside, overwriting, guessing: each is an error of its own."""
    with pytest.raises(error):
        convert(envelope(body), FILES.get)


def test_a_move_to_itself_is_an_update(tmp_path: Path) -> None:
    """The file is not deleted."""
    text = envelope(b"*** Update File: keep\n*** Move to: keep\n@@\n-keep\n+kept\n")
    assert applied(text, FILES, tmp_path)[b"keep"] == b"kept\n"


def test_blocks_replace_and_create(tmp_path: Path) -> None:
    """The name stands above the block or in the fence."""
    text = (
        b"Here:\n\na.py\n```python\n<<<<<<< SEARCH\nclass A:\n=======\nclass Z:\n>>>>>>> REPLACE\n```\n"
        b"\n```text d/new\n<<<<<<< SEARCH\n=======\nhello\n>>>>>>> REPLACE\n```\n"
    )
    result = applied(text, FILES, tmp_path)
    assert result[b"a.py"] == FILES[b"a.py"].replace(b"class A", b"class Z")
    assert result[b"d/new"] == b"hello\n"


def test_a_block_that_fits_twice_needs_its_line(tmp_path: Path) -> None:
    """A start line decides; without it the block is refused."""
    block = b"a.py\n<<<<<<< SEARCH%s\n    x = 1\n=======\n    x = 2\n>>>>>>> REPLACE\n"
    with pytest.raises(AmbiguousPatch):
        convert(block % b"", FILES.get)
    result = applied(block % b"\n:start_line:5\n-------", FILES, tmp_path)
    assert result[b"a.py"] == b"class A:\n    x = 1\n\nclass B:\n    x = 2\n"


def test_updates_and_blocks_go_on_from_each_other(tmp_path: Path) -> None:
    """The second is about what the first made."""
    text = envelope(
        b"*** Update File: keep\n@@\n-keep\n+kept\n*** Update File: keep\n@@ -1 +1,2 @@\n kept\n+more\n"
    )
    assert applied(text, FILES, tmp_path)[b"keep"] == b"kept\nmore\n"
    block = b"keep\n<<<<<<< SEARCH\n%s\n=======\n%s\n>>>>>>> REPLACE\n"
    text = block % (b"keep", b"kept") + block % (b"kept", b"kept\nmore")
    assert applied(text, FILES, tmp_path)[b"keep"] == b"kept\nmore\n"


def test_a_block_may_hold_a_diff(tmp_path: Path) -> None:
    """Nothing inside of a block is a patch by itself."""
    diff = b"diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-class A:\n+class Z:"
    result = applied(b"keep\n<<<<<<< SEARCH\nkeep\n=======\n%s\n>>>>>>> REPLACE\n" % diff, FILES, tmp_path)
    assert result == {**FILES, b"keep": diff + b"\n"}


def test_a_title_in_a_block_does_not_part_it() -> None:
    """The dividing line is as long as the marks; two of them are in doubt."""
    text = b"keep\n<<<<<<< SEARCH\nkeep\n=======\nTitle\n%s\n>>>>>>> REPLACE\n"
    assert b"+=====\n" in converted(text % b"=====", FILES)
    with pytest.raises(AmbiguousPatch):
        convert(text % b"=======", FILES.get)


def test_a_plain_diff_without_context_is_refused_with_a_hint() -> None:
    """What ``diff`` prints by default says nothing about what stands around."""
    with pytest.raises(PatchSyntaxError, match="diff -u"):
        convert(b"2c2\n< a\n---\n> b\n", FILES.get)


def test_a_binary_file_that_svn_does_not_show_is_refused() -> None:
    """Nothing of a patch is passed over in silence."""
    with pytest.raises(MissingBinary):
        convert(b"Index: a.png\n=====\nCannot display: file marked as a binary type.\n", FILES.get)


LINES = st.lists(st.sampled_from([b"a\n", b"b\n", b"\n", b"c \n", b"! x\n", b"--- 1,2 ----\n"]), max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=LINES, new=LINES, ended=st.booleans())
def test_a_context_diff_gives_the_file_that_diff_was_given(
    old: list[bytes], new: list[bytes], ended: bool, tmp_path: Path
) -> None:
    """``diff -c`` of two files, applied by git after the conversion, gives the second."""
    before, after = b"".join(old), b"".join(new)
    after = after if ended else after.removesuffix(b"\n")
    if not before or not after or before == after:
        return
    (tmp_path / "f.new").write_bytes(after)
    (tmp_path / "f").write_bytes(before)
    command = ["diff", "-c", "--label", "a/f", "--label", "b/f", "f", "f.new"]
    text = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).stdout
    assert applied(text, {b"f": before}, tmp_path)[b"f"] == after


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"*** Begin Patch", b"*** End Patch", b"*** Update File: keep", b"*** Add File: n", b"@@", b"@@ keep",
             b"-keep", b"+x", b" keep", b"", b"*** End of File", b"*** Move to: m", b"<<<<<<< SEARCH", b"=======",
             b">>>>>>> REPLACE", b"keep", b"***************", b"*** 1,2 ****", b"--- 1 ----", b"*** a", b"--- b"]
        )
    )
)  # fmt: skip
def test_hostile_text_raises_only_our_errors(lines: list[bytes]) -> None:
    """Whatever the order of its lines, the text is converted, refused or none of ours."""
    with contextlib.suppress(PatchError):
        convert(b"\n".join(lines), FILES.get)

"""Random changes, written down in each form by the test itself: the tree they were made from, or a refusal."""

from __future__ import annotations

import base64
import contextlib
import quopri
import subprocess
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patches.dialects.model import AmbiguousPatch
from patches.dialects.normalisation import normalise
from patches.dialects.series import split_series
from patches.dialects.trial import try_patch
from patches.errors import PatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LINE = st.sampled_from([b"def f():", b"    return 1", b"    x = 1", b"", b"end ", b"end", b"}", b"\xc3\xa9"])
FILE = st.lists(st.one_of(LINE, st.integers(0, 40).map(lambda n: b"line %d" % n)), min_size=1, max_size=30)
Lines = list[bytes]


def changes(old: Lines, new: Lines, around: int) -> Iterator[tuple[Lines, Lines, Lines]]:
    """Yield the context above each change, from the change before it on, and its old and new lines."""
    above = 0
    for tag, start, stop, new_start, new_stop in SequenceMatcher(
        None, old, new, autojunk=False
    ).get_opcodes():
        if tag != "equal":
            yield old[max(start - around, above) : start], old[start:stop], new[new_start:new_stop]
            above = stop


def as_envelope(old: Lines, new: Lines, around: int) -> bytes:
    text = b"*** Begin Patch\n*** Update File: d/f\n"
    for above, gone, come in changes(old, new, around):
        marked = [(b" ", above), (b"-", gone), (b"+", come)]
        text += b"@@\n" + b"".join(mark + line + b"\n" for mark, lines in marked for line in lines)
    return text + b"*** End Patch\n"


def as_blocks(old: Lines, new: Lines, around: int) -> bytes:
    text = b"d/f\n"
    for above, gone, come in changes(old, new, around):
        sides = [b"".join(line + b"\n" for line in above + lines) for lines in (gone, come)]
        text += b"<<<<<<< SEARCH\n%s=======\n%s>>>>>>> REPLACE\n" % tuple(sides)
    return text


@pytest.mark.parametrize("write", [as_envelope, as_blocks])
@settings(max_examples=150, deadline=None)
@given(
    old=FILE,
    new=FILE,
    around=st.integers(0, 4),
    ending=st.sampled_from([b"\n", b"\r\n"]),
    ended=st.booleans(),
)
def test_a_change_written_down_gives_its_tree_or_is_refused(
    write: Callable[[Lines, Lines, int], bytes],
    *,
    old: Lines,
    new: Lines,
    around: int,
    ending: bytes,
    ended: bool,
) -> None:
    """No other place is taken, and the file keeps its line ends and its last newline or none."""
    before, after = (ending.join(lines) + (ending if ended else b"") for lines in (old, new))
    told = ended or (old[-1] and new[-1] and len(old) > 1)  # One line without an end has none to go by.
    if before == after or not told:
        return
    files = {b"d/f": before}
    with contextlib.suppress(PatchError):
        made = normalise(write(old, new, around), files.get)
        states = try_patch(made.data, files.get)
        # Where the last line goes, the one before it keeps the line end that it had.
        kept = after if ended else after + ending
        assert states[b"d/f"][0] in (after, kept)


def test_a_change_among_unlike_lines_is_not_refused() -> None:
    """Refusing everything would not do."""
    old = [b"line %d" % number for number in range(30)]
    new = [*old[:9], b"more", *old[12:25], *old[26:], b"last"]
    for write in (as_envelope, as_blocks):
        files = {b"d/f": b"\n".join(old) + b"\n"}
        states = try_patch(normalise(write(old, new, 2), files.get).data, files.get)
        assert states[b"d/f"][0] == b"\n".join(new) + b"\n"


TEXT = st.lists(
    st.one_of(LINE, st.sampled_from([b"From here", b"=3D", b"a" * 90, b"trail \t", b"\xff\xfe", b"."])),
    max_size=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    old=TEXT, new=TEXT, encoding=st.sampled_from(["8bit", "quoted-printable", "base64"]), crlf=st.booleans()
)
def test_an_encoded_mail_carries_the_bytes_that_git_reads(
    *, old: Lines, new: Lines, encoding: str, crlf: bool, tmp_path: Path
) -> None:
    """The diff of a mail is what ``git mailinfo`` takes from it, however it was encoded for the way."""
    hunk = b"@@ -1,%d +1,%d @@\n" % (len(old) + 1, len(new) + 1)
    lines = [b"-" + line for line in old] + [b"+" + line for line in new] + [b" end"]
    body = (
        b"Why.\n\n---\ndiff --git a/f b/f\n--- a/f\n+++ b/f\n" + hunk + b"\n".join(lines) + b"\n-- \n2.55\n"
    )
    encode = {"8bit": bytes, "quoted-printable": quopri.encodestring, "base64": base64.encodebytes}[encoding]
    head = "From: A <a@example.org>\nSubject: s\nContent-Type: text/plain; charset=utf-8\n"
    mail = f"{head}Content-Transfer-Encoding: {encoding}\n\n".encode() + encode(body)
    command = ["git", "mailinfo", "msg", "patch"]
    subprocess.run(command, cwd=tmp_path, input=mail, check=True, capture_output=True)
    (message,) = split_series(mail.replace(b"\n", b"\r\n") if crlf else mail)
    assert message.data == (tmp_path / "patch").read_bytes()


PIECES = [
    b"Index: d/f", b"=" * 67, b"--- d/f\t(revision 1)", b"+++ d/f\t(nonexistent)", b"@@ -1 +1 @@", b"-a", b"+b", b" a",
    b"=== modified file 'd/f'", b"=== renamed file 'd/f' => 'g'", b"=== removed file 'g'", b"Only in a: b", b"",
    b"Property changes on: d/f", b"_" * 67, b"diff --git a/d/f b/d/f", b"rename from d/f", b"rename to g", b"ADDED  g",
    b"*** d/f", b"--- d/f", b"*" * 15, b"*** 1 ****", b"--- 1 ----", b"! a", b"d/f", b"<<<<<<< SEARCH", b"a",
    b"=======", b">>>>>>> REPLACE", b"*** Begin Patch", b"*** Update File: d/f", b"@@", b"*** End Patch",
    b"From: A <a@b.c>", b"Subject: s", b"From 1 Mon Sep 17 00:00:00 2001", b"> diff --git a/d/f b/d/f", b"```diff",
    b"GIT binary patch", b"literal 1", b"IcmZ=", b"# HG changeset patch", b"Description: x", b"\\ No newline",
]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(lines=st.lists(st.sampled_from(PIECES), max_size=14), crlf=st.booleans())
def test_hostile_texts_are_read_or_refused(*, lines: Lines, crlf: bool) -> None:
    """Whatever comes together, each message of it is read or refused with an error of ours."""
    data = (b"\r\n" if crlf else b"\n").join(lines)
    for message in split_series(data):
        with contextlib.suppress(PatchError):
            normalise(message.data, {b"d/f": b"a\n"}.get)


@pytest.mark.parametrize("count", [2, 12])
def test_a_head_that_stands_often_leaves_a_hunk_in_doubt(count: int) -> None:
    """All lines that an ``@@`` line may mean are looked below, not only the first few."""
    same = b"head\nx\n" * (count - 1) + b"head\nz\n"
    for last, error in ((b"y\n", None), (b"y\nhead\ny\n", AmbiguousPatch)):
        files = {b"d/f": same + last}
        text = b"*** Begin Patch\n*** Update File: d/f\n@@ head\n-y\n+n\n*** End Patch\n"
        with contextlib.nullcontext() if error is None else pytest.raises(error):
            normalise(text, files.get)

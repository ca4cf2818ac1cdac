"""The parser: what it reads, what it refuses, and that damage never passes for a patch."""

from __future__ import annotations

import base64
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patches.binary import BinaryDamage, apply_delta, decode_base85
from patches.errors import EmptyPatch, PatchError, PatchSyntaxError
from patches.names import header_name, unquote_name
from patches.parse import parse_patch, reverse_patch

if TYPE_CHECKING:
    from patch_lab import Bench

HEAD = b"diff --git a/f b/f\nindex 111..222 100644\n--- a/f\n+++ b/f\n"
HUNK = b"@@ -1,3 +1,3 @@ def f():\n one\n-two\n+2\n three\n"


def test_a_hunk_is_its_two_images() -> None:
    """Preimage, postimage, counts and place; the text after ``@@`` says nothing."""
    (file,) = parse_patch(HEAD + HUNK).files
    (hunk,) = file.hunks
    assert (hunk.old, hunk.new) == (b"one\ntwo\nthree\n", b"one\n2\nthree\n")
    assert (hunk.added, hunk.removed, hunk.ends_in_context, hunk.at_line) == (1, 1, True, 5)
    assert (file.operation, file.old_path, file.new_path, file.old_mode) == ("modify", b"f", b"f", 0o100644)
    assert (file.old_oid, file.new_oid, file.at_line) == (b"111", b"222", 1)


def test_both_ways_of_reading_hunks_give_the_same() -> None:
    """A signature after the last hunk makes the parser read lines one by one; the result is the same."""
    patch = HEAD + HUNK + HUNK.replace(b"-1,3 +1,3", b"-11,3 +11,3")
    assert parse_patch(patch) == parse_patch(patch + b"-- \n2.39.5\n")
    ends = (
        HEAD
        + b"@@ -1,2 +1,2 @@\n one\n-two\n\\ No newline at end of file\n+2\n\\ No newline at end of file\n"
    )
    assert parse_patch(ends) == parse_patch(ends + b"-- \n2.39.5\n")
    added = (
        HEAD.replace(b"--- a/f", b"--- a/f") + b"@@ -0,0 +1,2 @@\n+one\n+two\n\\ No newline at end of file\n"
    )
    assert parse_patch(added) == parse_patch(added + b"\nprose\n")
    assert parse_patch(added).files[0].hunks[0].new == b"one\ntwo"


def test_lines_count_from_the_start_of_the_text() -> None:
    """Every reported line is the one that a person sees in an editor."""
    two = b"prose\n\n" + HEAD + HUNK + HEAD.replace(b"/f", b"/g") + HUNK + HUNK
    files = parse_patch(two).files
    assert [file.at_line for file in files] == [3, 12]
    assert [hunk.at_line for file in files for hunk in file.hunks] == [7, 16, 21]


def test_empty_context_lines_may_lack_their_space() -> None:
    """GNU diff and mail programs drop it."""
    patch = HEAD + b"@@ -1,3 +1,3 @@\n\n-two\n+2\n\n"
    assert parse_patch(patch).files[0].hunks[0].old == b"\ntwo\n\n"


def test_an_empty_context_line_may_stand_beside_a_missing_newline() -> None:
    """Both shorten a line, and a diff may have both."""
    text = b"diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,3 +1,2 @@\n\n-b\n Q\n\\ No newline at end of file\n"
    hunk = parse_patch(text).files[0].hunks[0]
    assert (hunk.old, hunk.new) == (b"\nb\nQ", b"\nQ")


def test_a_marker_may_be_in_any_language() -> None:
    """Only its start counts."""
    patch = HEAD + b"@@ -1 +1 @@\n-a\n\\ Kein Zeilenumbruch am Dateiende.\n+b\n"
    hunk = parse_patch(patch).files[0].hunks[0]
    assert (hunk.old, hunk.new) == (b"a", b"b\n")


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"hello\n", b"\0\1\2" * 100, b"diff --git a/f b/f\n", b"--- a\n+++ b\n"]
)
def test_no_diff_is_an_empty_patch(data: bytes) -> None:
    """A text without any diff is told apart from a damaged one."""
    with pytest.raises(EmptyPatch):
        parse_patch(data)


DAMAGED = {
    "hunk without header": HUNK,
    "cut in a hunk": (HEAD + HUNK)[:-3],
    "cut before the last line": (HEAD + HUNK)[:-7],
    "header alone": HEAD,
    "index alone": HEAD[:42],
    "hunks after an empty line": HEAD.partition(b"\n")[0] + b"\n\n" + HUNK,
    "binary content after an empty line": HEAD.partition(b"\n")[0] + b"\n\nGIT binary patch\nliteral 1\nIcmZPo000310RR91\n\n",
    "hunk counts too many": HEAD + HUNK.replace(b"-1,3", b"-1,4"),
    "hunk counts too few": HEAD + HUNK.replace(b"-1,3 +1,3", b"-1,2 +1,2"),
    "hunk counts too few at its end": HEAD + HUNK.replace(b"-1,3 +1,3", b"-1,3 +1,3") + b"+more\n",
    "a removed line too many": HEAD + HUNK + b"-more\n",
    "a context line too many": HEAD + HUNK + b" more\n",
    "a signature that is none": HEAD + HUNK + b"-- \n+more\n",
    "hunk without change": HEAD + b"@@ -1,1 +1,1 @@\n one\n",
    "hunk header": HEAD + HUNK.replace(b"+1,3", b"+x"),
    "huge number": HEAD + HUNK.replace(b"-1,3", b"-" + b"9" * 5000),
    "stray line": HEAD + HUNK.replace(b"-two", b"*two"),
    "marker in the middle": HEAD + HUNK.replace(b" one\n", b" one\n\\ No newline at end of file\n"),
    "marker first": HEAD + HUNK.replace(b" one\n", b"\\ No newline at end of file\n one\n"),
    "marker twice": HEAD + HUNK + b"\\ No newline at end of file\n" * 2,
    "other old name": HEAD.replace(b"--- a/f", b"--- a/g") + HUNK,
    "names differ, no rename": b"diff --git a/f b/g\n--- a/f\n+++ b/g\n" + HUNK,
    "two operations": b"diff --git a/f b/f\nnew file mode 100644\ndeleted file mode 100644\n",
    "rename and copy": b"diff --git a/f b/g\nrename from f\ncopy to g\n",
    "rename without target": b"diff --git a/f b/g\nrename from f\n",
    "mode": b"diff --git a/f b/f\nold mode 100644\nnew mode 100x55\n",
    "mode cut": b"diff --git a/f b/f\nold mode 100644\nnew mode 100755",
    "new file with old lines": b"diff --git a/f b/f\nnew file mode 100644\n--- /dev/null\n+++ b/f\n" + HUNK,
    "deleted file with new lines": b"diff --git a/f b/f\ndeleted file mode 100644\n--- a/f\n+++ /dev/null\n" + HUNK,
    "null without a word": HEAD.replace(b"--- a/f", b"--- /dev/null") + b"@@ -0,0 +1 @@\n+x\n",
    "no name": b"diff --git a/f b/g\nold mode 100644\nnew mode 100755\n",
    "plain without name": b"--- \t\n+++ \t\n" + HUNK,
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_refused_with_a_line(name: str) -> None:
    """Nothing of a damaged patch is used."""
    with pytest.raises(PatchSyntaxError) as refused:
        parse_patch(DAMAGED[name])
    assert 1 <= refused.value.at_line <= DAMAGED[name].count(b"\n") + 1
    assert str(refused.value) == f"patch line {refused.value.at_line}: {refused.value.reason}"


def binary_patch(data: bytes, *, size: int | None = None) -> bytes:
    encoded = zlib.compress(data)
    lines = [encoded[at : at + 52] for at in range(0, len(encoded), 52)]
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    body = b"".join(letters[len(line) - 1 :][:1] + base64.b85encode(line, pad=True) + b"\n" for line in lines)
    head = b"diff --git a/f b/f\nindex %s..%s 100644\nGIT binary patch\n" % (b"1" * 40, b"2" * 40)
    return head + b"literal %d\n" % (len(data) if size is None else size) + body + b"\n"


@given(st.binary(max_size=2000))
def test_binary_literals_of_any_content(data: bytes) -> None:
    """Base 85 is Git's own, whatever the length of the last line."""
    (file,) = parse_patch(binary_patch(data)).files
    assert file.binary
    assert file.forward is not None
    assert file.forward.data == data


def test_damaged_binary_patches() -> None:
    """Wrong sizes, letters, digits, a cut anywhere, no way back."""
    good = binary_patch(bytes(range(256)))
    with pytest.raises(PatchSyntaxError):
        parse_patch(binary_patch(b"abc", size=2))
    with pytest.raises(PatchSyntaxError):
        parse_patch(binary_patch(b"abc", size=4))
    with pytest.raises(PatchSyntaxError):
        parse_patch(good.replace(b"\nz", b"\ny", 1))
    with pytest.raises(PatchSyntaxError):
        reverse_patch(parse_patch(good))
    for cut in range(good.index(b"GIT"), len(good) - 1):
        with pytest.raises(PatchSyntaxError):
            parse_patch(good[:cut])


@given(st.binary(max_size=60).map(lambda data: data + bytes(-len(data) % 4)))
def test_base85_against_the_standard_library(data: bytes) -> None:
    """The lanes of one big integer compute what a loop computes."""
    assert decode_base85(base64.b85encode(data)) == data


@pytest.mark.parametrize("text", [b"~~~~~", b"0000", b"00 00", b"0000\xff"])
def test_base85_refuses(text: bytes) -> None:
    """A group above 32 bits, a cut group, a character that is no digit."""
    with pytest.raises(BinaryDamage):
        decode_base85(text)


DELTAS = {
    "source size": b"\x05\x01\x01x",
    "copy outside": b"\x04\x04\x91\x02\x04",
    "insert cut": b"\x04\x04\x04abc",
    "too long": b"\x04\x02\x04abcd",
    "too short": b"\x04\x05\x04abcd",
    "reserved": b"\x04\x04\x00",
    "operand cut": b"\x04\x04\x91\x00",
    "sizes cut": b"\x84",
    "empty": b"",
}


@pytest.mark.parametrize("name", DELTAS)
def test_deltas_keep_to_their_bounds(name: str) -> None:
    """No instruction reaches outside the source, the delta, or the stated result."""
    with pytest.raises(BinaryDamage):
        apply_delta(b"abcd", DELTAS[name])


def test_a_delta_copies_and_inserts() -> None:
    """A copy of no stated size is 64 KiB."""
    assert apply_delta(b"abcd", b"\x04\x05\x91\x01\x03\x02xy") == b"bcdxy"
    source = bytes(0x10000)
    assert apply_delta(source, b"\x80\x80\x04\x80\x80\x04\x80") == source


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"a/f b/f", b"f"),
        (b"a/a b b/a b", b"a b"),
        (b"a/x/y b/x/y", b"x/y"),
        (b"old/f new/f", b"f"),
        (b"a/f b/g", None),
        (b"f f", None),
        (b'"a/\\303\\251" "b/\\303\\251"', "é".encode()),
        (b'"a/x\\ty" "b/x\\ty"', b"x\ty"),
        (b'"a/f" b/f', b"f"),
        (b'a/f "b/f"', b"f"),
        (b'a/f  "\\303\\251/f "', b"f "),
        (b'a/f x "b/f"', None),
        (b'"a/f" "b/g"', None),
        (b'"a/f b/f', None),
        (b'"a/\\q" "b/\\q"', None),
    ],
)
def test_names_on_the_diff_line(text: bytes, name: bytes | None) -> None:
    """The line names a file only where both names agree."""
    assert header_name(text) == name


@given(st.binary(min_size=1, max_size=30).filter(lambda name: b"\0" not in name))
def test_quoted_names_round_trip(name: bytes) -> None:
    """Octal escapes carry any byte."""
    quoted = b'"' + b"".join(b"\\%03o" % code for code in name) + b'" rest'
    assert unquote_name(quoted) == (name, b" rest")


PATCH = HEAD + HUNK + HEAD.replace(b"/f", b"/g h") + HUNK + binary_patch(bytes(range(200)))


@given(st.data())
def test_no_mutation_raises_anything_but_a_patch_error(data: st.DataObject) -> None:
    """Cut, changed, doubled or foreign bytes give a patch or a PatchError, whatever they are."""
    text = bytearray(PATCH)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(at, min(len(text), at + 40)))
        pieces = st.sampled_from(
            [
                b"",
                b"\n",
                b"@@ -1,3 +1,3 @@\n",
                b"\\ No newline at end of file\n",
                b"diff --git ",
                b"--- a/x\n",
                b'"',
            ]
        )
        text[at:end] = data.draw(st.one_of(st.binary(max_size=8), pieces))
    with suppress(PatchError):
        reverse_patch(parse_patch(bytes(text)))


def test_no_cut_text_passes_for_the_whole_patch() -> None:
    """A patch that ends early is refused, unless it ends between two files or two hunks."""
    whole = parse_patch(PATCH)
    for cut in range(len(PATCH) - 1):
        try:
            partial = parse_patch(PATCH[:cut])
        except PatchError:
            continue
        assert partial.files == whole.files[: len(partial.files)]


def test_an_empty_context_line_before_a_marker_is_damage_or_a_line(bench: Bench) -> None:
    """GNU diff drops the space of an empty context line; what stands after it is looked at, too."""
    patch = (
        b"diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n\n x\n-y\n\\ No newline at end of file\n+z\n"
    )
    old = bench.tree({b"f": b"\nx\ny"})
    assert bench.apply(old, patch).tree == bench.tree({b"f": b"\nx\nz\n"}) == bench.git_apply(old, patch)


def test_a_marker_that_lost_its_own_newline_still_says_so() -> None:
    patch = parse_patch(b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n\\ No newline at end of file")
    assert patch.files[0].hunks[0].new == b"b"


@pytest.mark.parametrize("head", [b"@@ ... @@", b"@@", b"@@@ -1 -1 +1 @@@"])
def test_a_hunk_without_line_numbers_is_never_passed_over(head: bytes) -> None:
    names = b"--- a/f\n+++ b/f\n"
    good = b"@@ -1 +1 @@\n-a\n+b\n"
    for text in (names + head + b"\n-c\n+d\n", names + good + head + b"\n-c\n+d\n"):
        with pytest.raises(PatchSyntaxError, match="line numbers"):
            parse_patch(text)


def test_a_header_that_the_text_ends_in_is_cut_off() -> None:
    """Its name may lack letters, and the file its content."""
    for last in (b"index 0000000..d88d75086be4e9", b"new file mode 10"):
        with pytest.raises(PatchSyntaxError, match="cut off"):
            parse_patch(b"diff --git a/f b/f\nnew file mode 100644\n" + last)

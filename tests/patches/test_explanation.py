"""What is said of a hunk that does not fit: the place where it nearly does, and what differs there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patches.errors import HunkMismatch
from patches.explanation import Explanation, describe, explain_hunk
from patches.lines import split_lines
from patches.locate import apply_hunks
from patches.model import Hunk

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE = [b"def f%d(a):\n    return a + %d\n" % (number, number) for number in range(40)]
LINES = split_lines(b"".join(FILE))


def hunk(old: Sequence[bytes], start: int, *, added: bytes = b"new\n", ends_in_context: bool = True) -> Hunk:
    """Make a hunk whose addition stands before its last line."""
    new = [*old[:-1], added, *old[-1:]]
    return Hunk(
        start,
        len(old),
        start,
        len(new),
        b"".join(old),
        b"".join(new),
        1,
        0,
        ends_in_context,
        1,
        marks=b" " * (len(old) - 1) + (b"+ " if ends_in_context else b"+-+"),
    )


def explain(content: Sequence[bytes], wanted: Hunk) -> tuple[Explanation, str]:
    """Return what the engine's own refusal explains."""
    with pytest.raises(HunkMismatch) as caught:
        apply_hunks(b"f.py", b"".join(content), [wanted])
    return caught.value.explanation, describe(caught.value.explanation)


def test_the_nearest_place_is_named_with_what_differs() -> None:
    """The header is thirty lines off, and one line is another."""
    file = [*LINES[:42], b"def g(a):\n", *LINES[43:]]
    explanation, text = explain(file, hunk(LINES[38:45], 9))
    assert explanation.nearest is not None
    assert explanation.nearest[:4] == (39, 7, 1, 1)
    assert text == (
        "  nearest place: line 39, where 1 of 7 lines differs\n"
        "    42       return a + 20\n"
        "       - def f21(a):\n"
        "    43 + def g(a):\n"
        "    44       return a + 21"
    )


def test_one_other_line_is_shown_beside_the_expected_one() -> None:
    """The hunk is where it says: two lines and the rest in words are enough."""
    file = [*LINES[:11], b"    return 0\n", *LINES[12:]]
    _, text = explain(file, hunk(LINES[8:15], 9))
    assert text == (
        "  the patch expects       return a + 5\n"
        "  the file has            return 0\n"
        "  its other 6 lines are there"
    )


def test_whitespace_is_told_from_words() -> None:
    """A patch that was indented on its way differs in whitespace only."""
    indented = [b"\t" + line.strip() + b"\n" for line in LINES[10:14]]
    explanation, text = explain(LINES, hunk(indented, 11))
    assert explanation.nearest is not None
    assert explanation.nearest.whitespace_only
    assert "line 11, where 4 of 4 lines differ in whitespace only" in text
    _, text = explain([line.replace(b"\n", b"\r\n") for line in LINES], hunk(LINES[10:14], 11))
    assert "in whitespace only" in text
    assert "return a + 5\\r" in text


def test_lines_between_are_no_difference_of_its_own_lines() -> None:
    """Somebody has put a line in the middle: all lines are there, in order."""
    file = [*LINES[:12], b"# one\n", b"# two\n", *LINES[12:]]
    explanation, text = explain(file, hunk(LINES[9:15], 30))
    assert explanation.nearest is not None
    assert (explanation.nearest.missing, explanation.nearest.extra) == (0, 2)
    assert "line 10, where 2 lines more stand between its 6 lines" in text
    assert "13 + # one" in text


def test_what_was_applied_before_is_said_to_be_there() -> None:
    """The commonest reason of all: somebody has applied it already."""
    wanted = hunk(LINES[20:26], 4)
    file = [*LINES[:25], b"new\n", *LINES[25:]]
    explanation, text = explain(file, wanted)
    assert explanation.applied_at == 21
    assert text == "  its result is there already, at line 21"


def test_context_alone_does_not_look_like_a_result() -> None:
    """What a hunk only removes may be missing because the file never had it."""
    old = [LINES[4], b"gone\n", LINES[5]]
    removal = Hunk(
        5, 3, 5, 2, b"".join(old), LINES[4] + LINES[5], 0, 1, ends_in_context=True, at_line=1, marks=b" - "
    )
    assert explain(LINES, removal)[0].applied_at is None


def test_a_place_where_it_must_not_be_has_a_reason() -> None:
    """All lines are there, but the hunk says that it is the beginning, or the end."""
    _, text = explain(LINES, hunk(LINES[6:9], 1))
    assert text == (
        "  all of it is at line 7, but a hunk that starts at line 1 belongs at the beginning of the file"
    )
    _, text = explain(LINES, hunk(LINES[6:9], 7, ends_in_context=False))
    assert "at line 7, but a hunk without context after its last change belongs at the end" in text


def test_lines_of_the_same_words_are_found_though_none_is_the_same() -> None:
    """A name was changed everywhere: the hunk has no line in common with the file."""
    renamed = [line.replace(b"(a)", b"(b)").replace(b"a +", b"b +") for line in LINES[20:22]]
    explanation, text = explain(LINES, hunk(renamed, 3))
    assert explanation.nearest is not None
    assert text == (
        "  nearest place: line 21, where 2 of 2 lines differ\n"
        "       - def f10(b):\n"
        "       -     return b + 10\n"
        "    21 + def f10(a):\n"
        "    22 +     return a + 10"
    )


def test_nothing_alike_is_said() -> None:
    """No place is invented where only a common line is the same."""
    explanation, text = explain(LINES, hunk([b"x\n", b"y\n", LINES[3], b"z\n"], 5))
    assert explanation.nearest is None
    assert text.splitlines() == [
        "  the patch expects   x",
        "  the file has        def f2(a):",
        "  nothing in the file is like it",
    ]
    assert explain([], hunk([b"x\n"], 5))[0][:3] == (1, b"x\n", None)


def test_line_numbers_are_those_of_the_file_as_it_is() -> None:
    """Earlier hunks of the patch shift later ones, but nobody sees the file in between."""
    first = hunk(LINES[2:6], 3, added=b"one\ntwo\nthree\n")
    second = hunk([*LINES[38:41], b"other\n", *LINES[42:45]], 39)
    with pytest.raises(HunkMismatch) as caught:
        apply_hunks(b"f.py", b"".join(LINES), [first, second])
    assert (caught.value.hunk, caught.value.line, caught.value.got) == (2, 42, LINES[41])


@given(
    start=st.integers(0, 60),
    size=st.integers(3, 15),
    named=st.integers(2, 100),
    changed=st.sets(st.integers(0, 14), min_size=1, max_size=5),
)
def test_the_place_with_the_fewest_differences_is_found(
    start: int, size: int, named: int, changed: set[int]
) -> None:
    """Of lines that occur once, as many as two thirds may be others."""
    wanted = [b"line %d\n" % (start + at) for at in range(size)]
    changed = {at for at in changed if at < size and len(changed) * 3 <= size * 2}
    file = [b"line %d\n" % at for at in range(90)]
    for at in changed:
        file[start + at] = b"other %d\n" % at
    nearest = explain_hunk(b"".join(file), hunk(wanted, named)).nearest
    assert nearest is not None
    assert nearest.missing == len(changed)
    kept = next(at for at in range(size) if at not in changed)
    assert nearest.line <= start + kept + 1


@given(st.lists(st.sampled_from([b"a\n", b"b\n", b"\n", b"  a\n"])), st.data())
def test_rows_are_the_hunk_and_the_file(content: list[bytes], data: st.DataObject) -> None:
    """What the rows say is expected is the preimage; what they say is found is the file, line by line."""
    old = data.draw(st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"\n"]), min_size=1, max_size=8))
    explanation = explain_hunk(b"".join(content), hunk(old, data.draw(st.integers(0, 12))))
    assert describe(explanation)
    if explanation.nearest is None:
        return
    rows = explanation.nearest.rows
    assert [row.text for row in rows if row.mark != "+"] == old
    found = [row for row in rows if row.mark != "-"]
    assert [content[row.line - 1] for row in found] == [row.text for row in found]
    assert [row.line for row in found] == sorted({row.line for row in found})


@pytest.mark.parametrize("lines", [[b"}\n"], [b"}\n", b"{\n"], [b"\n"]])
def test_files_of_one_line_over_and_over_do_not_take_long(lines: list[bytes]) -> None:
    """Every line is like every other one: the number of comparisons is bounded, and the nearest is found."""
    explanation = explain_hunk(b"".join(lines * 20_000), hunk([*lines * 30, b"x\n", *lines * 30], 500))
    if explanation.nearest is not None:
        assert abs(explanation.nearest.line - 500) < 100
    else:
        assert lines == [b"\n"]

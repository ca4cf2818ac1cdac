"""Patches whose long lines a mailer broke: joined where the file proves how, else refused with the reason."""

from __future__ import annotations

import subprocess
import textwrap
from typing import TYPE_CHECKING

import pytest

from patches.dialects.broken import BrokenLine, join_broken
from patches.dialects.normalisation import normalise
from patches.dialects.trial import try_patch
from patches.errors import PatchError
from patches.oids import hash_blob
from patches.options import DEFAULTS

if TYPE_CHECKING:
    from pathlib import Path

LONG = "    return first_of_the_values + second_of_the_values * third_of_the_values - the_last_one"
OLD = [f"line {n}" for n in range(9)]
OLD[3] = LONG
OLD[6] = LONG.replace("return", "yield")


def diff(old: list[str], new: list[str], where: Path) -> tuple[bytes, bytes, bytes]:
    """Return what `git diff` says of two files, and both."""
    one, other = ("".join(line + "\n" for line in lines).encode() for lines in (old, new))
    (where / "f").write_bytes(one)
    for words in (["init", "-q"], ["add", "f"]):
        subprocess.run(["git", *words], cwd=where, check=True)
    (where / "f").write_bytes(other)
    done = subprocess.run(["git", "diff"], cwd=where, check=True, capture_output=True)
    return done.stdout, one, other


def broken(data: bytes, width: int = 60, *, keep_space: bool = False) -> bytes:
    """Return a text as a mailer breaks it: at spaces, which go, or stay at the line's end."""
    lines: list[str] = []
    for line in data.decode().splitlines():
        wrapped = textwrap.wrap(
            line, width, drop_whitespace=False, break_long_words=False, break_on_hyphens=False
        ) or [""]
        pieces = [wrapped[0], *wrapped[1:]]
        lines += pieces if keep_space else [piece.rstrip() if len(pieces) > 1 else piece for piece in pieces]
    return "\n".join(lines).encode() + b"\n"


@pytest.mark.parametrize("keep_space", [False, True])
def test_a_broken_line_of_the_file_is_joined_as_the_file_has_it(tmp_path: Path, keep_space: bool) -> None:
    """In context and where it is removed; what is added is short, and stays."""
    data, one, other = diff(OLD, [*OLD[:3], "    return 1", *OLD[4:]], tmp_path)
    given = broken(data, keep_space=keep_space)
    assert given.count(b"\n") == data.count(b"\n") + 2
    made = normalise(given, {b"f": one}.get)
    assert made.steps == ("broken lines",)
    assert try_patch(made.data, {b"f": one}.get)[b"f"][0] == other


@pytest.mark.parametrize("keep_space", [False, True])
def test_a_broken_added_line_is_what_the_index_line_names(tmp_path: Path, keep_space: bool) -> None:
    """Nothing but the id of the new file tells whether a space stood there."""
    data, one, other = diff(OLD, [*OLD, LONG.replace("first", "other")], tmp_path)
    made = normalise(broken(data, keep_space=keep_space), {b"f": one}.get)
    assert made.steps == ("broken lines",)
    assert hash_blob(try_patch(made.data, {b"f": one}.get)[b"f"][0] or b"") == hash_blob(other)


def test_a_broken_added_line_that_nothing_proves_is_refused(tmp_path: Path) -> None:
    """Without ids, or where another added line was changed on its way: the refusal says that it was broken."""
    data, one, _ = diff(OLD, [*OLD, LONG.replace("first", "other")], tmp_path)
    plain = b"".join(line for line in data.splitlines(keepends=True) if not line.startswith(b"index "))
    with pytest.raises(BrokenLine, match="broken on their way"):
        normalise(broken(plain), {b"f": one}.get)
    with pytest.raises(BrokenLine):
        normalise(broken(data).replace(b"+    return other", b"+    return  other"), {b"f": one}.get)


def test_a_line_that_another_place_has_is_joined_at_its_own(tmp_path: Path) -> None:
    """The numbers do not hold any more: the only place whose lines are those counts; of two, none does."""
    before, after = [f"before {n}" for n in range(5)], [f"after {n}" for n in range(5)]
    old = [*before, *OLD, *after]
    data, one, other = diff(old, [*before, *OLD[:3], "    return 1", *OLD[4:], *after], tmp_path)
    moved = b"one more\n" * 7
    made = normalise(broken(data), {b"f": moved + one}.get)
    assert try_patch(made.data, {b"f": moved + one}.get)[b"f"][0] == moved + other
    with pytest.raises(PatchError):
        normalise(broken(data), {b"f": moved + one + one}.get)


def test_a_break_in_the_words_behind_a_hunk_s_numbers_is_no_line(tmp_path: Path) -> None:
    """They are the file's, and for people."""
    heading = "def the_function_of_a_long_name(with_its_parameters: int, and_more_of_them: int) -> None:"
    old = [heading, *(f"  {n}" for n in range(20))]
    data, one, other = diff(old, [*old[:10], "  x", *old[11:]], tmp_path)
    assert heading[:60].encode() in data
    made = normalise(broken(data), {b"f": one}.get)
    assert try_patch(made.data, {b"f": one}.get)[b"f"][0] == other


def test_a_whole_patch_has_no_broken_line(tmp_path: Path) -> None:
    """Nor has one that is wrong in another way."""
    data, one, _ = diff(OLD, [*OLD[:3], "    return 1", *OLD[4:]], tmp_path)
    assert join_broken(data, {b"f": one}.get, DEFAULTS) is None
    assert join_broken(data.replace(b",7 +", b",9 +"), {b"f": one}.get, DEFAULTS) is None

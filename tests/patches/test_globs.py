"""Globs beside the real ``git ls-files ':(glob)…'``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from patches.errors import PatchError
from patches.globs import BadGlob, escape_glob, match_paths

if TYPE_CHECKING:
    from patch_lab import Bench

PATHS = [
    b"a",
    b"abc",
    b"ax",
    b"a*b",
    b"[a]",
    b"a-b",
    b"b/a",
    b"b/c/a",
    b"b/c/d.py",
    b"b/x.py",
    b"src/x.py",
    b"src/x.py0",
    b"src/d/y.py",
    b"src/d/e/z.py",
    b"src/a*/q",
    b"x.py",
    b"caf\xe9",
    "größe".encode(),
    b"sp ace",
    b"]",
    b"!",
    b"^",
    b"-",
    b"\\",
    b"A",
    b"7",
    b"d/[x",
]


def git_lists(bench: Bench, glob: str) -> set[bytes] | None:
    """Return what git lists; None where it refuses the glob."""
    done = bench.git("ls-files", "-z", "--", b":(glob)" + os.fsencode(glob), check=False)  # type: ignore[arg-type]
    return set(done.stdout.split(b"\0")) - {b""} if done.returncode == 0 else None


@pytest.mark.parametrize(
    ("glob", "matches"),
    [
        ("*.py", [b"x.py"]),
        ("**/*.py", [b"b/c/d.py", b"b/x.py", b"src/x.py", b"src/d/y.py", b"src/d/e/z.py", b"x.py"]),
        ("src/*.py*", [b"src/x.py", b"src/x.py0"]),
        ("src", [b"src/x.py", b"src/x.py0", b"src/d/y.py", b"src/d/e/z.py", b"src/a*/q"]),
        ("src/d/", [b"src/d/y.py", b"src/d/e/z.py"]),
        ("src/**", [b"src/x.py", b"src/x.py0", b"src/d/y.py", b"src/d/e/z.py", b"src/a*/q"]),
        ("src/**/z.py", [b"src/d/e/z.py"]),
        ("src/**/x.py", [b"src/x.py"]),
        ("src/a*", [b"src/a*/q"]),
        ("**/x.py[0-9]", [b"src/x.py0"]),
        ("x.py/", []),
        ("[!a-z]", [b"]", b"!", b"^", b"-", b"\\", b"A", b"7"]),
        ("[[:upper:][:digit:]]", [b"A", b"7"]),
        (r"\*", []),
        (r"a\*b", [b"a*b"]),
        ("./src/../x.py", [b"x.py"]),
    ],
)
def test_a_glob_means_what_it_means_to_git(bench: Bench, glob: str, matches: list[bytes]) -> None:
    """Wildcards stop at slashes, and a directory stands for everything below it."""
    bench.tree(dict.fromkeys(PATHS, b""))
    assert match_paths(PATHS, glob) == matches
    assert git_lists(bench, glob) == set(matches)


PIECES = [
    "*a*", "a?", "*[ab]", "*.", "a", "b", "c", "x", "py", "src", "d", "/", "/", "/", "*", "*", "**", "**/", "/**", "?", ".", "[a-c]", "[!a]", "[^a]", "[]]",
    "[]-a]", "[a-]", "[", "]", "[[:alpha:]]", "[[:alnum:]x]", "[[:nope:]]", "[[:a", "[[:]", "[z-a]", "[a/b]", r"[\]]", r"[\\]", r"[a\-c]",
    "\\", "\\*", "\\a", "\\/", "!", "-", "\udce9", "ö",
    "[!!-/]", "[[-a]", "[:alpha:]", "[a-c-e]", "[[:space:]-z]", "[[:punct:]]", "[[:print:]]", "[[:graph:]]", "***", "0", "../", "./",
]  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=250)
@given(glob=st.lists(st.sampled_from(PIECES), max_size=6).map("".join))
@example("sr**/x.py")
@example("b**")
@example("**\\/a")
@example("[[:alpha:]-z]")
@example("../a")
@example("b/c/.")
@example("b/c/..")
@example("/")
@example(".")
@example("src/../..")
def test_globs_agree_with_git(bench: Bench, glob: str) -> None:
    """Whatever the glob is: the same paths, or both refuse it."""
    if not (bench.path / "bench-index").exists():
        bench.tree(dict.fromkeys(PATHS, b""))
    expected = git_lists(bench, glob)
    try:
        found = set(match_paths(PATHS, glob))
    except BadGlob:
        assert expected is None or not glob
    else:
        assert found == expected


@given(path=st.lists(st.sampled_from(PATHS), min_size=1, max_size=2).map(b"/".join))
def test_an_escaped_path_matches_itself(path: bytes) -> None:
    """And of other paths only those that differ in bytes that are not UTF-8; its text can be stored."""
    glob = escape_glob(path)
    glob.encode()
    other = [path + b"x", b"x" + path, path[:-1]]
    assert match_paths([path, *other], glob) == [path]


def test_a_glob_that_can_match_nothing_is_refused() -> None:
    """An empty glob is a mistake, not every path; and a check outside the tree would always hold."""
    for glob in ("", "../x", "/etc/passwd", "a/../../b"):
        with pytest.raises(BadGlob) as bad:
            match_paths([b"x"], glob)
        assert bad.value.glob == glob
        assert isinstance(bad.value, PatchError)


def test_no_glob_takes_time_without_bound() -> None:
    """Stars beyond counting against the path that almost matches: a regular expression would not return."""
    path = b"a" * 200
    assert match_paths([path, path + b"b"], "*a" * 60 + "*b") == [path + b"b"]
    assert match_paths([b"/".join([path] * 5)], "**/" + "*a" * 60 + "*b") == []

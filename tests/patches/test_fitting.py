"""Where hunks go with the options of ``git apply``, and what becomes of whitespace: the same trees as git's."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patches.errors import PatchError, WhitespaceRefused
from patches.fitting import fit_hunks
from patches.hunks import new_lines
from patches.options import ApplyOptions
from patches.parse import parse_patch
from patches.whitespace import DEFAULT_RULE, parse_rule

if TYPE_CHECKING:
    from patch_lab import Bench

    from patches.model import Oid

HEAD = b"diff --git a/f b/f\n--- a/f\n+++ b/f\n"
WORDS = [b"a", b"b", b"\ta", b"  a", b"        a", b" \tb", b"a  b", b"a b", b"", b" ", b"\t", b"a ", b"b\r"]
RULES = [
    "trailing-space,space-before-tab",
    "indent-with-non-tab",
    "tab-in-indent",
    "-trailing-space",
    "-blank-at-eof",
    "cr-at-eol,indent-with-non-tab,tabwidth=4",
    "-blank-at-eol,tab-in-indent,-space-before-tab",
]
FLAGS = [
    ({}, ()),
    ({"context": 0}, ("-C0",)),
    ({"context": 1}, ("-C1",)),
    ({"context": 2}, ("-C2",)),
    ({"unidiff_zero": True}, ("--unidiff-zero",)),
    ({"allow_overlap": True}, ("--allow-overlap",)),
    ({"inaccurate_eof": True}, ("--inaccurate-eof",)),
    ({"recount": True}, ("--recount",)),
    ({"ignore_whitespace": True}, ("--ignore-whitespace",)),
    ({"ignore_whitespace": True, "context": 1}, ("--ignore-whitespace", "-C1")),
    ({"whitespace": "fix"}, ("--whitespace=fix",)),
    ({"whitespace": "fix", "context": 1}, ("--whitespace=fix", "-C1")),
    ({"whitespace": "fix", "ignore_whitespace": True}, ("--whitespace=fix", "--ignore-whitespace")),
    ({"whitespace": "error"}, ("--whitespace=error",)),
    ({"reverse": True}, ("-R",)),
    ({"reverse": True, "whitespace": "fix"}, ("-R", "--whitespace=fix")),
]
Flags = tuple[dict[str, object], tuple[str, ...]]
seeds = st.integers(0, 2**32)
several = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


class Damage:
    """A file, the patch of an edit, and another file that the patch may or may not fit."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        lines = self.lines(self.random.choice([0, 1, 6, 25]))
        self.old = self.joined(lines)
        self.new = self.joined(self.edited(lines))
        self.other = self.joined(self.damaged(self.edited(lines) if self.random.random() < 0.3 else lines))

    def lines(self, count: int) -> list[bytes]:
        return [self.random.choice(WORDS) + self.random.choice([b"", b"", b"%d" % n]) for n in range(count)]

    def joined(self, lines: list[bytes]) -> bytes:
        """Join lines, sometimes without the last newline.

        But not behind a blank line: where both are mended away git miscounts its lines, and leaves a part.
        Nor behind a carriage return, which git mends away or not as there are errors elsewhere.
        """
        text = b"".join(line + b"\n" for line in lines)
        return text[:-1] if self.random.random() < 0.15 and self.ends_plainly(lines) else text

    def ends_plainly(self, lines: list[bytes]) -> bool:
        return bool(lines) and bool(lines[-1].strip()) and not lines[-1].endswith(b"\r")

    def edited(self, lines: list[bytes]) -> list[bytes]:
        lines = list(lines)
        for _ in range(self.random.randint(1, 3)):
            at = self.random.randint(0, len(lines))
            lines[at : at + self.random.choice([0, 1, 2])] = self.lines(self.random.randint(0, 2))
        return lines

    def damaged(self, lines: list[bytes]) -> list[bytes]:
        """Change the whitespace of some lines, and move all of them a little."""
        lines = list(lines)
        for at in range(len(lines)):
            if self.random.random() < 0.15:
                line = lines[at]
                lines[at] = self.random.choice(
                    [line + b" ", line.rstrip(), b" " + line, line.expandtabs(8), line.replace(b" ", b"  ")]
                )
        if self.random.random() < 0.3:
            lines[0:0] = self.lines(self.random.randint(0, 2))
        while self.random.random() < 0.2 and lines:
            lines.pop()
        return lines


def applied(bench: Bench, old: Oid, patch: bytes, options: ApplyOptions, rule: str) -> Oid | None:
    """Return the engine's tree under the rule ``rule``; None where it refuses."""
    try:
        return bench.apply(old, patch, options=options, rule=parse_rule(rule)).tree
    except PatchError:
        return None


@several
@given(
    seed=seeds,
    flags=st.sampled_from(FLAGS),
    rule=st.sampled_from(RULES),
    unified=st.sampled_from(["-U0", "-U1", "-U2", "-U3", "-U10"]),
)
def test_hunks_go_where_git_puts_them(bench: Bench, seed: int, flags: Flags, rule: str, unified: str) -> None:
    """Lenient options and git's flags give one tree, or both refuse: also on a file that is another by now."""
    damage = Damage(seed)
    old, new = bench.tree({b"f": damage.old}), bench.tree({b"f": damage.new})
    patch = bench.diff(old, new, unified)
    if not patch:
        return
    bench.repository.config["core.whitespace"] = rule
    options = ApplyOptions(lenient=True, **flags[0])  # pyright: ignore[reportArgumentType]
    for tree in (old, new, bench.tree({b"f": damage.other})):
        assert applied(bench, tree, patch, options, rule) == bench.git_apply(tree, patch, *flags[1])


@several
@given(seed=seeds, flags=st.sampled_from(FLAGS), unified=st.sampled_from(["-U0", "-U1"]))
def test_strict_options_give_what_lenient_ones_give_or_refuse(
    bench: Bench, seed: int, flags: Flags, unified: str
) -> None:
    """So an event that was recorded before a refusal existed is replayed with lenient options."""
    damage = Damage(seed)
    if flags[0].get("ignore_whitespace"):
        return  # There the strict keep a file's line ends.
    patch = bench.diff(bench.tree({b"f": damage.old}), bench.tree({b"f": damage.new}), unified)
    tree = bench.tree({b"f": damage.other})
    if patch:
        strict = ApplyOptions(**flags[0])  # pyright: ignore[reportArgumentType]
        lenient = ApplyOptions(lenient=True, **flags[0])  # pyright: ignore[reportArgumentType]
        assert applied(bench, tree, patch, strict, "") in (None, applied(bench, tree, patch, lenient, ""))


def test_lines_that_go_without_context_are_where_the_header_says(bench: Bench) -> None:
    """A header names the line before them. Git finds them next to it; where they repeat, that is no doubt."""
    old, new = bench.tree({b"f": b"a\nb\nc\nx\nd\nx\n"}), bench.tree({b"f": b"a\nb\nc\nd\nx\n"})
    patch = bench.diff(old, new, "-U0")
    assert b"@@ -4 +3,0 @@" in patch
    options = ApplyOptions(unidiff_zero=True)
    assert bench.apply(old, patch, options=options).tree == new
    fit = fit_hunks(b"a\nb\nc\nx\n", parse_patch(patch).files[0].hunks, options, DEFAULT_RULE)
    assert [(place.line, place.offset) for place in fit.placements if place] == [(4, 0)]
    assert bench.apply(old, patch, options=ApplyOptions(unidiff_zero=True, lenient=True)).tree == new


def test_every_hunk_has_its_placement() -> None:
    """What fits is applied, what does not is None; offset, reduced context and mended lines are told."""
    hunks = parse_patch(
        HEAD
        + b"@@ -2,3 +2,3 @@\n a\n-b\n+B \n c\n"
        + b"@@ -20,3 +20,3 @@\n x\n-y\n+Y\n z\n"
        + b"@@ -30,3 +30,4 @@\n k\n l\n+new\n other\n"
    ).files[0].hunks  # fmt: skip
    content = b"0\n1\n2\na\nb\nc\nk\nl\nm\n"
    fit = fit_hunks(content, hunks, ApplyOptions(whitespace="fix", context=1, lenient=True), DEFAULT_RULE)
    first, second, third = fit.placements
    assert first is not None
    assert (first.line, first.offset, first.reduced, first.mended) == (4, 2, False, 1)
    assert second is None
    assert third is None or third.reduced
    assert b"B\n" in fit.content


def test_a_file_keeps_its_line_ends(bench: Bench) -> None:
    """Git leaves a CRLF file with the LF lines of the patch, and the reverse; the lenient do so too."""
    crlf, lf = b"a\r\nb\r\nc\r\n", b"a\nb\nc\n"
    patch = HEAD + b"@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"
    turned = patch.replace(b" a\n", b" a\r\n").replace(b"b\n+B\n c\n", b"b\r\n+B\r\n c\r\n")
    ignoring = ApplyOptions(ignore_whitespace=True)
    lenient = ApplyOptions(ignore_whitespace=True, lenient=True)
    for file, given_patch, wanted in ((crlf, patch, b"B\r\n"), (lf, turned, b"B\n")):
        old = bench.tree({b"f": file})
        with pytest.raises(PatchError):
            bench.apply(old, given_patch)
        changed = bench.apply(old, given_patch, options=ignoring).files[b"f"]
        assert changed == file.replace(b"b\r\n" if file == crlf else b"b\n", wanted)
        theirs = bench.git_apply(old, given_patch, "--ignore-whitespace")
        assert bench.apply(old, given_patch, options=lenient).tree == theirs


def test_whitespace_errors_are_refused_by_line(bench: Bench) -> None:
    """Of the patch, each with its kind; blank lines at the end are known when the file is."""
    patch = HEAD + b"@@ -1 +1,3 @@\n a\n+b \n+ \tc\n"
    old = bench.tree({b"f": b"a\n"})
    refusing = ApplyOptions(whitespace="error")
    with pytest.raises(WhitespaceRefused, match=r"line 6: trailing.*line 7: space before tab") as caught:
        bench.apply(old, patch, options=refusing)
    assert caught.value.lines == (6, 7)
    with pytest.raises(WhitespaceRefused, match="line 6: new blank line at EOF"):
        bench.apply(old, HEAD + b"@@ -1 +1,2 @@\n a\n+\n", options=refusing)


def test_lines_of_a_postimage_have_their_line_in_the_patch() -> None:
    """Markers of a missing newline count, removed lines too."""
    text = b"@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+c\n\\ No newline at end of file\n"
    (hunk,) = parse_patch(HEAD + text).files[0].hunks
    assert list(new_lines(hunk)) == [(5, ord(" "), b"a\n"), (8, ord("+"), b"c")]


@pytest.mark.parametrize("context", [None, 0])
def test_a_line_of_nothing_without_newline_is_no_line(bench: Bench, context: int | None) -> None:
    """Its hunk is nowhere in a file that has lines, and that is said rather than a crash."""
    patch = b"--- a/f\n+++ b/f\n@@ -11 +0,0 @@\n-\n\\ No newline at end of file\n"
    with pytest.raises(PatchError):
        bench.apply(bench.tree({b"f": b"one\n"}), patch, options=ApplyOptions(context=context))


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_a_hunk_of_context_alone_that_is_nowhere_is_refused(bench: Bench, lines: int) -> None:
    """However little of it has to match."""
    patch = b"--- a/f\n+++ b/f\n@@ -5,%d +5,%d @@\n" % (lines, lines) + b" nowhere\n" * lines
    with pytest.raises(PatchError):
        bench.apply(bench.tree({b"f": b"one\n"}), patch, options=ApplyOptions(context=0, recount=True))

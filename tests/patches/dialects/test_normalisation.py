"""Patches of git's, damaged as mails, editors, shells and language models do it, and brought back.

The oracle is ``git apply`` on the patch before the damage: a reading gives the same tree or none.
"""

from __future__ import annotations

import html
import random
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patches.dialects.model import AmbiguousPatch
from patches.dialects.normalisation import needs_normalising, normalise
from patches.errors import PatchError
from patches.lines import split_lines
from patches.model import MODE_EXECUTABLE, MODE_FILE
from patches.options import ApplyOptions, PathRule
from patches.parse import parse_patch

if TYPE_CHECKING:
    from patch_lab import Bench

    from patches.dialects.model import Normalised

Files = dict[bytes, bytes]
ModedFiles = dict[bytes, bytes | tuple[int, bytes]]
Damage = Callable[[bytes, random.Random], bytes]

INDENT = [b"", b"    ", b"        "]
WORDS = [
    b"return",
    b"<p class='a'>",
    b"a & b",
    b"total",
    b"if x > y:",
    b"",
    b"}",
    b'say("hi")',
    b"pass",
    b"# ",
]


def _content(chance: random.Random, size: int = 60) -> bytes:
    lines = [
        chance.choice(INDENT) + chance.choice(WORDS) + b" %d" % chance.randrange(40)
        if chance.random() < 0.8
        else b""
        for _ in range(size)
    ]
    return b"\n".join(lines) + chance.choice([b"\n", b"\n", b"\n", b""])


def _edited(content: bytes, chance: random.Random) -> bytes:
    lines = content.split(b"\n")
    for number in range(chance.randint(1, 4)):
        at = chance.randint(0, len(lines) - 1)
        lines[at : at + chance.choice([0, 1, 2])] = [
            chance.choice(INDENT) + b"edit%d <%d> & 'more'" % (number, n) for n in range(chance.randint(0, 3))
        ]
    return b"\n".join(lines)


def _pair(seed: int) -> tuple[Files, Files]:
    """Return two trees; the second adds, deletes and edits files of the first."""
    chance = random.Random(seed)
    names = [b"src/app.py", b"web/index.html", b"docs/read me.md"]
    old = {name: _content(chance) for name in names}
    new = {name: _edited(content, chance) for name, content in old.items()}
    if chance.random() < 0.3:
        new[b"src/new.py"] = _content(chance, 5)
    if chance.random() < 0.2:
        del new[b"docs/read me.md"]
    return old, new


def _varied_pair(seed: int) -> tuple[ModedFiles, ModedFiles]:
    """Return two trees as `_pair`; the second also moves a file, changes modes, and has what is not ASCII."""
    chance = random.Random(seed)
    old: ModedFiles = dict(_pair(seed)[0])
    old["größe/naïve.txt".encode()] = _content(chance).replace(b"total", "Größe €".encode())
    old[b"dos.bat"] = _content(chance).replace(b"\n", b"\r\n")
    old[b"run.sh"] = (chance.choice([MODE_FILE, MODE_EXECUTABLE]), _content(chance))
    old[b"a b/mixed"] = _content(chance).replace(b"\n", b"\r\n", 7)
    new: ModedFiles = {}
    for path, value in old.items():
        mode, content = value if isinstance(value, tuple) else (MODE_FILE, value)
        if chance.random() < 0.7:
            edited = _edited(content, chance)
            content = edited.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") if path == b"dos.bat" else edited
        if chance.random() < 0.3:
            mode = MODE_EXECUTABLE if mode == MODE_FILE else MODE_FILE
        moved = chance.random() < 0.3
        new["neu/ü ".encode() + path.replace(b"/", b"-") if moved else path] = (mode, content)
    return old, new


def _content_of(files: Mapping[bytes, bytes | tuple[int, bytes]], path: bytes) -> bytes | None:
    value = files.get(path)
    return value[1] if isinstance(value, tuple) else value


def _utf16le(patch: bytes, _: random.Random) -> bytes:
    return b"\xff\xfe" + patch.decode().encode("utf-16-le")


def _utf16be_bare(patch: bytes, _: random.Random) -> bytes:
    return patch.decode().encode("utf-16-be")


def _powershell(patch: bytes, _: random.Random) -> bytes:
    return b"\xff\xfe" + patch.replace(b"\n", b"\r\n").decode().encode("utf-16-le")


def _mark(patch: bytes, _: random.Random) -> bytes:
    return b"\xef\xbb\xbf" + patch


def _fenced(patch: bytes, _: random.Random) -> bytes:
    return b"Here is the change:\n\n```diff\n" + patch + b"```\n\n- It is small.\n- It works.\n"


def _listed(patch: bytes, _: random.Random) -> bytes:
    inner = b"".join(b"   " + line for line in split_lines(patch))
    return b"1. First:\n\n   ```diff\n" + inner + b"   ```\n2. Then test it.\n"


def _quoted(patch: bytes, chance: random.Random) -> bytes:
    prefix = chance.choice([b"> ", b">> ", b"> > ", b">"])
    lines = [(prefix + line).rstrip(b"\n") + b"\n" for line in split_lines(patch)]
    return b"On Monday they wrote:\n" + b"".join(lines) + b"\nLooks good to me.\n"


def _escaped(patch: bytes, _: random.Random) -> bytes:
    return html.escape(patch.decode()).encode()


def _crlf(patch: bytes, _: random.Random) -> bytes:
    return patch.replace(b"\n", b"\r\n")


def _trimmed_context(patch: bytes, _: random.Random) -> bytes:
    return b"".join(line.rstrip() + b"\n" if line.startswith(b" ") else line for line in split_lines(patch))


def _tabbed_context(patch: bytes, _: random.Random) -> bytes:
    return re.sub(rb"^     +", b" \t", patch, flags=re.MULTILINE)


def _wrong_counts(patch: bytes, chance: random.Random) -> bytes:
    def wreck(match: re.Match[bytes]) -> bytes:
        return b"@@ -%s,%d +%s,%d @@" % (match[1], chance.randint(1, 30), match[2], chance.randint(1, 30))

    return re.sub(rb"^@@ -(\d+)[,\d]* \+(\d+)[,\d]* @@", wreck, patch, flags=re.MULTILINE)


def _no_numbers(patch: bytes, chance: random.Random) -> bytes:
    head = chance.choice([b"@@ ... @@", b"@@", b"@@ def f():"])
    return re.sub(rb"^@@ -[^@]+ @@[^\n]*", head, patch, flags=re.MULTILINE)


def _cut_newline(patch: bytes, _: random.Random) -> bytes:
    return patch.removesuffix(b"\n")


def _no_prefix(patch: bytes, _: random.Random) -> bytes:
    bare = re.sub(rb"^(---|\+\+\+) [ab]/", rb"\1 ", patch, flags=re.MULTILINE)
    return re.sub(rb"^diff --git .*\n|^index .*\n", b"", bare, flags=re.MULTILINE)


DAMAGES: dict[str, Damage] = {
    "utf-16le": _utf16le,
    "utf-16be": _utf16be_bare,
    "powershell": _powershell,
    "mark": _mark,
    "fenced": _fenced,
    "listed": _listed,
    "quoted": _quoted,
    "html": _escaped,
    "crlf": _crlf,
    "context trimmed": _trimmed_context,
    "context tabbed": _tabbed_context,
    "counts": _wrong_counts,
    "no numbers": _no_numbers,
    "newline cut": _cut_newline,
    "no prefix": _no_prefix,
}
ALWAYS = {"utf-16le", "utf-16be", "mark", "fenced", "listed", "quoted", "newline cut"}
"""What these do to a text can be taken back without a look at the tree."""
INNER = ["html", "context trimmed", "counts", "no numbers", "newline cut", "crlf", "no prefix"]
OUTER = ["utf-16le", "powershell", "mark", "fenced", "listed", "quoted", "crlf", "html"]


def _outcome(bench: Bench, seed: int, *damages: str, varied: bool = False) -> bool:
    """Damage a patch, normalise it, and hold it against git; True where a reading was accepted."""
    old, new = _varied_pair(seed) if varied else _pair(seed)
    chance = random.Random(seed)
    base, wanted = bench.tree(old), bench.tree(new)
    patch = bench.diff(base, wanted, *(["-M"] if varied else []))
    damaged = patch
    for damage in damages:
        damaged = DAMAGES[damage](damaged, chance)
    try:
        made = normalise(damaged, partial(_content_of, old))
        tree = bench.apply(base, made.data).tree
    except PatchError:
        return False
    assert tree == wanted, (made.steps, made.data.decode())
    assert bench.git_apply(base, made.data) == wanted
    return True


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_patch_gives_the_tree_of_the_whole_one_or_is_refused(bench: Bench, damage: str) -> None:
    accepted = [_outcome(bench, seed, damage) for seed in range(8)]
    assert all(accepted) if damage in ALWAYS else any(accepted)


@pytest.mark.parametrize("outer", OUTER)
def test_two_damages_give_the_same_tree_or_are_refused(bench: Bench, outer: str) -> None:
    accepted = [
        _outcome(bench, 20 + n, inner, outer)
        for n, inner in enumerate(INNER)
        if (inner, outer) != ("newline cut", "fenced")  # It glues the fence to the last line.
    ]
    assert any(accepted)


# Each example starts git a dozen times.
@settings(
    max_examples=settings().max_examples // 10,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    seed=st.integers(0, 2**32),
    inner=st.sampled_from([*INNER, "context tabbed"]),
    outer=st.sampled_from(OUTER),
)
def test_no_damage_and_no_two_of_them_give_another_tree(
    bench: Bench, seed: int, inner: str, outer: str
) -> None:
    _outcome(bench, seed, *dict.fromkeys((inner, outer)))


# What names a move and a mode is what `no prefix` takes away: without it the patch says another thing.
LOSSLESS = [damage for damage in DAMAGES if damage != "no prefix"]


@pytest.mark.parametrize("damage", LOSSLESS)
def test_moves_modes_and_other_alphabets_survive_the_damage(bench: Bench, damage: str) -> None:
    accepted = [_outcome(bench, seed, damage, varied=True) for seed in range(4)]
    assert damage not in ALWAYS or all(accepted)


@settings(
    max_examples=settings().max_examples // 10,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    seed=st.integers(0, 2**32),
    inner=st.sampled_from([damage for damage in INNER if damage in LOSSLESS] + ["context tabbed"]),
    outer=st.sampled_from(OUTER),
)
def test_no_damage_gives_moves_modes_and_other_alphabets_another_tree(
    bench: Bench, seed: int, inner: str, outer: str
) -> None:
    _outcome(bench, seed, *dict.fromkeys((inner, outer)), varied=True)


def test_what_is_recorded_of_a_mixed_patch_is_what_git_takes_too(bench: Bench) -> None:
    """Lines that a shell ended otherwise, beside others: a mode and a file that has such lines itself."""
    old: ModedFiles = {b"f": b"one\n", b"dos": b"one\r\n"}
    new: ModedFiles = {b"f": (MODE_EXECUTABLE, b"one\n"), b"dos": b"two\r\n", b"new": b"n\n"}
    base, wanted = bench.tree(old), bench.tree(new)
    patch = bench.diff(base, wanted)
    mixed = patch.replace(b"old mode 100644\n", b"old mode 100644\r\n").replace(
        b"new mode 100755\n", b"new mode 100755\r\n"
    )
    damaged = mixed.replace(b"-one\r\n+two\r\n", b"-one\n+two\n")
    made = normalise(damaged, partial(_content_of, old))
    assert bench.git_apply(base, made.data) == wanted == bench.apply(base, made.data).tree


def test_a_patch_that_fits_comes_out_as_the_same_bytes(bench: Bench) -> None:
    for seed in range(12):
        old, new = _pair(seed)
        patch = bench.diff(bench.tree(old), bench.tree(new), f"-U{seed % 6}")
        if seed % 6:
            assert normalise(patch, old.get).data == patch
            assert normalise(patch, old.get).steps == ()
        assert not needs_normalising(patch)


def _normalise(patch: bytes, files: Files) -> Normalised:
    return normalise(patch, files.get)


def test_the_steps_name_what_was_done() -> None:
    patch = b"--- a/f\n+++ b/f\n@@ ... @@\n one\n-two\n+2\n three\n"
    made = _normalise(b"\xff\xfe" + patch.decode().encode("utf-16-le"), {b"f": b"zero\none\ntwo\nthree\n"})
    assert made.steps == ("utf-16le", "recounted")
    assert b"@@ -1,4 +1,4 @@\n zero\n one\n-two\n+2\n three\n" in made.data


def test_a_hunk_that_fits_twice_is_refused_with_its_places() -> None:
    patch = b"--- a/f\n+++ b/f\n@@ @@\n x\n-y\n+z\n"
    with pytest.raises(AmbiguousPatch) as refusal:
        _normalise(patch, {b"f": b"x\ny\nq\nx\ny\n"})
    assert refusal.value.candidates == ("at line 1", "at line 4")


def test_doubled_carriage_returns_beside_single_ones_are_refused() -> None:
    """Of a line that is added among such context nothing tells how many it had."""
    patch = b"> --- a/dos\n> +++ b/dos\n> @@ -1,2 +1,3 @@\n>  a\r\r\n> +x\r\r\n>  b\r\r\n"
    with pytest.raises(PatchError):
        _normalise(patch, {b"dos": b"a\r\nb\r\n"})


def test_each_file_keeps_its_own_line_endings() -> None:
    files = {b"dos": b"a\r\nb\r\nc\r\n", b"unix": b"a\nb\nc\n"}
    hunk = b"@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"
    patch = b"".join(b"--- a/%s\n+++ b/%s\n%s" % (name, name, hunk) for name in files)
    for text in (patch, patch.replace(b"\n", b"\r\n")):
        made = _normalise(text, files)
        assert b"-b\r\n+B\r\n" in made.data
        assert b"-b\n+B\n" in made.data
        assert "line endings" in made.steps


def test_a_patch_that_changes_line_endings_stays_as_it_is() -> None:
    patch = b"--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n a\r\n-b\r\n+b\n"
    assert _normalise(patch, {b"f": b"a\r\nb\r\n"}).steps == ()


def test_what_may_have_been_a_change_of_line_endings_is_refused() -> None:
    patch = b"--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n a\n-b\n+b\n"
    with pytest.raises(AmbiguousPatch, match="line endings"):
        _normalise(patch, {b"f": b"a\r\nb\r\n"})


def test_the_marker_of_a_last_line_that_is_only_context_may_be_lost() -> None:
    patch = b"--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n-a\n+A\n b\n"
    made = _normalise(patch, {b"f": b"a\nb"})
    assert "final newline" in made.steps
    assert made.data.endswith(b" b\n\\ No newline at end of file\n")


def test_an_empty_context_line_without_its_space_may_stand_before_a_marker() -> None:
    patch = b"--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n-a\n+A\n\n b\n\\ No newline at end of file\n"
    made = _normalise(b"diff --git a/f b/f\n" + patch, {b"f": b"a\n\nb"})
    assert made.steps == ()


def test_a_marker_that_lost_its_newline_still_counts() -> None:
    patch = b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n\\ No newline at end of file"
    assert needs_normalising(patch)
    made = _normalise(patch, {b"f": b"a\n"})
    assert made.steps == ("final newline",)
    assert made.data == patch + b"\n"
    (hunk,) = parse_patch(patch).files[0].hunks
    assert hunk.new == b"b"


def test_a_last_line_that_changes_without_its_marker_is_refused() -> None:
    patch = b"--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n a\n-b\n+B\n"
    with pytest.raises(AmbiguousPatch, match="last line"):
        _normalise(patch, {b"f": b"a\nb"})


def test_names_without_prefix_are_taken_where_only_they_name_a_file() -> None:
    patch = b"--- src/f\n+++ src/f\n@@ -1 +1 @@\n-a\n+b\n"
    assert _normalise(patch, {b"src/f": b"a\n"}).steps == ("strip 0",)
    with pytest.raises(AmbiguousPatch, match="name"):
        _normalise(patch.replace(b"-a", b"-c"), {b"src/f": b"a\n", b"f": b"a\n"})


def test_hunks_out_of_order_are_put_in_order() -> None:
    lines = [b"line %d\n" % n for n in range(40)]
    patch = (
        b"--- a/f\n+++ b/f\n@@ @@\n line 30\n-line 31\n+new 31\n line 32\n"
        b"@@ @@\n line 3\n-line 4\n+new 4\n line 5\n"
    )
    made = _normalise(patch, {b"f": b"".join(lines)})
    assert "reordered" in made.steps
    assert made.data.index(b"new 4") < made.data.index(b"new 31")


def test_a_bare_hunk_beside_a_good_file_is_not_passed_over() -> None:
    patch = b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n--- a/g\n+++ b/g\n@@ @@\n-c\n+d\n"
    assert needs_normalising(patch)
    made = _normalise(patch, {b"f": b"a\n", b"g": b"c\n"})
    assert b"+b\n" in made.data
    assert b"+d\n" in made.data


def test_entities_stay_where_the_file_has_them() -> None:
    patch = b"--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n x &lt; y\n-a\n+&amp;\n"
    assert _normalise(patch, {b"f": b"x &lt; y\na\n"}).steps == ()
    made = _normalise(patch, {b"f": b"x < y\na\n"})
    assert made.steps == ("html",)
    assert made.data.endswith(b"+&\n")


@pytest.mark.parametrize(
    "unit",
    [b"@@ @@\n-x\n+y\n", b" x\n", b"> ", b"```\n", b"&lt;", b"-- \n1.0\n", b"--- a/f\n+++ b/f\n@@\n-x\n"],
)
def test_only_our_own_errors_come_from_a_hostile_text(unit: bytes) -> None:
    head = b"--- a/f\n+++ b/f\n@@ @@\n"
    for text in (unit * 20_000, head + unit * 20_000):
        with pytest.raises(PatchError):
            _normalise(text, {b"f": b"x\n" * 50_000})


@pytest.mark.parametrize("cut", [1, 2, 6, 9, 20, 60])
def test_a_text_that_was_cut_off_is_refused_or_lacks_only_its_newline(bench: Bench, cut: int) -> None:
    """Also where a shorter hunk, or a line with less in it, would fit the file."""
    for seed in range(8):
        old, new = _pair(seed)
        base, wanted = bench.tree(old), bench.tree(new)
        try:
            made = normalise(bench.diff(base, wanted)[:-cut], old.get)
            tree = bench.apply(base, made.data).tree
        except PatchError:
            continue
        assert tree == wanted


@pytest.mark.parametrize("options", [ApplyOptions(directory=b"src"), ApplyOptions(strip=3)])
def test_a_repair_keeps_to_the_options(bench: Bench, options: ApplyOptions) -> None:
    """The file is found under the directory, and by the names as they are stripped."""
    name = b"f" if options.directory else b"a/x/y/src/f"
    patch = b"--- %s\n+++ %s\n@@ ... @@\n one\n-two\n+2\n three\n" % (name, name)
    files = {b"src/f": b"zero\none\ntwo\nthree\n", b"f": b"one\nother\n"}
    made = normalise(patch, files.get, options)
    wanted = bench.tree({**files, b"src/f": b"zero\none\n2\nthree\n"})
    assert bench.apply(bench.tree(files), made.data, options=options).tree == wanted


def test_a_file_that_is_not_chosen_is_not_repaired() -> None:
    patch = b"--- a/f\n+++ b/f\n@@ @@\n-a\n+b\n--- a/g\n+++ b/g\n@@ @@\n-gone\n+d\n"
    options = ApplyOptions(paths=(PathRule(include=True, glob=b"f"),))
    assert b"a/g" not in normalise(patch, {b"f": b"a\n", b"g": b"c\n"}.get, options).data


def test_a_damaged_patch_is_not_repaired_in_reverse() -> None:
    patch = b"--- a/f\n+++ b/f\n@@ @@\n-a\n+b\n"
    with pytest.raises(PatchError, match="reverse"):
        normalise(patch, {b"f": b"b\n"}.get, ApplyOptions(reverse=True))


def test_a_fence_that_closes_on_the_last_line_is_no_part_of_it() -> None:
    patch = b"```diff\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b```\n"
    assert needs_normalising(patch)
    with pytest.raises(PatchError, match="fence"):
        _normalise(patch, {b"f": b"a\n"})


def test_a_text_of_cr_lf_throughout_adds_files_of_lf(bench: Bench) -> None:
    """Git's own header lines end in LF: those were put in on the way."""
    wanted = bench.tree({b"f": b"a\nb\n"})
    patch = bench.diff(bench.tree({}), wanted).replace(b"\n", b"\r\n")
    made = _normalise(patch, {})
    assert made.steps == ("crlf",)
    assert bench.apply(bench.tree({}), made.data).tree == wanted


def test_a_diff_of_cr_lf_in_a_fence_is_read_as_one_of_lf(bench: Bench) -> None:
    base, wanted = bench.tree({b"f": b"a\nb"}), bench.tree({b"f": b"a\nc"})
    diff = bench.diff(base, wanted).replace(b"\n", b"\r\n")
    made = normalise(b"```diff\n" + diff + b"```\n", {b"f": b"a\nb"}.get)
    assert bench.apply(base, made.data).tree == wanted


def test_colours_of_a_terminal_are_taken_off_and_those_of_a_file_are_not(bench: Bench) -> None:
    old, new = {b"f": b"a\nb\n"}, {b"f": b"a\n\tc \t \n d\n"}
    base, wanted = bench.tree(old), bench.tree(new)
    made = normalise(bench.diff(base, wanted, "--color=always"), old.get)
    assert made.steps == ("colours",)
    assert bench.apply(base, made.data).tree == wanted
    red = bench.tree({b"f": b"a\nsay \x1b[31mred\x1b[m now\n"})
    with pytest.raises(AmbiguousPatch, match="colours"):
        normalise(bench.diff(base, red, "--color=always"), old.get)
    assert normalise(bench.diff(base, red), old.get).steps == ()


def test_the_index_line_settles_what_could_be_read_in_two_ways(bench: Bench) -> None:
    old, new = {b"f": b"a\n"}, {b"f": b"a\n", b"g": b"&lt;\n"}
    base, wanted = bench.tree(old), bench.tree(new)
    patch = b"\xef\xbb\xbf" + bench.diff(base, wanted)
    assert bench.apply(base, normalise(patch, old.get).data).tree == wanted
    ids = re.sub(rb"^index .*\n", b"", patch, flags=re.MULTILINE)
    with pytest.raises(AmbiguousPatch, match="html"):
        normalise(ids, old.get)

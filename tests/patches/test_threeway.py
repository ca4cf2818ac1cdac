"""The three-way merge of patches, with ``git apply --3way`` as the oracle: the same tree, stages and markers."""

from __future__ import annotations

import random
import subprocess
from typing import TYPE_CHECKING

import pygit2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from merge_lab import Files, MergeLab

from patches.errors import (
    AlreadyExists,
    HunkMismatch,
    MergeConflict,
    MissingFile,
    PatchError,
    UnmarkableConflict,
    WrongMode,
)
from patches.model import MODE_EXECUTABLE, MODE_FILE, MODE_SYMLINK
from patches.objects import Objects
from patches.parse import parse_patch
from patches.textmerge import Region, conflict_regions, merge_contents
from patches.threeway import apply_threeway
from patches.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

    from patches.options import Favor
    from patches.textmerge import ConflictStyle

WORDS = [b"alpha", b"beta", b"", b"}", b"{", b"cr\r", b"caf\xe9", b"=======", b"<<<<<<< ours"]


@pytest.fixture
def lab(tmp_path: Path) -> MergeLab:
    return MergeLab(tmp_path / "lab")


def lines(*words: object) -> bytes:
    return b"".join(b"%s\n" % str(word).encode() for word in words)


class Author:
    """Makes contents and edits them, from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.words = WORDS

    def content(self) -> bytes:
        if self.random.random() < 0.1:
            return b"\0" + self.random.randbytes(4)
        return self.text()

    def text(self) -> bytes:
        text = b"\n".join(self.random.choice(self.words) for _ in range(self.random.randrange(1, 30)))
        return text + self.random.choice([b"", b"\n"])

    def edited(self, content: bytes) -> bytes:
        if content.startswith(b"\0"):
            return self.random.choice([content, content + b"!", b"\0new"])
        rows = content.split(b"\n")
        for _ in range(self.random.randrange(4)):
            at = self.random.randrange(len(rows) + 1)
            count = self.random.randrange(3)
            rows[at : at + count] = [self.random.choice(self.words) for _ in range(self.random.randrange(3))]
        return b"\n".join(rows)


def three_states(author: Author, count: int = 30) -> tuple[Files, Files, Files]:
    """Return base, ours and theirs: changed on either side, and created on both."""
    base = {f"f{number}": author.content() for number in range(count)}
    ours = {path: author.edited(content) for path, content in base.items()}
    theirs = {path: author.edited(content) for path, content in base.items()}
    for number in range(count // 5):
        ours[f"n{number}"] = author.content()
        theirs[f"n{number}"] = author.edited(ours[f"n{number}"])
    return base, ours, theirs


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 32), context=st.sampled_from(["-U1", "-U3", "-U10"]))
def test_random_edits_of_both_sides_merge_as_git_merges_them(lab: MergeLab, seed: int, context: str):
    """Tree, index stages and the bytes between the markers are git's."""
    base, ours, theirs = three_states(Author(seed))
    patch = lab.diff(base, theirs, "--binary", "--full-index", context)
    assert lab.we_apply(ours, patch) == lab.git_applies(ours, patch), lab.said


def rearranged(author: Author, files: Files) -> Files:
    """Return ``files`` edited, some renamed, deleted, created, or of another mode."""
    chance = author.random.random
    after: dict[str, bytes | tuple[int, bytes]] = {}
    for path, value in files.items():
        assert isinstance(value, bytes)
        if chance() < 0.95:
            name = author.random.choice(["new", f"r{path}", "f1"]) if chance() < 0.1 else path
            mode = MODE_EXECUTABLE if chance() < 0.1 else MODE_FILE
            after[name] = mode, author.edited(value)
    return after if chance() < 0.8 else after | {"added": author.content()}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 32), find=st.sampled_from([(), ("-M",), ("-M", "-C")]))
def test_what_git_refuses_is_refused_and_everything_else_is_the_same(
    lab: MergeLab, seed: int, find: tuple[str, ...]
):
    """But for a rename or a copy onto a file that exists: git merges over that without looking at it."""
    author = Author(seed)
    base: Files = {f"f{number}": author.content() for number in range(4)}
    ours, theirs = rearranged(author, base), rearranged(author, base)
    patch = lab.diff(base, theirs, "--binary", *find)
    if not patch:
        return
    git = lab.git_applies(ours, patch)
    parts = parse_patch(patch).files
    put = {part.new_path for part in parts if part.operation in ("rename", "copy")}
    put -= {part.old_path for part in parts if part.operation in ("rename", "delete")}
    if git is None or put & {path.encode() for path in ours}:
        with pytest.raises(PatchError):
            lab.we_apply(ours, patch)
    else:
        assert lab.we_apply(ours, patch) == git, lab.said


FAVORS: tuple[Favor | None, ...] = (None, "ours", "theirs", "union")
STYLES: tuple[ConflictStyle, ...] = ("merge", "diff3", "zdiff3")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 1 << 32),
    favor=st.sampled_from(FAVORS),
    style=st.sampled_from(STYLES),
    marker_size=st.sampled_from([1, 7, 12]),
)
def test_favors_styles_and_marker_sizes_are_those_of_git_merge_file(
    tmp_path: Path, seed: int, favor: Favor | None, style: ConflictStyle, marker_size: int
):
    author = Author(seed)
    author.words = [b"alpha", b"beta", b"gamma\r", b"x"]  # git merge-file joins conflicts across bare braces.
    base = author.text()
    ours, theirs = author.edited(base), author.edited(base)
    for name, content in (("base", base), ("ours", ours), ("theirs", theirs)):
        (tmp_path / name).write_bytes(content)
    flags = [f"--marker-size={marker_size}", *([f"--{favor}"] if favor else [])]
    flags += [f"--{style}"] if style != "merge" else []
    labels = [word for label in ("ours", "base", "theirs") for word in ("-L", label)]
    command = ["git", "merge-file", "-p", *flags, *labels, "ours", "base", "theirs"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    merged = merge_contents(base, ours, theirs, favor=favor, style=style, marker_size=marker_size)
    assert (merged.data, merged.conflicted) == (done.stdout, done.returncode > 0)


BASE = lines(1, 2, 3, 4, 5, 6, 7)
CLASH: tuple[Files, Files, Files] = (
    {"one": BASE, "two": BASE},
    {"one": lines(1, "two", 3, 4, 5, "six", 7), "two": lines(1, "two", 3, 4, 5, 6, 7)},
    {"one": lines(1, 2, 3, 4, "five", 6, 7), "two": lines(1, 2, 3, 4, "five", 6, 7)},
)


def test_a_conflict_names_its_lines_and_its_three_stages(lab: MergeLab):
    """One file merges cleanly, the other is marked; both are told, in the order of the patch."""
    base, ours, theirs = CLASH
    patch = lab.diff(base, theirs)
    merged = lab.we_apply(ours, patch)
    assert merged == lab.git_applies(ours, patch)
    assert lab.attempts == (("one", "conflict"), ("two", "clean"))
    (conflict,) = lab.conflicts
    assert conflict.regions == (Region(5, 11),)
    assert merged.contents["one"].splitlines()[4:11] == [
        b"<<<<<<< ours", b"5", b"six", b"=======", b"five", b"6", b">>>>>>> theirs",
    ]  # fmt: skip
    assert merged.contents["two"] == lines(1, "two", 3, 4, "five", 6, 7)


@pytest.mark.parametrize(
    ("favor", "one"),
    [
        ("ours", lines(1, "two", 3, 4, 5, "six", 7)),
        ("theirs", lines(1, "two", 3, 4, "five", 6, 7)),
        ("union", lines(1, "two", 3, 4, 5, "six", "five", 6, 7)),
    ],
)
def test_a_favored_side_leaves_no_conflict(lab: MergeLab, favor: Favor, one: bytes):
    base, ours, theirs = CLASH
    merged = lab.we_apply(ours, lab.diff(base, theirs), favor)
    assert not lab.conflicts
    assert merged.contents["one"] == one


def test_the_users_conflict_style_shows_the_base(lab: MergeLab):
    base, ours, theirs = CLASH
    lab.configure("merge.conflictStyle", "diff3")
    one = lab.we_apply(ours, lab.diff(base, theirs)).contents["one"]
    assert b"||||||| base\n5\n6\n=======\n" in one
    assert lab.conflicts[0].regions == conflict_regions(one) != ()


def test_what_both_sides_created_merges_with_an_empty_base(lab: MergeLab):
    """The conflict has no first stage; equal creations are no conflict, and take the patch's mode."""
    ours: Files = {"same": BASE, "other": BASE}
    theirs: Files = {"same": (MODE_EXECUTABLE, BASE), "other": lines(1, 2, 3, "four", 5, 6, 7)}
    patch = lab.diff({}, theirs)
    merged = lab.we_apply(ours, patch)
    assert merged == lab.git_applies(ours, patch)
    assert merged.stages["same", 0][0] == MODE_EXECUTABLE
    assert [(conflict.path, conflict.base) for conflict in lab.conflicts] == [(b"other", None)]


def test_a_repeating_file_is_changed_where_the_merge_says(lab: MergeLab):
    """The hunk alone would fit in the wrong place."""
    base: Files = {"x": lines(1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1)}
    theirs: Files = {"x": lines(1, 2, 1, 2, 1, 2, 1, 2, "one", 2, 1)}
    ours: Files = {"x": lines(1, 2, 1, 2, 1, 2, "one", 2, 1, 2, "one")}
    patch = lab.diff(base, theirs)
    merged = lab.we_apply(ours, patch)
    assert merged == lab.git_applies(ours, patch)
    assert merged.contents["x"] == lines(1, 2, 1, 2, 1, 2, "one", 2, "one", 2, "one")


def test_a_renamed_file_takes_its_edits_along(lab: MergeLab):
    base: Files = {"old": BASE, "kept": BASE}
    theirs: Files = {"new": lines(1, 2, 3, 4, "five", 6, 7), "kept": (MODE_EXECUTABLE, BASE)}
    ours: Files = {"old": lines("one", 2, 3, 4, 5, 6, 7), "kept": lines("one", 2)}
    patch = lab.diff(base, theirs, "-M")
    merged = lab.we_apply(ours, patch)
    assert merged == lab.git_applies(ours, patch)
    assert merged.contents["new"] == lines("one", 2, 3, 4, "five", 6, 7)


def test_a_rename_never_overwrites_what_stands_at_its_target(lab: MergeLab):
    """Git takes the target's content away without a word."""
    base: Files = {"old": BASE}
    theirs: Files = {"new": lines(1, 2, 3, 4, "five", 6, 7)}
    ours: Files = {"old": BASE, "new": lines("precious")}
    patch = lab.diff(base, theirs, "-M")
    git = lab.git_applies(ours, patch)
    assert git is not None
    assert git.contents == {"new": theirs["new"]}
    with pytest.raises(AlreadyExists):
        lab.we_apply(ours, patch)


@pytest.mark.parametrize("options", [("--binary",), ("--full-index",)])
def test_a_binary_file_merges_where_only_one_side_changed(lab: MergeLab, options: tuple[str, ...]):
    """The content may be in the patch, or only in the repository."""
    base: Files = {"bin": b"\0one", "text": BASE}
    theirs: Files = {"bin": b"\0two", "text": BASE}
    patch = lab.diff(base, theirs, *options)
    ours: Files = {"bin": b"\0one", "text": lines("edited")}
    assert lab.we_apply(ours, patch) == lab.git_applies(ours, patch)
    assert not lab.conflicts


def test_a_binary_conflict_keeps_ours_and_has_no_lines(lab: MergeLab):
    base: Files = {"bin": b"\0one"}
    patch = lab.diff(base, {"bin": b"\0two"}, "--binary")
    ours: Files = {"bin": b"\0three"}
    merged = lab.we_apply(ours, patch)
    assert merged == lab.git_applies(ours, patch)
    assert merged.contents["bin"] == b"\0three"
    assert lab.conflicts[0].regions == ()
    assert lab.we_apply(ours, patch, "theirs").contents["bin"] == b"\0two"


def test_a_symlinks_conflict_has_no_markers_in_its_target(lab: MergeLab):
    base: Files = {"link": (MODE_SYMLINK, b"a")}
    patch = lab.diff(base, {"link": (MODE_SYMLINK, b"b")})
    merged = lab.we_apply({"link": (MODE_SYMLINK, b"c")}, patch)
    assert merged.contents["link"] == b"c"
    assert lab.conflicts[0].regions == ()


def test_attributes_say_how_a_path_merges(lab: MergeLab):
    """``union``, ``-merge`` and a marker's size are git's; a driver of the user's own is not run."""
    attributes = b"u merge=union\nb -merge\nm conflict-marker-size=20\nt merge=unheard-of\n"
    base: Files = dict.fromkeys("ubmt", BASE)
    ours: Files = dict.fromkeys("ubmt", lines(1, 2, 3, "ours", 5, 6, 7))
    theirs: Files = dict.fromkeys("ubmt", lines(1, 2, 3, "theirs", 5, 6, 7))
    (lab.path / ".git/info/attributes").write_bytes(attributes)
    patch = lab.diff(base, theirs)
    assert lab.we_apply(ours, patch) == lab.git_applies(ours, patch)
    assert {conflict.path: conflict.regions for conflict in lab.conflicts} == {
        b"b": (),
        b"m": (Region(4, 8),),
        b"t": (Region(4, 8),),
    }
    lab.configure("merge.unheard-of.driver", "exit 0")
    assert lab.we_apply(ours, patch).contents["t"] == ours["t"]
    assert [conflict.path for conflict in lab.conflicts] == [b"b", b"m", b"t"]


def test_without_the_blob_the_hunks_alone_decide(lab: MergeLab):
    """A file that they fit changes, and a patch that they do not is refused as without a merge."""
    old, new = lines(*range(20)), lines(*range(9), "nine", *range(10, 20))
    patch = b"--- a/x\n+++ b/x\n@@ -8,5 +8,5 @@\n 7\n 8\n-9\n+nine\n 10\n 11\n"
    assert lab.we_apply({"x": old}, patch).contents["x"] == new
    assert lab.attempts == (("x", "no blob"),)
    ours: Files = {"x": lines("nothing", "of", "it")}
    assert lab.git_applies(ours, patch) is None
    with pytest.raises(HunkMismatch):
        lab.we_apply(ours, patch)


def test_a_prefix_of_several_objects_names_none(lab: MergeLab):
    """The hunks decide then, as where the blob is missing."""
    by_prefix: dict[str, bytes] = {}
    for number in range(10_000):
        content = lines("start", number)
        prefix = str(pygit2.hash(content))[:4]
        if prefix in by_prefix:
            break
        by_prefix[prefix] = content
    else:
        pytest.fail("no two of ten thousand oids share four digits")
    twin = by_prefix[prefix]
    patch = lab.diff({"x": content, "twin": twin}, {"x": content + b"end\n", "twin": twin}, "--full-index")
    oid = str(pygit2.hash(content)).encode()
    ours: Files = {"x": content}
    lab.we_apply(ours, patch.replace(oid, oid[:4]))
    assert lab.attempts == (("x", "no blob"),)
    lab.we_apply(ours, patch.replace(oid, oid[:20]))
    assert lab.attempts == (("x", "clean"),)


def test_a_patch_that_does_not_fit_its_own_base_is_left_to_its_hunks(lab: MergeLab):
    base: Files = {"x": BASE}
    patch = lab.diff(base, {"x": lines(1, 2, 3, "four", 5, 6, 7)}).replace(b" 3\n", b" three\n")
    ours: Files = {"x": lines(1, 2, "three", 4, 5, 6, 7)}
    merged = lab.we_apply(ours, patch)
    assert merged == lab.git_applies(ours, patch)
    assert lab.attempts == (("x", "misfit"),)
    assert merged.contents["x"] == lines(1, 2, "three", "four", 5, 6, 7)


def test_a_path_is_deleted_and_created_in_one_patch(lab: MergeLab):
    """The creation is not taken for one of both sides."""
    patch = lab.diff({"x": lines(1)}, {}) + lab.diff({}, {"x": lines(2)})
    ours: Files = {"x": lines(1)}
    assert lab.we_apply(ours, patch) == lab.git_applies(ours, patch)


def test_no_merge_of_contents_brings_back_a_file_or_changes_its_type(lab: MergeLab):
    patch = lab.diff({"x": BASE}, {"x": lines("changed")})
    for ours, refusal in (({}, MissingFile), ({"x": (MODE_SYMLINK, b"to")}, WrongMode)):
        assert lab.git_applies(ours, patch) is None
        with pytest.raises(refusal):
            lab.we_apply(ours, patch)


def test_only_whole_regions_of_our_own_labels_are_conflicts():
    """A document that shows markers, or underlines a heading, is not in conflict."""
    heading = b"Title\n=======\n"
    region = b"<<<<<<< ours\r\na\r\n=======\r\nb\r\n>>>>>>> theirs\r\n"
    assert conflict_regions(heading + region + b"x\n" + region) == (Region(3, 7), Region(9, 13))
    assert conflict_regions(b"<<<<<<< HEAD\na\n=======\nb\n>>>>>>> theirs\n") == ()
    assert conflict_regions(b"<<<<<<< ours\na\n=======\nb\n") == ()
    assert conflict_regions(b"<<<<<<<< ours\na\n=======\nb\n>>>>>>>> theirs\n") == ()


# Applied to a tree


def test_one_conflict_among_several_files_changes_nothing(lab: MergeLab):
    """The error names every file in conflict with its lines."""
    base, ours, theirs = CLASH
    patch = parse_patch(lab.diff(base, theirs))
    tree = Tree(Objects(lab.repository), lab.tree(ours))
    with pytest.raises(MergeConflict, match=r"1 file is in conflict.*\n  one: lines 5-11 of the merged file"):
        apply_threeway(tree, patch)
    assert tree.write() == lab.tree(ours)
    assert [conflict.path for conflict in apply_threeway(tree, patch, keep=True).conflicts] == [b"one"]
    entry = tree.entry(b"one")
    assert entry is not None
    assert conflict_regions(tree.objects.read_blob(entry.oid)) == (Region(5, 11),)


def test_a_conflict_that_takes_no_markers_cannot_be_kept(lab: MergeLab):
    """It would be a file that looks finished."""
    states: list[Files] = [{"bin": b"\0" + word, "x": BASE} for word in (b"one", b"two", b"three")]
    base, ours, theirs = states
    tree = Tree(Objects(lab.repository), lab.tree(ours))
    with pytest.raises(UnmarkableConflict, match="bin: its content takes no markers"):
        apply_threeway(tree, parse_patch(lab.diff(base, theirs, "--binary")), keep=True)
    assert tree.write() == lab.tree(ours)

"""Moves beside the real ``git mv``: the same outcome, the same tree; refused where Git would lose a file."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from ledger.filerecords import FileRecord, changes_paths
from patches.apply import apply_patch
from patches.diff import diff_trees
from patches.errors import PatchError, UnsafePath
from patches.model import (
    MODE_EXECUTABLE,
    MODE_GITLINK,
    MODE_SYMLINK,
    FileChange,
    Oid,
)
from patches.moves import (
    BadSource,
    CannotOverwrite,
    DestinationExists,
    IntoItself,
    MoveRefused,
    NoDirectory,
    OverlappingSources,
    Rename,
    SameTarget,
    change_tree,
    count_lines,
    plan_moves,
    tree_updates,
)
from patches.objects import Objects
from patches.parse import parse_patch
from patches.submodules import GitmodulesFailed
from patches.tree import Tree

if TYPE_CHECKING:
    from patch_lab import Bench, Files

SUBMODULE = (MODE_GITLINK, b"\x11" * 20)


class Outcome(NamedTuple):
    """What real git made of a command: the index as a tree, None where it refused."""

    tree: Oid | None
    message: str


def git_mv(bench: Bench, base: Oid, sources: list[bytes], destination: bytes, *options: str) -> Outcome:
    """Check ``base`` out into a fresh work tree and run the real ``git mv`` there."""
    work = bench.path / f"work-{len(list(bench.path.glob('work-*')))}"
    work.mkdir()
    env = bench.environment | {"GIT_WORK_TREE": str(work), "GIT_INDEX_FILE": str(work) + ".index"}

    def git(*words: str | bytes) -> subprocess.CompletedProcess[bytes]:
        command = ["git", "-c", "core.ignoreCase=false", "-c", "core.bare=false", *words]
        return subprocess.run(command, cwd=work, env=env, capture_output=True, check=False)

    assert git("read-tree", base.hex()).returncode == 0
    assert git("checkout-index", "--all").returncode == 0
    done = git("mv", *options, "--", *sources, destination)
    written = git("write-tree")
    failed = done.returncode != 0
    return Outcome(
        None if failed else bytes.fromhex(written.stdout.decode().strip()),
        done.stderr.decode("utf-8", "replace"),
    )


class Moved(NamedTuple):
    """What the engine made of a command."""

    tree: Oid
    changes: tuple[FileChange, ...]


def move(
    bench: Bench,
    base: Oid,
    sources: list[bytes],
    destination: bytes,
    *,
    force: bool = False,
    skip_errors: bool = False,
) -> Moved:
    objects = Objects(bench.repository)
    tree = Tree(objects, base)
    changes = plan_moves(tree, sources, destination, force=force, skip_errors=skip_errors)
    tree.update(tree_updates(changes))
    oid = tree.write()
    objects.flush()
    return Moved(oid, changes)


FILES: Files = {
    b"f": b"one\n",
    b"g": b"two\n",
    b"run.sh": (MODE_EXECUTABLE, b"#!/bin/sh\n"),
    b"link": (MODE_SYMLINK, b"nowhere"),
    b"a/f": b"three\n",
    b"a/deep/x": b"four\n",
    b"ab.c": b"five\n",
    b"d/y": b"six\n",
    b"d/g": b"seven\n",
    b"caf\xe9": b"latin\n",
    b"sub": SUBMODULE,
    b".gitmodules": b'# kept\n[submodule "lib"]\n\tpath = sub\n\turl = ../lib\n',
}
MOVES: list[tuple[list[bytes], bytes, list[bytes]]] = [
    ([b"f"], b"h", [b"h"]),
    ([b"f"], b"d", [b"d/f"]),
    ([b"f"], b"d/", [b"d/f"]),
    ([b"f", b"run.sh", b"link", b"caf\xe9"], b"d", [b"d/f", b"d/run.sh", b"d/link", b"d/caf\xe9"]),
    ([b"a"], b"d", [b"d/a/f", b"d/a/deep/x"]),
    ([b"a/"], b"b", [b"b/f", b"b/deep/x"]),
    ([b"a/"], b"no-such-dir/", [b"no-such-dir/f"]),
    ([b"a"], b"ab", [b"ab/f"]),
    ([b"a/f"], b"a/f-renamed", [b"a/f-renamed"]),
    ([b"a/deep"], b".", [b"deep/x"]),
    ([b"a/deep/x"], b"", [b"x"]),
    ([b"f"], b"F", [b"F"]),
    ([b"link"], b"d/other", [b"d/other"]),
    ([b"./a/../f"], b"d//./h", [b"d/h"]),
    ([b"sub"], b"d/sub", [b"d/sub"]),
    ([b"sub"], b"d", [b"d/sub"]),
    ([b"sub"], b"other/", [b"other"]),
]


@pytest.mark.parametrize(("sources", "destination", "expected"), MOVES)
def test_a_move_gives_the_tree_that_git_mv_gives(
    bench: Bench, sources: list[bytes], destination: bytes, expected: list[bytes]
) -> None:
    """Names, modes and contents are Git's own, and the moved paths are where they were sent."""
    base = bench.tree(FILES)
    outcome = git_mv(bench, base, sources, destination)
    moved = move(bench, base, sources, destination)
    assert moved.tree == outcome.tree, outcome.message
    tree = Tree(Objects(bench.repository), moved.tree)
    assert all(tree.entry(path) is not None for path in expected)


REFUSALS: list[tuple[list[bytes], bytes, type[PatchError]]] = [
    ([b"nothing"], b"d", BadSource),
    ([b"link/x"], b"d", BadSource),
    ([b""], b"h", BadSource),
    ([b"."], b"d", BadSource),
    ([b"f"], b"g", DestinationExists),
    ([b"g"], b"d", DestinationExists),
    ([b"f"], b"link", DestinationExists),
    ([b"f"], b"a", DestinationExists),
    ([b"f"], b"no-such-dir/", NoDirectory),
    ([b"f"], b"no-such-dir//", NoDirectory),
    ([b"f"], b"no-such-dir/.", NoDirectory),
    ([b"f"], b"no/such", NoDirectory),
    ([b"f"], b"g/h", NoDirectory),
    ([b"a"], b"no/such", NoDirectory),
    ([b"f", b"g"], b"h", NoDirectory),
    ([b"f", b"g"], b"ab.c", NoDirectory),
    ([b"f"], b"f", IntoItself),
    ([b"f"], b".", IntoItself),
    ([b"a"], b"a/deep", IntoItself),
    ([b"a"], b"a", IntoItself),
    ([b"a"], b"a/new", IntoItself),
    ([b"a"], b"f", CannotOverwrite),
    ([b"sub"], b"f", CannotOverwrite),
    ([b"f", b"a/f"], b"d", SameTarget),
    ([b"f"], b"../out", UnsafePath),
    ([b"f"], b"/out", UnsafePath),
    ([b"../f"], b"d", UnsafePath),
]


@pytest.mark.parametrize(("sources", "destination", "refusal"), REFUSALS)
def test_what_git_mv_refuses_is_refused_with_its_own_class(
    bench: Bench, sources: list[bytes], destination: bytes, refusal: type[PatchError]
) -> None:
    """Each class is one thing that the caller can do something about."""
    base = bench.tree(FILES)
    assert git_mv(bench, base, sources, destination).tree is None
    with pytest.raises(refusal):
        move(bench, base, sources, destination)


@pytest.mark.parametrize(
    ("sources", "destination", "refusal"),
    [
        ([b"f"], b".git", UnsafePath),
        ([b"f"], b"d/.GIT", UnsafePath),
        ([b"f"], b"link/x", UnsafePath),
        ([b"f"], b"sub/x", UnsafePath),
        ([b"f"], b"sub", UnsafePath),
        ([b"link"], b"d/.gitmodules", UnsafePath),
        ([b"a/f", b"a"], b"d", OverlappingSources),
        ([b"a", b"a/deep/x"], b"d", OverlappingSources),
    ],
)
@pytest.mark.parametrize("skip_errors", [False, True])
def test_what_would_leave_the_tree_is_refused_even_with_skip_errors(
    bench: Bench, sources: list[bytes], destination: bytes, refusal: type[PatchError], skip_errors: bool
) -> None:
    """Some Git versions follow the symlink, or leave index and work tree apart: the engine never does."""
    base = bench.tree(FILES)
    with pytest.raises(refusal):
        move(bench, base, sources, destination, skip_errors=skip_errors, force=True)


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        (b"f", b"g"),
        (b"f", b"link"),
        (b"link", b"f"),
        (b"run.sh", b"f"),
        (b"f", b"run.sh"),
        (b"g", b"d"),
        (b"f", b"a"),
    ],
)
def test_force_overwrites_a_file_as_git_does(bench: Bench, source: bytes, destination: bytes) -> None:
    """The source's content and mode stand at the target; the record says modified, and deleted."""
    base = bench.tree(FILES)
    with pytest.raises(DestinationExists):
        move(bench, base, [source], destination)
    moved = move(bench, base, [source], destination, force=True)
    assert moved.tree == git_mv(bench, base, [source], destination, "-f").tree
    assert sorted(change.operation for change in moved.changes) == ["delete", "modify"]


@pytest.mark.parametrize(("sources", "destination"), [([b"a"], b"d"), ([b"d"], b"f"), ([b"sub"], b"g")])
def test_force_never_overwrites_a_directory(bench: Bench, sources: list[bytes], destination: bytes) -> None:
    """Neither with a file nor with a directory; nor does a directory overwrite a file."""
    base = bench.tree({**FILES, b"d/a/z": b"there\n"})
    with pytest.raises(MoveRefused):
        move(bench, base, sources, destination, force=True)


def test_two_sources_never_overwrite_one_another(bench: Bench) -> None:
    """``git mv -f x/a y/a z`` keeps one of the two when z/a exists; here both stay."""
    base = bench.tree({b"x/a": b"1\n", b"y/a": b"2\n", b"z/a": b"3\n"})
    with pytest.raises(SameTarget):
        move(bench, base, [b"x/a", b"y/a"], b"z", force=True)


def test_skip_errors_moves_what_can_be_moved(bench: Bench) -> None:
    """What is missing, there already or twice the same is left out; nothing to move is no error."""
    base = bench.tree(FILES)
    moved = move(bench, base, [b"nothing", b"g", b"f", b"a/f"], b"d", skip_errors=True)
    assert moved.tree == git_mv(bench, base, [b"nothing", b"g", b"f", b"a/f"], b"d", "-k").tree
    assert [(change.old_path, change.path) for change in moved.changes] == [(b"f", b"d/f")]
    assert move(bench, base, [b"nothing"], b"d", skip_errors=True) == (base, ())


def test_a_directory_without_files_counts_where_the_caller_names_it(bench: Bench) -> None:
    """Git's trees have no empty directories, work trees do: mkdir, then move."""
    base = bench.tree(FILES)
    objects = Objects(bench.repository)
    tree = Tree(objects, base)
    inside = plan_moves(tree, [b"f"], b"new", directories={b"new"})
    assert [change.path for change in inside] == [b"new/f"]
    assert [change.path for change in plan_moves(tree, [b"f"], b"new/h", directories={b"new"})] == [b"new/h"]
    with pytest.raises(BadSource, match="no file of the tree"):
        plan_moves(tree, [b"new"], b"other", directories={b"new"})


def test_a_submodule_takes_its_section_along(bench: Bench) -> None:
    """Only the path in ``.gitmodules`` changes; comments, names and other keys stay."""
    base = bench.tree(FILES)
    moved = move(bench, base, [b"sub"], b"d/lib")
    assert {change.path: change.operation for change in moved.changes} == {
        b".gitmodules": "modify",
        b"d/lib": "rename",
    }
    entry = Tree(Objects(bench.repository), moved.tree).entry(b".gitmodules")
    assert entry is not None
    text = Objects(bench.repository).read_blob(entry.oid)
    assert text == b'# kept\n[submodule "lib"]\n\tpath = d/lib\n\turl = ../lib\n'


def test_a_plan_leaves_the_tree_as_it_is(bench: Bench) -> None:
    """Deciding and committing are two steps: the caller may still refuse."""
    objects = Objects(bench.repository)
    tree = Tree(objects, base := bench.tree(FILES))
    plan_moves(tree, [b"a", b"f"], b"d")
    assert tree.write() == base
    assert objects.fresh_count == 0


@pytest.mark.parametrize(
    ("renames", "removed", "operations"),
    [
        ([Rename(b"a", b"n")], [b"b"], {b"n": "rename", b"b": "delete"}),
        ([Rename(b"a", b"b")], [], {b"a": "delete", b"b": "modify"}),
        ([Rename(b"a", b"b"), Rename(b"b", b"a")], [], {b"a": "modify", b"b": "modify"}),
        ([Rename(b"a", b"same"), Rename(b"same", b"a")], [], {}),
        ([Rename(b"a", b"same")], [], {b"a": "delete"}),
        ([Rename(b"a", b"b"), Rename(b"b", b"n")], [], {b"a": "delete", b"b": "modify", b"n": "copy"}),
        (
            [Rename(b"a", b"b"), Rename(b"b", b"c"), Rename(b"c", b"a")],
            [],
            dict.fromkeys([b"a", b"b", b"c"], "modify"),
        ),
    ],
)
def test_chains_and_swaps_happen_at_once(
    bench: Bench, renames: list[Rename], removed: list[bytes], operations: dict[bytes, str]
) -> None:
    """Each path is in one change, a fold of the record gives the tree, and so does the patch."""
    files = {b"a": b"1\n", b"b": b"2\n2\n", b"c": b"3\n", b"same": b"1\n"}
    objects = Objects(bench.repository)
    tree = Tree(objects, base := bench.tree(files))
    changes = change_tree(tree, renames, removed)
    assert {change.path: change.operation for change in changes} == operations
    expected = {path: content for path, content in files.items() if path not in removed}
    for source, _ in renames:
        del expected[source]
    expected |= {target: files[source] for source, target in renames}
    tree.update(tree_updates(changes))
    result = tree.write()
    assert result == bench.tree(expected)
    assert changes_paths(map(FileRecord.of, changes)) == tree_updates(changes)
    objects.flush()
    assert_is_replayed(bench, base, Moved(result, changes))


def test_what_is_no_leaf_cannot_be_changed(bench: Bench) -> None:
    """That is the caller's mistake, not a patch's."""
    tree = Tree(Objects(bench.repository), bench.tree({b"d/x": b"1\n"}))
    with pytest.raises(RuntimeError):
        change_tree(tree, [Rename(b"d", b"e")])
    with pytest.raises(RuntimeError):
        change_tree(tree, [], [b"missing"])


def test_a_damaged_gitmodules_is_not_edited(bench: Bench) -> None:
    """Nothing is planned: a submodule without its section would be lost to Git."""
    base = bench.tree({b"sub": SUBMODULE, b".gitmodules": b"[submodule\n"})
    with pytest.raises(GitmodulesFailed):
        move(bench, base, [b"sub"], b"other")


@pytest.mark.parametrize(
    ("old", "new", "count"),
    [
        (b"a\nb\n", b"a\nc\nd\n", (2, 1)),
        (b"", b"a\n", (1, 0)),
        (b"a", b"a\n", (1, 1)),
        (b"a\0", b"b\0", None),
        (b"same", b"same", (0, 0)),
        (b"x\n" * 5_000_000, b"", None),
    ],
)
def test_lines_are_counted_for_text_of_bounded_size(
    old: bytes, new: bytes, count: tuple[int, int] | None
) -> None:
    """Binary content and very large files have no count."""
    assert count_lines(old, new) == count


# ── property: beside git, over small trees ──────────────────────────────────────────────────────

NAMES = [b"a", b"b", b"ab", b"A", b"caf\xe9"]
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(b"/".join)
LEAVES = st.sampled_from(
    [b"one\n", b"two\n2\n", b"", b"\0bin", (MODE_EXECUTABLE, b"one\n"), (MODE_SYMLINK, b"nowhere"), SUBMODULE]
)


@st.composite
def trees(draw: st.DrawFn) -> dict[bytes, bytes | tuple[int, bytes]]:
    """A tree in which no file is a directory too."""
    drawn = draw(st.dictionaries(PATHS, LEAVES, min_size=1, max_size=7))
    return {
        path: leaf
        for path, leaf in drawn.items()
        if not any(other.startswith(path + b"/") for other in drawn)
    }


def directories_of(files: Files) -> list[bytes]:
    """Every directory of the tree, the root first, as the prefix of what is in it."""
    return sorted(
        {path[: at + 1] for path in files for at in range(-1, len(path)) if at < 0 or path[at] == 47}
    )


@st.composite
def moves(draw: st.DrawFn, files: Files) -> tuple[list[bytes], bytes]:
    """A command that is likely to make sense: leaves and directories, to a new name or a directory."""
    directories = directories_of(files)
    named = [directory.rstrip(b"/") for directory in directories[1:]]
    source = st.sampled_from([*files, *files, *named]) | PATHS
    sources = draw(st.lists(source, min_size=1, max_size=3))
    new = st.builds(bytes.__add__, st.sampled_from(directories), st.sampled_from([b"n", b"m/n", *NAMES]))
    destination = draw(st.sampled_from(directories) | new | st.sampled_from([*files, b"."]) | PATHS)
    slash = draw(st.sampled_from([b"", b"", b"", b"/"]))
    return sources, destination.rstrip(b"/") + slash if destination.rstrip(b"/") else b"."


def comparable(files: Files, sources: list[bytes], force: bool, skip_errors: bool) -> bool:
    """Tell whether Git does not do what the engine refuses on purpose: see the module's docstring."""
    names = [source.rstrip(b"/") for source in sources]
    overlapping = any(
        one != other and (one + b"/").startswith(other + b"/") for one in names for other in names
    )
    basenames = [name.rpartition(b"/")[2] for name in names]
    repeated = len(set(basenames)) < len(basenames)
    whole = all(name in files and files[name] != SUBMODULE for name in names)
    return not overlapping and not (repeated and (force or not whole)) and (whole or not skip_errors)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_moves_agree_with_git_mv(bench: Bench, data: st.DataObject) -> None:
    """Same success or failure, same tree, and the diff applied gives it once more."""
    files = data.draw(trees())
    sources, destination = data.draw(moves(files))
    force, skip_errors = data.draw(st.booleans()), data.draw(st.booleans())
    assume(comparable(files, sources, force, skip_errors))
    base = bench.tree(files)
    try:
        moved = move(bench, base, sources, destination, force=force, skip_errors=skip_errors)
    except UnsafePath:
        event("unsafe")
        return  # Git would follow the symlink, or put a file into the submodule.
    except MoveRefused as refusal:
        event(f"refused: {type(refusal).__name__}")
        moved = None
    outcome = git_mv(bench, base, sources, destination, *(["-f"] * force), *(["-k"] * skip_errors))
    if moved is None:
        assert outcome.tree is None
        return
    assert outcome.tree == moved.tree, outcome.message
    event(f"moved: {', '.join(sorted({change.operation for change in moved.changes}))}")
    assert_is_replayed(bench, base, moved)


def assert_is_replayed(bench: Bench, base: Oid, moved: Moved) -> None:
    """The recorded patch bytes give the same tree, with the same counts where Git pairs the same files."""
    patch = diff_trees(bench.path, base, moved.tree)
    if not patch:
        assert moved.tree == base
        return
    tree = Tree(Objects(bench.repository), base)
    apply_patch(tree, parse_patch(patch))
    assert tree.write() == moved.tree


def test_the_record_of_a_move_is_what_its_patch_says(bench: Bench) -> None:
    """Paths, entries and line counts are those of the patch, an overwritten file's too."""
    base = bench.tree({b"a/x": b"1\n2\n", b"x": b"2\n3\n4\n", b"b/y": b"5\n"})
    moved = move(bench, base, [b"a/x"], b".", force=True)
    tree = Tree(Objects(bench.repository), base)
    assert moved.changes == tuple(
        sorted(apply_patch(tree, parse_patch(diff_trees(bench.path, base, moved.tree))), key=lambda c: c.path)
    )


def test_a_move_in_a_large_tree_reads_no_blob(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rename keeps its entries: what is in a thousand files does not matter."""
    files = {b"d%02d/%03d" % (n // 500, n): b"%d\n" % (n % 7) for n in range(5000)}
    base = bench.tree(files)
    objects = Objects(bench.repository)
    monkeypatch.setattr(objects, "read_blob", lambda oid: pytest.fail("a blob was read"))
    changes = plan_moves(Tree(objects, base), [b"d03", b"d04"], b"d05")
    assert len(changes) == 1000

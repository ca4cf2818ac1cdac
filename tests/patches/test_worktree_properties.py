"""Random trees, edits and dirt: refused and unchanged, or exactly after; nothing else is ever written."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from worktree_lab import Edit, File, Lab, executable, read_tree_of_files, symlink

from patches.worktree_errors import WorkTreeRefusal

PATHS = [b"a", b"a/x", b"a/x/y", b"b", b"b c/\xff", b"d/e", b"d/f/g", b"d/f/h\n", b"z"]
CONTENTS = [b"", b"1\n", b"2\n", b"12345\n", b"no end"]

files = st.one_of(
    st.sampled_from(CONTENTS).map(File),
    st.sampled_from(CONTENTS).map(executable),
    st.sampled_from([b"a", b"../outside", b"d", b"\xfe"]).map(symlink),
)


def is_consistent(tree: dict[bytes, File]) -> bool:
    return not any(other.startswith(path + b"/") for path in tree for other in tree)


trees = st.dictionaries(st.sampled_from(PATHS), files, max_size=7).filter(is_consistent)
dirt = st.lists(
    st.tuples(
        st.sampled_from(["write", "remove", "mode", "link", "stage", "unstage"]), st.sampled_from(PATHS)
    ),
    max_size=4,
)


def soil(lab: Lab, ops: list[tuple[str, bytes]]) -> set[bytes]:
    """Do to the work tree what people do; return the paths where it worked."""
    done: set[bytes] = set()
    for op, path in ops:
        target = lab.path(path)
        try:
            if op == "write":
                if target.is_symlink():
                    target.unlink()
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(b"mine %d\n" % len(done))
            elif op == "remove":
                shutil.rmtree(target) if target.is_dir() and not target.is_symlink() else target.unlink()
            elif op == "mode":
                if target.is_symlink() or not target.is_file():
                    continue
                target.chmod(target.stat().st_mode ^ 0o111)
            elif op == "link":
                if target.is_dir() and not target.is_symlink():
                    shutil.rmtree(target)
                target.unlink(missing_ok=True)
                target.symlink_to("../outside")
            elif op == "stage":
                lab.git("add", "--force", "--", b":(literal)" + path)
            else:
                lab.git("rm", "--cached", "-r", "--quiet", "--", b":(literal)" + path)
        except (OSError, AssertionError):
            continue
        done.add(path)
    return done


def related(path: bytes, other: bytes) -> bool:
    return path == other or path.startswith(other + b"/") or other.startswith(path + b"/")


def only_files(found: dict[bytes, object]) -> dict[bytes, object]:
    return {path: content for path, content in found.items() if content is not None}


def shown(file: File) -> object:
    return file.data if file.mode == 0o120000 else (file.mode == 0o100755, file.data)


def staged(lab: Lab) -> dict[bytes, bytes]:
    lines = lab.git("ls-files", "--stage", "-z").split(b"\0")[:-1]
    return {line.partition(b"\t")[2]: line.partition(b"\t")[0] for line in lines}


class World:
    def __init__(self, root: Path, base: dict[bytes, File], result: dict[bytes, File]) -> None:
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        self.outside = root / "outside"
        self.outside.mkdir()
        for path in (b"x", b"e", b"f/g"):
            target = Path(os.fsdecode(os.fsencode(self.outside) + b"/" + path))
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(b"outside\n")
        self.lab = Lab.create(root / "repo", base)
        self.edit: Edit = {
            path: result.get(path) for path in sorted(base | result) if base.get(path) != result.get(path)
        }
        self.touches = self.lab.touches(self.edit)

    def freeze(self) -> None:
        self.before = only_files(self.lab.files())
        self.index = staged(self.lab)
        self.afar = read_tree_of_files(self.outside)

    def assert_exactly_after(self) -> None:
        kept = {path: content for path, content in self.before.items() if path not in self.edit}
        new = {path: shown(file) for path, file in self.edit.items() if isinstance(file, File)}
        assert only_files(self.lab.files()) == kept | new
        entries = {path: line for path, line in self.index.items() if path not in self.edit}
        for touch in self.touches:
            if touch.new is not None:
                entries[touch.path] = b"%o %s 0" % (touch.new.mode, touch.new.oid.hex().encode())
        assert staged(self.lab) == entries
        for path in self.edit:
            self.lab.git("diff-files", "--quiet", "--", b":(literal)" + path)

    def assert_outside(self) -> None:
        assert read_tree_of_files(self.outside) == self.afar


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("world") / "world"


@given(base=trees, result=trees, ops=dirt)
def test_refused_and_unchanged_or_exactly_after(
    place: Path, base: dict[bytes, File], result: dict[bytes, File], ops: list[tuple[str, bytes]]
) -> None:
    world = World(place, base, result)
    lab = world.lab
    soiled = soil(lab, ops)
    world.freeze()
    before = lab.snapshot()
    try:
        ready = lab.tree.stage(world.touches)
    except WorkTreeRefusal as error:
        ready, refused = None, set(error.paths)
    else:
        refused = set[bytes]()
    assert lab.snapshot() == before
    if ready is None:
        assert refused <= set(world.edit)
        assert any(related(path, other) for path in soiled for other in world.edit)
    else:
        assert lab.tree.publish(ready) == ()
        world.assert_exactly_after()
    world.assert_outside()


@given(base=trees, result=trees, ops=dirt)
def test_converge_writes_only_over_what_was_handed_over(
    place: Path, base: dict[bytes, File], result: dict[bytes, File], ops: list[tuple[str, bytes]]
) -> None:
    """From any state: each touched path is new or as it was, the rest as it was; again changes nothing."""
    world = World(place, base, result)
    lab = world.lab
    soil(lab, ops)
    world.freeze()
    left = lab.tree.converge(world.touches)
    now = only_files(lab.files())
    for path in world.before.keys() | now.keys():
        file = world.edit.get(path)
        allowed = [world.before.get(path)]
        if path in world.edit and allowed[0] in (shown(base[path]) if path in base else None, None):
            allowed.append(shown(file) if isinstance(file, File) else None)
        assert now.get(path) in allowed, path
    if not left:
        kept = {path: content for path, content in world.before.items() if path not in world.edit}
        assert now == kept | {
            path: shown(file) for path, file in world.edit.items() if isinstance(file, File)
        }
    world.assert_outside()
    assert lab.tree.converge(world.touches) == left or set(lab.tree.converge(world.touches)) <= set(left)
    assert only_files(lab.files()) == now


@given(base=trees, result=trees, ops=dirt)
def test_edits_between_stage_and_publish_survive(
    place: Path, base: dict[bytes, File], result: dict[bytes, File], ops: list[tuple[str, bytes]]
) -> None:
    world = World(place, base, result)
    lab = world.lab
    ready = lab.tree.stage(world.touches)
    soil(lab, ops)
    world.freeze()
    left = {each.path for each in lab.tree.publish(ready)}
    now = only_files(lab.files())
    for path, content in world.before.items():
        if path in world.edit and content == (shown(base[path]) if path in base else None):
            continue  # handed over
        file = world.edit.get(path)
        same_as_new = isinstance(file, File) and content == shown(file)
        assert now.get(path) == content or same_as_new, path
        assert path not in world.edit or path in left
    world.assert_outside()

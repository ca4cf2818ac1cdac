"""Trees in memory against Git's index: any sequence of changes gives Git's own oid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patches.errors import MissingObject
from patches.model import MODE_EXECUTABLE, MODE_FILE, MODE_SYMLINK, Entry
from patches.objects import Objects
from patches.oids import EMPTY_TREE, hash_blob
from patches.packs import encode_pack, write_pack
from patches.tree import Tree

if TYPE_CHECKING:
    from patch_lab import Bench

PARTS = [b"a", b"b", b"a.b", b"a-b", b"a0", b"ab", b"\xff", b"z z"]
paths = st.lists(st.sampled_from(PARTS), min_size=1, max_size=3).map(b"/".join)
entries = st.tuples(
    st.sampled_from([MODE_FILE, MODE_EXECUTABLE, MODE_SYMLINK]), st.sampled_from([b"1", b"2", b"3"])
)


def consistent(state: dict[bytes, tuple[int, bytes]], path: bytes) -> dict[bytes, tuple[int, bytes]]:
    """Remove what cannot stand beside a file at ``path``."""
    return {
        other: value
        for other, value in state.items()
        if not other.startswith(path + b"/") and not path.startswith(other + b"/")
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.dictionaries(paths, st.none() | entries, max_size=7), max_size=4))
def test_updates_give_the_oid_of_git(
    bench: Bench, steps: list[dict[bytes, tuple[int, bytes] | None]]
) -> None:
    """Set, replace, remove, files for directories and back, one by one and many at once."""
    objects = Objects(bench.repository)
    tree = Tree(objects, EMPTY_TREE)
    state: dict[bytes, tuple[int, bytes]] = {}
    for step in steps:
        before = state
        for path, value in step.items():
            state = {other: kept for other, kept in state.items() if other != path}
            if value is not None:
                state = {**consistent(state, path), path: value}
        removed = dict.fromkeys(before.keys() - state.keys(), None)
        added = {path: Entry(mode, objects.add_blob(data)) for path, (mode, data) in state.items()}
        tree.update({**removed, **{path: entry for path, entry in added.items() if step.get(path)}})
        assert dict(tree.entries()) == added
        assert tree.write() == bench.tree(state)
        assert list(dict(tree.entries())) == list(dict(Tree(objects, tree.write()).entries()))
    for path, (mode, data) in state.items():
        assert tree.entry(path) == Entry(mode, hash_blob(data))
        assert tree.entry(path + b"/x") is None


def test_entries_come_in_the_order_of_ls_tree(bench: Bench) -> None:
    """Also below one directory."""
    oid = bench.tree({b"a-b": b"", b"a/c": b"", b"a/b/c": b"", b"a.c": b"", b"a0": b""})
    tree = Tree(Objects(bench.repository), oid)
    listed = bench.git("ls-tree", "-r", "-z", "--name-only", oid.hex()).stdout.split(b"\0")[:-1]
    assert [path for path, _ in tree.entries()] == listed
    assert [path for path, _ in tree.entries(b"a")] == [b"a/b/c", b"a/c"]
    assert [*tree.entries(b"nowhere"), *tree.entries(b"a-b")] == []


def test_odd_records_stay_as_they_are(bench: Bench) -> None:
    """A tree that an old Git wrote keeps its modes where the patch does not touch them."""
    blob = hash_blob(b"x")
    bench.repository.create_blob(b"x")
    odd = b"100664 old\0" + blob + b"100644 z\0" + blob
    (oid,) = [
        bytes.fromhex(
            bench.git("hash-object", "-t", "tree", "--literally", "-w", "--stdin", feed=odd).stdout.decode()
        )
    ]
    objects = Objects(bench.repository)
    tree = Tree(objects, oid)
    assert tree.entry(b"old") == Entry(MODE_FILE, blob)
    other = objects.add_blob(b"y")
    tree.update({b"z": Entry(MODE_FILE, other), b"n": Entry(MODE_FILE, other)})
    assert (
        objects.read_tree(tree.write())
        == b"100644 n\0" + other + b"100664 old\0" + blob + b"100644 z\0" + other
    )
    tree.update({b"old": Entry(MODE_FILE, other)})
    assert b"100664 old\0" + other in objects.read_tree(tree.write())


def test_nothing_is_written_before_the_flush(bench: Bench) -> None:
    """New objects can be read at once, and are in the repository only after ``flush``."""
    objects = Objects(bench.repository)
    oid = objects.add_blob(b"new content")
    assert objects.read_blob(oid) == b"new content"
    assert oid.hex() not in bench.repository
    assert (objects.fresh_count, objects.flush(), objects.flush()) == (1, 1, 0)
    assert oid.hex() in bench.repository
    gone = objects.add_blob(b"dropped")
    assert objects.forget() == 1
    assert objects.flush() == 0
    assert gone.hex() not in bench.repository


def test_many_objects_are_one_pack(bench: Bench) -> None:
    """Git accepts it, and everything in it is read back."""
    objects = Objects(bench.repository)
    blobs = {b"%d/%d" % (n % 7, n): b"content %d\n" % n * n for n in range(400)}
    tree = Tree(objects, EMPTY_TREE)
    tree.update({path: Entry(MODE_FILE, objects.add_blob(data)) for path, data in blobs.items()})
    oid = tree.write()
    assert objects.flush() > 400
    assert len(list((bench.path / "objects/pack").glob("*.pack"))) == 1
    bench.git("fsck", "--strict", "--full")
    fresh = Objects(bench.repository)
    assert {path: fresh.read_blob(entry.oid) for path, entry in Tree(fresh, oid).entries()} == blobs


def test_a_pack_has_no_limit_on_sizes(bench: Bench) -> None:
    """Sizes of one, two and three bytes of header."""
    contents = [b"", b"x" * 15, b"x" * 16, b"x" * 2047, b"x" * 2048, b"x" * 300_000]
    assert b"".join(encode_pack([(3, data) for data in contents])).startswith(b"PACK\0\0\0\2\0\0\0\6")
    write_pack(str(bench.path), [(3, data) for data in contents])
    objects = Objects(bench.repository)
    assert [objects.read_blob(hash_blob(data)) for data in contents] == contents


def test_the_cache_keeps_its_bound(bench: Bench) -> None:
    """What was pushed out is read from the repository again."""
    objects = Objects(bench.repository, cached_bytes=1000)
    oids = [objects.add_blob(b"%d" % n * 100) for n in range(30)]
    objects.flush()
    assert [objects.read_blob(oid) for oid in oids] == [b"%d" % n * 100 for n in range(30)]


def test_missing_objects_have_their_own_error(bench: Bench) -> None:
    """A shallow or damaged repository is no programmer's mistake."""
    objects = Objects(bench.repository)
    with pytest.raises(MissingObject) as missing:
        Tree(objects, bytes(20))
    assert missing.value.oid == bytes(20)
    with pytest.raises(MissingObject):
        objects.read_blob(bytes.fromhex("11" * 20))
    assert not objects.has_blob(bytes(20))
    with pytest.raises(MissingObject):
        objects.read_blob(bench.tree({b"a": b"x"}))


def test_a_file_is_never_put_over_a_directory(bench: Bench) -> None:
    """That would lose files without a word; it is a mistake of the caller."""
    tree = Tree(Objects(bench.repository), bench.tree({b"d/f": b"x"}))
    with pytest.raises(RuntimeError):
        tree.update({b"d": Entry(MODE_FILE, hash_blob(b"x"))})
    with pytest.raises(RuntimeError):
        tree.update({b"d/f/g": Entry(MODE_FILE, hash_blob(b"x"))})

"""Objects that are never written: what memory has no room for is read back, whether the repository has it or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patches.errors import MissingObject
from patches.model import MODE_FILE, Entry
from patches.oids import EMPTY_TREE, hash_blob
from patches.scratchobjects import ScratchObjects
from patches.tree import Tree

if TYPE_CHECKING:
    from patch_lab import Bench

contents = st.lists(st.tuples(st.binary(max_size=40), st.booleans()), max_size=40)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=contents)
def test_every_blob_can_be_read_back(bench: Bench, contents: list[tuple[bytes, bool]]) -> None:
    """Whatever is set aside when, some of it known to the repository: each oid gives its bytes."""
    objects = ScratchObjects(bench.repository, fresh_bytes=64)
    for data, known in contents:
        if known:
            bench.repository.create_blob(data)
        assert objects.add_blob(data) == hash_blob(data)
    for data, _ in contents:
        assert objects.has_blob(hash_blob(data))
        assert objects.read_blob(hash_blob(data)) == data


def test_memory_has_a_bound(bench: Bench) -> None:
    """New objects leave it as soon as there are too many; a tree of them is read back from where they are."""
    objects = ScratchObjects(bench.repository, fresh_bytes=1000)
    tree = Tree(objects, EMPTY_TREE)
    oids: list[bytes] = []
    for number in range(100):
        tree.update({b"d/%d" % number: Entry(MODE_FILE, objects.add_blob(b"%d" % number * 50))})
        oids.append(tree.write())
        assert sum(len(data) for _, data in objects._fresh.values()) <= 1000
    for number, oid in enumerate(oids):
        listed = list(Tree(objects, oid).entries())
        assert len(listed) == number + 1
    with pytest.raises(RuntimeError):
        objects.flush()


def test_what_was_never_there_is_missing(bench: Bench) -> None:
    """A blob is no tree either."""
    objects = ScratchObjects(bench.repository, fresh_bytes=0)
    blob = objects.add_blob(b"never written")
    assert not objects.has_blob(b"\1" * 20)
    for oid in (b"\1" * 20, blob):
        with pytest.raises(MissingObject):
            objects.read_tree(oid)

"""Commits of a range and the patches between them, beside what git says of each one by itself."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_oracle import HOSTILE
from tree_author import Author

from patches.commits import LogFailed, list_commits
from patches.diff import DiffFailed, diff_chain, diff_trees
from patches.oids import EMPTY_TREE

if TYPE_CHECKING:
    from patch_lab import Bench

IDENTITY = ("-c", "user.name=Zo <o", "-c", "user.email=z@e.org", "-c", "i18n.commitEncoding=ISO-8859-1")
LOG = {
    "log.showSignature": "true",
    "log.mailmap": "true",
    "log.follow": "true",
    "log.decorate": "full",
    "log.diffMerges": "combined",
    "format.pretty": "oneline",
    "notes.displayRef": "*",
    "i18n.logOutputEncoding": "UTF-16",
    "color.ui": "always",
}


def commit(bench: Bench, tree: bytes, message: bytes, *parents: str) -> str:
    named = [word for parent in parents for word in ("-p", parent)]
    return bench.git(*IDENTITY, "commit-tree", tree.hex(), *named, feed=message).stdout.decode().strip()


def test_commits_are_as_git_log_has_them(bench: Bench) -> None:
    """Oldest first, along first parents; texts as UTF-8, whatever the configuration asks of git log."""
    trees = [bench.tree({b"f": b"%d\n" % number}) for number in range(4)]
    root = commit(bench, trees[0], b"root\n")
    side = commit(bench, trees[1], b"side\n", root)
    middle = commit(bench, trees[2], "mïddle\n\nbody\n\n".encode("latin-1"), root)
    merge = commit(bench, trees[3], b"", middle, side)
    for name, value in LOG.items():
        bench.repository.config[name] = value
    bench.git("replace", middle, side)
    listed = list_commits(bench.path, None, merge)
    assert [c.oid for c in listed] == [root, middle, merge]
    assert [c.tree for c in listed] == [trees[0].hex(), trees[2].hex(), trees[3].hex()]
    assert [c.parents for c in listed] == [(), (root,), (middle, side)]
    assert [c.message for c in listed] == ["root\n", "mïddle\n\nbody\n\n", ""]
    assert {c.author for c in listed} == {"Zo o <z@e.org>"}
    assert listed[1].date.endswith("+0000")
    assert [c.oid for c in list_commits(bench.path, root, merge)] == [middle, merge]
    assert [c.oid for c in list_commits(bench.path, middle, side)] == [side]
    assert list_commits(bench.path, merge, middle) == []
    with pytest.raises(LogFailed):
        list_commits(bench.path, None, "11" * 20)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_a_chain_is_the_patches_one_by_one(bench: Bench, seed: int) -> None:
    """One process gives what a process for each gives, with trees that stay as they are between them."""
    author = Author(seed)
    files = [author.tree()]
    for number in range(5):
        files.append(files[-1] if number == 2 else author.changed(files[-1]))
    trees = [EMPTY_TREE, *map(bench.tree, files)]
    for name, value in HOSTILE.items():
        bench.repository.config[name] = value
    wanted = [diff_trees(bench.path, old, new) for old, new in pairwise(trees)]
    assert list(diff_chain(bench.path, trees)) == wanted


def test_a_file_that_looks_like_the_end_of_a_patch(bench: Bench) -> None:
    """Lines that name two trees, as git does before each patch, in text and in binary content."""
    line = b"%b %b\n" % (
        b"4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        b"4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    )
    first, second = bench.tree({b"f": line * 9}), bench.tree({b"f": line * 4 + b"\0" + line, b"g": line})
    trees = [EMPTY_TREE, first, second, EMPTY_TREE, EMPTY_TREE]
    wanted = [diff_trees(bench.path, old, new) for old, new in pairwise(trees)]
    assert list(diff_chain(bench.path, trees)) == wanted
    assert list(diff_chain(bench.path, [first])) == []


def test_a_chain_names_the_tree_that_is_missing(bench: Bench) -> None:
    """After the patches before it, with git's own reason."""
    chain = diff_chain(bench.path, [EMPTY_TREE, bench.tree({b"f": b"f"}), bytes.fromhex("11" * 20)])
    with pytest.raises(DiffFailed, match="11" * 20):
        list(chain)


def test_a_chain_may_be_left(bench: Bench) -> None:
    """Who has enough stops git too."""
    trees = [bench.tree({b"f": b"%d\n" % number * 100_000}) for number in range(6)]
    chain = diff_chain(bench.path, trees)
    assert next(chain) == diff_trees(bench.path, trees[0], trees[1])
    chain.close()

"""The index is replaced whole or not at all, under Git's lock, and keeps everything that was not touched."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from worktree_lab import IDENTITY, Lab

from patches.gitindex import IndexFile, IndexUpdate, unsupported_feature
from patches.worktree_errors import IndexLocked, IndexUnreadable

BASE = {b"a": b"1\n", b"b": b"2\n", b"d/c": b"3\n", b"d/e/f": b"4\n", b"d.x": b"5\n"}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab.create(tmp_path / "repo", BASE)


@pytest.fixture
def index(lab: Lab) -> IndexFile:
    index = IndexFile(lab.git_dir, lab.staging)
    index.read()
    return index


def update(lab: Lab, index: IndexFile, path: bytes, data: bytes | None) -> tuple[bytes, ...]:
    touch = lab.touches({path: data})[0]
    return index.replace([IndexUpdate(*touch, None)])


def test_version_4_stays_version_4(lab: Lab) -> None:
    lab.git("update-index", "--index-version", "4")
    lab.assert_after(lab.apply({b"a": b"11\n", b"d/new": b"n\n"}))
    assert (lab.git_dir / "index").read_bytes()[:8] == b"DIRC\0\0\0\4"


def test_cached_trees_of_touched_directories_are_dropped_and_others_kept(lab: Lab) -> None:
    lab.git(*IDENTITY, "commit", "--allow-empty", "-qm", "writes the cached trees")
    assert b"TREE" in (lab.git_dir / "index").read_bytes()
    touches = lab.apply({b"d/e/f": b"44\n"})
    assert b"TREE" in (lab.git_dir / "index").read_bytes()
    lab.assert_after(touches)


def test_conflicts_elsewhere_stay(lab: Lab) -> None:
    oid = lab.git("rev-parse", "HEAD:b").strip()
    stages = b"0 %s\tb\n" % (b"0" * 40) + b"".join(b"100644 %s %d\tb\n" % (oid, n) for n in (1, 2, 3))
    lab.git("update-index", "--index-info", data=stages)
    before = lab.git("ls-files", "--unmerged")
    lab.apply({b"a": b"11\n"})
    assert lab.git("ls-files", "--unmerged") == before != b""


def test_unknown_optional_extensions_do_not_matter(lab: Lab) -> None:
    """The untracked cache is a cache: it goes, and Git makes it again."""
    lab.git("update-index", "--force-untracked-cache")
    lab.status()
    lab.assert_after(lab.apply({b"a": b"11\n"}))


def test_permissions_stay(lab: Lab) -> None:
    (lab.git_dir / "index").chmod(0o660)
    lab.apply({b"a": b"11\n"})
    assert (lab.git_dir / "index").stat().st_mode & 0o777 == 0o660


def test_a_copy_that_libgit2_cannot_see_is_no_empty_index(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Libgit2 takes any error of its `stat` for "no file", and no file for an index without entries."""
    before = (lab.git_dir / "index").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", lambda path, data: len(data))
        with pytest.raises(IndexUnreadable, match="5 entries"):
            IndexFile(lab.git_dir, lab.staging).read()
    assert (lab.git_dir / "index").read_bytes() == before
    assert not (lab.git_dir / "index.lock").exists()


def test_damaged_index(lab: Lab) -> None:
    path = lab.git_dir / "index"
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    with pytest.raises(IndexUnreadable) as caught:
        lab.tree.check(lab.touches({b"a": b"11\n"}))
    assert caught.value.index == str(path)
    with pytest.raises(IndexUnreadable):
        lab.tree.converge(lab.touches({b"a": b"11\n"}))
    assert path.read_bytes() == data
    assert lab.path(b"a").read_bytes() == b"1\n"


def test_read_follows_what_others_write(lab: Lab, index: IndexFile) -> None:
    lab.put(b"x", b"x\n")
    lab.git("add", "x")
    index.read()
    assert index.disagreement(b"x", lab.entry(b"x\n")) is None
    assert update(lab, index, b"a", b"11\n") == ()
    assert index.disagreement(b"a", lab.entry(b"11\n")) is None
    lab.git("add", "a")
    index.read()
    assert index.disagreement(b"a", lab.entry(b"1\n")) is None


@pytest.mark.parametrize(
    ("path", "leaving", "other"),
    [
        (b"d", frozenset[bytes](), b"d/c"),
        (b"d", frozenset({b"d/c"}), b"d/e/f"),
        (b"d", frozenset({b"d/c", b"d/e/f"}), None),
        (b"a/x/y", frozenset[bytes](), b"a"),
        (b"a/x/y", frozenset({b"a"}), None),
        (b"z", frozenset[bytes](), None),
        (b"", frozenset[bytes](), None),
        (b"d/e", frozenset[bytes](), b"d/e/f"),
    ],
)
def test_collision_of_file_and_directory(
    index: IndexFile, path: bytes, leaving: frozenset[bytes], other: bytes | None
) -> None:
    assert index.collision(path, leaving) == other


def test_entry_staged_below_a_new_file_is_not_dropped(lab: Lab) -> None:
    staged = lab.tree.stage(lab.touches({b"d/c": None, b"d/e/f": None, b"d": b"file\n"}))
    oid = lab.git("hash-object", "-w", "--stdin", data=b"mine").decode().strip()
    lab.git("update-index", "--add", "--cacheinfo", f"100644,{oid},d/mine")
    assert [each.path for each in lab.tree.publish(staged)] == [b"d"]
    assert lab.git("ls-files", "--", "d").split() == [b"d/mine"]


# ── the lock ─────────────────────────────────────────────────────────────────────────────────────


def test_lock_is_gits_own(lab: Lab, index: IndexFile) -> None:
    """While it is held Git cannot write the index; an exclusive name, with its mark from the first moment."""
    index.acquire_lock(0)
    assert (lab.git_dir / "index.lock").read_bytes() == b"ledger %d\n" % os.getpid()
    done = subprocess.run(["git", "add", "--refresh", "a"], cwd=lab.root, capture_output=True, check=False)
    assert b"index.lock" in done.stderr
    index.release_lock()
    lab.git("add", "--refresh", "a")


def test_lock_waits_for_a_short_lived_holder(lab: Lab, index: IndexFile) -> None:
    lock = lab.git_dir / "index.lock"
    lock.write_bytes(b"")
    remover = subprocess.Popen(["sh", "-c", f"sleep 0.1; rm '{lock}'"])
    index.acquire_lock(10)
    remover.wait()
    assert lock.read_bytes().startswith(b"ledger ")


def test_lock_gives_up(lab: Lab, index: IndexFile) -> None:
    (lab.git_dir / "index.lock").write_bytes(b"DIRC")
    start = time.monotonic()
    with pytest.raises(IndexLocked) as caught:
        index.acquire_lock(0.1)
    assert 0.1 <= time.monotonic() - start < 5
    assert caught.value.lock == str(lab.git_dir / "index.lock")
    index.clear_lock()
    assert (lab.git_dir / "index.lock").exists()


# ── what cannot be worked with ───────────────────────────────────────────────────────────────────


def test_ordinary_repository(lab: Lab) -> None:
    assert unsupported_feature(lab.git_dir) is None


def test_sha256(tmp_path: Path, lab: Lab) -> None:
    lab.git("init", "--quiet", "--object-format=sha256", str(tmp_path / "other"))
    assert unsupported_feature(tmp_path / "other/.git") == "SHA-256 object names"


def test_reftable(lab: Lab) -> None:
    lab.git("config", "core.repositoryformatversion", "1")
    with (lab.git_dir / "config").open("a") as config:
        config.write("[extensions]\n\trefStorage = reftable\n")
    assert unsupported_feature(lab.git_dir) == "reftable"


def test_sparse_checkout(lab: Lab, tmp_path: Path) -> None:
    lab.git("sparse-checkout", "set", "--cone", "d")
    assert unsupported_feature(lab.git_dir) == "sparse checkout"
    lab.git("config", "core.sparseCheckout", "true")
    lab.git("sparse-checkout", "disable")
    assert unsupported_feature(lab.git_dir) is None, "the work tree's own configuration has the last word"


def test_sparse_index(lab: Lab) -> None:
    lab.git("sparse-checkout", "set", "--cone", "--sparse-index", "zzz")
    for name in ("core.sparseCheckout",):
        lab.git("config", "--worktree", name, "false")
    assert unsupported_feature(lab.git_dir) == "sparse index"


def test_split_index(lab: Lab) -> None:
    lab.git("update-index", "--split-index")
    assert unsupported_feature(lab.git_dir) == "split index"
    with pytest.raises(IndexUnreadable, match="link"):
        lab.tree.check(lab.touches({b"a": b"x"}))


def test_names_that_look_like_extensions_are_names(tmp_path: Path) -> None:
    names = dict.fromkeys([b"link", b"sdir", b"xlink\1\2\3", b"link/sdir"[5:] + b"2"], b"link\0\0\0\0")
    lab = Lab.create(tmp_path / "repo", names)
    assert unsupported_feature(lab.git_dir) is None


def test_linked_work_tree(lab: Lab, tmp_path: Path) -> None:
    lab.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    other = Lab(lab.root, work_tree=tmp_path / "linked")
    assert unsupported_feature(other.git_dir) is None
    other.git("update-index", "--split-index")
    assert unsupported_feature(other.git_dir) == "split index"
    assert unsupported_feature(lab.git_dir) is None

"""Refs of runs between clones, looked at with Git alone: own ones go up, others' come down, nobody's are forced."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.api import Ledger
from ledger.errors import GitFailed
from ledger.operations.refsync import Moved
from ledger.sharing_errors import NoRemote, RefsRefused

BASE = {"a.txt": b"one\ntwo\nthree\n", "d/b.txt": b"bee\n"}


class Clones:
    """A bare remote and clones of it."""

    def __init__(self, folder: Path, git: Callable[..., str], repo: Path) -> None:
        self._git, self.hub, self._folder = git, folder / "hub.git", folder
        git("clone", "--quiet", "--bare", repo, self.hub)

    def clone(self, name: str) -> Path:
        self._git("clone", "--quiet", self.hub, self._folder / name)
        return self._folder / name

    def git(self, *words: str, at: Path | None = None) -> str:
        return self._git(*words, cwd=at or self.hub)

    def refs(self, prefix: str = "refs/ledger", *, at: Path | None = None) -> dict[str, str]:
        listed = self.git("for-each-ref", "--format=%(refname) %(objectname)", prefix, at=at)
        return {ref: oid for ref, _, oid in (line.partition(" ") for line in listed.splitlines())}


@pytest.fixture
def clones(tmp_path: Path, git: Callable[..., str], make_repo: Callable[..., Path]) -> Clones:
    return Clones(tmp_path, git, make_repo(BASE))


def work(root: Path, run: str, text: bytes = b"one\nTWO\nthree\n") -> None:
    """Record one edit in a run."""
    with Ledger.open(root) as ledger:
        ledger.run(f"work on {run}", name=run)
        (root / "a.txt").write_bytes(text)
        ledger.record()


def sync(root: Path, remote: str = "", *, dry_run: bool = False) -> tuple[Moved, ...]:
    with Ledger.open(root) as ledger:
        return ledger.sync_refs(remote, dry_run=dry_run).moved


def test_two_clones_and_a_bare_remote(clones: Clones) -> None:
    """What one recorded the other has after both have synced: every object, and no ref of its own has moved."""
    one, two = clones.clone("one"), clones.clone("two")
    work(one, "first")
    work(two, "second", b"one\nzwei\nthree\n")
    assert [(each.way, each.ref, each.old) for each in sync(one)] == [
        ("pushed", "refs/ledger/first/events", "")
    ]
    before = clones.refs(at=two)
    moved = sync(two)
    assert [(each.way, each.ref) for each in moved] == [
        ("fetched", "refs/ledger-remotes/origin/first/events"),
        ("pushed", "refs/ledger/second/events"),
    ]
    assert clones.refs(at=two) == before
    assert clones.refs() == clones.refs(at=one) | before
    tree = clones.git("rev-parse", "refs/ledger-remotes/origin/first/events^{tree}", at=two)
    assert tree == clones.git("rev-parse", "refs/ledger/first/events^{tree}", at=one)
    clones.git("fsck", "--strict", "--connectivity-only", at=two)
    assert sync(two) == ()
    assert [each.way for each in sync(one)] == ["fetched"]
    assert sync(one) == ()


def test_a_dry_run_moves_nothing(clones: Clones) -> None:
    one = clones.clone("one")
    work(one, "first")
    assert [each.way for each in sync(one, dry_run=True)] == ["pushed"]
    assert clones.refs() == {}
    assert clones.refs("refs/ledger-remotes", at=one) == {}


def test_another_ledgers_ref_of_the_same_name_is_never_forced(clones: Clones) -> None:
    """The one that came first stays; what else there was to push has moved."""
    one, two = clones.clone("one"), clones.clone("two")
    work(one, "same")
    sync(one)
    theirs = clones.refs()
    work(two, "same", b"mine\n")
    with Ledger.open(two) as ledger:
        ledger.finish()
    work(two, "other", b"another\n")
    with pytest.raises(RefsRefused, match="another ledger's") as refused:
        sync(two)
    assert [ref for ref, _ in refused.value.refused] == ["refs/ledger/same/events"]
    assert clones.refs() == theirs | {
        "refs/ledger/other/events": clones.refs(at=two)["refs/ledger/other/events"]
    }


def test_an_own_ref_that_went_back_is_forced_with_a_lease(clones: Clones, git: Callable[..., str]) -> None:
    """The accepted state may be an earlier one again; the remote follows, but from nothing that is not of the run."""
    one = clones.clone("one")
    work(one, "first")
    with Ledger.open(one) as ledger:
        (one / "a.txt").write_bytes(b"1\n")
        ledger.record()
    commits = clones.git("rev-list", "refs/ledger/first/events", at=one).split()
    accepted = "refs/ledger/first/accepted"
    clones.git("update-ref", accepted, commits[0], at=one)
    sync(one)
    clones.git("update-ref", accepted, commits[1], at=one)
    assert [(each.ref, each.old, each.new) for each in sync(one)] == [(accepted, commits[0], commits[1])]
    assert clones.refs()[accepted] == commits[1]
    stranger = clones.git("rev-parse", "HEAD")
    clones.git("update-ref", accepted, stranger)
    with pytest.raises(RefsRefused):
        sync(one)
    assert clones.refs()[accepted] == stranger


def test_a_remote_that_takes_nothing(clones: Clones) -> None:
    """What its hook says of each ref is said; a remote that is not there is Git's own error."""
    one = clones.clone("one")
    work(one, "first")
    hook = clones.hub / "hooks/update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(RefsRefused, match="hook declined"):
        sync(one)
    assert clones.refs() == {}
    clones.git("remote", "add", "gone", str(one / "nowhere"), at=one)
    with pytest.raises(GitFailed, match="nowhere"):
        sync(one, "gone")


def test_which_remote(clones: Clones, make_repo: Callable[..., Path]) -> None:
    """The branch's own, else origin, else the only one; none is an error."""
    one = clones.clone("one")
    work(one, "first")
    clones.git("remote", "rename", "origin", "hub", at=one)
    with Ledger.open(one) as ledger:
        assert ledger.sync_refs().remote == "hub"
    clones.git("remote", "add", "origin", str(clones.hub), at=one)
    clones.git("checkout", "--quiet", "--detach", at=one)
    with Ledger.open(one) as ledger:
        assert ledger.sync_refs().remote == "origin"
        with pytest.raises(NoRemote, match="nowhere"):
            ledger.sync_refs("nowhere")
    alone = make_repo(BASE, name="alone")
    work(alone, "first")
    with pytest.raises(NoRemote), Ledger.open(alone) as ledger:
        ledger.sync_refs()


def test_refs_of_retired_runs_are_named(clones: Clones) -> None:
    """Retention takes a run here; what the remote has of it a person takes away there, with this command."""
    one = clones.clone("one")
    work(one, "first")
    with Ledger.open(one) as ledger:
        ledger.finish()
        sync(one)
        ledger.archive()
        assert ledger.collect(0, apply=True).runs
        found = ledger.sync_refs()
    assert found.retired == ("refs/ledger/first/events",)
    subprocess.run(["git", "push", "-q", "origin", "--delete", *found.retired], cwd=one, check=True)
    assert clones.refs() == {}

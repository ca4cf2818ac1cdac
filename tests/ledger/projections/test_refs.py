"""The run's ref: commits that are a function of the log, whatever the log's claims look like."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger import Actor, Ledger
from ledger.errors import InvalidActor
from ledger.past import parse_actor

PATCH = b"--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-a\n+b\n"
BACK = b"--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-b\n+c\n"


@pytest.fixture
def root(make_repo: Callable[..., Path]) -> Path:
    """A repository of one file."""
    return make_repo({"a.txt": b"a\n"})


@pytest.mark.parametrize("name", ["a<b>", "<>", "two\nlines", " . ", "", "naïve", "'\"", "a\0b"])
def test_any_claimed_name_makes_commits_that_git_takes(
    root: Path, git: Callable[..., str], name: str
) -> None:
    """A claimed name never keeps the ref from following, and `git fsck` finds nothing in its commits."""
    with Ledger.open(root, actor=Actor("agent<x>", name)) as ledger:
        ledger.apply(PATCH)
        ledger.apply(BACK)
        run = ledger.runs()[0].run
    log = git("log", "--format=%s", f"refs/ledger/{run}/events", cwd=root)
    assert log.splitlines() == ["diff: 1 files", "diff: 1 files", "patch"]
    assert "error" not in git("fsck", "--strict", "--no-dangling", cwd=root)


@pytest.mark.parametrize("claim", ["a:b:c:d", ":x", "a\nb", "agent:a\x1b[31m"])
def test_a_malformed_claim_is_refused(claim: str) -> None:
    """Who acts is one line of text in at most three parts."""
    with pytest.raises(InvalidActor):
        parse_actor(claim)


def test_a_ref_made_again_names_the_same_commits(root: Path, git: Callable[..., str]) -> None:
    """Times, authors and messages come from the events alone, so the commits do too."""
    with Ledger.open(root) as ledger:
        ledger.apply(PATCH)
        ref = f"refs/ledger/{ledger.runs()[0].run}/events"
        before = git("rev-parse", ref, cwd=root)
    git("update-ref", "-d", ref, cwd=root)
    with Ledger.open(root) as ledger:
        ledger.finish()
    assert git("rev-parse", ref, cwd=root) == before


def loose_objects(root: Path) -> list[Path]:
    """Return the repository's loose objects."""
    return [path for path in (root / ".git" / "objects").glob("??/*") if len(path.name) == 38]


@pytest.mark.parametrize("ref_too", [False, True])
def test_objects_that_a_power_failure_took_are_made_again(
    root: Path, git: Callable[..., str], ref_too: bool
) -> None:
    """Objects are not synced before the event is: the base and the stored patches give them back."""
    before = set(loose_objects(root))
    with Ledger.open(root) as ledger:
        applied = ledger.apply(PATCH)
        ref = f"refs/ledger/{ledger.runs()[0].run}/events"
    kept = git("rev-list", "--objects", ref, cwd=root) if not ref_too else ""
    for path in set(loose_objects(root)) - before:
        oid = path.parent.name + path.name
        if not ref_too and kept and git("cat-file", "-t", oid, cwd=root) == "commit":
            continue
        path.unlink()
    with Ledger.open(root) as ledger:
        assert ledger.apply(BACK).files[0].path == b"a.txt"
        assert not [finding for finding in ledger.verify() if finding.outcome in ("damaged", "warning")]
    assert (root / "a.txt").read_bytes() == b"c\n"
    assert git("rev-parse", f"{ref}~1^{{tree}}", cwd=root) == applied.tree
    assert git("status", "--porcelain", cwd=root) == "M  a.txt"


def test_the_ledger_directory_may_go_and_come_back(root: Path) -> None:
    """What lies in it is all there is: without it no run is known, with it the run goes on."""
    with Ledger.open(root) as ledger:
        event = ledger.apply(PATCH).event
        place = ledger.path
    shutil.move(place, root.parent / "elsewhere")
    with Ledger.open(root) as ledger:
        assert ledger.status().run is None
    shutil.move(root.parent / "elsewhere", place)
    with Ledger.open(root) as ledger:
        head = ledger.status().run
        assert head is not None
        assert f"{head.run}:{head.v}" == event


def test_a_lock_that_a_killed_process_left_is_in_nobodys_way(root: Path, git: Callable[..., str]) -> None:
    """The ref moves in one rename, also where it was packed, and leaves no lock of its own."""
    with Ledger.open(root) as ledger:
        run = ledger.apply(PATCH).started
        git("pack-refs", "--all", "--prune", cwd=root)
        lock = root / f".git/refs/ledger/{run}/events.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
        ledger.apply(BACK)
        lock.unlink()
        assert git("log", "--format=%s", f"refs/ledger/{run}/events", cwd=root).count("diff") == 2
        assert list((root / ".git").rglob("*.lock")) == []

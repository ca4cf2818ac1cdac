"""Runs that go on from another one: its tree, to the byte, by a patch on HEAD's tree that replays without it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec import UNSET

sys.path.insert(0, str(Path(__file__).parent))
from gatebook import die_at, in_a_fork

from ledger.api import Ledger
from ledger.errors import RunOpen
from ledger.events import PatchApplied, RunStarted, event_digest
from ledger.projections.refs import RunRef
from ledger.requests import AlreadyDone
from ledger.sharing_errors import ElsewhereAtHead, NotHere, StateElsewhere
from ledger.store.local import LocalStore
from patches.publication import Publication
from patches.worktree_errors import DirtyPath

BASE = {
    "a.txt": b"one\ntwo\nthree\n",
    "tool.sh": b"#!/bin/sh\n",
    "ledger.toml": b"profile = 'strict'\n[profiles.strict.gates.ok]\nmode = 'strict'\ncommand = 'grep -q good a.txt'\n"
    b"format = 'exit'\n[profiles.strict.gates]\nlint.mode = 'off'\ntests.mode = 'off'\ncov.mode = 'off'\n",
}


def carry(source: Path, target: Path, run: str, scratch: Path) -> None:
    """Take a run from one clone into another."""
    with Ledger.open(source) as there, Ledger.open(target) as here:
        there.export_runs([run], scratch / "run.zip", force=True)
        here.import_runs(scratch / "run.zip")


def events_of(ledger: Ledger, run: str) -> list[object]:
    return list(ledger.events(run))


@pytest.fixture
def source(make_repo: Callable[..., Path]) -> Path:
    """A clone with a run of three patches: the second is accepted, the third is not."""
    root = make_repo(BASE, name="source")
    with Ledger.open(root) as ledger:
        ledger.run("port it", name="port")
        for text in (b"one\n", b"good\n", b"good\nand more\n"):
            (root / "a.txt").write_bytes(text)
            (root / "tool.sh").chmod(0o755)
            ledger.record()
            if text == b"good\n":
                assert ledger.gate().accepted
    return root


@pytest.fixture
def target(source: Path, tmp_path: Path, git: Callable[..., str]) -> Path:
    root = tmp_path / "target"
    git("clone", "--quiet", source, root)
    carry(source, root, "port", tmp_path)
    return root


def test_from_the_accepted_state(source: Path, target: Path, git: Callable[..., str]) -> None:
    """Work tree, index and candidate are the other's accepted tree; the start names the event and its digest."""
    with Ledger.open(source) as there:
        accepted = there.status().accepted
        assert accepted is not None
        stored = next(iter(there.store.of_run("port", accepted.v - 1, accepted.v)))
    with Ledger.open(target) as here:
        done = here.continue_run("port")
        assert (done.tree, done.of, done.accepted) == (accepted.tree, f"port:{accepted.v}", True)
        started, _, patch = events_of(here, done.run)
        assert isinstance(started, RunStarted)
        assert isinstance(patch, PatchApplied)
        assert started.continues is not UNSET
        assert started.title == "port it"
        assert (started.continues.run, started.continues.v) == ("port", accepted.v)
        assert started.continues.digest == event_digest(stored.e)
        assert (patch.cause, patch.source, patch.result_tree) == ("restore", done.of, accepted.tree)
        assert here.status().drift == ()
        assert here.status().accepted is None
    assert git("write-tree", cwd=target) == accepted.tree
    git("add", "--all", cwd=target)
    assert git("write-tree", cwd=target) == accepted.tree


def test_from_the_candidate_and_measured_there(source: Path, target: Path) -> None:
    with Ledger.open(source) as there:
        candidate = there.status().candidate
    with Ledger.open(target) as here:
        done = here.continue_run("port", candidate=True, name="again")
        assert (done.run, done.tree, done.accepted) == ("again", candidate, False)
        assert here.gate().accepted
        assert here.status().accepted is not None


def test_it_replays_where_the_other_run_is_not(
    source: Path, target: Path, tmp_path: Path, git: Callable[..., str]
) -> None:
    """A third clone that has the child alone, and no object but the commit's, makes the same tree."""
    with Ledger.open(target) as here:
        done = here.continue_run("port", name="child")
    third = tmp_path / "third"
    git("clone", "--quiet", source, third)
    carry(target, third, "child", tmp_path)
    with Ledger.open(third) as there:
        *_, last = there.replay("child")
        assert last.tree == done.tree
        assert [head.run for head in there.runs()] == ["child"]


def test_an_own_run_that_ended(source: Path) -> None:
    with Ledger.open(source) as ledger:
        with pytest.raises(RunOpen):
            ledger.continue_run("port")
        ledger.finish()
        done = ledger.continue_run("port", candidate=True, name="next")
        # The work tree has it already, as its edits: they are the patch now.
        assert ledger.status().candidate == done.tree


def test_nothing_accepted_goes_on_from_the_base(make_repo: Callable[..., Path]) -> None:
    root = make_repo({"a.txt": b"one\n"})
    with Ledger.open(root) as ledger:
        ledger.run("x", name="x")
        ledger.finish()
        done = ledger.continue_run("x", name="y")
        assert not done.accepted
        assert [type(event).__name__ for event in events_of(ledger, "y")] == ["RunStarted", "PolicySet"]


def test_head_elsewhere_is_refused(target: Path, git: Callable[..., str]) -> None:
    """What HEAD has beside would be taken back; the hint leads to a commit from which it goes on."""
    base = git("rev-parse", "HEAD", cwd=target)
    (target / "new").write_bytes(b"from upstream\n")
    git("add", "new", cwd=target)
    git("commit", "--quiet", "--message", "upstream", cwd=target)
    with Ledger.open(target) as ledger:
        before = ledger.store.position()
        with pytest.raises(ElsewhereAtHead, match="take back") as refused:
            ledger.continue_run("port")
        assert refused.value.commit == base
        assert ledger.store.position() == before
    git("switch", "--quiet", "--detach", base, cwd=target)
    with Ledger.open(target) as ledger:
        assert ledger.continue_run("port").accepted


def test_what_was_not_handed_over_stays(target: Path) -> None:
    """An edit of a path that it would write is refused before anything is recorded."""
    (target / "a.txt").write_bytes(b"mine\n")
    with Ledger.open(target) as ledger:
        before = ledger.store.position()
        with pytest.raises(DirtyPath):
            ledger.continue_run("port")
        assert ledger.store.position() == before
    assert (target / "a.txt").read_bytes() == b"mine\n"


def test_what_is_not_here(target: Path, git: Callable[..., str]) -> None:
    """A run that was not pulled, and a state whose objects are gone, each with what brings it."""
    with Ledger.open(target) as ledger:
        with pytest.raises(NotHere) as missing:
            ledger.continue_run("nobody")
        assert "ledger pull nobody" in missing.value.hint
    # A repository that has the ledger, and none of the objects.
    bare = target.parent / "bare"
    git("init", "--quiet", bare)
    shutil.copytree(target / ".git/ledger", bare / ".git/ledger")
    with pytest.raises(StateElsewhere) as gone, Ledger.open(bare) as ledger:
        ledger.continue_run("port")
    assert "ledger sync git" in gone.value.hint


def test_asked_again_under_its_id_it_is_once(target: Path) -> None:
    """A retry says what was done; the same id for another run is refused by the log."""
    id_ = "01a2273b-fb44-7b26-9f0d-8675948439f8"
    with Ledger.open(target) as ledger:
        with ledger.once(id_):
            done = ledger.continue_run("port", name="child")
        with ledger.once(id_), pytest.raises(AlreadyDone) as again:
            ledger.continue_run("port", name="child")
        assert again.value.event.reference == "child:1"
        assert done.event == "child:3"


STEPS = [(LocalStore, "append"), (Publication, "_place"), (RunRef, "_publish")]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[1])
def test_killed_on_the_way(
    target: Path, git: Callable[..., str], step: tuple[type, str], after: bool
) -> None:
    """The same request again ends it: one run, its tree in candidate, index and work tree."""
    id_ = "01a2273b-fb44-7b26-9f0d-8675948439f8"

    def asking() -> None:
        with Ledger.open(target) as ledger, ledger.once(id_), suppress(AlreadyDone):
            ledger.continue_run("port", name="child")

    def dying() -> None:
        die_at(step, 1, after=after)
        asking()

    assert in_a_fork(dying) == 9
    asking()
    with Ledger.open(target) as ledger:
        accepted = ledger.tree("port:green")
        assert [type(event).__name__ for event in ledger.events("child")] == [
            "RunStarted",
            "PolicySet",
            "PatchApplied",
        ]
        assert ledger.status().candidate == accepted
        assert ledger.status().drift == ()
        assert not ledger.status().pending
    git("add", "--all", cwd=target)
    assert git("write-tree", cwd=target) == accepted

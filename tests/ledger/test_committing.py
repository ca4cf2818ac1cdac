"""Commits of a run's states: what is on the branch afterwards, and what the run remembers of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import IDENTITY, File, damage
from gatebook import Checked, edited

from ledger.api import Ledger
from ledger.errors import GitFailed, HeadMoved, NothingToCommit, OnlyCandidate
from ledger.events import CommitSeen
from ledger.operations import committing
from ledger.operations.gating import GateOptions

GOOD = {b"good": File(b"stays\n")}
MORE = {b"more": File(b"more\n")}
STRICT = GateOptions(profile="release")


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checked:
    made = Checked(tmp_path)
    monkeypatch.setenv("CALLS", str(made.calls))
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def ledger(checked: Checked) -> Iterator[Ledger]:
    with Ledger.open(checked.book.root) as opened:
        yield opened
        assert damage(opened) == []


def test_the_accepted_state_is_committed_and_the_candidate_stays(checked: Checked, ledger: Ledger) -> None:
    """Index and work tree are as before; the message names the event; the run has seen the commit."""
    good = ledger.apply(checked.patch(GOOD))
    ledger.gate(STRICT)
    ledger.apply(checked.patch(MORE))
    before = checked.book.work_files()
    committed = ledger.commit("Keep what is good\n\nWith a body.\n")
    assert checked.book.line("rev-parse", "HEAD^{tree}") == good.tree == committed.tree
    message = checked.book.line("log", "-1", "--format=%B")
    assert message == f"Keep what is good\n\nWith a body.\n\nLedger-Event: {good.event}"
    assert (committed.state, committed.ahead, committed.files) == (good.event, 1, 1)
    assert checked.book.work_files() == before
    assert checked.book.status() == [b"A  more"]
    ledger.apply(checked.patch({b"good": None}, edited(checked.base, {**GOOD, **MORE})))


def test_what_is_not_accepted_is_committed_only_on_demand(checked: Checked, ledger: Ledger) -> None:
    """Nothing past HEAD is accepted: nothing was written."""
    applied = ledger.apply(checked.patch(GOOD))
    with pytest.raises(OnlyCandidate):
        ledger.commit("no")
    assert ledger.commit("yes", candidate=True).tree == applied.tree
    with pytest.raises(NothingToCommit):
        ledger.commit("again", candidate=True)
    assert checked.book.line("rev-list", "--count", "HEAD") == "2"


def test_a_branch_that_moves_meanwhile_is_not_moved_back(
    checked: Checked, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit that was made is reached by nothing, and no event is written."""
    ledger.apply(checked.patch(GOOD))
    count = len(list(ledger.events()))
    make = committing.commit_tree

    def raced(*args: object) -> str:
        oid = make(*args)  # type: ignore[arg-type]
        checked.book.git("commit", "--quiet", "--allow-empty", "-m", "meanwhile")
        return oid

    monkeypatch.setattr(committing, "commit_tree", raced)
    with pytest.raises(GitFailed):
        ledger.commit("mine", candidate=True)
    assert checked.book.line("log", "-1", "--format=%s") == "meanwhile"
    assert len(list(ledger.events())) == count


def test_a_head_that_the_run_does_not_explain_is_refused(checked: Checked, ledger: Ledger) -> None:
    """HEAD stays where somebody brought it."""
    ledger.apply(checked.patch(GOOD))
    commit = checked.book.line("commit-tree", "-p", "HEAD", "-m", "up", checked.tree(MORE))
    checked.book.git("update-ref", "HEAD", commit)
    with pytest.raises(HeadMoved):
        ledger.commit("mine", candidate=True)
    assert checked.book.line("rev-parse", "HEAD") == commit


def test_a_commit_made_by_hand_is_the_newest_live_state_of_its_tree(checked: Checked, ledger: Ledger) -> None:
    """A tree that was rolled back and came again: a later rebase has to know that HEAD has the new one."""
    checked.exits("one", 1)
    good = ledger.apply(checked.patch(GOOD))
    assert ledger.gate(STRICT).rolled_back
    again = ledger.apply_again(good.event)
    checked.book.git("commit", "--quiet", "-m", "by hand")
    ledger.enter_phase("P3")
    (seen,) = [event for event in ledger.events() if isinstance(event, CommitSeen)]
    assert f"{seen.run}:{seen.state_v}" == again.event
    upstream = checked.tree(MORE)
    commit = checked.book.line("commit-tree", "-p", "HEAD", "-m", "reverted, and more", upstream)
    checked.book.git("reset", "--quiet", "--hard", commit)
    assert ledger.rebase().contained == (again.event,)
    checked.book.assert_followed(upstream)


def test_a_tree_that_comes_back_is_accepted_at_once(checked: Checked, ledger: Ledger) -> None:
    """The ref follows a patch that leads back to an accepted tree, and so does the next commit."""
    ledger.apply(checked.patch(GOOD))
    gated = ledger.gate(STRICT)
    ledger.apply(checked.patch(MORE))
    assert ledger.gate().accepted
    files = edited(checked.base, {**GOOD, **MORE})
    back = ledger.apply(checked.patch({b"more": None}, files))
    ref = f"refs/ledger/{gated.run}/accepted^{{tree}}"
    assert checked.book.line("rev-parse", ref) == back.tree == ledger.history().accepted.tree
    assert ledger.commit("back").state == back.event

"""Rebases: a new base, what survives on it, and a work tree in which nobody's edit is lost."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import File, assert_state, damage, recorded_trees
from gatebook import Checked, Edit, edited

from ledger.api import Ledger
from ledger.errors import HeadMoved, NotCandidate, NothingToContinue, RebaseStopped, UnknownName
from ledger.events import RunRebased
from ledger.workspace import Workspace

LINES = [b"line %d\n" % number for number in range(20)]


def lines(**changes: bytes) -> File:
    """Return ``a.txt`` with some lines changed: ``lines(n3=b"three")``."""
    numbered = {int(name[1:]): text + b"\n" for name, text in changes.items()}
    return File(b"".join(numbered.get(n, line) for n, line in enumerate(LINES)))


FIRST = {b"a.txt": lines(n3=b"three"), b"new": File(b"new\n")}
SECOND = {b"a.txt": lines(n3=b"three", n16=b"sixteen")}
UPSTREAM = {b"a.txt": lines(n10=b"upstream"), b"up": File(b"stream\n")}
BOTH = {b"a.txt": lines(n3=b"three", n10=b"upstream", n16=b"sixteen"), b"new": File(b"new\n")}


@pytest.fixture
def checked(tmp_path: Path) -> Checked:
    return Checked(tmp_path)


@pytest.fixture
def ledger(checked: Checked) -> Iterator[Ledger]:
    with Ledger.open(checked.book.root) as opened:
        opened.apply(checked.patch(FIRST))
        opened.apply(checked.patch(SECOND, edited(checked.base, FIRST)))
        yield opened
        for head in opened.runs():
            for v, tree in recorded_trees(opened, head.run).items():
                assert_state(opened, checked.book, head.run, v, tree)
        assert damage(opened) == []


def move_head(checked: Checked, edit: Edit, how: str = "--soft") -> str:
    """Bring HEAD to a commit of the base with an edit, as `git reset` does."""
    commit = checked.book.line("commit-tree", "-p", "HEAD", "-m", "upstream", checked.tree(edit))
    checked.book.git("reset", "--quiet", how, commit)
    return commit


@pytest.mark.parametrize("how", ["--soft", "--mixed", "--hard"])
def test_survivors_are_applied_on_the_new_base(checked: Checked, ledger: Ledger, how: str) -> None:
    """In one append, whatever `git reset` has made of index and work tree; untracked files stay."""
    commit = move_head(checked, UPSTREAM, how)
    checked.book.put(b"notes", File(b"nobody's business\n"))
    count = len(list(ledger.events()))
    with pytest.raises(HeadMoved):
        ledger.apply(checked.patch({b"more": File(b"more\n")}))
    rebased = ledger.rebase()
    wanted = checked.tree(UPSTREAM, BOTH)
    assert (rebased.tree, rebased.commit) == (wanted, commit)
    assert (len(rebased.kept), rebased.contained, rebased.skipped) == (2, (), ())
    frames = list(ledger.store.frames())[count:]
    assert [frame.n for frame in frames] == [2, 1, 0]
    assert checked.book.line("write-tree") == wanted
    assert sorted(checked.book.status()) == [b"?? notes", b"A  new", b"M  a.txt"]
    assert checked.book.path(b"a.txt").read_bytes() == BOTH[b"a.txt"].data
    assert checked.book.path(b"notes").read_bytes() == b"nobody's business\n"


def test_where_head_has_not_moved_nothing_is_done(ledger: Ledger) -> None:
    """It says that it is there already."""
    count = len(list(ledger.events()))
    assert ledger.rebase().already
    assert len(list(ledger.events())) == count


def test_a_conflict_stops_it_before_anything_changes(checked: Checked, ledger: Ledger) -> None:
    """The patch is named; leaving it out, or a replacement for it, goes on."""
    move_head(checked, {b"a.txt": lines(n16=b"other")}, "--hard")
    before = (checked.book.work_files(), checked.book.git("ls-files", "--stage"), len(list(ledger.events())))
    with pytest.raises(RebaseStopped) as stopped:
        ledger.rebase()
    assert stopped.value.event.endswith(":4")
    assert "--skip 4" in stopped.value.hint
    assert before == (
        checked.book.work_files(),
        checked.book.git("ls-files", "--stage"),
        len(list(ledger.events())),
    )
    with pytest.raises(UnknownName):
        ledger.rebase(skip=[7])
    files = edited(checked.base, {**FIRST, b"a.txt": lines(n3=b"three", n16=b"other")})
    replacement = checked.patch({b"a.txt": lines(n3=b"three", n16=b"both")}, files)
    rebased = ledger.rebase(replace={4: replacement})
    assert rebased.tree == checked.tree(FIRST, {b"a.txt": lines(n3=b"three", n16=b"both")})


def test_each_conflict_is_answered_in_turn(checked: Checked, ledger: Ledger) -> None:
    """What was answered before counts when it is continued; a later answer for the same patch wins."""
    move_head(checked, {b"a.txt": lines(n3=b"theirs", n16=b"theirs")}, "--hard")
    with pytest.raises(NothingToContinue):
        ledger.rebase(go_on=True)
    before = checked.book.work_files(), len(list(ledger.events()))
    for answered, stopped_at in (([], 3), ([3], 4)):
        with pytest.raises(RebaseStopped) as stopped:
            ledger.rebase(skip=answered, go_on=bool(answered))
        assert stopped.value.event.endswith(f":{stopped_at}")
    assert (checked.book.work_files(), len(list(ledger.events()))) == before
    theirs = {b"a.txt": lines(n3=b"theirs", n16=b"theirs")}
    both = {**FIRST, b"a.txt": lines(n3=b"both", n16=b"theirs")}
    replacement = checked.patch(both, edited(checked.base, theirs))
    rebased = ledger.rebase(skip=[4], replace={3: replacement}, go_on=True)
    assert [event.rpartition(":")[2] for event in (*rebased.kept, *rebased.skipped)] == ["3", "4"]
    checked.book.assert_followed(checked.tree(both))
    move_head(checked, FIRST, "--hard")
    with pytest.raises(NothingToContinue):
        ledger.rebase(go_on=True)


def test_an_aborted_rebase_has_left_nothing(checked: Checked, ledger: Ledger) -> None:
    """The work tree, the index and the log are what they were; its answers do not count any more."""
    move_head(checked, {b"a.txt": lines(n3=b"theirs")}, "--hard")
    before = checked.book.work_files(), checked.book.git("ls-files", "-s"), len(list(ledger.events()))
    assert not ledger.abort_rebase()
    with pytest.raises(RebaseStopped):
        ledger.rebase()
    assert ledger.abort_rebase()
    with pytest.raises(NothingToContinue):
        ledger.rebase(skip=[3], go_on=True)
    assert (
        checked.book.work_files(),
        checked.book.git("ls-files", "-s"),
        len(list(ledger.events())),
    ) == before


def test_what_is_left_out_is_named(checked: Checked, ledger: Ledger) -> None:
    """Dropped are the patch that was skipped and the one that the new base has."""
    move_head(checked, FIRST, "--hard")
    rebased = ledger.rebase(skip=[4])
    assert [event.rpartition(":")[2] for event in (*rebased.contained, *rebased.skipped)] == ["3", "4"]
    (event,) = [event for event in ledger.events() if isinstance(event, RunRebased)]
    assert event.dropped == (3, 4)
    checked.book.assert_followed(checked.tree(FIRST))


def test_a_squashed_change_is_recognized(checked: Checked, ledger: Ledger) -> None:
    """The new base has all of it as one commit, in which the patches cannot be told apart."""
    move_head(checked, {**FIRST, **SECOND, b"up": File(b"stream\n")}, "--hard")
    rebased = ledger.rebase()
    assert (len(rebased.contained), rebased.kept) == (2, ())
    checked.book.assert_followed(checked.tree({**FIRST, **SECOND, b"up": File(b"stream\n")}))


@pytest.mark.parametrize("how", ["--soft", "--hard"])
def test_an_edit_in_the_way_is_named_and_nothing_is_changed(
    checked: Checked, ledger: Ledger, how: str
) -> None:
    """A path that has to be written holds neither the candidate's content nor HEAD's."""
    move_head(checked, UPSTREAM, how)
    checked.book.put(b"a.txt", File(b"by hand\n"))
    before = checked.book.git("ls-files", "--stage")
    with pytest.raises(NotCandidate, match=r"a\.txt"):
        ledger.rebase()
    assert checked.book.path(b"a.txt").read_bytes() == b"by hand\n"
    assert checked.book.git("ls-files", "--stage") == before


@pytest.mark.parametrize("how", ["--soft", "--hard"])
def test_recovery_takes_the_work_tree_from_what_head_left_there(
    checked: Checked, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Recorded and not written: a path may hold the old candidate's content or the new base's."""
    move_head(checked, UPSTREAM, how)

    class Died(BaseException):
        pass

    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as dying:
        dying.setattr("patches.worktree.WorkTree.publish", die)
        with pytest.raises(Died):
            ledger.rebase()
    ledger.enter_phase("P3")
    checked.book.assert_followed(checked.tree(UPSTREAM, BOTH))
    assert checked.book.path(b"a.txt").read_bytes() == BOTH[b"a.txt"].data


def test_the_accepted_ref_follows_to_the_new_base(
    checked: Checked, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the process died between the append and the ref."""
    from ledger.operations.gating import GateOptions

    monkeypatch.setenv("CALLS", str(checked.calls))
    gated = ledger.gate(GateOptions(profile="release"))
    assert gated.accepted
    move_head(checked, UPSTREAM)
    with monkeypatch.context() as dying:
        dying.setattr(Workspace, "project_accepted", _die)
        with pytest.raises(ZeroDivisionError):
            ledger.rebase()
    shutil.rmtree(ledger.path / "cache")
    ledger.apply(checked.patch({b"more": File(b"more\n")}))
    ref = f"refs/ledger/{gated.run}/accepted^{{tree}}"
    assert checked.book.line("rev-parse", ref) == checked.tree(UPSTREAM) == ledger.history().accepted.tree


def _die(*_: object) -> None:
    raise ZeroDivisionError

"""Rollbacks: a suffix of any kind of change taken back exactly, and nothing of anybody's overwritten."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import File, assert_state, damage, recorded_trees
from gatebook import Checked, edited

from ledger.api import Ledger
from ledger.events import PatchRolledBack
from ledger.operations import gating
from ledger.operations.gating import GateOptions
from patches.model import MODE_EXECUTABLE, MODE_SYMLINK

BAD = {b"bad-one": File(b"fails\n")}
STRICT = GateOptions(names=("one",), profile="release")
EVERYTHING = {
    b"run.sh": File(b"#!/bin/sh\n"),
    b"a.txt": File(b"now\nanother\n", MODE_EXECUTABLE),
    b"dir/c.txt": None,
    b"dir": File(b"a file where a directory was\n"),
    b"link": File(b"a.txt", MODE_SYMLINK),
    b"deep/er/blob": File(bytes(range(256))),
    b"caf\xe9": File(b"latin\n"),
}


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checked:
    made = Checked(tmp_path)
    monkeypatch.setenv("CALLS", str(made.calls))
    return made


@pytest.fixture
def ledger(checked: Checked) -> Iterator[Ledger]:
    with Ledger.open(checked.book.root) as opened:
        yield opened


def test_a_suffix_of_every_kind_of_change_goes_back_exactly(checked: Checked, ledger: Ledger) -> None:
    """Modes, symlinks, moves, a directory that became a file: work tree, index, fold, SQL and replay."""
    before = checked.book.work_files()
    ledger.apply(checked.patch(EVERYTHING))
    ledger.move([b"a.txt"], b"moved.txt")
    ledger.move([b"deep"], b"deeper")
    ledger.apply(checked.patch(BAD))
    gated = ledger.gate(STRICT)
    assert gated.rolled_back is not None
    assert gated.rolled_back.left_alone == ()
    assert checked.book.work_files() == before
    checked.book.assert_followed(checked.tree())
    for v, tree in recorded_trees(ledger, gated.run).items():
        assert_state(ledger, checked.book, gated.run, v, tree)
    assert damage(ledger) == []


@pytest.mark.parametrize("path", [b"a.txt", b"bad-one", b"new"])
def test_an_edit_made_while_the_gates_ran_is_never_overwritten(
    checked: Checked, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, path: bytes
) -> None:
    """Where it is in the way nothing is rolled back, and the message names it; elsewhere it stays as it is."""
    applied = ledger.apply(checked.patch({**BAD, b"a.txt": File(b"from a patch\n")}))
    conclude = gating._conclude

    def edited_meanwhile(*args: Any) -> Any:
        checked.book.put(path, File(b"by hand\n"))
        return conclude(*args)

    monkeypatch.setattr(gating, "_conclude", edited_meanwhile)
    gated = ledger.gate(STRICT)
    assert gated.rejected
    assert checked.book.path(path).read_bytes() == b"by hand\n"
    if path == b"new":
        assert gated.rolled_back is not None
        assert ledger.history().candidate.tree == checked.tree()
    else:
        assert path.decode() in gated.kept
        assert ledger.history().candidate.tree == applied.tree


def test_refs_made_again_are_the_same_commits(checked: Checked, ledger: Ledger) -> None:
    """With a rollback, a rebase and what came after; the next writing command makes them, accepted too."""
    ledger.apply(checked.patch({b"good": File(b"stays\n")}))
    ledger.gate(STRICT)
    ledger.gate()
    ledger.apply(checked.patch(BAD))
    assert ledger.gate(STRICT).rolled_back
    commit = checked.book.line("commit-tree", "-p", "HEAD", "-m", "up", checked.tree({b"up": File(b"1\n")}))
    checked.book.git("update-ref", "HEAD", commit)
    ledger.rebase()
    assert ledger.gate().accepted
    ledger.apply(checked.patch({b"more": File(b"later\n")}))
    refs = checked.book.git("for-each-ref", "refs/ledger")
    assert refs.count(b"\n") == 2
    for name in checked.book.line("for-each-ref", "--format=%(refname)", "refs/ledger").split():
        checked.book.git("update-ref", "-d", name)
    ledger.enter_phase("P3")
    assert checked.book.git("for-each-ref", "refs/ledger") == refs


def test_what_was_rolled_back_stays_reachable(checked: Checked, ledger: Ledger) -> None:
    """`git gc` prunes nothing that a replay or `apply --again` needs."""
    applied = ledger.apply(checked.patch({**BAD, **EVERYTHING}))
    assert ledger.gate(STRICT).rolled_back
    checked.book.git("gc", "--quiet", "--prune=now")
    assert checked.book.line("cat-file", "-t", applied.tree) == "tree"
    assert ledger.apply_again(applied.event).tree == applied.tree


def test_a_rollback_behind_a_rollback(checked: Checked, ledger: Ledger) -> None:
    """A patch that was taken again and rejected again is two events, and one state."""
    first = ledger.apply(checked.patch(BAD))
    assert ledger.gate(STRICT).rolled_back
    second = ledger.apply_again(first.event)
    gated = ledger.gate(STRICT)
    assert gated.results[0].recorded
    assert gated.rolled_back
    backs = [event for event in ledger.events() if isinstance(event, PatchRolledBack)]
    assert [f"{gated.run}:{v}" for back in backs for v in back.patches] == [first.event, second.event]
    assert len({back.measured for back in backs}) == 1
    rows = ledger.sql("select event, rolled_back_by from patches order by v").fetchall()
    assert rows == [(first.event, backs[0].reference), (second.event, backs[1].reference)]
    assert ledger.state().recorded_tree == checked.book.write_tree(edited(checked.base, {}))

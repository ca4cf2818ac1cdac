"""Three-way merges in a run: all or nothing, recorded as ordinary patches; kept conflicts never pass a gate."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import UNSET

sys.path.insert(0, str(Path(__file__).parent))
from book import File, damage
from gatebook import CHECKED, Checked, Edit

from ledger.api import Ledger
from ledger.applyflags import ApplyFlags
from ledger.errors import UnresolvedConflicts
from ledger.events import GateMeasured, PatchApplied, PatchRefused
from ledger.operations.gating import GateOptions
from patches.apply import apply_patch
from patches.errors import HunkMismatch, MergeConflict, UnmarkableConflict
from patches.oids import hash_blob
from patches.options import Favor
from patches.parse import parse_patch
from patches.textmerge import conflict_regions

MERGE = ApplyFlags(three_way=True)
KEEP = ApplyFlags(three_way=True, conflicts="keep")
STRICT = GateOptions(profile="release")


def lines(*words: object) -> File:
    return File(b"".join(b"%s\n" % str(word).encode() for word in words))


BASE = {**CHECKED, b"one": lines(1, 2, 3, 4, 5, 6, 7), b"two": lines(1, 2, 3, 4, 5, 6, 7), b"b": File(b"\0")}
OURS: Edit = {b"one": lines(1, "two", 3, 4, 5, "six", 7), b"two": lines(1, "two", 3, 4, 5, 6, 7)}
THEIRS: Edit = {b"one": lines(1, 2, 3, 4, "five", 6, 7), b"two": lines(1, 2, 3, 4, "five", 6, 7)}
MARKED = lines(1, "two", 3, 4, "<<<<<<< ours", 5, "six", "=======", "five", 6, ">>>>>>> theirs", 7)


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checked:
    made = Checked(tmp_path, BASE)
    monkeypatch.setenv("CALLS", str(made.calls))
    return made


@pytest.fixture
def ledger(checked: Checked) -> Iterator[Ledger]:
    with Ledger.open(checked.book.root) as opened:
        yield opened
        assert damage(opened) == []


def oid(file: File) -> bytes:
    return hash_blob(file.data).hex().encode()


def patches(ledger: Ledger) -> list[PatchApplied]:
    return [event for event in ledger.events() if isinstance(event, PatchApplied)]


def content(ledger: Ledger, path: bytes) -> bytes:
    root = ledger.repository.work_dir
    assert root is not None
    return (root / path.decode()).read_bytes()


def test_a_clean_merge_is_recorded_as_the_ordinary_patch_from_tree_to_tree(checked: Checked, ledger: Ledger):
    """What was handed over and how is kept beside it; replay needs neither."""
    ledger.apply(checked.patch(OURS))
    edit = {b"two": THEIRS[b"two"]}
    applied = ledger.apply(checked.patch(edit), flags=MERGE)
    wanted = checked.tree({**OURS, b"two": lines(1, "two", 3, 4, "five", 6, 7)})
    assert applied.tree == wanted
    checked.book.assert_followed(wanted)
    first, event = patches(ledger)
    tree = ledger.repository.tree(first.result_tree)
    apply_patch(tree, parse_patch(ledger.body(event.patch)))
    assert tree.write().hex() == wanted
    assert event.options.flags == MERGE
    assert event.conflicts is UNSET
    assert isinstance(event.given, str)
    assert ledger.body(event.given) == checked.patch(edit)


def test_a_conflict_in_one_of_several_files_changes_nothing(checked: Checked, ledger: Ledger):
    """The refusal is recorded, and names the lines."""
    ours = ledger.apply(checked.patch(OURS)).tree
    with pytest.raises(MergeConflict, match="one: lines 5-11"):
        ledger.apply(checked.patch(THEIRS), flags=MERGE)
    checked.book.assert_followed(ours)
    (refused,) = [event for event in ledger.events() if isinstance(event, PatchRefused)]
    assert refused.error == "MergeConflict"


def test_a_patch_that_does_not_fit_says_what_a_merge_would_give(checked: Checked, ledger: Ledger):
    """Not where the repository lacks what it was made from: a merge is of no help then."""
    near = {b"one": lines(1, 2, 3, 4, 5, "sechs", 7), b"two": BASE[b"two"]}
    ledger.apply(checked.patch(near))
    edit = {b"one": lines(1, 2, "drei", 4, 5, 6, 7)}
    with pytest.raises(HunkMismatch) as clean:
        ledger.apply(checked.patch(edit))
    assert clean.value.hint.endswith("try `ledger apply --3way -`")
    with pytest.raises(HunkMismatch) as conflicting:
        ledger.apply(checked.patch({b"one": lines(1, 2, 3, 4, 5, "six", 7)}))
    assert conflicting.value.hint.endswith("`ledger apply --3way -` finds conflicts in one")
    foreign = lines(*"abcdef")
    with pytest.raises(HunkMismatch) as unknown:
        ledger.apply(
            checked.patch({b"one": lines(*"abcxef")}, BASE | {b"one": foreign}).replace(
                oid(foreign), b"1" * 40
            )
        )
    assert "3way" not in unknown.value.hint


@pytest.mark.parametrize("favor", ["ours", "theirs", "union"])
def test_a_favored_side_decides_every_conflict(checked: Checked, ledger: Ledger, favor: Favor):
    ledger.apply(checked.patch(OURS))
    ledger.apply(checked.patch(THEIRS), flags=ApplyFlags(three_way=True, favor=favor))
    assert patches(ledger)[-1].conflicts is UNSET
    assert content(ledger, b"two") == lines(1, "two", 3, 4, "five", 6, 7).data
    assert {b"six", b"five"} & set(content(ledger, b"one").split()) == {
        "ours": {b"six"}, "theirs": {b"five"}, "union": {b"six", b"five"},
    }[favor]  # fmt: skip


def test_a_kept_conflict_is_a_candidate_that_no_gate_measures(checked: Checked, ledger: Ledger):
    """Not even a soft one, and not after the file was moved; once resolved, the gates decide."""
    ledger.apply(checked.patch(OURS))
    applied = ledger.apply(checked.patch(THEIRS), flags=KEEP)
    assert applied.conflicts == ("one: lines 5-11 of the merged file",)
    assert content(ledger, b"one") == MARKED.data
    assert patches(ledger)[-1].conflicts == ("one",)
    assert ledger.status().notes == ("unresolved conflicts, which no gate measures: one (line 5)",)
    with pytest.raises(UnresolvedConflicts, match="one: line 5"):
        ledger.gate()
    ledger.move([b"one"], b"moved")
    with pytest.raises(UnresolvedConflicts, match="moved: line 5"):
        ledger.gate(STRICT)
    with pytest.raises(UnresolvedConflicts):
        ledger.gate(GateOptions(isolated=True))
    assert not checked.called
    (checked.book.root / "moved").write_bytes(lines("resolved").data)
    ledger.record()
    assert ledger.gate(STRICT).accepted


def test_undoing_a_kept_conflict_lets_the_gates_in_again(checked: Checked, ledger: Ledger):
    """Taking it again brings the markers back, and the refusal."""
    ledger.apply(checked.patch(OURS))
    applied = ledger.apply(checked.patch(THEIRS), flags=KEEP)
    ledger.undo()
    assert ledger.gate(STRICT).accepted
    ledger.apply_again(applied.event)
    with pytest.raises(UnresolvedConflicts):
        ledger.gate()


def test_each_patch_of_a_series_is_measured_with_those_that_resolve_it(checked: Checked, ledger: Ledger):
    ledger.apply(checked.patch(OURS))
    ledger.gate(STRICT)
    ledger.apply(checked.patch(THEIRS), flags=KEEP)
    (checked.book.root / "one").write_bytes(lines("resolved").data)
    ledger.record()
    in_conflict, resolved = ledger.gate_each(GateOptions(with_drift=True))
    assert in_conflict.in_conflict
    assert "one: line 5" in in_conflict.refused
    assert resolved.gated is not None
    assert resolved.gated.accepted
    measured = {event.tree for event in ledger.events() if isinstance(event, GateMeasured)}
    assert patches(ledger)[-2].result_tree not in measured


def test_content_without_lines_cannot_be_kept_in_conflict(checked: Checked, ledger: Ledger):
    ours = ledger.apply(checked.patch({b"b": File(b"\0ours")})).tree
    with pytest.raises(UnmarkableConflict, match="b: its content takes no markers"):
        ledger.apply(checked.patch({b"b": File(b"\0theirs")}), flags=KEEP)
    checked.book.assert_followed(ours)


def test_markers_that_a_run_never_kept_are_nobodys_business(checked: Checked, ledger: Ledger):
    """A file about merging may show them."""
    ledger.apply(checked.patch({b"doc": MARKED}))
    assert conflict_regions(content(ledger, b"doc"))
    assert ledger.gate(STRICT).accepted


def test_a_rebase_brings_a_kept_conflict_along(checked: Checked, ledger: Ledger):
    """On the new base too no gate measures it."""
    ledger.apply(checked.patch(OURS))
    ledger.apply(checked.patch(THEIRS), flags=KEEP)
    upstream = checked.tree({b"up": File(b"stream\n")})
    commit = checked.book.line("commit-tree", "-p", "HEAD", "-m", "upstream", upstream)
    checked.book.git("reset", "--quiet", "--soft", commit)
    ledger.rebase()
    assert content(ledger, b"one") == MARKED.data
    with pytest.raises(UnresolvedConflicts, match="one: line 5"):
        ledger.gate()

"""Gates as real processes: what is accepted, rolled back, left alone, and said."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import File, damage
from gatebook import CHECKED, Checked, edited

from ledger.api import Ledger
from ledger.errors import DriftInTheWay, NotCandidate, NotFinal, PhaseForbids, UnknownName
from ledger.events import (
    ChecksVerified,
    ErrorCaptured,
    GateMeasured,
    PatchRolledBack,
    QuestionAnswered,
    TicketClosed,
    TicketOpened,
)
from ledger.gates import execution
from ledger.operations import measuring
from ledger.operations.gating import GateOptions

GOOD = {b"good": File(b"stays\n")}
BAD = {b"bad-one": File(b"fails\n")}
MORE = {b"more": File(b"and more\n")}
STRICT = GateOptions(profile="release")


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checked:
    made = Checked(tmp_path)
    monkeypatch.setenv("CALLS", str(made.calls))
    return made


@pytest.fixture
def ledger(checked: Checked) -> Iterator[Ledger]:
    with Ledger.open(checked.book.root) as opened:
        yield opened
        assert damage(opened) == []


def events(ledger: Ledger, kind: type) -> list[Any]:
    return [event for event in ledger.events() if isinstance(event, kind)]


def verdicts(gated: Any) -> dict[str, str]:
    return {result.gate: result.verdict for result in gated.results}


# Accepted, and rolled back


def test_a_tree_that_passes_every_strict_gate_is_accepted(checked: Checked, ledger: Ledger) -> None:
    """The accepted ref names it, and the accepted state has its files."""
    applied = ledger.apply(checked.patch(GOOD))
    gated = ledger.gate(STRICT)
    assert verdicts(gated) == {"one": "pass", "two": "pass"}
    assert gated.accepted
    assert ledger.accepted_state().recorded_tree == applied.tree == checked.tree(GOOD)
    ref = f"refs/ledger/{gated.run}/accepted^{{tree}}"
    assert checked.book.line("rev-parse", ref) == applied.tree


def test_a_strict_failure_takes_the_suffix_back_in_one_event(checked: Checked, ledger: Ledger) -> None:
    """Index and work tree follow; the event names the patches and the measurement; both can be taken again."""
    ledger.apply(checked.patch(GOOD))
    ledger.gate(STRICT)
    first = ledger.apply(checked.patch(BAD))
    ledger.apply(checked.patch(MORE))
    gated = ledger.gate()
    assert gated.rejected
    assert not gated.accepted
    (back,) = events(ledger, PatchRolledBack)
    assert gated.rolled_back is not None
    assert back.result_tree == gated.rolled_back.tree == checked.tree(GOOD)
    assert len(back.patches) == 2
    (failed,) = [each for each in events(ledger, GateMeasured) if each.verdict == "fail"]
    assert back.measured == (failed.v,)
    checked.book.assert_followed(checked.tree(GOOD))
    rows = ledger.sql("select event from patches where rolled_back_by is not null order by v").fetchall()
    assert [event for (event,) in rows] == [f"{gated.run}:{v}" for v in back.patches]
    assert ledger.apply_again(first.event).tree == checked.tree(GOOD, BAD)


def test_where_the_base_itself_fails_nothing_is_rolled_back(checked: Checked, ledger: Ledger) -> None:
    """Neither without a patch nor where patches cancel each other out."""
    checked.exits("one", 1)
    gated = ledger.gate(STRICT)
    assert gated.rejected
    assert gated.rolled_back is None
    assert "base of the run" in gated.kept
    ledger.apply(checked.patch(GOOD))
    ledger.apply(checked.patch({b"good": None}, edited(checked.base, GOOD)))
    again = ledger.gate()
    assert again.rejected
    assert "base of the run" in again.kept
    assert events(ledger, PatchRolledBack) == []


@pytest.mark.parametrize("code", [126, 127])
def test_an_inconclusive_gate_rolls_nothing_back(checked: Checked, ledger: Ledger, code: int) -> None:
    """Nor does it accept anything, or open a ticket."""
    applied = ledger.apply(checked.patch(BAD))
    checked.exits("one", code)
    gated = ledger.gate(STRICT)
    assert verdicts(gated) == {"one": "inconclusive", "two": "inconclusive"}
    assert (gated.rejected, gated.accepted, gated.rolled_back) == (False, False, None)
    checked.book.assert_followed(applied.tree)
    assert ledger.history().tickets == {}


def test_a_gate_that_changes_the_tree_measured_nothing(checked: Checked, ledger: Ledger) -> None:
    """The tree is looked at again after the gate: what ran on another one concludes nothing."""
    applied = ledger.apply(checked.patch({b"check.sh": File(b"echo dropped > droppings\n")}))
    gated = ledger.gate(GateOptions(names=("one",), profile="release"))
    assert verdicts(gated) == {"one": "inconclusive"}
    assert "changed while" in gated.results[0].reasons[0]
    assert ledger.history().candidate.tree == applied.tree


def test_a_candidate_that_changed_meanwhile_is_not_rolled_back(
    checked: Checked, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process applied a patch while the gate ran: it was not what was measured."""
    ledger.apply(checked.patch(BAD))
    run_step = execution.run_step

    def raced(*args: Any, **options: Any) -> Any:
        with Ledger.open(checked.book.root) as other:
            other.apply(checked.patch(GOOD))
        return run_step(*args, **options)

    monkeypatch.setattr(measuring, "run_step", raced)
    gated = ledger.gate(GateOptions(names=("one",), profile="release", isolated=True))
    assert gated.rejected
    assert gated.rolled_back is None
    assert "has changed" in gated.kept
    checked.book.assert_followed(checked.tree(BAD, GOOD))


# The work tree


def test_edits_that_nobody_recorded_are_named_and_nothing_is_measured(
    checked: Checked, ledger: Ledger
) -> None:
    """The work tree is not the candidate; no run is begun for it."""
    checked.book.put(b"dir/c.txt", File(b"by hand\n"))
    with pytest.raises(NotCandidate, match=r"dir/c\.txt"):
        ledger.gate()
    assert checked.called == []
    assert ledger.runs() == []


def test_isolated_measures_the_candidate_and_keeps_what_lies_about(checked: Checked, ledger: Ledger) -> None:
    """A failure there rolls nothing back where an edit would be overwritten, and says so."""
    ledger.apply(checked.patch({**BAD, b"dir/c.txt": File(b"from a patch\n")}))
    checked.book.put(b"dir/c.txt", File(b"by hand\n"))
    gated = ledger.gate(GateOptions(isolated=True, profile="release"))
    assert verdicts(gated) == {"one": "fail", "two": "inconclusive"}
    assert gated.rolled_back is None
    assert "dir/c.txt" in gated.kept
    assert checked.book.path(b"dir/c.txt").read_bytes() == b"by hand\n"
    assert checked.book.path(b"bad-one").exists()
    # Elsewhere an edit is in nobody's way.
    checked.book.put(b"dir/c.txt", File(b"from a patch\n"))
    checked.book.put(b"a.txt", File(b"by hand\n"))
    assert ledger.gate(GateOptions(isolated=True)).rolled_back
    assert checked.book.path(b"a.txt").read_bytes() == b"by hand\n"
    assert not checked.book.path(b"bad-one").exists()


def test_edits_made_by_hand_are_rolled_back_only_on_demand(checked: Checked, ledger: Ledger) -> None:
    """What was recorded of them comes back with `apply --again`."""
    checked.book.put(b"bad-one", File(b"by hand\n"))
    recorded = ledger.record()
    gated = ledger.gate(STRICT)
    assert gated.rejected
    assert "--with-drift" in gated.kept
    checked.book.assert_followed(recorded.tree)
    assert ledger.gate(GateOptions(with_drift=True)).rolled_back
    checked.book.assert_followed(checked.tree())
    assert ledger.apply_again(recorded.event).tree == recorded.tree


def test_edits_made_by_hand_stay_protected_after_a_rebase(checked: Checked, ledger: Ledger) -> None:
    """They are patches with another cause then, and still somebody's edits."""
    checked.book.put(b"bad-one", File(b"by hand\n"))
    ledger.record()
    upstream = checked.tree({b"up": File(b"stream\n")})
    commit = checked.book.line("commit-tree", "-p", "HEAD", "-m", "up", upstream)
    checked.book.git("update-ref", "HEAD", commit)
    ledger.rebase()
    gated = ledger.gate(STRICT)
    assert gated.rejected
    assert gated.rolled_back is None
    assert "made by hand" in gated.kept


# Once per tree, flaky, needs


def test_a_gate_runs_once_for_each_tree(checked: Checked, ledger: Ledger) -> None:
    """What is recorded for this very tree counts, also when the tree comes back; `again` measures."""
    ledger.apply(checked.patch(GOOD))
    ledger.gate()
    assert checked.called == ["one", "two"]
    assert [result.recorded for result in ledger.gate().results] == [True, True]
    ledger.apply(checked.patch({b"good": None}, edited(checked.base, GOOD)))
    ledger.gate()
    ledger.apply(checked.patch(GOOD))
    ledger.gate()
    assert checked.called == ["one", "two"] * 2
    ledger.gate(GateOptions(names=("one",), again=3))
    assert checked.called[4:] == ["one"] * 3


def test_a_pass_beside_a_failure_is_flaky_and_accepts_nothing(checked: Checked, ledger: Ledger) -> None:
    """A later pass never overwrites the first failure, and closes no ticket."""
    checked.exits("one", 1)
    ledger.gate()
    checked.exits("one", None)
    gated = ledger.gate(GateOptions(again=1))
    (one, two) = gated.results
    assert (one.verdict, one.flaky, one.passes, one.measured) == ("fail", True, 1, 2)
    assert two.verdict == "pass"
    assert list(ledger.history().tickets) == ["one"]
    assert not ledger.gate(STRICT).accepted


def test_what_needs_a_gate_that_failed_before_does_not_run(checked: Checked, ledger: Ledger) -> None:
    """A recorded failure counts as one that was measured just now."""
    ledger.apply(checked.patch(BAD))
    for _ in range(2):
        assert verdicts(ledger.gate()) == {"one": "fail", "two": "inconclusive"}
    assert checked.called == ["one"]


# Tickets


def test_a_ticket_opens_with_a_soft_failure_and_closes_with_a_pass(checked: Checked, ledger: Ledger) -> None:
    """One at a time for each gate; a tree that comes back opens it again without being measured again."""
    ledger.apply(checked.patch(BAD))
    gated = ledger.gate()
    assert (gated.rejected, gated.rolled_back) == (False, None)
    ledger.gate(GateOptions(names=("one",), again=1))
    (opened,) = events(ledger, TicketOpened)
    ledger.apply(checked.patch({b"bad-one": None}, edited(checked.base, BAD)))
    ledger.gate()
    (closed,) = events(ledger, TicketClosed)
    assert (closed.ticket_v, closed.gate) == (opened.v, "one")
    assert ledger.history().tickets == {}
    ledger.apply(checked.patch(BAD))
    calls = checked.called
    ledger.gate(GateOptions(names=("one",)))
    assert checked.called == calls
    assert list(ledger.history().tickets) == ["one"]
    assert ledger.sql("select count(*) from tickets where open").fetchall() == [(1,)]


# Names, notes, policies


def test_a_name_that_is_none_changes_nothing(checked: Checked, ledger: Ledger) -> None:
    """Not even the policy, or the patches that `--each` would take away first."""
    ledger.apply(checked.patch(GOOD))
    ledger.apply(checked.patch(MORE))
    before = len(list(ledger.events()))
    wrong = [
        GateOptions(profile="relase"),
        GateOptions(names=("tset",), profile="release"),
        GateOptions(skip=("tset",), reason="because", profile="release"),
    ]
    for options in wrong:
        for ask in (ledger.gate, ledger.gate_each):
            with pytest.raises(UnknownName):
                ask(options)
    assert len(list(ledger.events())) == before
    checked.book.assert_followed(checked.tree(GOOD, MORE))


def test_a_verdict_says_where_the_policy_asks_for_less(checked: Checked, ledger: Ledger) -> None:
    """And which live patches touch the gates' own configuration."""
    ledger.gate(STRICT)
    looser = CHECKED[b"ledger.toml"].data + b"threshold = 1\n"
    applied = ledger.apply(checked.patch({b"ledger.toml": File(looser)}))
    assert applied.configures == ("ledger.toml",)
    (note,) = ledger.gate().notes
    assert note == f"{applied.event} touches the gates' own configuration: ledger.toml"
    ledger.accept_policy(reason="a try")
    notes = ledger.gate(GateOptions(skip=("one",), reason="broken")).notes
    assert any("asks for less" in each and "one" in each for each in notes)
    assert any("asks for less" in each and "two" in each for each in notes)


# Each


def test_each_patch_is_measured_on_what_survives(checked: Checked, ledger: Ledger) -> None:
    """The one that fails goes, the one that needs it is refused, the others are accepted."""
    ledger.gate(STRICT)
    files = edited(checked.base, {**BAD, b"dir/c.txt": File(b"see\n")})
    ledger.apply(checked.patch(GOOD))
    ledger.apply(checked.patch({**BAD, b"dir/c.txt": File(b"see\n")}))
    ledger.apply(checked.patch({b"dir/c.txt": File(b"saw\n")}, files))
    ledger.apply(checked.patch(MORE))
    trials = ledger.gate_each()
    assert [bool(trial.refused) for trial in trials] == [False, False, True, False]
    assert [trial.gated.accepted for trial in trials if trial.gated] == [True, False, True]
    assert ledger.history().accepted.tree == checked.tree(GOOD, MORE)
    checked.book.assert_followed(checked.tree(GOOD, MORE))


def test_each_takes_nothing_away_that_it_could_not_take_again(checked: Checked, ledger: Ledger) -> None:
    """In a phase without patches, or with edits by hand among them, nothing is rolled back."""
    text = CHECKED[b"ledger.toml"].data + b"[phases]\npatches = ['P3']\n"
    ledger.run("begins with the policy before")
    checked.book.put(b"ledger.toml", File(text))
    recorded = ledger.record()
    ledger.apply(checked.patch(MORE))
    ledger.accept_policy()
    before = len(list(ledger.events()))
    with pytest.raises(PhaseForbids):
        ledger.gate_each(STRICT)
    ledger.enter_phase("P3")
    with pytest.raises(DriftInTheWay, match=recorded.event):
        ledger.gate_each(STRICT)
    assert len(list(ledger.events())) == before + 1


# Final


def test_a_final_run_lists_what_is_missing(checked: Checked, ledger: Ledger) -> None:
    """Gates, edits, checks and tickets, each with its command; with all of it the run ends as final."""
    ledger.apply(checked.patch(BAD))
    ledger.gate()
    ledger.gate(GateOptions(names=("two",), profile="release"))
    ledger.move([b"a.txt"], b"b.txt", must_exist=["b.txt"])
    ledger.enter_phase("P6")
    checked.book.put(b"b.txt", None)
    with pytest.raises(NotFinal) as refused:
        ledger.finish()
    listed = dict(refused.value.missing)
    assert "the strict gate one was not measured on this tree" in listed
    assert listed["edited past the ledger: b.txt"] == "ledger record"
    assert listed["open tickets: one (fix it, or say why not with --waive)"] == "ledger tickets"
    ledger.record()
    with pytest.raises(NotFinal) as again:
        ledger.finish()
    assert "must exist: nothing matches b.txt" in dict(again.value.missing)
    (head, *_) = ledger.runs()
    assert head.open


def test_a_final_run_needs_no_check_of_a_change_that_was_refused(checked: Checked, ledger: Ledger) -> None:
    """What a refused move asked for binds nobody; what the others asked for is looked at again."""
    ledger.apply(checked.patch(GOOD))
    with pytest.raises(Exception, match="must exist"):
        ledger.move([b"a.txt"], b"b.txt", must_exist=["nowhere"])
    ledger.move([b"a.txt"], b"b.txt", must_exist=["b.txt"])
    ledger.gate(STRICT)
    ledger.enter_phase("P6")
    ledger.finish()
    last = list(ledger.events())[-1]
    assert last.kind == "run.finished/1"
    assert last.final  # type: ignore[union-attr]
    *_, verified = events(ledger, ChecksVerified)
    assert [(check.glob, check.holds) for check in verified.checks] == [("b.txt", True)]


# Questions


def test_a_gate_asks_until_it_passes(checked: Checked, ledger: Ledger) -> None:
    """One question for each verdict, whatever is found; a pass on the candidate answers them, in its group."""
    ledger.apply(checked.patch(GOOD))
    for code in (126, 1, 1):
        checked.exits("one", code)
        gated = ledger.gate(GateOptions(names=("one",), again=1))
    run = gated.run
    first, second, joined = events(ledger, ErrorCaptured)
    assert [(each.step, each.met_by, each.same_as) for each in (first, second, joined)] == [
        ("0:gate one", "gate", None),
        ("0:gate one", "gate", None),
        ("0:gate one", "gate", second.v),
    ]
    assert gated.questions == (first.reference, second.reference)
    assert ledger.body(first.message).startswith(b"gate one: inconclusive\n")
    assert ledger.body(second.message).startswith(b"gate one: fail\n")
    assert ledger.event(f"{run}:{first.source_v}") == events(ledger, GateMeasured)[0]
    applied = ledger.apply(checked.patch(MORE, edited(checked.base, GOOD)))
    checked.exits("one", 0)
    passed = ledger.gate(GateOptions(names=("one",)))
    assert passed.questions == ()
    measured = events(ledger, GateMeasured)[-1]
    for answer in events(ledger, QuestionAnswered):
        said = ledger.body(answer.answer).decode()
        assert (
            said == f"gate one passes on tree {applied.tree} at {measured.reference}, after {applied.event}"
        )
        assert answer.error_v in (first.v, second.v)
    assert ledger.history().questions == {}


def test_a_pass_beside_a_failure_answers_nothing(checked: Checked, ledger: Ledger) -> None:
    """The gate is flaky on this tree: its question stays open."""
    ledger.apply(checked.patch(GOOD))
    for code in (1, 0):
        checked.exits("one", code)
        ledger.gate(GateOptions(names=("one",), again=1))
    assert len(ledger.history().questions) == 1


def test_what_is_recalled_asks_and_answers_as_its_ticket(checked: Checked, ledger: Ledger) -> None:
    """Back on a tree that failed the ticket opens anew, and with it a question after the first; then it closes."""
    options = GateOptions(names=("one",))
    checked.exits("one", 1)
    ledger.apply(checked.patch(GOOD))
    ledger.gate(options)
    checked.exits("one", 0)
    ledger.apply(checked.patch(MORE, edited(checked.base, GOOD)))
    ledger.gate(options)
    assert ledger.history().questions == {}
    ledger.undo()
    assert ledger.gate(options).results[0].recorded
    first, again = events(ledger, ErrorCaptured)
    assert (again.same_as, again.after) == (None, first.v)
    ledger.apply(checked.patch(MORE, edited(checked.base, GOOD)))
    assert ledger.gate(options).results[0].recorded
    assert ledger.history().questions == {}

"""`Ledger.bisect` on real gates: beside `git bisect run`, from what is recorded, and where nothing can be told."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parent))
from book import Book, File, damage

from ledger.api import Ledger
from ledger.bisect_errors import UnmeasurableEnd, WrongEnd
from ledger.errors import NoRun, UnknownName
from ledger.events import ErrorCaptured, GateMeasured, TicketOpened
from ledger.operations.culprits import Bisected
from ledger.operations.gating import GateOptions
from ledger.reference_errors import UnknownReference
from ledger.run import identify

CONFIGURED = (
    b"gates.lint.mode = 'off'\ngates.tests.mode = 'off'\ngates.cov.mode = 'off'\n"
    b"[gates.one]\ncommand = 'sh check.sh'\nformat = 'exit'\nenv = ['CALLS']\n"
)
CHECK = b'cat n >> "$CALLS"\nread code number < n\necho "number $number"\nexit $code\n'
BASE = {b"ledger.toml": File(CONFIGURED), b"check.sh": File(CHECK), b"n": File(b"0 0\n")}
SKIP = 126


class Line:
    """A repository in which each state says with which code the gate ends on it."""

    def __init__(self, scratch: Path) -> None:
        self.book = Book(scratch / "repo", BASE)
        self.calls = scratch / "calls"
        self.ledger = Ledger.open(self.book.root)
        self.trees = {0: self.book.write_tree(BASE)}
        self.at = 0

    def tree(self, code: int, number: int) -> str:
        return self.book.write_tree({**BASE, b"n": File(b"%d %d\n" % (code, number))})

    def go(self, code: int, number: int) -> str:
        """Apply a patch after which the gate ends with ``code``; return its event."""
        head = self.ledger.status().run
        now = self.trees[0] if head is None else head.tree
        return self.ledger.apply(self.book.diff(now, self.tree(code, number))).event

    @property
    def called(self) -> list[str]:
        """What was measured, in order."""
        return self.calls.read_text("utf-8").splitlines() if self.calls.exists() else []

    def bisect(self, **options: Any) -> Bisected:
        return self.ledger.bisect("one", **options)

    def events(self, kind: type) -> list[Any]:
        return [event for event in self.ledger.events() if isinstance(event, kind)]


@pytest.fixture
def make_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Line]]:
    made: list[Line] = []

    def make(name: str) -> Line:
        (tmp_path / name).mkdir()
        made.append(Line(tmp_path / name))
        monkeypatch.setenv("CALLS", str(made[-1].calls))
        return made[-1]

    yield make
    for line in made:
        assert damage(line.ledger) == []
        assert line.book.line("worktree", "list", "--porcelain").count("worktree ") == 1
        line.ledger.close()


@pytest.fixture
def line(make_line: Callable[[str], Line]) -> Line:
    return make_line("line")


def v_of(event: str) -> int:
    return int(event.rpartition(":")[2])


# ── beside Git ───────────────────────────────────────────────────────────────────────────────────


def git_bisect(line: Line, trees: list[str]) -> set[str]:
    """Return the trees of which `git bisect run` says that one is the first bad, for a branch of ``trees``."""
    book, commits = line.book, list[str]()
    for tree in trees:
        parents = ["-p", commits[-1]] if commits else []
        commits.append(book.line("commit-tree", "-m", "state", *parents, tree))
    place = book.root.parent / "bisected"
    book.git("worktree", "add", "--quiet", "--detach", str(place), commits[-1])
    try:
        git = ["git", "-C", str(place)]
        subprocess.run([*git, "bisect", "start", commits[-1], commits[0]], check=True, capture_output=True)
        script = f"sh check.sh; code=$?; test $code = {SKIP} && exit 125; exit $code"
        # Its own calls are nobody's business.
        done = subprocess.run(
            [*git, "bisect", "run", "env", "CALLS=/dev/null", "sh", "-c", script],
            check=False,
            capture_output=True,
        )
        said = done.stdout.decode()
        found = re.findall(r"^([0-9a-f]{40}) is the first (?:'?bad'?) commit", said, re.MULTILINE)
        if not found:
            found = re.findall(r"^[0-9a-f]{40}$", said.partition("could be any of:")[2], re.MULTILINE)
        assert found, said
        return {book.line("rev-parse", f"{commit}^{{tree}}") for commit in found}
    finally:
        book.git("worktree", "remove", "--force", str(place))


def draw_history(line: Line, chooser: random.Random) -> None:
    """Let a gate pass up to somewhere and fail from there on; some states cannot be told, some are taken back."""
    count = chooser.randrange(2, 10)
    first = chooser.randrange(1, count + 1)
    skips = chooser.choice((0.0, 0.3))
    for number in range(1, count + 1):
        if chooser.random() < 0.25:
            line.go(chooser.choice((0, 1)), 100 + number)
            line.ledger.undo()
        inner = 0 < number < count
        code = SKIP if inner and chooser.random() < skips else int(number >= first)
        line.go(code, number)
        if chooser.random() < 0.2:
            line.ledger.gate(GateOptions())


@pytest.mark.campaign
def test_it_finds_what_git_finds(make_line: Callable[[str], Line], rounds: Callable[[int, int], int]) -> None:
    """The same state, or the same ones of which it may be any; no tree that has a verdict is measured."""
    for seed in range(rounds(7, 500)):
        line, chooser = make_line(f"seed{seed}"), random.Random(seed)
        draw_history(line, chooser)
        live = line.ledger.history().live
        told = {e.tree for e in line.events(GateMeasured) if e.verdict != "inconclusive"}
        before = len(line.called)
        found = line.bisect(good=str(live[0].v), jobs=chooser.choice((1, 2, 3)))
        measured = [e.tree for e in line.events(GateMeasured) if e.reference in found.measured]
        assert len(line.called) - before == len(measured) == len(set(measured)), seed
        assert not told & set(measured), seed
        suspects = {each.tree for each in (*found.suspects, found.bad)}
        assert suspects == git_bisect(line, [at.tree for at in live]), seed
        assert found.found is (len(suspects) == 1)
        again = line.bisect(good=str(live[0].v))
        assert (again.good, again.bad) == (found.good, found.bad)
        conclusive = [e for e in line.events(GateMeasured) if e.reference in again.measured]
        assert all(each.verdict == "inconclusive" for each in conclusive), seed


# ── what is recorded ─────────────────────────────────────────────────────────────────────────────


def test_the_culprit_and_the_evidence(line: Line) -> None:
    """Its patch, who made it, in which phase; the two measurements, and what the tool said."""
    line.go(0, 1)
    line.ledger.enter_phase("P3")
    good, bad = line.go(0, 2), line.go(1, 3)
    line.go(1, 4)
    found = line.bisect()
    assert (found.good.event, found.bad.event) == (good, bad)
    assert found.bad.patch == line.ledger.event(bad).patch  # type: ignore[union-attr]
    assert (found.bad.phase, found.bad.outcome) == ("P3", "fail")
    assert found.bad.findings == ("number 3",)
    assert found.bad.reasons == ("failed 1 is above 0",)
    measured = {e.reference: e for e in line.events(GateMeasured)}
    assert measured[found.good.measured].tree == line.tree(0, 2)
    assert measured[found.bad.measured].tree == line.tree(1, 3)
    assert {each.place for each in measured.values()} == {"isolated"}


def test_nothing_follows_but_facts(line: Line) -> None:
    """No ticket, no question, no rollback; work tree and index stay as they are, dirty as they may be."""
    for number in range(1, 5):
        line.go(int(number > 2), number)
    line.book.put(b"n", File(b"edited\n"))
    before, status = line.book.work_files(), line.book.status()
    count = len(list(line.ledger.events()))
    found = line.bisect()
    added = list(line.ledger.events())[count:]
    assert {type(event) for event in added} == {GateMeasured}
    assert [event.reference for event in added] == list(found.measured)
    assert line.events(TicketOpened) == line.events(ErrorCaptured) == []
    assert (line.book.work_files(), line.book.status()) == (before, status)
    line.book.put(b"n", File(b"1 4\n"))


def test_asking_again_measures_nothing(line: Line) -> None:
    for number in range(1, 8):
        line.go(int(number > 4), number)
    first = line.bisect()
    calls = line.called
    again = line.bisect()
    assert (again.good, again.bad, again.measured) == (first.good, first.bad, ())
    assert line.called == calls
    # The newest state that is known to pass is where the second one began.
    assert again.states == 4


def test_a_measurement_on_the_way_accepts_what_passes(line: Line) -> None:
    """As any other: under a strict gate a state that passes is accepted, and the ref follows."""
    line.ledger.run("strict", profile="release", name="strict")
    passing = line.go(0, 1)
    line.go(1, 2)
    line.bisect()
    assert line.ledger.history().accepted.v == v_of(passing)
    assert line.book.line("rev-parse", "refs/ledger/strict/accepted^{tree}") == line.tree(0, 1)


def test_an_old_state_is_compared_with_what_was_accepted_then(line: Line) -> None:
    """The baseline of an old state is that of its time: what was accepted since does not count."""
    line.ledger.run("strict", profile="release", name="strict")
    accepted = line.go(0, 1)
    line.ledger.gate(GateOptions())
    bad = line.go(1, 2)
    later = line.go(0, 3)
    line.ledger.gate(GateOptions())
    assert line.ledger.history().accepted.v == v_of(later)
    found = line.bisect(bad=bad)
    (old,) = [e for e in line.events(GateMeasured) if e.reference == found.bad.measured]
    assert old.baseline_v == v_of(accepted)


def test_what_was_taken_back_does_not_count(line: Line) -> None:
    """A state that was rolled back is neither measured nor an end."""
    line.go(0, 1)
    gone = line.go(1, 2)
    line.ledger.undo()
    bad = line.go(1, 3)
    line.go(1, 4)
    assert line.bisect().bad.event == bad
    with pytest.raises(UnknownReference, match="taken back"):
        line.bisect(good=gone)
    assert line.bisect(bad=gone).bad.event == gone


def test_a_later_pass_is_told(line: Line) -> None:
    """What is asked is the first failure after the good end: that it was mended once is said."""
    good = line.go(0, 1)
    bad = line.go(1, 2)
    mended = line.go(0, 3)
    last = line.go(1, 4)
    found = line.bisect(good=good, jobs=4)
    assert (found.bad.event, found.passes_again) == (bad, (mended,))
    assert line.bisect().bad.event == last


# ── what cannot be told ──────────────────────────────────────────────────────────────────────────


def test_states_that_cannot_be_told_are_a_range(line: Line) -> None:
    good, first, second, bad = line.go(0, 1), line.go(SKIP, 2), line.go(SKIP, 3), line.go(1, 4)
    found = line.bisect()
    assert not found.found
    assert [each.event for each in (found.good, *found.suspects, found.bad)] == [good, first, second, bad]
    assert {each.outcome for each in found.suspects} == {"inconclusive"}


def test_a_flaky_state_is_passed_over(line: Line) -> None:
    """Both outcomes were recorded on it: neither counts."""
    line.go(0, 1)
    flaky = line.go(0, 2)
    line.ledger.gate(GateOptions())
    event = line.events(GateMeasured)[-1]
    bad = line.go(1, 3)
    failing(line, event)
    found = line.bisect(good="patch:1")
    assert [each.event for each in found.suspects] == [flaky]
    assert found.suspects[0].outcome == "flaky"
    assert "passed and failed" in found.suspects[0].reasons[0]
    assert found.bad.event == bad
    with pytest.raises(UnmeasurableEnd, match="flaky"):
        line.bisect(bad=flaky)


def test_where_the_policy_lets_it_pass_a_flaky_state_says_nothing_either(line: Line) -> None:
    """A pass beside a failure is a pass to a gate that allows it, and no evidence."""
    line.book.put(b"ledger.toml", File(CONFIGURED + b"allow-flaky = true\n"))
    line.ledger.record()
    line.ledger.accept_policy()
    good, flaky = line.go(0, 1), line.go(0, 2)
    line.ledger.gate(GateOptions())
    event = line.events(GateMeasured)[-1]
    line.go(1, 3)
    failing(line, event)
    found = line.bisect(good=good)
    assert [(each.event, each.outcome) for each in found.suspects] == [(flaky, "flaky")]
    assert "passed and failed" in found.suspects[0].reasons[0]


def failing(line: Line, event: GateMeasured) -> None:
    """Record the same measurement once more, with a failure."""
    identity = identify(event.run, line.ledger._stamp)
    again = replace(event, **identity, v=0, prev="", metrics={"failed": 1.0}, verdict="fail")
    line.ledger.store.append([again])


def test_a_work_tree_that_cannot_be_set_up_is_passed_over(line: Line) -> None:
    """Setup fails on one state between: that is no answer of the gate."""
    text = CONFIGURED + b"[isolated]\nsetup = ['sh setup.sh']\n"
    setup = {b"ledger.toml": File(text), b"setup.sh": File(b"exit 0\n")}
    line.book.put(b"ledger.toml", setup[b"ledger.toml"])
    line.book.put(b"setup.sh", setup[b"setup.sh"])
    line.ledger.record()
    files = {**BASE, **setup}

    def go(code: int, number: int, setup_code: int) -> str:
        nonlocal files
        after = {
            **files,
            b"n": File(b"%d %d\n" % (code, number)),
            b"setup.sh": File(b"exit %d\n" % setup_code),
        }
        patch = line.book.diff(line.book.write_tree(files), line.book.write_tree(after))
        files = after
        return line.ledger.apply(patch).event

    good, broken, bad = go(0, 1, 0), go(0, 2, 3), go(1, 3, 0)
    found = line.bisect(good=good)
    assert [each.event for each in found.suspects] == [broken]
    assert "sh setup.sh: exit code 3" in found.suspects[0].reasons[0]
    assert found.bad.event == bad


def test_ends_that_are_not_what_they_have_to_be(line: Line) -> None:
    first, second, third = line.go(1, 1), line.go(0, 2), line.go(SKIP, 3)
    with pytest.raises(WrongEnd, match=f"{first}: gate one fails") as wrong:
        line.bisect(good=first, bad=second)
    assert "--good" in wrong.value.hint
    with pytest.raises(WrongEnd, match=f"{second}: gate one passes"):
        line.bisect(bad=second)
    with pytest.raises(UnmeasurableEnd, match=f"{third}: gate one is inconclusive"):
        line.bisect(good=second)
    with pytest.raises(UnknownReference, match="no state before"):
        line.bisect(good=third)
    with pytest.raises(UnknownReference, match="no live state before"):
        line.bisect(bad="1")
    with pytest.raises(UnknownName, match="nothing"):
        line.ledger.bisect("nothing")


def test_a_finished_run_is_asked_what_is_recorded(line: Line) -> None:
    """Nothing can be added to it; what is known is enough, or the run would have to be open."""
    line.go(0, 1)
    line.ledger.gate(GateOptions())
    bad = line.go(1, 2)
    line.ledger.gate(GateOptions())
    line.go(1, 3)
    run = line.ledger.resolve("@")[0]
    line.ledger.finish(abandon=True)
    assert line.bisect(bad=bad).bad.event == bad
    with pytest.raises(NoRun, match=run):
        line.bisect()

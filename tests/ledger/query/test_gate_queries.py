"""The questions about gates in ``queries/``, each on one run whose every event the test has written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from gatestory import TICK_S, Ask, Story, ask, ask_at, columns, told

from ledger.query.session import open_session
from ledger.stamps import Stamp
from ledger.store.local import LocalStore


@pytest.fixture
def story(stamp: Stamp) -> Story:
    """The run "port", as `told` tells it."""
    return told(stamp)


@pytest.fixture
def answer(story: Story, store: LocalStore) -> Ask:
    """Asks questions of the whole story."""
    story.write_to(store)
    return lambda name: ask(open_session(store), name)


def test_red(story: Story, store: LocalStore) -> None:
    """A gate is red since the first failure after its last pass, over several trees and profiles."""
    (row,) = ask_at(story, store, "red", until_v=19)
    assert columns([row], "gate mode verdict since last_pass newest measured") == [
        ("tests", "soft", "fail", "port:13", "port:10", "port:19", 3)
    ]
    assert row["reasons"] == ["broken 1 is above 0"]
    assert not row["stale"]


def test_red_knows_that_the_candidate_has_changed(story: Story, store: LocalStore) -> None:
    """The patch came back, and the failure of before is the newest word on the gate."""
    (row,) = ask_at(story, store, "red", until_v=9)
    assert columns([row], "gate mode since stale") == [("tests", "strict", "port:7", True)]


def test_a_rollback_makes_green_what_was_green(story: Story, store: LocalStore) -> None:
    """The tree that the run is back at was measured before, and passed."""
    assert ask_at(story, store, "red", until_v=8) == []


def test_nothing_is_red_once_everything_has_passed(answer: Ask) -> None:
    """The newest measurement counts, flaky or not: `flaky` is another question."""
    assert answer("red") == []


def test_culprits(answer: Ask) -> None:
    """A patch that was taken back is no suspect later, and each failure is blamed once."""
    assert columns(answer("culprits"), "test outcome failed_by passed_by patches sources") == [
        ("test_a", "error", "port:13", "port:10", ["port:12"], ["two.diff"]),
        ("test_b", "failed", "port:13", "port:10", ["port:12"], ["two.diff"]),
        ("test_a", "failed", "port:7", "port:4", ["port:6"], ["one.diff"]),
    ]


def test_flaky(answer: Ask) -> None:
    """Pass rates of the gate, and of the test whose outcomes differed; others are certain."""
    rows = columns(answer("flaky"), "gate test state measured passed pass_rate newest")
    assert rows == [
        ("tests", None, "port:18", 2, 1, 0.5, "port:20"),
        ("tests", "test_a", "port:18", 2, 1, 0.5, "port:20"),
        ("tests", None, "port:12", 2, 0, 0.0, "port:15"),
    ]


def test_slow_tests(answer: Ask) -> None:
    """The slowest comes first, with its change since the first time; a skipped test took no time."""
    names = "test newest_s first_s change_s median_s measured newest"
    assert columns(answer("slow_tests"), names) == [
        ("test_a", 4.0, 1.0, 3.0, 2.5, 7, "port:20"),
        ("test_b", 0.25, 0.25, 0.0, 0.25, 7, "port:20"),
    ]
    assert answer("slow_tests")[0]["share"] == pytest.approx(4 / 4.25, abs=1e-4)


def test_coverage(answer: Ask) -> None:
    """Accepted states alone are compared, with the file that lacks most in each."""
    names = "state gate measured_by percent change covered statements worst_path"
    assert columns(answer("coverage"), names) == [
        ("port:1", "cov", "port:5", 80.0, None, 16, 20, "a.py"),
        ("port:9", "cov", "port:11", 90.0, 10.0, 18, 20, "b.py"),
    ]


def test_weakened(answer: Ask) -> None:
    """What a policy asks less of, and the patches to the gates' own configuration, stand side by side."""
    assert columns(answer("weakened"), "event how what profile undone_by actor") == [
        ("port:18", "patch", "conftest.py", "dev", None, "tester"),
        ("port:14", "policy", "cov: skipped: slow", "dev", None, "tester"),
        ("port:14", "policy", "tests: strict → soft", "dev", None, "tester"),
    ]


def test_time_to_fix(answer: Ask) -> None:
    """From the failure to the pass: the time by the clock, the failures and the patches in between."""
    (row,) = answer("time_to_fix")
    names = "gate ticket opened_by closed_by fixed_by attempts patches"
    assert columns([row], names) == [("tests", "port:16", "port:15", "port:20", "port:18", 1, 1)]
    assert row["took_s"] == pytest.approx((21 - 16) * TICK_S)


def test_an_open_ticket_has_no_fix(story: Story, store: LocalStore) -> None:
    """Its time runs to the end of what is recorded."""
    (row,) = ask_at(story, store, "time_to_fix", until_v=18)
    assert columns([row], "closed_by fixed_by attempts patches") == [(None, None, 0, 1)]
    assert row["took_s"] > 0


def test_would_accept(story: Story, store: LocalStore) -> None:
    """Each state under `release`, as if it had always been in force; `dev` accepts nothing and is left out."""
    rows = ask_at(story, store, "would_accept")
    assert columns(rows, "state profile accepts accepted passing strict lacking rolled_back") == [
        ("port:1", "release", True, True, 2, 2, None, False),
        ("port:6", "release", False, False, 0, 2, ["cov: not measured", "tests: fail"], True),
        ("port:9", "release", True, True, 2, 2, None, False),
        ("port:12", "release", False, False, 0, 2, ["cov: not measured", "tests: fail"], False),
        ("port:18", "release", False, False, 0, 2, ["cov: not measured", "tests: flaky"], False),
    ]


def test_would_accept_agrees_with_the_macro(story: Story, store: LocalStore) -> None:
    """`accepted_under` names the same states."""
    rows = ask_at(story, store, "would_accept")
    found = open_session(store).execute("select event from accepted_under('port', 'release')").fetchall()
    assert [(row["state"],) for row in rows if row["accepts"]] == found != []


def test_rolled_back(answer: Ask) -> None:
    """The patch came back, and what came back stands; the gate that led to it is named."""
    assert columns(answer("rolled_back"), "patch source rolled_back_by failed came_back_as stands") == [
        ("port:6", "one.diff", "port:8", ["tests"], "port:9", True)
    ]


def test_what_was_undone_and_never_came_back(story: Story, store: LocalStore) -> None:
    """An undo names no gate."""
    story.roll_back(9)
    rows = columns(ask_at(story, store, "rolled_back"), "patch failed came_back_as stands")
    assert rows == [
        ("port:18", [], None, False),
        ("port:12", [], None, False),
        ("port:6", ["tests"], "port:9", True),
    ]


def test_phases(answer: Ask) -> None:
    """What happened in each phase is counted in it; the last one runs to the last event."""
    rows = answer("phases")
    assert columns(rows, "phase visits patches refused measured failed rollbacks") == [
        ("P3", 1, 3, 0, 7, 3, 1),
        ("P4", 1, 1, 0, 2, 1, 0),
    ]
    assert columns(rows, "spent_s share") == [(14 * TICK_S, 0.7778), (4 * TICK_S, 0.2222)]


def test_stale(story: Story, store: LocalStore) -> None:
    """What was measured before the candidate changed is stale, by so many patches and rollbacks."""
    rows = ask_at(story, store, "stale", until_v=9)
    assert columns(rows, "gate mode verdict measured_by state patches rollbacks") == [
        ("cov", "strict", "pass", "port:5", "port:1", 2, 1),
        ("tests", "strict", "fail", "port:7", "port:6", 1, 1),
    ]


def test_a_gate_that_was_never_measured_is_stale(story: Story, store: LocalStore) -> None:
    """It has no verdict at all; one that is off is not asked for."""
    rows = ask_at(story, store, "stale", until_v=4)
    assert columns(rows, "gate verdict measured_by patches") == [("cov", None, None, 0)]


def test_a_rollback_makes_fresh_what_was_measured(story: Story, store: LocalStore) -> None:
    """Verdicts on the tree that the run is back at count again."""
    assert ask_at(story, store, "stale", until_v=8) == []


def test_a_fresh_verdict_is_not_stale(answer: Ask) -> None:
    """The tests were measured on the candidate, and coverage is off in the profile in force."""
    assert answer("stale") == []

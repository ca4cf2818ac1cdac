"""What another policy would have accepted: beside SQL, beside what was accepted in fact, and in its reasons."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parent))
from chronicle import Chronicle, Files, rule
from stories import BASE, chronicles, policies, steps, story_of

from ledger.counterfactual import Comparison, OtherPolicy, choose_policy, compare
from ledger.errors import UnknownName
from ledger.events import PolicySet
from ledger.gates.documents import InvalidConfiguration
from ledger.policies import Policy, Step
from ledger.query.session import open_session
from ledger.stamps import Stamp
from ledger.store.local import LocalStore

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

pytestmark = pytest.mark.duckdb

ONE: Files = {**BASE, "a": "1"}
FOUND: dict[str, Any] = {"metrics": {"findings": 1.0}}


def asked(chronicle: Chronicle, policy: Policy, v: int | None = None) -> Comparison:
    other = OtherPolicy("other.toml", "release", policy)
    return compare(chronicle.run, chronicle.events, v or chronicle.v, other)  # type: ignore[arg-type]


def policies_set(chronicle: Chronicle) -> list[PolicySet]:
    return [event for event in chronicle.events if isinstance(event, PolicySet)]


# ── beside others ────────────────────────────────────────────────────────────────────────────────


@given(chronicles)
@settings(max_examples=max(15, settings().max_examples // 4))
def test_it_says_what_sql_says(chronicle: Chronicle) -> None:
    """Each profile of the run's last policy: `accepted_under` names the same states, by the same events."""
    if not policies_set(chronicle):
        return
    with tempfile.TemporaryDirectory() as folder:
        store = LocalStore.open(Path(folder) / "ledger", chronicle.stamp, create=True)
        chronicle.write_to(store)
        session = open_session(store)
        assert_as_sql(chronicle, session)
        session.close()
        store.close()


def assert_as_sql(chronicle: Chronicle, session: DuckDBPyConnection) -> None:
    query = "select v, tree, accepted_by, live from accepted_under($run, $profile)"
    for name, policy in policies_set(chronicle)[-1].profiles.items():
        rows = session.execute(query, {"run": chronicle.run, "profile": name}).fetchall()
        states = [state for state in asked(chronicle, policy).states if state.accepts_by is not None]
        assert [(s.v, s.tree, s.accepts_by, s.live) for s in states] == rows
        for state in states:
            assert all(each.measured for each in state.standings if each.mode == "strict")


stable = st.lists(
    steps().filter(lambda step: step.what not in ("policy", "profile")), min_size=6, max_size=12
)


@given(policies, stable)
def test_the_policy_in_force_gives_what_was_accepted(policy: Policy, happened: list[Any]) -> None:
    """At every version of a run whose policy never changed; and no gate stands otherwise than it did."""
    chronicle = story_of({"release": policy}, happened)
    for v in range(2, chronicle.v + 1):
        found = asked(chronicle, policy, v)
        assert found.accepts == found.accepted
        for state in found.states:
            assert state.accepts_by == state.accepted_by
            assert [each.outcome for each in state.standings] == [each.then for each in state.standings]


# ── what each gate lacks ─────────────────────────────────────────────────────────────────────────


def lacking(found: Comparison, v: int) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(each.gate, each.outcome, each.reasons) for each in found.state(v).lacking]


def test_a_threshold_is_judged_from_the_facts(stamp: Stamp) -> None:
    """Soft then, strict and one finding more now: the same measurement decides."""
    chronicle = Chronicle(stamp, BASE)
    chronicle.set_policy({"dev": Policy(gates={"lint": rule("soft")})}, "dev")
    patch = chronicle.patch(ONE)
    measured = chronicle.measure("lint", rule(), **FOUND)
    lenient, strict = (Policy(gates={"lint": rule(threshold=limit)}) for limit in (1.0, 0.0))
    assert asked(chronicle, lenient).accepts.v == patch
    assert asked(chronicle, lenient).state(patch).accepts_by == measured
    found = asked(chronicle, strict)
    assert found.accepts.v == 1
    assert lacking(found, patch) == [("lint", "fail", ("findings 1 is above 0",))]
    assert found.state(patch).lacking[0].measured == f"port:{measured}"


def test_a_command_that_differs_is_inconclusive(stamp: Stamp) -> None:
    """It says which was measured, and which is asked for; a tree without a measurement is not measured."""
    chronicle = Chronicle(stamp, BASE)
    chronicle.set_policy({"dev": Policy(gates={"lint": rule("soft")})}, "dev")
    patch = chronicle.patch(ONE)
    chronicle.measure("lint", rule())
    found = asked(chronicle, Policy(gates={"lint": rule(command="other"), "tests": rule()}))
    reason = "measured with `check`, the policy asks for `other`"
    assert lacking(found, patch) == [("lint", "inconclusive", (reason,)), ("tests", "not measured", ())]
    assert lacking(found, 1) == [("lint", "not measured", ()), ("tests", "not measured", ())]
    steps = (Step(command=("check",), exit_codes=(0, 1)),)
    otherwise = asked(chronicle, Policy(gates={"lint": replace(rule(), steps=steps)}))
    assert lacking(otherwise, patch)[0][2] == ("measured with `check`, but its result read in another way",)
    elsewhere = asked(chronicle, Policy(gates={"lint": rule(env=("HOME",), outside=("x",))}))
    assert lacking(elsewhere, patch)[0][2] == (
        "measured with other environment variables and packages outside",
    )


def test_both_outcomes_on_one_tree_are_flaky(stamp: Stamp) -> None:
    """Under another policy as under the one in force; a policy that allows it accepts."""
    chronicle = Chronicle(stamp, BASE)
    chronicle.set_policy({"dev": Policy(gates={"lint": rule("soft")})}, "dev")
    patch = chronicle.patch(ONE)
    chronicle.measure("lint", rule())
    chronicle.measure("lint", rule(), **FOUND)
    found = asked(chronicle, Policy(gates={"lint": rule()}))
    ((_, outcome, reasons),) = lacking(found, patch)
    assert outcome == found.state(patch).standings[0].then == "flaky"
    assert "passed and failed" in reasons[0]
    assert asked(chronicle, Policy(gates={"lint": rule(allow_flaky=True)})).accepts.v == patch


def test_what_came_later_does_not_count(stamp: Stamp) -> None:
    """Up to an event, only what was known then."""
    chronicle = Chronicle(stamp, BASE)
    chronicle.set_policy({"dev": Policy(gates={"lint": rule("soft")})}, "dev")
    patch = chronicle.patch(ONE)
    chronicle.measure("lint", rule())
    policy = Policy(gates={"lint": rule()})
    assert asked(chronicle, policy, patch).accepts.v == 1
    assert asked(chronicle, policy).accepts.v == patch


# ── which policy is meant ────────────────────────────────────────────────────────────────────────


@pytest.fixture
def present(stamp: Stamp) -> PolicySet:
    chronicle = Chronicle(stamp, BASE)
    profiles = {"dev": Policy(gates={}), "release": Policy(gates={"lint": rule()})}
    chronicle.set_policy(profiles, "release")
    return policies_set(chronicle)[0]


@pytest.mark.parametrize(
    ("name", "text", "profile", "wanted"),
    [
        ("other.toml", "gates.lint.threshold = 3\n", "", "release"),
        ("other.toml", "profile = 'dev'\ngates.lint.threshold = 3\n", "", "dev"),
        ("other.toml", "profile = 'dev'\ngates.lint.threshold = 3\n", "release", "release"),
        ("other.toml", "[tool.ledger]\ngates.lint.threshold = 3\n", "", "release"),
        ("pyproject.toml", "[tool.ledger]\nprofile = 'dev'\ngates.lint.threshold = 3\n", "", "dev"),
    ],
)
def test_a_file_is_read_in_either_form(
    tmp_path: Path, present: PolicySet, name: str, text: str, profile: str, wanted: str
) -> None:
    """The profile that is asked for counts, else the one that the file names, else the one in force."""
    file = tmp_path / name
    file.write_text(text)
    found = choose_policy("port", present, file, profile)
    assert (found.source, found.profile) == (str(file), wanted)
    assert found.policy.gates["lint"].threshold == 3


def test_without_a_file_the_recorded_profiles_are_meant(present: PolicySet) -> None:
    assert choose_policy("port", present, None, "") == ("port", "release", present.profiles["release"])
    assert choose_policy("port", present, None, "dev").profile == "dev"
    with pytest.raises(UnknownName, match="nightly"):
        choose_policy("port", present, None, "nightly")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("other.toml", "gates.lint.treshold = 3\n", "other.toml:1: gates.lint.treshold"),
        ("pyproject.toml", "[project]\nname = 'x'\n", "no such table"),
        ("other.toml", "[tool.ledger]\nwhat = 1\n", "other.toml:2: tool.ledger.what"),
    ],
)
def test_a_file_that_means_nothing_is_named(
    tmp_path: Path, present: PolicySet, name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidConfiguration, match=said) as caught:
        choose_policy("port", present, tmp_path / name, "")
    assert str(caught.value).startswith(str(tmp_path))

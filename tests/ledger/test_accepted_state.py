"""The accepted state: the fold, the second reader and SQL say the same of every version of any run."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given, settings

sys.path.insert(0, str(Path(__file__).parent))
import second_reader
from chronicle import Chronicle, Files, rule, tree
from stories import BASE, chronicles

from ledger.events import encode_event
from ledger.gates.judge import judge
from ledger.history import History
from ledger.policies import Policy
from ledger.query.session import open_session
from ledger.stamps import Stamp
from ledger.store.local import LocalStore

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

pytestmark = pytest.mark.duckdb

# ── three readers ────────────────────────────────────────────────────────────────────────────────


class Accepted(NamedTuple):
    """A state that a policy accepts: its version and tree, the event that accepted it, whether it is live."""

    v: int
    tree: str
    by: int
    live: bool


def decoded(chronicle: Chronicle) -> list[dict[str, Any]]:
    """Return the events as the second reader gets them."""
    return [json.loads(encode_event(event)) for event in chronicle.events]


def states(chronicle: Chronicle, v: int) -> list[tuple[int, str]]:
    """Return every state by then, live or not."""
    return [(at, tree(files)) for at, files in chronicle.contents.items() if at <= v]


def by_fold(chronicle: Chronicle, v: int, policy: Policy | None = None) -> list[Accepted]:
    """Return what `History` accepts."""
    history = History.of(chronicle.events, v, policy)  # type: ignore[arg-type]
    accepted = [(at, oid, history.accepted_by(oid)) for at, oid in states(chronicle, v)]
    live = {at.v for at in history.live}
    return [Accepted(at, oid, by, at in live) for at, oid, by in accepted if by is not None]


def by_document(
    events: list[dict[str, Any]], chronicle: Chronicle, v: int, profile: str | None = None
) -> list[Accepted]:
    """Return what the second reader accepts."""
    policy = None if profile is None else last_profiles(events, v)[profile]
    accepted = second_reader.accepted_trees(events, v, policy)
    live = dict(second_reader.live_states(events, v))
    return [
        Accepted(at, oid, accepted[oid], at in live) for at, oid in states(chronicle, v) if oid in accepted
    ]


def by_sql(session: DuckDBPyConnection, run: str, profile: str) -> list[Accepted]:
    """Return what a profile accepts in SQL."""
    query = "select v, tree, accepted_by, live from accepted_under($run, $profile)"
    rows = session.execute(query, {"run": run, "profile": profile}).fetchall()
    return [Accepted(*row) for row in rows]


def last_profiles(events: list[dict[str, Any]], v: int) -> dict[str, Any]:
    """Return the profiles that were recorded last."""
    found = [event["profiles"] for event in events[:v] if event["kind"] == "policy.set/1"]
    return found[-1] if found else {}


@contextmanager
def prefixes(chronicle: Chronicle) -> Iterator[DuckDBPyConnection]:
    """Give SQL over one ledger in which each prefix of the run is a run of its own: r1, r2 and so on."""
    root = Path(tempfile.mkdtemp(prefix="accepted-"))
    try:
        store = LocalStore.open(root / "ledger", chronicle.stamp, create=True)
        for v in range(1, chronicle.v + 1):
            chronicle.write_to(store, f"r{v}", v)
        session = open_session(store)
        yield session
        session.close()
        store.close()
    finally:
        shutil.rmtree(root)


def tree_in_sql(session: DuckDBPyConnection, source: str) -> str:
    rows = session.execute(f"select mode, oid, path_bytes from {source}").fetchall()
    return second_reader.tree_of({path: (mode, oid) for mode, oid, path in rows})


def assert_one_answer(chronicle: Chronicle) -> None:
    """At every version, the three say the same of every state, and of every profile."""
    events = decoded(chronicle)
    with prefixes(chronicle) as session:
        now = dict(session.execute("select run, accepted_tree from runs").fetchall())
        for v in range(1, chronicle.v + 1):
            history = History.of(chronicle.events, v)  # type: ignore[arg-type]
            assert history.live == second_reader.live_states(events, v)
            assert by_fold(chronicle, v) == by_document(events, chronicle, v)
            assert history.accepted == second_reader.accepted_state(events, v)
            assert history.accepted.tree == now[f"r{v}"]
            assert tree_in_sql(session, f"accepted_at('r{chronicle.v}', {v})") == history.accepted.tree
            for profile in last_profiles(events, v):
                policy = _policy(chronicle, v).profiles[profile]
                fold = by_fold(chronicle, v, policy)
                assert fold == by_document(events, chronicle, v, profile)
                assert fold == by_sql(session, f"r{v}", profile)


def _policy(chronicle: Chronicle, v: int) -> Any:
    policy_set = History.of(chronicle.events, v).policy_set  # type: ignore[arg-type]
    assert policy_set is not None
    return policy_set


@given(chronicles)
@settings(max_examples=max(15, settings().max_examples // 4))
def test_three_readers_give_one_answer(chronicle: Chronicle) -> None:
    """The fold, the second reader and SQL, at each version: as it was in force, and under each profile."""
    assert_one_answer(chronicle)


# ── what counts ──────────────────────────────────────────────────────────────────────────────────

STRICT = rule()
ONE: Files = {**BASE, "a": "1"}
TWO: Files = {**ONE, "b": "1"}
FOUND: dict[str, Any] = {"metrics": {"findings": 1.0}}


def begin(stamp: Stamp, profile: str = "release", **gates: Any) -> Chronicle:
    """Return a run of two policies' choice, "release" of ``gates`` and "dev" without a strict one."""
    chronicle = Chronicle(stamp, BASE)
    release = Policy(gates=gates or {"lint": STRICT})
    chronicle.set_policy({"release": release, "dev": Policy(gates={"lint": rule("soft")})}, profile)
    return chronicle


def accepted(chronicle: Chronicle, v: int | None = None) -> int:
    """Return the version of the accepted state, on which all readers agree."""
    assert_one_answer(chronicle)
    return History.of(chronicle.events, v).accepted.v  # type: ignore[arg-type]


def test_every_strict_gate_has_to_pass(stamp: Stamp) -> None:
    """One of two is not enough; a gate that nobody runs is none that passed; soft gates do not count."""
    chronicle = begin(stamp, lint=STRICT, tests=STRICT, types=rule("soft"), old=rule("off"))
    patch = chronicle.patch(ONE)
    chronicle.measure("lint", STRICT)
    chronicle.measure("types", STRICT, **FOUND)
    assert accepted(chronicle) == 1
    chronicle.measure("tests", STRICT)
    assert accepted(chronicle) == patch
    assert accepted(chronicle, patch + 2) == 1


@pytest.mark.parametrize("gates", [{}, {"lint": rule("soft")}])
def test_without_a_strict_gate_nothing_is_accepted(stamp: Stamp, gates: dict[str, Any]) -> None:
    """Also where the policy has no gate at all, after one that had."""
    chronicle = begin(stamp)
    chronicle.set_policy({"release": Policy(gates=gates)}, "release")
    chronicle.patch(ONE)
    chronicle.measure("lint", STRICT)
    assert accepted(chronicle) == 1


def test_without_a_policy_nothing_is_accepted(stamp: Stamp) -> None:
    """As in runs that were recorded before there were policies."""
    chronicle = Chronicle(stamp, BASE)
    chronicle.patch(ONE)
    chronicle.measure("lint", STRICT)
    assert accepted(chronicle) == 1


def test_what_was_accepted_stays_accepted(stamp: Stamp) -> None:
    """Whatever the policy becomes, and whatever is measured later."""
    chronicle = begin(stamp)
    patch = chronicle.patch(ONE)
    chronicle.measure("lint", STRICT)
    chronicle.set_policy({"release": Policy(gates={"lint": rule(threshold=-1.0), "x": STRICT})}, "release")
    chronicle.measure("lint", STRICT, **FOUND)
    assert accepted(chronicle) == patch


def test_a_policy_accepts_what_was_measured_before(stamp: Stamp) -> None:
    """The verdict is given again from the facts: a new threshold counts at once."""
    chronicle = begin(stamp)
    patch = chronicle.patch(ONE)
    chronicle.measure("lint", STRICT, **FOUND)
    assert accepted(chronicle) == 1
    policy = chronicle.set_policy({"release": Policy(gates={"lint": rule(threshold=1.0)})}, "release")
    assert accepted(chronicle) == patch
    assert by_fold(chronicle, policy) == [Accepted(patch, tree(ONE), policy, live=True)]


def test_another_command_measures_something_else(stamp: Stamp) -> None:
    """Facts of another definition are inconclusive under this one."""
    chronicle = begin(stamp)
    chronicle.patch(ONE)
    chronicle.measure("lint", rule(command="other"))
    assert accepted(chronicle) == 1


@pytest.mark.parametrize("flaky", [False, True])
def test_a_pass_beside_a_failure(stamp: Stamp, flaky: bool) -> None:
    """On one tree it is a failure, unless the policy allows it; inconclusive ones do not matter."""
    gate = rule(allow_flaky=flaky)
    chronicle = begin(stamp, lint=gate)
    patch = chronicle.patch(ONE)
    chronicle.measure("lint", gate, **FOUND)
    chronicle.measure("lint", gate)
    chronicle.measure("lint", gate, problems=("timeout",))
    assert accepted(chronicle) == (patch if flaky else 1)


def test_only_the_newest_environment_counts(stamp: Stamp) -> None:
    """A failure under an older tool is forgotten; one under the newest is not outweighed by an older pass."""
    chronicle = begin(stamp)
    patch = chronicle.patch(ONE)
    chronicle.measure("lint", STRICT, tools={"check": "1"}, **FOUND)
    passed = chronicle.measure("lint", STRICT, tools={"check": "2"})
    chronicle.patch(TWO)
    chronicle.measure("lint", STRICT, tools={"check": "1"})
    chronicle.set_policy({"dev": Policy(gates={"lint": rule("soft")})}, "dev")
    chronicle.measure("lint", STRICT, tools={"check": "2"}, **FOUND)
    assert accepted(chronicle, passed) == patch
    # The state that passed under the older tool was accepted then, and stays so.
    assert accepted(chronicle) == patch + 3


def test_the_newest_environment_decides_when_a_policy_comes(stamp: Stamp) -> None:
    """A pass under an older tool counts for nothing once there is a failure under a newer one."""
    chronicle = begin(stamp, "dev")
    patch = chronicle.patch(ONE)
    chronicle.measure("lint", STRICT, tools={"check": "1"})
    chronicle.measure("lint", STRICT, tools={"check": "2"}, **FOUND)
    profiles = {"release": Policy(gates={"lint": STRICT})}
    chronicle.set_policy(profiles, "release")
    assert accepted(chronicle) == 1
    chronicle.measure("lint", STRICT, tools={"check": "1"})
    assert accepted(chronicle) == patch


def test_another_command_makes_no_environment_newer(stamp: Stamp) -> None:
    """The newest environment is the newest in which this very definition was measured."""
    chronicle = begin(stamp, "dev")
    patch = chronicle.patch(ONE)
    chronicle.measure("lint", STRICT, tools={"check": "1"})
    chronicle.measure("lint", rule(command="other"), tools={"other": "7"}, **FOUND)
    chronicle.set_policy({"release": Policy(gates={"lint": STRICT})}, "release")
    assert accepted(chronicle) == patch


def test_a_rollback_takes_an_accepted_state_away(stamp: Stamp) -> None:
    """The newest that is left counts; the patch taken again is accepted again, with its tree."""
    chronicle = begin(stamp)
    first = chronicle.patch(ONE)
    chronicle.measure("lint", STRICT)
    second = chronicle.patch(TWO)
    chronicle.measure("lint", STRICT)
    assert accepted(chronicle) == second
    chronicle.roll_back(first)
    assert accepted(chronicle) == first
    chronicle.roll_back(1)
    assert accepted(chronicle) == 1
    again = chronicle.patch(ONE, of=first)
    assert accepted(chronicle) == again


def test_the_same_tree_by_another_way_is_accepted(stamp: Stamp) -> None:
    """What was measured is a tree, not a version."""
    chronicle = begin(stamp)
    chronicle.patch(ONE)
    chronicle.measure("lint", STRICT)
    chronicle.patch(TWO)
    back = chronicle.patch(ONE)
    assert accepted(chronicle) == back


def test_a_measurement_that_ends_late_accepts_the_tree_that_it_measured(stamp: Stamp) -> None:
    """The candidate went on meanwhile."""
    chronicle = begin(stamp)
    patch, measured = chronicle.patch(ONE), chronicle.tree
    chronicle.patch(TWO)
    chronicle.measure("lint", STRICT, measured)
    assert accepted(chronicle) == patch


def test_a_rebase_begins_anew(stamp: Stamp) -> None:
    """The new base counts until one of its own states is accepted; trees stay what they are."""
    chronicle = begin(stamp)
    chronicle.patch(ONE)
    chronicle.measure("lint", STRICT)
    base = chronicle.rebase(TWO)
    assert accepted(chronicle) == base
    back = chronicle.patch(ONE, cause="rebase")
    assert accepted(chronicle) == back


def test_a_profile_that_was_not_in_force(stamp: Stamp) -> None:
    """Which states release would have accepted, while dev was in force: asked of the fold and of SQL."""
    chronicle = begin(stamp, "dev")
    first = chronicle.patch(ONE)
    measured = chronicle.measure("lint", STRICT)
    chronicle.patch(TWO)
    chronicle.measure("lint", STRICT, **FOUND)
    chronicle.roll_back(1)
    assert accepted(chronicle) == 1
    with prefixes(chronicle) as session:
        wanted = [Accepted(first, tree(ONE), measured, live=False)]
        assert by_sql(session, f"r{chronicle.v}", "release") == wanted
        assert by_sql(session, f"r{chronicle.v}", "dev") == []


@pytest.mark.parametrize(
    ("found", "fields", "verdict"),
    [
        ({}, {}, "pass"),
        ({"problems": ("crash",)}, {}, "inconclusive"),
        ({"examined": 0}, {"min_examined": 0}, "inconclusive"),
        ({"metrics": {}}, {}, "inconclusive"),
        ({"metrics": {"other": 0.0}}, {}, "inconclusive"),
        ({"problems": ("crash",), **FOUND}, {}, "inconclusive"),
        (FOUND, {}, "fail"),
        (FOUND, {"threshold": 1.0}, "pass"),
        (FOUND, {"threshold": 0.5, "better": "higher"}, "pass"),
        ({}, {"threshold": 0.5, "better": "higher"}, "fail"),
        ({}, {"min_examined": 3}, "pass"),
        ({}, {"min_examined": 4}, "fail"),
        ({"unit": "tests", "baseline": {"examined": 4.0}}, {}, "fail"),
        ({"unit": "tests", "baseline": {"examined": 3.0}}, {}, "pass"),
        ({"unit": "tests", "baseline": {"examined": 4.0}}, {"allow_fewer": True}, "pass"),
        ({"unit": "files", "baseline": {"examined": 4.0}}, {}, "pass"),
        ({"baseline": {"findings": -1.0}}, {"baseline": True}, "fail"),
        ({"baseline": {"findings": -1.0}}, {}, "pass"),
        ({"baseline": {"findings": 0.0}}, {"baseline": True}, "pass"),
        ({"baseline": {"examined": 3.0}}, {"baseline": True}, "pass"),
        ({"baseline": {"findings": 1.0}}, {"baseline": True, "better": "higher"}, "fail"),
    ],
)
def test_the_verdict(stamp: Stamp, found: dict[str, Any], fields: dict[str, Any], verdict: str) -> None:
    """The judge, the second reader and SQL, row by row; what the writer called it does not matter."""
    gate = rule(**fields)
    chronicle = begin(stamp, lint=gate)
    chronicle.patch(ONE)
    v = chronicle.measure("lint", gate, verdict="fail" if verdict == "pass" else "pass", **found)
    (measured, policy_set) = (decoded(chronicle)[v - 1], decoded(chronicle)[1])
    assert second_reader.verdict_of(measured, policy_set["profiles"]["release"]["gates"]["lint"]) == verdict
    assert judge(chronicle.events[v - 1], gate).verdict == verdict  # type: ignore[arg-type]
    with prefixes(chronicle) as session:
        query = f"select verdict from columns.judged where run = 'r{v}' and v = {v} and regime = ''"
        assert session.execute(query).fetchall() == [(verdict,)]

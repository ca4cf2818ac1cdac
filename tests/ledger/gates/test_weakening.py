"""Weakening: no way of asking for less goes unsaid, and asking for more is never called less."""

from __future__ import annotations

import math
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from policy_lab import policies

from ledger.gates.configuration import read_configuration, skip_gates
from ledger.gates.defaults import default_policy
from ledger.gates.weakening import Change, list_changes, list_weakenings
from ledger.policies import PhaseRule, Policy, Rule, Step

DEV, RELEASE = default_policy("dev"), default_policy("release")
TESTS = 'command = "pytest {} --junitxml={{scratch}}/junit.xml"'


def configured(text: str) -> Policy:
    return read_configuration(text.encode(), None).policy


WORDS = [
    ("", "[gates.tests]\nmode = 'off'", "tests: off"),
    ("", "[gates.tests]\nmode = 'off'\nreason = 'flaky network'", "tests: skipped: flaky network"),
    ("[gates.lint]\nmode = 'strict'", "", "lint: strict → soft"),
    ("[gates.e2e]\ncommand = 'make'", "", "e2e: removed"),
    ("[gates.cov]\nthreshold = 80", "[gates.cov]\nthreshold = 40", "cov: threshold 80 → 40"),
    ("", "[gates.lint]\nthreshold = 0.5", "lint: threshold 0 → 0.5"),
    (
        "[gates.tests]\n" + TESTS.format("-q"),
        "[gates.tests]\n" + TESTS.format("-q -k 'fast or tiny'"),
        (
            "tests: command changed: pytest -q --junitxml={scratch}/junit.xml"
            " → pytest -q -k 'fast or tiny' --junitxml={scratch}/junit.xml"
        ),
    ),
    ("[gates.tests]\nmin-tests = 50", "[gates.tests]\nmin-tests = 49", "tests: must examine 50 → 49"),
    ("[gates.cov]\nbaseline = true", "", "cov: may be worse than the accepted state"),
    ("", "[gates.tests]\nallow-fewer = true", "tests: may run fewer tests than the accepted state"),
    ("", "[gates.tests]\nallow-flaky = true", "tests: different outcomes on one tree are allowed"),
    ("", "[gates.tests]\noutside = ['demo']", "tests: may be imported from outside: demo"),
    ("", "[gates.lint]\npaths = ['src']", "lint: paths: src, tests → src"),
    (
        "[gates.e2e]\ncommand = 'make'",
        "[gates.e2e]\ncommand = 'make'\nexit-codes = [0, 2]",
        "e2e: exit codes that pass: 2 too",
    ),
    (
        "",
        "[gates.cov]\nmetric = 'statements'",
        "cov: judged by statements, higher is better; was combined, higher",
    ),
    ("must-exist = ['README.md']", "", "must-exist: README.md dropped"),
    ("must-not-exist = ['*.orig']", "", "must-not-exist: *.orig dropped"),
    ("[phases]\norder = true", "", "phases: going back is allowed"),
    ("[phases]\npatches = ['build']", "[phases]\npatches = ['P3', 'P4']", "phases: P4 (prune) takes patches"),
]


@pytest.mark.parametrize(("before", "after", "words"), WORDS)
def test_a_person_is_told_what_is_asked_no_more(before: str, after: str, words: str) -> None:
    """Each weakening gives its one line, and the way back gives none unless it cannot be compared."""
    old, new = configured(before), configured(after)
    assert words in list_weakenings(old, new)
    back = list_weakenings(new, old)
    assert all("changed" in line or "judged by" in line or "measured by" in line for line in back)


def test_profiles_compare_as_one_would_think() -> None:
    assert list_weakenings(None, DEV) == ()
    assert list_weakenings(DEV, RELEASE) == ()
    assert list_weakenings(RELEASE, DEV) == tuple(
        f"{name}: strict → soft" for name in ("lint", "tests", "cov")
    )


def test_a_gate_that_was_off_has_nothing_to_lose() -> None:
    skipped = skip_gates(RELEASE, ["tests"], "network is down")
    assert list_weakenings(RELEASE, skipped) == ("tests: skipped: network is down",)
    assert list_weakenings(skipped, RELEASE) == ()
    assert list_weakenings(skipped, skip_gates(RELEASE, ["tests"], "")) == ()


POLICIES = policies(("tests", "e2e"))
Edit = Callable[[Rule, float], Mapping[str, object] | None]


def step(rule: Rule, **changes: object) -> Mapping[str, object]:
    return {"steps": (msgspec.structs.replace(rule.steps[0], **changes), *rule.steps[1:])}


def moved(rule: Rule, size: float) -> Mapping[str, object] | None:
    """Return another threshold, ``size`` to the worse; None where floats are too coarse for it."""
    threshold = rule.threshold + (size if rule.better == "lower" else -size)
    return {"threshold": threshold} if math.isfinite(threshold) and threshold != rule.threshold else None


LOOSER: dict[str, Edit] = {
    "off": lambda rule, _: {"mode": "off"},
    "soft": lambda rule, _: {"mode": "soft"} if rule.mode == "strict" else None,
    "threshold": moved,
    "min_examined": lambda rule, _: {"min_examined": rule.min_examined - 1},
    "baseline": lambda rule, _: {"baseline": False} if rule.baseline else None,
    "fewer": lambda rule, _: {"allow_fewer": True} if not rule.allow_fewer else None,
    "flaky": lambda rule, _: {"allow_flaky": True} if not rule.allow_flaky else None,
    "outside": lambda rule, _: {"outside": (*rule.outside, "another")},
    "command": lambda rule, _: step(rule, command=(*rule.steps[0].command, "-k fast")),
    "fewer steps": lambda rule, _: {"steps": rule.steps[:-1]} if len(rule.steps) > 1 else None,
    "more steps": lambda rule, _: {"steps": (*rule.steps, Step(command=("true",)))},
    "format": lambda rule, _: step(rule, format="another"),
    "report": lambda rule, _: step(rule, report="another"),
    "codes": lambda rule, _: step(rule, exit_codes=(*rule.steps[0].exit_codes, 300)),
    "paths": lambda rule, _: step(rule, paths=("another",)),
    "metric": lambda rule, _: {"metric": "another"},
    "better": lambda rule, _: {"better": "lower" if rule.better == "higher" else "higher"},
    "fed": lambda rule, _: {"fed_by": "another"},
}
STRICTER: dict[str, Edit] = {
    "strict": lambda rule, _: {"mode": "strict"},
    "on": lambda rule, _: {"mode": "soft"} if rule.mode == "off" else None,
    "threshold": lambda rule, size: moved(rule, -size),
    "min_examined": lambda rule, _: {"min_examined": rule.min_examined + 1},
    "baseline": lambda rule, _: {"baseline": True},
    "fewer": lambda rule, _: {"allow_fewer": False},
    "flaky": lambda rule, _: {"allow_flaky": False},
    "outside": lambda rule, _: {"outside": rule.outside[:-1]},
    "codes": lambda rule, _: step(rule, exit_codes=rule.steps[0].exit_codes[:1]),
    "paths": lambda rule, _: (
        step(rule, paths=(*rule.steps[0].paths, "more")) if rule.steps[0].paths else None
    ),
    "not fed": lambda rule, _: {"fed_by": ""},
    "longer": lambda rule, _: {"timeout_s": rule.timeout_s * 2},
    "env": lambda rule, _: {"env": (*rule.env, "MORE")},
    "needs": lambda rule, _: {"needs": ()},
}
SIZES = st.floats(2.0**-20, 1e12)


def edited(policy: Policy, name: str, edit: Edit, size: float) -> Policy:
    """Return the policy with one gate edited, itself where the edit does not fit."""
    changes = edit(policy.gates[name], size) or {}
    return msgspec.structs.replace(
        policy, gates={**policy.gates, name: msgspec.structs.replace(policy.gates[name], **changes)}
    )


@given(POLICIES, SIZES)
def test_every_loosening_of_a_gate_is_named(policy: Policy, size: float) -> None:
    for name in (name for name, rule in policy.gates.items() if rule.mode != "off"):
        for edit in LOOSER.values():
            after = edited(policy, name, edit, size)
            said = list_weakenings(policy, after)
            assert (said == ()) == (after == policy)
            assert all(line.startswith(f"{name}: ") for line in said)


@given(POLICIES, st.data(), st.lists(st.sampled_from(sorted(STRICTER)), max_size=4), SIZES)
def test_no_tightening_is_called_a_weakening(
    policy: Policy, data: st.DataObject, edits: list[str], size: float
) -> None:
    """Not even several at once; nothing changed is the case of none."""
    after = policy
    for edit in edits:
        after = edited(after, data.draw(st.sampled_from(sorted(policy.gates))), STRICTER[edit], size)
    after = msgspec.structs.replace(
        after,
        gates={**after.gates, "brand-new": DEV.gates["lint"]},
        must_exist=(*after.must_exist, "LICENSE"),
        must_not_exist=(*after.must_not_exist, "*.rej"),
        phases=PhaseRule(order=True, patches=after.phases.patches[1:]),
    )
    assert list_weakenings(policy, policy) == ()
    assert list_weakenings(policy, after) == ()


@given(POLICIES, st.data())
def test_every_loosening_of_the_rest_is_named(policy: Policy, data: st.DataObject) -> None:
    """A gate gone, a file that need not be there, a phase that takes patches again."""
    live = [name for name, rule in policy.gates.items() if rule.mode != "off"]
    missing = [phase for phase in ("P1", "P2", "P3", "P4", "P5", "P6") if phase not in policy.phases.patches]
    afters = [
        *(
            msgspec.structs.replace(policy, gates={k: v for k, v in policy.gates.items() if k != name})
            for name in live
        ),
        *([msgspec.structs.replace(policy, must_exist=policy.must_exist[1:])] if policy.must_exist else []),
        *([msgspec.structs.replace(policy, must_not_exist=())] if policy.must_not_exist else []),
        *(
            msgspec.structs.replace(
                policy,
                phases=msgspec.structs.replace(policy.phases, patches=(*policy.phases.patches, phase)),
            )
            for phase in missing
        ),
    ]
    assume(afters)
    assert list_weakenings(policy, data.draw(st.sampled_from(afters)))


@given(POLICIES, POLICIES)
def test_changes_are_the_difference_and_nothing_else(before: Policy, after: Policy) -> None:
    """Each change names a value that TOML reads, the same from both sides; equal policies have none."""
    changes = list_changes(before, after)
    assert (changes == ()) == (before == after)
    assert {(each.key, each.new, each.old) for each in list_changes(after, before)} == {*changes}
    for value in (value for change in changes for value in change[1:] if value):
        tomllib.loads(f"value = {value}")


def test_changes_have_the_keys_of_the_configuration() -> None:
    after = configured(
        "must-exist = ['README.md']\n[gates.tests]\nmin-tests = 5\ntimeout = '2m'\n[gates.lint]\nmode = 'strict'"
    )
    assert list_changes(DEV, after) == (
        Change("must-exist", "[]", '["README.md"]'),
        Change("gates.lint.mode", '"soft"', '"strict"'),
        Change("gates.tests.min-tests", "1", "5"),
        Change("gates.tests.timeout", '"30m"', '"2m"'),
    )
    assert Change("gates.lint.steps[0].format", "", '"ruff-check"') in list_changes(None, DEV)

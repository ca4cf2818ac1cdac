"""Policies and facts at random, all of them such as a configuration can ask for."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from hypothesis import strategies as st
from msgspec import Struct

from ledger.gates.defaults import GATES, METRICS, metrics_of
from ledger.policies import PHASES, Isolation, Mode, PhaseRule, Policy, Rule, Step, resolve_feeders


class Seen(Struct, frozen=True, kw_only=True):
    """The facts that a verdict depends on, and no more."""

    definition: str
    problems: tuple[str, ...] = ()
    metrics: Mapping[str, float]
    examined: int = 100
    unit: str = "tests"
    baseline: Mapping[str, float] = {}


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
NAMES = st.from_regex(r"[a-z][a-z0-9_.-]{0,5}", fullmatch=True)
PATHS = st.lists(st.sampled_from(["a", "b/c", "*.md", "é"]), max_size=2, unique=True).map(tuple)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def commands(*more: str) -> st.SearchStrategy[tuple[str, ...]]:
    """Return argument vectors that hold ``more``."""
    tail = st.lists(WORDS, max_size=3).flatmap(lambda words: st.permutations([*words, *more]))
    return st.builds(lambda first, rest: (first, *rest), WORDS.filter(bool), tail)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """Draw a step whose parts fit one another."""
    report = draw(st.sampled_from(["-", "out/r.xml", "{scratch}/r.xml"]))
    paths = draw(PATHS)
    needed = [*(["{paths}"] if paths else []), *([f"--to={report}"] if "{scratch}" in report else [])]
    name = draw(st.sampled_from(list(METRICS)))
    codes = draw(st.lists(st.integers(0, 255), min_size=1, max_size=2).map(tuple)) if name == "exit" else (0,)
    return Step(command=draw(commands(*needed)), format=name, report=report, paths=paths, exit_codes=codes)


@st.composite
def rules(draw: st.DrawFn, before: tuple[str, ...] = ()) -> Rule:
    """Draw a rule that may need the gates ``before``."""
    chosen = draw(st.lists(steps(), min_size=1, max_size=2).map(tuple))
    modes: list[Mode] = ["strict", "soft", "off"]
    mode = draw(st.sampled_from(modes))
    others = st.lists(st.sampled_from(before), unique=True, max_size=2) if before else st.just([])
    return Rule(
        mode=mode,
        steps=chosen,
        metric=draw(st.sampled_from(metrics_of(step.format for step in chosen))),
        better=draw(st.sampled_from(["lower", "higher"])),
        threshold=draw(NUMBERS),
        min_examined=draw(st.integers(1, 1000)),
        baseline=draw(st.booleans()),
        allow_fewer=draw(st.booleans()),
        allow_flaky=draw(st.booleans()),
        timeout_s=draw(st.one_of(st.integers(1, 10**6).map(float), st.floats(0.001, 1e9))),
        env=draw(st.lists(st.sampled_from(["A", "_b1"]), unique=True).map(tuple)),
        needs=tuple(draw(others)),
        fed_by=(draw(others) or [""])[0],
        outside=draw(st.lists(st.sampled_from(["demo", "x.y"]), unique=True).map(tuple)),
        reason=draw(WORDS) if mode == "off" else "",
    )


@st.composite
def policies(draw: st.DrawFn, names: tuple[str, ...] = (*GATES, "e2e")) -> Policy:
    """Draw a policy with these gates, or with a few more."""
    gates: dict[str, Rule] = {}
    for name in dict.fromkeys((*names, *draw(st.lists(NAMES, max_size=1)))):
        # No gate is fed by a later one, so that none waits for itself.
        built_in = msgspec.structs.replace(GATES.get(name, GATES["lint"]), fed_by="")
        gates[name] = draw(st.one_of(rules(tuple(gates)), st.just(built_in)))
    return Policy(
        gates=resolve_feeders(gates),
        phases=PhaseRule(
            order=draw(st.booleans()),
            patches=tuple(phase for phase in PHASES if draw(st.booleans())),
        ),
        isolated=Isolation(setup=draw(st.lists(commands(), max_size=2).map(tuple)), link=draw(PATHS)),
        must_exist=draw(PATHS),
        must_not_exist=draw(PATHS),
    )


@st.composite
def variants(draw: st.DrawFn, policy: Policy) -> Policy:
    """Draw a policy that has most in common with another, as profiles do."""
    gates: dict[str, Rule] = {}
    for name, rule in policy.gates.items():
        fields: dict[str, object] = {
            "mode": "strict",
            "reason": "",
            "metric": draw(st.sampled_from(metrics_of(step.format for step in rule.steps))),
            "better": draw(st.sampled_from(["lower", "higher"])),
            "threshold": draw(NUMBERS),
            "env": ("A",),
            "needs": (),
        }
        chosen = draw(st.sets(st.sampled_from(sorted(fields.keys() - {"mode", "reason"}))))
        if draw(st.booleans()):
            chosen |= {"mode", "reason"}
        gates[name] = msgspec.structs.replace(rule, **{field: fields[field] for field in chosen})
    return msgspec.structs.replace(policy, gates=resolve_feeders(gates))

"""Any run: what may happen to one, drawn by Hypothesis, as a chronicle."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from chronicle import Chronicle, Files, rule, tree

from ledger.policies import Policy
from ledger.stamps import Actor, Stamp

GATES = ["lint", "tests", "types"]
COMMANDS = ["check", "other"]
PROFILES = ["dev", "release"]
BASE: Files = {"a": "0", "b": "0"}

rules = st.builds(
    rule,
    st.sampled_from(["strict"] * 6 + ["soft", "off"]),
    st.sampled_from(["check", "check", "check", "other"]),
    better=st.sampled_from(["lower", "lower", "higher"]),
    threshold=st.sampled_from([0.0, 0.0, 1.0, 0.5]),
    min_examined=st.sampled_from([1, 1, 0, 3]),
    baseline=st.booleans(),
    allow_fewer=st.booleans(),
    allow_flaky=st.booleans(),
)
gates = st.dictionaries(st.sampled_from(GATES), rules, min_size=1, max_size=3)
policies = st.one_of(*[gates] * 7, st.just({})).map(lambda gates: Policy(gates=gates))
profiles = st.dictionaries(st.sampled_from(PROFILES), policies, min_size=1, max_size=2)
numbers = st.sampled_from([0.0, 0.0, 1.0, 0.5, -1.0])
facts = st.fixed_dictionaries(
    {
        "metrics": st.one_of(
            st.builds(lambda value: {"findings": value, "more": 7.0}, numbers),
            st.just({"findings": 0.0}),
            st.just({"findings": 0.0}),
            st.just({}),
            st.just({"more": 0.0}),
        ),
        "examined": st.sampled_from([3, 3, 3, 1, 0]),
        "unit": st.sampled_from(["files", "tests"]),
        "problems": st.sampled_from([(), (), (), ("it crashed",)]),
        "baseline": st.sampled_from(
            [
                {},
                {"findings": 0.0, "examined": 3.0},
                {"findings": 1.0, "examined": 4.0},
                {"findings": -1.0},
                {"examined": 2.0},
            ]
        ),
        "tools": st.sampled_from([{"python": "3.13", "check": "1"}, {"python": "3.13", "check": "2"}, {}]),
        # What the writer made of the facts then is not asked.
        "verdict": st.sampled_from(["pass", "fail", "inconclusive"]),
    }
)


class Step(NamedTuple):
    """One thing that happens to a run: what, which (modulo how many there are), and with what facts."""

    what: str
    which: int = 0
    facts: Any = None


measured = st.tuples(st.sampled_from(GATES), st.sampled_from(COMMANDS), facts)
FACTS: dict[str, st.SearchStrategy[Any]] = {"measure": measured, "policy": profiles}
WEIGHTS = {
    "pass": 4,
    "patch": 4,
    "measure": 3,
    "roll back": 2,
    "policy": 1,
    "profile": 1,
    "rebase": 1,
    "phase": 1,
}


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """Draw one step: mostly a change of the tree or a measurement."""
    what = draw(st.sampled_from([what for what, weight in WEIGHTS.items() for _ in range(weight)]))
    return Step(what, draw(st.integers(0, 5)), draw(FACTS.get(what, st.none())))


class Story:
    """A chronicle in the making, and the profiles that its policies have had."""

    def __init__(self, policy: dict[str, Policy] | None) -> None:
        ticks, counter = itertools.count(1_700_000_000_000_000_000, 1_000_000), itertools.count()
        stamp = Stamp(Actor(), lambda: next(ticks), lambda size: next(counter).to_bytes(size, "big"))
        self.chronicle = Chronicle(stamp, BASE)
        self.profiles: dict[str, Policy] = {}
        self.policies: list[Policy] = []
        if policy:
            self.set_policy(policy, 0)

    def set_policy(self, profiles: dict[str, Policy], which: int) -> None:
        name = sorted(profiles)[which % len(profiles)]
        self.profiles, self.in_force = profiles, profiles[name]
        self.policies += profiles.values()
        self.chronicle.set_policy(profiles, name)

    def tree(self, which: int) -> str:
        """Return mostly the candidate; now and then a tree of before."""
        trees = sorted({tree(files) for files in self.chronicle.contents.values()})
        return self.chronicle.tree if which < 4 else trees[which % len(trees)]

    def take(self, step: Step) -> None:
        """Let a step happen; one that cannot is left out."""
        chronicle, which = self.chronicle, step.which
        match step.what:
            case "measure":
                gate, command, found = step.facts
                chronicle.measure(gate, rule(command=command), self.tree(which), **found)
            case "pass" if self.policies:
                # Every gate of the policy in force; now and then of another.
                policy = self.in_force if which < 4 else self.policies[which % len(self.policies)]
                for gate, each in policy.gates.items():
                    good = {"metrics": {"findings": each.threshold}, "tools": {"check": "1"}}
                    chronicle.measure(gate, each, self.tree(which), **good)
            case "patch":
                path = "ab"[which % 2]
                chronicle.patch({**chronicle.files, path: str((int(chronicle.files[path]) + 1) % 3)})
            case "roll back" if len(chronicle.live) > 1:
                chronicle.roll_back(chronicle.live[which % (len(chronicle.live) - 1)].v)
            case "policy":
                self.set_policy(step.facts, which)
            case "profile" if self.profiles:
                self.set_policy(self.profiles, which)
            case "rebase":
                chronicle.rebase({**chronicle.files, "base": str(which)})
            case "phase":
                chronicle.enter_phase(f"P{which + 1}")
            case _:
                pass


def story_of(policy: dict[str, Policy] | None, steps: list[Step]) -> Chronicle:
    """Return a run in which the steps happen, with a policy from its beginning or without."""
    story = Story(policy)
    for step in steps:
        story.take(step)
    return story.chronicle


chronicles = st.builds(
    story_of, st.one_of(*[profiles] * 7, st.none()), st.lists(steps(), min_size=6, max_size=12)
)

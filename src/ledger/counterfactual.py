"""What another policy would have accepted: the same judge on the recorded facts, asked with other rules.

A changed threshold is judged from the facts. Of a command that differs from the one that was measured nothing
can be said, nor of a tree that the gate never measured. Nothing is run, and nothing is read but the events.

See: `ledger.history.History`, which is asked with a policy that is in force all along.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from ledger.configurations import choose_profile, read_configuration_file
from ledger.errors import UnknownName
from ledger.events import AnyEvent, GateMeasured, PatchRolledBack, PolicySet, TreeEvent, tree_after
from ledger.gates.judge import judge
from ledger.history import History, StateAt
from ledger.policies import Mode, Policy, Rule

Outcome: TypeAlias = Literal["pass", "fail", "flaky", "inconclusive", "not measured"]


class OtherPolicy(NamedTuple):
    """A policy that is asked for: where it comes from, its profile, and what it says."""

    source: str
    profile: str
    policy: Policy


class Standing(Struct, frozen=True, kw_only=True):
    """What all measurements of one tree by one gate come to under a rule.

    ``then`` is what they came to by the policy that was in force when the last of them was made;
    ``measured`` the event of the one that decides, "" where there is none; ``reasons`` say why it is no pass.
    """

    gate: str
    mode: Mode
    outcome: Outcome
    then: Outcome
    measured: str = ""
    reasons: tuple[str, ...] = ()


class StateUnder(Struct, frozen=True, kw_only=True):
    """One state of the run: the versions by which its tree was, and would be, accepted; its gates."""

    v: int
    tree: str
    live: bool
    accepted_by: int | None
    accepts_by: int | None
    standings: tuple[Standing, ...]

    @property
    def is_measured(self) -> bool:
        """Whether there is a measurement of it."""
        return any(standing.measured for standing in self.standings)

    @property
    def lacking(self) -> tuple[Standing, ...]:
        """The strict gates that did not pass."""
        return tuple(each for each in self.standings if each.mode == "strict" and each.outcome != "pass")


class Comparison(Struct, frozen=True, kw_only=True):
    """A run up to an event under another policy, beside what the policies in force accepted.

    ``accepts`` is the accepted state under the other policy, ``accepted`` the one as it was; ``states`` are
    all that the run has had, oldest first, also those that were taken back.
    """

    run: str
    other: OtherPolicy
    accepts: StateAt
    accepted: StateAt
    candidate: StateAt
    states: tuple[StateUnder, ...]

    def state(self, v: int) -> StateUnder:
        """Return the state that the event of a version made."""
        return next(state for state in self.states if state.v == v)


def choose_policy(run: str, present: PolicySet | None, file: Path | None, profile: str) -> OtherPolicy:
    """Return the policy that a file and a profile's name mean in a run.

    Args:
        run: The run's name.
        present: What is in force in it, None where nothing is.
        file: A configuration file; by default the run's own profiles are meant.
        profile: The profile's name; by default the one that the file names, else the one in force where the
            file has it.

    Raises:
        UnknownName: There is no such profile.
        InvalidConfiguration: The file cannot be read as a configuration.
        OSError: There is no such file.
    """
    in_force = "" if present is None else present.profile
    if file is None:
        profiles = {} if present is None else present.profiles
        name = profile or in_force
        if name not in profiles:
            raise UnknownName("profile", name, sorted(profiles))
        return OtherPolicy(run, name, profiles[name])
    configuration, names_profile = read_configuration_file(file)
    if not profile and not names_profile and in_force in configuration.profiles:
        profile = in_force
    name = choose_profile(configuration, profile)
    return OtherPolicy(str(file), name, configuration.profiles[name])


def compare(run: str, events: Iterable[AnyEvent], until_v: int, other: OtherPolicy) -> Comparison:
    """Return what ``other`` would have accepted, had it been in force from the run's beginning.

    Args:
        run: The run's name.
        events: Its events from the first, in order.
        until_v: The last version that counts.
        other: The policy that is asked for.

    Raises:
        UnknownKind: An event changes the tree in a way that this version does not understand.
    """
    actual, asked = History(), History(other.policy)
    states: list[StateAt] = []
    then: dict[tuple[str, str], Outcome] = {}
    for event in events:
        if event.v > until_v:
            break
        actual.take(event)
        asked.take(event)
        if isinstance(event, GateMeasured):
            then[event.tree, event.gate] = _recorded(actual, event)
        elif isinstance(event, TreeEvent) and not isinstance(event, PatchRolledBack):
            states.append(StateAt(event.v, str(tree_after(event))))
    live = {at.v for at in actual.live}
    return Comparison(
        run=run,
        other=other,
        accepts=asked.accepted,
        accepted=actual.accepted,
        candidate=actual.candidate,
        states=tuple(
            StateUnder(
                v=at.v,
                tree=at.tree,
                live=at.v in live,
                accepted_by=actual.accepted_by(at.tree),
                accepts_by=asked.accepted_by(at.tree),
                standings=tuple(_standings(run, asked, at.tree, other.policy, then)),
            )
            for at in states
        ),
    )


def _recorded(history: History, event: GateMeasured) -> Outcome:
    """Return what the policy in force makes of a gate's measurements as the last of them is taken in."""
    rule = None if history.policy is None else history.policy.gates.get(event.gate)
    return event.verdict if rule is None else standing_of(history, event.tree, event.gate, rule).outcome


def _standings(
    run: str, history: History, tree: str, policy: Policy, then: dict[tuple[str, str], Outcome]
) -> Iterator[Standing]:
    for gate, rule in policy.gates.items():
        if rule.mode != "off":
            found = standing_of(history, tree, gate, rule)
            measured = "" if found.measured is None else f"{run}:{found.measured.v}"
            yield Standing(
                gate=gate,
                mode=rule.mode,
                outcome=found.outcome,
                then=then.get((tree, gate), "not measured"),
                measured=measured,
                reasons=found.reasons,
            )


class Found(NamedTuple):
    """What a gate's measurements of a tree come to, and the one that decides."""

    outcome: Outcome
    measured: GateMeasured | None = None
    reasons: tuple[str, ...] = ()


def standing_of(history: History, tree: str, gate: str, rule: Rule) -> Found:
    """Return what a gate's measurements of one tree come to under a rule, and why that is no pass.

    It is what `History.standing` says, with ``flaky`` for a failure beside a pass.
    """
    measured = history.measurements(tree, gate)
    if not measured:
        return Found("not measured")
    outcome = history.standing(tree, gate, rule)
    if outcome is None:
        reason = f"measured with {_other_definition(history, measured[-1], rule)}"
        return Found("inconclusive", measured[-1], (reason,))
    deciding = history.last_failure(tree, gate, rule) if outcome == "fail" else None
    if deciding is None:
        # Of a pass the last that passed: of several some may have been inconclusive.
        same = [each for each in measured if each.definition == rule.definition]
        alike = [each for each in same if each.environment == same[-1].environment]
        deciding = [each for each in alike if judge(each, rule).verdict == outcome][-1]
    reasons = judge(deciding, rule).reasons
    if outcome == "fail" and history.is_flaky(tree, gate, rule):
        return Found("flaky", deciding, ("it both passed and failed on this very tree", *reasons))
    return Found(outcome, deciding, reasons)


_PARTS = {
    "env": "environment variables",
    "fed_by": "feeder",
    "feeder": "feeder",
    "outside": "packages outside",
}


def _other_definition(history: History, measured: GateMeasured, rule: Rule) -> str:
    """Return in words how a measurement was made otherwise than a rule asks for."""
    policies = {} if history.policy_set is None else history.policy_set.profiles
    rules = [policy.gates[measured.gate] for policy in policies.values() if measured.gate in policy.gates]
    made = next((each for each in rules if each.definition == measured.definition), None)
    if made is not None and made.steps == rule.steps:
        differ = [words for name, words in _PARTS.items() if getattr(made, name) != getattr(rule, name)]
        return f"other {' and '.join(dict.fromkeys(differ))}"
    # Of a policy that is not recorded any more there is the command as it ran, its placeholders filled in.
    ran = _commands(measured.commands if made is None else (step.command for step in made.steps))
    asked = _commands(step.command for step in rule.steps)
    if ran == asked:
        return f"`{ran}`, but its result read in another way"
    return f"`{ran}`, the policy asks for `{asked}`"


def _commands(commands: Iterable[Iterable[str]]) -> str:
    return " && ".join(" ".join(command) for command in commands)

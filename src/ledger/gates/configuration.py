"""The configuration: what ``ledger.toml`` or ``[tool.ledger]`` say, laid over the defaults.

What is said of every profile comes first, then each profile that one extends, then its own.
Reading is pure and strict: a key, a name or a value that means nothing is an error at its line.

See: ``docs/format.md``, "Policies".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import PurePath
from typing import Any, NamedTuple

import msgspec

from ledger.errors import LedgerError
from ledger.gates.defaults import (
    BUILT_IN,
    DEFAULT_MODES,
    GATES,
    METRICS,
    TYPE_CHECKERS,
    better_of,
    default_policy,
    has_metric,
    metrics_of,
)
from ledger.gates.documents import (
    TEXT,
    Document,
    InvalidConfiguration,
    Key,
    nearest,
    parse_document,
)
from ledger.gates.settings import Settings, encode_settings, parse_settings
from ledger.gates.tables import (
    RULE_KEYS,
    STEP_KEYS,
    Layer,
    anything,
    check_step,
    common_options,
    encode_profile,
    fields_of,
    parse_layer,
    shorten_options,
)
from ledger.policies import Isolation, PhaseRule, Policy, Rule, Step, resolve_feeders

__all__ = [
    "Configuration",
    "InvalidConfiguration",
    "UnknownGate",
    "encode_policy",
    "read_configuration",
    "skip_gates",
]


class Configuration(Settings, frozen=True, kw_only=True):
    """What `ledger.events.PolicySet` records: the profiles by name, which of them counts, and where from.

    The settings beside them are in no event. ``source`` is the file's name, "" where no file says anything.
    """

    profile: str
    profiles: dict[str, Policy]
    source: str = ""

    @property
    def policy(self) -> Policy:
        """The profile that counts."""
        return self.profiles[self.profile]


class UnknownGate(LedgerError):
    """The policy has no gate of this name. Nothing was written."""

    hint = "`ledger policy show` lists the gates"

    def __init__(self, name: str, known: Collection[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(
            f"no gate {name} in this policy{nearest(name, known)}\n  there are: {', '.join(known)}"
        )


# ── layers ───────────────────────────────────────────────────────────────────────────────────────


class _Profile(NamedTuple):
    """One profile in the making: the built-in one it rests on, and what is laid over it, in order."""

    document: Document
    root: str
    layers: tuple[Layer, ...]

    def policy(self) -> Policy:
        """Return the policy that comes of it."""
        gates = dict(default_policy(self.root).gates)
        for name in dict.fromkeys(name for layer in self.layers for name in layer.gates):
            gates[name] = self._rule(name)
        for name, rule in gates.items():
            if rule.fed_by and not self._gave(name, "fed-by") and not _feeds_as_built_in(name, gates):
                gates[name] = msgspec.structs.replace(rule, fed_by="")
        self._check(gates)
        return Policy(
            gates=resolve_feeders(gates),
            phases=PhaseRule(**{key: value for layer in self.layers for key, value in layer.phases.items()}),
            isolated=Isolation(
                **{key: value for layer in self.layers for key, value in layer.isolated.items()}
            ),
            **{key: value for layer in self.layers for key, value in layer.checks.items()},
        )

    def _rule(self, name: str) -> Rule:
        rule = BUILT_IN.get(name)
        if rule is not None:
            # To mention a built-in gate that is off, or is none until then, is to ask for it.
            rule = msgspec.structs.replace(rule, mode=DEFAULT_MODES[self.root], reason="")
        for layer in self.layers:
            if name in layer.gates:
                rule = self._lay(rule, name, layer)
        assert rule is not None
        return rule

    def _lay(self, rule: Rule | None, name: str, layer: Layer) -> Rule:
        """Return a gate's rule with what one layer says laid over it."""
        table = layer.gates[name]
        steps = _steps(self.document, (*layer.key, "gates", name), rule, table)
        fields = fields_of({key: value for key, value in table.items() if key in RULE_KEYS})
        if fields.get("mode", "off") != "off":
            fields.setdefault("reason", "")
        formats = [step.format for step in steps]
        first = metrics_of(formats)[0]
        if rule is None:
            rule = Rule(mode=DEFAULT_MODES[self.root], steps=steps, metric=first, better=better_of(first))
        elif not has_metric(formats, rule.metric):
            fields.setdefault("metric", first)
        if fields.get("metric", rule.metric) != rule.metric:
            fields.setdefault("better", better_of(fields["metric"]))
        if fields.get("better", rule.better) != rule.better:
            fields.setdefault("threshold", 0.0)
        return msgspec.structs.replace(rule, steps=steps, **fields)

    def _gave(self, name: str, option: str) -> Key | None:
        """Return the key of the last layer that gives an option of a gate."""
        for layer in reversed(self.layers):
            if option in layer.gates.get(name, {}):
                return (*layer.key, "gates", name, option)
        return None

    def _check(self, gates: Mapping[str, Rule]) -> None:
        """Raise where the rules name what is not there, or wait for one another."""
        for name, rule in gates.items():
            formats = [step.format for step in rule.steps]
            if not has_metric(formats, rule.metric):
                known = metrics_of(formats)
                reason = f"{rule.metric} is no metric of this gate's formats{nearest(rule.metric, known)}"
                raise self.document.fault(self._gave(name, "metric") or (), reason, known)
            if rule.reason and rule.mode != "off":
                key = self._gave(name, "reason") or ()
                raise self.document.fault(key, f"says why a gate is off, and this one is {rule.mode}")
            waits = [("needs", other) for other in rule.needs] + [("fed-by", rule.fed_by)] * bool(rule.fed_by)
            for option, other in waits:
                if other not in gates:
                    key, close = self._gave(name, option) or (), nearest(other, gates)
                    raise self.document.fault(key, f"there is no gate {other}{close}", tuple(gates))
        self._check_order(gates)

    def _check_order(self, gates: Mapping[str, Rule]) -> None:
        graph = {name: {*rule.needs, rule.fed_by} - {""} for name, rule in gates.items()}
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            members: list[str] = error.args[1]
            first = min(members, key=list(gates).index)
            # The error begins anywhere, and names first what is waited for.
            turned = members[members.index(first) :] + members[1 : members.index(first) + 1]
            circle = turned[::-1]
            keys = [self._gave(name, option) for name in circle for option in ("needs", "fed-by")]
            steps = " → ".join(circle)
            raise self.document.fault(
                next(key for key in keys if key), f"gates that wait for one another: {steps}"
            ) from error


def _feeds_as_built_in(name: str, gates: Mapping[str, Rule]) -> bool:
    """Return whether a gate and the one that feeds it by default still run as they do by default."""
    feeder = GATES[name].fed_by
    pair, built_in = (gates[name], gates[feeder]), (GATES[name], GATES[feeder])
    return all(
        (now.steps, now.env, now.outside) == (then.steps, then.env, then.outside)
        for now, then in zip(pair, built_in, strict=True)
    )


def _steps(document: Document, key: Key, rule: Rule | None, table: Mapping[str, Any]) -> tuple[Step, ...]:
    """Return the steps of a gate: those of ``rule``, changed as its table says."""
    if "steps" in table:
        return table["steps"]
    inherited = _inherited_steps(rule, table)
    given = {option: table[option] for option in STEP_KEYS if option in table}
    if "command" in given:
        steps = (_new_step(document, key, inherited, given),)
    elif not inherited:
        close = nearest(str(key[-1]), BUILT_IN)
        raise document.fault(
            key, f"needs a command, as no built-in gate has this name{close}", tuple(BUILT_IN)
        )
    elif given.keys() <= {"paths"}:
        return tuple(
            msgspec.structs.replace(step, **given) if "{paths}" in step.command else step
            for step in inherited
        )
    elif len(inherited) > 1:
        option = next(option for option in given if option != "paths")
        reason = f"{key[-1]} has {len(inherited)} commands; give `steps`, or one `command`"
        raise document.fault((*key, option), reason)
    else:
        step = inherited[0]
        if given.get("format", step.format) != step.format:
            given.setdefault("report", "-")
        steps = (msgspec.structs.replace(step, **fields_of(given)),)
    check_step(document, key, steps[0], given)
    return steps


def _inherited_steps(rule: Rule | None, table: Mapping[str, Any]) -> Sequence[Step]:
    """Return the steps that a table changes: those of the rule, or of the type checker that it names."""
    if "tool" in table:
        return (TYPE_CHECKERS[table["tool"]],)
    if rule is not None and rule.metric == GATES["types"].metric:
        for word in table.get("command", ()):
            if PurePath(word).name in TYPE_CHECKERS:
                return (TYPE_CHECKERS[PurePath(word).name],)
    return () if rule is None else rule.steps


def _new_step(document: Document, key: Key, inherited: Sequence[Step], given: dict[str, Any]) -> Step:
    """Return the step of a new command, which is read as the one before it was unless it says how."""
    if "format" not in given and len(inherited) > 1:
        reason = "say how its result is read, with `format`; exit goes by the exit code alone"
        raise document.fault((*key, "command"), reason, tuple(METRICS))
    values = dict(given)
    if len(inherited) == 1 and given.get("format", inherited[0].format) == inherited[0].format:
        values = {"format": inherited[0].format, "report": inherited[0].report, **given}
    if "{paths}" in values["command"]:
        values.setdefault("paths", next((step.paths for step in inherited if step.paths), ()))
    return Step(**fields_of(values))


# ── the whole ────────────────────────────────────────────────────────────────────────────────────


def read_configuration(ledger_toml: bytes | None, pyproject: bytes | None) -> Configuration:
    """Return what the configuration files say, laid over the defaults.

    ``ledger.toml`` counts alone where there is one, whatever ``[tool.ledger]`` says. A
    ``pyproject.toml`` that is no TOML is passed over unless it seems to mention ``tool.ledger``.

    Args:
        ledger_toml: The bytes of ``ledger.toml``, None where there is none.
        pyproject: The bytes of ``pyproject.toml``, None where there is none.

    Raises:
        InvalidConfiguration: A key, a name or a value means nothing.
    """
    document = parse_document(ledger_toml, pyproject)
    if document is None:
        return Configuration(profile="dev", profiles={name: default_policy(name) for name in DEFAULT_MODES})
    more = {"profile": TEXT, "profiles": anything, **dict.fromkeys(Settings.__struct_fields__, anything)}
    shared = parse_layer(document, (), more)
    layers = {
        name: parse_layer(document, ("profiles", name), {"extends": TEXT})
        for name in document.names(("profiles",))
    }
    profiles: dict[str, Policy] = {}
    for name in dict.fromkeys((*DEFAULT_MODES, *layers)):
        root, *chain = _chain(document, layers, name)
        laid = (layers[each] for each in (root, *chain) if each in layers)
        profiles[name] = _Profile(document, root, (shared, *laid)).policy()
    if shared.profile not in profiles:
        reason = f"there is no profile {shared.profile}{nearest(shared.profile, profiles)}"
        raise document.fault(("profile",), reason, tuple(profiles))
    return Configuration(
        profile=shared.profile,
        profiles=profiles,
        source=document.file,
        **parse_settings(document),
    )


def _chain(document: Document, layers: Mapping[str, Layer], name: str) -> list[str]:
    """Return the profiles that one is made of, the built-in one first and itself last."""
    chain = [name]
    while chain[-1] not in DEFAULT_MODES:
        key, base = (*layers[chain[-1]].key, "extends"), layers[chain[-1]].extends or "dev"
        known = dict.fromkeys((*DEFAULT_MODES, *layers))
        if base not in known:
            raise document.fault(key, f"there is no profile {base}{nearest(base, known)}", tuple(known))
        if base in chain:
            raise document.fault(key, f"profiles that extend one another: {' → '.join((*chain, base))}")
        chain.append(base)
    if chain[-1] in layers and layers[chain[-1]].extends:
        raise document.fault((*layers[chain[-1]].key, "extends"), "a built-in profile extends no other")
    return chain[::-1]


def skip_gates(policy: Policy, names: Iterable[str], reason: str) -> Policy:
    """Return the policy with some of its gates off, and why.

    Raises:
        UnknownGate: The policy has no gate of that name.
    """
    gates = dict(policy.gates)
    for name in names:
        if name not in gates:
            raise UnknownGate(name, gates)
        gates[name] = msgspec.structs.replace(gates[name], mode="off", reason=reason)
    return msgspec.structs.replace(policy, gates=gates)


def encode_policy(configuration: Configuration) -> str:
    """Return the values in force as the text of a ``ledger.toml``, which reads back as the same profiles.

    What all profiles have in common is said once.
    """
    import tomlkit

    tables = {name: encode_profile(policy) for name, policy in configuration.profiles.items()}
    shared: dict[str, Any] = {
        "profile": configuration.profile,
        **encode_settings(configuration),
    }
    own: dict[str, dict[str, Any]] = {name: _extends(configuration, name) for name in tables}
    for section in (each for each in tables["dev"] if each != "gates"):
        values = [table[section] for table in tables.values()]
        if all(value == values[0] for value in values):
            shared[section] = values[0]
        else:
            for name, table in tables.items():
                own[name][section] = table[section]
    shared["gates"] = {}
    for gate in dict.fromkeys(gate for table in tables.values() for gate in table["gates"]):
        rules = {name: table["gates"][gate] for name, table in tables.items() if gate in table["gates"]}
        common = common_options(rules.values()) if len(rules) == len(tables) else {}
        if common:
            shared["gates"][gate] = shorten_options(gate, common)
        for name, rule in rules.items():
            rest = {key: value for key, value in rule.items() if key not in common}
            if rest:
                own[name].setdefault("gates", {})[gate] = rest
    # An empty table is all that is left of a profile that is as `dev` is.
    shared["profiles"] = {name: table for name, table in own.items() if table or name not in DEFAULT_MODES}
    source = f"{configuration.source} over the defaults" if configuration.source else "the defaults"
    return f"# What is in force: {source}.\n{tomlkit.dumps(shared)}"


def _extends(configuration: Configuration, name: str) -> dict[str, Any]:
    """Return the key that a profile needs where not all gates of ``dev`` are in it."""
    gates = configuration.profiles[name].gates.keys()
    fits = (root for root in DEFAULT_MODES if configuration.profiles[root].gates.keys() <= gates)
    root = "dev" if name in DEFAULT_MODES else next(fits)
    return {} if root == "dev" else {"extends": root}

"""The tables of a configuration: what each key takes, the other way round too.

A table says what one profile, or every one, is to have; what it leaves out is not in it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple, cast

from ledger.gates.defaults import BUILT_IN, GATES, METRICS, TYPE_CHECKERS, better_of
from ledger.gates.documents import (
    CODES,
    COUNT,
    FLAG,
    FREE_TEXT,
    NUMBER,
    TEXT,
    TEXTS,
    VARIABLES,
    Document,
    Key,
    Parser,
    choice,
    parse_command,
    parse_commands,
    parse_duration,
    parse_inside,
)
from ledger.policies import PHASE_NAMES, Policy, Rule, Step

# ── values ───────────────────────────────────────────────────────────────────────────────────────


def _parse_phases(value: object) -> tuple[str, ...]:
    """Return phases in their order; each may be given by number or by name."""
    numbers = {name: phase for phase, name in PHASE_NAMES.items()}
    one = choice(*PHASE_NAMES, *numbers)
    found = {numbers.get(word, word) for word in map(one, TEXTS(value))}
    return tuple(phase for phase in PHASE_NAMES if phase in found)


def anything(value: object) -> object:
    """Return a value that is looked into elsewhere."""
    return value


STEP_KEYS: Mapping[str, Parser] = {
    "command": parse_command,
    "format": choice(*METRICS),
    "report": TEXT,
    "paths": parse_inside,
    "exit-codes": CODES,
}
_FIELDS = {"min-tests": "min_examined", "timeout": "timeout_s", "memory-limit": "memory_bytes"}
"""The keys that are not named as the field is: of `ledger.policies.Rule`, of the settings."""

RULE_KEYS: Mapping[str, Parser] = {
    "mode": choice("strict", "soft", "off"),
    "metric": TEXT,
    "better": choice("lower", "higher"),
    "threshold": NUMBER,
    "min-tests": COUNT,
    "min-examined": COUNT,
    "baseline": FLAG,
    "allow-fewer": FLAG,
    "allow-flaky": FLAG,
    "timeout": parse_duration,
    "env": VARIABLES,
    "needs": TEXTS,
    "fed-by": FREE_TEXT,
    "outside": TEXTS,
    "reason": FREE_TEXT,
}
CHECK_KEYS: Mapping[str, Parser] = {"must-exist": parse_inside, "must-not-exist": parse_inside}
PHASE_KEYS: Mapping[str, Parser] = {"order": FLAG, "patches": _parse_phases}
ISOLATION_KEYS: Mapping[str, Parser] = {"setup": parse_commands, "link": parse_inside}


# ── tables ───────────────────────────────────────────────────────────────────────────────────────


class Layer(NamedTuple):
    """What one table, of a profile or of all, says."""

    key: Key
    gates: dict[str, dict[str, Any]]
    checks: dict[str, tuple[str, ...]]
    phases: dict[str, Any]
    isolated: dict[str, Any]
    extends: str
    profile: str


def parse_layer(document: Document, key: Key, more: Mapping[str, Parser]) -> Layer:
    """Return what the table at ``key`` says; it takes the keys ``more`` besides those of every profile."""
    tables = dict.fromkeys(("gates", "phases", "isolated"), anything)
    values = document.parse(key, {**more, **CHECK_KEYS, **tables})
    return Layer(
        key=key,
        gates={
            name: _parse_gate(document, (*key, "gates", name)) for name in document.names((*key, "gates"))
        },
        checks={name.replace("-", "_"): values[name] for name in CHECK_KEYS if name in values},
        phases=document.parse((*key, "phases"), PHASE_KEYS) if "phases" in values else {},
        isolated=document.parse((*key, "isolated"), ISOLATION_KEYS) if "isolated" in values else {},
        extends=values.get("extends", ""),
        profile=values.get("profile", "dev"),
    )


def _parse_gate(document: Document, key: Key) -> dict[str, Any]:
    """Return what the table of one gate says, its steps parsed too."""
    parsers = {**STEP_KEYS, "steps": anything, **RULE_KEYS}
    del parsers["min-examined" if key[-1] == "tests" else "min-tests"]
    if key[-1] == "types":
        parsers = {"tool": choice(*TYPE_CHECKERS), **parsers}
    values = document.parse(key, parsers)
    if "steps" in values:
        for each in ("tool", *STEP_KEYS):
            if each in values:
                raise document.fault((*key, each), "`steps` says it for each command; give one of the two")
        tables: Any = values["steps"]
        if not isinstance(tables, list) or not tables:
            raise document.fault((*key, "steps"), "expected an array of tables, one for each command")
        numbers = range(len(cast("list[object]", tables)))
        values["steps"] = tuple(_parse_step(document, (*key, "steps", number)) for number in numbers)
    return values


def _parse_step(document: Document, key: Key) -> Step:
    values = document.parse(key, STEP_KEYS)
    if "command" not in values:
        raise document.fault(key, "a step needs a command")
    step = Step(**fields_of(values))
    check_step(document, key, step, values)
    return step


def fields_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of keys as fields of a rule or a step."""
    return {_FIELDS.get(key, key.replace("-", "_")): value for key, value in values.items()}


def check_step(document: Document, key: Key, step: Step, given: Collection[str]) -> None:
    """Raise where the parts of a step contradict one another; ``given`` are the keys that say them."""
    if step.paths and "{paths}" not in step.command:
        raise document.fault((*key, "paths"), "no argument of the command is {paths}, which stands for them")
    if step.exit_codes != (0,) and step.format != "exit":
        raise document.fault((*key, "exit-codes"), f"the format {step.format} knows its tool's exit codes")
    sought = "{scratch}" if "report" in given else step.report
    if step.report.startswith("{scratch}") and not any(sought in word for word in step.command):
        reason = (
            f"nothing in the command writes {step.report}, from which the format {step.format} is read; "
            'name it there, or say `format = "exit"` to go by the exit code alone'
        )
        raise document.fault((*key, "command"), reason)


# ── the way back ─────────────────────────────────────────────────────────────────────────────────


def encode_profile(policy: Policy) -> dict[str, Any]:
    """Return a policy as the tables of a profile, every key with its value."""
    return {
        "must-exist": list(policy.must_exist),
        "must-not-exist": list(policy.must_not_exist),
        "phases": {"order": policy.phases.order, "patches": list(policy.phases.patches)},
        "isolated": {
            "setup": [join_command(command) for command in policy.isolated.setup],
            "link": list(policy.isolated.link),
        },
        "gates": {name: _encode_rule(name, rule) for name, rule in policy.gates.items()},
    }


def _encode_rule(name: str, rule: Rule) -> dict[str, Any]:
    steps = [_encode_step(step) for step in rule.steps]
    table: dict[str, Any] = {"mode": rule.mode, **(steps[0] if len(steps) == 1 else {"steps": steps})}
    for key in RULE_KEYS:
        if key != ("min-examined" if name == "tests" else "min-tests"):
            table[key] = _encode_value(getattr(rule, _FIELDS.get(key, key.replace("-", "_"))))
    table["timeout"] = _encode_duration(rule.timeout_s)
    return table


def _encode_step(step: Step) -> dict[str, Any]:
    table: dict[str, Any] = {
        "command": join_command(step.command),
        "format": step.format,
        "report": step.report,
    }
    if "{paths}" in step.command:
        table["paths"] = list(step.paths)
    return table if step.format != "exit" else {**table, "exit-codes": list(step.exit_codes)}


def _encode_value(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return list(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value


def _encode_duration(seconds: float) -> str | float:
    for size, unit in ((3600, "h"), (60, "m")):
        if seconds % size == 0 and seconds < 2**53:
            return f"{int(seconds // size)}{unit}"
    return _encode_value(seconds)


def join_command(command: Iterable[str]) -> str:
    """Return the text that is split into these arguments again, quoted no more than it needs."""
    return " ".join(
        shlex.quote(word) if not word or re.search(r"[\s'\"\\]", word) else word for word in command
    )


_COMMAND_OPTIONS = (*STEP_KEYS, "steps")


def common_options(rules: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the options in which a gate's tables of several profiles agree, and that mean the same alone.

    How a command is read goes with the command, and a threshold with its metric.
    """
    first, *others = rules
    same = {key for key in first if all(key in other and other[key] == first[key] for other in others)}
    if any(key not in same for rule in (first, *others) for key in _COMMAND_OPTIONS if key in rule):
        return {}
    if not {"metric", "better"} <= same:
        same -= {"metric", "better", "threshold"}
    return {key: value for key, value in first.items() if key in same}


def shorten_options(gate: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a gate without those that go without saying."""
    silent: dict[str, Any] = dict.fromkeys(("baseline", "allow-fewer", "allow-flaky"), False)
    silent |= {"env": [], "needs": [], "outside": [], "reason": "", "exit-codes": [0]}
    if gate in BUILT_IN:
        silent["outside"] = list(BUILT_IN[gate].outside)
    if "metric" in options:
        silent["better"] = better_of(options["metric"])
    if gate not in GATES or not GATES[gate].fed_by:
        silent["fed-by"] = ""
    if gate not in GATES or GATES[gate].steps[0].report == "-":
        silent["report"] = "-"
    kept = {key: value for key, value in options.items() if key not in silent or value != silent[key]}
    if "steps" in kept:
        kept["steps"] = [shorten_options("", step) for step in kept["steps"]]
    return kept

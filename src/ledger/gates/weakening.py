"""Weakening: where one policy asks for less than the one before, in words; and every change, for a diff."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, cast

from ledger.gates.documents import Key, join_key
from ledger.gates.judge import show_number
from ledger.gates.tables import encode_profile, join_command
from ledger.policies import PHASE_NAMES, Policy, Rule, Step

_STRENGTH = {"off": 0, "soft": 1, "strict": 2}


class Change(NamedTuple):
    """One value that differs, under its key in the configuration; "" where it is not there."""

    key: str
    old: str
    new: str


def list_weakenings(before: Policy | None, after: Policy) -> tuple[str, ...]:
    """Return in words every way in which ``after`` asks for less than ``before``.

    What cannot be compared, another command or metric, counts as less: whoever reads it decides.

    Args:
        before: The policy in force so far, None where there is none: then nothing is weaker.
        after: The policy that is to count.
    """
    if before is None:
        return ()
    gates = (
        f"{name}: {words}"
        for name, rule in before.gates.items()
        for words in _weaker_gate(rule, after.gates.get(name))
    )
    return (*gates, *_weaker_rest(before, after))


def _weaker_gate(before: Rule, after: Rule | None) -> Iterator[str]:
    if before.mode == "off":
        return
    if after is None:
        yield "removed"
    elif after.mode == "off":
        yield f"skipped: {after.reason}" if after.reason else "off"
    else:
        if _STRENGTH[after.mode] < _STRENGTH[before.mode]:
            yield f"{before.mode} → {after.mode}"
        yield from _other_measure(before, after)
        yield from _lower_demand(before, after)


def _other_measure(before: Rule, after: Rule) -> Iterator[str]:
    """Yield what makes the facts others than they were."""
    commands = [_join_commands(rule.steps) for rule in (before, after)]
    if commands[0] != commands[1]:
        yield f"command changed: {commands[0]} → {commands[1]}"
    # A step more or less is another command, which is said.
    for old, new in zip(before.steps, after.steps, strict=False):
        yield from _weaker_step(old, new)
    if after.fed_by not in {before.fed_by, ""}:
        yield f"measured by the command of {after.fed_by}"
    added = [name for name in after.outside if name not in before.outside]
    if added:
        yield f"may be imported from outside: {', '.join(added)}"


def _join_commands(steps: Iterable[Step]) -> str:
    return "; ".join(join_command(step.command) for step in steps)


def _weaker_step(before: Step, after: Step) -> Iterator[str]:
    for word, old, new in (
        ("format", before.format, after.format),
        ("report", before.report, after.report),
    ):
        if old != new:
            yield f"{word} changed: {old} → {new}"
    # Without a path everything is examined.
    if before.paths != after.paths and (not before.paths or not {*before.paths} <= {*after.paths}):
        yield f"paths: {', '.join(before.paths) or '.'} → {', '.join(after.paths) or '.'}"
    added = sorted({*after.exit_codes} - {*before.exit_codes})
    if added:
        yield f"exit codes that pass: {', '.join(map(str, added))} too"


def _lower_demand(before: Rule, after: Rule) -> Iterator[str]:
    """Yield what is asked of the facts no more."""
    old, new = before.threshold, after.threshold
    if (before.metric, before.better) != (after.metric, after.better):
        yield f"judged by {after.metric}, {after.better} is better; was {before.metric}, {before.better}"
    elif new > old if after.better == "lower" else new < old:
        yield f"threshold {show_number(old)} → {show_number(new)}"
    if after.min_examined < before.min_examined:
        yield f"must examine {before.min_examined} → {after.min_examined}"
    if before.baseline and not after.baseline:
        yield "may be worse than the accepted state"
    if after.allow_fewer and not before.allow_fewer:
        yield "may run fewer tests than the accepted state"
    if after.allow_flaky and not before.allow_flaky:
        yield "different outcomes on one tree are allowed"


def _weaker_rest(before: Policy, after: Policy) -> Iterator[str]:
    """Yield what is weaker in the rules for finalization and phases."""
    for word, old, new in (
        ("must-exist", before.must_exist, after.must_exist),
        ("must-not-exist", before.must_not_exist, after.must_not_exist),
    ):
        yield from (f"{word}: {glob} dropped" for glob in old if glob not in new)
    if before.phases.order and not after.phases.order:
        yield "phases: going back is allowed"
    for phase, name in PHASE_NAMES.items():
        if phase in after.phases.patches and phase not in before.phases.patches:
            yield f"phases: {phase} ({name}) takes patches"


def list_changes(before: Policy | None, after: Policy) -> tuple[Change, ...]:
    """Return every value in which two policies differ, weaker or stricter, under its configuration key."""
    old = {} if before is None else dict(_flatten(_asked(before, after), ()))
    new = dict(_flatten(encode_profile(after) if before is None else _asked(after, before), ()))
    return tuple(
        Change(join_key(key), old.get(key, ""), new.get(key, ""))
        for key in dict.fromkeys((*old, *new))
        if old.get(key) != new.get(key)
    )


def _asked(policy: Policy, other: Policy) -> dict[str, Any]:
    """Return a policy's tables, less the gates that are off in it and unknown to the other."""
    table = encode_profile(policy)
    table["gates"] = {
        name: gate
        for name, gate in table["gates"].items()
        if name in other.gates or policy.gates[name].mode != "off"
    }
    return table


def _flatten(table: Mapping[str, Any], prefix: Key) -> Iterator[tuple[Key, str]]:
    """Yield the values of nested tables as TOML text, each under its key."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(cast("dict[str, Any]", value), (*prefix, name))
        elif name == "steps":
            for number, step in enumerate(value):
                yield from _flatten(step, (*prefix, name, number))
        else:
            # JSON writes strings, numbers, truth values and flat lists as TOML does, but for one character.
            yield (*prefix, name), json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

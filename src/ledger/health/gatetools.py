"""Checks of the configuration, and of the programs that gates need: found where a gate would find them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from ledger.gates.documents import InvalidConfiguration
from ledger.gates.surroundings import Surroundings
from ledger.gates.tools import tool_versions
from ledger.health.model import Check
from ledger.policies import Rule
from ledger.repository import Repository
from ledger.status import compare_policy, policy_in_force
from ledger.workspace import Workspace

_AROUND = frozenset({"environment"})


def check_configuration(repository: Repository, workspace: Workspace | None) -> Check:
    """Say whether the configuration can be read, and is the policy in force."""
    try:
        changes, weakened = compare_policy(repository, workspace)
    except InvalidConfiguration as error:
        return Check(
            "configuration", "error", str(error), "`ledger policy show` reads it again once it is mended"
        )
    if changes or weakened:
        less = f", and asks for less: {'; '.join(weakened)}" if weakened else ""
        reason = f"the configuration is not the policy in force{less}"
        return Check("configuration", "warning", reason, "`ledger policy accept` lets it count")
    return Check("configuration", "ok", "it can be read, and is the policy in force")


def check_tools(repository: Repository, workspace: Workspace | None) -> Check:
    """Say which gates lack a program: a strict one could then never accept anything."""
    if repository.work_dir is None:
        return Check("gate-tools", "not-applicable", "a bare repository has no work tree to measure")
    try:
        policy = policy_in_force(repository, workspace).policy
    except InvalidConfiguration:
        return Check("gate-tools", "not-applicable", "the configuration cannot be read")
    lacking: dict[str, str] = {}
    versions: dict[tuple[str, ...], dict[str, str]] = {}
    # What a program answers is kept nowhere: the doctor leaves the caches as they are.
    with TemporaryDirectory(prefix="ledger-doctor-") as scratch:
        for name, rule in policy.gates.items():
            if rule.mode != "off":
                place = Surroundings(
                    root=repository.work_dir, cache_dir=Path(scratch), tree_paths=(), env=rule.env
                )
                if missing := _look(rule, place, versions):
                    lacking[name] = "; ".join(missing)
    if lacking:
        strict = [name for name in lacking if name in policy.strict]
        reason = "; ".join(
            f"gate {name}{' (strict)' * (name in strict)}: {why}" for name, why in lacking.items()
        )
        help_ = "install it, or `ledger policy show` and configure another command"
        return Check("gate-tools", "error" if strict else "warning", reason, help_)
    found = {name: version for each in versions.values() for name, version in each.items()}
    told = [f"{name} {version}" for name, version in sorted(found.items()) if name not in _AROUND]
    return Check("gate-tools", "ok", ", ".join(told) or "no gate needs a program with a version")


def _look(rule: Rule, place: Surroundings, versions: dict[tuple[str, ...], dict[str, str]]) -> list[str]:
    """Return why programs of a gate cannot be found, collecting the versions of those that can."""
    missing: list[str] = []
    for step in rule.steps:
        program = step.command[0]
        # What is behind `python -m` or `uv run` is another tool each time; options make none.
        key = step.command[:3] if {"-m", "run"} & {*step.command[1:2]} else (program,)
        if place.find_program(program) is None:
            missing.append(place.explain_missing(program))
        elif key not in versions:
            # Some have to be run to say it, which takes longer than all other checks.
            versions[key] = tool_versions(step.command, place)
    return missing
